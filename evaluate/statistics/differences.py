"""Is it more than luck: three probabilities instead of a verdict, paired counts, and many questions at once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import by_image, is_dummy
from evaluate.statistics.intervals import (
    Difference,
    Numbers,
    corrected_error,
    effective_number,
    paired_difference,
    per_image,
    quantile,
    widening,
)

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


# -- Two heads compared photo by photo: how far apart they are, and the verdict where the folds have no spread ---


COUNTED_METHOD = (
    "where all folds show exactly the same difference, McNemar's exact test stands for the test over the folds; images "
    "that stay together count as one"
)
ADDED = 0.5
N_DRAWS = 100_000


def counted_difference(
    one: np.ndarray, other: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int
) -> Difference:
    """The difference of two accuracies on the same photos, with an interval that is never empty.

    Repeats of a photo are averaged first. Half a photo that only one head gets right is added on either side, which
    keeps the interval from being empty where the heads seldom disagree (Bonett and Price [1]_ add a whole one, and
    hold the truth oftener than they promise): two heads that are both right on 54 photos may well differ by some
    points. For heads of several folds it is made wider as `cross_validated_interval` is. In the same simulations it
    holds the true difference 94 to 98 times in 100, and oftener where the heads disagree on a handful of photos or the
    groups are fewer than ten.

    Parameters
    ----------
    one, other : array of shape (n_predictions,)
        1 where the head was right, 0 where not; of the same photos in the same order.
    image : array of int, shape (n_predictions,)
        Which photo it was.
    groups : array of int, shape (n_predictions,)
        Photos with equal integers belong together: they weigh as one where they differ together.
    n_folds : int
        How many heads made the predictions.

    Returns
    -------
    Difference
        The p value is McNemar's exact one, counting each group once.

    References
    ----------
    .. [1] D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions
       based on paired data", Journal of Educational and Behavioral Statistics 37 (2012),
       https://doi.org/10.3102/1076998611411915

    Examples
    --------
    >>> found = counted_difference(np.ones(54), np.ones(54), np.arange(54), np.arange(54), n_folds=1)
    >>> found.difference, round(found.low, 4), round(found.high, 4), found.p_value
    (0.0, -0.0356, 0.0356, 1.0)
    """
    from scipy.stats import binomtest

    gain, group = per_image(np.asarray(one, dtype=np.float64) - np.asarray(other), image, groups)
    difference, ahead, behind = float(gain.mean()), gain.clip(0).mean(), (-gain).clip(0).mean()
    n = effective_number(gain, group, ahead + behind - difference**2) / widening(group, n_folds) ** 2
    first, second = (ahead * n + ADDED) / (n + 2 * ADDED), (behind * n + ADDED) / (n + 2 * ADDED)
    middle = first - second
    half = quantile(group) * np.sqrt((first + second - middle**2) / (n + 2 * ADDED))
    only_one, only_other, _ = (round(count) for count in _counts(one, other, groups))
    p_value = float(binomtest(only_one, only_one + only_other, 0.5).pvalue) if only_one + only_other else 1.0
    return Difference(difference, float(max(-1.0, middle - half)), float(min(1.0, middle + half)), p_value)


def counted_verdict(one: np.ndarray, other: np.ndarray, groups: np.ndarray, same_within: float) -> Verdict:
    """How probable it is that one is worse, practically the same, or better, from counts of photos.

    The posterior of the shares of photos that only one, only the other, and both or neither get right, with
    Jeffreys' prior; by 100,000 draws from it, always the same ones.
    """
    only_one, only_other, alike = _counts(one, other, groups)
    shares = np.random.default_rng(0).dirichlet([only_one + 0.5, only_other + 0.5, alike + 0.5], N_DRAWS)
    difference = shares[:, 0] - shares[:, 1]
    worse, better = float((difference < -same_within).mean()), float((difference > same_within).mean())
    return Verdict(worse, max(0.0, 1.0 - worse - better), better)


def _counts(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Groups that only one gets right, only the other, both or neither; those partly so count in parts."""
    codes = np.unique(groups, return_inverse=True)[1]
    gain = np.bincount(codes, np.asarray(one, dtype=np.float64) - np.asarray(other)) / np.bincount(codes)
    only_one, only_other = float(gain.clip(0).sum()), float((-gain).clip(0).sum())
    return only_one, only_other, len(gain) - only_one - only_other


# -- The results of `compare` against each other: who is better by how much, and how sure that is --------


def compare_pairs(
    results: list[dict[str, Any]], predictions: Predictions, rope: float
) -> list[dict[str, Any]]:
    """The best of each features against the best of all, and on the best features each head against the best.

    A dummy, which ignores the vectors, stands for no features while there is another head.

    Parameters
    ----------
    results : list of dict
        Rows with ``features`` and ``head``, best first.
    predictions : Predictions
        On the same folds for all.
    rope : float
        Region of practical equivalence in accuracy points: a difference up to this is practically none.

    Returns
    -------
    list of dict
        ``compares`` (``features`` or ``head``), ``one``, ``other``, ``difference, low, high`` (by photos, see
        `evaluate.statistics.differences`), ``p_value`` (over folds); ``p_holm``, corrected for the number of comparisons
        (``family``); ``probability`` (``worse, same, better``) and ``rope``; ``same_in_every_fold``, whether p value
        and probability come from counting photos for want of a spread over folds (of one fold, over the groups that it
        tests); ``mcnemar`` (``only_one_right,
        only_other_right, p_value, p_holm, family``); ``verdict``, see `verdict_of`.
    """
    found = [_pair(*opponents, predictions, rope) for opponents in _opponents(results)]
    for tests in (found, [pair["mcnemar"] for pair in found]):
        for test, p_value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
            test.update(p_holm=p_value, family=len(found))
    one_fold = len(predictions.times.groupby(["repeat", "fold"])) == 1
    return [{**pair, "verdict": verdict_of(pair, one_fold)} for pair in found]


def verdict_of(pair: dict[str, Any], one_fold: bool = False) -> str:
    """``beats``, ``ahead`` or ``undecided``: what may be said of the first against the second.

    One rule, so that the words, the interval and the test never contradict each other. *Undecided*: the 95 % interval
    holds 0. *Ahead*: it does not, on these photos and with these heads; but heads trained on other photos may differ,
    or among so many comparisons one like it is to be expected. *Beats*: the test over the folds, corrected for
    shared training photos and for the number of comparisons, says so too (p < 0.05). One fold trains each head once and
    says nothing of another training, so there *ahead* is the most.

    >>> verdict_of({"low": 0.01, "high": 0.05, "p_holm": 0.03}), verdict_of({"low": 0.01, "high": 0.05, "p_holm": 0.2})
    ('beats', 'ahead')
    """
    if pair["low"] <= 0 <= pair["high"]:
        return "undecided"
    return "beats" if pair["p_holm"] < 0.05 and not one_fold else "ahead"


def fold_numbers(mine: Predictions) -> np.ndarray:
    """Per prediction, the position of its fold in ``mine.times``."""
    return np.repeat(np.arange(len(mine.times)), mine.times["n_testing"].to_numpy())


def fold_accuracies(mine: Predictions) -> np.ndarray:
    """The share of right predictions per fold, in the order of ``mine.times``."""
    return np.bincount(fold_numbers(mine), mine.label == mine.predicted) / mine.times["n_testing"].to_numpy()


def _opponents(results: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    best = _representative(results)
    others = []
    for name in dict.fromkeys(row["features"] for row in results):
        if name != best["features"]:
            others.append(("features", _representative([row for row in results if row["features"] == name])))
    others += [("head", row) for row in results if row["features"] == best["features"] and row is not best]
    # Only a dummy can stand before that one; whoever is better is named first.
    pairs = [(kind, sorted((best, row), key=results.index)) for kind, row in others]
    return [(kind, first, second) for kind, (first, second) in pairs]


def _representative(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The best row that says something of its features: a dummy ignores them, and stands for none but itself."""
    return next((row for row in results if not is_dummy(row["head"])), results[0])


def _pair(kind: str, one: dict, other: dict, predictions: Predictions, rope: float) -> dict[str, Any]:
    mine, its = (predictions.of(row["features"], row["head"]) for row in (one, other))
    (one_accuracies, n_testing, n_training), (other_accuracies, _, _) = _samples(mine), _samples(its)
    accuracies, sizes = (one_accuracies, other_accuracies), (n_testing, n_training)
    right, groups = (mine.label == mine.predicted, its.label == its.predicted), mine.rows["group"].to_numpy()
    photos = counted_difference(*right, mine.rows["row"].to_numpy(), groups, n_folds=len(mine.times))
    # A single sample, such as one patient in one fold, has no spread either.
    over_folds = paired_difference(*accuracies, *sizes) if len(n_testing) > 1 else photos
    constant = over_folds is photos or over_folds.low == over_folds.high
    if constant:
        verdict = counted_verdict(*right, groups, rope / 100)
    else:
        verdict = bayesian_comparison(*accuracies, *sizes, same_within=rope / 100)
    return {
        "compares": kind,
        "one": {"features": one["features"], "head": one["head"]},
        "other": {"features": other["features"], "head": other["head"]},
        **photos.to_dict(),
        "p_value": photos.p_value if constant else over_folds.p_value,
        "same_in_every_fold": constant,
        "probability": verdict.to_dict(),
        "rope": rope,
        "mcnemar": mcnemar(by_image(mine).right, by_image(its).right),
    }


def _samples(mine: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracies, testing and training photos per fold; with a single fold per group that it tests.

    One fold has no spread. Its groups are independent samples for heads taken as they were trained, so nothing is
    added for another training: as if the training set were without end.
    """
    if len(mine.times) > 1:
        return fold_accuracies(mine), mine.times["n_testing"].to_numpy(), mine.times["n_training"].to_numpy()
    codes = np.unique(mine.rows["group"].to_numpy(), return_inverse=True)[1]
    sizes = np.bincount(codes)
    return np.bincount(codes, mine.label == mine.predicted) / sizes, sizes, np.full(len(sizes), np.inf)
