"""Cross-validation: every head on every features over the same folds, and one tidy table of predictions."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from classify.folds import Fold
from classify.rows import NUISANCE
from featurize.errors import BottleheadError, UsageError
from featurize.files import total_memory
from featurize.table import FeatureTable
from featurize.terminal import log, progress

if TYPE_CHECKING:
    import pandas as pd

    from classify.shared import SharedFold


# -- The fits of a cross-validation: which share work, which process does them, and what each gives ------

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
    from classify.heads.tuning import TunedHead

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
    from classify.heads.registry import fit_failed

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


class Predictions:
    """Out-of-fold predictions: one row per repeat, fold, features, head and tested image.

    Made by `cross_validate`; every number that is reported comes from here.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``repeat, fold, features, head, row, image, label, group``; ``row`` is the row of the table.
    probabilities : array of shape (n_rows, n_labels), float64
        Per label, how probable the head held it.
    labels : list of str
        The names of the columns of `probabilities`, sorted.
    times : pandas.DataFrame
        One row per repeat, fold, features and head: ``n_training, n_testing`` (photos, without distorted
        copies), ``fit_seconds, predict_seconds``, ``model_bytes`` (of the first fold; missing on others, and for
        a head that cannot be written), ``tuned``, the spec that a search chose or None, and ``complaints``,
        the distinct warnings of the head.
    """

    def __init__(
        self, rows: "pd.DataFrame", probabilities: np.ndarray, labels: list[str], times: "pd.DataFrame"
    ):
        self.rows = rows
        self.probabilities = probabilities
        self.labels = labels
        self.times = times

    def __len__(self) -> int:
        return len(self.rows)

    def pairs(self) -> list[tuple[str, str]]:
        """The (features, head) pairs, in the order in which they were asked for."""
        return list(dict.fromkeys(zip(self.times["features"], self.times["head"], strict=True)))

    def of(self, features: str, head: str) -> "Predictions":
        """The predictions of one (features, head) pair, rows in the same order for every pair."""
        mine = ((self.rows["features"] == features) & (self.rows["head"] == head)).to_numpy()
        timed = ((self.times["features"] == features) & (self.times["head"] == head)).to_numpy()
        return Predictions(
            self.rows[mine].reset_index(drop=True),
            self.probabilities[mine],
            self.labels,
            self.times[timed].reset_index(drop=True),
        )

    @property
    def label(self) -> np.ndarray:
        """The true label of each row."""
        return self.rows["label"].to_numpy(dtype=object)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable label of each row."""
        from evaluate.scores.metrics import most_probable

        return most_probable(self.probabilities, self.labels)

    def to_frame(self) -> "pd.DataFrame":
        """Everything in one frame; probabilities are the columns ``probability:LABEL``."""
        import pandas as pd

        columns = [f"probability:{label}" for label in self.labels]
        chances = pd.DataFrame(self.probabilities, columns=columns, index=self.rows.index)
        return pd.concat([self.rows.assign(predicted=self.predicted), chances], axis=1)


def cross_validate(
    table: FeatureTable,
    features: Sequence[str],
    heads: Sequence[Any],
    folds: Sequence[Fold],
    *,
    seed: int = 0,
    jobs: int | None = None,
) -> Predictions:
    """Fit every head on every features, on the training side of each fold, and predict its testing side.

    Parameters
    ----------
    table : FeatureTable
        All rows labelled.
    features : sequence of str
        Columns of the table, or several joined with ``+``.
    heads : sequence of str or estimator
        Whatever `classify.heads.registry.make_head` takes, and `classify.tuned.TunedHead`.
    folds : sequence of Fold
        From `classify.folds.make_folds`; all pairs use the same ones, so they can be compared in pairs.
    seed : int
        Start of the randomness of the heads.
    jobs : int, optional
        Processes, at most; by default one per processor. The numbers do not depend on it.

    Returns
    -------
    Predictions
        The numbers of plain scikit-learn; of an RBF SVM up to 1e-6, see `classify.shared.SharedFold`.

    Raises
    ------
    UsageError
        If features or a head is unknown or given twice, or a head fails on a fold; the message says which
        and why.

    Examples
    --------
    >>> from classify.folds import make_folds
    >>> table = FeatureTable.from_arrays({"x": [[0.0], [0.1], [0.9], [1.0]] * 3}, label=["a", "a", "b", "b"] * 3)
    >>> folds = make_folds(table.label, table.groups, n_folds=3)
    >>> predictions = cross_validate(table, ["x"], ["softmax"], folds, jobs=1)
    >>> len(predictions), predictions.pairs()
    (12, [('x', 'softmax')])
    """
    import pandas as pd

    matrices, tasks = _tasks(table, features, heads, folds, seed)
    label, labels = table.label, sorted(set(table.label))
    found = {}
    with progress(len(tasks), "cross-validating", unit="fit") as bar:
        for number, result in run(tasks, matrices, Rows(label, table.groups, table.variant), jobs):
            found[number] = result
            bar.update()
    results = [found[number] for number in range(len(tasks))]

    image, groups, variant = table.image, table.groups, table.variant
    rows, times = [], []
    for task, result in zip(tasks, results, strict=True):
        fold, tested = task.fold, task.fold.testing
        key = {"repeat": fold.repeat, "fold": fold.fold, "features": task.features, "head": task.head}
        who = {"row": tested, "image": image[tested], "label": label[tested], "group": groups[tested]}
        rows.append(pd.DataFrame(key | who))
        sizes = {"n_training": int((variant[fold.training] == 0).sum()), "n_testing": len(tested)}
        seconds = {
            "fit_seconds": result.fit_seconds,
            "predict_seconds": result.predict_seconds,
            "model_bytes": result.model_bytes,
            "tuned": result.tuned,
            "complaints": sorted(set(result.complaints)),
        }
        times.append(key | sizes | seconds)
    probabilities = np.concatenate([result.probabilities for result in results])
    return Predictions(pd.concat(rows, ignore_index=True), probabilities, labels, pd.DataFrame(times))


def _tasks(
    table: FeatureTable, features: Sequence[str], heads: Sequence[Any], folds: Sequence[Fold], seed: int
) -> tuple[dict[str, np.ndarray], list[Task]]:
    from sklearn.base import clone

    from classify.heads.registry import head_name, make_head
    from classify.heads.tuning import TunedHead
    from classify.rows import select_vectors

    if not features or not heads or not folds:
        raise UsageError(
            f"{len(features)} features, {len(heads)} heads and {len(folds)} folds were given",
            "give at least one of each",
        )
    names = [head_name(head) for head in heads]
    for kind, given in (("features", list(features)), ("head", names)):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise UsageError(
                f"the {kind} {', '.join(twice)} is given twice",
                "name each once" + (", for example svm:C=1 svm:C=10" if kind == "head" else ""),
            )
    matrices = {name: select_vectors(table, name) for name in features}
    tasks = []
    for one in features:
        for name, head in zip(names, heads, strict=True):
            if isinstance(head, TunedHead):
                estimator = clone(head).set_params(widths=table.widths(one), seed=seed)
            else:
                estimator = make_head(head, widths=table.widths(one), seed=seed)
            tasks += [Task(one, name, estimator, fold) for fold in folds]
    return matrices, tasks


def all_features(table: FeatureTable) -> list[str]:
    """Every column of the table but ``nuisance``, and, where there are several, all of them together last."""
    if not table.features:
        raise UsageError("the table has no features", "run `featurize extract` with the --features wanted")
    names = [name for name in table.features if name != NUISANCE] or table.features
    return names + (["+".join(names)] if len(names) > 1 else [])
