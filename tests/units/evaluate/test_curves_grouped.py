"""The drawing of a learning curve."""

import numpy as np
import pytest

from evaluate.report.figures import drawing


def test_the_dashed_line_goes_through_the_dots_of_a_curve_that_follows_the_law():
    sizes, fit = [6, 12, 24, 48], {"limit": 0.95, "scale": 0.8, "rate": 0.5}
    points = [
        {
            "images_per_label": size,
            "n_training": 3.0 * size,
            "accuracy": {"mean": 0.95 - 0.8 * size**-0.5, "low": 0.5, "high": 1.0},
            "recall": {"a": 1.0, "b": 1.0},  # a third label is in no fold's testing side
        }
        for size in sizes
    ]
    drawn = drawing({"points": points, "guesses": [], "fit": fit})
    line = np.array([[float(place) for place in mark.split(",")] for mark in drawn["line"].split()])
    for dot in drawn["dots"]:
        assert np.interp(dot["x"], *line.T) == pytest.approx(dot["y"], abs=0.3)
