"""Is it more than luck: three probabilities instead of a verdict, paired counts, and many questions at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from scipy.stats import beta, binomtest, t

from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import is_dummy, mean_over_repeats
from evaluate.scores.record import Record
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

ADDED = 0.5
N_QUANTILES = 4000


@dataclass(eq=False)
class RopeProbabilities(Record):
    """The probabilities that one is worse than, practically the same as, and better than the other; sum 1."""

    worse: float
    same: float
    better: float


@dataclass(eq=False)
class McNemar(Record):
    """On how many images only one of two is right, and p values; `p_holm` is corrected for a `family` of so many."""

    only_one_right: int
    only_other_right: int
    p_value: float
    p_holm: float | None = None
    family: int | None = None

    _if_known = ("p_holm", "family")


@dataclass(eq=False)
class PairName(Record):
    """Features and a head."""

    features: str
    head: str


@dataclass(eq=False)
class PairComparison(Record):
    """One pair of features and head against another, on the same folds; `compares` is ``features`` or ``head``.

    The difference and its interval go by photos; the p value and the probabilities by folds, unless these have no
    spread: then photos are counted (`same_in_every_fold`). `rope` is the region of practical equivalence in points.
    """

    compares: str
    one: PairName
    other: PairName
    difference: float
    low: float
    high: float
    p_value: float
    same_in_every_fold: bool
    probability: RopeProbabilities
    rope: float
    mcnemar: McNemar
    p_holm: float = 1.0
    family: int = 1
    verdict: str = "undecided"
    words: str = ""


class Named(Protocol):
    """Whatever has features and a head."""

    features: str
    head: str


Row = TypeVar("Row", bound=Named)


def bayesian_comparison(
    one: Numbers, other: Numbers, n_testing: Numbers, n_training: Numbers, same_within: float = 0.01
) -> RopeProbabilities:
    """How probable it is that one is worse, practically the same, or better, from accuracies on the same folds.

    With a flat prior, the true difference follows a Student t distribution about the measured one, with the spread
    that `paired_difference` takes (Corani and Benavoli, https://doi.org/10.1007/s10994-015-5486-z). A difference of up
    to `same_within`, either way, is practically none: 0.01 is one accuracy point.
    """
    differences = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    mean, error = corrected_error(differences, n_testing, n_training)
    if error < 1e-12:
        return RopeProbabilities(
            float(mean < -same_within), float(abs(mean) <= same_within), float(mean > same_within)
        )
    freedom = len(differences) - 1
    worse = float(t.cdf((-same_within - mean) / error, freedom))
    better = float(t.sf((same_within - mean) / error, freedom))
    return RopeProbabilities(worse, max(0.0, 1.0 - worse - better), better)


def mcnemar(one_right: np.ndarray, other_right: np.ndarray) -> McNemar:
    """On which images only one of two is right, and whether the counts differ by more than luck: the exact test.

    It takes images for independent and the trained heads for fixed. Both arrays are of the same images in one order.
    """
    one, other = np.asarray(one_right, dtype=bool), np.asarray(other_right, dtype=bool)
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    return McNemar(first, second, _exact_test(first, second))


def _exact_test(first: int, second: int) -> float:
    """The two-sided p value of two counts that should be equal; 1 where both are 0."""
    return float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for asking several questions at once, in the same order: Holm's step-down procedure."""
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    corrected = np.empty(len(given))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return corrected.tolist()


def paired_interval(
    one: np.ndarray, other: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int
) -> Difference:
    """The difference of two accuracies on the same photos, an interval that is never empty, and McNemar's p value.

    Repeats of a photo are averaged. Half a photo that only one head gets right is added on either side (Bonett and
    Price, https://doi.org/10.3102/1076998611411915, add a whole one, and hold the truth oftener than they promise).
    For heads of several folds it is made wider as `cross_validated_interval` is. `one` and `other` are 1 where a head
    was right, of the same photos, named by `image`, in the same order; photos with equal `groups` weigh as one where
    they differ together.
    """
    gain, group = per_image(np.asarray(one, dtype=np.float64) - np.asarray(other), image, groups)
    difference, ahead, behind = float(gain.mean()), gain.clip(0).mean(), (-gain).clip(0).mean()
    n = effective_number(gain, group, ahead + behind - difference**2) / widening(group, n_folds) ** 2
    first, second = (ahead * n + ADDED) / (n + 2 * ADDED), (behind * n + ADDED) / (n + 2 * ADDED)
    middle = first - second
    half = quantile(group) * np.sqrt((first + second - middle**2) / (n + 2 * ADDED))
    only_one, only_other, _ = (round(count) for count in _counts(one, other, groups))
    low, high = float(max(-1.0, middle - half)), float(min(1.0, middle + half))
    return Difference(difference, low, high, _exact_test(only_one, only_other))


def sign_posterior(
    one: np.ndarray, other: np.ndarray, groups: np.ndarray, same_within: float
) -> RopeProbabilities:
    """As `bayesian_comparison`, from the counts of photos that only one, only the other, and both or neither get right.

    With Jeffreys' prior. The share that differs follows one beta distribution and, of that, the share of `one` another:
    the average over the quantiles of the first is the integral.
    """
    only_one, only_other, alike = (count + 0.5 for count in _counts(one, other, groups))
    differing = beta.ppf((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES, only_one + only_other, alike)
    bound = same_within / np.maximum(differing, 1e-12)
    worse = float(beta.cdf((1 - bound) / 2, only_one, only_other).mean())
    better = float(beta.sf((1 + bound) / 2, only_one, only_other).mean())
    return RopeProbabilities(worse, max(0.0, 1.0 - worse - better), better)


def _counts(one: np.ndarray, other: np.ndarray, groups: np.ndarray) -> tuple[float, float, float]:
    """Groups that only one gets right, only the other, both or neither; those partly so count in parts."""
    codes = np.unique(groups, return_inverse=True)[1]
    gain = np.bincount(codes, np.asarray(one, dtype=np.float64) - np.asarray(other)) / np.bincount(codes)
    only_one, only_other = float(gain.clip(0).sum()), float((-gain).clip(0).sum())
    return only_one, only_other, len(gain) - only_one - only_other


def compare_pairs(results: Sequence[Named], predictions: Predictions, rope: float) -> list[PairComparison]:
    """The best of each features against the best of all, and on the best features each head against the best.

    `results` are best first, `predictions` on the same folds for all; `rope` is in accuracy points. A dummy, which
    ignores the vectors, stands for no features while there is another head.
    """
    pairs = [_compared(*opponents, predictions, rope) for opponents in comparisons_to_make(results)]
    one_fold = len(predictions.times.groupby(["repeat", "fold"])) == 1
    corrected = holm([pair.p_value for pair in pairs])
    counted = holm([pair.mcnemar.p_value for pair in pairs])
    for pair, p_holm, of_mcnemar in zip(pairs, corrected, counted, strict=True):
        pair.p_holm, pair.mcnemar.p_holm = p_holm, of_mcnemar
        pair.family = pair.mcnemar.family = len(pairs)
        pair.verdict = verdict_of(pair.low, pair.high, p_holm, one_fold)
    return pairs


def verdict_of(low: float, high: float, p_holm: float, one_fold: bool = False) -> str:
    """``beats``, ``ahead`` or ``undecided``: what may be said of the first against the second.

    *Undecided*: the 95 % interval holds 0. *Ahead*: it does not, on these photos and with these heads. *Beats*: the
    test over the folds, corrected for shared training photos and for the number of comparisons, says so too (p <
    0.05). One fold trains each head once and says nothing of another training, so there *ahead* is the most.
    """
    if low <= 0 <= high:
        return "undecided"
    return "beats" if p_holm < 0.05 and not one_fold else "ahead"


def fold_accuracies(predictions: Predictions) -> np.ndarray:
    """The share of right predictions per fold, in the order of ``predictions.times``."""
    sizes = predictions.times["n_testing"].to_numpy()
    fold = np.repeat(np.arange(len(sizes)), sizes)
    return np.bincount(fold, predictions.label == predictions.predicted) / sizes


def comparisons_to_make(results: Sequence[Row]) -> list[tuple[str, Row, Row]]:
    """What is compared (``features`` or ``head``), and the two; whoever is better is named first."""
    best = _representative(results)
    by_features: dict[str, list[Row]] = {}
    for row in results:
        by_features.setdefault(row.features, []).append(row)
    own = by_features.pop(best.features)
    others = [("features", _representative(rows)) for rows in by_features.values()]
    others += [("head", row) for row in own if row is not best]
    # Only a dummy can stand before the best.
    before = results[: results.index(best)]
    return [(kind, row, best) if row in before else (kind, best, row) for kind, row in others]


def _representative(results: Sequence[Row]) -> Row:
    """The best row that says something of its features: a dummy ignores them, and stands for none but itself."""
    return next((row for row in results if not is_dummy(row.head)), results[0])


def _compared(kind: str, one: Named, other: Named, predictions: Predictions, rope: float) -> PairComparison:
    first, second = (predictions.of(row.features, row.head) for row in (one, other))
    (accuracies, n_testing, n_training), (others, _, _) = _samples(first), _samples(second)
    right = (first.label == first.predicted, second.label == second.predicted)
    groups = first.rows["group"].to_numpy()
    photos = paired_interval(*right, first.rows["row"].to_numpy(), groups, n_folds=len(first.times))
    # A single sample, such as one patient in one fold, has no spread either.
    several = len(n_testing) > 1
    over_folds = paired_difference(accuracies, others, n_testing, n_training) if several else photos
    constant = not several or over_folds.low == over_folds.high
    if constant:
        probability = sign_posterior(*right, groups, rope / 100)
    else:
        probability = bayesian_comparison(accuracies, others, n_testing, n_training, rope / 100)
    return PairComparison(
        compares=kind,
        one=PairName(one.features, one.head),
        other=PairName(other.features, other.head),
        **(photos if constant else {**photos, "p_value": over_folds.p_value}),
        same_in_every_fold=constant,
        probability=probability,
        rope=rope,
        mcnemar=mcnemar(mean_over_repeats(first).right, mean_over_repeats(second).right),
    )


def _samples(predictions: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracies, testing and training photos per fold; with a single fold per group that it tests.

    One fold has no spread. Its groups are independent samples for heads taken as they were trained: as if the training
    set were without end.
    """
    times = predictions.times
    if len(times) > 1:
        return fold_accuracies(predictions), times["n_testing"].to_numpy(), times["n_training"].to_numpy()
    codes = np.unique(predictions.rows["group"].to_numpy(), return_inverse=True)[1]
    sizes = np.bincount(codes)
    shares = np.bincount(codes, predictions.label == predictions.predicted) / sizes
    return shares, sizes, np.full(len(sizes), np.inf)
