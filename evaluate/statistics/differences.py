"""Is it more than luck: three probabilities instead of a verdict, paired counts, and many questions at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from scipy.stats import beta, binom, binomtest, t

from classify.folds import Fold
from classify.shares import effective_number, quantile
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import is_dummy, mean_over_repeats
from evaluate.scores.record import Record
from evaluate.statistics.intervals import (
    Difference,
    Numbers,
    accuracy_interval,
    corrected_error,
    paired_difference,
    per_image,
    widening,
)

ADDED = 0.5
N_QUANTILES = 4000
FAIR_WITHIN = 0.01


@dataclass(eq=False)
class RopeProbabilities(Record):
    """The probabilities that one is worse than, practically the same as, and better than the other; sum 1."""

    worse: float
    same: float
    better: float


@dataclass(eq=False)
class McNemar(Record):
    """On how many images only one of two is right, and p values; `p_holm` is corrected for a `family` of so many.

    Where photos come in groups, the counts are of photos and the p values of groups.
    """

    only_one_right: int
    only_other_right: int
    p_value: float
    p_holm: float | None = None
    family: int | None = None

    _if_known = ("p_holm", "family")


@dataclass(eq=False)
class BaseRate(Record):
    """What answers without a look reach on these folds: `label`, the commonest of the tested, has this `share`.

    `trained` is the accuracy of always answering the commonest label of the training side. Where a group is most of
    a label, its fold is tested on just what its training side lacks, and `trained` falls below the share, even to 0.
    `one_label` folds test photos of one label alone.
    """

    label: str
    share: float
    trained: float
    one_label: int

    @property
    def fair(self) -> bool:
        """Whether a head without knowledge would reach the share; else its folds make it worse than that.

        Where a single label is tested at all, there is nothing to guess.
        """
        return self.share == 1 or (self.one_label == 0 and self.trained >= self.share - FAIR_WITHIN)


def base_rate_of(folds: Sequence[Fold], label: np.ndarray) -> BaseRate:
    """What answers without a look reach on `folds` of rows with these labels."""
    names, codes = np.unique(np.asarray(label, dtype=str), return_inverse=True)
    tested, right, one_label = np.zeros(len(names), dtype=np.int64), 0, 0
    for fold in folds:
        counts = np.bincount(codes[fold.testing], minlength=len(names))
        tested += counts
        right += int(counts[np.bincount(codes[fold.training], minlength=len(names)).argmax()])
        one_label += int((counts > 0).sum() == 1)
    total, commonest = int(tested.sum()), int(tested.argmax())
    return BaseRate(str(names[commonest]), int(tested[commonest]) / total, right / total, one_label)


@dataclass(eq=False)
class PairName(Record):
    """Features and a head."""

    features: str
    head: str


@dataclass(eq=False, repr=False)
class PairComparison(Record):
    """One pair of features and head against another, on the same folds; `compares` is ``features`` or ``head``.

    The difference and its interval go by photos; the p value and the probabilities by folds, unless these have no
    spread: then photos are counted (`same_in_every_fold`). `rope` is the region of practical equivalence in points.
    Where the folds make the other worse than answers without a look, it is counted as their share, `base_rate`:
    difference, interval, p value, probabilities and verdict are then against that share, and go by photos.
    `accuracy_difference` is always the measured accuracy of one minus that of the other.
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
    base_rate: float | None = None
    accuracy_difference: float = 0.0

    def __repr__(self) -> str:
        one, other = (f"{side.head} on {side.features}" for side in (self.one, self.other))
        ends = f"{100 * self.difference:.1f} points ({100 * self.low:.1f} to {100 * self.high:.1f})"
        return f"PairComparison: {one} against {other}, {ends}; {self.verdict}"


class Named(Protocol):
    """Whatever has features and a head, and says what the head is."""

    features: str
    head: str
    classifier: str


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


def mcnemar(one_right: np.ndarray, other_right: np.ndarray, groups: np.ndarray) -> McNemar:
    """On which images only one of two is right, and whether the counts differ by more than luck: the exact test.

    It takes groups for independent and the trained heads for fixed. If neither head is better, each group could as
    well have favoured the other by as many photos: the p value is exact over all ways to swap the two heads in whole
    groups, whose variance is that of Durkalski et al. (https://doi.org/10.1002/sim.1438). Where each photo stands
    alone, this is McNemar's test. The arrays are of the same images in one order.
    """
    one, other = np.asarray(one_right, dtype=bool), np.asarray(other_right, dtype=bool)
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    codes = np.unique(groups, return_inverse=True)[1]
    lead = np.bincount(codes, one.astype(np.float64) - other).round().astype(np.int64)
    return McNemar(first, second, _swapped_test(lead))


def _swapped_test(lead: np.ndarray) -> float:
    """The two-sided p value of a sum of whole numbers, each of which could have had the other sign as well."""
    sizes, counts = np.unique(np.abs(lead[lead != 0]), return_counts=True)
    if len(sizes) < 2:
        ahead = int((lead > 0).sum())
        return _exact_test(ahead, int(counts.sum()) - ahead)
    chances = np.ones(1)  # of a sum of -n, -n + 2, ... n photos, from these sizes of groups
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        # Sums of positive numbers: the smallest chances keep their digits, which a Fourier transform would drown.
        wider = np.zeros(len(chances) + size * count)
        for number, chance in enumerate(binom.pmf(np.arange(count + 1), count, 0.5).tolist()):
            wider[size * number : size * number + len(chances)] += chance * chances
        chances = wider
    sums = 2 * np.arange(len(chances)) - int(np.abs(lead).sum())
    return float(min(1.0, chances[np.abs(sums) >= abs(int(lead.sum()))].sum()))


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


def compare_pairs(
    results: Sequence[Named], predictions: Predictions, rope: float, base: BaseRate
) -> list[PairComparison]:
    """The best of each features against the best of all, and on the best features each head against the best.

    `results` are best first, `predictions` on the same folds for all, whose base rate is `base`; `rope` is in accuracy
    points. A dummy, which ignores the vectors, stands for no features while there is another head.
    """
    pairs = [_compared(*opponents, predictions, rope, base) for opponents in comparisons_to_make(results)]
    one_fold = len(predictions.times.groupby(["repeat", "fold"])) == 1
    counted = [pair.mcnemar for pair in pairs]
    for pair, p_holm in zip(pairs, holm([pair.p_value for pair in pairs]), strict=True):
        pair.p_holm, pair.family = p_holm, len(pairs)
        pair.verdict = verdict_of(pair.low, pair.high, p_holm, one_fold or base.one_label > 0)
    for test, p_holm in zip(counted, holm([test.p_value for test in counted]), strict=True):
        test.p_holm, test.family = p_holm, len(counted)
    return pairs


def verdict_of(low: float, high: float, p_holm: float, unsettled: bool = False) -> str:
    """``beats``, ``ahead`` or ``undecided``: what may be said of the first against the second.

    *Undecided*: the 95 % interval holds 0. *Ahead*: it does not, on these photos and with these heads. *Beats*: the
    test over the folds, corrected for shared training photos and for the number of comparisons, says so too (p <
    0.05). *Ahead* is the most where the folds leave it `unsettled`: a single one trains each head once and says nothing
    of another training, and one that tests a label alone favours whoever expects what its training side lacks.
    """
    if low <= 0:
        return "undecided"
    return "beats" if p_holm < 0.05 and not unsettled else "ahead"


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
    return next((row for row in results if not is_dummy(row.classifier)), results[0])


def _compared(
    kind: str, one: Named, other: Named, predictions: Predictions, rope: float, base: BaseRate
) -> PairComparison:
    first, second = (predictions.of(row.features, row.head) for row in (one, other))
    (accuracies, n_testing, n_training), (others, _, _) = _samples(first), _samples(second)
    right = (first.label == first.predicted, second.label == second.predicted)
    groups = first.rows["group"].to_numpy()
    group = first.rows.groupby("row")["group"].first().to_numpy()  # one per photo, in the order of the table
    pair = partial(
        PairComparison,
        kind,
        PairName(one.features, one.head),
        PairName(other.features, other.head),
        rope=rope,
        accuracy_difference=float(right[0].mean() - right[1].mean()),
        mcnemar=mcnemar(mean_over_repeats(first).right, mean_over_repeats(second).right, group),
    )
    if not base.fair and right[1].mean() <= base.share + 1e-12:
        difference, probability = _above_base_rate(first, base.share, rope / 100)
        return pair(**difference, same_in_every_fold=False, probability=probability, base_rate=base.share)
    photos = paired_interval(*right, first.rows["row"].to_numpy(), groups, n_folds=len(first.times))
    # A single sample, such as one patient in one fold, has no spread either.
    several = len(n_testing) > 1
    over_folds = paired_difference(accuracies, others, n_testing, n_training) if several else photos
    constant = not several or over_folds.low == over_folds.high
    if constant:
        probability = sign_posterior(*right, groups, rope / 100)
    else:
        probability = bayesian_comparison(accuracies, others, n_testing, n_training, rope / 100)
    measured = photos if constant else {**photos, "p_value": over_folds.p_value}
    return pair(**measured, same_in_every_fold=constant, probability=probability)


def _above_base_rate(
    predictions: Predictions, share: float, same_within: float
) -> tuple[Difference, RopeProbabilities]:
    """The accuracy of one pair minus a share that needs no look: the interval of the accuracy, and its score test."""
    right = (predictions.label == predictions.predicted).astype(np.float64)
    row, groups = predictions.rows["row"].to_numpy(), predictions.rows["group"].to_numpy()
    n_folds = len(predictions.times)
    interval = accuracy_interval(predictions)
    shares, group = per_image(right, row, groups)
    n = effective_number(shares, group, interval.mean * (1 - interval.mean)) / widening(group, n_folds) ** 2
    freedom = np.inf if len(np.unique(group)) == len(group) else max(1, len(np.unique(group)) - 1)
    difference = interval.mean - share
    error = max(1e-12, float(np.sqrt(share * (1 - share) / n)))
    p_value = 2 * float(t.sf(abs(difference) / error, freedom))
    worse = float(t.cdf((-same_within - difference) / error, freedom))
    better = float(t.sf((same_within - difference) / error, freedom))
    return (
        Difference(difference, interval.low - share, interval.high - share, p_value),
        RopeProbabilities(worse, max(0.0, 1.0 - worse - better), better),
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
