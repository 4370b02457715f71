"""Results as plain text: aligned tables and sentences that a person would say."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from featurize.columns import columns_taken
from featurize.terminal import printable

if TYPE_CHECKING:
    from evaluate.studies.compare import Comparison
    from evaluate.studies.testing import TestResult
    from featurize.table import FeatureTable

SHOWN_MISTAKES = 10
INTERVALS = "intervals: Wilson on one prediction per photo, wider where folds share training photos"


def percent(share: float) -> str:
    """A share as a percentage with one decimal: 0.9083 is ``90.8``."""
    return f"{100 * share:.1f}"


def interval_in_words(interval: dict[str, float]) -> str:
    """``90.8 % (88.1 to 93.5)``."""
    return f"{percent(interval['mean'])} % ({percent(interval['low'])} to {percent(interval['high'])})"


def points_in_words(difference: float, low: float, high: float) -> str:
    """``31 points (27 to 35)``; with one decimal where the difference is below ten, and with more where an end would
    look like 0 and is not."""
    ends = [abs(end) for end in (low, high) if abs(end) >= 0.00001]
    digits = 0 if abs(difference) >= 0.0995 else 1
    while ends and 100 * min(ends) < 0.5 / 10**digits:
        digits += 1
    middle, *ends_as_text = (
        f"{round(100 * share, digits) + 0.0:.{digits}f}" for share in (difference, low, high)
    )
    return f"{middle} points ({ends_as_text[0]} to {ends_as_text[1]})"


def difference_in_words(comparison: dict[str, Any]) -> str:
    """One sentence: who beats whom by how many points, or that they cannot be told apart; and how probable it is.

    The three probabilities follow unless one of them is 99 % and says the same again.

    >>> difference_in_words({"compares": "features", "one": {"features": "inception_v3", "head": "svm"},
    ...     "other": {"features": "glcm", "head": "mlp"}, "difference": 0.31, "low": 0.27, "high": 0.35,
    ...     "p_value": 1e-6, "p_holm": 1e-5, "family": 10, "rope": 1.0, "verdict": "beats",
    ...     "probability": {"worse": 0.0, "same": 0.0, "better": 1.0}})
    'inception_v3 (svm) beats glcm (mlp) by 31 points (27 to 35)'
    """
    one, other = comparison["one"], comparison["other"]
    if comparison["compares"] == "features":
        names = [f"{side['features']} ({side['head']})" for side in (one, other)]
        where = ""
    else:
        names, where = [one["head"], other["head"]], f"on {one['features']}, "
    span = points_in_words(comparison["difference"], comparison["low"], comparison["high"])
    chances, verdict = comparison["probability"], comparison["verdict"]
    if verdict == "beats" and chances["better"] >= 0.99:
        return f"{where}{names[0]} beats {names[1]} by {span}"
    rope = f"within {comparison['rope']:g} point{'s' * (comparison['rope'] != 1)}"
    odds = (
        f"{100 * chances['better']:.0f} % better, {100 * chances['same']:.0f} % practically the same ({rope}), "
        f"{100 * chances['worse']:.0f} % worse"
    )
    if verdict == "beats":
        return f"{where}{names[0]} beats {names[1]} by {span}; {odds}"
    if verdict == "undecided":
        return f"{where}{names[0]} and {names[1]} cannot be told apart: the difference is {span}; {odds}"
    # Alone it would do; among many questions one such answer is to be expected from luck.
    alone = comparison["p_value"] < 0.05 <= comparison["p_holm"]
    why = (
        f"not settled among {comparison['family']} comparisons"
        if alone
        else "not settled for other training photos"
    )
    return f"{where}{names[0]} is ahead of {names[1]} on these photos by {span}, {why}; {odds}"


def sentence(words: str) -> str:
    """With a capital where the first word is ours (a name keeps its own spelling) and a full stop."""
    return ("On" + words[2:] if words.startswith("on ") else words) + "."


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table in columns; the first `left` columns start at the left, the others end at the right.

    Names of files and labels are shown as `featurize.terminal.printable` has them, so none breaks the table.
    """
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(columns_taken(line[i]) for line in lines) for i in range(len(header))]

    def padded(i: int, cell: str) -> str:
        blanks = " " * (widths[i] - columns_taken(cell))
        return cell + blanks if i < left else blanks + cell

    return "\n".join("  ".join(padded(i, c) for i, c in enumerate(line)).rstrip() for line in lines)


def comparison_as_text(found: "Comparison") -> str:
    """What `evaluate compare` prints: the table, the differences in words, the warnings."""
    from evaluate.curvetext import measured_as_text
    from evaluate.scoretext import best_in_words

    header = ["", "features", "head", "accuracy (95 % interval)", "macro F1", "log loss"]
    header += ["fit seconds", "ms/photo", "model kB"]
    rows = [
        [
            "*" if place == 0 else "",
            row["features"],
            row["head"],
            interval_in_words(row["accuracy"]),
            percent(row["macro_f1"]),
            f"{row['log_loss']:.3f}",
            f"{row['fit_seconds']:.2f}",
            f"{1000 * row['predict_seconds_per_image']:.2f}",
            "?" if row["model_bytes"] is None else f"{row['model_bytes'] / 1000:,.0f}",
        ]
        for place, row in enumerate(found.results)
    ]
    parts = [
        data_in_words(found.data, found.folds),
        aligned(header, rows, left=3) + f"\n* best; {INTERVALS}",
        _one_a_line(tuned_in_words(row) for row in found.results if row["tuned"]),
        _one_a_line(sentence(pair["words"]) for pair in found.comparisons),
        _one_a_line(best_in_words(found)),
        measured_as_text(found.learning_curve) if found.learning_curve else "",
        _warnings(found.warnings),
    ]
    return "\n\n".join(part for part in parts if part)


def tuned_in_words(row: dict[str, Any]) -> str:
    counts = {spec: row["tuned"].count(spec) for spec in dict.fromkeys(row["tuned"])}
    chosen = ", ".join(f"{spec} ({n})" for spec, n in sorted(counts.items(), key=lambda pair: -pair[1]))
    return f"{row['head']} on {row['features']} chose in {len(row['tuned'])} folds: {chosen}"


def data_in_words(data: dict[str, Any], folds: dict[str, Any]) -> str:
    """``750 photos, 5 labels; 5 folds, the same for all; 6 byte-identical photos kept together``."""
    text = f"{data['images']} photos"
    if data["distorted"]:
        text += f" and {data['distorted']} distorted copies (in training only)"
    text += f", {len(data['labels'])} labels; {folds['cv']} fold{'s' * (folds['cv'] != 1)}"
    if folds["repeats"] > 1:
        text += f", {folds['repeats']} times"
    text += ", the same for all"
    if folds["tested"] < data["images"]:
        text += f", which test {folds['tested']} photos"
    if data["identical_images"]:
        text += f"; {data['identical_images']} byte-identical photos kept together"
    if data["images"] - data["groups"] > data["identical_images"]:
        text += f"; photos of a group kept together ({data['groups']} groups)"
    return text


def test_as_text(found: "TestResult", shown_mistakes: int = SHOWN_MISTAKES) -> str:
    """What `evaluate test` prints: accuracy, scores by label, the surest mistakes, the warnings."""
    from evaluate.scoretext import confusion_as_text, labels_as_text, scores_in_words
    from evaluate.superclass import superclasses_in_words

    content = found.to_dict()
    lines = [
        f"accuracy {interval_in_words(content['accuracy_interval'])} on {content['data']['images']} photos; "
        "95 %, Wilson"
    ]
    if content["unseen"]:
        unseen = content["unseen"]
        lines.append(
            f"accuracy {interval_in_words(unseen['accuracy_interval'])} on the {unseen['images']} not seen in training"
            + (", nor nearly" if content["near"] else "")
            + (", nor in a group with one that was" if content["grouped"] else "")
        )
    lines += scores_in_words(content)
    if content["operating_point"]:
        lines.append(operating_point_in_words(content["operating_point"]))
    if content["superclasses"]:
        lines.append(superclasses_in_words(content["superclasses"]))
    parts = [
        _one_a_line(lines),
        labels_as_text(content),
        confusion_as_text(content["confusion"], content["confusion_percent"]),
    ]
    wrong = content["misclassified"]
    if wrong and shown_mistakes:
        shown = [
            [row["image"], row["label"], row["predicted"], percent(row["confidence"])]
            for row in wrong[:shown_mistakes]
        ]
        more = f" (the {shown_mistakes} surest)" if len(wrong) > shown_mistakes else ""
        table = aligned(["image", "label", "predicted", "confidence %"], shown, left=3)
        parts.append(f"{len(wrong)} misclassified{more}:\n{table}")
    parts.append(_warnings(content["warnings"]))
    return "\n\n".join(part for part in parts if part)


def operating_point_in_words(found: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{name} {'of nothing' if found[name] is None else percent(found[name]) + ' %'}"
        for name in ("sensitivity", "specificity", "precision")
    )
    return f"{found['positive']} is called from probability {found['threshold']:.4f} on ({found['rule']}): {shares}"


def split_as_text(table: "FeatureTable") -> str:
    """What `evaluate split` prints: photos by label and side."""
    photos = table.filter(table.variant == 0)
    sides = ("training", "validation", "testing")
    places = [
        (str(label) if label is not None else "no label", side)
        for label, side in zip(photos.label, photos.split, strict=True)
    ]
    counts = Counter(places)
    rows = [
        [label, *(str(counts[label, side]) for side in sides)]
        for label in sorted({label for label, _ in places})
    ]
    totals = [str(sum(counts[row[0], side] for row in rows)) for side in sides]
    return aligned(["label", *sides], [*rows, ["all", *totals]], left=1)


def _warnings(warnings: Sequence[str]) -> str:
    return _one_a_line(f"warning: {text}" for text in warnings)


def _one_a_line(sentences: Iterable[str]) -> str:
    return "\n".join(map(printable, sentences))
