"""Fitted heads as plain arrays that predict by NumPy alone, whatever version of scikit-learn is installed.

Every head that they can express is a `Scaling` (or none), scores (`Linear`, `Kernel` or `Network`), and a slope that
turns scores into probabilities. A model file holds them as JSON, each array by the name of its file in head.skops.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from msgspec import Struct, convert, to_builtins

VERSION = 1  # of the JSON; raised when a program that knows only the old number would compute something else
ROWS_AT_ONCE = 2048
BYTES_AT_ONCE = 1 << 28  # of what is computed between the vectors and the probabilities
LIKE_SCIKIT_LEARN = 1e-6  # how far probabilities may be from those of the fitted head


class Scaling(Struct):
    """What a fitted `BlockScaler` does to vectors."""

    widths: list[int]
    methods: list[str]
    mean: np.ndarray
    scale: np.ndarray

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The scaled numbers, a copy of the dtype of `X`, shape (n_rows, n_features)."""
        blocks = np.split(X, np.cumsum(self.widths)[:-1], axis=1)
        pairs = zip(blocks, self.methods, strict=True)
        blocks = [signed_root(block) if method == "root" else block for block, method in pairs]
        # A root is a copy already; `X` itself is never changed.
        scaled = blocks[0] if self.methods == ["root"] else np.hstack(blocks)
        scaled -= self.mean.astype(X.dtype)
        scaled /= self.scale.astype(X.dtype)
        return scaled

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """The numbers that `transform` scaled, up to rounding; shape and dtype of `X`."""
        blocks = np.split(X * self.scale + self.mean, np.cumsum(self.widths)[:-1], axis=1)
        pairs = zip(blocks, self.methods, strict=True)
        return np.hstack(
            [np.sign(block) * block**2 if method == "root" else block for block, method in pairs]
        )

    def check(self, width: int) -> None:
        """A ValueError where these do not scale vectors of this width."""
        _expect(min(self.widths, default=0) > 0 and sum(self.widths) == width, "widths")
        _expect(len(self.methods) == len(self.widths), "methods")
        _expect(set(self.methods) <= {"root", "standard"}, "methods")
        _expect_shapes((self.mean, (width,)), (self.scale, (width,)))
        _expect((self.scale > 0).all(), "scale")


class Linear(Struct, tag="linear"):
    """A score for each label, or one where there are two labels."""

    coefficients: np.ndarray
    intercepts: np.ndarray

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Of each row."""
        return X @ self.coefficients.T + self.intercepts

    def check(self, width: int, n_labels: int) -> None:
        """A ValueError where the arrays do not fit each other, the vectors and the labels."""
        n_scores = _number_of_scores(n_labels)
        _expect_shapes((self.coefficients, (n_scores, width)), (self.intercepts, (n_scores,)))

    def row_bytes(self) -> int:
        """What the scores of one row take while they are computed."""
        return 8 * len(self.intercepts)


class Network(Struct, tag="network"):
    """Fully connected layers that end with the scores of `Linear`."""

    activation: Literal["identity", "logistic", "tanh", "relu"]
    weights: list[np.ndarray]
    biases: list[np.ndarray]

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Of each row."""
        for number, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            X = (_ACTIVATIONS[self.activation](X) if number else X) @ weights + biases
        return X

    def check(self, width: int, n_labels: int) -> None:
        """A ValueError where the layers do not fit each other, the vectors and the labels."""
        _expect(0 < len(self.weights) == len(self.biases), "weights and biases")
        for weights, biases in zip(self.weights, self.biases, strict=True):
            _expect(weights.ndim == 2, "weights")
            _expect_shapes((weights, (width, weights.shape[1])), (biases, (weights.shape[1],)))
            width = weights.shape[1]
        _expect(width == _number_of_scores(n_labels), "the last layer")

    def row_bytes(self) -> int:
        """What the scores of one row take while they are computed."""
        return 8 * 2 * max(map(len, self.biases))


class Kernel(Struct, tag="kernel"):
    """The scores of a support vector machine, one for each pair of labels."""

    kernel: Literal["rbf", "linear", "poly", "sigmoid"]
    gamma: float
    coef0: float
    degree: float
    counts: list[int]  # of the support vectors, by label
    vectors: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Of each row; the pairs are in the order (0, 1), (0, 2), … of scikit-learn."""
        return self.scores_of(self._values(X))

    def scores_of(self, kernel: np.ndarray) -> np.ndarray:
        """The same from the values of the kernel, a column for each support vector."""
        n_labels = len(self.counts)
        if n_labels == 2:
            return kernel @ self.coefficients[0] + self.intercepts[0]
        # Each label adds its support vectors' share to its score against each other label. A pair stands in one piece
        # of memory, for thousands of pairs are quicker to go through than a few rows.
        scores = np.repeat(self.intercepts[:, None], len(kernel), axis=1)
        starts = pair_starts(n_labels)
        ends = np.cumsum(self.counts)
        for label, (count, end) in enumerate(zip(self.counts, ends, strict=True)):
            part = slice(end - count, end)
            shares = self.coefficients[:, part] @ kernel[:, part].T
            scores[starts[:label] + label - 1 - np.arange(label)] += shares[:label]
            scores[starts[label] : starts[label] + n_labels - 1 - label] += shares[label:]
        return scores.T

    def _values(self, X: np.ndarray) -> np.ndarray:
        X, vectors = (one.astype(np.float64, copy=False) for one in (X, self.vectors))
        products = X @ vectors.T
        if self.kernel == "rbf":
            squares = np.einsum("ij,ij->i", X, X)[:, None] + np.einsum("ij,ij->i", vectors, vectors)
            return np.exp(-self.gamma * np.maximum(squares - 2 * products, 0))
        if self.kernel == "poly":
            return (self.gamma * products + self.coef0) ** self.degree
        return np.tanh(self.gamma * products + self.coef0) if self.kernel == "sigmoid" else products

    def check(self, width: int, n_labels: int) -> None:
        """A ValueError where the arrays do not fit each other, the vectors and the labels."""
        n_vectors = len(self.vectors)
        _expect(len(self.counts) == n_labels and min(self.counts) >= 0, "counts")
        _expect(sum(self.counts) == n_vectors, "counts")
        _expect(np.isfinite([self.gamma, self.coef0, self.degree]).all(), "gamma, coef0 and degree")
        _expect_shapes(
            (self.vectors, (n_vectors, width)),
            (self.coefficients, (n_labels - 1, n_vectors)),
            (self.intercepts, (n_labels * (n_labels - 1) // 2,)),
        )

    def row_bytes(self) -> int:
        """What the scores of one row take while they are computed."""
        return 8 * (3 * len(self.vectors) + 2 * len(self.intercepts))


class PlainHead(Struct):
    """A fitted head as plain arrays; made by `plain_head`, and by `from_parts` from a file.

    What it computes, step by step, for whoever writes it down in another language:

    1. `scaling`, if there is one: each block of numbers is replaced by its signed square root where its method is
       ``root``; then ``mean`` is subtracted from all, and ``scale`` divides them.
    2. `scores`: ``X @ coefficients.T + intercepts`` (`Linear`: softmax, linear-svm, lda), layers of the same with an
       activation between them (`Network`: mlp), or one score for each pair of labels (`Kernel`: svm).
    3. The scores times `slope`, which is 1 where the head is not calibrated.
    4. Two labels have one score, of the second label: its probability is the logistic function of it. More labels have
       a score each and the softmax of them. With one for each pair (i, j), i < j (`pairwise`), the probability of label
       i is proportional to ``1 / (1 + sum of exp(-s) over its pairs)``, s the score for i against the other, which is
       minus that of the pair where i is the second.
    """

    scores: Linear | Kernel | Network
    slope: float = 1.0
    scaling: Scaling | None = None
    version: int = VERSION

    def predict_proba(self, X: np.ndarray, n_labels: int) -> np.ndarray:
        """Probabilities, float64 of shape (n_rows, n_labels); a ValueError where vectors are not finite."""
        X = np.asarray(X)
        X = X.astype(np.result_type(X, np.float32), copy=False)
        probabilities = np.empty((len(X), n_labels))
        n_rows = max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE // self.scores.row_bytes()))
        for start in range(0, len(X), n_rows):
            rows = X[start : start + n_rows]
            if not np.isfinite(rows).all():
                raise ValueError("the vectors hold NaN or infinity")
            scores = self.scores.scores(rows if self.scaling is None else self.scaling.transform(rows))
            logs = log_probabilities(
                self.slope * scores.astype(np.float64, copy=False), n_labels, self.pairwise
            )
            probabilities[start : start + n_rows] = np.exp(logs)
        return probabilities

    @property
    def pairwise(self) -> bool:
        """Whether there is a score for each pair of labels, not for each label."""
        return isinstance(self.scores, Kernel)

    @property
    def n_bytes(self) -> int:
        """The size of the arrays."""
        sizes: list[int] = []
        to_builtins(self, enc_hook=lambda array: sizes.append(array.nbytes))
        return sum(sizes)

    def to_parts(self, names: Mapping[int, str]) -> dict[str, Any] | None:
        """Plain JSON values, each array by its name in `names`, by `id`; None where an array has none."""
        try:
            return to_builtins(self, enc_hook=lambda array: names[id(array)])
        except KeyError:
            return None

    @classmethod
    def from_parts(
        cls, parts: Mapping[str, Any], read: Callable[[str], np.ndarray], width: int, n_labels: int
    ) -> "PlainHead | None":
        """The opposite of `to_parts`; `read` gives the array of a name, which may be used once.

        None where the parts are of a later version; a ValueError where they do not fit each other, vectors of `width`
        numbers and `n_labels` labels, or where an array is not finite.
        """
        if parts.get("version") != VERSION:
            return None
        used: set[str] = set()

        def array(kind: Any, name: Any) -> np.ndarray:
            if not isinstance(name, str) or name in used:
                raise ValueError(f"{name!r} names no array, or one that is used already")
            used.add(name)
            found = read(name)
            if found.dtype.kind != "f" or not np.isfinite(found).all():
                raise ValueError(f"{name} holds other than finite numbers")
            return found

        found = convert(parts, cls, dec_hook=array)
        _expect(n_labels > 1, "labels")
        _expect(np.isfinite(found.slope), "slope")
        if found.scaling is not None:
            found.scaling.check(width)
        found.scores.check(width, n_labels)
        return found


def plain_head(head: Any) -> PlainHead | None:
    """The plain arrays of a fitted head, the very objects; None where they cannot express it.

    They are compared with the head itself: its classifier may have parameters, or come from a version of scikit-learn,
    that compute something else.
    """
    try:
        found = _parts(head)
        if found is None:
            return None
        X = np.random.default_rng(0).normal(size=(16, head.n_features_in_)).astype(np.float32)
        if found.scaling is not None:
            # What vectors of the training are like once they are scaled.
            X *= np.repeat(np.power(found.scaling.widths, -0.25), found.scaling.widths)
            X = found.scaling.inverse_transform(X)
        with np.errstate(all="ignore"):
            expected = head.predict_proba(X)
            same = np.allclose(
                found.predict_proba(X, len(head.classes_)), expected, rtol=0, atol=LIKE_SCIKIT_LEARN
            )
    except (AttributeError, TypeError, ValueError):  # of a head that somebody put together
        return None
    return found if same else None


def _parts(head: Any) -> PlainHead | None:
    # By their names: this file is below those of our own classes, and reading a model must not import scikit-learn.
    match type(head).__module__.partition(".")[0], type(head).__name__:
        case "sklearn", "Pipeline":
            *before, last = [step for _, step in head.steps]
            found = _parts(last)
            if not before or found is None:
                return found
            scaler = before[0]
            named = type(scaler).__module__.partition(".")[0], type(scaler).__name__
            if len(before) > 1 or named != ("classify", "BlockScaler") or found.scaling is not None:
                return None
            return PlainHead(found.scores, found.slope, scaler.plain())
        case "classify", "ClassWeighted":
            return _parts(head.estimator_)
        case "classify", "SGDHead":
            return _parts(head.pipeline_)
        case "classify", "TunedHead":
            return _parts(head.head_)
        case "classify", "Calibrated":
            found = _parts(head.estimator_)
            # A network has no scores there, only probabilities, the least of which are cut off.
            if found is None or isinstance(found.scores, Network):
                return None
            return PlainHead(found.scores, float(head.slope_), found.scaling)
        case "sklearn", "LogisticRegression" | "LinearSVC" | "LinearDiscriminantAnalysis":
            return PlainHead(Linear(head.coef_, head.intercept_))
        case "sklearn", "MLPClassifier":
            return PlainHead(Network(head.activation, head.coefs_, head.intercepts_))
        case "sklearn", "SVC":
            return PlainHead(kernel_scores(head))
    return None


def kernel_scores(svc: Any) -> Kernel:
    """The scores of a fitted `sklearn.svm.SVC`."""
    parameters = svc.kernel, float(svc._gamma), float(svc.coef0), float(svc.degree)
    counts = svc.n_support_.tolist()
    return Kernel(*parameters, counts, svc.support_vectors_, svc.dual_coef_, svc.intercept_)


def log_probabilities(scores: np.ndarray, n_labels: int, pairwise: bool) -> np.ndarray:
    """From scores, shape (n_rows, n_labels); (n_rows,) or (n_rows, 1) for two labels, else one a pair if `pairwise`."""
    if n_labels == 2:
        scores = np.column_stack([np.zeros(len(scores)), scores.reshape(len(scores))])
    elif pairwise:
        scores = _coupled(scores, n_labels)
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def _coupled(scores: np.ndarray, n_labels: int) -> np.ndarray:
    """Unnormalised log probabilities from one score per pair, in the order (0, 1), (0, 2), … of scikit-learn."""
    # p_i is proportional to 1 / (sum over j of 1 / r_ij - (k - 2)); with r = expit(s), 1 / r is 1 + exp(-s),
    # so the k - 1 ones leave 1 + sum of exp(-s). Clipped where the exponential would overflow.
    most = 500 if scores.dtype == np.float64 else 80
    excess = np.ones((n_labels, len(scores)), dtype=scores.dtype).T
    for one, start in enumerate(pair_starts(n_labels)[:-1]):  # the pairs of a label with those after it
        odds = np.clip(scores[:, start : start + n_labels - 1 - one], -most, most)
        np.exp(odds, out=odds)
        excess[:, one + 1 :] += odds
        excess[:, one] += np.divide(1, odds, out=odds).sum(axis=1)
    return -np.log(excess)


def pair_starts(n_labels: int) -> np.ndarray:
    """Where the pairs of each label with those after it start, in the order (0, 1), (0, 2), …"""
    return np.concatenate([[0], np.cumsum(np.arange(n_labels - 1, 0, -1))])


def signed_root(block: np.ndarray) -> np.ndarray:
    """The square root, with the sign of each number; a copy."""
    if block.min() >= 0:
        return np.sqrt(block)
    root = np.abs(block)
    return np.copysign(np.sqrt(root, out=root), block, out=root)


def _logistic(X: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-X))


_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda X: X,
    "logistic": _logistic,
    "tanh": np.tanh,
    "relu": lambda X: np.maximum(X, 0),
}


def _number_of_scores(n_labels: int) -> int:
    return 1 if n_labels == 2 else n_labels


def _expect_shapes(*arrays: tuple[np.ndarray, tuple[int, ...]]) -> None:
    for array, shape in arrays:
        _expect(array.shape == shape, f"an array of shape {array.shape}, not {shape}")


def _expect(fits: Any, what: str) -> None:
    if not fits:
        raise ValueError(f"its head does not fit its model.json: {what}")
