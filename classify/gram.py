"""Squared distances that every fit of an SVM search shares, so that vectors are multiplied once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from classify.heads.calibrate import Calibrated
from classify.heads.scaling import BlockScaler

MOST_ROWS = 10_000  # three matrices of 800 MB; beyond it the plain search is used


class Distances:
    """The squared distances between all rows, scaled as `BlockScaler` would after any training side.

    A block that is scaled by ``root`` is divided by one number that the training side decides, so its
    distances are computed once and only divided anew. Other blocks (texture numbers, each with a scale of its
    own) are computed once per training side.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
        Vectors that are not scaled yet.
    widths : sequence of int, optional
        The widths of its blocks; by default one block.

    Examples
    --------
    >>> X = np.array([[1.0], [3.0], [5.0]])
    >>> Distances(X).scaled(BlockScaler(), np.array([0, 1])).distances
    array([[ 0.,  4., 16.],
           [ 4.,  0.,  4.],
           [16.,  4.,  0.]])
    """

    def __init__(self, X: np.ndarray, widths: Sequence[int] | None = None):
        self.X = X
        self.edges = [0, *np.cumsum([X.shape[1]] if widths is None else widths).tolist()]
        self._roots: dict[int, np.ndarray] = {}
        self._varies = X.min(axis=0) != X.max(axis=0)

    def scaled(self, scaler: BlockScaler, training: np.ndarray) -> "Gram":
        """The distances after a copy of `scaler` has learnt from the rows `training`."""
        scaler = clone(scaler).fit(self.X[training])
        vectors = scaler.transform(self.X)
        total = np.zeros((len(self.X), len(self.X)))
        for number, method in enumerate(scaler.methods_):
            columns = slice(self.edges[number], self.edges[number + 1])
            # A number that is the same in all rows adds nothing, whatever its scale.
            scales = np.unique(scaler.scale_[columns][self._varies[columns]])
            if method == "root" and len(scales) == 1:
                total += self._root(number, columns) / np.float64(scales[0]) ** 2
            else:
                total += squared_distances(vectors[:, columns])
        return Gram(total, vectors)

    def _root(self, number: int, columns: slice) -> np.ndarray:
        if number not in self._roots:
            block = self.X[:, columns].astype(np.float64)
            self._roots[number] = squared_distances(np.sign(block) * np.sqrt(np.abs(block)))
        return self._roots[number]


class Gram:
    """RBF kernels between rows, from the distances of one training side.

    Parameters
    ----------
    distances : array of shape (n_rows, n_rows), float64
        Squared.
    vectors : array of shape (n_rows, n_features)
        Scaled; only their sums are kept.
    """

    def __init__(self, distances: np.ndarray, vectors: np.ndarray):
        self.distances = distances
        self.n_features = vectors.shape[1]
        self._sums = vectors.sum(axis=1, dtype=np.float64)
        self._squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)

    def __deepcopy__(self, memo: dict) -> "Gram":
        return self  # `sklearn.base.clone` copies parameters; this one may have 800 MB, and is only read

    def gamma(self, gamma: float | str, rows: np.ndarray) -> float:
        """The number behind ``gamma`` for a classifier that trains on `rows`, as `sklearn.svm.SVC` has it."""
        if gamma == "auto":
            return 1 / self.n_features
        if gamma != "scale":
            return float(gamma)
        n_values = len(rows) * self.n_features
        variance = self._squares[rows].sum() / n_values - (self._sums[rows].sum() / n_values) ** 2
        return float(1 / (self.n_features * variance)) if variance > 0 else 1.0

    def kernel(self, gamma: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """``exp(-gamma * squared distance)``, shape (len(rows), len(columns))."""
        found = self.distances[np.ix_(rows, columns)]
        found *= -gamma
        return np.exp(found, out=found)


class RowsSVC(ClassifierMixin, BaseEstimator):
    """`sklearn.svm.SVC` on row numbers: what it would do on the vectors, without multiplying them again.

    Parameters
    ----------
    svc : SVC
        With an RBF kernel; it stays unfitted.
    gram : Gram
    decision_function_shape : {"ovo", "ovr"}
        Overrides that of `svc`.
    """

    def __init__(self, svc: SVC, gram: Gram, decision_function_shape: str = "ovo"):
        self.svc = svc
        self.gram = gram
        self.decision_function_shape = decision_function_shape

    def fit(self, X, y):
        """Fit on row numbers, shape (n_rows, 1)."""
        self.rows_ = np.asarray(X)[:, 0]
        self.gamma_ = self.gram.gamma(self.svc.gamma, self.rows_)
        self.svc_ = clone(self.svc).set_params(
            kernel="precomputed", decision_function_shape=self.decision_function_shape
        )
        self.svc_.fit(self.gram.kernel(self.gamma_, self.rows_, self.rows_), y)
        self.classes_ = self.svc_.classes_
        return self

    def decision_function(self, X):
        """The scores of the rows with these numbers."""
        return self.svc_.decision_function(self.gram.kernel(self.gamma_, np.asarray(X)[:, 0], self.rows_))


def can_share(head: Any, n_rows: int) -> bool:
    """Whether `head`, as `classify.make_head` gives it, can train on row numbers: an RBF SVM, not too many rows."""
    if (
        n_rows > MOST_ROWS
        or not isinstance(head, Pipeline)
        or list(head.named_steps) != ["scaling", "classifier"]
    ):
        return False
    classifier = head.named_steps["classifier"]
    return (
        isinstance(classifier, Calibrated)
        and type(classifier.estimator) is SVC
        and classifier.estimator.kernel == "rbf"
    )


def on_rows(head: Pipeline, gram: Gram) -> Calibrated:
    """The classifier of `head`, to be fitted on row numbers of `gram` instead of vectors."""
    classifier = clone(head.named_steps["classifier"])
    return classifier.set_params(estimator=RowsSVC(classifier.estimator, gram))


def squared_distances(vectors: np.ndarray) -> np.ndarray:
    """Between all rows, shape (n_rows, n_rows), float64; never negative, and 0 on the diagonal."""
    vectors = vectors.astype(np.float64) - vectors.mean(
        axis=0, dtype=np.float64
    )  # short vectors lose no digits
    found = vectors @ vectors.T
    squares = found.diagonal().copy()
    found *= -2
    found += squares[:, None]
    found += squares
    np.maximum(found, 0, out=found)
    np.fill_diagonal(found, 0)
    return found
