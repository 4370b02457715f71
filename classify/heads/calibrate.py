"""Probabilities that mean something, learnt from scores on images that were not trained on."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted

from classify.folds import fewest_groups, make_folds
from featurize.errors import UsageError

STEEPEST = 12.0  # bounds of the logarithm of the slope, far beyond what any photos ask for
LEAST = 1e-2  # probabilities below this say "never seen", not how rare


class Calibrated(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier whose scores become honest probabilities through one number, the slope.

    The classifier is fitted on each of a few folds and scores the rows left out; the slope is the one that
    gives these out-of-fold scores the lowest log loss. Then the classifier is fitted on all rows. One
    number cannot overfit, even on a few images per label, and keeps the order of the scores.

    - Two labels: the logistic function of slope times score (Platt scaling [1]_ without its offset, so
      that the decision stays the classifier's own).
    - Classifiers with a score for each *pair* of labels (`sklearn.svm.SVC`): a logistic function for each
      pair, coupled by the closed form of Price et al. [2]_.
    - Others: softmax of slope times score, that is, temperature scaling [3]_. Where a classifier gives
      probabilities and no scores, their logarithms are the scores.

    The target of the fit is Platt's: a label that stands n times counts as (n + 1) / (n + 2) sure, so that
    even perfectly separated photos do not lead to probabilities of exactly 1.

    Parameters
    ----------
    estimator : classifier with decision_function or predict_proba
    n_folds : int
        Folds for the out-of-fold scores; fewer where a label stands in fewer groups.
    seed : int
        Start of the shuffling of the folds.

    Attributes
    ----------
    estimator_ : the classifier, fitted on all rows
    classes_ : array of shape (n_labels,)
    slope_ : float
    held_out_ : dict
        ``accuracy`` and ``log_loss`` of the out-of-fold scores with this slope, and on how many ``photos`` and
        ``folds``.

    Raises
    ------
    UsageError
        If the classifier gives neither probabilities nor scores, or a label stands in one group only.

    Notes
    -----
    Measured on 750 flower photos (five labels; 5 folds, two shuffles, the same for all) with an RBF SVM;
    accuracy, log loss and expected calibration error. `CalibratedClassifierCV` with a sigmoid per label: 0.899,
    0.496, 0.090; with a temperature on the votes: 0.899, 0.433, 0.049; coupling: 0.897, 0.301, 0.019.

    Every registered head before and after, on the same photos (Inception v3, layer mixed8; 5 folds, groups together;
    `tests/benchmarks/calibration.py`). Before are the classifier's own probabilities, or, where it has none, the
    softmax of its scores. The star marks what the head uses: calibration where its error is far from the truth
    without, and the classifier itself where calibration would gain nothing.

    =================  ========  ================  ================
    head               accuracy  log loss          calibration error
    =================  ========  ================  ================
    softmax            0.889     0.308* to 0.310   0.037* to 0.035
    svm                0.896     0.532 to 0.284*   0.216 to 0.023*
    linear-svm         0.896     0.665 to 0.305*   0.333 to 0.025*
    mlp                0.896     0.300* to 0.310   0.024* to 0.036
    knn                0.851     0.881 to 0.452*   0.097 to 0.055*
    naive-bayes        0.785     6.646 to 0.815*   0.213 to 0.025*
    lda                0.901     1.253 to 0.315*   0.089 to 0.043*
    random-forest      0.859     0.777 to 0.395*   0.349 to 0.035*
    gradient-boosting  0.861     0.364*            0.024*
    dummy              0.200     1.609* to 1.609   0.000* to 0.000
    =================  ========  ================  ================

    Gradient boosting was not measured calibrated, which takes it six times as long: by itself it is among the best.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", 1999.
    .. [2] D. Price et al., "Pairwise neural network classifiers with probabilistic outputs", NIPS 1994.
    .. [3] C. Guo et al., "On calibration of modern neural networks", ICML 2017, https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> head = Calibrated(SVC()).fit(X, X[:, 0] > 9)
    >>> head.predict_proba([[0.0], [9.5]]).round(1)
    array([[0.9, 0.1],
           [0.5, 0.5]])
    """

    def __init__(self, estimator, n_folds: int = 5, seed: int = 0):
        self.estimator = estimator
        self.n_folds = n_folds
        self.seed = seed

    def fit(self, X, y, groups=None, variant=None):
        """Fit the classifier and the slope.

        Parameters
        ----------
        X : array of shape (n_rows, n_features)
        y : array of shape (n_rows,)
        groups : array of int, shape (n_rows,), optional
            Rows with equal integers are never scored by a classifier that trained on one of them.
        variant : array of int, shape (n_rows,), optional
            Rows other than 0 (distorted copies) train and are not scored.
        """
        y = np.asarray(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        variant = np.zeros(len(y), dtype=np.int64) if variant is None else np.asarray(variant)
        folds = make_folds(y, groups, variant, n_folds=self._possible(y, groups, variant), seed=self.seed)
        scored = np.concatenate([fold.testing for fold in folds])
        scores = np.concatenate(
            [
                self._scores(self._scorer(len(f.training)).fit(X[f.training], y[f.training]), X[f.testing])
                for f in folds
            ]
        )
        self.slope_ = _best_slope(scores, codes[scored], len(self.classes_), self._pairwise())
        logs = _log_probabilities(self.slope_ * scores, len(self.classes_), self._pairwise())
        self.held_out_ = {
            "photos": len(scored),
            "folds": len(folds),
            "accuracy": float((logs.argmax(axis=1) == codes[scored]).mean()),
            "log_loss": float(-logs[np.arange(len(scored)), codes[scored]].mean()),
        }
        self.estimator_ = self._scorer().fit(X, y)
        if hasattr(self.estimator_, "n_features_in_"):
            self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def predict_proba(self, X):
        """Probabilities, shape (n_rows, n_labels), in the order of `classes_`."""
        check_is_fitted(self)
        scores = self._scores(self.estimator_, X)
        return np.exp(_log_probabilities(self.slope_ * scores, len(self.classes_), self._pairwise()))

    def predict(self, X):
        """The most probable label of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _pairwise(self) -> bool:
        return "decision_function_shape" in self.estimator.get_params(deep=False)

    def _scorer(self, n_rows: int | None = None):
        estimator = clone(self.estimator)
        if n_rows is not None and (estimator.get_params(deep=False).get("n_neighbors") or 0) > n_rows:
            # A fold of few photos has fewer neighbours than the whole.
            estimator.set_params(n_neighbors=n_rows)
        # The usual "ovr" scores of an SVC are votes, from which the margins cannot be had back.
        return estimator.set_params(decision_function_shape="ovo") if self._pairwise() else estimator

    def _scores(self, fitted, X) -> np.ndarray:
        if hasattr(fitted, "decision_function"):
            return np.asarray(fitted.decision_function(X), dtype=np.float64)
        if hasattr(fitted, "predict_proba"):
            # A forest or neighbours may say exactly 0, of which no slope makes a probability.
            scores = np.log(np.clip(fitted.predict_proba(X), LEAST, 1))
            return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]
        raise UsageError(
            f"{type(fitted).__name__} gives neither probabilities nor scores",
            "choose a classifier with predict_proba or decision_function",
        )

    def _possible(self, y: np.ndarray, groups: np.ndarray, variant: np.ndarray) -> int:
        rarest, count = fewest_groups(y, groups, variant)
        if count < 2:
            raise UsageError(
                f"calibration needs two images of each label, in two groups; {rarest} has {count}",
                f"add photos of {rarest}, drop it with a relabelling, or use head softmax",
            )
        return min(self.n_folds, count)


def _best_slope(scores: np.ndarray, codes: np.ndarray, n_labels: int, pairwise: bool) -> float:
    counts = np.bincount(codes, minlength=n_labels)[codes]
    target = np.repeat((1 / ((counts + 2) * (n_labels - 1)))[:, None], n_labels, axis=1)
    target[np.arange(len(codes)), codes] = (counts + 1) / (counts + 2)

    def loss(log_slope: float) -> float:
        return (
            -(target * _log_probabilities(np.exp(log_slope) * scores, n_labels, pairwise)).sum(axis=1).mean()
        )

    return float(np.exp(minimize_scalar(loss, bounds=(-STEEPEST, STEEPEST), method="bounded").x))


def _log_probabilities(scores: np.ndarray, n_labels: int, pairwise: bool) -> np.ndarray:
    if n_labels == 2:
        scores = np.column_stack([np.zeros(len(scores)), scores.reshape(len(scores))])
    elif pairwise:
        scores = _coupled(scores, n_labels)
    return log_softmax(scores, axis=1)


def _coupled(scores: np.ndarray, n_labels: int) -> np.ndarray:
    """Unnormalised log probabilities from one score per pair, in the order (0, 1), (0, 2), … of scikit-learn."""
    # p_i is proportional to 1 / (sum over j of 1 / r_ij - (k - 2)); with r = expit(s), 1 / r is 1 + exp(-s),
    # so the k - 1 ones leave 1 + sum of exp(-s). Clipped where the exponential would overflow.
    excess = np.ones((len(scores), n_labels))
    for column, (one, other) in enumerate(zip(*np.triu_indices(n_labels, k=1), strict=True)):
        excess[:, one] += np.exp(np.clip(-scores[:, column], -500, 500))
        excess[:, other] += np.exp(np.clip(scores[:, column], -500, 500))
    return -np.log(excess)
