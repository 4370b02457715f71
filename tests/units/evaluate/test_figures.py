"""Drawings in a page: the page's colours and font, names as text, ids that are unique, always the same bytes."""

import html
import re
from types import SimpleNamespace

import numpy as np
import pytest

from evaluate.report.figures import NAME_LENGTH, as_svg, draw_accuracies, draw_curve, draw_reliability
from evaluate.results import CurveMeasurements, CurvePoint, Guess
from evaluate.scores.metrics import ReliabilityBin
from evaluate.statistics.differences import PairName
from evaluate.statistics.intervals import Interval
from evaluate.statistics.power_law import PowerLaw

HOSTILE = '"><script>alert(1)</script>$x_1$\u202e id="measured" #0a6a62'


def row(name, mean=0.8):
    """What is drawn of a result."""
    return SimpleNamespace(name=name, accuracy=Interval(mean, mean - 0.1, mean + 0.05))


def texts(svg):
    return [html.unescape(one) for one in re.findall(r">([^<]+)<", svg)]


BINS = [ReliabilityBin(8 / 15, 9 / 15, 3, 0.55, 0.6), ReliabilityBin(14 / 15, 1.0, 90, 0.97, 1.0)]
POINTS = [CurvePoint(n, 2.0 * n, Interval(1 - n**-0.5, 0.4, 1.0), {"a": 1.0}) for n in (5, 10, 20, 40)]
GUESS = Guess(images_per_label=80, accuracy=0.88, low=0.8, high=0.9)
CURVE = CurveMeasurements(PairName("x", "svm"), POINTS, PowerLaw(1, 1, 0.5), [GUESS], {"a": None})
DRAWN = {
    "accuracies": lambda: draw_accuracies([row("svm on glcm", 0.9), row(HOSTILE)]),
    "reliability": lambda: draw_reliability(BINS),
    "curve": lambda: draw_curve(CURVE),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_has_the_colours_of_the_page_loads_nothing_and_is_always_the_same(name):
    svg = as_svg(DRAWN[name](), name, 'a "label"')
    assert svg == as_svg(DRAWN[name](), name, 'a "label"')
    assert svg.startswith(f'<svg class="chart {name}" viewBox="') and 'aria-label="a &#34;label&#34;"' in svg
    tags = "".join(re.findall(r"<[^>]*>", svg))
    assert "var(--accent)" in tags and not re.search(r"#[0-9a-f]{6}|rgb\(", tags)
    assert "url(" not in svg and "font-family" not in svg and "DejaVu" not in svg
    assert not {"style", "script", "metadata"} & set(re.findall(r"<(\w+)", svg))


def test_drawings_of_one_page_share_no_id():
    ids = re.findall(r' id="([^"]*)"', "".join(as_svg(draw(), name, "x") for name, draw in DRAWN.items()))
    assert len(ids) > 3 and len(ids) == len(set(ids))


def test_names_are_text_whatever_they_hold():
    svg = as_svg(draw_accuracies([row(HOSTILE)]), "accuracies", "x")
    assert HOSTILE[:NAME_LENGTH] + "…" in texts(svg) and "80.0  70.0–85.0" in texts(svg)
    short = '$a$ id="guess" #0a6a62'
    assert short in texts(as_svg(draw_accuracies([row(short)]), "accuracies", "x"))


def test_dots_whiskers_law_and_guesses_stand_where_the_numbers_are():
    (axes,) = draw_curve(CURVE).axes
    parts = {}
    for line in axes.lines:
        parts.setdefault(line.get_gid(), []).append(line.get_xydata().tolist())
    assert parts["measured"] == [[[n, pytest.approx(1 - n**-0.5)]] for n in (5, 10, 20, 40)]
    assert parts["interval"][:4] == [[[n, 0.4], [n, 1.0]] for n in (5, 10, 20, 40)]
    assert parts["interval"][4:] == [[[80, 0.8], [80, 0.9]]] and parts["guess"] == [[[80, 0.88]]]
    (law,) = map(np.transpose, parts["law"])
    assert np.interp([5, 10, 20, 40], *law) == pytest.approx([1 - n**-0.5 for n in (5, 10, 20, 40)], abs=1e-3)
    assert axes.get_ylim() == (0.4, 1.0) and axes.get_xscale() == "log"
    dots, bars = draw_reliability(BINS).axes
    places = [one.get_xydata()[0].tolist() for one in dots.lines if one.get_gid() == "measured"]
    assert places == [[0.55, 0.6], [0.97, 1.0]]
    assert [one.get_height() for one in bars.patches] == [3, 90]


def test_only_the_best_rows_are_drawn_and_the_scale_starts_below_the_lowest():
    (axes,) = draw_accuracies([row(f"{n}", 0.9 - 0.02 * n) for n in range(35)]).axes
    assert sum(one.get_gid() == "measured" for one in axes.lines) == 30
    assert axes.get_xlim() == (pytest.approx(0.1), 1.0)
