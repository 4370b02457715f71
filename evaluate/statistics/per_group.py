"""Scores per group (a patient, a part, a plant), where each is predicted once, with their intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import Confusion, Scores, all_scores
from evaluate.scores.mistakes import mean_over_repeats, wrong_rows
from evaluate.scores.record import Record
from evaluate.statistics.intervals import Interval, ScoreIntervals, score_intervals


@dataclass(eq=False)
class MisclassifiedGroup(Record):
    """A group that was predicted wrong, from so many photos; `confidence` is the probability of the predicted label."""

    group: str
    photos: int
    label: str
    predicted: str
    confidence: float


@dataclass(eq=False, kw_only=True)
class GroupRow(Scores):
    """The scores of one pair of features and head, where each group is predicted once."""

    features: str
    head: str
    accuracy: Interval
    intervals: ScoreIntervals

    _first = ("features", "head", "accuracy")


@dataclass(eq=False, kw_only=True)
class PerGroup(Record):
    """Scores per group: `rule` makes one prediction of those of its photos, `words` says how.

    `groups` were tested, of which `alone` are photos without a group. `results` are in the order of those per photo;
    the confusion and the misclassified groups are of the first.
    """

    rule: str
    words: str
    groups: int
    alone: int
    results: list[GroupRow]
    confusion: Confusion
    confusion_percent: list[list[float]]
    misclassified: list[MisclassifiedGroup]


def describe_groups(
    groups: Sequence[Predictions],
    rule: str,
    words: str,
    positive: str | None,
    interval_of: Callable[[Predictions], Interval],
    n_folds: int = 0,
    decided: str | None = None,
) -> PerGroup:
    """Scores per group, of the predictions of one pair each from `evaluate.scores.groups.predict_groups`.

    `n_folds` heads made them (0: a model), which decides by a threshold on the probability of `decided`, if any.
    """
    results = []
    for one in groups:
        fold = one.rows.groupby(["repeat", "fold"]).ngroup().to_numpy()
        given = (one.label, one.probabilities, one.labels, positive, one.predicted, fold, one.weight)
        ((features, head),) = one.pairs()
        intervals = intervals_of(one, positive, n_folds, decided)
        named: Any = {"features": features, "head": head, "accuracy": interval_of(one)}
        row = GroupRow(**named, intervals=intervals, **vars(all_scores(*given)))
        results.append(row)
    best = groups[0]
    confusion = metrics.confusion(best.label, best.predicted, best.labels, best.weight)
    each = best.rows.drop_duplicates("row")
    return PerGroup(
        rule=rule,
        words=words,
        groups=len(each),
        alone=int(each["given_group"].isna().sum()),
        results=results,
        confusion=confusion,
        confusion_percent=metrics.percent_of_rows(confusion.matrix),
        misclassified=_misclassified_groups(best),
    )


def intervals_of(
    found: Predictions, positive: str | None, n_folds: int, decided: str | None = None
) -> ScoreIntervals:
    """The intervals of the scores of one pair; arguments as in `evaluate.statistics.intervals.score_intervals`."""
    rows = found.rows
    return score_intervals(
        found.label,
        found.predicted,
        found.probabilities,
        found.labels,
        rows["row"].to_numpy(),
        rows["group"].to_numpy(),
        n_folds=n_folds,
        fold=rows.groupby(["repeat", "fold"]).ngroup().to_numpy(),
        weight=found.weight,
        positive=positive,
        decided=decided,
    )


def _misclassified_groups(found: Predictions) -> list[MisclassifiedGroup]:
    """Most confident first; with repeats by the mean of the probabilities, as for photos."""
    groups = mean_over_repeats(found)
    photos = dict(zip(found.rows["image"], found.rows["photos"], strict=True))
    given = None
    if len(groups.image) == len(found):  # in whose order they are: one row of the pair per group
        place = np.argsort(found.rows["row"].to_numpy(), kind="stable")
        given = np.array([found.labels.index(name) for name in found.predicted[place]])
    wrong = wrong_rows(groups.image, groups.label, groups.probabilities, groups.labels, given)
    return [
        MisclassifiedGroup(one.image, int(photos[one.image]), one.label, one.predicted, one.confidence)
        for one in wrong
    ]
