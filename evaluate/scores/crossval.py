"""Cross-validation: every head on every features over the same folds, and one tidy table of predictions."""

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from classify.folds import Fold
from classify.rows import Sample, default_features
from featurize.errors import BottleheadError, UsageError
from featurize.files import csv_writer, total_memory
from featurize.outputs import CSV, PREDICTIONS, whole_file
from featurize.table import FeatureTable
from featurize.terminal import log, progress

if TYPE_CHECKING:
    import pandas as pd
    from threadpoolctl import ThreadpoolController

    from classify.heads.costs import Size

LONG = 600.0  # seconds of a head, which are said before
SMALL = 100_000  # numbers: work on vectors of fewer begins here, whatever is expected of it
FEW_SECONDS = 4.0  # of all fits together: expected to take less, they begin here
START_SECONDS = 2.0  # what processes take to start: small work is often done by then


@dataclass(frozen=True)
class Task:
    """One head, to be fitted on one features and one fold."""

    features: str
    head: str
    estimator: Any
    fold: Fold
    classifier: str  # what the name `head` stands for
    is_measured: bool = False  # whether the size of what is fitted is asked for


class Result(NamedTuple):
    """What a fit gave: probabilities of the testing rows, and the columns of `Predictions.times`."""

    probabilities: np.ndarray
    fit_seconds: float
    predict_seconds: float
    model_bytes: float
    tuned: str | None
    complaints: list[str]


def _run(
    tasks: Sequence[Task], samples: Mapping[str, Sample], jobs: int | None, expected: Sequence[float]
) -> Iterator[Result]:
    """The results of the tasks, in their order; the numbers do not depend on `jobs`.

    `expected` are seconds of each features and head, 0 where nothing is known.
    """
    from joblib import Parallel, cpu_count, delayed

    jobs = min(jobs or cpu_count(), _most_processes(tasks, samples))
    labels = sorted(set(samples[tasks[0].features].y.tolist()))
    small = max(sample.X.size for sample in samples.values()) <= SMALL
    here = small or (min(expected) > 0 and sum(expected) < FEW_SECONDS)
    taken, left = 0.0, list(tasks)
    while left and here:
        task = left.pop(0)
        result = _fit_and_predict(task, labels, *_arrays(samples[task.features]))
        yield result
        taken += result.fit_seconds + result.predict_seconds
        saved = taken / (len(tasks) - len(left)) * len(left) * (1 - 1 / jobs)
        here = taken < START_SECONDS or saved < START_SECONDS
    # joblib writes each large matrix once and lets all workers map it, or sends it once to each worker of a cluster
    # (`joblib.parallel_config`), which it does for plain arguments alone; tasks carry only row numbers.
    parallel = Parallel(
        n_jobs=min(jobs, len(left)) or 1, return_as="generator", mmap_mode="r", max_nbytes="1M"
    )
    try:
        with _without_the_current_folder():
            yield from parallel(
                delayed(_fit_and_predict)(task, labels, *_arrays(samples[task.features])) for task in left
            )
    except BrokenProcessPool as error:
        raise UsageError(
            "a process that fitted heads was killed from outside, perhaps because memory ran out",
            "run it again with fewer processes, such as --jobs 1, which needs the least memory, or with another head, "
            "such as softmax",
        ) from error
    except PicklingError as error:  # large matrices travel by way of the temporary folder
        reason = str(error.__cause__ or error).strip('"\n ').splitlines()[-1]  # below the worker's traceback
        raise UsageError(
            f"the tables cannot be handed to other processes: {reason}",
            "see that the temporary folder (JOBLIB_TEMP_FOLDER, TMPDIR) can be written and has space; or use --jobs 1",
        ) from error


@contextmanager
def _without_the_current_folder() -> Iterator[None]:
    """Python that is started inside looks for no modules in the current folder, where anybody's select.py may lie."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _most_processes(tasks: Sequence[Task], samples: Mapping[str, Sample]) -> int:
    """As many as may hold, each, what its fit needs."""
    from classify.heads.costs import memory_of_fit

    most = max(memory_of_fit(_head_of(task), _size(task, samples)) for task in tasks)
    return max(1, total_memory() // 2 // max(1, most))


def _size(task: Task, samples: Mapping[str, Sample]) -> "Size":
    from classify.heads.costs import Size

    sample = samples[task.features]
    return Size(len(task.fold.training), sample.X.shape[1], len(np.unique(sample.y)))


def _head_of(task: Task) -> Any:
    """What is fitted in the end, also by a search."""
    from classify.heads.registry import make_head
    from classify.heads.tuning import TunedHead

    return make_head(task.estimator.head) if isinstance(task.estimator, TunedHead) else task.estimator


def _check_costs(
    tasks: Sequence[Task], samples: Mapping[str, Sample], jobs: int | None
) -> dict[tuple[str, str], float]:
    """Before any work: refuse a head that needs more memory than there is, and say what will take long.

    Returns the seconds that are expected by head and features, 0 where nothing is known.
    """
    from joblib import cpu_count

    from classify.heads.costs import check_memory, seconds_of_fit
    from classify.heads.tuning import TunedHead, candidate_params

    seconds: dict[tuple[str, str], float] = {}
    for task in tasks:
        head, size = _head_of(task), _size(task, samples)
        check_memory(head, task.head, size)
        searched = isinstance(task.estimator, TunedHead)
        n_fits = 1 + 5 * 0.8 * len(candidate_params(task.estimator.head)) if searched else 1
        key = task.head, task.features
        seconds[key] = seconds.get(key, 0.0) + n_fits * seconds_of_fit(head, size)
    jobs = min(jobs or cpu_count(), _most_processes(tasks, samples))
    for (name, features), one in seconds.items():
        if one / jobs > LONG:
            n_fits = sum((task.head, task.features) == (name, features) for task in tasks)
            duration = (
                f"{one / jobs / 60:.0f} minutes" if one / jobs < 7200 else f"{one / jobs / 3600:.0f} hours"
            )
            log.info("%s on %s will take about %s (%d fits)", name, features, duration, n_fits)
    return seconds


def _arrays(sample: Sample) -> tuple[Any, ...]:
    return tuple(getattr(sample, field.name) for field in fields(sample))


def _fit_and_predict(task: Task, labels: list[str], *arrays: Any) -> Result:
    from joblib import parallel_config

    from classify.heads.fitting import fit_head, probabilities_of

    sample = Sample(*arrays)
    fold, train = task.fold, sample.rows(task.fold.training)
    # One thread whoever runs this: several add up in another order, and the last digits would differ.
    one_thread = _libraries_with(task.classifier).limit(limits=1)
    with one_thread, parallel_config(backend="sequential"), _complaints() as complaints:
        try:
            start = time.perf_counter()
            head = fit_head(task.estimator, train.X, train.y, train.groups, train.variant)
            fitted, testing = time.perf_counter(), sample.X[fold.testing]
            probabilities = probabilities_of(head, testing)
            seconds = (fitted - start, time.perf_counter() - fitted)
        except (Exception, SystemExit) as error:
            raise _failure(task, error) from error
        model_bytes = _bytes(head) if task.is_measured else float("nan")
    full = np.zeros((len(fold.testing), len(labels)))
    full[:, [labels.index(str(name)) for name in head.classes_]] = probabilities
    tuned = head.tuning_.head if hasattr(head, "tuning_") else None
    return Result(full, *seconds, model_bytes, tuned, complaints)


@cache
def _libraries_with(classifier: str) -> "ThreadpoolController":
    """Those with threads, once a classifier has loaded its own; looking for them takes longer than many a fit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _bytes(fitted: Any) -> float:
    """The size of a fitted head as a model file holds it; not a number where it cannot be written."""
    from classify.model.skops_head import dump_head

    try:
        return len(dump_head(getattr(fitted, "head_", fitted)))
    except BottleheadError:
        return float("nan")


def _failure(task: Task, error: BaseException) -> UsageError:
    from classify.heads.fitting import fit_failed

    where = f"failed on {task.features} in fold {task.fold.fold} of repeat {task.fold.repeat}"
    return fit_failed(task.head, error, where)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What is warned of or logged inside the block, kept for the result instead of printed by every worker."""
    kept: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record.getMessage())
        return False

    level = log.level
    log.addFilter(keep)
    log.setLevel(logging.WARNING)  # --quiet is about printing, and says nothing to worker processes
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield kept
            kept += [" ".join(str(warning.message).split()) for warning in caught]
    finally:
        log.removeFilter(keep)
        log.setLevel(level)


@dataclass(eq=False, repr=False)
class Predictions:
    """Out-of-fold predictions: one row per repeat, fold, features, head and tested image; from `cross_validate`.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``repeat, fold, features, head, row, image, label, group, given_group``; ``row`` is the row of the
        table, ``group`` a number that photos kept together share, ``given_group`` the table's name for it, or None.
    probabilities : array of shape (n_rows, n_labels), float64
    labels : list of str
        The names of the columns of `probabilities`, sorted.
    times : pandas.DataFrame
        One row per repeat, fold, features and head: ``n_training, n_testing`` (photos, without distorted copies),
        ``fit_seconds, predict_seconds``, ``model_bytes`` (of the first fold; missing on others, and for a head that
        cannot be written), ``tuned``, the spec that a search chose or None, ``classifier``, what the name of the
        head stands for, and ``complaints``, the head's warnings.
    decided : array of str, optional
        The labels given, where something else than the highest probability decides.
    """

    rows: "pd.DataFrame"
    probabilities: np.ndarray
    labels: list[str]
    times: "pd.DataFrame"
    decided: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        pairs = ", ".join(f"{head} on {features}" for features, head in self.pairs()[:4])
        more = ", …" if len(self.pairs()) > 4 else ""
        return f"Predictions: {len(self)} of {len(self.labels)} labels, by {pairs}{more}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.to_frame().head(10).to_html(float_format='{:.4f}'.format)}"

    def pairs(self) -> list[tuple[str, str]]:
        """The (features, head) pairs, in the order in which they were asked for."""
        return list(dict.fromkeys(zip(self.times["features"], self.times["head"], strict=True)))

    def of(self, features: str, head: str, *others: str) -> "Predictions":
        """The predictions of one (features, head) pair, in the same order for every pair; `others` are more heads."""

        def chosen(frame: "pd.DataFrame") -> np.ndarray:
            return ((frame["features"] == features) & frame["head"].isin([head, *others])).to_numpy()

        rows, times = chosen(self.rows), chosen(self.times)
        return Predictions(
            self.rows[rows].reset_index(drop=True),
            self.probabilities[rows],
            self.labels,
            self.times[times].reset_index(drop=True),
            None if self.decided is None else self.decided[rows],
        )

    @property
    def label(self) -> np.ndarray:
        """The true label of each row."""
        return self.rows["label"].to_numpy(dtype=object)

    @property
    def weight(self) -> np.ndarray | None:
        """As how much of a photo each row of one pair counts, where photos were tested again; None where none was."""
        _, place, times = np.unique(self.rows["row"].to_numpy(), return_inverse=True, return_counts=True)
        return None if times.max(initial=1) == 1 else 1.0 / times[place]

    @property
    def predicted(self) -> np.ndarray:
        """The label given to each row: the most probable one, where nothing else decided."""
        from evaluate.scores.metrics import most_probable

        return most_probable(self.probabilities, self.labels) if self.decided is None else self.decided

    def to_frame(self) -> "pd.DataFrame":
        """Everything in one frame: what `write` writes, and ``row``, the row of the table that was used.

        Columns ``image, label, predicted``, one ``probability:LABEL`` per label, ``features, head, fold, repeat``,
        ``group`` (the name that the table has for it, or None) and ``kept_together``, a number that photos kept
        together share.
        """
        import pandas as pd

        columns = [f"probability:{label}" for label in self.labels]
        # Of a head that counts in single precision they add up to 1 but for the last digits, of which others complain.
        shares = self.probabilities / self.probabilities.sum(axis=1, keepdims=True)
        chances = pd.DataFrame(shares, columns=columns, index=self.rows.index)
        rows = self.rows.rename(columns={"group": "kept_together", "given_group": "group"})
        first = rows[["image", "label"]].assign(predicted=self.predicted)
        last = rows[["features", "head", "fold", "repeat", "group", "kept_together", "row"]]
        return pd.concat([first, chances, last], axis=1)

    def write(self, path: str | os.PathLike, excel: bool = False) -> None:
        """Write the columns of `to_frame` but ``row`` to a ``.csv`` or ``.parquet`` file, one line per prediction.

        `excel`: CSV for a spreadsheet, see `featurize.files.csv_writer`.
        """
        kind, frame = predictions_kind(path), self.to_frame().drop(columns="row")
        with whole_file(path, kind) as partial:
            if kind == PREDICTIONS:
                frame.to_parquet(partial, index=False)
                return
            with open(partial, "w", encoding="utf-8", newline="") as stream:
                writer = csv_writer(stream, excel)
                writer.writerow(frame.columns)
                writer.writerows(frame.itertuples(index=False, name=None))


def predictions_kind(path: str | os.PathLike) -> str:
    """What a file of predictions is by its name, for `featurize.outputs`; UsageError if neither CSV nor Parquet."""
    kind = {".csv": CSV, ".parquet": PREDICTIONS}.get(os.path.splitext(path)[1].lower())
    if kind is None:
        raise UsageError(
            f"cannot tell the format of {os.fspath(path)}", "predictions are written to .csv or .parquet"
        )
    return kind


def cross_validate(
    table: FeatureTable,
    features: Sequence[str],
    heads: Sequence[Any],
    folds: Sequence[Fold],
    *,
    seed: int = 0,
    jobs: int | None = None,
    sizes: bool = True,
) -> Predictions:
    """Fit every head on every features, on the training side of each fold, and predict its testing side.

    Parameters
    ----------
    table : FeatureTable
        All rows labelled.
    features : sequence of str
        Columns of the table, or several joined with ``+``.
    heads : sequence of str or estimator
        Whatever `classify.heads.registry.make_head` takes, and `classify.heads.tuning.TunedHead`; or as
        `classify.heads.fitting.named_heads` gives them.
    folds : sequence of Fold
        From `classify.folds.make_folds`; all pairs use the same ones, so they can be compared in pairs.
    seed : int
        Start of the randomness of the heads.
    jobs : int, optional
        Processes, at most; by default one per processor. The numbers do not depend on it.
    sizes : bool
        Whether to write the head of the first fold to tell ``model_bytes``; of a forest that takes as long as its fit.

    Returns
    -------
    Predictions

    Raises
    ------
    UsageError
        If features or a head is unknown or given twice, or a head fails on a fold.

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

    samples, tasks = _tasks(table, features, heads, folds, seed, sizes)
    expected = list(_check_costs(tasks, samples, jobs).values())
    results: list[Result] = []
    with progress(len(tasks), "cross-validating", unit="fit") as bar:
        for result in _run(tasks, samples, jobs, expected):
            results.append(result)
            bar.update()

    label, image, groups, variant = table.label, table.image, table.groups, table.variant
    given = table.group
    rows, times = [], []
    for task, result in zip(tasks, results, strict=True):
        fold, tested = task.fold, task.fold.testing
        key = {"repeat": fold.repeat, "fold": fold.fold, "features": task.features, "head": task.head}
        who = {"row": tested, "image": image[tested], "label": label[tested], "group": groups[tested]}
        who["given_group"] = given[tested]
        rows.append(pd.DataFrame(key | who))
        counts = {"n_training": int((variant[fold.training] == 0).sum()), "n_testing": len(tested)}
        key["classifier"] = task.classifier
        times.append(key | counts | result._asdict() | {"complaints": sorted(set(result.complaints))})
    probabilities = np.concatenate([time.pop("probabilities") for time in times])
    every = pd.concat(rows, ignore_index=True)
    return Predictions(every, probabilities, sorted(set(label)), pd.DataFrame(times))


def _tasks(
    table: FeatureTable,
    features: Sequence[str],
    heads: Sequence[Any],
    folds: Sequence[Fold],
    seed: int,
    sizes: bool,
) -> tuple[dict[str, Sample], list[Task]]:
    from sklearn.base import clone

    from classify.heads.fitting import NamedHead, classifier_of, head_name
    from classify.heads.registry import make_head
    from classify.heads.tuning import TunedHead

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
                "name each once"
                + (", for example svm:C=1 svm:C=10, or by names of your own" if kind == "head" else ""),
            )
    samples = {name: Sample.of(table, name) for name in features}
    tasks = []
    for one, sample in samples.items():
        for name, given in zip(names, heads, strict=True):
            head = given.head if isinstance(given, NamedHead) else given
            made: dict[str, Any] = {
                "widths": sample.widths,
                "block_weights": sample.block_weights,
                "seed": seed,
            }
            if isinstance(head, TunedHead):
                estimator = clone(head).set_params(**made)
            else:
                estimator = make_head(head, **made)
            for fold in folds:
                # Only of the first fold, for all are about equal.
                is_measured = sizes and fold.repeat == 0 and fold.fold == 0
                tasks.append(Task(one, name, estimator, fold, classifier_of(given), is_measured))
    return samples, tasks


def all_features(table: FeatureTable) -> list[str]:
    """Every column of the table but the controls, and, where there are several, all of them together last."""
    if not table.features:
        raise UsageError("the table has no features", "run `featurize extract` with the --features wanted")
    names = default_features(table)
    return names + (["+".join(names)] if len(names) > 1 else [])
