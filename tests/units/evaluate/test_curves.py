"""The learning curve: what trains at each size, the fitted law, and guesses that are called guesses."""

import numpy as np
import pytest
from builders import digest_of
from scipy import optimize

from classify.folds import make_folds
from evaluate.report.score_sentences import curve_in_words
from evaluate.results import Advice, CurveMeasurements, Gain, Rise
from evaluate.statistics.differences import PairName
from evaluate.statistics.power_law import PowerLaw, drawn_again, extrapolate, fit_power_law
from evaluate.studies.curve import _at_most, _gain
from featurize.table import FeatureTable


def test_each_size_trains_so_many_of_each_label_and_contains_the_smaller(confused):
    for fold in make_folds(confused.label, confused.groups, n_folds=4, seed=0):
        smaller, larger = (_at_most(fold, confused, size, confused.groups, 0) for size in (4, 9))
        assert np.unique(confused.label[smaller.training], return_counts=True)[1].tolist() == [4, 4, 4]
        assert set(smaller.training) < set(larger.training) < set(fold.training)
        assert (smaller.testing == fold.testing).all()


def test_groups_go_in_whole_and_bring_their_variants():
    leaf = np.arange(48) // 4
    ids = {"group": leaf.astype(str), "variant": [0, 0, 0, 1] * 12, "sha256": list(map(digest_of, range(48)))}
    table = FeatureTable.from_arrays({"x": np.zeros((48, 1))}, label=np.repeat(["a", "b"], 24), **ids)
    [fold, *_] = make_folds(table.label, table.groups, table.variant, n_folds=3)
    found = _at_most(fold, table, 4, table.groups, 0).training
    # Three photos a leaf: two leaves are needed for four photos of a label, and come with their copies.
    assert len(found) == 2 * 2 * 4
    assert all(count == 4 for count in np.unique(leaf[found], return_counts=True)[1])


def test_the_law_is_found_again_and_extrapolates_exactly():
    images = np.array([5, 10, 20, 40, 80])
    accuracy = 0.92 - 0.9 * images**-0.7
    found = fit_power_law(images, accuracy)
    assert (found["limit"], found["scale"]) == pytest.approx((0.92, 0.9), abs=0.02)
    guess = extrapolate(images, accuracy, 320)
    assert guess["accuracy"] == pytest.approx(0.92 - 0.9 * 320**-0.7, abs=0.002)
    assert guess["low"] <= guess["accuracy"] <= guess["high"] < 0.93
    beyond = fit_power_law([5, 10, 20, 40], [0.3, 0.55, 0.8, 0.99])
    assert beyond["limit"] == 1.0 and beyond["scale"] > 0
    assert fit_power_law([5, 10, 20], [0.5, 0.6, 0.7]) is None  # three sizes fit anything
    # Guesses stay shares and never fall.
    assert extrapolate([5, 10, 20, 40], [0.4, 0.6, 0.8, 1.0], 400)["accuracy"] <= 1.0
    flat = extrapolate([5, 10, 20, 40], [0.9, 0.85, 0.8, 0.75], 400)
    assert flat["accuracy"] == pytest.approx((1 * 0.9 + 2 * 0.85 + 3 * 0.8 + 4 * 0.75) / 10)


def test_the_law_is_the_weighted_least_squares_of_scipy():
    rng = np.random.default_rng(0)
    images, weights = np.array([5, 10, 20, 40, 80]), np.arange(1, 6) / 15
    for _ in range(5):
        accuracy = np.clip(0.9 - 0.6 * images**-0.5 + rng.normal(0, 0.02, 5), 0, 1)
        found = fit_power_law(images, accuracy)

        def misfit(curve, accuracy=accuracy):
            return np.sqrt(weights) * (accuracy - curve[0] + curve[1] * images ** -curve[2])

        mine = np.sum(misfit([found["limit"], found["scale"], found["rate"]]) ** 2)
        theirs = optimize.least_squares(misfit, [0.9, 0.5, 0.5], bounds=([0, 0, 0.05], [1, np.inf, 3]))
        assert mine <= 2 * theirs.cost * 1.02 + 1e-6  # the rates are a grid


def test_draws_take_groups_as_a_whole_and_are_always_the_same():
    groups = np.repeat(np.arange(50), 4)
    right = np.stack([np.repeat(np.arange(50) % 2, 4), np.ones(200)], axis=1)
    drawn = drawn_again(right, groups)
    assert drawn.shape == (1000, 2) and (drawn[:, 1] == 1).all()
    # Fifty coins, not two hundred.
    assert drawn[:, 0].std() == pytest.approx(0.5 / 50**0.5, rel=0.1)
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.01)
    assert (drawn_again(right, groups) == drawn).all()


def test_the_range_holds_the_truth_where_the_law_is_true():
    """30 curves of 400 images whose rightness follows the law exactly, extrapolated to twice and four times."""
    rng, sizes, held = np.random.default_rng(0), np.array([5, 10, 20, 40, 80]), []
    for _ in range(30):
        luck = 0.7 * rng.random((400, 1)) + 0.3 * rng.random((400, 5))  # an easy image is easy at all sizes
        right = luck < np.quantile(luck, 0.95 - 0.8 * sizes**-0.5)[None]
        drawn = drawn_again(right, np.arange(400))
        for factor in (2, 4):
            found = extrapolate(sizes, right.mean(axis=0), 80 * factor, drawn)
            held.append(found["low"] <= 0.95 - 0.8 * (80 * factor) ** -0.5 <= found["high"])
            assert found["low"] <= found["accuracy"] <= found["high"]
    assert np.mean(held) > 0.85


def test_gains_and_advice_are_told_as_they_are_known():
    def words_of(gains, label=None):
        advice = Advice(label, {name: Rise(0.1, 0.01) for name in gains})
        return curve_in_words(
            CurveMeasurements(PairName("x", "svm"), [], PowerLaw(1, 1, 1), [], gains, advice)
        )

    bee, cat = Gain(0.9, 0.9, 0.004), Gain(0.8, 0.82, 0.02)
    words, advice = words_of({"ant": Gain(0.7, 0.8, 0.1), "bee": bee, "cat": cat}, "cat")
    assert (
        "help ant (+10.0 points of recall), then cat (+2.0 points of recall)." in words and "bee" not in words
    )
    assert advice == "A guess: photograph more cat."
    first, unknown, advice = words_of({"bee": bee, "cow": None})
    assert first == "A guess: no other label gains a point from twice as many photos of every label."
    assert "bring cow is not told" in unknown and "do not tell which label" in advice
    assert words_of({"bee": bee})[0].startswith("A guess: no label gains")


def test_a_gain_follows_the_labels_own_counts_and_none_that_stand_still():
    counts, recall = [4, 8, 16, 32], [1 - 0.8 * n**-0.5 for n in (4, 8, 16, 32)]
    assert _gain(recall, counts).gain == pytest.approx(0.8 * (32**-0.5 - 64**-0.5), abs=0.005)
    assert _gain(recall, [4, 8, 16, 16]) is None and _gain(recall[:3], counts[:3]) is None
