"""Drawings: the numbers stand where they are drawn, names are text, and a page's have its colours and unique ids."""

import html
import re
import warnings
from functools import cache
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from evaluate.report.drawing import BOTH_COLUMNS, COLUMN, NAME_LENGTH, as_svg
from evaluate.report.figures import (
    accuracy_drawing,
    confusion_drawing,
    curve_drawing,
    reliability_drawing,
    similarity_drawing,
)
from evaluate.report.ranking_curves import mean_curve, ranking_curves, ranking_drawing
from evaluate.results import CurveMeasurements, CurvePoint, DuplicatePair, DuplicatesRecord, Guess
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import Confusion, ReliabilityBin, all_scores
from evaluate.statistics.differences import PairName
from evaluate.statistics.intervals import Interval
from evaluate.statistics.power_law import PowerLaw

# The oldest matplotlib calls pyparsing by names that are being retired.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HOSTILE = '"><script>alert(1)</script>$x_1$\u202e id="measured" #0a6a62'
SHORT = '$a$ id="law" #0a6a62'


def row(name, mean=0.8):
    return name, Interval(mean, mean - 0.1, mean + 0.05)


def texts(svg):
    return [html.unescape(one) for one in re.findall(r">([^<]+)<", svg)]


def predicted(labels, n=60, repeats=1, seed=0):
    """Predictions of four folds, by chance a little right, of photos tested once or more."""
    rng = np.random.default_rng(seed)
    code = rng.integers(len(labels), size=n)
    code[: len(labels)] = range(len(labels))
    chances = rng.dirichlet(np.ones(len(labels)), size=n * repeats)
    chances += 0.4 * np.eye(len(labels))[np.tile(code, repeats)]
    chances = np.round(chances / chances.sum(axis=1, keepdims=True), 2) + 1e-6  # with ties
    rows = pd.DataFrame(
        {"row": np.tile(np.arange(n), repeats), "label": np.array(labels)[np.tile(code, repeats)]}
    )
    times = pd.DataFrame({"n_testing": [n // 4] * (4 * repeats)})
    found = Predictions(rows, chances, list(labels), times)
    fold = np.repeat(np.arange(4 * repeats), n // 4)
    return found, all_scores(found.label, chances, labels, fold=fold, weight=found.weight)


def ranked(labels, kind):
    found, scores = predicted(labels)
    mean = scores.roc_auc if kind == "roc" else scores.average_precision
    return ranking_drawing(ranking_curves(scores, found, kind), kind, mean, len(labels))


def pair(similarity, conflict=False, identical=False):
    return DuplicatePair("a.jpg", "a", "b.jpg", "b", similarity, identical, conflict)


def duplicates(*pairs):
    rows = np.zeros((len(pairs), 2), int)
    return DuplicatesRecord(
        pairs=list(pairs), rows=rows, features="x", threshold=0.9, exact=True, images=9, table=None
    )


BINS = [ReliabilityBin(8 / 15, 9 / 15, 3, 0.55, 0.6), ReliabilityBin(14 / 15, 1.0, 90, 0.97, 1.0)]
POINTS = [CurvePoint(n, 2.0 * n, Interval(1 - n**-0.5, 0.4, 1.0), {"a": 1.0}) for n in (5, 10, 20, 40)]
GUESS = Guess(images_per_label=80, accuracy=0.88, low=0.8, high=0.9)
CURVE = CurveMeasurements(PairName("x", "svm"), POINTS, PowerLaw(1, 1, 0.5), [GUESS], {"a": None})
MANY = [f"label {n:02d}" for n in range(60)]
NAMES = ["ant", SHORT, "_bee", "雛菊"]
DRAWN = {
    "accuracies": lambda: accuracy_drawing([row("svm on glcm", 0.9), row(HOSTILE)]),
    "reliability": lambda: reliability_drawing(BINS),
    "curve": lambda: curve_drawing(CURVE),
    "confusion": lambda: confusion_drawing(Confusion(NAMES, (np.eye(4, dtype=int) * 7 + 1).tolist())),
    "matrix": lambda: confusion_drawing(
        Confusion(MANY, (np.eye(60, dtype=int) * 7 + np.eye(60, k=2, dtype=int)).tolist())
    ),
    "roc": lambda: ranked(NAMES, "roc"),
    "precision_recall": lambda: ranked(MANY[:9], "precision_recall"),
    "similarity": lambda: similarity_drawing(duplicates(pair(0.95), pair(1.0, identical=True))),
}


@cache
def svg_of(name):
    return as_svg(DRAWN[name](), name, 'a "label"')


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawing_has_the_colours_of_the_page_loads_nothing_and_is_always_the_same(name):
    svg = svg_of(name)
    assert svg == as_svg(DRAWN[name](), name, 'a "label"')
    assert re.match(rf'<svg class="chart( wide)? {name}" viewBox="', svg)
    assert 'aria-label="a &#34;label&#34;"' in svg
    tags = "".join(re.findall(r"<[^>]*>", svg))
    assert "var(--" in tags and not re.search(r"#[0-9a-f]{6}|rgb\(", tags)
    assert "url(" not in svg and "font-family" not in svg and "DejaVu" not in svg
    assert not {"style", "script", "metadata", "image"} & set(re.findall(r"<(\w+)", svg))


def test_drawings_of_one_page_share_no_id():
    ids = re.findall(r'<[^>]* id="([^"]*)"', "".join(map(svg_of, DRAWN)))
    assert len(ids) > 3 and len(ids) == len(set(ids))


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_is_cut_off_or_lies_on_another(name):
    drawing = DRAWN[name]()
    assert drawing.width in (COLUMN, BOTH_COLUMNS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no font here has Chinese
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = drawing.figure()
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)  # puts legends where they stand in a file
        boxes = {
            (one.get_text(), *one.get_window_extent(renderer).extents)
            for one in figure.findobj(is_shown_text)
        }
    assert len(boxes) > 3
    for words, left, low, right, high in boxes:
        assert left >= 0 <= low and right <= figure.bbox.x1 and high <= figure.bbox.y1, words
    for one, other in combinations(boxes, 2):
        overlap = [min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (1, 2)]
        assert min(overlap) < 2, (one, other)  # pixels


def is_shown_text(one):
    from matplotlib.text import Text

    return isinstance(one, Text) and one.get_visible() and bool(one.get_text())


def test_names_are_text_whatever_they_hold():
    svg = as_svg(accuracy_drawing([row(HOSTILE), row(SHORT), row("a\nb\x1b")]), "accuracies", "x")
    shown = texts(svg)
    kept = (NAME_LENGTH - 1) // 2
    assert any(one.startswith(HOSTILE[:kept]) and one.endswith(HOSTILE[-kept:]) for one in shown)
    assert {SHORT, r"a b\x1b", "80.0  70.0–85.0"} <= set(shown)
    assert set(NAMES) <= set(texts(svg_of("confusion")))
    legend = " ".join(texts(svg_of("roc")))
    assert all(name in legend for name in NAMES)


def test_dots_whiskers_law_and_guesses_stand_where_the_numbers_are():
    (axes,) = curve_drawing(CURVE).figure().axes
    parts = {}
    for line in axes.lines:
        parts.setdefault(line.get_gid(), []).append(line.get_xydata().tolist())
    assert parts["measured"] == [[[n, pytest.approx(1 - n**-0.5)]] for n in (5, 10, 20, 40)]
    assert parts["interval"][:4] == [[[n, 0.4], [n, 1.0]] for n in (5, 10, 20, 40)]
    assert parts["interval"][4:] == [[[80, 0.8], [80, 0.9]]] and parts["guess"] == [[[80, 0.88]]]
    (law,) = map(np.transpose, parts["law"])
    assert np.interp([5, 10, 20, 40], *law) == pytest.approx([1 - n**-0.5 for n in (5, 10, 20, 40)], abs=1e-3)
    assert axes.get_ylim() == (0.4, 1.0) and axes.get_xscale() == "log"
    (dots,) = reliability_drawing(BINS).figure().axes
    (bars,) = dots.child_axes
    places = [one.get_xydata()[0].tolist() for one in dots.lines if one.get_gid() == "measured"]
    assert places == [[0.55, 0.6], [0.97, 1.0]]
    assert [one.get_height() for one in bars.patches] == [3, 90]


def test_only_the_best_rows_are_drawn_and_the_scale_starts_below_the_lowest():
    (axes,) = accuracy_drawing([row(f"{n}", 0.9 - 0.02 * n) for n in range(35)]).figure().axes
    assert sum(one.get_gid() == "measured" for one in axes.lines) == 30
    assert axes.get_xlim() == (pytest.approx(0.1), 1.0)


def area(curve, kind):
    """Under straight lines, or under steps that keep the height on their left, as average precision counts it."""
    return auc(curve.x, curve.y) if kind == "roc" else float(np.sum(np.diff(curve.x) * curve.y[1:]))


@pytest.mark.parametrize("kind", ["roc", "precision_recall"])
@pytest.mark.parametrize("repeats", [1, 2])
def test_the_area_under_each_curve_is_the_score_and_that_of_the_mean_curve_is_their_mean(kind, repeats):
    found, scores = predicted(["ant", "bee", "cat", "dog"], repeats=repeats)
    curves = ranking_curves(scores, found, kind)
    assert [one.score for one in curves] == sorted(one.score for one in curves)
    for one in curves:
        assert area(one, kind) == pytest.approx(one.score, abs=1e-9)
    chance = found.probabilities[:, found.labels.index(curves[0].label)]
    score = roc_auc_score if kind == "roc" else average_precision_score
    assert score(found.label == curves[0].label, chance) == pytest.approx(curves[0].score)
    x, y = mean_curve(curves, steps=kind != "roc")
    assert auc(x, y) == pytest.approx(np.mean([one.score for one in curves]), abs=1e-9)
    assert len(x) > 20 and (np.diff(x) >= 0).all()


def test_of_two_labels_one_roc_curve_is_drawn_and_that_of_the_positive_label_where_it_is_known():
    found, scores = predicted(["ant", "bee"])
    assert [one.label for one in ranking_curves(scores, found, "roc")] == ["bee"]
    assert sorted(one.label for one in ranking_curves(scores, found, "precision_recall")) == ["ant", "bee"]
    scores.positive = SimpleNamespace(label="ant")
    for kind in ("roc", "precision_recall"):
        assert [one.label for one in ranking_curves(scores, found, kind)] == ["ant"]


def test_of_many_labels_the_worst_three_are_named_and_all_are_drawn():
    found, scores = predicted(MANY[:9], n=400)
    curves = ranking_curves(scores, found, "roc")
    (axes,) = ranking_drawing(curves, "roc", scores.roc_auc, 9).figure().axes
    worst = sorted(scores.one_vs_rest, key=lambda name: scores.one_vs_rest[name].roc_auc)[:3]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == [
        f"{scores.roc_auc:.3f}  mean of 9 labels",
        *(f"{scores.one_vs_rest[name].roc_auc:.3f}  {name}" for name in worst),
        "6 other labels",
    ]
    assert sum(line.get_gid() == "measured" for line in axes.lines) == 9


def test_a_label_that_cannot_be_ranked_has_no_curve():
    found, _ = predicted(["ant", "bee", "cat"])
    found.rows["label"] = "ant"
    nothing = all_scores(found.label, found.probabilities, found.labels)
    assert ranking_curves(nothing, found, "roc") == []
    (axes,) = ranking_drawing([], "roc", None, 3).figure().axes
    assert "no label can be ranked" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("n", [2, 8, 20, 30, 49, 50, 80])
def test_a_confusion_matrix_shows_names_up_to_49_labels_and_then_a_list_of_the_worst_pairs(n):
    matrix = 10 * np.eye(n, dtype=int)
    matrix[0, 1], matrix[1, 0] = 5, 3
    names = [f"species {place:02d}" for place in range(n)]
    (axes,) = confusion_drawing(Confusion(names, matrix.tolist())).figure().axes
    shown = [text.get_text() for text in axes.texts]
    ticks = [one.get_text() for one in axes.get_xticklabels()]
    (cells,) = axes.collections
    assert len(cells.get_paths()) == n + 2  # empty cells are not drawn
    opacity = cells.get_facecolors()[:, 3]
    assert opacity[1] == opacity.min() + (opacity[1] - opacity.min()) and opacity[0] > opacity[1] > opacity[2]
    if n < 50:
        assert ticks == names == [one.get_text() for one in axes.get_yticklabels()]
        assert [one for one in shown if one] == (["10", "5", "3", *["10"] * (n - 1)] if n <= 20 else [])
    else:
        assert ticks == []
        pairs = ["5 of species 00 → species 01", "3 of species 01 → species 00"]
        assert shown[:3] == ["Most often taken for another:", *pairs]


def test_pairs_stand_at_their_similarity_those_of_different_labels_below():
    found = duplicates(pair(0.91), pair(0.999), pair(1.0, identical=True), pair(0.912, conflict=True))
    (axes,) = similarity_drawing(found).figure().axes
    bars = [
        (round(one.get_x(), 3), one.get_height(), one.get_y()) for one in axes.patches if one.get_height()
    ]
    assert bars == [(0.91, 1, 0), (0.995, 1, 0), (0.91, 1, 1), (0.995, 1, 1)]
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == ["1 different labels", "1 the same bytes", "2 nearly the same"]
    (axes,) = similarity_drawing(duplicates()).figure().axes
    assert [text.get_text() for text in axes.texts] == ["no pair"]


def test_a_drawing_on_given_axes_leaves_the_others_alone_and_keeps_their_size_of_text():
    import matplotlib
    from matplotlib.figure import Figure

    left, right = Figure(figsize=(10, 4)).subplots(1, 2)
    with matplotlib.rc_context({"font.size": 15}):
        assert accuracy_drawing([row("x")]).on(left) is left
        assert {text.get_size() for text in left.texts} == {15}
    assert not right.lines and not right.texts
