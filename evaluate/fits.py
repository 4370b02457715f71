"""The fits of a cross-validation: which share work, which process does them, and what each gives."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from classify.folds import Fold
from classify.memory import total_memory
from featurize.errors import BottleheadError, UsageError
from featurize.terminal import log

if TYPE_CHECKING:
    from classify.shared import SharedFold

SMALL = 100_000  # numbers; vectors of more are worth processes from the start
WORTH_WORKERS = 4.0  # processor seconds of work left, about twice what workers take to start


@dataclass(frozen=True)
class Task:
    """One head, to be fitted on one features and one fold."""

    features: str
    head: str
    estimator: Any
    fold: Fold


class Result(NamedTuple):
    """What a fit gave: probabilities of the testing rows, and the columns of `Predictions.times`."""

    probabilities: np.ndarray
    fit_seconds: float
    predict_seconds: float
    model_bytes: float
    tuned: str | None
    complaints: list[str]


class Rows(NamedTuple):
    """What the fits need to know of each row beside its vector."""

    label: np.ndarray
    groups: np.ndarray
    variant: np.ndarray


def run(
    tasks: Sequence[Task], matrices: Mapping[str, np.ndarray], rows: Rows, jobs: int | None
) -> Iterator[tuple[int, Result]]:
    """The number of each task and its result, as they come.

    Tasks on the same training side are done together, by one process. Where the vectors are few, all is done
    here, until it turns out to take long; numbers do not depend on who does the work.

    Parameters
    ----------
    tasks : sequence of Task
    matrices : mapping of str to array of shape (n_rows, n_features)
        The vectors by features.
    rows : Rows
    jobs : int, optional
        Processes, at most; by default one per processor. Fewer where their distances would not fit into memory.

    Raises
    ------
    UsageError
        If a head fails; the message says which, where and why.
    """
    from joblib import Parallel, cpu_count, delayed

    jobs = min(jobs or cpu_count(), _most_processes(tasks, len(rows.label)))
    units = _units(tasks, jobs)
    labels = sorted(set(rows.label.tolist()))
    start = time.process_time()
    # Workers take seconds to start: a small comparison is done before they would have begun.
    alone = jobs == 1 or max(map(np.size, matrices.values())) <= SMALL
    while units and alone:
        unit = units.pop(0)
        mine = [tasks[i] for i in unit]
        yield from zip(unit, _fit_and_predict(mine, matrices[mine[0].features], rows, labels), strict=True)
        left = sum(map(len, units))
        remaining = (time.process_time() - start) * left / (len(tasks) - left)
        alone = jobs == 1 or remaining <= WORTH_WORKERS
    if units:
        # joblib writes each large matrix once and lets all workers map it; tasks carry only row numbers.
        found = Parallel(n_jobs=min(jobs, len(units)), return_as="generator", mmap_mode="r", max_nbytes="1M")(
            delayed(_fit_and_predict)(
                [tasks[i] for i in unit], matrices[tasks[unit[0]].features], rows, labels
            )
            for unit in units
        )
        for unit, results in zip(units, found, strict=True):
            yield from zip(unit, results, strict=True)


def _most_processes(tasks: Sequence[Task], n_rows: int) -> int:
    """As many as may hold distances between all rows, the kernel of the training side and a copy of it."""
    shared = max(_rows_with_distances(task, n_rows) for task in tasks)
    if not shared:
        return len(tasks)
    return max(1, min(len(tasks), total_memory() // 2 // (3 * 8 * shared**2)))


def _rows_with_distances(task: Task, n_rows: int) -> int:
    """Between how many rows the fit holds all distances; none unless its head is an RBF SVM."""
    from classify.gram import can_share
    from classify.heads.registry import make_head
    from classify.tuned import TunedHead

    head, rows = task.estimator, n_rows
    if isinstance(head, TunedHead):  # which searches within the training side
        head, rows = make_head(head.head), len(task.fold.training)
    return rows if can_share(head, rows) else 0


def _units(tasks: Sequence[Task], jobs: int) -> list[list[int]]:
    """Numbers of tasks that one process does together: all heads on one training side, for they share work.

    Where that makes too few for all processes, each task is by itself.
    """
    sides: dict[tuple, list[int]] = {}
    for i, task in enumerate(tasks):
        sides.setdefault((task.features, id(task.fold)), []).append(i)
    return list(sides.values()) if len(sides) >= jobs else [[i] for i in range(len(tasks))]


def _fit_and_predict(tasks: list[Task], X: np.ndarray, rows: Rows, labels: list[str]) -> list[Result]:
    """The results of tasks on one training side."""
    from threadpoolctl import threadpool_limits

    from classify.shared import SharedFold

    fold = tasks[0].fold
    side = SharedFold(X, *rows, training=fold.training, testing=fold.testing)
    # One thread whoever runs this: several add up in another order, and the last digits would differ.
    with threadpool_limits(limits=1):
        return [_result(task, side, labels) for task in tasks]


def _result(task: Task, side: "SharedFold", labels: list[str]) -> Result:
    with _complaints() as complaints:
        try:
            fit = side.fit(task.estimator)
        except Exception as error:
            raise _failure(task, error) from error
    first = task.fold.repeat == 0 and task.fold.fold == 0
    model_bytes = _bytes(fit.head) if first else float("nan")
    columns = [labels.index(str(name)) for name in fit.head.classes_]
    full = np.zeros((len(task.fold.testing), len(labels)))
    full[:, columns] = fit.probabilities
    if not np.isfinite(full).all():
        raise _failure(task, ValueError("it gave probabilities that are not numbers"))
    tuned = fit.head.tuning_.head if hasattr(fit.head, "tuning_") else None
    return Result(full, fit.fit_seconds, fit.predict_seconds, model_bytes, tuned, complaints)


def _bytes(fitted: Any) -> float:
    """The size of a fitted head as a model file holds it; not a number where it cannot be written."""
    from classify.model.modelfile import dump_head

    try:
        return len(dump_head(getattr(fitted, "head_", fitted)))
    except BottleheadError:
        return float("nan")


def _failure(task: Task, error: Exception) -> UsageError:
    from classify.failures import fit_failed

    where = f"failed on {task.features} in fold {task.fold.fold} of repeat {task.fold.repeat}"
    return fit_failed(task.head, error, where)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What is warned of or logged inside the block, kept for the result instead of printed by every worker."""
    kept: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    handlers, propagate, level = log.handlers, log.propagate, log.level
    log.handlers, log.propagate = [Keeper(logging.WARNING)], False
    log.setLevel(logging.WARNING)  # --quiet is about printing, and says nothing to worker processes
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield kept
            kept += [" ".join(str(warning.message).split()) for warning in caught]
    finally:
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)
