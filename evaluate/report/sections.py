"""What the report says: a comparison, a test, a curve or duplicates as titled sections, each with its template."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from classify.rows import NUISANCE
from evaluate.report.figures import DRAWN_ROWS, as_svg, draw_accuracies, draw_curve, draw_reliability
from evaluate.report.methods import features_of, methods_paragraph, statistical_methods
from evaluate.report.sentences import (
    BYTES,
    agree,
    count,
    curve_in_words,
    duplicates_in_words,
    interval_in_words,
    known_in_words,
    labels_in_words,
    missing_thumbnails_in_words,
    number,
    operating_point_in_words,
    percent,
    points_in_words,
    sentence,
    superclasses_in_words,
    tuned_in_words,
)
from evaluate.results import (
    BestPair,
    ComparisonRecord,
    CurveMeasurements,
    CurveRecord,
    DataFacts,
    DuplicatePair,
    DuplicatesRecord,
    NearDuplicates,
    Result,
    ResultRow,
    Shortcuts,
    TestRecord,
    TestScores,
    versions,
)
from evaluate.scores.metrics import Confusion, Scores
from evaluate.scores.mistakes import Mistake, SuperclassErrors, non_dummy_heads
from evaluate.scores.record import Record
from evaluate.statistics.differences import PairComparison
from evaluate.statistics.intervals import Interval
from featurize.pages import SMALL_PX, Thumbnails

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRIX_UP_TO = 25
SHOWN_CONFUSIONS = 40
SHOWN_PHOTOS = 60
SHOWN_LOOKS = 24
SHOWN_PAIRS = 12
SHOWN_CONFLICTS = 40
LISTED_PAIRS = 100
NAMED_LABELS = 10
TITLES = {"mcnemar": "McNemar", "comparison": "Differences", "family": "Words", "counted": "Without spread"}

Figure3 = tuple[str, str, str]  # what is measured, its value, and how to read it


@dataclass(frozen=True)
class Section:
    """A titled part of a page: `key` is its anchor and, without `template`, the name of its template."""

    key: str
    title: str
    content: Mapping[str, Any]
    template: str | None = None


@dataclass(frozen=True)
class Page:
    """A report: a title, what it is about, the figures that matter most, and its sections."""

    title: str
    subtitle: str
    figures: list[Figure3]
    sections: list[Section] = field(default_factory=list)


def page_of(found: Result, photos: Thumbnails) -> Page:
    """The page of a comparison, of a test, of a learning curve, or of the duplicates of a table."""
    if isinstance(found, ComparisonRecord):
        return _comparison_page(found, photos)
    if isinstance(found, TestRecord):
        return _test_page(found, photos)
    return _curve_page(found) if isinstance(found, CurveRecord) else _duplicates_page(found, photos)


# -- The four pages ----------------------------------------------------------------------------------------


def _comparison_page(found: ComparisonRecord, photos: Thumbnails) -> Page:
    best, details, n_pairs = found.results[0], found.best, len(found.results)
    n_heads = len(non_dummy_heads(row.head for row in found.results if row.features == best.features))
    which = f"Of {n_pairs} pairs of features and head, {best.name} is the best" if n_pairs > 1 else best.name
    sentences = [
        f"{which}: {interval_in_words(best.accuracy)} of {found.folds.tested} photos "
        "right, each predicted by heads that were not trained on it.",
        *labels_in_words(details.per_label, details.confusion),
        *(sentence(one.words) for one in found.comparisons),
    ]
    curve = found.learning_curve
    sections = [
        _summary(sentences),
        *_warnings(found.warnings),
        _comparison(found.results),
        *_differences(found.comparisons, found.folds.one),
        _confusion(best.name, details.confusion),
        *_superclasses(best.name, details.superclasses),
        _labels(best.name, best),
        _scores(best.name, best),
        _reliability(best.name, best),
        _misclassified(best.name, details.misclassified, photos, photos),
        *_looks(details, best.features, n_heads * found.folds.repeats, photos),
        _twice(found.data, found.duplicates, photos),
        _shortcuts(found.shortcuts),
        *(_curve_sections(curve, "Learning curve", curve_in_words(curve)) if curve else ()),
        *_origin(found),
    ]
    figures = _figures(best.accuracy, best, found.data.images)
    return Page("Comparison of features and heads", _subtitle(found.data), figures, sections)


def _test_page(found: TestRecord, photos: Thumbnails) -> Page:
    model, scores, details, n_images = found.model, found.scores, found.details, found.data.images
    pair = f"{model.head} on {model.features}"
    accuracy = scores.accuracy_interval
    sentences = [f"The model ({pair}) is right on {interval_in_words(accuracy)} of {n_images} test photos."]
    if scores.unseen:
        right = interval_in_words(scores.unseen.accuracy_interval)
        sentences.append(
            f"{known_in_words(scores)}; of the {scores.unseen.images} others it has {right} right."
        )
    training = None if found.training is None else Thumbnails(found.training)
    sections = [
        _summary([*sentences, *labels_in_words(scores.per_label, details.confusion)]),
        *_warnings(found.warnings),
        _confusion(pair, details.confusion),
        *_superclasses(pair, details.superclasses),
        _labels(pair, scores),
        _scores(pair, scores),
        _reliability(pair, scores),
        _misclassified(pair, details.misclassified, photos, training),
        _twice(found.data, None, photos),
        *_origin(found),
    ]
    return Page("Test of a model", _subtitle(found.data), _figures(accuracy, scores, n_images), sections)


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
    content = {
        "shown": _pairs(found.pairs[:LISTED_PAIRS], photos),
        "total": len(found.pairs),
        "features": found.features,
        "threshold": found.threshold,
    }
    if found.features:
        near = (str(counts.near), f"pairs with a similarity of {found.threshold:g} or more")
    else:
        near = ("unknown", "no features of the table tell photos apart")
    figures = [
        ("byte-identical", str(counts.identical), "pairs of files with the same bytes"),
        ("near-identical", *near),
        ("conflicting labels", str(counts.conflict), "pairs; at least one label is wrong"),
        ("photos", str(counts.images), "in any pair"),
    ]
    subtitle = f"{found.images} photos by {found.features or BYTES}; {compared}"
    sections = [
        _summary(duplicates_in_words(found)),
        Section("duplicates", "Pairs", content),
        *_origin(found),
    ]
    return Page("Duplicates", subtitle, figures, sections)


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
        ("photos", str(n_images), f"{1000 * scores.predict_seconds_per_image:.2g} ms each to predict"),
    ]


# -- In words ----------------------------------------------------------------------------------------------


def _list(key: str, title: str, **content: Any) -> Section:
    """Sentences, and photos below them."""
    empty = {"lead": "", "sentences": (), "style": "", "shown": (), "total": 0, "between": ""}
    return Section(key, title, empty | content, "lists")


def _summary(sentences: Sequence[str]) -> Section:
    return _list("summary", "In words", sentences=sentences)


def _warnings(warnings: Sequence[str]) -> list[Section]:
    found = _list("warnings", "Before you believe it", sentences=warnings, style="warnings")
    return [found] if warnings else []


# -- Numbers -----------------------------------------------------------------------------------------------


def _comparison(results: Sequence[ResultRow]) -> Section:
    """Every pair of features and head, best first: its accuracy drawn, and its numbers in a table."""
    content = {
        "results": results,
        "n_drawn": min(DRAWN_ROWS, len(results)),
        "drawing": _svg(draw_accuracies(results), "accuracies", "Accuracies and their intervals"),
        "tuned": [tuned_in_words(row) for row in results if row.tuned],
    }
    return Section("comparison", "Comparison", content)


def _svg(figure: "Figure", name: str, label: str) -> Any:
    from markupsafe import Markup

    return Markup(as_svg(figure, name, f"{label}, the numbers are in the table"))


def _differences(comparisons: Sequence[PairComparison], one_fold: bool) -> list[Section]:
    """Every comparison in numbers; nothing where there was none."""
    if not comparisons:
        return []
    rows = [
        {
            "one": f"{pair.one.head} on {pair.one.features}",
            "other": f"{pair.other.head} on {pair.other.features}",
            "difference": pair.difference,
            "span": points_in_words(pair.difference, pair.low, pair.high).replace(" points", ""),
            "p_value": pair.p_value,
            "p_holm": pair.p_holm,
            "chances": list(pair.probability.values()),
            "mcnemar": pair.mcnemar,
        }
        for pair in comparisons
    ]
    rope = comparisons[0].rope
    content = {
        "rows": rows,
        "family": count(len(rows), "comparison"),
        "rope": f"{rope:g} point{'s' * (rope != 1)}",
        "test": "t-test over the groups tested" if one_fold else "corrected test over the folds",
    }
    return [Section("differences", "Differences", content)]


def _confusion(of: str, confusion: Confusion) -> Section:
    """The confusion matrix; of more than 25 labels only the pairs that are confused most often."""
    names = confusion.labels
    rows: list[dict[str, Any]] = []
    for name, counts in zip(names, confusion.matrix, strict=True):
        total = sum(counts)
        cells = [{"count": n, "share": n / total if total else 0.0} for n in counts]
        rows.append({"label": name, "cells": cells, "total": total})
    mistaken = [
        {"label": row["label"], "predicted": other, "total": row["total"], **cell}
        for row in rows
        for other, cell in zip(names, row["cells"], strict=True)
        if other != row["label"] and cell["count"]
    ]
    mistaken.sort(key=lambda one: (-one["count"], one["label"], one["predicted"]))
    content = {
        "of": of,
        "labels": names,
        "rows": rows if len(names) <= MATRIX_UP_TO else [],
        "pairs": mistaken[:SHOWN_CONFUSIONS],
        "total": len(mistaken),
    }
    return Section("confusion", "Confusion", content)


def _superclasses(of: str, found: SuperclassErrors | None) -> list[Section]:
    """How many errors stay inside a super-class; nothing where none were given."""
    if not found:
        return []
    names = found.confusion.labels
    rows = [
        {"label": name, "counts": [(n, names[place] == name) for place, n in enumerate(counts)]}
        for name, counts in zip(names, found.confusion.matrix, strict=True)
    ]
    content = {"of": of, "words": superclasses_in_words(found), "accuracy": found.accuracy}
    return [Section("superclasses", "Super-classes", {**content, "labels": names, "rows": rows})]


def _labels(of: str, scores: Scores) -> Section:
    """Precision, recall, F1 and ranking by label, and their averages."""
    content = {"per_label": scores.per_label, "averages": scores.averages, "one_vs_rest": scores.one_vs_rest}
    return Section("labels", "Label by label", {"of": of, **content})


def _scores(of: str, scores: ResultRow | TestScores) -> Section:
    """Every score of one head, with how to read it."""
    rows = [
        ("Balanced accuracy", f"{percent(scores.balanced_accuracy)} %", "mean recall of the labels"),
        ("Macro F1", f"{percent(scores.macro_f1)} %", "every label counts the same"),
        ("Log loss", f"{scores.log_loss:.3f}", "0 is perfect; being sure and wrong costs most"),
        ("Brier score", f"{scores.brier:.3f}", "squared distance of the probabilities from the truth"),
        (
            "Expected calibration error",
            f"{scores.calibration_error:.3f}",
            "how far confidence and accuracy lie apart, in 15 bins",
        ),
        ("ROC AUC", number(scores.roc_auc), "one label against the rest, mean; 0.5 is guessing"),
        ("Average precision", number(scores.average_precision), "one label against the rest, mean"),
    ]
    rows += [
        (f"Top {k}", f"{percent(share)} %", f"the true label is among the {k} most probable")
        for k, share in scores.top_k.items()
    ]
    if scores.positive:
        found = scores.positive
        for name, share, meaning in (
            ("Sensitivity", found.sensitivity, f"of the photos that are {found.label}, found"),
            ("Specificity", found.specificity, f"of the photos that are not {found.label}, left alone"),
            ("Precision", found.precision, f"of the photos called {found.label}, rightly so"),
        ):
            rows.append((name, "unknown" if share is None else f"{percent(share)} %", meaning))
    point = scores.operating_point if isinstance(scores, TestScores) else None
    if point:
        rows.append(("Operating point", f"{point.threshold:.4f}", operating_point_in_words(point)))
    return Section("scores", "All scores", {"of": of, "rows": rows})


def _reliability(of: str, scores: Scores) -> Section:
    """Confidence against accuracy by bin, with how many photos each holds."""
    drawing = _svg(draw_reliability(scores.reliability), "reliability", "Accuracy against confidence")
    content = {"of": of, "error": scores.calibration_error, "bins": scores.reliability, "drawing": drawing}
    return Section("reliability", "Reliability", content)


def _curve_sections(
    found: CurveMeasurements | CurveRecord, title: str, sentences: Sequence[str]
) -> list[Section]:
    """What was measured, drawn and in numbers, under the sentences."""
    labels = list(found.points[-1].recall)
    named = labels if len(labels) <= NAMED_LABELS else []
    rows = [
        {
            "images_per_label": point.images_per_label,
            "accuracy": point.accuracy,
            "recall": [point.recall[name] for name in named],
            "words": interval_in_words(point.accuracy),
        }
        for point in found.points
    ]
    content = {
        "words": sentences,
        "guesses": found.guesses,
        "largest": found.points[-1].images_per_label,
        "drawing": _svg(draw_curve(found), "curve", "Accuracy against images per label"),
    }
    return [
        Section("curve", title, content),
        Section("sizes", "The measurements of the curve", {"labels": named, "rows": rows}),
    ]


# -- Photos ------------------------------------------------------------------------------------------------


def _misclassified(
    of: str, wrong: Sequence[Mistake], photos: Thumbnails, training: Thumbnails | None
) -> Section:
    """The most confident mistakes, each with the training photos that it resembles most.

    `training` finds those; None where the training photos are not known.
    """
    shown: list[dict[str, Any]] = []
    for one in wrong[:SHOWN_PHOTOS]:
        nearest = [
            {**near, "thumbnail": training.thumbnail(near.image, SMALL_PX)}
            for near in one.nearest or ()
            if training
        ]
        shown.append({**one, "thumbnail": photos.thumbnail(one.image), "nearest": nearest})
    n_missing = sum(one["thumbnail"] is None for one in shown)
    content = {
        "of": of,
        "shown": shown,
        "total": len(wrong),
        "missing": missing_thumbnails_in_words(n_missing) if n_missing else "",
        "folder": str(photos.folder) if photos.folder is not None else None,
        "with_nearest": any(one["nearest"] for one in shown),
    }
    return Section("misclassified", "Misclassified", content)


def _looks(best: BestPair, features: str, n_predictions: int, photos: Thumbnails) -> list[Section]:
    """The photos to inspect: wrong with every head, the hardest, and those whose labels may be wrong."""
    found = []
    if n_predictions > 1:
        n = len(best.wrong_every_time)
        lead = f"None: every photo was predicted right by some head on {features}."
        if n:
            lead = (
                f"On {features}, no head in any repeat got {_these(n)} right. Such a photo is unlike the others of its "
                "label, or carries a wrong label."
            )
        content = _gallery(best.wrong_every_time, "predicted", None, photos)
        found.append(_list("every", "Misclassified by every head", **content, lead=lead, between="taken for"))
    if best.misclassified:
        lead = (
            "The photos whose own label all heads and repeats together hold least probable, the hardest first; not all "
            "of them are misclassified."
        )
        content = _gallery(best.hardest, "predicted", "probability", photos)
        found.append(_list("hardest", "Hardest", **content, lead=lead, between="most like"))
    n, lead = len(best.label_suspects), "None: no label is contradicted with confidence."
    if n:
        lead = (
            f"A head trained on the other photos contradicts the label of {_these(n)} with confidence (confident "
            "learning). Inspect each: odd photos are suspected as well as wrong labels."
        )
    content = _gallery(best.label_suspects, "suggested", "probability", photos)
    return [*found, _list("suspects", "Labels worth a look", **content, lead=lead, between="or")]


def _these(n: int) -> str:
    return agree(n, "this photo", f"these {n} photos")


def _gallery(rows: Sequence[Record], other: str, share: str | None, photos: Thumbnails) -> dict[str, Any]:
    shown = [
        {
            "image": row["image"],
            "label": row["label"],
            "other": row[other],
            "share": row[share] if share else None,
            "thumbnail": photos.thumbnail(row["image"]),
        }
        for row in rows[:SHOWN_LOOKS]
    ]
    return {"shown": shown, "total": len(rows)}


def _pairs(pairs: Sequence[DuplicatePair], photos: Thumbnails) -> list[dict[str, Any]]:
    return [
        {**pair, "thumbnail": photos.thumbnail(pair.image), "other_thumbnail": photos.thumbnail(pair.other)}
        for pair in pairs
    ]


# -- What may flatter the numbers --------------------------------------------------------------------------


def _twice(data: DataFacts, duplicates: NearDuplicates | None, photos: Thumbnails) -> Section:
    """Photos that are there twice: as far as was looked, and with conflicting labels first."""
    conflicts = data.conflicting_labels
    content: dict[str, Any] = {
        "identical": data.identical_images,
        "hashed": data.hashed_images,
        "images": data.images,
        "conflicts": conflicts[:SHOWN_CONFLICTS],
        "total_conflicts": len(conflicts),
        "conflicts_in_words": f"{count(len(conflicts), 'photo')} {agree(len(conflicts), 'stands', 'stand')}",
        "searched": duplicates,
        "shown": [],
        "total": 0,
    }
    if duplicates:
        near, parted = duplicates.counts.near, duplicates.parted
        content |= {
            "shown": _pairs(duplicates.pairs[:SHOWN_PAIRS], photos),
            "total": duplicates.counts.identical + near,
            "near": f"{count(near, 'pair')} {agree(near, 'is', 'are')}" if near else "No pair is",
            "parted": f"{count(parted, 'photo')} {agree(parted, 'was', 'were')}" if parted else "None was",
        }
    return Section("twice", "Duplicates and conflicting labels", content)


def _shortcuts(found: Shortcuts | None) -> Section:
    """What camera, file and mean colours alone tell of the labels; or that nobody looked."""
    return Section("shortcuts", "Shortcut check", {"found": found, "column": NUISANCE})


# -- Where the numbers come from, and how to write so in a paper -------------------------------------------


def _origin(found: Result) -> list[Section]:
    """The methods paragraph; data, folds, seed, methods, versions and command; and how the features were made."""
    data = found.data
    facts = [("Data digest (SHA-256)", data.digest)]
    if data.source:
        facts.append(("Photos", f"{data.source['path']} ({data.source['kind']})"))
    if data.labels:
        facts.append(("Images by label", ", ".join(f"{name} {n}" for name, n in data.labels.items())))
    facts.append(("Groups that stay together", f"{data.groups} of {data.images} images"))
    if data.distorted:
        facts.append(("Distorted copies", f"{data.distorted}, in training only"))
    if data.identical_images:
        facts.append(("Byte-identical images", str(data.identical_images)))
    if isinstance(found, ComparisonRecord | CurveRecord):
        folds = found.folds
        again = f", divided {folds.repeats} times" if folds.repeats > 1 else ""
        facts += [("Folds", f"{folds.cv}{again}; {folds.method}"), ("Seed", str(found.seed))]
    facts += [
        (TITLES.get(name, name.capitalize()), text) for name, text in statistical_methods(found).items()
    ]
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions().items())))
    if found.command:
        facts.append(("Command", found.command))
    features = [(name, *_made(entry)) for name, entry in features_of(found).items()]
    return [
        Section("methods", "Methods paragraph", methods_paragraph(found)),
        Section("provenance", "Where the numbers come from", {"facts": facts, "features": features}),
    ]


def _made(entry: Mapping[str, Any] | None) -> tuple[list[tuple[str, str]], str]:
    """Of one column of vectors: the facts in short, and the whole description as JSON."""
    if not entry:
        return [("Origin", "not recorded in the table")], ""
    facts = [("Width", str(entry.get("width", ""))), ("Fingerprint", str(entry.get("fingerprint", "")))]
    weights, packages, description = (entry.get(key) or {} for key in ("weights", "versions", "description"))
    if weights:
        named = [str(weights[key]) for key in ("source", "file", "sha256") if weights.get(key)]
        facts.append(("Weights", ", ".join(named)))
    if packages:
        facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in packages.items())))
    text = json.dumps(description, indent=2, ensure_ascii=False, sort_keys=True) if description else ""
    return facts, text
