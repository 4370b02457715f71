"""Confidence intervals of shares of photos, where photos come in groups or a threshold was chosen on them."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtr
from scipy.stats import beta, norm, t

CHOSEN_WIDER = 2.5
ALONE = float(norm.ppf(0.975))  # standard errors to either end where no photos belong together


def effective_number(values: np.ndarray, groups: np.ndarray, variance: float) -> float:
    """How many independent values of this variance would have a mean as uncertain as the mean of `values`.

    `values` are one per image, an average over repeats where there are several; `variance` is that of one value that
    is no average. Where all values are equal it is the number of groups, for nothing is known of how alike a group is.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    n_images, n_groups = len(values), int(codes.max()) + 1
    excess = values - values.mean()
    alone = float(np.sum(excess**2)) / n_images**2
    if alone < 1e-15 or n_groups == 1:
        return float(n_groups)
    if n_groups == n_images:
        return variance / alone
    together = n_groups / (n_groups - 1) * float(np.sum(np.bincount(codes, excess) ** 2)) / n_images**2
    return variance / max(alone, together)


def quantile(groups: np.ndarray, confidence: float = 0.95) -> float:
    """How many standard errors reach to either end: 1.96, and Student's t where images come in groups."""
    n_groups = len(np.unique(groups))
    if n_groups == len(groups):
        return float(norm.ppf((1 + confidence) / 2))
    return float(t.ppf((1 + confidence) / 2, max(1, n_groups - 1)))


def expected_share(right: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """The share to expect of new photos like these, and its 95 % interval, where these decided the threshold.

    A threshold that `r` of `n` independent photos reach, and that stands at the last of them, is reached by a share of
    new ones that follows a beta distribution of ``r`` and ``n - r + 1`` (Wilks, https://doi.org/10.1214/aoms/1177731788):
    by ``r / (n + 1)`` of them on average. Photos that belong together, with equal `groups`, count by their effective
    number. The heads that judged these photos are not the one that judges new ones, so the interval is made wider by
    ``1 + 2.5 / sqrt(groups)``, a figure chosen by simulation (``tests/benchmarks/operating_points.py``).

    >>> [round(share, 3) for share in expected_share(np.arange(40) >= 2, np.arange(40))]
    [0.927, 0.788, 0.994]
    """
    right = np.asarray(right, dtype=np.float64)
    share, n_groups = float(right.mean()), len(np.unique(groups))
    n = min(float(len(right)), effective_number(right, np.asarray(groups), share * (1 - share)))
    mean = share * n / (n + 1)
    if mean == 0:
        return 0.0, 0.0, float(beta.ppf(0.975, 1, n / (1 + CHOSEN_WIDER / n_groups**0.5) ** 2))
    n = n / (1 + CHOSEN_WIDER / n_groups**0.5) ** 2 + 1
    tail = float(norm.cdf(-quantile(groups)))
    ends = beta.ppf([tail, 1 - tail], mean * n, (1 - mean) * n)
    return mean, float(ends[0]), float(ends[1])


def wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """The ends of Wilson's interval of a share of `n` photos, `z` standard errors wide to either side.

    >>> [round(end, 3) for end in wilson(1.0, 20, 1.96)]
    [0.839, 1.0]
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return float(low), float(high)


def sure_share(right: np.ndarray, groups: np.ndarray | None = None) -> float:
    """The lower end of the 95 % interval of a share, by the exact bound of Clopper and Pearson.

    For independent photos see https://doi.org/10.1093/biomet/26.4.404. Photos that belong together, with equal
    `groups`, count by their effective number, and the bound is that of Student's t.

    >>> round(sure_share(np.arange(400) >= 8), 3)
    0.961
    """
    right = np.asarray(right, dtype=np.float64)
    share, n, z = float(right.mean()), float(len(right)), ALONE
    if groups is not None and len(np.unique(groups)) < n:
        n = min(n, effective_number(right, np.asarray(groups), share * (1 - share)))
        z = quantile(groups)
    return float(betaincinv(share * n, (1 - share) * n + 1, ndtr(-z))) if share > 0 else 0.0


@dataclass(frozen=True)
class Answered:
    """Which photos got an answer, and which of them a right one: two arrays of the same length."""

    some: np.ndarray
    right: np.ndarray

    @property
    def share(self) -> float:
        """Of the answers, those that are right."""
        return float(self.right.sum() / max(1, self.some.sum()))

    @property
    def influence(self) -> np.ndarray:
        """The derivative of the share by the weight of each photo."""
        return (self.right - self.share * self.some) / max(1 / len(self.some), self.some.mean())


def answers_share(
    given: Answered, groups: np.ndarray, n_folds: int = 0, halves: Answered | None = None
) -> tuple[float, float, float]:
    """The share of answers to expect right of a model of all photos, and its 95 % interval.

    The heads that judged these photos were trained on ``n_folds - 1`` of `n_folds` parts of them, so the model of all
    photos is better. By how much follows from `halves`, the answers of heads that were trained on one half: where the
    share of errors is ``a + b / n`` with `n` photos [1]_, they differ from the others ``n_folds - 2`` times as much as
    those from the model of all. Since `a` is not negative, at most ``1 / n_folds`` of the errors can go. Without
    `halves`, and with two folds, nothing is added.

    The interval is that of Jeffreys [2]_, for as many independent photos as have an estimate of the same variance. That
    variance is by the derivative of the estimate; photos that belong together, with equal `groups`, vary together.

    References
    ----------
    .. [1] L. F. Richardson, "The approximate arithmetical solution by finite differences",
       https://doi.org/10.1098/rsta.1911.0009, for such an extrapolation; R. Kohavi, "A study of cross-validation and
       bootstrap for accuracy estimation", IJCAI 1995, for the bias
    .. [2] L. Brown, T. Cai, A. DasGupta, "Interval estimation for a binomial proportion",
       https://doi.org/10.1214/ss/1009213286

    Examples
    --------
    >>> some, photo = np.ones(400), np.arange(400)
    >>> [round(share, 3) for share in answers_share(Answered(some, photo >= 8), photo)]
    [0.98, 0.963, 0.991]
    >>> [round(share, 3) for share in answers_share(Answered(some, photo >= 8), photo, 5, Answered(some, photo >= 11))]
    [0.982, 0.964, 0.993]
    """
    share, influence = given.share, given.influence
    if halves is not None and n_folds > 2:
        gain, most = (share - halves.share) / (n_folds - 2), (1 - share) / n_folds
        share += min(max(gain, 0.0), most)
        if 0 < gain < most:
            influence = influence + (influence - halves.influence) / (n_folds - 2)
    own = np.asarray(groups)[given.some > 0]
    n = float(len(np.unique(own)))
    if 0 < share < 1:
        n = effective_number(influence, np.asarray(groups), share * (1 - share))
    tail, right, wrong = float(norm.cdf(-quantile(own))), share * n + 0.5, (1 - share) * n + 0.5
    low = 0.0 if share == 0 else float(beta.ppf(tail, right, wrong))
    return share, low, 1.0 if share == 1 else float(beta.ppf(1 - tail, right, wrong))
