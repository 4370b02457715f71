"""Scale features block by block, so that network vectors and texture numbers can be joined."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from classify.heads.plain import Scaling, signed_root
from featurize.errors import UsageError

COPIED = 1 << 20  # bytes
WIDE = 32  # from this width on, a block without negative numbers is taken for a network's (or a histogram)
METHODS = ("auto", "root", "standard")


class BlockScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale each block of features so that none drowns the others.

    Two ways to scale a block, both of which end with mean 0:

    - ``root``: signed square root, then one common factor. Right for the vectors of a pooled network and for
      histograms, non-negative with a long tail: it tames the few large values (the map of the Hellinger kernel [1]_,
      without bringing each vector to unit length).
    - ``standard``: each number to standard deviation 1. Right for a few numbers with different units.

    A block of width w ends with values of mean square ``1 / sqrt(w)``. With equal weight for each *number* 2048
    network values drown 5 texture values; with equal weight for each *block* 5 poor texture values spoil the
    distances of 2048 good ones. This is the geometric mean of the two; ``tests/benchmarks/scaling.md`` has figures.

    Parameters
    ----------
    widths : sequence of int, optional
        Of the blocks, from left to right: ``table.blocks("inception_v3+glcm")``. By default all columns are one.
        A UsageError where they do not add up.
    method : {"auto", "root", "standard"}
        ``auto`` takes ``root`` for blocks at least 32 wide without a negative number in training.
    block_weights : sequence of float, optional
        What the scaled numbers of each block are multiplied by, above 0. By default 1, and so all blocks count as
        their widths say. Training and comparing give descriptions by hand, such as ``texture``, the weight 0.25
        beside a network: `classify.rows.block_weights`.

    Attributes
    ----------
    methods_ : list of str
        ``root`` or ``standard``, per block.
    mean_, scale_ : arrays of shape (n_features,)
        Subtracted from, and dividing, each number (after the root).

    References
    ----------
    .. [1] R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object retrieval",
       CVPR 2012, https://doi.org/10.1109/CVPR.2012.6248018

    Examples
    --------
    >>> X = np.array([[1.0, 100.0], [3.0, 300.0]])
    >>> BlockScaler().fit_transform(X) * 2 ** 0.25
    array([[-1., -1.],
           [ 1.,  1.]])
    """

    block_weights: Sequence[float] | None = None  # of models from before it was a parameter

    def __init__(
        self,
        widths: Sequence[int] | None = None,
        method: str = "auto",
        block_weights: Sequence[float] | None = None,
    ):
        self.widths, self.method, self.block_weights = widths, method, block_weights

    def fit(self, X, y=None):
        """Learn the centre and the scale of each block; `y` is not used."""
        X = validate_data(self, X, dtype=[np.float64, np.float32])  # whatever is neither becomes the first
        self.methods_, means, scales = [], [], []
        blocks = self._blocks(X)
        for block, weight in zip(blocks, self.weights(len(blocks)), strict=True):
            method = self._method_of(block)
            block = signed_root(block) if method == "root" else block
            # float64 sums: in float32 the mean of 100,000 rows loses digits.
            mean = block.mean(axis=0, dtype=np.float64)
            self.methods_.append(method)
            means.append(mean)
            scales.append(block_scale(mean, _variance(block, mean), method) / weight)
        self.mean_ = np.concatenate(means).astype(X.dtype)
        self.scale_ = np.concatenate(scales).astype(X.dtype)
        return self

    def transform(self, X):
        """The scaled numbers, of the dtype given (float32 stays float32), shape (n_images, n_features)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return self.plain().transform(X)

    def inverse_transform(self, X):
        """The numbers that `transform` scaled, up to rounding; shape and dtype of `X`."""
        check_is_fitted(self)
        return self.plain().inverse_transform(np.asarray(X))

    def plain(self) -> Scaling:
        """What was learnt, without scikit-learn."""
        widths = [len(self.mean_)] if self.widths is None else list(map(int, self.widths))
        return Scaling(widths, list(self.methods_), self.mean_, self.scale_)

    def weights(self, n_blocks: int) -> list[float]:
        """`block_weights`, a number for each of so many blocks; a UsageError where they are none."""
        if self.block_weights is None:
            return [1.0] * n_blocks
        weights = list(self.block_weights)
        if len(weights) != n_blocks or not all(0 < weight < np.inf for weight in weights):
            given = ", ".join(map(str, weights)) or "none"
            hint = "give a number above 0 for each block; 1 is usual"
            raise UsageError(f"the block weights are {given}, and there are {n_blocks} blocks", hint)
        return weights

    def _blocks(self, X: np.ndarray) -> list[np.ndarray]:
        widths = [X.shape[1]] if self.widths is None else list(self.widths)
        if sum(widths) != X.shape[1] or min(widths) < 1:
            what = f"the blocks are {' + '.join(map(str, widths))} wide, and the vectors {X.shape[1]}"
            raise UsageError(what, "give table.blocks(features) for vectors of table.select(features)")
        return np.split(X, np.cumsum(widths)[:-1], axis=1)

    def _method_of(self, block: np.ndarray) -> str:
        if self.method not in METHODS:
            raise UsageError(f"the scaling method is {self.method!r}", f"it is one of {', '.join(METHODS)}")
        if self.method != "auto":
            return self.method
        return "root" if block.shape[1] >= WIDE and block.min() >= 0 else "standard"


def listed(values: Sequence[Any] | None) -> list[Any] | None:
    """A list of its own for a `BlockScaler`, or None."""
    return None if values is None else list(values)


def block_scale(mean: np.ndarray, variance: np.ndarray, method: str) -> np.ndarray:
    """By what each number of one block is divided, from their means and variances (after the root), float64."""
    spread = np.sqrt(variance if method == "standard" else np.full_like(variance, variance.mean()))
    # A constant number carries nothing; rounding must not blow it up.
    constant = spread <= 1e-6 * np.abs(mean)
    return np.where(constant, 1.0, spread) * len(mean) ** 0.25


def _variance(block: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Of each column, in float64; some rows at a time, so that the float64 copy stays in the processor's cache."""
    n_rows = max(1, COPIED // (8 * block.shape[1]))
    total = np.zeros(block.shape[1])
    for start in range(0, len(block), n_rows):
        rows = block[start : start + n_rows] - mean
        total += np.einsum("ij,ij->j", rows, rows)
    return total / len(block)
