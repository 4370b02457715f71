"""What the heads of a comparison share on one training side: scaled vectors, and distances between them."""

import time
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from classify.gram import Gram, can_share, on_rows, squared_distances
from classify.heads.calibrate import Calibrated
from classify.heads.registry import fit_head
from classify.heads.scaling import BlockScaler

TIMED = 64  # vectors tell how long a prediction takes to a tenth


class Fit(NamedTuple):
    """A fitted head, and what it says of the rows that it has not seen.

    ``fit_seconds`` holds what is shared too, as if this head had needed it for itself alone; ``predict_seconds`` is
    what `head` takes from vectors to probabilities, scaling included.
    """

    head: Any
    probabilities: np.ndarray
    fit_seconds: float
    predict_seconds: float


class _Scaled(NamedTuple):
    """Both sides as one scaler makes them, and how long each took."""

    scaler: BlockScaler
    training: np.ndarray
    testing: np.ndarray
    fit_seconds: float
    predict_seconds: float


class SharedFold:
    """One training side and one testing side on which many heads are fitted.

    Heads that scale their vectors with equal `BlockScaler` get them scaled once, which changes no number. Those
    among them that are RBF SVMs get all distances at once, too, and so are fitted without multiplying vectors anew
    for each setting and each fold of their calibration. Their probabilities then differ in digits that mean nothing,
    for sums are added up in another order: on 750 flower photos (Inception v3 mixed8, GLCM, both) by 2e-12 at most.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
    y : array of str, shape (n_rows,)
    groups, variant : arrays of int, shape (n_rows,)
        ``table.groups`` and ``table.variant``, see `classify.heads.registry.fit_head`.
    training, testing : arrays of int
        Row numbers.

    Examples
    --------
    >>> from classify.heads.registry import make_head
    >>> X, y = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> rows = np.arange(20)
    >>> fold = SharedFold(X, y, rows, 0 * rows, training=rows[1:], testing=rows[:1])
    >>> [fold.fit(make_head(name)).probabilities.argmax() for name in ("softmax", "svm")]
    [np.int64(0), np.int64(0)]
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        groups: np.ndarray,
        variant: np.ndarray,
        *,
        training: np.ndarray,
        testing: np.ndarray,
    ):
        self.training, self.testing = X[training], X[testing]
        self.y, self.groups, self.variant = y[training], groups[training], variant[training]
        self._scaled: dict[str, _Scaled] = {}
        self._grams: dict[str, tuple[Gram, float]] = {}

    def fit(self, head: Any) -> Fit:
        """Fit a copy of `head`, as `classify.heads.registry.fit_head` does, and predict the testing side."""
        if not _scales(head):
            return self._timed(head, self.training, self.testing)
        scaled = self._scaled_by(head.named_steps["scaling"])
        n_training, n_rows = len(scaled.training), len(scaled.training) + len(scaled.testing)
        if not can_share(head, n_rows):
            fit = self._timed(head.named_steps["classifier"], scaled.training, scaled.testing)
            return Fit(
                _pipeline(head, scaled.scaler, fit.head),
                fit.probabilities,
                fit.fit_seconds + scaled.fit_seconds,
                fit.predict_seconds + scaled.predict_seconds,
            )
        gram, seconds = self._gram_of(repr(head.named_steps["scaling"]))
        mine, others = np.split(np.arange(n_rows)[:, None], [n_training])
        fit = self._timed(on_rows(head, gram), mine, others)
        fitted = _pipeline(head, scaled.scaler, _on_vectors(fit.head, scaled.training))
        # By itself it would need the distances of the training side, and predict without any that are there already.
        seconds *= (n_training / n_rows) ** 2
        return Fit(
            fitted,
            fit.probabilities,
            fit.fit_seconds + scaled.fit_seconds + seconds,
            self._predict_seconds(fitted),
        )

    def _timed(self, head: Any, training: np.ndarray, testing: np.ndarray) -> Fit:
        start = time.perf_counter()
        fitted = fit_head(head, training, self.y, self.groups, self.variant)
        middle = time.perf_counter()
        probabilities = np.asarray(fitted.predict_proba(testing), dtype=np.float64)
        return Fit(fitted, probabilities, middle - start, time.perf_counter() - middle)

    def _predict_seconds(self, fitted: Any) -> float:
        """How long the testing side takes from vectors, by a sample of it."""
        some = self.testing[:TIMED]
        start = time.perf_counter()
        fitted.predict_proba(some)
        return (time.perf_counter() - start) * len(self.testing) / len(some)

    def _scaled_by(self, scaler: BlockScaler) -> _Scaled:
        if repr(scaler) not in self._scaled:
            start = time.perf_counter()
            fitted = clone(scaler).fit(self.training)
            training = fitted.transform(self.training)
            middle = time.perf_counter()
            testing = fitted.transform(self.testing)
            self._scaled[repr(scaler)] = _Scaled(
                fitted, training, testing, middle - start, time.perf_counter() - middle
            )
        return self._scaled[repr(scaler)]

    def _gram_of(self, scaling: str) -> tuple[Gram, float]:
        if scaling not in self._grams:
            start = time.perf_counter()
            vectors = np.concatenate([self._scaled[scaling].training, self._scaled[scaling].testing])
            gram = Gram(squared_distances(vectors), vectors)
            self._grams[scaling] = gram, time.perf_counter() - start
        return self._grams[scaling]


def _scales(head: Any) -> bool:
    """Whether `head` is a scaling and a classifier, as `classify.heads.registry.make_head` makes registered heads."""
    return (
        isinstance(head, Pipeline)
        and list(head.named_steps) == ["scaling", "classifier"]
        and type(head.named_steps["scaling"]) is BlockScaler
    )


def _pipeline(head: Pipeline, scaler: BlockScaler, classifier: Any) -> Pipeline:
    return Pipeline([("scaling", scaler), ("classifier", classifier)], memory=head.memory)


def _on_vectors(fitted: Calibrated, vectors: np.ndarray) -> Calibrated:
    """What was fitted on row numbers, as if it had been fitted on the vectors of these rows."""
    rows = fitted.estimator_
    svc: SVC = clone(rows.svc).set_params(decision_function_shape=rows.decision_function_shape)
    given = svc.get_params()
    vars(svc).update(vars(rows.svc_) | given)
    # All that tells a classifier of vectors from one of a ready-made kernel matrix.
    svc.support_vectors_ = vectors[svc.support_].astype(np.float64)
    svc._gamma, svc.shape_fit_, svc.n_features_in_ = rows.gamma_, vectors.shape, vectors.shape[1]
    plain = clone(fitted).set_params(estimator=rows.svc)
    learnt = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    vars(plain).update(learnt | {"estimator_": svc, "n_features_in_": vectors.shape[1]})
    return plain
