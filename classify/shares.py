"""Confidence intervals of shares of photos, where photos come in groups or a threshold was chosen on them."""

import numpy as np
from scipy.stats import beta, norm, t

CHOSEN_WIDER, ANSWERS_WIDER = 2.5, 5.0
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


def answers_share(right: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """The share of right answers to expect of new photos, and its 95 % interval, where these decided the threshold.

    The interval is Wilson's. Photos that belong together, with equal `groups`, count by their effective number. The
    head that answers on new photos is another one than those that judged these, trained on more photos, so the interval
    is made wider by ``1 + 5 / sqrt(groups)``, a figure chosen by simulation (``tests/benchmarks/answers.py``). So wide,
    its lower end is never above Clopper and Pearson's exact bound (https://doi.org/10.1093/biomet/26.4.404) of
    independent photos and one head, where half of the answers or more are right.

    >>> [round(share, 3) for share in answers_share(np.arange(400) >= 8, np.arange(400))]
    [0.98, 0.954, 0.991]
    """
    right = np.asarray(right, dtype=np.float64)
    share, n_groups = float(right.mean()), len(np.unique(groups))
    n, z = float(len(right)), ALONE
    if n_groups < n:
        n = min(n, effective_number(right, np.asarray(groups), share * (1 - share)))
        z = quantile(groups)
    return share, *wilson(share, n / (1 + ANSWERS_WIDER / n_groups**0.5) ** 2, z)
