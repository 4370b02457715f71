"""The learning curve in plain text."""

from typing import TYPE_CHECKING, Any

from evaluate.report.text import aligned, data_in_words, interval_in_words, percent

if TYPE_CHECKING:
    from evaluate.studies.curve import LearningCurve

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
