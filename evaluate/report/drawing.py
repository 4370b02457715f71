"""The size and style of drawings, and how they become files for papers, or SVG in the colours of a page.

Widths are those of a paper: one column of 85 mm, or 180 mm for both; text is of 7 points in either. The
functions of the last part draw in this style.
"""

import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluate.report.words import count
from featurize.outputs import FIGURE, MAKER, where_written, whole_file
from featurize.pages import STEERING
from featurize.remote import Location, RemotePath, path_at
from featurize.terminal import columns_taken, log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, BOTH_COLUMNS = 85 / 25.4, 180 / 25.4  # inches
POINTS = 7
DPI = 300
NAME_LENGTH = 40  # columns; a name of more is shortened
# What the light page has; in a page they become its variables, which know the dark one too.
INK, ACCENT, SOFT, LINE, PAPER = "#1c2224", "#0a6a62", "#566164", "#dfe1db", "#fcfcfa"
# Okabe and Ito's, which the colour-blind tell apart, from dark to light so that grey keeps them apart as well.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
VARIABLES = {INK: "var(--ink)", ACCENT: "var(--accent)", SOFT: "var(--soft)", LINE: "var(--line)"}
VARIABLES |= {PAPER: "var(--paper)"} | {colour: f"var(--mark-{n})" for n, colour in enumerate(PALETTE, 1)}
PARTS = ("measured", "guess", "law", "interval", "ideal", "photos", "mean", "cells")  # told apart in the page
# Fonts that have the letters which matplotlib's own lacks, where one is installed.
FURTHER_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "Arial Unicode MS")  # fmt: skip

Draw = Callable[["Axes"], None]


@dataclass(frozen=True)
class Drawing:
    """What draws on axes, and the size in inches of a figure that holds nothing else."""

    draw: Draw
    width: float = COLUMN
    height: float = COLUMN

    def on(self, axes: "Axes | None" = None) -> "Axes":
        """Draw on the axes given, in the size of its text, or on axes of a new figure; returns them."""
        if axes is not None:
            self.draw(axes)
            return axes
        with _paper():
            from matplotlib import pyplot

            _, axes = pyplot.subplots(figsize=(self.width, self.height), layout="constrained")
            self.draw(axes)
        return axes

    def figure(self) -> "Figure":
        """A figure of its own, which no window shows."""
        with _paper():
            from matplotlib.figure import Figure
            from matplotlib.layout_engine import ConstrainedLayoutEngine

            figure = Figure(figsize=(self.width, self.height))
            self.draw(figure.subplots())
            # Makes room for all text, once for every format; as the figure's own it would draw twice at each.
            ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06).execute(figure)
        return figure


# -- Files ---

SUFFIXES = ("png", "pdf", "svg")


def write_drawings(drawings: Mapping[str, Drawing], folder: Location) -> None:
    """Write drawings by their names, as `write_figures` does."""
    place = path_at(folder)
    if not isinstance(place, RemotePath):  # object storage has no folders to make
        place.mkdir(exist_ok=True)
    for name, drawing in drawings.items():
        figure = drawing.figure()
        for suffix in SUFFIXES:
            with whole_file(place / f"{name.replace('_', '-')}.{suffix}", FIGURE) as target:
                _save(figure, target, suffix, name)
    words = count(len(drawings), "figure")
    log.info("wrote %s to %s, each as PNG, PDF and SVG", words, where_written(folder))


def _save(figure: "Figure", target: Any, suffix: str, salt: str, transparent: bool = False) -> None:
    """The figure without dates, versions and names that differ from run to run."""
    import matplotlib

    nothing = dict.fromkeys(("Date", "Format", "Type"))
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": MAKER},
        "pdf": {"Creator": MAKER, "Producer": None, "CreationDate": None},
        "svg": {**nothing, "Creator": MAKER},
    }
    style: dict[Any, Any] = {"svg.hashsalt": salt, "svg.fonttype": "none", "pdf.fonttype": 42}
    with _paper(), matplotlib.rc_context(style | {"path.simplify": False}):
        how = {"dpi": DPI} if suffix == "png" else {}
        figure.savefig(target, format=suffix, transparent=transparent, metadata=metadata[suffix], **how)


# -- In a page ---


def as_svg(drawing: Drawing, name: str, label: str) -> str:
    """The drawing as an element of a page; `label` is what it shows, for who cannot see it.

    `name` is a class of the element, and what its ids begin from: another one for each drawing of a page.
    """
    from markupsafe import escape

    stream = io.StringIO()
    _save(drawing.figure(), stream, "svg", name, transparent=True)
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
    wide = " wide" if drawing.width > COLUMN else ""
    return f'<svg class="chart{wide} {name}" {box} role="img" aria-label="{escape(label)}">\n{drawn}</svg>'


def _font_size(font: re.Match[str]) -> str:
    """``font: 10px 'DejaVu Sans'`` without the family."""
    size = re.search(r"[\d.]+px", font[0])
    return f"font-size: {size[0]}; " if size else ""


def _part(identity: str) -> str:
    return f' class="{identity}"' if identity in PARTS else ""


# -- Style ---


@contextmanager
def _paper() -> Iterator[None]:
    """The style of a paper's column; kept back is that a font lacks a letter of a name, or that fonts have no cache."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import matplotlib
            from matplotlib.font_manager import fontManager

            installed = {font.name for font in fontManager.ttflist}
            fonts = ["sans-serif", *(name for name in FURTHER_FONTS if name in installed)]
            with matplotlib.rc_context():
                matplotlib.rcdefaults()  # a figure does not depend on the style of whoever writes it
                matplotlib.rcParams.update({"font.size": POINTS, "font.family": fonts})
                yield
    finally:
        logger.setLevel(before)


def text_size() -> float:
    import matplotlib

    return float(matplotlib.rcParams["font.size"])


def plain(axes: "Axes") -> None:
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=SOFT, labelsize=text_size())
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=SOFT, size=text_size())
    axes.set_axisbelow(True)


def draw_line(axes: "Axes", x: Any, y: Any, part: str, **how: Any) -> None:
    axes.plot(x, y, gid=part, clip_on=False, **{"color": ACCENT, "lw": 1.5, **how})


def draw_dot(axes: "Axes", x: float, y: float, part: str = "measured", **how: Any) -> None:
    axes.plot(x, y, "o", gid=part, clip_on=False, **{"color": ACCENT, "ms": 5, "mec": PAPER, **how})


def draw_text(axes: "Axes", x: float, y: float, text: str, transform: Any = None, **how: Any) -> Any:
    """Text where it is written, in shares of the axes unless `transform` says otherwise."""
    style: dict[str, Any] = {"size": text_size(), "color": SOFT, "parse_math": False, "clip_on": False, **how}
    return axes.text(x, y, text, transform=transform or axes.transAxes, **style)


def draw_legend(axes: "Axes", told: Sequence[tuple[Any, str]], above: bool = False, **how: Any) -> None:
    """What the marks mean, below the axes and what they are called, or above."""
    marks, words = zip(*told, strict=True)
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    away = (0.5 if above else -3.6) * text_size() / 72
    place = axes.transAxes + ScaledTranslation(0, away, figure.dpi_scale_trans)
    style: dict[str, Any] = {"loc": "lower center" if above else "upper center"}
    style |= {"bbox_to_anchor": (0.5, 1 if above else 0), "bbox_transform": place}
    style |= {
        "frameon": False,
        "fontsize": text_size(),
        "title_fontsize": text_size(),
        "labelcolor": INK,
        "borderaxespad": 0,
    }
    legend = axes.legend(marks, words, **style, **how)
    legend.get_title().set_color(SOFT)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)


def shortened(name: str, longest: int = NAME_LENGTH) -> str:
    """A name on one line, of at most so many columns; the middle of a longer one is left out.

    >>> shortened("svm on inception_v3:mixed8+texture", 21)
    'svm on inc…d8+texture'
    """
    name = STEERING.sub(lambda one: ascii(one[0])[1:-1], name.replace("\t", " ").replace("\n", " "))
    if columns_taken(name) <= longest:
        return name
    kept = longest // 2
    while columns_taken(name[:kept]) + columns_taken(name[-kept:]) > longest - 1:
        kept -= 1
    return f"{name[:kept]}…{name[-kept:]}"


def mark_shares(axis: Any, low: float, step: float, unit: str, grid: bool = True) -> None:
    """Marks at whole per cents from `low` to 1."""
    marks = [low + step * n for n in range(round((1 - low) / step) + 1) if low + step * n <= 1.001]
    axis.set_ticks(marks, [f"{100 * mark:.0f}{unit}" for mark in marks])
    for line in axis.get_gridlines():
        line.set(visible=grid, color=LINE, linewidth=0.6, linestyle="-", clip_on=False)


def rounded_down(share: float) -> float:
    """To a whole ten per cent, below 100 %: the scale starts there, and says so."""
    return min(0.9, math.floor(10 * share) / 10)
