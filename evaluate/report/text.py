"""Results as plain text: aligned tables and sentences that a person would say."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluate.scores.mistakes import looking, superclasses_in_words
from featurize.terminal import columns_taken, printable

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates
    from evaluate.studies.compare import Comparison
    from evaluate.studies.curve import LearningCurve
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


def pair_in_words(pair: dict[str, Any], one_fold: bool) -> str:
    """`difference_in_words`, and whether photos were counted for want of a spread over folds."""
    counted = f" (the same in every {'group tested' if one_fold else 'fold'}, so photos were counted)"
    return difference_in_words(pair) + counted * pair["same_in_every_fold"]


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
    from evaluate.scores.mistakes import superclasses_in_words

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


# -- Scores, confusion and mistakes in plain text, for `evaluate compare` and `evaluate test` ------------


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


# -- The learning curve in plain text --------------------------------------------------------------------


CLEAR_GAIN = 0.01
SHOWN_LABELS = 10


def curve_as_text(found: "LearningCurve") -> str:
    """What `evaluate curve` prints: the sizes, the guesses, and which labels gain most from more photos."""
    parts = [
        data_in_words(found.data, found.folds),
        measured_as_text(found.to_dict()),
        "\n".join(f"warning: {text}" for text in found.warnings),
    ]
    return "\n\n".join(part for part in parts if part)


def measured_as_text(found: dict[str, Any]) -> str:
    """The head and the features, a table of the sizes, and the guesses."""
    labels = list(found["points"][-1]["recall"])
    shown = labels if len(labels) <= SHOWN_LABELS else []
    rows = [
        [
            str(point["images_per_label"]),
            interval_in_words(point["accuracy"]),
            *(percent(point["recall"][name]) for name in shown),
        ]
        for point in found["points"]
    ]
    header = ["images per label (mean)", "accuracy (95 % interval)", *(f"{name} %" for name in shown)]
    title = f"{found['model']['head']} on {found['model']['features']} with ever more images per label"
    return "\n\n".join([f"{title}\n{aligned(header, rows, left=0)}", "\n".join(curve_in_words(found))])


def curve_in_words(found: dict[str, Any]) -> list[str]:
    """Sentences on what more photos may bring; every number beyond the measured sizes is called a guess."""
    if not found["fit"]:
        return ["Four sizes or more are needed to say what more photos may bring."]
    sentences = [
        f"A guess: with {guess['images_per_label']} images per label {percent(guess['accuracy'])} % "
        f"({percent(guess['low'])} to {percent(guess['high'])})."
        for guess in found["guesses"]
    ]
    gains = {name: gain for name, gain in found["gains"].items() if gain and gain["gain"] >= CLEAR_GAIN}
    if not gains:
        return [*sentences, "A guess: no label gains a point from twice as many photos."]
    order = sorted(gains, key=lambda name: -gains[name]["gain"])
    named = [f"{name} ({100 * gains[name]['gain']:+.1f} points of recall)" for name in order[:3]]
    return [
        *sentences,
        f"A guess: twice as many photos of every label help {', then '.join(named)}; photograph more {order[0]}.",
    ]


# -- Duplicates and folds in plain text ------------------------------------------------------------------


SHOWN_PAIRS = 40


def duplicates_as_text(found: "Duplicates") -> str:
    """What `evaluate duplicates` prints: what was compared, the counts, and the pairs."""
    counts = found.counts
    how = "every pair" if found.exact else "pairs in the same neighbourhood (approximate)"
    lines = [f"{found.images} photos, {how} compared by {found.features or 'their bytes alone'}"]
    none_near = f", none at {found.threshold:g} or more alike" if found.features else ""
    near = f", {counts['near']} at {found.threshold:g} or more alike" if found.features else ""
    if not found.pairs:
        return f"{lines[0]}: none byte-identical{none_near}"
    lines.append(
        f"{counts['images']} photos are in {len(found.pairs)} pairs: {counts['identical']} byte-identical{near}; "
        f"{counts['conflict']} with conflicting labels"
    )
    rows = [
        [
            "identical" if pair["identical"] else f"{pair['similarity']:.4f}",
            pair["image"],
            pair["other"],
            f"{pair['label']} or {pair['other_label']}?" if pair["conflict"] else "",
        ]
        for pair in found.pairs[:SHOWN_PAIRS]
    ]
    table = aligned(["similarity", "image", "other", "label"], rows, left=4)
    more = len(found.pairs) - SHOWN_PAIRS
    tail = [f"and {more} more pairs, all in --json FILE.json"] if more > 0 else []
    return "\n".join(["\n".join(lines), "", table, *tail])


def folds_as_text(table: "FeatureTable", fold: Sequence[int | None]) -> str:
    """What `evaluate split --cv` prints: photos by label and fold."""
    counts = Counter(zip(table.label, fold, strict=True))
    numbers = sorted({one for one in fold if one is not None})
    rows = [[str(name), *(str(counts[name, one]) for one in numbers)] for name in sorted(set(table.label))]
    totals = [str(sum(one == number for one in fold)) for number in numbers]
    return aligned(["label", *(f"fold {one}" for one in numbers)], [*rows, ["all", *totals]], left=1)
