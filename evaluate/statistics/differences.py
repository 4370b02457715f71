"""Is it more than luck: three probabilities instead of a verdict, paired counts, and many questions at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from evaluate.statistics.intervals import Numbers, corrected_error

BAYES_METHOD = (
    "Bayesian correlated t-test over the folds (Corani and Benavoli 2015); the probability that the true difference "
    "is below, within or above the region of practical equivalence"
)
FAMILY_METHOD = (
    "'beats' means that the interval is above 0 and p < 0.05 after Holm's correction over all comparisons shown (Holm "
    "1979); 'is ahead' that only the interval is, which is of that comparison alone"
)
MCNEMAR_METHOD = "McNemar's exact test on the out-of-fold predictions, one per photo (McNemar 1947)"


@dataclass(frozen=True)
class Verdict:
    """The probabilities that one is worse than, practically the same as, and better than the other; sum 1."""

    worse: float
    same: float
    better: float

    def to_dict(self) -> dict[str, float]:
        """The three numbers by name."""
        return asdict(self)


def bayesian_comparison(
    one: Numbers, other: Numbers, n_testing: Numbers, n_training: Numbers, same_within: float = 0.01
) -> Verdict:
    """How probable it is that one is worse, practically the same, or better, from accuracies on the same folds.

    A p value cannot say that two heads are equally good; this can [1]_. With a flat prior, the true difference
    follows a Student t distribution about the measured one, with the spread that `paired_difference` takes
    (the folds' training sets overlap, so that they are correlated).

    Parameters
    ----------
    one, other : sequence of float, shape (n_folds,)
        Accuracy on each fold (of all repeats), 0 to 1.
    n_testing, n_training : sequence of int, shape (n_folds,)
        Images on either side of each fold.
    same_within : float
        A difference up to this, either way, is practically none: 0.01 is one accuracy point.

    Returns
    -------
    Verdict

    References
    ----------
    .. [1] G. Corani and A. Benavoli, "A Bayesian approach for comparing cross-validated algorithms on multiple
       data sets", Machine Learning 100 (2015), https://doi.org/10.1007/s10994-015-5486-z

    Examples
    --------
    >>> found = bayesian_comparison([0.90, 0.91, 0.89], [0.90, 0.90, 0.90], [50] * 3, [100] * 3, same_within=0.05)
    >>> round(found.worse, 2), round(found.same, 2), round(found.better, 2)
    (0.02, 0.97, 0.02)
    """
    from scipy.stats import t

    differences = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    mean, error = corrected_error(differences, n_testing, n_training)
    if error < 1e-12:
        return Verdict(float(mean < -same_within), float(abs(mean) <= same_within), float(mean > same_within))
    freedom = len(differences) - 1
    worse = float(t.cdf((-same_within - mean) / error, freedom))
    better = float(t.sf((same_within - mean) / error, freedom))
    return Verdict(worse, max(0.0, 1.0 - worse - better), better)


def mcnemar(one_right: np.ndarray, other_right: np.ndarray) -> dict[str, float | int]:
    """On which images only one of two is right, and whether the two counts differ by more than luck [1]_.

    The exact test: of the images that only one gets right, each should have it as likely as the other. It takes
    images for independent and the trained heads for fixed, so it says less about a training on new images
    than the tests over folds.

    Parameters
    ----------
    one_right, other_right : array of bool, shape (n_images,)
        Of the same images in the same order.

    Returns
    -------
    dict
        ``only_one_right``, ``only_other_right`` and the two-sided ``p_value``, 1 where they never disagree.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions",
       Psychometrika 12 (1947), https://doi.org/10.1007/BF02295996

    Examples
    --------
    >>> mcnemar(np.array([True, True, True, False]), np.array([False, False, True, False]))
    {'only_one_right': 2, 'only_other_right': 0, 'p_value': 0.5}
    """
    from scipy.stats import binomtest

    one, other = np.asarray(one_right, dtype=bool), np.asarray(other_right, dtype=bool)
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    p_value = float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0
    return {"only_one_right": first, "only_other_right": second, "p_value": p_value}


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for asking several questions at once, in the same order.

    Rejecting those below 0.05 makes one false alarm or more in at most 5 of 100 families, however the questions
    depend on each other [1]_.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics
       6 (1979), https://www.jstor.org/stable/4615733

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    corrected = np.empty(len(given))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected.tolist()
