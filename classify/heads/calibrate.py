"""Calibrate probabilities by one slope, learnt from the scores of held-out photos."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.svm import SVC
from sklearn.utils import _safe_indexing, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from classify.folds import Fold, fewest_groups, group_numbers, make_folds
from classify.heads.plain import kernel_scores, log_probabilities
from classify.heads.wrapping import Wrapper, checked_rows, fit_with
from featurize.errors import UsageError
from featurize.terminal import progress

STEEPEST = 12.0  # bounds of the logarithm of the slope, far beyond what any photos ask for
LEAST = 1e-2  # probabilities below this say "never seen", not how rare
MOST_DISTANCES = 10_000  # rows: the distances between them take 800 MB, a kernel and its copy twice as much
COMPARED = 8  # rows on which an SVM must give the same scores from vectors as from distances
ROWS_AT_ONCE = 2048
MANY_LABELS, MANY_ROWS = 100, 20_000  # above either, the slope comes from one fold
ENOUGH, ENOUGH_OF_ROWS = 512, 4096  # rows of that fold: a slope from n rows costs about 1 / 2n of log loss
ENOUGH_OF_PAIRS = 128  # where each row has thousands of scores
MOST_SCORES = 50_000_000  # of pairs, from which a slope is learnt, 400 MB
SCORES_AT_ONCE = 1 << 24  # of pairs, 128 MB
KEPT_BLOCK = (32 << 20) - (64 << 10)  # bytes: the largest from which glibc learns, less its header


def uses_one_fold(n_labels: int, n_rows: int) -> bool:
    """Whether the first fold alone tells the slope; further ones would cost much and change nothing."""
    return n_labels > MANY_LABELS or n_rows > MANY_ROWS


class Calibrated(Wrapper):
    """A classifier whose scores become honest probabilities through one number, the slope.

    The slope is the one that gives out-of-fold scores of the classifier the lowest log loss; then the classifier is
    fitted on all rows. One number cannot overfit, even on few images, and keeps the order of the scores.

    - Two labels: the logistic function of slope times score (Platt scaling [1]_ without its offset, so that the
      decision stays the classifier's own).
    - Classifiers with a score for each *pair* of labels (`sklearn.svm.SVC`): a logistic function for each pair,
      coupled by the closed form of Price et al. [2]_, which Wu, Lin and Weng [4]_ compare with others.
    - Others: softmax of slope times score, that is, temperature scaling [3]_. Where a classifier gives probabilities
      and no scores, their logarithms are the scores.

    The target is Platt's: a label that stands n times counts as (n + 1) / (n + 2) sure, so that even perfectly
    separated photos do not lead to probabilities of exactly 1. An RBF SVM on up to 10,000 rows is fitted on distances
    that are computed once for all folds. What calibration gains: ``tests/benchmarks/calibration.py``.

    Above 20,000 rows the slope is learnt from 4,096 of the first fold alone, evenly spread, and above 100 labels from
    512. 1,000 labels have 499,500 pairs: of a classifier with scores for pairs, it is 128 rows, or as many as have
    50 million scores. The coupling is the same for any number of labels. What that costs:
    ``tests/benchmarks/heads.py``.

    Parameters
    ----------
    estimator : classifier with decision_function or predict_proba
        Its own parameters are set by their names, ``set_params(C=1)``, as by ``estimator__C``.
    n_folds, seed : int
        Of `make_folds`; fewer folds where a label stands in fewer groups.

    Attributes
    ----------
    estimator_ : the classifier, fitted on all rows
    classes_ : array of shape (n_labels,)
    slope_ : float
    held_out_ : dict
        ``accuracy`` and ``log_loss`` of the out-of-fold scores, and on how many ``photos`` and ``folds``.

    Raises
    ------
    UsageError
        If the classifier gives neither probabilities nor scores, or a label stands in one group only.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", 1999.
    .. [2] D. Price et al., "Pairwise neural network classifiers with probabilistic outputs", NIPS 1994.
    .. [3] C. Guo et al., "On calibration of modern neural networks", ICML 2017, https://arxiv.org/abs/1706.04599
    .. [4] T.-F. Wu, C.-J. Lin, R. C. Weng, "Probability estimates for multi-class classification by pairwise
       coupling", JMLR 5 (2004), 975-1005, https://www.jmlr.org/papers/v5/wu04a.html

    Examples
    --------
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> head = Calibrated(SVC()).fit(X, X[:, 0] > 9)
    >>> head.predict_proba([[0.0], [9.5]]).round(1)
    array([[0.9, 0.1],
           [0.5, 0.5]])
    """

    def __init__(self, estimator, n_folds: int = 5, seed: int = 0):
        self.estimator, self.n_folds, self.seed = estimator, n_folds, seed

    # With metadata routing on, unless told otherwise.
    __metadata_request__fit: ClassVar = {"groups": True, "variant": True}

    def fit(self, X, y, groups=None, variant=None, sample_weight=None):
        """Fit the classifier and the slope; `groups` and `variant` of each row are as in `make_folds`.

        `sample_weight`, for a classifier that takes it, counts in both; rows that weigh 0 are left out.
        """
        X, y, weights = checked_rows(self, X, y, sample_weight)
        groups = None if groups is None else group_numbers(groups)
        if weights is not None and not weights.all():
            used = np.flatnonzero(weights)
            groups, variant = (None if one is None else np.asarray(one)[used] for one in (groups, variant))
            X, y, weights = _safe_indexing(X, used), y[used], weights[used]
        if _is_rbf(self.estimator):
            X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        self.classes_, codes = np.unique(y, return_inverse=True)
        folds = make_folds(y, groups, variant, n_folds=self._possible(y, groups, variant), seed=self.seed)
        photos = np.concatenate([fold.testing for fold in folds])
        counts = np.bincount(codes[photos], None if weights is None else weights[photos])
        if uses_one_fold(len(self.classes_), len(photos)):
            folds = folds[:1]
        n_scored = sum(len(fold.testing) for fold in folds)
        most = MOST_SCORES // self._row_scores()
        if len(self.classes_) > MANY_LABELS:
            most = min(most, ENOUGH_OF_PAIRS if self._pairwise() else ENOUGH)
        elif len(folds) == 1:
            most = min(most, ENOUGH_OF_ROWS)
        step = -(-n_scored // max(1, most))
        folds = [replace(fold, testing=fold.testing[fold.fold % step :: step]) for fold in folds]
        scored = np.concatenate([fold.testing for fold in folds])
        few = not issparse(X) and len(X) <= MOST_DISTANCES
        distances = _Distances(X) if _is_rbf(self.estimator) and few else None
        counted = None if weights is None else weights[scored]
        with progress(len(folds) + 1, "calibrating", unit="fit") as bar:
            parts = []
            for fold in folds:
                parts.append(self._held_out_scores(X, y, fold, distances, weights))
                bar.update()
            scores = parts[0] if len(parts) == 1 else np.concatenate(parts)
            self.slope_ = _best_slope(scores, codes[scored], counts, self._pairwise(), counted)
            logs = log_probabilities(self.slope_ * scores, len(self.classes_), self._pairwise())
            del scores, parts
            right = logs.argmax(axis=1) == codes[scored]
            self.held_out_ = {
                "photos": len(scored),
                "folds": len(folds),
                "accuracy": float(np.average(right, weights=counted)),
                "log_loss": float(-np.average(logs[np.arange(len(scored)), codes[scored]], weights=counted)),
            }
            scorer = self._scorer()
            if distances:
                self.estimator_ = distances.fit_for_vectors(scorer, y, weights)
            else:
                self.estimator_ = fit_with(scorer, X, y, weights)
            bar.update()
        for learnt in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, learnt):
                setattr(self, learnt, getattr(self.estimator_, learnt))
        return self

    def predict_proba(self, X):
        """Probabilities, shape (n_rows, n_labels), in the order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Logarithms of the probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        if _is_rbf(self.estimator_):
            X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        parts = [
            log_probabilities(self.slope_ * scores, len(self.classes_), self._pairwise())
            for scores in self._scores(self.estimator_, X)
        ]
        return np.concatenate(parts)

    def _held_out_scores(self, X, y, fold: Fold, distances: "_Distances | None", weights) -> np.ndarray:
        rows, tested = fold.training, fold.testing
        if distances is None:
            some = None if weights is None else weights[rows]
            fitted = fit_with(self._scorer(len(rows)), _safe_indexing(X, rows), y[rows], some)
            return _gathered(self._scores(fitted, _safe_indexing(X, tested)), len(tested))
        fitted, gamma = distances.fit(self._scorer(), y, rows, weights)
        scorer, used = kernel_scores(fitted), rows[fitted.support_]
        parts = self._batches(len(tested))
        return _gathered(
            (scorer.scores_of(distances.kernel(gamma, tested[part], used)) for part in parts), len(tested)
        )

    def _pairwise(self) -> bool:
        return "decision_function_shape" in self.estimator.get_params(deep=False)

    def _row_scores(self) -> int:
        """How many scores a row has."""
        n_labels = len(self.classes_)
        return n_labels * (n_labels - 1) // 2 if self._pairwise() else n_labels

    def _batches(self, n_rows: int) -> list[slice]:
        n_at_once = max(1, min(ROWS_AT_ONCE, SCORES_AT_ONCE // self._row_scores()))
        return [slice(0, 0)] if n_rows == 0 else list(gen_batches(n_rows, n_at_once))

    def _scorer(self, n_rows: int | None = None):
        estimator = clone(self.estimator)
        if n_rows is not None and (estimator.get_params(deep=False).get("n_neighbors") or 0) > n_rows:
            # A fold of few photos has fewer neighbours than the whole.
            estimator.set_params(n_neighbors=n_rows)
        # The usual "ovr" scores of an SVC are votes, from which the margins cannot be had back.
        return estimator.set_params(decision_function_shape="ovo") if self._pairwise() else estimator

    def _scores(self, fitted, X) -> Iterator[np.ndarray]:
        """Of some rows after the others; all at once where a row has few scores."""
        keep_freed_memory()
        if _is_rbf(fitted) and isinstance(X, np.ndarray) and hasattr(fitted, "_gamma"):
            # Ten times as fast as libsvm, which multiplies one pair of vectors at a time.
            scorer = kernel_scores(fitted)
            for part in self._batches(len(X)):
                yield scorer.scores(X[part])
        elif self._pairwise() and len(self.classes_) > MANY_LABELS:
            for part in self._batches(np.shape(X)[0]):
                yield np.asarray(fitted.decision_function(_safe_indexing(X, part)), dtype=np.float64)
        elif hasattr(fitted, "decision_function"):
            yield np.asarray(fitted.decision_function(X), dtype=np.float64)
        elif hasattr(fitted, "predict_proba"):
            # A forest or neighbours may say exactly 0, of which no slope makes a probability.
            scores = np.log(np.clip(fitted.predict_proba(X), LEAST, 1))
            yield scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]
        else:
            hint = "choose a classifier with predict_proba or decision_function"
            raise UsageError(f"{type(fitted).__name__} gives neither probabilities nor scores", hint)

    def _possible(self, y: np.ndarray, groups: Any, variant: Any) -> int:
        if len(self.classes_) < 2:
            what = f"calibration needs two labels: all {len(y)} rows are of one class, {self.classes_[0]}"
            raise UsageError(what, "add rows of another label")
        rarest, count = fewest_groups(y, groups, variant)
        if count < 2:
            what = f"calibration needs two images of each label, in two groups; {rarest} has {count}"
            hint = f"add photos of {rarest}, drop it with a relabelling, or use head softmax"
            raise UsageError(what, hint)
        return min(self.n_folds, count)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed from now on, as it does once a block as large as this was freed.

    Otherwise it may give a matrix back to the system for each label and ask for it again: clearing the pages took up to
    six times as long as what naive-bayes computes for 1,000 labels. Where memory is kept otherwise, this does nothing.
    """
    np.empty(KEPT_BLOCK, dtype=np.uint8)


def _gathered(parts: Iterator[np.ndarray], n_rows: int) -> np.ndarray:
    """The scores of all parts, those of each pair in one piece of memory."""
    first = next(parts)
    if len(first) == n_rows:
        return first
    scores = np.empty((*first.shape[1:], n_rows)).T
    scores[: len(first)], start = first, len(first)
    for part in parts:
        scores[start : start + len(part)] = part
        start += len(part)
    return scores


def _is_rbf(estimator: Any) -> bool:
    return type(estimator) is SVC and estimator.kernel == "rbf"


class _Distances:
    """Squared distances between all rows, on which RBF SVMs are fitted without multiplying vectors anew."""

    def __init__(self, X: np.ndarray):
        self.X = X.astype(np.float64)
        self.squares = squared_distances(self.X)

    def kernel(self, gamma: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        kernel = self.squares[np.ix_(rows, columns)]
        kernel *= -gamma
        return np.exp(kernel, out=kernel)

    def fit(self, svc: SVC, y: np.ndarray, rows: np.ndarray, weights: Any = None) -> tuple[SVC, float]:
        """`svc` fitted on the kernel of these rows, and its gamma as a number."""
        gamma = svc.gamma
        if isinstance(gamma, str):  # as `SVC` has it
            variance = self.X[rows].var() if gamma == "scale" else 1.0
            gamma = 1 / (self.X.shape[1] * variance) if variance > 0 else 1.0
        svc.set_params(kernel="precomputed")
        some = None if weights is None else weights[rows]
        return svc.fit(self.kernel(gamma, rows, rows), y[rows], some), gamma

    def fit_for_vectors(self, svc: SVC, y: np.ndarray, weights: Any = None) -> SVC:
        """`svc` fitted on all rows, such that it takes vectors."""
        rows, some = np.arange(len(y)), np.arange(min(COMPARED, len(y)))
        fitted, gamma = self.fit(clone(svc), y, rows, weights)
        expected = fitted.decision_function(self.kernel(gamma, some, rows))
        fitted.set_params(kernel="rbf")
        fitted.support_vectors_ = self.X[fitted.support_]
        fitted._gamma, fitted.shape_fit_, fitted.n_features_in_ = gamma, self.X.shape, self.X.shape[1]
        # The parts of an SVC are not all public: where another scikit-learn has others, it is fitted on the vectors.
        same = np.allclose(fitted.decision_function(self.X[some]), expected, rtol=0, atol=1e-6)
        return fitted if same else svc.fit(self.X, y, weights)


def squared_distances(vectors: np.ndarray) -> np.ndarray:
    """Between all rows, shape (n_rows, n_rows), float64; never negative, and 0 on the diagonal."""
    vectors = vectors - vectors.mean(axis=0, dtype=np.float64)  # short vectors lose no digits
    squares = np.einsum("ij,ij->i", vectors, vectors)
    distances = vectors @ vectors.T
    distances *= -2
    distances += squares[:, None]
    distances += squares
    np.maximum(distances, 0, out=distances)
    np.fill_diagonal(distances, 0)
    return distances


def _best_slope(
    scores: np.ndarray, codes: np.ndarray, counts: np.ndarray, pairwise: bool, weights: Any = None
) -> float:
    n_labels, counts = len(counts), counts[codes]
    target = np.repeat((1 / ((counts + 2) * (n_labels - 1)))[:, None], n_labels, axis=1)
    target[np.arange(len(codes)), codes] = (counts + 1) / (counts + 2)

    def best(step: int, least: float, most: float, **options: float) -> float:
        some, counted = scores[::step], None if weights is None else weights[::step]

        def loss(log_slope: float) -> float:
            logs = log_probabilities(float(np.exp(log_slope)) * some, n_labels, pairwise)
            return -np.average((target[::step] * logs).sum(axis=1), weights=counted)

        return minimize_scalar(loss, bounds=(least, most), method="bounded", options=options).x

    if n_labels <= MANY_LABELS or not pairwise:
        return float(np.exp(best(1, -STEEPEST, STEEPEST)))
    # Exponentials of float32 take a fifth of the time, and a hundredth of a slope changes nothing. A tenth of the
    # rows says where to look.
    scores = scores.astype(np.float32)
    near = best(10, -STEEPEST, STEEPEST, xatol=0.1)
    return float(np.exp(best(1, near - 0.7, near + 0.7, xatol=0.01)))
