"""Labels that count the same, however many photos each has."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from featurize.errors import UsageError


class Weighted(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier without ``class_weight`` of its own, which takes the weight of each row instead.

    Parameters
    ----------
    estimator : classifier whose ``fit`` takes ``sample_weight`` and that gives probabilities
    class_weight : "balanced" or dict of label to float
        ``balanced``: every label weighs the same, however many photos it has.

    Attributes
    ----------
    estimator_ : the fitted classifier
    classes_ : array of shape (n_labels,)

    Examples
    --------
    Nine ferns, one moss, and a photo between them:

    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = [[0.0], [1.0], [0.5]] * 3 + [[2.0]], ["fern"] * 9 + ["moss"]
    >>> Weighted(GaussianNB(var_smoothing=1), "balanced").fit(X, y).predict_proba([[1.25]]).round(2)
    array([[0.52, 0.48]])
    """

    def __init__(self, estimator, class_weight="balanced"):
        self.estimator = estimator
        self.class_weight = class_weight

    def fit(self, X, y):
        """Fit the classifier with one weight per row."""
        self.estimator_ = clone(self.estimator)
        self.estimator_.fit(X, y, sample_weight=compute_sample_weight(self.class_weight, y))
        self.classes_ = self.estimator_.classes_
        self.n_features_in_ = self.estimator_.n_features_in_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def weigh(classifier: Any, class_weight: Any, spec: str) -> Any:
    """`classifier`, which has no ``class_weight``, with weights of rows in its place.

    Raises
    ------
    UsageError
        If it cannot weigh photos, or the weights are neither ``balanced`` nor a number per label.
    """
    if not has_fit_parameter(classifier, "sample_weight") or not hasattr(classifier, "predict_proba"):
        raise UsageError(
            f"the head {spec} cannot give labels other weights: {type(classifier).__name__} takes none",
            "softmax, svm, linear-svm, mlp, naive-bayes, random-forest and gradient-boosting can",
        )
    if class_weight is None:
        return classifier
    if class_weight != "balanced" and not isinstance(class_weight, dict):
        raise UsageError(
            f"the head {spec} has class_weight {class_weight!r}",
            "give class_weight=balanced, or a weight per label: class_weight={'fern':1,'moss':5}",
        )
    return Weighted(classifier, class_weight)
