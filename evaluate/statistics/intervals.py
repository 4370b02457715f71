"""How far a measured accuracy can be trusted, and whether a difference is more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from evaluate.scores.record import Record

Numbers = Sequence[float] | np.ndarray

WIDER = 1.5
FEW_GROUPS = 3.0


@dataclass(eq=False)
class Interval(Record):
    """A measured share and the range that holds the true one with 95 % confidence, all between 0 and 1."""

    mean: float
    low: float
    high: float


@dataclass(eq=False)
class Difference(Record):
    """Accuracy of one minus accuracy of the other, its 95 % interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p_value: float


def wilson_interval(n_right: float, n: float, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of a share, `n_right` of `n` (fractions allowed), for independent images.

    >>> interval = wilson_interval(20, 20)
    >>> round(interval.low, 3), interval.high
    (0.839, 1.0)
    """
    return _wilson(n_right / n, n, float(norm.ppf((1 + confidence) / 2)))


def _wilson(share: float, n: float, z: float) -> Interval:
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(share, float(low), float(high))


def grouped_interval(right: np.ndarray, groups: np.ndarray, confidence: float = 0.95) -> Interval:
    """Wilson's interval for images that partly belong together: those with equal integers in `groups`.

    The number of images is replaced by the effective number, from the variance between groups (Rao and Scott,
    https://doi.org/10.2307/2532311). Few groups tell little of how alike photos of a group are: the interval is then
    wider, by Student's t and by ``1 + 3 / groups - 3 / images``, a figure chosen by simulation.
    """
    right = np.asarray(right, dtype=np.float64)
    share, n_groups = float(right.mean()), len(np.unique(groups))
    n = effective_number(right, np.asarray(groups), share * (1 - share))
    wider = 1.0 + FEW_GROUPS * (1 / n_groups - 1 / len(right))
    return _wilson(share, n / wider**2, quantile(groups, confidence))


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


def cross_validated_interval(
    right: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int, confidence: float = 0.95
) -> Interval:
    """The interval of an accuracy measured by cross-validation, for new images like these and as many to train on.

    Repeats of an image are averaged. Wilson's interval on what remains takes the heads of all folds for one (Bayle et
    al., https://doi.org/10.48550/arXiv.2007.12671), which is too narrow on a few hundred images: it is made wider by
    `widening`. How often it holds the truth is simulated in ``tests/benchmarks/statistics_simulation.py``: 92 to 98
    times in 100. `right`, `image` (which one it was) and `groups` are of each prediction; `n_folds` heads made them.
    """
    shares, group = per_image(np.asarray(right, dtype=np.float64), image, groups)
    share = float(shares.mean())
    n = effective_number(shares, group, share * (1 - share)) / widening(group, n_folds) ** 2
    return _wilson(share, n, quantile(group, confidence))


def widening(groups: np.ndarray, n_folds: int) -> float:
    """``1 + 1.5 / sqrt(groups)`` for the heads of several folds, which share training images; 1 for one alone.

    The form is Bayle's; the figure 1.5 was chosen by simulation.
    """
    return 1.0 + WIDER / len(np.unique(groups)) ** 0.5 if n_folds > 1 else 1.0


def per_image(values: np.ndarray, image: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the values of each image over repeats, and the group of each image."""
    _, first, place = np.unique(image, return_index=True, return_inverse=True)
    return np.bincount(place, values) / np.bincount(place), np.asarray(groups)[first]


def paired_difference(
    one: Numbers, other: Numbers, n_testing: Numbers, n_training: Numbers, confidence: float = 0.95
) -> Difference:
    """Whether one head (or features) is better than another, from their accuracies on the same folds.

    The training sets of folds overlap, so Nadeau and Bengio (https://doi.org/10.1023/A:1024068626366) widen the
    variance from ``s²/k`` to ``(1/k + n_testing/n_training) s²``. Folds weigh by the number of images they test. With
    equal differences on all folds the variance is 0: the p value is then 1 for no difference and 0 for any other.
    """
    differences = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    n_folds = len(differences)
    mean, error = corrected_error(differences, n_testing, n_training)
    if error < 1e-12:
        return Difference(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)
    half = float(t.ppf((1 + confidence) / 2, n_folds - 1)) * error
    p_value = 2 * float(t.sf(abs(mean) / error, n_folds - 1))
    return Difference(mean, mean - half, mean + half, p_value)


def corrected_error(values: np.ndarray, n_testing: Numbers, n_training: Numbers) -> tuple[float, float]:
    """The mean of one value per fold, and its standard error with Nadeau and Bengio's correction."""
    testing = np.asarray(n_testing, dtype=np.float64)
    n_folds, weights = len(values), testing / testing.sum()
    mean = float(weights @ values)
    spread = float(weights @ (values - mean) ** 2) * n_folds / (n_folds - 1)
    ratio = float(np.mean(testing / np.asarray(n_training, dtype=np.float64)))
    return mean, float(np.sqrt((1 / n_folds + ratio) * spread))
