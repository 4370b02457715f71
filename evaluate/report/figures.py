"""Sections that are drawn: accuracies with their intervals, and whether confidence is honest."""

import math
from collections.abc import Callable, Mapping
from typing import Any

DRAWN_ROWS = 30
SIDE, MARGIN, STRIP = 300, 42, 56


def round_down(share: float) -> float:
    """To a whole ten per cent, below 100 %: the scale starts there, and says so."""
    return min(0.9, math.floor(10 * share) / 10)


# -- The page of a learning curve: the drawing, the numbers, and what is a guess -------------------------

WIDTH, HEIGHT, CURVE_MARGIN, TOP = 640, 300, 44, 12
STEPS = 60
NAMED_LABELS = 10


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
