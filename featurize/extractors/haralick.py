"""What is said about pairs of grey levels: one formula per value, with its source.

Throughout, p(i, j) is the share of pairs of pixels with the levels i and j. Levels count from 0 (Haralick
counts from 1, which adds 2 to the sum average and i + j + 1 to each term of the autocorrelation and changes
nothing else); logarithms are to base 2, so entropies are in bits; matrices are symmetric.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

SMALLEST = np.finfo(np.float64).tiny
FLAT = 1e-15  # variances and entropies below this are those of a constant image


class Pairs:
    """Symmetric co-occurrence matrices, and the sums over them that several formulas share.

    Parameters
    ----------
    p : array of shape (levels, levels, n_matrices), float64
        Each matrix sums to 1 (to 0 where the image has no pairs) and equals its transpose.

    Attributes
    ----------
    p : array of shape (levels ** 2, n_matrices)
    x : array of shape (levels, n_matrices)
        How often each level occurs.
    plus : array of shape (2 * levels - 1, n_matrices)
        How often each sum i + j occurs, from 0.
    minus : array of shape (levels, n_matrices)
        How often each difference abs(i - j) occurs, from 0.
    """

    def __init__(self, p: np.ndarray):
        self.levels: int = p.shape[0]
        self.p: np.ndarray = p.reshape(self.levels**2, -1)
        sums: np.ndarray = _margins(self.levels) @ self.p
        self.x: np.ndarray = sums[: self.levels]
        self.plus: np.ndarray = sums[self.levels : 3 * self.levels - 1]
        self.minus: np.ndarray = sums[3 * self.levels - 1 :]
        self.level: np.ndarray = np.arange(self.levels, dtype=np.float64)
        self.sum: np.ndarray = np.arange(2 * self.levels - 1, dtype=np.float64)

    @cached_property
    def mean(self) -> np.ndarray:
        """μ, the mean level; the same for i and j."""
        return self.level @ self.x

    @cached_property
    def variance(self) -> np.ndarray:
        """σ² of the levels; the same for i and j."""
        return (self.x * (self.level[:, None] - self.mean) ** 2).sum(axis=0)

    @cached_property
    def off_sum(self) -> np.ndarray:
        """i + j − 2μ for each sum."""
        return self.sum[:, None] - self.sum @ self.plus

    @cached_property
    def spread_sum(self) -> np.ndarray:
        """p_{x+y} (i + j − 2μ)² for each sum."""
        return self.plus * self.off_sum**2

    @cached_property
    def variance_sum(self) -> np.ndarray:
        """Of i + j."""
        return self.spread_sum.sum(axis=0)

    @cached_property
    def product(self) -> np.ndarray:
        """Σ i j p, by i j = ((i + j)² − (i − j)²) / 4."""
        return (self.sum**2 @ self.plus - self.level**2 @ self.minus) / 4

    @cached_property
    def entropy_x(self) -> np.ndarray:
        """Of the levels."""
        return bits(self.x)

    @cached_property
    def entropy(self) -> np.ndarray:
        """Of the pairs."""
        return bits(self.p)

    @cached_property
    def shared_information(self) -> np.ndarray:
        """What one level of a pair says about the other, in bits.

        −Σ p log(p_x p_y) and −ΣΣ p_x p_y log(p_x p_y), Haralick's HXY1 and HXY2, are both HX + HY.
        """
        return np.maximum(2 * self.entropy_x - self.entropy, 0.0)


def bits(p: np.ndarray) -> np.ndarray:
    """−Σ p log₂ p over the first axis, where 0 log 0 is 0."""
    # The logarithm of anything will do where p is 0; to leave gaps in the loop takes three times as long.
    logarithms = np.maximum(p, SMALLEST)
    return -np.einsum("k...,k...->...", p, np.log2(logarithms, out=logarithms))


@lru_cache(maxsize=4)
def _margins(levels: int):
    """The sparse matrix of 0 and 1 that turns a flat p into p_x, p_{x+y} and p_{|x−y|}."""
    from scipy.sparse import csr_array

    i, j = (index.ravel() for index in np.indices((levels, levels)))
    rows = np.concatenate([i, levels + i + j, 3 * levels - 1 + abs(i - j)])
    columns = np.tile(np.arange(levels**2), 3)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(4 * levels - 1, levels**2))


def _correlation(covariance: np.ndarray, variance: np.ndarray) -> np.ndarray:
    flat = variance < FLAT
    return np.where(flat, 1.0, covariance / np.where(flat, 1.0, variance))


def _difference_variance(m: Pairs) -> np.ndarray:
    return (m.minus * (m.level[:, None] - m.level @ m.minus) ** 2).sum(axis=0)


def _imc1(m: Pairs) -> np.ndarray:
    flat = m.entropy_x < FLAT
    return np.where(flat, 0.0, -m.shared_information / np.where(flat, 1.0, m.entropy_x))


# H: Haralick, Shanmugam and Dinstein (1973), https://doi.org/10.1109/TSMC.1973.4309314
# S: Soh and Tsatsoulis (1999), https://doi.org/10.1109/36.752194
# C: Clausi (2002), https://doi.org/10.5589/m02-004
# [..] is the value for a constant image of level g.
FORMULAS: dict[str, Callable[[Pairs], np.ndarray]] = {
    # Σ i j p; S. [g²]
    "autocorrelation": lambda m: m.product,
    # Σ (i − j)² p; H f2. [0]
    "contrast": lambda m: m.level**2 @ m.minus,
    # Σ (i − μ)(j − μ) p / σ²; H f3, as MATLAB and scikit-image write it. [1, as in scikit-image]
    # The covariance follows from Var(i + j) = 2σ² + 2 cov.
    "correlation": lambda m: _correlation(m.variance_sum / 2 - m.variance, m.variance),
    # (Σ i j p − μ²) / σ²; H f3 as printed. The same number by another way; kept because the published set of
    # 22 has both. [1]
    "correlation_product": lambda m: _correlation(m.product - m.mean**2, m.variance),
    # Σ (i + j − 2μ)⁴ p; S. [0]
    "cluster_prominence": lambda m: (m.spread_sum * m.off_sum**2).sum(axis=0),
    # Σ (i + j − 2μ)³ p; S. [0]
    "cluster_shade": lambda m: (m.spread_sum * m.off_sum).sum(axis=0),
    # Σ |i − j| p; S. [0]
    "dissimilarity": lambda m: m.level @ m.minus,
    # √Σ p²; the root of H f1 (angular second moment), as in scikit-image. [1]
    "energy": lambda m: np.sqrt(np.einsum("km,km->m", m.p, m.p)),
    # −Σ p log₂ p; H f9. [0]
    "entropy": lambda m: m.entropy,
    # Σ p / (1 + (i − j)²); H f5 (inverse difference moment). [1]
    "homogeneity": lambda m: (1 / (1 + m.level**2)) @ m.minus,
    # Σ p / (1 + |i − j|); MATLAB's form, C (inverse difference). [1]
    "homogeneity_absolute": lambda m: (1 / (1 + m.level)) @ m.minus,
    # max p; S. [1]
    "maximum_probability": lambda m: m.p.reshape(m.levels, -1).max(axis=0).reshape(m.levels, -1).max(axis=0),
    # Σ (i − μ)² p; H f4. [0]
    "sum_of_squares_variance": lambda m: m.variance,
    # Σ k p_{x+y}(k); H f6. [2 g]
    "sum_average": lambda m: m.sum @ m.plus,
    # Σ (k − sum average)² p_{x+y}(k); H f7, where the print has the sum entropy for the average. [0]
    "sum_variance": lambda m: m.variance_sum,
    # −Σ p_{x+y} log₂ p_{x+y}; H f8. [0]
    "sum_entropy": lambda m: bits(m.plus),
    # Σ (k − Σ k p_{|x−y|})² p_{|x−y|}(k); H f10. [0]
    "difference_variance": _difference_variance,
    # −Σ p_{|x−y|} log₂ p_{|x−y|}; H f11. [0]
    "difference_entropy": lambda m: bits(m.minus),
    # (HXY − HXY1) / max(HX, HY); H f12. [0]
    "information_correlation_1": _imc1,
    # √(1 − exp(−2 (HXY2 − HXY))); H f13, with entropies in bits as in mahotas and pyradiomics. [0]
    "information_correlation_2": lambda m: np.sqrt(-np.expm1(-2 * m.shared_information)),
    # Σ p / (1 + |i − j| / levels); C. [1]
    "inverse_difference_normalised": lambda m: (1 / (1 + m.level / m.levels)) @ m.minus,
    # Σ p / (1 + (i − j)² / levels²); C. [1]
    "inverse_difference_moment_normalised": lambda m: (1 / (1 + (m.level / m.levels) ** 2)) @ m.minus,
}
FIVE = ("contrast", "correlation", "energy", "entropy", "homogeneity")
PROPERTIES = {"five": FIVE, "haralick": tuple(FORMULAS)}
