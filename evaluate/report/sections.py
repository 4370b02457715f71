"""What the report says: a comparison, a test, a curve or duplicates as titled sections, each with its template."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evaluate.curvetext import curve_in_words
from evaluate.report.checks import shortcut_section, twice_section
from evaluate.report.curve import curve_page, curve_sections
from evaluate.report.duplicates import duplicates_page
from evaluate.report.figures import comparison_section, reliability_section
from evaluate.report.galleries import look_sections, misclassified_section
from evaluate.report.labels import confusion_section, label_section
from evaluate.report.methods import known_in_words
from evaluate.report.page import Page, Section
from evaluate.report.photos import Photos
from evaluate.report.provenance import methods_section, provenance_section
from evaluate.report.scores import difference_sections, score_sections, superclass_sections
from evaluate.report.text import interval_in_words, percent, sentence
from evaluate.scores.mistakes import looking

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates
    from evaluate.studies.compare import Comparison
    from evaluate.studies.curve import LearningCurve
    from evaluate.studies.testing import TestResult


def page_of(result: "Comparison | TestResult | Duplicates | LearningCurve", photos: Photos) -> Page:
    """The page of a comparison, of a test, of a learning curve, or of the duplicates of a table."""
    found = result.to_dict()
    if found["kind"] == "duplicates":
        return duplicates_page(found, photos)
    if found["kind"] == "curve":
        others = [*_warnings(found["warnings"]), methods_section(found), provenance_section(found)]
        return curve_page(found, _subtitle(found["data"]), others)
    if found["kind"] == "comparison":
        return _comparison(found, photos)
    training = getattr(result, "training", None)
    return _test(found, photos, None if training is None else Photos(training))


def _comparison(found: dict[str, Any], photos: Photos) -> Page:
    best, details = found["results"][0], found["best"]
    pair = f"{best['head']} on {best['features']}"
    n_heads = len(looking(row["head"] for row in found["results"] if row["features"] == best["features"]))
    n_pairs = len(found["results"])
    which = f"Of {n_pairs} pairs of features and head, {pair} is the best" if n_pairs > 1 else pair
    sentences = [
        f"{which}: {interval_in_words(best['accuracy'])} of {found['folds']['tested']} photos "
        "right, each predicted by heads that were not trained on it.",
        *_about_labels(details),
        *(sentence(one["words"]) for one in found["comparisons"]),
    ]
    sections = [
        Section("summary", "In words", {"sentences": sentences}),
        *_warnings(found["warnings"]),
        comparison_section(found["results"]),
        *difference_sections(found["comparisons"], found["folds"]["cv"] * found["folds"]["repeats"] == 1),
        confusion_section(pair, details["confusion"]),
        *superclass_sections(pair, details["superclasses"]),
        label_section(pair, best),
        *score_sections(pair, best),
        reliability_section(pair, best),
        misclassified_section(pair, details["misclassified"], photos, photos),
        *look_sections(details, best["features"], n_heads * found["folds"]["repeats"], photos),
        twice_section(found["data"], found["duplicates"], photos),
        shortcut_section(found["shortcuts"]),
        *_curve(found.get("learning_curve")),
        methods_section(found),
        provenance_section(found),
    ]
    figures = _figures(best, found["data"]["images"])
    return Page("Comparison of features and heads", _subtitle(found["data"]), figures, sections)


def _test(found: dict[str, Any], photos: Photos, training: Photos | None) -> Page:
    pair, n_images = f"{found['model']['head']} on {found['model']['features']}", found["data"]["images"]
    unseen = found["unseen"]
    sentences = [
        f"The model ({pair}) is right on {interval_in_words(found['accuracy_interval'])} of {n_images} test photos.",
        *_about_labels(found),
    ]
    if unseen:
        others = (
            f"of the {unseen['images']} others it has {interval_in_words(unseen['accuracy_interval'])} right"
        )
        sentences.insert(1, f"{known_in_words(found)}; {others}.")
    row = {**found, "accuracy": found["accuracy_interval"]}
    sections = [
        Section("summary", "In words", {"sentences": sentences}),
        *_warnings(found["warnings"]),
        confusion_section(pair, found["confusion"]),
        *superclass_sections(pair, found["superclasses"]),
        label_section(pair, found),
        *score_sections(pair, found),
        reliability_section(pair, found),
        misclassified_section(pair, found["misclassified"], photos, training),
        twice_section(found["data"], None, photos),
        methods_section(found),
        provenance_section(found),
    ]
    return Page("Test of a model", _subtitle(found["data"]), _figures(row, n_images), sections)


def _curve(found: Mapping[str, Any] | None) -> list[Section]:
    return curve_sections(found, "Learning curve", curve_in_words(dict(found))) if found else []


def _subtitle(data: dict[str, Any]) -> str:
    labels = list(data["labels"])
    shown = ", ".join(labels[:8]) + (f" and {len(labels) - 8} more" if len(labels) > 8 else "")
    return f"{data['images']} photos: {shown}"


def _figures(row: dict[str, Any], n_images: int) -> list[tuple[str, str, str]]:
    """What is measured, its value, and how to read it."""
    low, high = percent(row["accuracy"]["low"]), percent(row["accuracy"]["high"])
    return [
        ("accuracy", f"{percent(row['accuracy']['mean'])} %", f"95 % interval {low} to {high}"),
        ("macro F1", f"{percent(row['macro_f1'])} %", "every label counts the same"),
        ("log loss", f"{row['log_loss']:.3f}", "0 is perfect"),
        ("photos", str(n_images), f"{1000 * row['predict_seconds_per_image']:.2g} ms each to predict"),
    ]


def _about_labels(details: dict[str, Any]) -> list[str]:
    """The level that guessing reaches, and the label that is found worst, with what it is taken for."""
    tested = {name: scores for name, scores in details["per_label"].items() if scores["support"]}
    commonest = max(tested, key=lambda name: tested[name]["support"])
    share = tested[commonest]["support"] / sum(scores["support"] for scores in tested.values())
    sentences = [f"Always answering {commonest}, the commonest label, would be right on {percent(share)} %."]
    worst = min(tested, key=lambda name: tested[name]["recall"])
    if tested[worst]["recall"] < 1.0:
        names, matrix = details["confusion"]["labels"], details["confusion"]["matrix"]
        row = matrix[names.index(worst)]
        wrong = {name: count for name, count in zip(names, row, strict=True) if name != worst}
        sentences.append(
            f"Hardest to find is {worst}: {percent(tested[worst]['recall'])} % of its photos are found, and what is "
            f"missed is most often taken for {max(wrong, key=lambda name: wrong[name])}."
        )
    return sentences


def _warnings(warnings: list[str]) -> list[Section]:
    return [Section("warnings", "Before you believe it", {"warnings": warnings})] if warnings else []
