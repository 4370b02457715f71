"""Learning curves of photos that come in groups: sizes as they came to be, and heads that need two groups."""

import json

import numpy as np
import pytest

from evaluate.report.figures import draw_curve
from evaluate.results import CurveMeasurements, CurvePoint
from evaluate.statistics.differences import PairName
from evaluate.statistics.intervals import Interval
from evaluate.statistics.power_law import PowerLaw
from evaluate.studies.compare import compare
from evaluate.studies.curve import learning_curve
from featurize.table import FeatureTable


def patients(n_patients: int, photos_each: int) -> FeatureTable:
    """So many patients of either label, with so many photos each."""
    n = 2 * n_patients * photos_each
    label = np.repeat(["rust", "well"], n // 2)
    rng = np.random.default_rng(0)
    return FeatureTable.from_arrays(
        {"x": rng.normal(size=(n, 3)) + (label == "well")[:, None]},
        label=label,
        group=[f"patient {i // photos_each}" for i in range(n)],
        sha256=[f"{i:064x}" for i in range(n)],
    )


def test_sizes_that_come_to_the_same_photos_are_one_and_named_as_they_are():
    # Of 5 patients of a label 4 train a fold: 120 photos are two of them, and 240 all four.
    curve = learning_curve(patients(5, 60), "x", "softmax", cv=5, jobs=1)
    assert [point["images_per_label"] for point in curve.points] == [120, 180, 240]
    assert [point["n_training"] for point in curve.points] == [240, 360, 480]
    assert (
        "240" in str(curve)
        and "120, 180 and 240 images per label" in curve.to_dict()["methods_paragraph"]["text"]
    )


def test_equal_sizes_leave_no_garbage_in_the_json():
    curve = learning_curve(patients(5, 60), "x", "softmax", sizes=[2, 3, 4, 5, 6, 7], cv=5, jobs=1)
    assert len(curve.points) == 1 and curve.fit is None
    json.dumps(curve.to_dict(), allow_nan=False)


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


@pytest.mark.parametrize("head", ["svm", "knn", "lda"])
def test_heads_that_are_calibrated_have_two_groups_at_every_size(head):
    found = compare(patients(8, 5), ["x"], [head], cv=4, curve=True, jobs=1)
    # Six patients of a label train a fold: two, four and six of them.
    assert [point["images_per_label"] for point in found.learning_curve["points"]] == [10, 20, 30]


def test_a_size_too_small_to_tune_on_is_left_out_and_said(caplog):
    # Within two groups of a label each inner fold trains on one, and that cannot be calibrated.
    found = compare(patients(8, 5), ["x"], ["knn"], tune="accuracy", cv=4, curve=True, jobs=1)
    assert [point["images_per_label"] for point in found.learning_curve["points"]] == [20, 30]
    assert "10 images per label are left out of the curve: the head knn tuned failed" in caplog.text
