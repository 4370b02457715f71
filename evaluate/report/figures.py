"""Every drawing: accuracies with their intervals, reliability, the learning curve.

The `draw_…` functions make matplotlib figures, for a paper as they are; `as_svg` puts one into a page, in its colours.
"""

import io
import logging
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evaluate.report.sentences import percent
from evaluate.results import CurveMeasurements, CurveRecord, ResultRow
from evaluate.scores.metrics import ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN_ROWS = 30
NAME_LENGTH = 40
# What the light page has; in a page they become its variables, which know the dark one too.
ACCENT, SOFT, LINE, PAPER = "#0a6a62", "#566164", "#dfe1db", "#fcfcfa"
VARIABLES = {ACCENT: "var(--accent)", SOFT: "var(--soft)", LINE: "var(--line)", PAPER: "var(--paper)"}
PARTS = ("measured", "guess", "law", "interval", "ideal", "photos")  # what can be told apart in the page


def draw_accuracies(results: Sequence[ResultRow]) -> "Figure":
    """The best 30 pairs of features and head, best first: a dot for the accuracy and a bar for its interval."""
    rows = results[:DRAWN_ROWS]
    low = _round_down(min(row.accuracy.low for row in results))
    height = 0.3 + 0.3 * len(rows)
    figure, axes = _empty(7.6, height, (0.4, 0.3 / height, 0.4, 1 - 0.3 / height))
    for place, row in enumerate(rows):
        accuracy = row.accuracy
        _line(axes, [accuracy.low, accuracy.high], [place] * 2, "interval")
        _dot(axes, accuracy.mean, place)
        text = {"va": "center", "color": SOFT, "parse_math": False}
        shown = row.name if len(row.name) <= NAME_LENGTH else f"{row.name[:NAME_LENGTH]}…"
        _beside(axes, -0.98, place, shown, ha="left", **text)
        ends = f"{percent(accuracy.low)}–{percent(accuracy.high)}"
        _beside(axes, 1.06, place, f"{percent(accuracy.mean)}  {ends}", ha="left", **text)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    _shares(axes.xaxis, low, 0.2 if low < 0.4 else 0.1, "")
    axes.set_xlim(low, 1)
    return figure


def draw_reliability(bins: Sequence[ReliabilityBin]) -> "Figure":
    """Confidence against accuracy by bin, and below how many photos each holds."""
    figure, axes = _empty(3.4, 4.1, (0.14, 0.3, 0.82, 0.66))
    most = max(one.images for one in bins)
    _line(axes, [0, 1], [0, 1], "ideal", color=SOFT, lw=1, ls=(0, (5, 4)))
    for one in bins:
        # The area tells how many photos stand behind a dot.
        size = 5 + 13 * math.sqrt(one.images / most)
        _dot(axes, one.confidence, one.accuracy, ms=size)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="right %")
    _shares(axes.yaxis, 0, 0.2, "")
    axes.set_xticks([])
    below = figure.add_axes((0.14, 0.12, 0.82, 0.14))
    _plain(below)
    bars: dict[str, Any] = {"color": ACCENT, "alpha": 0.4, "clip_on": False, "gid": "photos"}
    for one in bins:
        below.bar((one.low + one.high) / 2, one.images, (one.high - one.low) * 0.9, **bars)
    below.set(xlim=(0, 1), ylim=(0, most), yticks=[], xlabel="confidence %; bars: photos")
    _shares(below.xaxis, 0, 0.2, "", grid=False)
    return figure


def draw_curve(found: CurveMeasurements | CurveRecord) -> "Figure":
    """Accuracy against images per label: what was measured, the fitted law, and the guesses beyond."""
    points, guesses = found.points, found.guesses
    sizes = [point.images_per_label for point in points] + [guess.images_per_label for guess in guesses]
    bottom = _round_down(max(0, min([p.accuracy.low for p in points] + [g.low for g in guesses])))
    figure, axes = _empty(7.2, 3.4, (0.08, 0.16, 0.89, 0.8))
    axes.set_xscale("log")
    if found.fit:
        steps = [sizes[0] * (sizes[-1] / sizes[0]) ** (step / 60) for step in range(61)]
        law = [min(1.0, max(bottom, found.fit.at(size))) for size in steps]
        _line(axes, steps, law, "law", color=SOFT, lw=1.2, ls=(0, (5, 4)))
    for point in points:
        accuracy, size = point.accuracy, point.images_per_label
        _line(axes, [size] * 2, [accuracy.low, accuracy.high], "interval")
        _dot(axes, size, accuracy.mean)
    for guess in guesses:
        size = guess.images_per_label
        _line(axes, [size] * 2, [guess.low, guess.high], "interval", color=SOFT, lw=1.5, ls=":")
        _dot(axes, size, guess.accuracy, "guess", color=PAPER, mec=SOFT, mew=2)
    axes.set(ylim=(bottom, 1), xlabel="images per label")
    axes.set_xlim(sizes[0] * 0.97, max(sizes[-1], sizes[0] + 1) * 1.03)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    _shares(axes.yaxis, bottom, 0.1, " %")
    return figure


def as_svg(figure: "Figure", name: str, label: str) -> str:
    """The figure as an element of a page; `label` is what it shows, for who cannot see it.

    `name` is a class of the element, and what its ids begin from: another one for each figure of a page.
    """
    import matplotlib
    from markupsafe import escape

    stream, nothing = io.StringIO(), dict.fromkeys(("Creator", "Date", "Format", "Type"))
    style: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "path.simplify": False}
    with _quietly(), matplotlib.rc_context(style):
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    drawn = stream.getvalue()
    (box,) = re.findall(r'viewBox="[^"]*"', drawn)
    drawn = drawn[drawn.index("<g") : drawn.rindex("</svg>")]
    drawn = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    referred = set(re.findall(r'href="#([^"]*)"', drawn))

    def of_the_page(tag: re.Match[str]) -> str:
        text = re.sub(r"font(?:-family)?: [^;\"]*;? ?", _font_size, tag[0])
        text = re.sub(r' id="([^"]*)"', lambda one: one[0] if one[1] in referred else _part(one[1]), text)
        return re.sub("|".join(VARIABLES), lambda one: VARIABLES[one[0]], text)

    drawn = re.sub(r"<[^>]*>", of_the_page, drawn)  # tags alone, never text: names of features are in there
    return f'<svg class="chart {name}" {box} role="img" aria-label="{escape(label)}">\n{drawn}</svg>'


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what is no matter here: that fonts lack a letter of a name (the page has its own), or have no cache."""
    log = logging.getLogger("matplotlib")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _font_size(font: re.Match[str]) -> str:
    """``font: 10px 'DejaVu Sans'`` without the family."""
    size = re.search(r"[\d.]+px", font[0])
    return f"font-size: {size[0]}; " if size else ""


def _part(identity: str) -> str:
    return f' class="{identity}"' if identity in PARTS else ""


def _empty(width: float, height: float, place: tuple[float, float, float, float]) -> tuple["Figure", Any]:
    """A figure in inches, and its axes without a frame."""
    with _quietly():
        from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(place)
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=9)
    axes.xaxis.label.set(color=SOFT, size=9)
    axes.yaxis.label.set(color=SOFT, size=9)
    axes.set_axisbelow(True)


def _line(axes: Any, x: Sequence[float], y: Sequence[float], part: str, **how: Any) -> None:
    axes.plot(x, y, gid=part, clip_on=False, **{"color": ACCENT, "lw": 2, **how})


def _dot(axes: Any, x: float, y: float, part: str = "measured", **how: Any) -> None:
    axes.plot(x, y, "o", gid=part, clip_on=False, **{"color": ACCENT, "ms": 7, "mec": PAPER, **how})


def _beside(axes: Any, x: float, y: float, text: str, **how: Any) -> None:
    """Text at a height of the data, left or right of the axes."""
    axes.text(x, y, text, size=9, transform=axes.get_yaxis_transform(), clip_on=False, **how)


def _shares(axis: Any, low: float, step: float, unit: str, grid: bool = True) -> None:
    """Marks at whole per cents from `low` to 1."""
    marks = [low + step * n for n in range(round((1 - low) / step) + 1) if low + step * n <= 1.001]
    axis.set_ticks(marks, [f"{100 * mark:.0f}{unit}" for mark in marks])
    for line in axis.get_gridlines():
        line.set(visible=grid, color=LINE, linewidth=0.8, clip_on=False)


def _round_down(share: float) -> float:
    """To a whole ten per cent, below 100 %: the scale starts there, and says so."""
    return min(0.9, math.floor(10 * share) / 10)
