"""What the report says: a comparison or a test as a list of titled sections, each with its template."""

import json
from typing import TYPE_CHECKING, Any

from evaluate.report.curve import curve_page
from evaluate.report.page import Page, Section
from evaluate.report.photos import Photos
from evaluate.report.scores import difference_sections, look_sections, score_sections, superclass_sections
from evaluate.text import interval_in_words, percent, sentence

if TYPE_CHECKING:
    from evaluate.comparison import Comparison
    from evaluate.curves import LearningCurve
    from evaluate.duplicates import Duplicates
    from evaluate.testing import TestResult

SHOWN_PHOTOS = 60


def page_of(result: "Comparison | TestResult | Duplicates | LearningCurve", photos: Photos) -> Page:
    """The page of a comparison, of a test, of a learning curve, or of the duplicates of a table."""
    from evaluate.duplicates import Duplicates
    from evaluate.report.duplicates import duplicates_page

    if isinstance(result, Duplicates):
        return duplicates_page(result, photos)
    content = result.to_dict()
    if content["kind"] == "curve":
        others = [
            *_warnings(content["warnings"]),
            Section("provenance", "Where the numbers come from", _provenance(content)),
        ]
        return curve_page(content, _subtitle(content["data"]), others)
    return _comparison(content, photos) if content["kind"] == "comparison" else _test(content, photos)


def _comparison(found: dict[str, Any], photos: Photos) -> Page:
    best, details = found["results"][0], found["best"]
    pair = f"{best['head']} on {best['features']}"
    n_images = found["data"]["images"]
    n_heads = sum(row["features"] == best["features"] for row in found["results"])
    sentences = [
        f"Of {len(found['results'])} pairs of features and head, {pair} is the best: "
        f"{interval_in_words(best['accuracy'])} of {n_images} photos right, each predicted by heads that were not "
        "trained on it.",
        *_about_labels(found["data"], details),
        *(sentence(one["words"]) for one in found["comparisons"]),
    ]
    sections = [
        Section("summary", "In words", {"sentences": sentences}),
        *_warnings(found["warnings"]),
        Section("comparison", "Comparison", {"results": found["results"], "axis": _axis(found["results"])}),
        *difference_sections(found["comparisons"]),
        Section("confusion", "Confusion", {"of": pair, **_confusion(details["confusion"])}),
        *superclass_sections(pair, details["superclasses"]),
        Section("labels", "Label by label", {"of": pair, **_by_label(best)}),
        *score_sections(pair, best),
        Section("misclassified", "Misclassified", {"of": pair, **_gallery(details["misclassified"], photos)}),
        *look_sections(details, best["features"], n_heads * found["folds"]["repeats"], photos),
        Section("provenance", "Where the numbers come from", _provenance(found)),
    ]
    return Page(
        "Comparison of features and heads", _subtitle(found["data"]), _figures(best, n_images), sections
    )


def _test(found: dict[str, Any], photos: Photos) -> Page:
    pair, n_images = f"{found['model']['head']} on {found['model']['features']}", found["data"]["images"]
    unseen = found["unseen"]
    sentences = [
        f"The model ({pair}) is right on {interval_in_words(found['accuracy_interval'])} of {n_images} test photos.",
        *_about_labels(found["data"], found),
    ]
    if unseen:
        seen_part = (
            f"{found['seen']} of them were in its training set"
            + (f" and {found['near']} nearly" if found["near"] else "")
            + f"; of the {unseen['images']} others it has "
        )
        sentences.insert(1, f"{seen_part}{interval_in_words(unseen['accuracy_interval'])} right.")
    row = {**found, "accuracy": found["accuracy_interval"]}
    sections = [
        Section("summary", "In words", {"sentences": sentences}),
        *_warnings(found["warnings"]),
        Section("confusion", "Confusion", {"of": pair, **_confusion(found["confusion"])}),
        *superclass_sections(pair, found["superclasses"]),
        Section("labels", "Label by label", {"of": pair, **_by_label(found)}),
        *score_sections(pair, found),
        Section("misclassified", "Misclassified", {"of": pair, **_gallery(found["misclassified"], photos)}),
        Section("provenance", "Where the numbers come from", _provenance(found)),
    ]
    return Page("Test of a model", _subtitle(found["data"]), _figures(row, n_images), sections)


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


def _about_labels(data: dict[str, Any], details: dict[str, Any]) -> list[str]:
    """The level that guessing reaches, and the label that is found worst, with what it is taken for."""
    commonest = max(data["labels"], key=lambda name: data["labels"][name])
    share = data["labels"][commonest] / data["images"]
    sentences = [f"Always answering {commonest}, the commonest label, would be right on {percent(share)} %."]
    tested = {name: scores for name, scores in details["per_label"].items() if scores["support"]}
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


def _axis(results: list[dict[str, Any]]) -> dict[str, float]:
    """The range of the interval plot: from a whole ten per cent below the lowest end up to 100 %."""
    return {
        "low": int(min(row["accuracy"]["low"] for row in results) * 10) / 10 if results else 0.0,
        "high": 1.0,
    }


def _confusion(confusion: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, counts in zip(confusion["labels"], confusion["matrix"], strict=True):
        total = sum(counts)
        cells = [{"count": count, "share": count / total if total else 0.0} for count in counts]
        rows.append({"label": name, "cells": cells, "total": total})
    return {"labels": confusion["labels"], "rows": rows}


def _by_label(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: scores[name] for name in ("per_label", "averages", "one_vs_rest")}


def _gallery(misclassified: list[dict[str, Any]], photos: Photos) -> dict[str, Any]:
    shown = [{**row, "thumbnail": photos.thumbnail(row["image"])} for row in misclassified[:SHOWN_PHOTOS]]
    missing = sum(row["thumbnail"] is None for row in shown)
    folder = str(photos.folder) if photos.folder is not None else None
    return {"shown": shown, "total": len(misclassified), "missing": missing, "folder": folder}


def _provenance(found: dict[str, Any]) -> dict[str, Any]:
    data = found["data"]
    facts = [("Data digest (SHA-256)", data["digest"])]
    if data["source"]:
        facts.append(("Photos", f"{data['source']['path']} ({data['source']['kind']})"))
    facts.append(("Images by label", ", ".join(f"{name} {count}" for name, count in data["labels"].items())))
    facts.append(("Groups that stay together", f"{data['groups']} of {data['images']} images"))
    if data["distorted"]:
        facts.append(("Distorted copies", f"{data['distorted']}, in training only"))
    if data["identical_images"]:
        facts.append(("Byte-identical images", str(data["identical_images"])))
    if "folds" in found:
        folds = found["folds"]
        again = f", divided {folds['repeats']} times" if folds["repeats"] > 1 else ""
        facts.append(("Folds", f"{folds['cv']}{again}; {folds['method']}"))
        facts.append(("Seed", str(found["seed"])))
    facts += [(name.capitalize(), text) for name, text in found["methods"].items()]
    facts.append(("Versions", ", ".join(f"{name} {number}" for name, number in found["versions"].items())))
    if found["command"]:
        facts.append(("Command", found["command"]))
    features = [(name, *_origin(entry)) for name, entry in found["features"].items()]
    return {"facts": facts, "features": features}


def _origin(entry: dict[str, Any] | None) -> tuple[list[tuple[str, str]], str]:
    """Of one column of vectors: the facts in short, and the whole description as JSON."""
    if not entry:
        return [("Origin", "not recorded in the table")], ""
    weights = entry.get("weights") or {}
    facts = [("Width", str(entry.get("width", ""))), ("Fingerprint", str(entry.get("fingerprint", "")))]
    if weights:
        facts.append(
            (
                "Weights",
                ", ".join(str(weights[key]) for key in ("source", "file", "sha256") if weights.get(key)),
            )
        )
    if entry.get("versions"):
        facts.append(
            ("Versions", ", ".join(f"{name} {number}" for name, number in entry["versions"].items()))
        )
    description = entry.get("description")
    return facts, json.dumps(description, indent=2, ensure_ascii=False, sort_keys=True) if description else ""
