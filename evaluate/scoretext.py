"""Scores, confusion and mistakes in plain text, for `evaluate compare` and `evaluate test`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluate.report.text import aligned, percent
from evaluate.scores.mistakes import looking
from evaluate.superclass import superclasses_in_words

if TYPE_CHECKING:
    from evaluate.studies.compare import Comparison
    from evaluate.studies.testing import TestResult

CONFUSION_COLUMNS = 12
MANY_SUSPECTS = 0.15  # a weak head contradicts labels for its own faults


def scores_in_words(scores: Mapping[str, Any]) -> list[str]:
    """The scores of all labels together, on two or three lines."""
    lines = [
        f"balanced accuracy {percent(scores['balanced_accuracy'])} %, macro F1 {percent(scores['macro_f1'])} %, "
        f"ROC AUC {number(scores['roc_auc'])}, average precision {number(scores['average_precision'])}",
        f"log loss {scores['log_loss']:.3f}, Brier score {scores['brier']:.3f}, "
        f"calibration error {scores['calibration_error']:.3f}"
        + "".join(f", top {k} {percent(share)} %" for k, share in scores["top_k"].items()),
    ]
    if "positive" in scores:
        lines.append(positive_in_words(scores["positive"]))
    return lines


def positive_in_words(found: Mapping[str, Any]) -> str:
    """``ill: sensitivity 75.0 %, specificity 83.3 %, precision 75.0 %``."""
    parts = [
        f"{name} {percent(found[name]) + ' %' if found[name] is not None else 'unknown'}"
        for name in ("sensitivity", "specificity", "precision")
    ]
    return f"{found['label']}: {', '.join(parts)}"


def number(value: float | None) -> str:
    """Three decimals, or ``unknown``."""
    return "unknown" if value is None else f"{value:.3f}"


def labels_as_text(scores: Mapping[str, Any]) -> str:
    """Precision, recall and F1 by label, and their averages."""
    rows = [
        [name, percent(s["precision"]), percent(s["recall"]), percent(s["f1"]), str(s["support"])]
        for name, s in scores["per_label"].items()
    ]
    for name, s in scores["averages"].items():
        rows.append([f"{name} average", percent(s["precision"]), percent(s["recall"]), percent(s["f1"]), ""])
    return aligned(["label", "precision %", "recall %", "F1 %", "photos"], rows, left=1)


def confusion_as_text(confusion: Mapping[str, Any], shares: Sequence[Sequence[float]]) -> str:
    """Counts, with per cent of the row behind; where there are too many labels for a line, where to look instead."""
    labels = confusion["labels"]
    if len(labels) > CONFUSION_COLUMNS:
        return f"The confusion of {len(labels)} labels is too wide to print; see --report or --json."
    rows = [
        [name, *(f"{count} ({share:.0f} %)" for count, share in zip(counts, row, strict=True))]
        for name, counts, row in zip(labels, confusion["matrix"], shares, strict=True)
    ]
    return aligned(["true \\ predicted", *labels], rows, left=1)


def best_in_words(found: "Comparison") -> list[str]:
    """What there is to say of the best result beyond its accuracy, one sentence each."""
    row, best = found.results[0], found.best
    heads = looking(one["head"] for one in found.results if one["features"] == row["features"])
    n_predictions = found.folds["repeats"] * len(heads)
    lines = []
    if "positive" in row:
        lines.append(f"{row['head']} on {row['features']}, {positive_in_words(row['positive'])}.")
    if best["superclasses"]:
        words = superclasses_in_words(best["superclasses"])
        lines.append(f"{row['head']} on {row['features']}: {words}.")
    every, suspects = len(best["wrong_every_time"]), len(best["label_suspects"])
    if n_predictions > 1 and every:
        lines.append(f"Misclassified by every head and repeat on {row['features']}: {every}; look at them.")
    if suspects > MANY_SUSPECTS * found.folds["tested"]:
        lines.append(
            f"The best head contradicts {suspects} labels of {found.folds['tested']}: too many to be looked at; a "
            "better head, or better features, would point at fewer."
        )
    elif suspects:
        lines.append(f"Labels that the best head contradicts with confidence: {suspects}; look at them.")
    return lines


def mistakes_as_text(result: "Comparison | TestResult") -> str:
    """What `--misclassified` prints: every misclassified image, and for a comparison the other lists."""
    content = result.to_dict()
    details = content.get("best", content)
    parts = [
        _listed(
            "misclassified, the surest first",
            details["misclassified"],
            ("image", "label", "predicted", "confidence"),
        )
    ]
    if "best" in content:
        parts += [
            _listed(
                "misclassified by every head and repeat",
                details["wrong_every_time"],
                ("image", "label", "predicted"),
            ),
            _listed(
                "hardest: the true label is least probable over all heads",
                details["hardest"],
                ("image", "label", "predicted", "probability"),
            ),
            _listed(
                "label suspects: look at them, a label or the photo may be odd",
                details["label_suspects"],
                ("image", "label", "suggested", "probability"),
            ),
        ]
    return "\n\n".join(parts)


def _listed(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return f"{title}: none"
    shown = [
        [f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in columns]
        for row in rows
    ]
    return f"{title} ({len(rows)}):\n{aligned(columns, shown, left=3)}"
