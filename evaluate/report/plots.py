"""The drawings that a result has: by name, as methods of `Plots`, and as files for a paper."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from evaluate.report.drawing import SUFFIXES, Drawing, write_drawings
from evaluate.report.figures import (
    accuracy_drawing,
    confusion_drawing,
    curve_drawing,
    map_drawing,
    reliability_drawing,
    similarity_drawing,
    tree_drawing,
)
from evaluate.report.map import map_of
from evaluate.report.ranking_curves import ranking_curves, ranking_drawing
from evaluate.results import (
    BestPair,
    ComparisonRecord,
    CurveRecord,
    DuplicatesRecord,
    Result,
    ResultRow,
    TestDetails,
    TestRecord,
    TestScores,
)
from evaluate.statistics.hierarchy import TreeScores
from featurize.errors import UsageError
from featurize.outputs import FIGURE, check_folder
from featurize.remote import Location

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# By kind of result: the names of its drawings, those of methods of `Plots` and, with - for _, of files.
DRAWINGS = {
    "comparison": (
        "accuracy",
        "confusion",
        "reliability",
        "roc",
        "precision_recall",
        "map",
        "tree",
        "learning_curve",
    ),
    "test": ("accuracy", "confusion", "reliability", "roc", "precision_recall", "map", "tree"),
    "curve": ("learning_curve",),
    "duplicates": ("similarity",),
    "map": ("map",),
}


class Plots:
    """The drawings of a result: each draws on the axes given, or makes them, and returns them.

    >>> from evaluate import find_duplicates
    >>> from featurize import FeatureTable
    >>> table = FeatureTable.from_arrays({"x": [[1, 0], [0, 1], [2, 0.1]]})
    >>> axes = find_duplicates(table, "x").plot.similarity()
    >>> axes.get_xlabel()
    'similarity by x'
    """

    def __init__(self, found: Result):
        self._found = found

    def accuracy(self, ax: "Axes | None" = None) -> "Axes":
        """The accuracy of each pair of features and head, best first, with its 95 % interval."""
        return drawing_of(self._found, "accuracy").on(ax)

    def confusion(self, ax: "Axes | None" = None) -> "Axes":
        """What was taken for what, by the best pair or the model."""
        return drawing_of(self._found, "confusion").on(ax)

    def reliability(self, ax: "Axes | None" = None) -> "Axes":
        """Whether what is said with 80 % confidence is right 80 times in 100."""
        return drawing_of(self._found, "reliability").on(ax)

    def roc(self, ax: "Axes | None" = None) -> "Axes":
        """ROC curves, each label against the rest, and their mean."""
        return drawing_of(self._found, "roc").on(ax)

    def precision_recall(self, ax: "Axes | None" = None) -> "Axes":
        """Precision-recall curves, each label against the rest, and their mean."""
        return drawing_of(self._found, "precision_recall").on(ax)

    def map(self, ax: "Axes | None" = None) -> "Axes":
        """The photos that were tested, those with similar vectors near each other, and which are misclassified."""
        return drawing_of(self._found, "map").on(ax)

    def tree(self, ax: "Axes | None" = None) -> "Axes":
        """The tree of the labels, and where in it errors go another way than the true label."""
        return drawing_of(self._found, "tree").on(ax)

    def learning_curve(self, ax: "Axes | None" = None) -> "Axes":
        """Accuracy against images per label."""
        return drawing_of(self._found, "learning_curve").on(ax)

    def similarity(self, ax: "Axes | None" = None) -> "Axes":
        """How alike the pairs of near-duplicates are."""
        return drawing_of(self._found, "similarity").on(ax)


def drawings_of(found: Result) -> list[str]:
    """The names of the drawings that a result has."""
    names = DRAWINGS[found.kind]
    missing = set()
    if isinstance(found, ComparisonRecord) and found.learning_curve is None:
        missing.add("learning_curve")
    if isinstance(found, ComparisonRecord | TestRecord) and _tree_of(found) is None:
        missing.add("tree")
    return [name for name in names if name not in missing]


def _tree_of(found: ComparisonRecord | TestRecord) -> TreeScores | None:
    return found.best.taxonomy if isinstance(found, ComparisonRecord) else found.details.taxonomy


def drawing_of(found: Result, name: str) -> Drawing:
    """A drawing of a result by its name; UsageError if it has none of this name."""
    if name not in (known := drawings_of(found)):
        curve = name == "learning_curve" and isinstance(found, ComparisonRecord)
        more = "; compare(..., curve=True) measures a learning curve" if curve else ""
        raise UsageError(f"{found.kind}: there is no drawing {name}", f"it has {', '.join(known)}{more}")
    if name == "similarity" and isinstance(found, DuplicatesRecord):
        return similarity_drawing(found)
    if isinstance(found, CurveRecord):
        return curve_drawing(found)
    if isinstance(found, ComparisonRecord) and name == "learning_curve" and found.learning_curve:
        return curve_drawing(found.learning_curve)
    assert isinstance(found, ComparisonRecord | TestRecord)
    return _drawing_of_scores(found, name)


def _drawing_of_scores(found: ComparisonRecord | TestRecord, name: str) -> Drawing:
    scores: ResultRow | TestScores
    details: BestPair | TestDetails
    if isinstance(found, ComparisonRecord):
        scores, details = found.results[0], found.best
        predictions = found.predictions.of(scores.features, scores.head)
        rows = [(row.name, row.accuracy) for row in found.results]
    else:
        scores, details, predictions = found.scores, found.details, found.predictions
        rows = [(f"{found.model.head} on {found.model.features}", scores.accuracy_interval)]
        if scores.unseen:
            rows.append(
                (f"{scores.unseen.images} photos that it did not know", scores.unseen.accuracy_interval)
            )
    make: dict[str, Callable[[], Drawing]] = {
        "accuracy": partial(accuracy_drawing, rows),
        "confusion": partial(confusion_drawing, details.confusion),
        "reliability": partial(reliability_drawing, scores.reliability),
        "map": lambda: map_drawing(map_of(found)),
    }
    if details.taxonomy is not None:
        make["tree"] = partial(tree_drawing, details.taxonomy.nodes)
    if name in make:
        return make[name]()
    mean = scores.roc_auc if name == "roc" else scores.average_precision
    return ranking_drawing(ranking_curves(scores, predictions, name), name, mean, len(predictions.labels))


def figure_files(kind: str) -> list[str]:
    """The names of the files that `write_figures` may write of a kind of result."""
    return [f"{name.replace('_', '-')}.{suffix}" for name in DRAWINGS[kind] for suffix in SUFFIXES]


def write_figures(found: Result, folder: Location) -> None:
    """Write every drawing of a result as PNG (300 dpi), PDF and SVG into a folder, which is made if it is missing.

    The same data give the same bytes on one machine. Text is text in PDF and SVG.
    """
    check_folder(folder, figure_files(found.kind), FIGURE)
    write_drawings({name: drawing_of(found, name) for name in drawings_of(found)}, folder)
