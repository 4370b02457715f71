"""Search the parameters of a head by cross-validation; a search can be a head itself (`TunedHead`)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterGrid
from sklearn.utils.validation import check_is_fitted, validate_data

from classify.folds import Fold, fewest_groups, group_numbers, make_folds
from classify.heads.fitting import NamedHead, fit_head, head_name
from classify.heads.registry import make_head
from classify.heads.spec import HeadSpec
from classify.heads.wrapping import Probabilities, checked_rows
from classify.rows import Sample
from featurize.errors import BottleheadError, UsageError
from featurize.terminal import log, progress


class TunedHead(Probabilities, BaseEstimator):
    """A head that searches its parameters whenever it is fitted, on the very rows that it is fitted on.

    So that a comparison is nested: what is tested has chosen nothing. Parameters as of `tune_head`; ``tuning_`` is the
    `Tuning`, ``head_`` the classifier fitted with the chosen parameters.
    """

    block_weights: Sequence[float] | None = None  # of models from before it was a parameter

    def __init__(
        self,
        head: str,
        by: str = "log-loss",
        widths: Sequence[int] | None = None,
        seed: int = 0,
        block_weights: Sequence[float] | None = None,
    ):
        self.head, self.by, self.widths, self.seed = head, by, widths, seed
        self.block_weights = block_weights

    @property
    def display_name(self) -> str:
        """What `classify.heads.fitting.head_name` calls it."""
        return f"{self.head} tuned"

    # With metadata routing on, unless told otherwise.
    __metadata_request__fit: ClassVar = {"groups": True, "variant": True}

    def fit(self, X, y, groups=None, variant=None, sample_weight=None):
        """Search, then fit on all rows; see `fit_head`."""
        made: dict[str, Any] = {"widths": self.widths, "block_weights": self.block_weights, "seed": self.seed}
        rows = groups, variant, sample_weight
        X, y, _ = checked_rows(self, X, y)
        matrix = validate_data(self, X, dtype=[np.float64, np.float32])
        self.tuning_ = tune_head(self.head, matrix, y, *rows, by=self.by, **made)
        chosen = make_head(self.tuning_.head, **made)
        self.head_ = fit_head(chosen, X, y, *rows)
        self.classes_ = self.head_.classes_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.head_.predict_proba(X)


def tuned_heads(heads: Sequence[Any], by: str) -> list[Any]:
    """Each head that has a search grid as a `TunedHead`; the others as they are, which is logged."""
    tuned = []
    for given in heads:
        named = isinstance(given, NamedHead)
        head = given.head if named else given
        if has_grid(head):
            check_search(head, by)
            tuned.append(NamedHead(given.name, TunedHead(head, by)) if named else TunedHead(head, by))
        else:
            log.info("%s has nothing to search and is used as it is", head_name(given))
            tuned.append(given)
    return tuned


# What a search tries, per head. Every combination is a candidate; what the spec itself sets is not searched.
GRIDS: Mapping[str, Mapping[str, tuple]] = {
    "softmax": {"C": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)},
    "svm": {"C": (1.0, 10.0, 100.0), "gamma": ("scale", 0.002, 0.007, 0.1)},
    "linear-svm": {"C": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)},
    "mlp": {"alpha": (0.1, 1.0, 10.0), "hidden_layer_sizes": ((100,), (300,))},
    "knn": {"n_neighbors": (3, 5, 10, 20, 40)},
    "naive-bayes": {"var_smoothing": (1e-9, 1e-3, 1e-2, 1e-1, 1.0)},
    "lda": {"shrinkage": ("auto", 0.1, 0.3, 0.6, 0.9)},
    "random-forest": {"max_features": ("sqrt", 0.1), "min_samples_leaf": (1, 3, 10)},
    "gradient-boosting": {"learning_rate": (0.03, 0.1, 0.3), "max_leaf_nodes": (7, 31)},
    "dummy": {},
}
SCORES = ("log-loss", "accuracy")


@dataclass(frozen=True)
class Tuning:
    """What a search found: the spec with the chosen parameters, the score that decided, and the trail.

    That has one entry per candidate, in the order of the grid: ``params``, and ``log_loss`` and ``accuracy`` over all
    photos, each scored by a head that had not seen it; or ``error``, where the candidate failed.
    """

    head: str
    by: str
    n_folds: int
    trail: list[dict[str, Any]]

    @property
    def best(self) -> dict[str, Any]:
        """The candidate of the trail that was chosen."""
        return self.trail[_best(self.trail, self.by, self.head)]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


def tune_head(
    head: str,
    X: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None = None,
    variant: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
    *,
    widths: Sequence[int] | None = None,
    block_weights: Sequence[float] | None = None,
    seed: int = 0,
    by: str = "log-loss",
    n_folds: int = 5,
) -> Tuning:
    """The best parameters of a registered head, by cross-validation within these rows.

    Parameters
    ----------
    head : str
        A registered name with a grid, with or without parameters; those that are given are kept.
    X, y, groups, variant, sample_weight
        As in `fit_head`: groups stay together, variants are never scored. Weights count in each fit and each score.
    widths, block_weights, seed
        As in `make_head`; the seed shuffles the folds, too.
    by : {"log-loss", "accuracy"}
        What decides; of equals the other one, then the order of the grid. Log loss tells candidates apart that make
        the same decisions with other confidence, and is less at the mercy of single photos.
    n_folds : int
        Fewer where a label stands in fewer groups.

    Returns
    -------
    Tuning
        The score of the chosen candidate flatters, for it was the best of several on these very photos. Believe
        `evaluate.compare` with ``tune``, which searches within each training side.

    Raises
    ------
    UsageError
        If there is nothing to search, or no candidate could be fitted.

    Examples
    --------
    >>> X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> tune_head("knn", X, y).head
    'knn:n_neighbors=3'
    """
    check_search(head, by)
    candidates = candidate_params(head)
    specs = [str(HeadSpec.parse(head).with_params(one)) for one in candidates]
    heads = [make_head(spec, widths=widths, block_weights=block_weights, seed=seed) for spec in specs]
    X, y, weights = checked_rows(heads[0], X, y, sample_weight)
    if len(np.unique(y)) < 2:
        what = f"a search needs two labels: all {len(y)} rows are of one class, {y[0]}"
        raise UsageError(what, "add rows of another label")
    n_folds = min(n_folds, max(2, fewest_groups(y, groups, variant)[1]))
    folds = make_folds(y, groups, variant, n_folds=n_folds, seed=seed)
    groups = None if groups is None else group_numbers(groups)
    sample = Sample(np.asarray(X), y, groups, None if variant is None else np.asarray(variant))
    results: list[list[np.ndarray | str]] = [[] for _ in heads]
    what = f"tuning {HeadSpec.parse(head).name}"
    arrays = sample.X, sample.y, sample.groups, sample.variant
    with progress(len(folds) * len(heads), what, unit="fit") as bar, _one_complaint():
        # One after the other, unless `joblib.parallel_config` says otherwise; plain arrays are sent once to a worker.
        fits = (delayed(_probabilities)(one, fold, weights, *arrays) for fold, one in product(folds, heads))
        for number, found in enumerate(Parallel(return_as="generator")(fits)):
            results[number % len(heads)].append(found)
            bar.update()
    scored = np.concatenate([fold.testing for fold in folds])
    counted = None if weights is None else weights[scored]
    found = zip(candidates, results, strict=True)
    trail = [{"params": params, **_scored(y[scored], parts, counted)} for params, parts in found]
    return Tuning(specs[_best(trail, by, head)], by, n_folds, trail)


def check_search(head: Any, by: str) -> None:
    """Refuse, before any work, a score that there is not, or a head with nothing to search."""
    if by not in SCORES:
        raise UsageError(f"unknown tuning score {by!r}", f"use {' or '.join(SCORES)}")
    candidate_params(head)


def candidate_params(head: Any) -> Sequence[dict[str, Any]]:
    """The parameters of each candidate of a search, in the order of the grid; a UsageError where there is none."""
    spec = HeadSpec.parse(head) if isinstance(head, str) else HeadSpec(type(head).__name__)
    # In steps softmax is an mlp without a hidden layer, and knows no C.
    searched = {} if spec.name == "softmax" and "steps" in spec.texts else GRIDS.get(spec.name, {})
    grid = {key: values for key, values in searched.items() if key not in spec.texts}
    if not grid:
        with_grid = ", ".join(name for name, grid in GRIDS.items() if grid)
        raise UsageError(
            f"the head {head} sets all that would be searched" if searched else f"{spec} has no search grid",
            f"heads with a grid are {with_grid}; see `classify heads`",
        )
    return list(ParameterGrid(grid))


def has_grid(head: Any) -> bool:
    """Whether there is something to search: a registered head, whose spec leaves a searched parameter open."""
    try:
        return bool(candidate_params(head))
    except UsageError:
        return False


def _probabilities(head: Any, fold: Fold, weights: np.ndarray | None, *arrays: Any) -> np.ndarray | str:
    """Of the testing rows of a fold of the sample with these arrays, or why there are none."""
    sample = Sample(*arrays)
    try:
        train, some = sample.rows(fold.training), None if weights is None else weights[fold.training]
        fitted = fit_head(head, train.X, train.y, train.groups, train.variant, some)
        return np.asarray(fitted.predict_proba(sample.X[fold.testing]), dtype=np.float64)
    except BottleheadError:
        raise
    except ValueError as error:  # such as more neighbours than photos: the others may still do
        return (str(error).splitlines() or [type(error).__name__])[0]


def _scored(
    truth: np.ndarray, parts: Sequence[np.ndarray | str], weights: np.ndarray | None
) -> dict[str, Any]:
    """The scores of a candidate over the photos of all folds, or the error of its last fold that failed."""
    from sklearn.metrics import log_loss

    errors = [part for part in parts if isinstance(part, str)]
    if errors:
        return {"error": errors[-1]}
    labels, probabilities = np.unique(truth), np.concatenate(parts)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 sums to 1 only nearly
    return {
        "log_loss": float(log_loss(truth, probabilities, sample_weight=weights, labels=labels)),
        "accuracy": float(np.average(labels[probabilities.argmax(axis=1)] == truth, weights=weights)),
    }


def _best(trail: list[dict[str, Any]], by: str, head: str) -> int:
    scored = [i for i, one in enumerate(trail) if "error" not in one]
    if not scored:
        what = f"no candidate of the search for {head} could be fitted: {trail[0]['error']}"
        raise UsageError(what, "add photos, or train without --tune")
    order = [("log_loss", 1), ("accuracy", -1)]
    keys = order if by == "log-loss" else order[::-1]
    return min(scored, key=lambda i: [sign * trail[i][key] for key, sign in keys])


@contextmanager
def _one_complaint() -> Iterator[None]:
    """What heads warn of during the search, counted and said once."""
    count = 0

    def counted(record: logging.LogRecord) -> bool:
        nonlocal count
        count += record.levelno == logging.WARNING
        return record.levelno != logging.WARNING

    log.addFilter(counted)
    try:
        yield
    finally:
        log.removeFilter(counted)
    if count:
        log.info("%d fits of the search stopped before they converged", count)
