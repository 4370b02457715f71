"""One prediction for a group (a patient, a part, a plant) from those of its photos."""

from collections.abc import Callable

import numpy as np

from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import most_probable
from featurize.errors import UsageError
from featurize.table import FeatureTable

# How the photos of a group make one prediction, in words.
RULES = {
    "mean": "the mean of the probabilities of its photos",
    "max": "for each label the highest probability of any of its photos, divided by their sum, so that the most "
    "confident photo decides",
    "vote": "the label that most of its photos are given, of equals the one with the higher mean probability; its "
    "probabilities are the shares of votes",
}
POSITIVE_MAX = "the highest probability of {} of any of its photos"
NAMED = 5


def rule_in_words(rule: str, positive: str | None) -> str:
    """How a group is predicted; `positive` is the label to be found, of two."""
    return POSITIVE_MAX.format(positive) if rule == "max" and positive else RULES[rule]


def check_groups(table: FeatureTable, rule: str) -> None:
    """UsageError if `rule` is unknown, the table names no group, or a group has photos of two labels."""
    if rule not in RULES:
        raise UsageError(
            f"there is no rule {rule} for the photos of a group", f"give one of {', '.join(RULES)}"
        )
    labels: dict[str, set[str]] = {}
    for group, label, variant in zip(table.group, table.label, table.variant, strict=True):
        if group is not None and variant == 0:
            labels.setdefault(group, set()).add(str(label))
    if not labels:
        raise UsageError(
            "scores per group were asked for, and the table names no groups",
            "say which photos belong together: a manifest with a column group, or `featurize extract --group-by REGEX`",
        )
    mixed = {group: found for group, found in labels.items() if len(found) > 1}
    if mixed:
        named = "; ".join(
            f"{group} ({', '.join(sorted(found))})" for group, found in list(mixed.items())[:NAMED]
        )
        more = f"; and {len(mixed) - NAMED} more" if len(mixed) > NAMED else ""
        raise UsageError(
            f"{len(mixed)} of {len(labels)} groups have photos of several labels, and a group is given one: "
            f"{named}{more}",
            "correct the labels or the groups, or leave out the scores per group (--per-group)",
        )


def predict_groups(
    photos: Predictions,
    rule: str,
    positive: str | None = None,
    decide: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Predictions:
    """The same table with one row per group: ``image`` is its name, ``photos`` counts those that were tested.

    Photos without a group stand alone. `rule` is one of `RULES`; with ``"max"`` and `positive`, one of two labels, the
    group has the highest probability of that label. `decide` gives the columns of the labels given to probabilities,
    where something else than the highest one decides; a vote goes by the labels that the photos were given.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = {"repeat": 0, "fold": 0, "features": "x", "head": "svm", "row": [0, 1, 2], "image": ["1", "2", "3"],
    ...         "label": "ill", "group": 0, "given_group": "Ann"}
    >>> chances = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    >>> photos = Predictions(pd.DataFrame(rows), chances, ["ill", "well"], pd.DataFrame())
    >>> [predict_groups(photos, rule).predicted[0] for rule in ("mean", "max", "vote")]
    ['ill', 'ill', 'well']
    """
    rows, labels = photos.rows, photos.labels
    alone = rows["given_group"].isna()
    name = rows["given_group"].where(~alone, rows["image"]).astype(str)
    code = (alone.map({True: "photo ", False: "group "}) + name).factorize()[0]
    keyed = rows.assign(image=name, row=code)
    key = [keyed[column] for column in ("features", "head", "repeat", "fold", "row")]
    place = keyed.groupby(key, sort=False).ngroup().to_numpy()
    n_photos = np.bincount(place)
    decided: np.ndarray | None
    mean = _sums(photos.probabilities, place) / n_photos[:, None]
    if rule == "vote":
        votes = photos.predicted.astype(str)[:, None] == np.asarray(labels, dtype=str)
        chances = _sums(votes.astype(np.float64), place) / n_photos[:, None]
        ahead = chances >= chances.max(axis=1, keepdims=True)
        decided = most_probable(np.where(ahead, mean, -1.0), labels)
    else:
        chances = mean if rule == "mean" else _highest(photos.probabilities, place, labels, positive)
        decided = None if decide is None else np.asarray(labels, dtype=object)[decide(chances)]
    first = np.unique(place, return_index=True)[1]
    groups = keyed.iloc[first].reset_index(drop=True).assign(photos=n_photos)
    return Predictions(groups, chances, labels, photos.times, decided)


def _sums(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    total = np.zeros((place.max() + 1, values.shape[1]))
    np.add.at(total, place, values)
    return total


def _highest(chances: np.ndarray, place: np.ndarray, labels: list[str], positive: str | None) -> np.ndarray:
    highest = np.zeros((place.max() + 1, chances.shape[1]))
    np.maximum.at(highest, place, chances)
    if positive is None:
        return highest / highest.sum(axis=1, keepdims=True)
    column = labels.index(positive)
    found = np.empty_like(highest)
    found[:, column], found[:, 1 - column] = highest[:, column], 1.0 - highest[:, column]
    return found
