"""ROC and precision-recall curves, one label against the rest: made of predictions, and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluate.report.drawing import (
    COLUMN,
    INK,
    NAME_LENGTH,
    PALETTE,
    SOFT,
    Drawing,
    draw_legend,
    draw_line,
    draw_text,
    mark_shares,
    plain,
    shortened,
)
from evaluate.results import ResultRow, TestScores
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import rows_that_rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED_CURVES, WORST = 5, 3  # curves that are named if there are no more, and else of the worst labels
STEPS = 400  # a curve has no finer ones
DASHES: Sequence[Any] = ("-", (0, (5, 1.5)), (0, (2.5, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)))


@dataclass(frozen=True)
class RankingCurve:
    """How one label is told from the rest; its area is the score, `x` rises."""

    label: str
    score: float
    x: np.ndarray
    y: np.ndarray


def ranking_curves(scores: ResultRow | TestScores, predictions: Predictions, kind: str) -> list[RankingCurve]:
    """Of the labels that can be ranked, the one with the lowest score first; `kind` is ``roc`` or ``precision_recall``.

    Rows and weights are those of `evaluate.scores.metrics.one_vs_rest`, so that the area is the score that is told. Of
    two labels the ROC curves are one another's mirror: then only the positive or the second label is there.
    """
    from sklearn.metrics import precision_recall_curve, roc_curve

    fold, weight = (
        np.repeat(np.arange(len(predictions.times)), predictions.times["n_testing"]),
        predictions.weight,
    )
    curves = []
    for name, chance in zip(predictions.labels, predictions.probabilities.T, strict=True):
        is_so = predictions.label == name
        ranked = rows_that_rank(is_so, chance, fold)
        is_so, chance = is_so[ranked], chance[ranked]
        how = {"sample_weight": None if weight is None else weight[ranked]}
        told = scores.one_vs_rest[name]
        score = told.roc_auc if kind == "roc" else told.average_precision
        if score is None:
            continue
        if kind == "roc":
            x, y, _ = roc_curve(is_so, chance, **how)
        else:
            precision, recall, _ = precision_recall_curve(is_so, chance, **how)
            x, y = recall[::-1], precision[::-1]
        curves.append(RankingCurve(name, score, x, y))
    if len(predictions.labels) == 2 and (scores.positive or kind == "roc"):
        wanted = scores.positive.label if scores.positive else predictions.labels[1]
        curves = [one for one in curves if one.label == wanted]
    return sorted(curves, key=lambda one: (one.score, one.label))


def mean_curve(curves: Sequence[RankingCurve], steps: bool) -> tuple[np.ndarray, np.ndarray]:
    """The mean height of the curves, whose area is the mean of their areas.

    `steps`: a curve keeps its height from one point to the left until the next, as average precision takes it; else it
    is straight between points.
    """
    x = np.unique(np.concatenate([one.x for one in curves]))
    before, after = np.zeros(len(x)), np.zeros(len(x))
    for one in curves:
        first, last = np.searchsorted(one.x, x), np.searchsorted(one.x, x, side="right") - 1
        if steps:
            until = one.y[np.minimum(first, len(one.x) - 1)]
            before += until
            after += np.append(until[1:], one.y[-1])
            continue
        straight, met = np.interp(x, one.x, one.y), one.x[np.minimum(first, len(one.x) - 1)] == x
        before += np.where(met, one.y[np.minimum(first, len(one.x) - 1)], straight)
        after += np.where(met, one.y[last], straight)
    return np.repeat(x, 2), np.stack([before, after], axis=1).ravel() / len(curves)


def ranking_drawing(curves: Sequence[RankingCurve], kind: str, mean: float | None, labels: int) -> Drawing:
    """ROC or precision-recall curves: the mean of all labels, and each one, or of many the worst, by name."""
    named = curves if len(curves) <= NAMED_CURVES else curves[:WORST]
    score = "AUC" if kind == "roc" else "AP"

    def draw(axes: "Axes") -> None:
        from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

        plain(axes)
        if kind == "roc":
            draw_line(axes, [0, 1], [0, 1], "ideal", color=SOFT, lw=0.8, ls=(0, (5, 4)))
        told: list[tuple[Any, str]] = []
        for one in reversed(curves):  # the worst last, above the others
            x, y = _thinned(one.x, one.y)
            display = (
                RocCurveDisplay(fpr=x, tpr=y) if kind == "roc" else PrecisionRecallDisplay(y[::-1], x[::-1])
            )
            (line,) = np.atleast_1d(display.plot(ax=axes).line_)
            line.set(color=SOFT, lw=0.5, alpha=0.35, clip_on=False, gid="measured")
            if one in named:
                place = list(named).index(one)
                line.set(color=PALETTE[place], ls=DASHES[place], lw=1.2, alpha=1)
                told.append((line, f"{one.score:.3f}  {shortened(one.label, NAME_LENGTH - 6)}"))
        if (legend := axes.get_legend()) is not None:
            legend.remove()
        if len(named) < len(curves):
            from matplotlib.lines import Line2D

            words = f"{len(curves) - len(named)} other labels"
            told.insert(0, (Line2D([], [], color=SOFT, lw=0.5, alpha=0.6), words))
        if len(curves) > 1 and mean is not None:
            x, y = _thinned(*mean_curve(curves, steps=kind != "roc"))
            draw_line(axes, x, y, "mean", color=INK, lw=2)
            told.append((axes.lines[-1], f"{mean:.3f}  mean of {len(curves)} labels"))
        names = ("false positives %", "true positives %") if kind == "roc" else ("recall %", "precision %")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=names[0], ylabel=names[1], aspect="equal")
        mark_shares(axes.xaxis, 0, 0.2, "")
        mark_shares(axes.yaxis, 0, 0.2, "")
        if told:
            title = f"{score}, one label against the rest" if labels > 2 else score
            draw_legend(axes, told[::-1], title=title)
        else:
            draw_text(axes, 0.5, 0.5, "no label can be ranked", ha="center")

    rows = len(named) + (len(named) < len(curves)) + (len(curves) > 1)
    return Drawing(draw, height=0.965 * COLUMN + 0.145 * (rows + 1))


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve without the points that nobody sees: those between two others of the same place."""
    place = np.stack([np.round(x * STEPS), np.round(y * STEPS)], axis=1)
    new = np.any(place[1:] != place[:-1], axis=1)
    kept = np.concatenate([[True], new]) | np.concatenate([new, [True]])
    return x[kept], y[kept]
