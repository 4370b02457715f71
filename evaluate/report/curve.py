"""The page of a learning curve: the drawing, the numbers, and what is a guess."""

import math
from collections.abc import Callable
from typing import Any

from evaluate.curvetext import curve_in_words
from evaluate.report.page import Page, Section
from evaluate.text import interval_in_words, percent

WIDTH, HEIGHT, MARGIN = 640, 300, 40
STEPS = 60


def curve_sections(found: dict[str, Any]) -> list[Section]:
    """What was measured, drawn and in numbers, and what more photos may bring."""
    last = found["points"][-1]
    sentences = [
        f"Trained on {last['images_per_label']} images per label, {found['model']['head']} on "
        f"{found['model']['features']} is right on {interval_in_words(last['accuracy'])} of other photos.",
        *curve_in_words(found),
    ]
    rows = [
        {**point, "recall": list(point["recall"].values()), "words": interval_in_words(point["accuracy"])}
        for point in found["points"]
    ]
    return [
        Section("summary", "In words", {"sentences": sentences}),
        Section("curve", "Accuracy against images per label", drawing(found)),
        Section("sizes", "The measurements", {"labels": list(last["recall"]), "rows": rows}),
    ]


def curve_page(found: dict[str, Any], subtitle: str, others: list[Section]) -> Page:
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
    return Page("Learning curve", subtitle, figures, [*curve_sections(found), *others])


def drawing(found: dict[str, Any]) -> dict[str, Any]:
    """Where the dots, whiskers, axis marks and the dashed guess lie, in the units of the drawing."""
    points, guesses = found["points"], found["guesses"]
    sizes = [point["images_per_label"] for point in points] + [g["images_per_label"] for g in guesses]
    lowest = math.floor(10 * min(point["accuracy"]["low"] for point in points)) / 10
    bottom = min(lowest, 0.9)
    low, high = math.log(sizes[0]), max(math.log(sizes[-1]), math.log(sizes[0]) + 1e-9)

    def x(size: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * (math.log(size) - low) / (high - low)

    def y(share: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * (share - bottom) / (1 - bottom)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": MARGIN,
        "right": WIDTH - MARGIN,
        "bottom": HEIGHT - MARGIN,
        "dots": [
            {
                "x": x(point["images_per_label"]),
                "y": y(point["accuracy"]["mean"]),
                "low": y(point["accuracy"]["low"]),
                "high": y(point["accuracy"]["high"]),
            }
            for point in points
        ],
        "guesses": [
            {
                "x": x(guess["images_per_label"]),
                "y": y(guess["accuracy"]),
                "low": y(guess["low"]),
                "high": y(guess["high"]),
            }
            for guess in guesses
        ],
        "line": _line(found, sizes, x, y, bottom) if found["fit"] else "",
        "sizes": [{"x": x(size), "text": size} for size in sizes],
        "shares": [
            {"y": y(tenth / 10), "text": f"{10 * tenth} %"} for tenth in range(round(10 * bottom), 11)
        ],
    }


def _line(
    found: dict[str, Any],
    sizes: list[int],
    x: Callable[[float], float],
    y: Callable[[float], float],
    bottom: float,
) -> str:
    """The fitted curve as the points of a polyline."""
    fit, last = found["fit"], found["points"][-1]
    # The curve counts images as they are; a label with fewer than the size makes them fewer than the axis says.
    per_label = last["n_training"] / len(last["recall"]) / last["images_per_label"]
    marks = []
    for step in range(STEPS + 1):
        size = sizes[0] * (sizes[-1] / sizes[0]) ** (step / STEPS)
        share = fit["limit"] - fit["scale"] * (size * per_label) ** -fit["rate"]
        marks.append(f"{x(size):.1f},{y(min(1.0, max(bottom, share))):.1f}")
    return " ".join(marks)
