"""What the report says: a comparison, a test, a curve or duplicates as titled sections, each with its template."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from classify.rows import NUISANCE
from evaluate.report.figures import DRAWN_ROWS, MARGIN, NAMED_LABELS, SIDE, STRIP, drawing, round_down
from evaluate.report.methods import known_in_words
from evaluate.report.photos import SMALL_PX, Photos
from evaluate.report.text import (
    curve_in_words,
    interval_in_words,
    number,
    operating_point_in_words,
    percent,
    points_in_words,
    sentence,
    tuned_in_words,
)
from evaluate.scores.mistakes import looking, superclasses_in_words

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates
    from evaluate.studies.compare import Comparison
    from evaluate.studies.curve import LearningCurve
    from evaluate.studies.testing import TestResult


@dataclass(frozen=True)
class Section:
    """A titled part of a page: `key` is its anchor and the name of its template, `content` what it shows."""

    key: str
    title: str
    content: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A report: a title, what it is about, the figures that matter most, and its sections."""

    title: str
    subtitle: str
    figures: list[tuple[str, str, str]]
    sections: list[Section] = field(default_factory=list)


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


# -- Sections of the report in numbers beyond accuracy: all scores, differences, super-classes -----------


def score_sections(of: str, scores: Mapping[str, Any]) -> list[Section]:
    """Every score of one head, with how to read it."""
    rows = [
        ("Balanced accuracy", f"{percent(scores['balanced_accuracy'])} %", "mean recall of the labels"),
        ("Macro F1", f"{percent(scores['macro_f1'])} %", "every label counts the same"),
        ("Log loss", f"{scores['log_loss']:.3f}", "0 is perfect; being sure and wrong costs most"),
        ("Brier score", f"{scores['brier']:.3f}", "squared distance of the probabilities from the truth"),
        (
            "Expected calibration error",
            f"{scores['calibration_error']:.3f}",
            "how far confidence and accuracy lie apart, in 15 bins",
        ),
        ("ROC AUC", number(scores["roc_auc"]), "one label against the rest, mean; 0.5 is guessing"),
        ("Average precision", number(scores["average_precision"]), "one label against the rest, mean"),
    ]
    rows += [
        (f"Top {k}", f"{percent(share)} %", f"the true label is among the {k} most probable")
        for k, share in scores["top_k"].items()
    ]
    if "positive" in scores:
        found = scores["positive"]
        for name, meaning in (
            ("sensitivity", f"of the photos that are {found['label']}, found"),
            ("specificity", f"of the photos that are not {found['label']}, left alone"),
            ("precision", f"of the photos called {found['label']}, rightly so"),
        ):
            value = "unknown" if found[name] is None else f"{percent(found[name])} %"
            rows.append((name.capitalize(), value, meaning))
    point = scores.get("operating_point")
    if point:
        rows.append(("Operating point", f"{point['threshold']:.4f}", operating_point_in_words(point)))
    return [Section("scores", "All scores", {"of": of, "rows": rows})]


def difference_sections(comparisons: Sequence[Mapping[str, Any]], one_fold: bool) -> list[Section]:
    """Every comparison in numbers; nothing where there was none."""
    rows = [
        {
            "one": f"{pair['one']['head']} on {pair['one']['features']}",
            "other": f"{pair['other']['head']} on {pair['other']['features']}",
            "difference": pair["difference"],
            "span": points_in_words(pair["difference"], pair["low"], pair["high"]).replace(" points", ""),
            "p_value": pair["p_value"],
            "p_holm": pair["p_holm"],
            "chances": [pair["probability"][name] for name in ("worse", "same", "better")],
            "mcnemar": pair["mcnemar"],
        }
        for pair in comparisons
    ]
    if not rows:
        return []
    content = {
        "rows": rows,
        "family": len(rows),
        "rope": f"{comparisons[0]['rope']:g}",
        "test": "t-test over the groups tested" if one_fold else "corrected test over the folds",
    }
    return [Section("differences", "Differences", content)]


def superclass_sections(of: str, found: Mapping[str, Any] | None) -> list[Section]:
    """How many errors stay inside a super-class; nothing where none were given."""
    if not found:
        return []
    names, rows = found["confusion"]["labels"], found["confusion"]["matrix"]
    table = [
        {"label": name, "counts": list(zip(counts, (place == i for i in range(len(names))), strict=True))}
        for place, (name, counts) in enumerate(zip(names, rows, strict=True))
    ]
    content = {
        "of": of,
        "words": superclasses_in_words(found),
        "accuracy": found["accuracy"],
        "labels": names,
        "rows": table,
    }
    return [Section("superclasses", "Super-classes", content)]


# -- Sections about single labels: what is taken for what, and the scores of each ------------------------

MATRIX_UP_TO = 25
SHOWN_CONFUSIONS = 40


def confusion_section(of: str, confusion: Mapping[str, Any]) -> Section:
    """The confusion matrix; of more than 25 labels only the pairs that are confused most often."""
    names, matrix = confusion["labels"], confusion["matrix"]
    rows = []
    for name, counts in zip(names, matrix, strict=True):
        total = sum(counts)
        cells = [{"count": count, "share": count / total if total else 0.0} for count in counts]
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


def label_section(of: str, scores: Mapping[str, Any]) -> Section:
    """Precision, recall, F1 and ranking by label, and their averages."""
    content = {name: scores[name] for name in ("per_label", "averages", "one_vs_rest")}
    return Section("labels", "Label by label", {"of": of, **content})


# -- Sections of photos: the mistakes with what they resemble, and those that are worth a look -----------

SHOWN_PHOTOS = 60
SHOWN_LOOKS = 24


def misclassified_section(
    of: str, misclassified: Sequence[Mapping[str, Any]], photos: Photos, training: Photos | None
) -> Section:
    """The surest mistakes, each with its confidence and the training photos that it resembles most.

    `training` finds those; None where the training photos are not known.
    """
    shown = [
        {
            **row,
            "thumbnail": photos.thumbnail(row["image"]),
            "nearest": [
                {**one, "thumbnail": training.thumbnail(one["image"], SMALL_PX)}
                for one in row["nearest"] or ()
            ]
            if training
            else [],
        }
        for row in misclassified[:SHOWN_PHOTOS]
    ]
    content = {
        "of": of,
        "shown": shown,
        "total": len(misclassified),
        "missing": sum(row["thumbnail"] is None for row in shown),
        "folder": str(photos.folder) if photos.folder is not None else None,
        "with_nearest": any(row["nearest"] for row in shown),
    }
    return Section("misclassified", "Misclassified", content)


def look_sections(details: Mapping[str, Any], features: str, n_heads: int, photos: Photos) -> list[Section]:
    """The photos to look at: wrong with every head, the hardest, and those whose labels may be wrong."""
    found = []
    if n_heads > 1:
        looks = _looks(details["wrong_every_time"], "predicted", None, photos)
        found.append(Section("every", "Misclassified by every head", {"features": features, **looks}))
    if details["misclassified"]:
        looks = _looks(details["hardest"], "predicted", "probability", photos)
        found.append(Section("hardest", "Hardest", looks))
    looks = _looks(details["label_suspects"], "suggested", "probability", photos)
    found.append(Section("suspects", "Labels worth a look", looks))
    return found


def pairs_of(pairs: Sequence[Mapping[str, Any]], photos: Photos) -> list[dict[str, Any]]:
    """Pairs of photos, as `evaluate.checks.duplicates.Duplicates` lists them, with their thumbnails."""
    return [
        {
            **pair,
            "thumbnail": photos.thumbnail(pair["image"]),
            "other_thumbnail": photos.thumbnail(pair["other"]),
        }
        for pair in pairs
    ]


def _looks(
    rows: Sequence[Mapping[str, Any]], other: str, share: str | None, photos: Photos
) -> dict[str, Any]:
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


# -- Sections about what may flatter the numbers: the same photo twice, labels in conflict, shortcuts ----


SHOWN_PAIRS = 12
SHOWN_CONFLICTS = 40


def twice_section(data: Mapping[str, Any], duplicates: Mapping[str, Any] | None, photos: Photos) -> Section:
    """Photos that are there twice: as far as was looked, and with conflicting labels first."""
    conflicts = data["conflicting_labels"]
    content = {
        "identical": data["identical_images"],
        "hashed": data["hashed_images"],
        "images": data["images"],
        "searched": duplicates,
        "shown": pairs_of(duplicates["pairs"][:SHOWN_PAIRS], photos) if duplicates else [],
        "total": duplicates["counts"]["identical"] + duplicates["counts"]["near"] if duplicates else 0,
        "conflicts": conflicts[:SHOWN_CONFLICTS],
        "total_conflicts": len(conflicts),
    }
    return Section("twice", "Duplicates and conflicting labels", content)


def shortcut_section(shortcuts: Mapping[str, Any] | None) -> Section:
    """What camera, file and mean colours alone tell of the labels; or that nobody looked."""
    return Section("shortcuts", "Shortcut check", {"found": shortcuts, "column": NUISANCE})


# -- The page of `evaluate duplicates`: the pairs, photo beside photo ------------------------------------


LISTED_PAIRS = 100
BYTES = "their bytes alone"


def duplicates_page(found: Mapping[str, Any], photos: Photos) -> Page:
    """Title, counts and pairs of what `find_duplicates` found."""
    counts, pairs = found["counts"], found["pairs"]
    compared = (
        "every pair was compared" if found["exact"] else "pairs in the same neighbourhood were compared"
    )
    by = found["features"] or BYTES
    content = {
        "shown": pairs_of(pairs[:LISTED_PAIRS], photos),
        "total": len(pairs),
        "features": found["features"],
        "threshold": found["threshold"],
    }
    return Page(
        "Duplicates",
        f"{found['images']} photos by {by}; {compared}",
        [
            ("byte-identical", str(counts["identical"]), "pairs of files with the same bytes"),
            (
                "near-identical",
                str(counts["near"]) if found["features"] else "unknown",
                f"pairs with a similarity of {found['threshold']:g} or more"
                if found["features"]
                else "no features of the table tell photos apart",
            ),
            ("conflicting labels", str(counts["conflict"]), "pairs; at least one label is wrong"),
            ("photos", str(counts["images"]), "in any pair"),
        ],
        [
            Section("summary", "In words", {"sentences": _sentences(found)}),
            Section("duplicates", "Pairs", content),
            methods_section(found),
            provenance_section(found),
        ],
    )


def _sentences(found: Mapping[str, Any]) -> list[str]:
    counts, pairs = found["counts"], found["pairs"]
    if not pairs:
        return [
            f"None of the {found['images']} photos is there twice, as far as {found['features'] or BYTES} can tell."
        ]
    share = 100 * counts["images"] / found["images"]
    sentences = [f"{counts['images']} of the {found['images']} photos ({share:.1f} %) are in a pair."]
    if counts["conflict"]:
        carry = "1 pair carries" if counts["conflict"] == 1 else f"{counts['conflict']} pairs carry"
        sentences.append(
            f"{carry} two labels: at least one of them is wrong, or the photos are not the same after all."
        )
    sentences.append(
        "A photo whose twin is in the training set is recognised rather than classified: "
        "--group-duplicates keeps them on one side."
    )
    return sentences


# -- Where the numbers of a report come from, and how to write so in a paper -----------------------------

TITLES = {"mcnemar": "McNemar", "comparison": "Differences", "family": "Words", "counted": "Without spread"}


def provenance_section(found: Mapping[str, Any]) -> Section:
    """Data, folds, seed, statistical methods, versions and command; and per features how they were made."""
    data = found["data"]
    facts = [("Data digest (SHA-256)", data["digest"])]
    if data["source"]:
        facts.append(("Photos", f"{data['source']['path']} ({data['source']['kind']})"))
    if data["labels"]:
        counts = ", ".join(f"{name} {count}" for name, count in data["labels"].items())
        facts.append(("Images by label", counts))
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
    facts += [(TITLES.get(name, name.capitalize()), text) for name, text in found.get("methods", {}).items()]
    facts.append(("Versions", ", ".join(f"{name} {number}" for name, number in found["versions"].items())))
    if found["command"]:
        facts.append(("Command", found["command"]))
    described = found["described"] if found["kind"] == "duplicates" else found["features"]
    features = [(name, *_origin(entry)) for name, entry in described.items()]
    content = {"facts": facts, "features": features}
    return Section("provenance", "Where the numbers come from", content)


def methods_section(found: Mapping[str, Any]) -> Section:
    """The paragraph for a paper, with its references."""
    return Section("methods", "Methods paragraph", found["methods_paragraph"])


def _origin(entry: Mapping[str, Any] | None) -> tuple[list[tuple[str, str]], str]:
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


def comparison_section(results: Sequence[Mapping[str, Any]]) -> Section:
    """Every pair of features and head, best first: its accuracy drawn, and its numbers in a table."""
    low = round_down(min(row["accuracy"]["low"] for row in results))
    ticks = [share / 100 for share in range(round(100 * low), 101, 20 if low < 0.4 else 10)]
    drawn = [
        {
            "features": row["features"],
            "head": row["head"],
            **row["accuracy"],
            "at": {name: (share - low) / (1 - low) for name, share in row["accuracy"].items()},
        }
        for row in results[:DRAWN_ROWS]
    ]
    content = {
        "results": results,
        "drawn": drawn,
        "ticks": [{"at": (share - low) / (1 - low), "text": f"{100 * share:.0f}"} for share in ticks],
        "tuned": [tuned_in_words(dict(row)) for row in results if row["tuned"]],
    }
    return Section("comparison", "Comparison", content)


def reliability_section(of: str, scores: Mapping[str, Any]) -> Section:
    """Confidence against accuracy by bin, with how many photos each holds."""
    bins = scores["reliability"]
    most = max(one["images"] for one in bins)
    side = SIDE - MARGIN

    def x(share: float) -> float:
        return MARGIN + share * side

    def y(share: float) -> float:
        return 10 + (1 - share) * side

    content = {
        "of": of,
        "error": scores["calibration_error"],
        "bins": bins,
        "width": MARGIN + side + 12,
        "height": 10 + side + STRIP + 34,
        "ideal": {"x1": x(0), "y1": y(0), "x2": x(1), "y2": y(1)},
        "ticks": [
            {"x": x(share), "y": y(share), "text": f"{100 * share:.0f}"}
            for share in (0, 0.2, 0.4, 0.6, 0.8, 1)
        ],
        "floor": 10 + side + STRIP,
        "marks": [
            {
                "x": x(one["confidence"]),
                "y": y(one["accuracy"]),
                # The area tells how many photos stand behind a dot.
                "r": 2.5 + 7.5 * math.sqrt(one["images"] / most),
                "left": x(one["low"]) + 1,
                "width": max(0.0, x(one["high"]) - x(one["low"]) - 2),
                "tall": max(1.0, (STRIP - 16) * one["images"] / most),
                "images": one["images"],
            }
            for one in bins
        ],
    }
    return Section("reliability", "Reliability", content)


def curve_sections(found: Mapping[str, Any], title: str, words: Sequence[str]) -> list[Section]:
    """What was measured, drawn and in numbers, under the sentences `words`."""
    labels = list(found["points"][-1]["recall"])
    named = labels if len(labels) <= NAMED_LABELS else []
    rows = [
        {
            **point,
            "recall": [point["recall"][name] for name in named],
            "words": interval_in_words(point["accuracy"]),
        }
        for point in found["points"]
    ]
    return [
        Section("curve", title, {"words": words, **drawing(found)}),
        Section("sizes", "The measurements of the curve", {"labels": named, "rows": rows}),
    ]


def curve_page(found: Mapping[str, Any], subtitle: str, others: list[Section]) -> Page:
    """The whole page; `others` are the sections that every report has."""
    last = found["points"][-1]
    figures = [
        ("accuracy", f"{percent(last['accuracy']['mean'])} %", f"with {last['images_per_label']} per label"),
        *(
            (
                f"with {guess['images_per_label']} per label",
                f"{percent(guess['accuracy'])} %",
                "a guess, not a measurement",
            )
            for guess in found["guesses"]
        ),
    ]
    first = (
        f"Trained on {last['images_per_label']} images per label, {found['model']['head']} on "
        f"{found['model']['features']} is right on {interval_in_words(last['accuracy'])} of other photos."
    )
    summary = Section("summary", "In words", {"sentences": [first, *curve_in_words(dict(found))]})
    sections = [summary, *curve_sections(found, "Accuracy against images per label", ()), *others]
    return Page("Learning curve", subtitle, figures, sections)
