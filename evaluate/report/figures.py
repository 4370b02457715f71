"""The drawings of a result: what each shows, and how large it is.

ROC and precision-recall curves are in `evaluate.report.ranking_curves`. The style of all, and how they become files
and SVG of a page, is in `evaluate.report.drawing`; which of them a result has, in `evaluate.report.plots`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluate.report.drawing import (
    ACCENT,
    BOTH_COLUMNS,
    COLUMN,
    INK,
    LINE,
    NAME_LENGTH,
    PALETTE,
    PAPER,
    SOFT,
    Drawing,
    draw_dot,
    draw_legend,
    draw_line,
    draw_text,
    mark_shares,
    plain,
    rounded_down,
    shortened,
    text_size,
)
from evaluate.report.map import NO_LABEL, MapRecord
from evaluate.report.words import n_photos, percent
from evaluate.results import CurveMeasurements, CurveRecord, DuplicatesRecord
from evaluate.scores.metrics import Confusion, ReliabilityBin
from evaluate.statistics.hierarchy import NodeErrors
from evaluate.statistics.intervals import Interval
from featurize.terminal import columns_taken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN_ROWS = 30
LABEL_LENGTH = 20
IN_A_COLUMN, WITH_COUNTS, WITH_LABELS = 8, 20, 49  # labels of a confusion matrix
WORST_PAIRS = 14
DRAWN_NODES = 60
ON_PAPER = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # text that no line of a scale runs through
LEAF = {"color": PAPER, "mec": SOFT, "mew": 1.0}  # a dot


# -- Accuracies, reliability, learning curve ---


def accuracy_drawing(rows: Sequence[tuple[str, Interval]], on_page: bool = False) -> Drawing:
    """The first 30 names, such as pairs of features and head: a dot for the accuracy, a bar for its interval.

    `on_page`: half as wide again, for longer names than a column of a paper has room for.
    """
    shown, wider = rows[:DRAWN_ROWS], 1.5 if on_page else 1
    low = rounded_down(min(accuracy.low for _, accuracy in rows))

    def draw(axes: "Axes") -> None:
        plain(axes)
        for place, (name, accuracy) in enumerate(shown):
            draw_line(axes, [accuracy.low, accuracy.high], [place] * 2, "interval")
            draw_dot(axes, accuracy.mean, place)
            ends = f"{percent(accuracy.low)}–{percent(accuracy.high)}"
            for x, side, text in (
                (0, "left", shortened(name, round(wider * NAME_LENGTH))),
                (1, "right", f"{percent(accuracy.mean)}  {ends}"),
            ):
                where: Any = {"ha": side, "va": "center", "bbox": ON_PAPER}
                above = draw_text(axes, x, place - 0.36, text, axes.get_yaxis_transform(), **where)
                above.set_in_layout(False)
        axes.set(
            xlim=(low, 1),
            ylim=(len(shown) - 0.6, -0.7),
            yticks=[],
            xlabel="accuracy %, and its 95 % interval",
        )
        mark_shares(axes.xaxis, low, 0.2 if low < 0.4 else 0.1, "")

    return Drawing(draw, wider * COLUMN, height=0.38 + 0.29 * len(shown))


def reliability_drawing(bins: Sequence[ReliabilityBin]) -> Drawing:
    """Confidence against accuracy by bin, and below how many photos each holds."""
    most = max(one.images for one in bins)

    def draw(axes: "Axes") -> None:
        from sklearn.calibration import CalibrationDisplay

        plain(axes)
        right, sure = (np.array([one[key] for one in bins]) for key in ("accuracy", "confidence"))
        shown = CalibrationDisplay(right, sure, sure).plot(ax=axes, ref_line=False, name="right")
        shown.line_.set(color=ACCENT, marker="", lw=1, gid="interval", clip_on=False)
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        draw_line(axes, [0, 1], [0, 1], "ideal", color=SOFT, lw=1, ls=(0, (5, 4)))
        for one in bins:
            # The area tells how many photos stand behind a dot.
            draw_dot(axes, one.confidence, one.accuracy, ms=4 + 8 * math.sqrt(one.images / most))
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="", ylabel="right %", aspect="equal", xticks=[])
        mark_shares(axes.yaxis, 0, 0.2, "")
        below = axes.inset_axes((0, -0.16, 1, 0.13))
        plain(below)
        bars: dict[str, Any] = {"color": ACCENT, "alpha": 0.4, "clip_on": False, "gid": "photos"}
        for one in bins:
            below.bar((one.low + one.high) / 2, one.images, (one.high - one.low) * 0.9, **bars)
        below.set(xlim=(0, 1), ylim=(0, most), yticks=[], xlabel="confidence %; bars: photos")
        mark_shares(below.xaxis, 0, 0.2, "", grid=False)

    return Drawing(draw, height=1.08 * COLUMN)


def curve_drawing(found: CurveMeasurements | CurveRecord) -> Drawing:
    """Accuracy against images per label: what was measured, the fitted law, and the guesses beyond."""
    points, guesses = found.points, found.guesses
    sizes = [point.images_per_label for point in points] + [guess.images_per_label for guess in guesses]
    bottom = rounded_down(max(0, min([p.accuracy.low for p in points] + [g.low for g in guesses])))

    def draw(axes: "Axes") -> None:
        plain(axes)
        axes.set_xscale("log")
        if found.fit:
            steps = [sizes[0] * (sizes[-1] / sizes[0]) ** (step / 60) for step in range(61)]
            law = [min(1.0, max(bottom, found.fit.at(size))) for size in steps]
            draw_line(axes, steps, law, "law", color=SOFT, lw=1, ls=(0, (5, 4)))
        for point in points:
            accuracy, size = point.accuracy, point.images_per_label
            draw_line(axes, [size] * 2, [accuracy.low, accuracy.high], "interval")
            draw_dot(axes, size, accuracy.mean)
        for guess in guesses:
            size = guess.images_per_label
            draw_line(axes, [size] * 2, [guess.low, guess.high], "interval", color=SOFT, ls=":")
            draw_dot(axes, size, guess.accuracy, "guess", color=PAPER, mec=SOFT, mew=1.2)
        axes.set(ylim=(bottom, 1), xlabel="images per label", ylabel="accuracy %")
        left, right = sizes[0] * 0.97, max(sizes[-1], sizes[0] + 1) * 1.03
        axes.set_xlim(left, right)
        marked: list[int] = []
        for size in sizes:  # numbers that would touch are left out
            if not marked or math.log(size / marked[-1]) > 0.09 * math.log(right / left):
                marked.append(size)
        axes.set_xticks(marked, [str(size) for size in marked])
        axes.set_xticks([], minor=True)
        mark_shares(axes.yaxis, bottom, 0.1, "")

    return Drawing(draw, height=0.68 * COLUMN)


# -- Confusion ---


def confused_pairs(confusion: Confusion) -> list[dict[str, Any]]:
    """Which label was taken for which other one, how often, and for which share of its photos; the commonest first."""
    names = confusion.labels
    pairs: list[dict[str, Any]] = [
        {"label": label, "predicted": other, "count": n, "share": n / sum(counts)}
        for label, counts in zip(names, confusion.matrix, strict=True)
        for other, n in zip(names, counts, strict=True)
        if n and other != label
    ]
    return sorted(pairs, key=lambda one: (-one["count"], one["label"], one["predicted"]))


def confusion_drawing(confusion: Confusion, with_pairs: bool = True) -> Drawing:
    """The confusion matrix: rows are true labels. Of 50 labels or more the worst pairs stand beside it by name."""
    names, n = [shortened(name, LABEL_LENGTH) for name in confusion.labels], len(confusion.labels)
    counts = np.array(confusion.matrix, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    with_labels, with_counts = n <= WITH_LABELS, n <= WITH_COUNTS
    listed = with_pairs and not with_labels
    width = BOTH_COLUMNS if listed or IN_A_COLUMN < n <= WITH_LABELS else COLUMN

    def draw(axes: "Axes") -> None:
        from sklearn.metrics import ConfusionMatrixDisplay

        display = ConfusionMatrixDisplay(counts, display_labels=names)
        display.plot(ax=axes, include_values=with_counts, colorbar=False)
        display.im_.remove()  # cells of its own are sharp at any size, and take the colours of the page
        plain(axes)
        _cells(axes, shares)
        for row, column in np.ndindex(*(counts.shape if with_counts else (0, 0))):
            text, share = display.text_[row, column], float(shares[row, column])
            size = text_size() * (1 if n <= 12 else 0.85)
            text.set(text=n_photos(float(counts[row, column])) if share else "", clip_on=False, size=size)
            text.set_color(PAPER if _opacity(share) > 0.55 else INK)
        axes.set(
            xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel="predicted", ylabel="true", aspect="equal"
        )
        ticks: Any = range(n) if with_labels else []
        size = text_size() * (1 if n <= 24 else 0.75)
        widest = 0.65 * text_size() * max(map(columns_taken, names))
        flat = widest < (0.85 * 72 * width - widest) / n
        text_of: dict[str, Any] = {"parse_math": False, "size": size, "color": INK}
        axes.set_xticks(ticks, names if with_labels else [], **text_of, rotation=0 if flat else 90)
        axes.set_yticks(ticks, names if with_labels else [], **text_of)
        if not with_counts:
            _share_legend(axes, "per cent of the true label")
        if not with_labels:
            axes.set(
                xlabel=f"predicted, {n} labels in the order of the alphabet", ylabel="true, in the same order"
            )
        if listed:
            _beside_matrix(axes, confused_pairs(confusion))

    return Drawing(draw, width, width * (0.49 if listed else 0.93 if with_labels else 1.12))


def _cells(axes: "Axes", shares: np.ndarray) -> None:
    """A square for each cell that is not empty, the darker the more, and lines around the right ones."""
    from matplotlib.collections import PolyCollection

    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    rows, columns = np.nonzero(shares)
    squares = np.stack([columns, rows], axis=1)[:, None] + corners
    colours = [(ACCENT, _opacity(share)) for share in shares[rows, columns]]
    axes.add_collection(
        PolyCollection(list(squares), facecolors=colours, edgecolors="none", clip_on=False, gid="cells")
    )
    n = len(shares)
    thin = 0.6 if n <= WITH_COUNTS else 0.25
    for place in np.arange(n + 1) - 0.5 if n <= WITH_LABELS else (-0.5, n - 0.5):
        for x, y in (([place] * 2, [-0.5, n - 0.5]), ([-0.5, n - 0.5], [place] * 2)):
            axes.plot(x, y, color=LINE, lw=thin, clip_on=False, zorder=0.5)


def _opacity(share: float) -> float:
    """So that a cell of few photos is still seen."""
    return float(0.08 + 0.92 * share**0.7) if share else 0.0


def _share_legend(axes: "Axes", title: str) -> None:
    from matplotlib.patches import Patch

    marks = [
        Patch(facecolor=(ACCENT, _opacity(share)), edgecolor=LINE, lw=0.4) for share in (0.01, 0.1, 0.5, 1)
    ]
    draw_legend(
        axes, list(zip(marks, ("1", "10", "50", "100"), strict=True)), above=True, ncols=4, title=title
    )


def _beside_matrix(axes: "Axes", pairs: Sequence[dict[str, Any]]) -> None:
    """The commonest confusions as a list to the right of the matrix."""
    axes.set_anchor("W")
    lines = [f"{n_photos(one['count'])} of {shortened(one['label'], 28)} → {shortened(one['predicted'], 28)}"
             for one in pairs[:WORST_PAIRS]]  # fmt: skip
    left_out = f"and {len(pairs) - WORST_PAIRS} more pairs" if len(pairs) > WORST_PAIRS else ""
    words = ["Most often taken for another:" if pairs else "No label is taken for another.", *lines, left_out]
    for place, line in enumerate(words):
        draw_text(axes, 1.05, 1 - 0.0625 * place, line, ha="left", va="top").set_in_layout(False)


# -- Labels in a tree ---


def drawn_nodes(nodes: Sequence[NodeErrors]) -> list[NodeErrors]:
    """All nodes of a tree; of a large one those that hold others, the highest levels first for as long as they fit."""
    shown = list(nodes)
    if len(shown) > DRAWN_NODES:
        parents = {one.parent for one in nodes}
        shown = [one for one in nodes if one.node in parents]
    for depth in range(max(one.level for one in shown), 0, -1):
        if len(shown) > DRAWN_NODES:
            shown = [one for one in shown if one.level < depth]
    return shown[:DRAWN_NODES]


def tree_drawing(nodes: Sequence[NodeErrors]) -> Drawing:
    """A line per node, further in than the one above it: how many errors part there, and the share that is found."""
    shown = drawn_nodes(nodes)
    places = {one.node: place for place, one in enumerate(shown)}
    most = max(1, *(one.errors for one in shown))
    step = min(0.05, 0.3 / max(1, *(one.level for one in shown)))

    def draw(axes: "Axes") -> None:
        plain(axes)
        for place, one in enumerate(shown):
            x = 0.02 + step * one.level
            if one.parent in places:
                above = 0.02 + step * (one.level - 1)
                draw_line(
                    axes,
                    [above, above, x],
                    [places[one.parent], place, place],
                    "law",
                    color=LINE,
                    lw=1,
                    zorder=1,
                )
        for place, one in enumerate(shown):
            x = 0.02 + step * one.level
            inner = one.node in {other.parent for other in nodes}
            draw_dot(
                axes, x, place, "measured" if inner else "guess", ms=4, zorder=2, **({} if inner else LEAF)
            )
            name = shortened(one.node, max(8, LABEL_LENGTH + 6 - 2 * one.level))
            draw_text(axes, x + 0.025, place, name, axes.transData, color=INK, va="center")
            if one.errors:
                width = 0.2 * one.errors / most
                bar = {"color": PALETTE[1], "lw": 4, "solid_capstyle": "butt"}
                draw_line(axes, [0.58, 0.58 + width], [place] * 2, "photos", **bar)
                draw_text(axes, 0.59 + width, place, str(one.errors), axes.transData, color=INK, va="center")
            if one.photos:
                share = percent(one.found / one.photos)
                draw_text(axes, 1, place, share, axes.transData, color=INK, ha="right", va="center")
        draw_text(axes, 0.58, -0.9, "errors here", axes.transData, va="center")
        draw_text(axes, 1, -0.9, "found %", axes.transData, ha="right", va="center")
        axes.set(xlim=(0, 1), ylim=(len(shown) - 0.4, -1.4), xticks=[], yticks=[])

    return Drawing(draw, height=0.2 + 0.165 * (len(shown) + 1))


# -- Similarity of pairs ---


def similarity_drawing(found: DuplicatesRecord) -> Drawing:
    """How alike the pairs are, and which of them carry different labels."""
    kinds = {
        "different labels": [p.similarity for p in found.pairs if p.conflict],
        "the same bytes": [p.similarity for p in found.pairs if p.identical and not p.conflict],
        "nearly the same": [p.similarity for p in found.pairs if not (p.identical or p.conflict)],
    }
    fills = dict(zip(kinds, ((INK, 1.0), (ACCENT, 0.75), (ACCENT, 0.3)), strict=True))
    lowest = min([found.threshold or 1.0, *(pair.similarity for pair in found.pairs)])
    edges = np.linspace(min(lowest, 0.99), 1, 21)

    def draw(axes: "Axes") -> None:
        from matplotlib.patches import Patch

        plain(axes)
        bottom = np.zeros(20)
        for kind, values in kinds.items():
            counts = np.histogram(np.clip(values, edges[0], 1), edges)[0]
            how: dict[str, Any] = {
                "color": (fills[kind][0], fills[kind][1]),
                "gid": "photos",
                "clip_on": False,
            }
            axes.bar(edges[:-1], counts, 0.9 * np.diff(edges), bottom, align="edge", **how)
            bottom += counts
        axes.set(xlim=(edges[0], 1), ylim=(0, max(1, bottom.max())), ylabel="pairs of photos")
        axes.set_xlabel(f"similarity by {shortened(found.features)}" if found.features else "similarity")
        axes.xaxis.label.set_parse_math(False)
        axes.locator_params("x", nbins=4)
        axes.locator_params("y", nbins=5, integer=True)
        if found.pairs:
            told = [
                (Patch(color=fills[kind], lw=0), f"{len(values)} {kind}")
                for kind, values in kinds.items()
                if values
            ]
            draw_legend(axes, told)
        else:
            draw_text(axes, 0.5, 0.5, "no pair", ha="center")

    return Drawing(draw, height=0.75 * COLUMN)


# -- The map ---

MARKERS = ("o", "s", "^", "D", "v", "P")


def map_drawing(found: MapRecord) -> Drawing:
    """The photos in the plane, a colour and a shape for each of up to six labels; of more, the others are grey."""
    named = list(found.labels)[: len(PALETTE)]
    others = len(found.labels) - len(named)
    size = 2.2 if len(found.image) > 500 else 3.5

    def draw(axes: "Axes") -> None:
        from matplotlib.lines import Line2D

        plain(axes)
        label = np.array([one or NO_LABEL for one in found.label])
        for one, other in found.pairs:
            x, y = found.places[[one, other]].T
            draw_line(axes, x, y, "interval", color=INK, lw=0.5)
        rest = ~np.isin(label, named)
        marks = [(rest, SOFT, ".", f"{others} other labels")] if others else []
        marks += [
            (label == name, PALETTE[n], MARKERS[n], shortened(name, LABEL_LENGTH))
            for n, name in enumerate(named)
        ]
        told: list[tuple[Any, str]] = []
        for rows, colour, marker, words in marks:
            how: dict[str, Any] = {"color": colour, "marker": marker, "ls": "", "mew": 0}
            axes.plot(*found.places[rows].T, ms=size, alpha=0.8, clip_on=False, gid="measured", **how)
            told.append((Line2D([], [], ms=4, **how), words))
        rings = [(found.wrong, "o", 2.4, "misclassified"), (found.outlier, "x", 1.6, "outlier")]
        for rows, marker, larger, words in rings:
            if rows.any():
                how = {"marker": marker, "ls": "", "mec": INK, "mew": 0.5, "mfc": "none", "color": INK}
                axes.plot(*found.places[rows].T, ms=larger * size, clip_on=False, gid="ideal", **how)
                told.append((Line2D([], [], ms=5, **how), words))
        if found.pairs:
            told.append((Line2D([], [], color=INK, lw=0.8), "near-duplicates"))
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=[], yticks=[], aspect="equal")
        axes.set_xlabel(f"{len(found.image)} photos by {shortened(found.features)}", parse_math=False)
        draw_legend(axes, told, ncols=2)

    n_told = (
        len(named) + (others > 0) + bool(found.wrong.any()) + bool(found.outlier.any()) + bool(found.pairs)
    )
    return Drawing(draw, height=COLUMN + 0.15 + 0.145 * math.ceil(n_told / 2))
