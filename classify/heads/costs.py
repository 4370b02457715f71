"""What a head will take before it is fitted: memory in bytes, time in seconds, and whether the memory is there.

Both are estimates from the numbers of rows, of features and of labels. Memory is near the peaks that
tests/benchmarks/heads.py measures, and rather above them. Seconds are those of one processor of 2020 or so: enough to
tell a coffee from a night.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from classify.heads.calibrate import (
    ENOUGH_OF_PAIRS,
    MANY_LABELS,
    MOST_DISTANCES,
    MOST_SCORES,
    Calibrated,
    uses_one_fold,
)
from featurize.errors import UsageError
from featurize.files import total_memory

GB = 1e9
NODES = 0.25  # of a tree per row, where labels are few; 0.23 were measured
MOST_NODES = 1.2  # where a tree ends in single rows: two for each of those that a random choice takes
LEAVES = 31  # of a boosted tree
CHUNK = 1 << 30  # bytes of distances that scikit-learn computes at once
FRUGAL = ("softmax", "linear-svm", "naive-bayes", "mlp")  # what a refusal may name instead, in this order


@dataclass(frozen=True)
class Size:
    """Of what a head is fitted on."""

    rows: int
    width: int
    labels: int

    @classmethod
    def of(cls, X: Any, y: Any) -> "Size":
        """Of vectors and their labels."""
        n_rows, width = np.shape(X)[:2]
        return cls(n_rows, width, len(np.unique(y)))

    @property
    def pairs(self) -> int:
        """Of labels."""
        return self.labels * (self.labels - 1) // 2

    @property
    def numbers(self) -> int:
        """In the vectors."""
        return self.rows * self.width

    def __str__(self) -> str:
        return f"{self.rows:,} rows of {self.width:,} numbers and {self.labels:,} labels"


def memory_of_fit(head: Any, size: Size) -> int:
    """The peak beyond the vectors themselves, bytes; 0 for a classifier that is not known."""
    scaled = 4 * size.numbers
    return max((scaled + _memory(part, size) for part in _classifiers(head)), default=0)


def seconds_of_fit(head: Any, size: Size) -> float:
    """About how long a fit takes, its calibration included; 0 for a classifier that is not known."""
    return sum((_seconds(part, size) * _fits(head, size) for part in _classifiers(head)), 0.0)


def check_memory(head: Any, name: str, size: Size) -> None:
    """Refuse a head that needs more memory than there is, and name one that fits."""
    needed, there = memory_of_fit(head, size), total_memory()
    if needed <= there:
        return
    fitting = [one for one in FRUGAL if (_MEMORY[_CLASSES[one]](None, size) + 4 * size.numbers) < there / 2]
    what = f"the head {name} would need about {needed / GB:.0f} GB of memory for {size}; there are {there / GB:.0f} GB"
    instead = (
        f"use the head {fitting[0]}" if fitting else "use `classify train --out-of-core`, or fewer photos"
    )
    raise UsageError(what, f"{instead}, or join labels by a relabelling (--relabel)")


def _classifiers(head: Any) -> Iterator[Any]:
    """The classifiers of scikit-learn inside a pipeline, a calibration or class weights."""
    inner = [getattr(head, "estimator", None)]
    if isinstance(head, Pipeline):
        inner += [step for _, step in head.steps]
    for one in inner:
        if one is not None:
            yield from _classifiers(one)
    if type(head).__module__.startswith("sklearn.") and type(head).__name__ in _MEMORY:
        yield head


def _fits(head: Any, size: Size) -> float:
    """How many fits of all rows a calibration comes to; it can stand within a pipeline."""
    while isinstance(head, Pipeline):
        head = head.steps[-1][1]
    if not isinstance(head, Calibrated):
        return 1
    n_folds = 1 if uses_one_fold(size.labels, size.rows) else head.n_folds
    return 1 + n_folds * (head.n_folds - 1) / head.n_folds


def _memory(classifier: Any, size: Size) -> int:
    return int(_MEMORY[type(classifier).__name__](classifier, size))


def _seconds(classifier: Any, size: Size) -> float:
    return _SECONDS.get(type(classifier).__name__, lambda *_: 0.0)(classifier, size)


def _svc_memory(svc: Any, size: Size) -> float:
    kernels = 3 * min(size.rows, MOST_DISTANCES) ** 2 if svc.kernel == "rbf" else 0
    scored = min(MOST_SCORES, size.pairs * (ENOUGH_OF_PAIRS if size.labels > MANY_LABELS else size.rows))
    # The coefficients stand in libsvm, in the classifier of the fold and in that of all rows.
    return 8 * (kernels + 2 * size.numbers + 3 * size.labels * size.rows + 2.5 * scored)


def _forest_memory(forest: Any, size: Size) -> float:
    nodes = min(MOST_NODES * size.rows, NODES * size.rows + 20 * size.labels)
    return 8 * size.rows * size.labels + forest.n_estimators * nodes * (64 + 8 * size.labels)


def _boosting_memory(boosting: Any, size: Size) -> float:
    trees = boosting.max_iter * (1 if size.labels == 2 else size.labels)
    return size.numbers + 24 * size.rows * size.labels + trees * 2 * LEAVES * 72


# Peaks of each classifier beyond the scaled vectors. The last layer of softmax: L-BFGS keeps ten pairs of changes.
_MEMORY: Mapping[str, Callable[[Any, Size], float]] = {
    "LogisticRegression": lambda _, size: 8 * (25 * size.labels * size.width + 3 * size.rows * size.labels),
    "SVC": _svc_memory,
    "LinearSVC": lambda _, size: (
        16 * size.numbers + 8 * (size.labels * size.width + 3 * size.rows * size.labels)
    ),
    "MLPClassifier": lambda _, size: 4 * size.numbers + 8 * 500 * (size.width + size.labels),
    "KNeighborsClassifier": lambda _, size: min(CHUNK, 8 * size.rows**2) + 24 * size.rows * size.labels,
    "GaussianNB": lambda _, size: (
        8 * (4 * size.labels * size.width + size.numbers + 3 * size.rows * size.labels)
    ),
    "LinearDiscriminantAnalysis": lambda _, size: (
        8 * (6 * size.width**2 + 2 * size.numbers + 3 * size.labels * (size.width + size.rows))
    ),
    "RandomForestClassifier": _forest_memory,
    "ExtraTreesClassifier": _forest_memory,
    "HistGradientBoostingClassifier": _boosting_memory,
}
_CLASSES = {
    "softmax": "LogisticRegression",
    "linear-svm": "LinearSVC",
    "naive-bayes": "GaussianNB",
    "mlp": "MLPClassifier",
}


def _svc_seconds(svc: Any, size: Size) -> float:
    near = svc.kernel == "rbf" and size.rows <= MOST_DISTANCES
    return size.rows**2 * (5e-8 if near else 8e-10 * size.width) + 1.1e-5 * size.pairs


# One fit of all rows, from the measurements of tests/benchmarks/heads.py.
_SECONDS: Mapping[str, Callable[[Any, Size], float]] = {
    "LogisticRegression": lambda _, size: 2e-8 * size.numbers * size.labels,
    "SVC": _svc_seconds,
    "LinearSVC": lambda _, size: 1.4e-7 * size.numbers * size.labels,
}
