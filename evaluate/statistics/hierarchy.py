"""Labels in a tree: scores level by level, hierarchical precision and recall, and answers that stay general."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classify.model.answers import AnswerRule
from classify.taxonomy import Taxonomy
from classify.training.answers import choose_answers
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import mean_over_repeats
from evaluate.scores.record import Record
from evaluate.statistics.intervals import Interval, ratio_interval
from featurize.errors import UsageError


@dataclass(eq=False)
class LevelScores(Record):
    """How well the names of one level are told apart, 1 below the top; labels higher up stand for themselves."""

    level: int
    names: int
    accuracy: Interval
    calibration_error: float


@dataclass(eq=False)
class HierarchicalScores(Record):
    """Kiritchenko's precision, recall and F1: of a name and all names above it, which are those of the true label.

    Over all photos together, without the top, which every label has (S. Kiritchenko, S. Matwin, R. Nock, F. Famili,
    "Learning and evaluation in the presence of class hierarchies", https://doi.org/10.1007/11766247_34).
    """

    precision: Interval | None
    recall: Interval | None
    f1: Interval | None


@dataclass(eq=False, kw_only=True)
class AnswerScores(Record):
    """Answers with the deepest name that is probable enough; an answer is right if the true label is it or below it.

    `asked` is the share of right answers that chose the `thresholds`, one for each fold or that of a model, None where
    none promises it. Of all photos `as_label` get a label, `general` a name above it, and `none` nothing but the top.
    `right` is the share of right answers among all that are more than the top, `right_general` and `right_label` among
    each kind. `hierarchical` are the scores of the answers.
    """

    asked: float
    thresholds: list[float | None]
    as_label: Interval
    general: Interval
    none: Interval
    right: Interval | None
    right_general: Interval | None
    right_label: Interval | None
    hierarchical: HierarchicalScores


@dataclass(eq=False)
class NodeErrors(Record):
    """A name in the tree: its photos, how many get a label below it, and at how many errors the way parted here."""

    node: str
    parent: str | None
    level: int
    photos: int
    found: int
    errors: int


@dataclass(eq=False)
class TreeScores(Record):
    """What a tree of the labels says of predictions; `answers` is None where no threshold can be chosen."""

    levels: list[LevelScores]
    hierarchical: HierarchicalScores
    answers: AnswerScores | None
    nodes: list[NodeErrors]


def tree_scores(
    found: Predictions,
    taxonomy: Taxonomy,
    n_folds: int,
    answers: tuple[float, list[float | None], np.ndarray] | None,
) -> TreeScores:
    """The scores of one pair of features and head.

    `n_folds` heads made the predictions, 0: a model that was trained before. `answers` holds the accuracy asked for,
    the thresholds, and the threshold of each row, NaN where there is none.
    """
    truth = _columns(found.label, taxonomy)
    nodes = taxonomy.node_of
    rows, groups = found.rows["row"].to_numpy(), found.rows["group"].to_numpy()

    def share(top: np.ndarray, bottom: np.ndarray | None = None) -> Interval | None:
        whole = np.ones(len(top)) if bottom is None else bottom
        return ratio_interval(top, whole, rows, groups, n_folds)

    def hierarchical(given: np.ndarray) -> HierarchicalScores:
        """Of nodes: `common` are the names that they share with the true label."""
        above = taxonomy.above.astype(np.float64)
        common = np.einsum("ij,ij->i", above[given], above[nodes[truth]]) - 1
        levels = np.array(taxonomy.levels, dtype=np.float64)
        own, true = levels[given], levels[nodes[truth]]
        return HierarchicalScores(share(common, own), share(common, true), share(2 * common, own + true))

    levels = []
    for level in range(1, taxonomy.depth + 1):
        names, chances = _at_level(taxonomy, level, found.probabilities)
        place = np.searchsorted(names, taxonomy.at_level(level))[truth]
        right = chances.argmax(axis=1) == place
        known = [str(name) for name in range(len(names))]
        error = metrics.calibration_error(place.astype(str), chances, known, found.weight)
        levels.append(LevelScores(level, len(names), _known(share(right)), error))
    flat = nodes[_columns(found.predicted, taxonomy)]
    told = None
    if answers is not None:
        asked, thresholds, of_row = answers
        path, chances = taxonomy.paths(found.probabilities)
        reached = np.maximum((chances >= np.where(np.isnan(of_row), 2.0, of_row)[:, None]).sum(axis=1) - 1, 0)
        given = path[np.arange(len(path)), reached]
        right, as_label, some = taxonomy.holds[given, truth], np.isin(given, nodes), given > 0
        told = AnswerScores(
            asked=asked,
            thresholds=thresholds,
            as_label=_known(share(as_label)),
            general=_known(share(some & ~as_label)),
            none=_known(share(~some)),
            right=share(right & some, some),
            right_general=share(right & some & ~as_label, some & ~as_label),
            right_label=share(right & as_label, as_label),
            hierarchical=hierarchical(given),
        )
    return TreeScores(levels, hierarchical(flat), told, node_errors(found, taxonomy))


def cross_fitted_thresholds(
    found: Predictions, taxonomy: Taxonomy, accuracy: float
) -> tuple[float, list[float | None], np.ndarray] | None:
    """For `tree_scores`: for each fold the threshold that the photos of the other folds of its repeat choose.

    So no photo judges a threshold that it chose. None where there is one fold alone.
    """
    repeat, fold = (found.rows[name].to_numpy() for name in ("repeat", "fold"))
    of_row = np.full(len(found), np.nan)
    thresholds: list[float | None] = []
    for one in np.unique(repeat):
        folds = np.unique(fold[repeat == one])
        if len(folds) < 2:
            return None
        for number in folds:
            others = (repeat == one) & (fold != number)
            known = found.label[others], found.probabilities[others]
            groups = found.rows["group"].to_numpy()[others]
            try:
                threshold = choose_answers(*known, taxonomy, accuracy, groups).threshold
            except UsageError:  # nothing promises so much
                thresholds.append(None)
                continue
            thresholds.append(threshold)
            of_row[(repeat == one) & (fold == number)] = threshold
    return accuracy, thresholds, of_row


def threshold_of_rule(found: Predictions, rule: AnswerRule) -> tuple[float, list[float | None], np.ndarray]:
    """For `tree_scores`: the threshold of a model."""
    return rule.asked, [rule.threshold], np.full(len(found), rule.threshold)


def node_errors(found: Predictions, taxonomy: Taxonomy) -> list[NodeErrors]:
    """Every node, from the top: each photo counts once, with repeats by the mean of its probabilities.

    An error belongs to the deepest name that holds the true label and the one given.
    """
    photos = mean_over_repeats(found)
    predicted = metrics.most_probable(photos.probabilities, photos.labels)
    if len(photos.image) == len(found):  # a model may decide otherwise
        predicted = found.predicted[np.argsort(found.rows["row"].to_numpy(), kind="stable")]
    truth, given = (_columns(one, taxonomy) for one in (photos.label, predicted))
    is_so, called_so = taxonomy.holds[:, truth], taxonomy.holds[:, given]
    both = is_so & called_so
    depth = np.where(both, np.array(taxonomy.levels)[:, None], -1)
    parted = np.bincount(depth.argmax(axis=0)[truth != given], minlength=len(taxonomy.nodes))
    return [
        NodeErrors(
            node=name,
            parent=taxonomy.nodes[taxonomy.parent_of[place]] if place else None,
            level=taxonomy.levels[place],
            photos=int(is_so[place].sum()),
            found=int(both[place].sum()),
            errors=int(parted[place]),
        )
        for place, name in enumerate(taxonomy.nodes)
    ]


def _at_level(taxonomy: Taxonomy, level: int, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nodes that stand for labels at a level, ascending, and the probability of each for every row."""
    names, place = np.unique(taxonomy.at_level(level), return_inverse=True)
    chances = np.zeros((len(probabilities), len(names)))
    for column, name in enumerate(place.tolist()):
        chances[:, name] += probabilities[:, column]
    return names, chances


def _columns(label: Sequence[str] | np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    places = {name: place for place, name in enumerate(taxonomy.labels)}
    return np.array([places[str(name)] for name in label])


def _known(interval: Interval | None) -> Interval:
    assert interval is not None  # there are photos
    return interval
