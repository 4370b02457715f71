"""Comparisons of photos that were counted, where the folds have no spread; and who stands for which features."""

import numpy as np
import pytest

from evaluate.comparison import compare
from evaluate.counted import counted_difference, counted_verdict
from evaluate.pairs import _opponents
from evaluate.significance import mcnemar
from featurize.table import FeatureTable


def rights(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_one, only_other, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe 1998, table II, method 10.
    [((36, 12, 2, 0), 0.0569, 0.3404), ((54, 0, 0, 0), -0.0664, 0.0664)],
)
def test_published_intervals(counts, low, high):
    one, other = rights(*counts)
    found = counted_difference(one, other, np.arange(len(one)))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert found.difference == pytest.approx((counts[1] - counts[2]) / sum(counts))
    assert found.p_value == pytest.approx(mcnemar(one.astype(bool), other.astype(bool))["p_value"])


def test_swapping_the_sides_flips_everything():
    one, other = rights(20, 7, 3, 10)
    there, back = (counted_difference(*sides, np.arange(40)) for sides in ((one, other), (other, one)))
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    verdict = counted_verdict(one, other, np.arange(40), 0.01)
    assert verdict.better > 0.8 > 0.2 > verdict.worse
    assert sum(verdict.to_dict().values()) == pytest.approx(1.0)


def test_repeats_of_a_photo_are_no_new_photos():
    one, other = rights(20, 7, 3, 10)
    once = counted_difference(one, other, np.arange(40))
    thrice = counted_difference(np.tile(one, 3), np.tile(other, 3), np.tile(np.arange(40), 3))
    assert (thrice.low, thrice.high, thrice.p_value) == pytest.approx((once.low, once.high, once.p_value))


def test_two_heads_that_never_differ_are_not_told_to_be_the_same_for_certain():
    label = np.repeat(["ant", "bee"], 20)
    X = np.c_[label == "bee", np.random.default_rng(0).normal(0, 0.01, 40)]
    found = compare(FeatureTable.from_arrays({"x": X}, label=label), heads=["softmax", "svm"], jobs=1)
    (pair,) = found.comparisons
    assert pair["difference"] == 0 and pair["same_in_every_fold"]
    # Both got all 40 right: Wilson's lower end is 1 - z²/(n + z²).
    assert pair["high"] == pytest.approx(1.959964**2 / (40 + 1.959964**2))
    assert pair["low"] == -pair["high"] and pair["probability"]["same"] < 0.99
    assert "cannot be told apart" in pair["words"] and "the same in every fold" in pair["words"]


def row(features: str, head: str) -> dict:
    return {"features": features, "head": head}


@pytest.mark.parametrize("dummy", ["dummy", "dummy:strategy=uniform", "sklearn.dummy.DummyClassifier"])
def test_a_dummy_stands_for_no_features(dummy):
    results = [row("a", "svm"), row("b", dummy), row("b", "svm"), row("a", dummy)]
    assert _opponents(results) == [("features", results[0], results[2]), ("head", results[0], results[3])]


def test_a_dummy_that_wins_is_named_first_and_one_alone_stands_for_itself():
    results = [row("a", "dummy"), row("a", "svm")]
    assert _opponents(results) == [("head", *results)]
    alone = [row("a", "dummy"), row("b", "dummy")]
    assert _opponents(alone) == [("features", *alone)]


def test_the_terminal_names_the_method_of_its_intervals(comparison):
    assert "intervals: corrected resampled t over the folds" in str(comparison)
