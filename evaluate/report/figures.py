"""Sections that are drawn: accuracies with their intervals, and whether confidence is honest."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evaluate.report.html import Page, Section
from evaluate.report.text import curve_in_words, interval_in_words, percent, tuned_in_words

DRAWN_ROWS = 30
SIDE, MARGIN, STRIP = 300, 42, 56


def comparison_section(results: Sequence[Mapping[str, Any]]) -> Section:
    """Every pair of features and head, best first: its accuracy drawn, and its numbers in a table."""
    low = _round_down(min(row["accuracy"]["low"] for row in results))
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


def _round_down(share: float) -> float:
    """To a whole ten per cent, below 100 %: the scale starts there, and says so."""
    return min(0.9, math.floor(10 * share) / 10)


# -- The page of a learning curve: the drawing, the numbers, and what is a guess -------------------------

WIDTH, HEIGHT, CURVE_MARGIN, TOP = 640, 300, 44, 12
STEPS = 60
NAMED_LABELS = 10


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


def drawing(found: Mapping[str, Any]) -> dict[str, Any]:
    """Where the dots, whiskers, axis marks and the dashed guess lie, in the units of the drawing."""
    points, guesses = found["points"], found["guesses"]
    sizes = [point["images_per_label"] for point in points] + [g["images_per_label"] for g in guesses]
    lowest = min([point["accuracy"]["low"] for point in points] + [guess["low"] for guess in guesses])
    bottom = min(0.9, max(0, math.floor(10 * lowest) / 10))
    low, high = math.log(sizes[0]), max(math.log(sizes[-1]), math.log(sizes[0]) + 1e-9)

    def x(size: float) -> float:
        return CURVE_MARGIN + (WIDTH - 2 * CURVE_MARGIN) * (math.log(size) - low) / (high - low)

    def y(share: float) -> float:
        return HEIGHT - CURVE_MARGIN - (HEIGHT - CURVE_MARGIN - TOP) * (share - bottom) / (1 - bottom)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": CURVE_MARGIN,
        "right": WIDTH - CURVE_MARGIN,
        "bottom": HEIGHT - CURVE_MARGIN,
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
    found: Mapping[str, Any],
    sizes: list[int],
    x: Callable[[float], float],
    y: Callable[[float], float],
    bottom: float,
) -> str:
    """The fitted curve as the points of a polyline."""
    fit = found["fit"]
    marks = []
    for step in range(STEPS + 1):
        size = sizes[0] * (sizes[-1] / sizes[0]) ** (step / STEPS)
        share = fit["limit"] - fit["scale"] * size ** -fit["rate"]
        marks.append(f"{x(size):.1f},{y(min(1.0, max(bottom, share))):.1f}")
    return " ".join(marks)
