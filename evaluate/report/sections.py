"""What the report says: a comparison, a test, a curve or duplicates as titled sections, each with its template."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from classify.rows import NUISANCE
from evaluate.provenance import DataFacts, versions
from evaluate.report.data_sentences import BYTES, duplicates_in_words, known_in_words
from evaluate.report.difference_sentences import differences_in_words
from evaluate.report.drawing import Drawing, as_svg
from evaluate.report.figures import (
    DRAWN_ROWS,
    accuracy_drawing,
    confused_pairs,
    confusion_drawing,
    curve_drawing,
    drawn_nodes,
    reliability_drawing,
    tree_drawing,
)
from evaluate.report.gallery import Glance, first_look, first_pairs, gallery_of, ids_of, mistakes_of
from evaluate.report.map import THUMBNAIL_BYTES_IN_REPORT, content_of, map_of
from evaluate.report.methods import features_of, methods_paragraph, statistical_methods
from evaluate.report.ranking_curves import ranking_curves, ranking_drawing
from evaluate.report.score_sentences import (
    curve_in_words,
    labels_in_words,
    no_better_than_guessing,
    tree_in_words,
    tuned_in_words,
)
from evaluate.report.words import count, interval_in_words, percent
from evaluate.results import (
    BestPair,
    ComparisonRecord,
    CurveMeasurements,
    CurveRecord,
    DuplicatesRecord,
    NearDuplicates,
    Result,
    ResultRow,
    TestDetails,
    TestRecord,
    TestScores,
)
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import Confusion
from evaluate.scores.mistakes import non_dummy_heads
from evaluate.statistics.hierarchy import TreeScores
from evaluate.statistics.intervals import Interval
from evaluate.statistics.per_group import PerGroup
from featurize.pages import Thumbnails

MATRIX_UP_TO = 25
SHOWN_CONFUSIONS = 40
SHOWN_BOTH_WAYS = 6
SHOWN_GROUPS = 60
SHOWN_CONFLICTS = 40
LISTED_PAIRS = 100
NAMED_LABELS = 10

Figure3 = tuple[str, str, str]  # what is measured, its value, and how to read it
Look = tuple[Sequence[Glance], str, str]  # photos, and the section of all with the words that lead there


@dataclass(frozen=True)
class Section:
    """A titled part of a page: `key` is its anchor and, without `template`, the name of its template."""

    key: str
    title: str
    content: Mapping[str, Any]
    template: str | None = None


@dataclass(frozen=True)
class Page:
    """A report: a title, what it is about, the figures that matter most, its sections, and photos to look at first."""

    title: str
    subtitle: str
    figures: list[Figure3]
    sections: list[Section] = field(default_factory=list)
    look: Look = ((), "", "")


def page_of(found: Result, photos: Thumbnails) -> Page:
    """The page of a comparison, of a test, of a learning curve, or of the duplicates of a table."""
    if isinstance(found, ComparisonRecord):
        return _comparison_page(found, photos)
    if isinstance(found, TestRecord):
        return _test_page(found, photos)
    return _curve_page(found) if isinstance(found, CurveRecord) else _duplicates_page(found, photos)


def _comparison_page(found: ComparisonRecord, photos: Thumbnails) -> Page:
    best, details, n_pairs = found.results[0], found.best, len(found.results)
    n_heads = len(
        non_dummy_heads((row.head, row.classifier) for row in found.results if row.features == best.features)
    )
    which = f"Of {n_pairs} pairs of features and head, {best.name} is the best" if n_pairs > 1 else best.name
    doubt = no_better_than_guessing(best, best.accuracy, f"The best, {best.name}")
    sentences = [
        *([doubt] if doubt else []),
        f"{which}: {interval_in_words(best.accuracy)} of {found.folds.tested} photos "
        "right, each predicted by heads that were not trained on it.",
        *labels_in_words(details.per_label, details.confusion),
        *differences_in_words(found.comparisons, found.folds),
    ]
    own = found.predictions.of(best.features, best.head)
    n_predictions = n_heads * found.folds.repeats
    gallery = gallery_of(best.name, found, photos, photos, (best.features, n_predictions))
    in_groups = found.data.groups < found.data.images
    differences = {"pairs": found.comparisons, "one_fold": found.folds.one, "in_groups": in_groups}
    curve = found.learning_curve
    sections = [
        _summary(sentences),
        *_warnings(found.warnings),
        _comparison(found.results),
        *([Section("differences", "Differences", differences)] if found.comparisons else []),
        _confusion(best.name, details.confusion, found.folds.repeats),
        *_gallery(best.name, details, gallery, n_predictions > 1),
        *_of_one_head(best.name, best, details, own),
        *_groups(found.per_group, found.folds.repeats),
        _map(found, photos, gallery),
        _twice(found.data, found.duplicates),
        Section(
            "shortcuts",
            "Shortcut check",
            {"found": found.shortcuts, "column": NUISANCE, "borders": found.borders},
        ),
        *(_curve_sections(curve, "Learning curve", curve_in_words(curve)) if curve else ()),
        *_origin(found),
    ]
    figures = _figures(best.accuracy, best, found.data.images)
    subtitle = _subtitle(found.data)
    return Page("Comparison of features and heads", subtitle, figures, sections, _look(gallery))


def _test_page(found: TestRecord, photos: Thumbnails) -> Page:
    scores, details, n_images = found.scores, found.details, found.data.images
    pair = f"{found.model.head} on {found.model.features}"
    accuracy = scores.accuracy_interval
    doubt = no_better_than_guessing(scores, accuracy, f"The model ({pair})")
    sentences = [f"The model ({pair}) is right on {interval_in_words(accuracy)} of {n_images} test photos."]
    sentences = [doubt, *sentences] if doubt else sentences
    if scores.unseen:
        right = interval_in_words(scores.unseen.accuracy_interval)
        sentences.append(
            f"{known_in_words(scores)}; of the {scores.unseen.images} others it has {right} right."
        )
    training = None if found.training is None else Thumbnails(found.training)
    gallery = gallery_of(pair, found, photos, training)
    sections = [
        _summary([*sentences, *labels_in_words(scores.per_label, details.confusion)]),
        *_warnings(found.warnings),
        _confusion(pair, details.confusion, 1),
        *_gallery(pair, details, gallery, False),
        *_of_one_head(pair, scores, details, found.predictions),
        *_groups(found.per_group),
        _map(found, photos, gallery),
        _twice(found.data, None, scores.near),
        *_origin(found),
    ]
    figures = _figures(accuracy, scores, n_images)
    return Page("Test of a model", _subtitle(found.data), figures, sections, _look(gallery))


def _curve_page(found: CurveRecord) -> Page:
    last, model = found.points[-1], found.model
    figures: list[Figure3] = [
        ("accuracy", f"{percent(last.accuracy.mean)} %", f"with {last.images_per_label} per label")
    ]
    for guess in found.guesses:
        name, value = f"with {guess.images_per_label} per label", f"{percent(guess.accuracy)} %"
        figures.append((name, value, "a guess, not a measurement"))
    first = (
        f"Trained on {last.images_per_label} images per label, {model.head} on {model.features} is right on "
        f"{interval_in_words(last.accuracy)} of other photos."
    )
    sections = [
        _summary([first, *curve_in_words(found)]),
        *_curve_sections(found, "Accuracy against images per label", ()),
        *_warnings(found.warnings),
        *_origin(found),
    ]
    return Page("Learning curve", _subtitle(found.data), figures, sections)


def _duplicates_page(found: DuplicatesRecord, photos: Thumbnails) -> Page:
    counts = found.counts
    same = "pairs in the same neighbourhood were compared"
    compared = "every pair was compared" if found.exact else same
    near = ("unknown", "no features of the table tell photos apart")
    if found.features:
        near = (str(counts.near), f"pairs with a similarity of {found.threshold:g} or more")
    figures = [
        ("byte-identical", str(counts.identical), "pairs of files with the same bytes"),
        ("near-identical", *near),
        ("conflicting labels", str(counts.conflict), "pairs; at least one label is wrong"),
        ("photos", str(counts.images), "in any pair"),
    ]
    content = {"found": found, "shown": found.pairs[:LISTED_PAIRS], "photos": photos}
    sections = [
        _summary(duplicates_in_words(found)),
        Section("duplicates", "Pairs", content),
        *_origin(found),
    ]
    subtitle = f"{found.images} photos by {found.features or BYTES}; {compared}"
    look = first_pairs(found.pairs[:LISTED_PAIRS], photos), "duplicates", count(len(found.pairs), "pair")
    return Page("Duplicates", subtitle, figures, sections, look)


def _subtitle(data: DataFacts) -> str:
    labels = list(data.labels)
    more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
    return f"{data.images} photos: {', '.join(labels[:8])}{more}"


def _figures(accuracy: Interval, scores: ResultRow | TestScores, n_images: int) -> list[Figure3]:
    interval = f"95 % interval {percent(accuracy.low)} to {percent(accuracy.high)}"
    return [
        ("accuracy", f"{percent(accuracy.mean)} %", interval),
        ("macro F1", f"{percent(scores.macro_f1)} %", "every label counts the same"),
        ("log loss", f"{scores.log_loss:.3f}", "0 is perfect"),
        ("photos", str(n_images), f"of {count(len(scores.per_label), 'label')}"),
    ]


def _summary(sentences: Sequence[str]) -> Section:
    return Section("summary", "In words", {"sentences": sentences, "style": "sentences"}, "lists")


def _warnings(warnings: Sequence[str]) -> list[Section]:
    content = {"sentences": warnings, "style": "warnings"}
    return [Section("warnings", "Before you believe it", content, "lists")] if warnings else []


def _comparison(results: Sequence[ResultRow]) -> Section:
    """Every pair of features and head, best first: its accuracy drawn, and its numbers in a table."""
    content = {
        "results": results,
        "n_drawn": min(DRAWN_ROWS, len(results)),
        "drawing": _svg(
            accuracy_drawing([(row.name, row.accuracy) for row in results], on_page=True),
            "accuracies",
            "Accuracies and their intervals",
        ),
        "tuned": [tuned_in_words(row) for row in results if row.tuned],
    }
    return Section("comparison", "Comparison", content)


def _svg(drawing: Drawing, name: str, label: str) -> Any:
    from markupsafe import Markup

    return Markup(as_svg(drawing, name, f"{label}, the numbers are in the table"))


def _of_one_head(
    of: str,
    scores: ResultRow | TestScores,
    details: BestPair | TestDetails,
    predictions: Predictions,
) -> list[Section]:
    """The scores of the best pair, or of a model."""
    drawing = _svg(reliability_drawing(scores.reliability), "reliability", "Accuracy against confidence")
    point = scores.operating_point if isinstance(scores, TestScores) else None
    across = {"of": of, "found": details.superclasses}
    return [
        *([Section("superclasses", "Super-classes", across)] if details.superclasses else []),
        *(_tree(of, details.taxonomy) if details.taxonomy else []),
        Section("labels", "Label by label", {"of": of, "scores": scores}),
        Section("scores", "All scores", {"of": of, "scores": scores, "point": point}),
        Section("reliability", "Reliability", {"of": of, "scores": scores, "drawing": drawing}),
        *_rankings(of, scores, predictions),
    ]


def _tree(of: str, found: TreeScores) -> list[Section]:
    """What is said of labels in a tree, the tree with the errors at its nodes, and numbers."""
    content = {
        "of": of,
        "found": found,
        "sentences": [f"{line[0].upper()}{line[1:]}." for line in tree_in_words(found)],
        "drawing": _svg(tree_drawing(found.nodes), "tree", "The tree of the labels and its errors"),
        "n_drawn": len(drawn_nodes(found.nodes)),
    }
    return [Section("tree", "Labels in a tree", content)]


def _rankings(of: str, scores: ResultRow | TestScores, predictions: Predictions) -> list[Section]:
    """ROC and precision-recall curves, where any label can be ranked."""
    kinds = {
        "roc": ("ROC curves", scores.roc_auc),
        "precision_recall": ("Precision and recall", scores.average_precision),
    }
    drawings = {}
    for kind, (title, mean) in kinds.items():
        if mean is not None:
            curves = ranking_curves(scores, predictions, kind)
            drawings[kind] = _svg(ranking_drawing(curves, kind, mean, len(predictions.labels)), kind, title)
    content = {"of": of, "drawings": drawings.values(), "labels": len(predictions.labels)}
    return [Section("rankings", "One label against the rest", content)] if drawings else []


def _confusion(of: str, confusion: Confusion, repeats: int) -> Section:
    return Section("confusion", "Confusion", _confused(of, confusion, repeats, "photo"))


def _confused(of: str, confusion: Confusion, repeats: int, unit: str) -> dict[str, Any]:
    """The confusion matrix; of more than 25 labels only the pairs that are confused most often."""
    names = confusion.labels
    pairs = confused_pairs(confusion)
    matrix = confusion.matrix if len(names) <= MATRIX_UP_TO else []
    content: dict[str, Any] = {"of": of, "labels": names, "matrix": matrix, "repeats": repeats}
    drawing = confusion_drawing(confusion, with_pairs=False)
    svg = "" if matrix else _svg(drawing, f"matrix-{unit}", "What was taken for what")
    content |= {"pairs": pairs[:SHOWN_CONFUSIONS], "total": len(pairs), "unit": unit, "drawing": svg}
    return content | {"both": _both_ways(confusion)[:SHOWN_BOTH_WAYS] if matrix and len(names) > 2 else []}


def _both_ways(confusion: Confusion) -> list[dict[str, Any]]:
    """Two labels, how often the first was taken for the second, and back; those that are confused most come first."""
    names, matrix = confusion.labels, confusion.matrix
    found: list[dict[str, Any]] = []
    for i, j in combinations(range(len(names)), 2):
        there, back, photos = matrix[i][j], matrix[j][i], sum(matrix[i]) + sum(matrix[j])
        if there or back:
            both = {"one": names[i], "other": names[j], "there": there, "back": back}
            found.append({**both, "count": there + back, "share": (there + back) / photos})
    return sorted(found, key=lambda one: -one["count"])


def _groups(found: PerGroup | None, repeats: int = 1) -> list[Section]:
    if found is None:
        return []
    best = found.results[0]
    confusion = _confused(f"{best.head} on {best.features}, per group", found.confusion, repeats, "group")
    content = {"found": found, "shown": found.misclassified[:SHOWN_GROUPS], "confusion": confusion}
    return [Section("groups", "Per group", content)]


def _gallery(
    of: str, details: BestPair | TestDetails, content: Mapping[str, Any], several: bool
) -> list[Section]:
    """Every photo that is worth a look once, and the mistakes as rows."""
    mistakes = Section("mistakes", "Mistakes as a table", mistakes_of(of, details, content, several))
    return [Section("gallery", "Photos to look at", content), *([mistakes] if details.misclassified else [])]


def _look(content: Mapping[str, Any]) -> Look:
    """What the top of the page shows of the gallery."""
    return (
        first_look(content),
        "gallery",
        f"{count(content['total'], 'mistake')}, and other photos to look at",
    )


def _map(found: ComparisonRecord | TestRecord, photos: Thumbnails, gallery: Mapping[str, Any]) -> Section:
    """The photos laid out by their vectors; those of the gallery are shown from there."""
    content = content_of(map_of(found), photos, THUMBNAIL_BYTES_IN_REPORT, ids_of(gallery))
    return Section("map", "Map of the photos", content)


def _twice(data: DataFacts, duplicates: NearDuplicates | None, of_training: int | None = None) -> Section:
    """Photos that are there twice, as far as was looked; the gallery shows them.

    `of_training` tested photos are nearly one of the training; None where that was not looked for.
    """
    content: dict[str, Any] = {"data": data, "found": duplicates, "of_training": of_training}
    content["conflicts"] = data.conflicting_labels[:SHOWN_CONFLICTS]
    return Section("twice", "Duplicates and conflicting labels", content)


def _curve_sections(
    found: CurveMeasurements | CurveRecord, title: str, sentences: Sequence[str]
) -> list[Section]:
    """What was measured, drawn and in numbers, under the sentences."""
    labels = list(found.points[-1].recall)
    named = labels if len(labels) <= NAMED_LABELS else []
    drawing = _svg(curve_drawing(found), "curve", "Accuracy against images per label")
    return [
        Section("curve", title, {"found": found, "sentences": sentences, "drawing": drawing}),
        Section("sizes", "The measurements of the curve", {"found": found, "named": named}),
    ]


def _origin(found: Result) -> list[Section]:
    """The methods paragraph; data, folds, seed, methods and versions; how the features were made; and this run.

    What differs between two runs on the same table stands in the last section alone.
    """
    features = []
    for name, made in features_of(found).items():
        described = (made or {}).get("description")
        text = json.dumps(described, indent=2, ensure_ascii=False, sort_keys=True) if described else ""
        features.append((name, made, text))
    content = {"found": found, "methods": statistical_methods(found), "versions": versions()}
    return [
        Section("methods", "Methods paragraph", methods_paragraph(found)),
        Section("provenance", "Where the numbers come from", {**content, "features": features}),
        Section("run", "This run", {"found": found, "rows": _timed(found)}),
    ]


def _timed(found: Result) -> list[tuple[str, str, float | None, float]]:
    """Features, head, seconds to fit one fold, and to predict a photo."""
    if isinstance(found, ComparisonRecord):
        return [
            (row.features, row.head, row.fit_seconds, row.predict_seconds_per_image) for row in found.results
        ]
    if isinstance(found, TestRecord):
        return [(found.model.features, found.model.head, None, found.scores.predict_seconds_per_image)]
    return []
