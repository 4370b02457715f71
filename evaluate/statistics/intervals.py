"""How far a measured accuracy can be trusted, and whether a difference is more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.scores.record import Record

Numbers = Sequence[float] | np.ndarray

WIDER = 1.5
FEW_GROUPS = 3.0
INTERVAL_METHOD = (
    "95 %, Wilson's score interval on the out-of-fold predictions, one per photo (repeats averaged; photos that stay "
    "together weigh as one where they err together), wider by 1 + 1.5 / sqrt(photos or groups) where several folds "
    "share training photos"
)
TEST_INTERVAL_METHOD = (
    "95 %, Wilson's score interval; images that stay together count as one where they err together"
)
COMPARISON_METHOD = (
    "corrected resampled t-test over the folds (Nadeau and Bengio 2003), two-sided; 95 % interval from the paired "
    "out-of-fold predictions, one pair per photo (after Bonett and Price 2012), made wider in the same way"
)


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
    """The Wilson score interval of a share, `n_right` of `n`, for one test set of independent images (Wilson 1927).

    It stays between 0 and 1 and is honest near the ends, where the textbook interval shrinks to nothing. Fractions are
    allowed.

    >>> interval = wilson_interval(20, 20)
    >>> round(interval.low, 3), interval.high
    (0.839, 1.0)
    """
    from scipy.stats import norm

    return _wilson(n_right / n, n, float(norm.ppf((1 + confidence) / 2)))


def _wilson(share: float, n: float, z: float) -> Interval:
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(share, float(low), float(high))


def grouped_interval(right: np.ndarray, groups: np.ndarray, confidence: float = 0.95) -> Interval:
    """Wilson's interval for images that partly belong together: those with equal integers in `groups`.

    The number of images is replaced by the effective number, which comes from the variance between groups [1]_: ten
    photos of one leaf that are right or wrong together weigh as one. Few groups tell little of how alike photos of a
    group are: the interval is then wider, by Student's t and by ``1 + 3 / groups - 3 / images``, a figure chosen by
    simulation.

    .. [1] J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data",
       Biometrics 48 (1992), https://doi.org/10.2307/2532311
    """
    right = np.asarray(right, dtype=np.float64)
    share, n_groups = float(right.mean()), len(np.unique(groups))
    n = effective_number(right, np.asarray(groups), share * (1 - share))
    wider = 1.0 + FEW_GROUPS * (1 / n_groups - 1 / len(right))
    return _wilson(share, n / wider**2, quantile(groups, confidence))


def effective_number(values: np.ndarray, groups: np.ndarray, variance: float) -> float:
    """How many independent values of this variance would have a mean as uncertain as the mean of `values`.

    `values` are one per image, an average over repeats where there are several; images with equal integers in `groups`
    belong together; `variance` is that of one value that is no average, such as ``share * (1 - share)``. Without
    groups and averages it is the number of images; the number of groups where all values are equal, for then nothing
    is known of how alike the images of a group are.
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
    from scipy.stats import norm, t

    n_groups = len(np.unique(groups))
    if n_groups == len(groups):
        return float(norm.ppf((1 + confidence) / 2))
    return float(t.ppf((1 + confidence) / 2, max(1, n_groups - 1)))


def cross_validated_interval(
    right: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int, confidence: float = 0.95
) -> Interval:
    """The interval of an accuracy measured by cross-validation, from one prediction per image.

    Repeats of an image are averaged first. Wilson's interval on what remains takes the heads of all folds for one
    and the same; it covers the accuracy of just these heads as the number of images grows [1]_, but they share
    training images, and on a few hundred images it is too narrow. It is made wider by the factor `widening`. How often
    it holds the truth is simulated in ``tests/benchmarks/statistics_simulation.py``: 92 to 98 times in 100.

    `right`, `image` (which one it was) and `groups` are of each prediction; `n_folds` heads made them. The interval is
    for a head trained on about as many images like these, and new images like these; other cameras or places are not
    covered.

    .. [1] P. Bayle, A. Bayle, L. Janson and L. Mackey, "Cross-validation confidence intervals for test error",
       NeurIPS 33 (2020), https://doi.org/10.48550/arXiv.2007.12671

    >>> found = cross_validated_interval(np.arange(200) < 180, np.arange(200), np.arange(200), n_folds=5)
    >>> round(found.low, 3), found.mean, round(found.high, 3)
    (0.844, 0.9, 0.937)
    """
    shares, group = per_image(np.asarray(right, dtype=np.float64), image, groups)
    share = float(shares.mean())
    n = effective_number(shares, group, share * (1 - share)) / widening(group, n_folds) ** 2
    return _wilson(share, n, quantile(group, confidence))


def widening(groups: np.ndarray, n_folds: int) -> float:
    """``1 + 1.5 / sqrt(groups)`` for the heads of several folds, which share training images; 1 for one alone.

    The form is Bayle's: what is shared fades as images are added. The figure 1.5 was chosen by simulation.
    """
    return 1.0 + WIDER / len(np.unique(groups)) ** 0.5 if n_folds > 1 else 1.0


def per_image(values: np.ndarray, image: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the values of each image over repeats, and the group of each image.

    >>> per_image(np.array([1.0, 1.0, 0.0]), np.array([4, 7, 4]), np.array([0, 1, 0]))
    (array([0.5, 1. ]), array([0, 1]))
    """
    _, first, place = np.unique(image, return_index=True, return_inverse=True)
    return np.bincount(place, values) / np.bincount(place), np.asarray(groups)[first]


def paired_difference(
    one: Numbers, other: Numbers, n_testing: Numbers, n_training: Numbers, confidence: float = 0.95
) -> Difference:
    """Whether one head (or features) is better than another, from their accuracies on the same folds.

    The plain t-test takes the folds for independent, but their training sets overlap, and so it finds differences
    where there are none. Nadeau and Bengio [1]_ widen the variance from ``s²/k`` to ``(1/k + n_testing/n_training)
    s²``. Folds weigh by the number of images they test, so that the difference is that of the pooled accuracies. With
    equal differences on all folds the variance is 0: the p value is then 1 for no difference and 0 for any other.

    .. [1] C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52 (2003),
       https://doi.org/10.1023/A:1024068626366

    >>> found = paired_difference([0.9, 0.8], [0.7, 0.8], n_testing=[10, 10], n_training=[10, 10])
    >>> round(found.difference, 3), round(found.p_value, 3)
    (0.1, 0.667)
    """
    differences = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    from scipy.stats import t

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
