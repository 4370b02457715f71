"""The drawing of a learning curve."""

import numpy as np
import pytest

from evaluate.report.figures import draw_curve
from evaluate.results import CurveMeasurements, CurvePoint
from evaluate.statistics.differences import PairName
from evaluate.statistics.intervals import Interval
from evaluate.statistics.power_law import PowerLaw


def test_the_dashed_line_goes_through_the_dots_of_a_curve_that_follows_the_law():
    law, sizes = PowerLaw(0.95, 0.8, 0.5), [6, 12, 24, 48]
    points = [CurvePoint(n, 3.0 * n, Interval(0.95 - 0.8 * n**-0.5, 0.5, 1.0), {"a": 1.0}) for n in sizes]
    (axes,) = draw_curve(CurveMeasurements(PairName("x", "svm"), points, law, [], {"a": None})).axes
    lines = {name: [one for one in axes.lines if one.get_gid() == name] for name in ("law", "measured")}
    (line,) = lines["law"]
    dots = [(float(dot.get_xdata()[0]), float(dot.get_ydata()[0])) for dot in lines["measured"]]
    assert dots == [(n, pytest.approx(0.95 - 0.8 * n**-0.5)) for n in sizes]
    for x, y in dots:
        assert np.interp(x, line.get_xdata(), line.get_ydata()) == pytest.approx(y, abs=1e-3)
