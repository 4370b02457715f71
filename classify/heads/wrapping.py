"""Base class of classifiers that wrap another one: scikit-learn's rules, and the attributes of the one inside.

`checked_rows` is what each ``fit`` asks of its arguments, `fit_with` how weights reach the last step of a pipeline.
"""

from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from featurize.errors import UsageError
from featurize.id_columns import is_missing


class Probabilities(ClassifierMixin):
    """A classifier that decides by its ``predict_proba``."""

    classes_: np.ndarray

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels), in the order of ``classes_``."""
        raise NotImplementedError

    def predict_log_proba(self, X) -> np.ndarray:
        """Logarithms of the probabilities, shape (n_rows, n_labels)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row, of the type that was given."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Wrapper(Probabilities, MetaEstimatorMixin, BaseEstimator):
    """A classifier around `estimator`, whose parameters it takes by their own names too.

    So ``classifier__C`` reaches the classifier of every registered head, calibrated or not; the path through the
    wrapper, ``classifier__estimator__C``, works as well.
    """

    estimator: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Its own parameters; with `deep` also those of the classifier, as ``estimator__C`` and as ``C``."""
        params = super().get_params(deep)
        short = {key.removeprefix("estimator__"): value for key, value in params.items()}
        return short | params

    def set_params(self, **params) -> Self:
        """Set parameters of either kind; of two paths to one parameter, the one that brings a new value counts."""
        own, current = self._get_param_names(), self.get_params()
        given = {key: value for key, value in params.items() if key.partition("__")[0] in own}
        for key, value in params.items():
            path = f"estimator__{key}"
            if key not in given and (path not in given or value is not current.get(key)):
                given[path] = value
        return super().set_params(**given)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags, tags.classifier_tags = inner.input_tags, inner.classifier_tags
        return tags


def checked_rows(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """What a ``fit`` was given, or a ValueError as scikit-learn words it.

    DataFrames and sparse matrices stay what they are, for the steps of a pipeline may need it; whatever else is made an
    array. Labels keep their type; of a column they are made one dimension, with scikit-learn's warning. Weights become
    float64.
    """
    if not (isinstance(X, np.ndarray) or hasattr(X, "columns")):
        X = X.tocsr() if issparse(X) else np.asarray(X)
    if y is not None and np.asarray(y).dtype == object:
        n_missing = sum(map(is_missing, np.asarray(y).ravel()))
        if n_missing:
            what = f"Input y contains NaN: {n_missing} of {np.size(y)} rows have no label"
            raise UsageError(what, "leave these rows out")
    y = validate_data(estimator, y=y)
    check_classification_targets(y)
    check_consistent_length(X, y)
    if not len(y):
        raise UsageError("0 samples were given to fit", "give some of each label")
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != y.shape or not np.isfinite(sample_weight).all():
            what = (
                f"sample_weight of shape {sample_weight.shape} was given for {len(y)} rows, or is not finite"
            )
            raise UsageError(what, "give one number per row")
        if not sample_weight.any():
            raise UsageError(
                "sample_weight is zero for all rows", "give non-zero weights to some of each label"
            )
    return X, y, sample_weight


def fit_with(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
    """`estimator`, fitted in place; weights go to the last step of a pipeline."""
    if sample_weight is None:
        return estimator.fit(X, y)
    return estimator.fit(X, y, **for_last_step(estimator, sample_weight=sample_weight))


def for_last_step(estimator: Any, **values: Any) -> dict[str, Any]:
    """How ``fit`` of a classifier, or of a pipeline that ends with one, is told what the classifier takes.

    A UsageError where that is ``sample_weight`` and the classifier takes none.
    """
    prefix, last = last_step(estimator)
    if "sample_weight" in values and not has_fit_parameter(last, "sample_weight"):
        what = f"{type(last).__name__} takes no sample_weight"
        raise UsageError(
            what, "leave it out, or use a classifier that takes it, such as those of softmax and svm"
        )
    if not prefix or not get_config()["enable_metadata_routing"]:
        return {prefix + key: value for key, value in values.items()}
    requests = last.get_metadata_routing().fit.requests
    unasked = [key for key in values if requests.get(key) is not True]
    if unasked:
        last.set_fit_request(**dict.fromkeys(unasked, True))
    return values


def last_step(estimator: Any) -> tuple[str, Any]:
    """The classifier at the end of pipelines, and the prefix of its parameters: ``("svc__", SVC())``."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator
