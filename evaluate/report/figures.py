"""Sections that are drawn: accuracies with their intervals, and whether confidence is honest."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.report.page import Section
from evaluate.report.text import tuned_in_words

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
