"""How far a measured score can be trusted, and whether a difference is more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from classify.shares import effective_number, quantile, wilson
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import rows_that_rank
from evaluate.scores.record import Record

Numbers = Sequence[float] | np.ndarray

WIDER = 1.5
FEW_GROUPS = 3.0
MEAN_OF_AREAS, MEAN_OF_PRECISIONS = 1.25, 2.0  # chosen by tests/benchmarks/mean_rankings.py


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
    return Interval(share, *wilson(share, n, z))


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


def accuracy_interval(predictions: Predictions) -> Interval:
    """`cross_validated_interval` of the accuracy of one pair of features and head."""
    right, rows = predictions.label == predictions.predicted, predictions.rows
    image, groups = rows["row"].to_numpy(), rows["group"].to_numpy()
    return cross_validated_interval(right, image, groups, n_folds=len(predictions.times))


def ratio_interval(
    top: np.ndarray, bottom: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int
) -> Interval | None:
    """The interval of the sum of `top` by that of `bottom`, a share of something that photos have more or less of.

    As `cross_validated_interval`, with the variance of a ratio by its derivative; None where `bottom` sums to nothing.

    >>> share = ratio_interval(np.array([1, 1, 0, 1]), np.array([1, 1, 1, 1]), np.arange(4), np.arange(4), 0)
    >>> share == cross_validated_interval(np.array([1, 1, 0, 1]), np.arange(4), np.arange(4), 0)
    True
    """
    tops, group = per_image(np.asarray(top, dtype=np.float64), image, groups)
    bottoms, _ = per_image(np.asarray(bottom, dtype=np.float64), image, groups)
    some = bottoms > 0
    if not some.any():
        return None
    tops, bottoms, group = tops[some], bottoms[some], group[some]
    share = min(1.0, float(tops.sum() / bottoms.sum()))
    influence = (tops - share * bottoms) / bottoms.mean()
    n = effective_number(influence, group, share * (1 - share)) / widening(group, n_folds) ** 2
    return _wilson(share, n, quantile(group))


def widening(groups: np.ndarray, n_folds: int) -> float:
    """``1 + 1.5 / sqrt(groups)`` for the heads of several folds, which share training images; 1 for one alone.

    The form is Bayle's; the figure 1.5 was chosen by simulation.
    """
    return 1.0 + WIDER / len(np.unique(groups)) ** 0.5 if n_folds > 1 else 1.0


def per_image(values: np.ndarray, image: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the values of each image over repeats, and the group of each image."""
    _, first, place = np.unique(image, return_index=True, return_inverse=True)
    return np.bincount(place, values) / np.bincount(place), np.asarray(groups)[first]


@dataclass(eq=False)
class RankingIntervals(Record):
    """The 95 % intervals of how well a label is ranked; None where nothing can be ranked."""

    roc_auc: Interval | None
    average_precision: Interval | None


@dataclass(eq=False)
class ShareIntervals(Record):
    """The 95 % intervals of sensitivity and specificity; None for a share of nothing."""

    sensitivity: Interval | None
    specificity: Interval | None


@dataclass(eq=False)
class ScoreIntervals(Record):
    """The 95 % intervals of scores beside which they stand, under the same keys.

    `positive` are those of the label to be found, `operating_point` those of a model that decides by a threshold.
    """

    roc_auc: Interval | None
    average_precision: Interval | None
    one_vs_rest: dict[str, RankingIntervals]
    positive: ShareIntervals | None
    operating_point: ShareIntervals | None = None


@dataclass(frozen=True)
class _Ranked:
    """A score of a ranking, the influence of each photo on it, and how many groups of the rarer side stand behind it.

    The influence is the derivative by the photo's weight: it sums to 0, and the variance of the score is the sum of the
    squares, over groups of the photos in them.
    """

    score: float
    influence: np.ndarray
    n_groups: int


def score_intervals(
    label: np.ndarray,
    predicted: np.ndarray,
    chances: np.ndarray,
    labels: Sequence[str],
    image: np.ndarray,
    groups: np.ndarray,
    *,
    n_folds: int = 0,
    fold: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    positive: str | None = None,
    decided: str | None = None,
) -> ScoreIntervals:
    """The intervals of the scores that `evaluate.scores.metrics.all_scores` gives for the same arguments.

    `image` and `groups` are of each row, as in `cross_validated_interval`; `n_folds` heads made the predictions, 0: a
    model that was trained before. `decided` is the positive label of the threshold that it decides by.
    """
    codes = np.unique(groups, return_inverse=True)[1]
    ranked = [
        _rankings(is_so, chance, codes, fold, weight)
        for is_so, chance in zip(
            _is_label(label, labels), np.asarray(chances, dtype=np.float64).T, strict=True
        )
    ]

    def interval(found: Sequence[_Ranked], of_areas: bool = False) -> Interval | None:
        return _ranking_interval(found, codes, n_folds, of_areas) if found else None

    def shares(name: str) -> ShareIntervals:
        is_so, called_so = np.asarray(label) == name, np.asarray(predicted) == name
        sides = ((is_so, called_so), (~is_so, ~called_so))
        return ShareIntervals(*(_share_interval(good, of, image, groups, n_folds) for of, good in sides))

    one_vs_rest = {
        str(name): RankingIntervals(*(interval([pair[kind]] if pair else []) for kind in (0, 1)))
        for name, pair in zip(labels, ranked, strict=True)
    }
    return ScoreIntervals(
        roc_auc=interval([pair[0] for pair in ranked if pair], of_areas=True),
        average_precision=interval([pair[1] for pair in ranked if pair]),
        one_vs_rest=one_vs_rest,
        positive=shares(positive) if positive else None,
        operating_point=shares(decided) if decided else None,
    )


def _is_label(label: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    return np.asarray(labels, dtype=str)[:, None] == np.asarray(label, dtype=str)


def _share_interval(
    good: np.ndarray, of: np.ndarray, image: np.ndarray, groups: np.ndarray, n_folds: int
) -> Interval | None:
    if not of.any():
        return None
    grouped = len(np.unique(groups[of])) < len(np.unique(image[of]))
    # Half the photos come in half the groups: what they share is known worse than of all, as if heads varied as well.
    return cross_validated_interval(good[of], image[of], groups[of], max(n_folds, 2 if grouped else 0))


def _rankings(
    is_so: np.ndarray,
    chance: np.ndarray,
    codes: np.ndarray,
    fold: np.ndarray | None,
    weight: np.ndarray | None,
) -> tuple[_Ranked, _Ranked] | None:
    """The ROC AUC and the average precision of a label, as scikit-learn has them; None where nothing can be ranked.

    Influences are DeLong's structural components (https://doi.org/10.2307/2531595) for the area, and for the average
    precision the derivative of the mean, over photos of the label, of the precision where they stand.
    """
    rows = rows_that_rank(is_so, chance, fold)
    if not rows.any():
        return None
    so, score = is_so[rows], chance[rows]
    weights = np.ones(len(so)) if weight is None else weight[rows]
    order = np.argsort(score, kind="stable")
    below = np.searchsorted(score[order], score, side="left")
    up_to = np.searchsorted(score[order], score, side="right")

    def summed(values: np.ndarray) -> np.ndarray:
        """The sum of the values of the rows with the lowest 0, 1, 2, ... scores."""
        return np.append(0.0, values[order].cumsum())

    own, others = summed(weights * so), summed(weights * ~so)
    n_own, n_others = own[-1], others[-1]
    beaten = (
        np.where(so, (others[below] + others[up_to]) / n_others, 2 - (own[below] + own[up_to]) / n_own) / 2
    )
    area = float((weights * so) @ beaten / n_own)
    on_area = weights * (beaten - area) / np.where(so, n_own, n_others)
    found, called = n_own - own[below], n_own - own[below] + n_others - others[below]
    precision = found / called
    average = float((weights * so) @ precision / n_own)
    per_call, per_found = (
        summed(weights * so / called)[up_to],
        summed(weights * so * found / called**2)[up_to],
    )
    on_average = weights * (so * (precision - average + per_call) - per_found) / n_own
    n_groups = min(len(np.unique(codes[rows][so])), len(np.unique(codes[rows][~so])))
    spread = np.zeros((2, len(is_so)))
    spread[:, rows] = on_area, on_average
    return _Ranked(area, spread[0], n_groups), _Ranked(average, spread[1], n_groups)


def _ranking_interval(
    found: Sequence[_Ranked], codes: np.ndarray, n_folds: int, of_areas: bool = False
) -> Interval:
    """Wilson's interval of the mean of some scores, with the number of photos that would vary as it does.

    The variance sums over groups (Obuchowski, https://doi.org/10.2307/2533958). Of a label with few groups it is known
    badly: one more group is added that varies as much as any could, and Student's t goes by the rarer side. The mean
    area over labels goes by the groups of all but the commonest, which of two labels are those of the rarer. The mean
    average precision goes by the rarest label, for few photos of each of many labels overrate it. The means of more
    than two labels count fewer photos than that.
    """
    mean = float(np.mean([one.score for one in found]))
    sizes = [one.n_groups for one in found]
    all_but_one = sum(sizes) - max(sizes) if len(sizes) > 1 else sizes[0]
    n = all_but_one if of_areas else min(sizes)
    most = mean * (1 - mean) / n
    if n == 1 or most < 1e-15:
        effective = float(n)
    else:
        influence = np.mean([one.influence for one in found], axis=0)
        variance = n / (n - 1) * float(np.sum(np.bincount(codes, influence) ** 2))
        effective = mean * (1 - mean) * (n + 1) / (n * variance + most)
    if len(found) > 2:
        effective /= MEAN_OF_AREAS if of_areas else MEAN_OF_PRECISIONS
    wider = 1.0 + WIDER / n**0.5 if n_folds > 1 else 1.0
    return _wilson(mean, effective / wider**2, float(t.ppf(0.975, max(1, all_but_one - 1))))


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
