"""Two heads compared by counting photos: for folds that agree exactly, and so have no spread to learn from."""

import numpy as np

from evaluate.significance import Verdict
from evaluate.statistics import Difference, wilson_interval

COUNTED_METHOD = (
    "where all folds show exactly the same difference: Newcombe's interval for paired proportions (1998, method 10) "
    "and McNemar's exact test; images that stay together count as one"
)
N_DRAWS = 100_000


def counted_difference(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> Difference:
    """The difference of two accuracies on the same photos, with an interval that is never empty.

    The folds usually say how far to trust a difference. Two heads that make the same mistakes differ by the same
    amount in every fold, which looks like certainty and is not: on 60 photos that both get right, the true
    difference may well be some points. This counts photos instead, as for one test set [1]_.

    Parameters
    ----------
    one, other : array of shape (n_predictions,)
        1 where the head was right, 0 where not; of the same photos in the same order.
    groups : array of int, shape (n_predictions,)
        Predictions with equal integers (one photo in several repeats, photos of one group) count as one.

    Returns
    -------
    Difference
        The p value is McNemar's exact one.

    References
    ----------
    .. [1] R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions based
       on paired data", Statistics in Medicine 17 (1998), 2635-2650.

    Examples
    --------
    >>> found = counted_difference(np.ones(54), np.ones(54), np.arange(54))
    >>> found.difference, round(found.low, 4), round(found.high, 4), found.p_value
    (0.0, -0.0664, 0.0664, 1.0)
    """
    from scipy.stats import binomtest

    both, only_one, only_other, neither = _counts(one, other, groups)
    n = both + only_one + only_other + neither
    first, second = wilson_interval(both + only_one, n), wilson_interval(both + only_other, n)
    correlation = _correlation(both, only_one, only_other, neither)
    difference = first.mean - second.mean
    down = _joined(first.mean - first.low, second.high - second.mean, correlation)
    up = _joined(second.mean - second.low, first.high - first.mean, correlation)
    disagreements = round(only_one), round(only_other)
    p_value = (
        float(binomtest(disagreements[0], sum(disagreements), 0.5).pvalue) if sum(disagreements) else 1.0
    )
    return Difference(difference, difference - down, difference + up, p_value)


def counted_verdict(one: np.ndarray, other: np.ndarray, groups: np.ndarray, same_within: float) -> Verdict:
    """How probable it is that one is worse, practically the same, or better, from counts of photos.

    The posterior of the shares of photos that only one, only the other, and both or neither get right, with
    Jeffreys' prior; by 100,000 draws from it, always the same ones.
    """
    both, only_one, only_other, neither = _counts(one, other, groups)
    shares = np.random.default_rng(0).dirichlet(
        [only_one + 0.5, only_other + 0.5, both + neither + 0.5], N_DRAWS
    )
    difference = shares[:, 0] - shares[:, 1]
    worse, better = float((difference < -same_within).mean()), float((difference > same_within).mean())
    return Verdict(worse, max(0.0, 1.0 - worse - better), better)


def _counts(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> tuple[float, float, float, float]:
    """Both right, only one, only the other, neither: in groups, each weighing by its predictions."""
    codes = np.unique(groups, return_inverse=True)[1]
    one, other = np.asarray(one, dtype=bool), np.asarray(other, dtype=bool)
    # A group that is partly right counts in parts; what one and the other gain there cancels.
    gain = np.bincount(codes, one.astype(float) - other)
    both = np.bincount(codes, one & other) + (np.bincount(codes, one ^ other) - np.abs(gain)) / 2
    scale = len(gain) / len(codes)
    only_one, only_other = gain.clip(0).sum() * scale, (-gain).clip(0).sum() * scale
    both = both.sum() * scale
    return float(both), float(only_one), float(only_other), float(len(gain) - both - only_one - only_other)


def _correlation(both: float, only_one: float, only_other: float, neither: float) -> float:
    """Phi, drawn towards 0 as Newcombe does."""
    n = both + only_one + only_other + neither
    product = (both + only_one) * (only_other + neither) * (both + only_other) * (only_one + neither)
    if product < 1e-9:
        return 0.0
    excess = both * neither - only_one * only_other
    return (max(0.0, excess - n / 2) if excess > 0 else excess) / product**0.5


def _joined(one: float, other: float, correlation: float) -> float:
    return float(np.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2)))
