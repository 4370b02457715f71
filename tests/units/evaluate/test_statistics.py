"""Intervals and the paired comparison: degenerate cases first, then numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluate.statistics.intervals import cross_validated_interval as interval_of
from evaluate.statistics.intervals import grouped_interval, paired_difference, wilson_interval

Z = 1.959963984540054


def test_wilson_by_hand():
    found = wilson_interval(8, 10)
    centre = (0.8 + Z**2 / 20) / (1 + Z**2 / 10)
    half = Z / (1 + Z**2 / 10) * math.sqrt(0.8 * 0.2 / 10 + Z**2 / 400)
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, centre - half, centre + half))


@pytest.mark.parametrize(("right", "end"), [(0, "low"), (12, "high")])
def test_wilson_at_the_ends_is_closed_there_and_open_on_the_other_side(right, end):
    found = wilson_interval(right, 12)
    assert getattr(found, end) == right / 12
    assert 0.2 < found.high - found.low < 0.3


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_mean_and_stays_between_0_and_1(case):
    found = wilson_interval(*case)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_images_that_stand_alone_get_wilsons_interval():
    right = np.array([1, 1, 0, 1, 1, 1, 0, 1])
    assert grouped_interval(right, np.arange(8)) == wilson_interval(6, 8)


def test_ten_photos_of_each_leaf_right_or_wrong_together_weigh_as_one():
    leaves = np.repeat([1, 1, 0, 1, 1, 1, 0, 1], 10)
    found = grouped_interval(leaves, np.repeat(np.arange(8), 10))
    # Between 8 leaves the variance has 7 degrees of freedom: the effective number is 8 * 7/8, t replaces 1.96,
    # and 1 + 3/8 - 3/80 is for how little eight leaves tell.
    n, z = 7 / (1 + 3 / 8 - 3 / 80) ** 2, stats.t.ppf(0.975, 7)
    centre, half = 0.75 + z**2 / (2 * n), z * math.sqrt(0.75 * 0.25 / n + z**2 / (4 * n**2))
    assert found.low == pytest.approx((centre - half) / (1 + z**2 / n))
    assert found.high == pytest.approx((centre + half) / (1 + z**2 / n))


def test_groups_never_make_more_of_the_images_than_there_are():
    # Each group has one right and one wrong: less spread than chance.
    right, groups = np.tile([1, 0], 500), np.repeat(np.arange(500), 2)
    found, expected = grouped_interval(right, groups), wilson_interval(500, 1000)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=5e-4)


def test_all_right_counts_groups_not_images():
    found = grouped_interval(np.ones(300), np.repeat(np.arange(3), 100))
    t = stats.t.ppf(0.975, 2)
    assert (found.low, found.high) == (pytest.approx(1 / (1 + t**2 * 1.99**2 / 3)), 1.0)
    assert grouped_interval(np.ones(300), np.zeros(300)).low < 0.01  # one group says next to nothing


def test_the_cross_validated_interval_is_wilsons_made_wider():
    image = np.arange(100)
    right = image < 90
    found = interval_of(right, image, image, n_folds=5)
    expected = wilson_interval(90 / 1.15**2, 100 / 1.15**2)
    assert (found.mean, found.low, found.high) == pytest.approx((0.9, expected.low, expected.high))
    # One fold is a test set.
    found, expected = interval_of(right, image, image, n_folds=1), grouped_interval(right, image)
    assert (found.mean, found.low, found.high) == pytest.approx((0.9, expected.low, expected.high))


def test_the_same_repeat_twice_says_nothing_new_and_one_that_disagrees_says_more():
    right, image = np.arange(60) % 7 > 0, np.arange(60)
    once = interval_of(right, image, image, 5)
    same, other = (
        interval_of(np.concatenate([right, again]), np.tile(image, 2), np.tile(image, 2), 10)
        for again in (right, np.roll(right, 3))
    )
    assert (same.low, same.high) == pytest.approx((once.low, once.high))
    assert other.mean == pytest.approx(once.mean)
    assert other.high - other.low < 0.8 * (once.high - once.low)


def test_photos_of_a_leaf_that_err_together_make_it_wider_whatever_their_order():
    rng = np.random.default_rng(0)
    leaf = np.repeat(np.arange(30), 10)
    right = np.repeat(rng.random(30) < 0.8, 10)
    alone = interval_of(right, np.arange(300), np.arange(300), 5)
    together = interval_of(right, np.arange(300), leaf, 5)
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    order = rng.permutation(300)
    again = interval_of(right[order], np.arange(300)[order], leaf[order], 5)
    assert (again.low, again.high) == pytest.approx((together.low, together.high))


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=40), st.integers(1, 10))
def test_every_interval_holds_what_was_measured(right, n_folds):
    image = np.arange(len(right))
    for groups in (image, image // 3):
        found = interval_of(np.array(right), image, groups, n_folds)
        assert 0 <= found.low <= found.mean + 1e-12 and found.mean <= found.high + 1e-12 <= 1 + 2e-12


def test_the_interval_holds_the_truth_about_95_times_in_100():
    """200 cross-validations of a nearest mean in 10 numbers, whose accuracy on new images is known exactly."""
    rng, held = np.random.default_rng(0), []
    for _ in range(200):
        y = np.arange(150) % 2
        X, truth, right = rng.normal(size=(150, 10)) + 0.4 * y[:, None], [], np.zeros(150)
        for fold in range(5):
            testing = np.arange(150) // 2 % 5 == fold
            one, two = (X[~testing & (y == side)].mean(axis=0) for side in (0, 1))
            w, b = two - one, (two - one) @ (one + two) / 2
            right[testing] = (X[testing] @ w > b) == y[testing]
            scale = np.linalg.norm(w)
            truth.append((stats.norm.cdf(b / scale) + stats.norm.sf((b - 0.4 * w.sum()) / scale)) / 2)
        found = interval_of(right, np.arange(150), np.arange(150), 5)
        held.append(found.low <= np.mean(truth) <= found.high)
    assert 0.93 <= np.mean(held) <= 0.98


def test_paired_difference_by_hand():
    found = paired_difference([0.9, 0.8, 0.9], [0.7, 0.7, 0.6], [10] * 3, [20] * 3)
    variance = ((0.2 - 0.2) ** 2 + (0.1 - 0.2) ** 2 + (0.3 - 0.2) ** 2) / 2
    error = math.sqrt((1 / 3 + 10 / 20) * variance)
    half = stats.t.ppf(0.975, 2) * error
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.2 / error, 2))


def test_unequal_folds_weigh_by_their_images():
    found = paired_difference([1.0, 0.5], [0.5, 0.5], [30, 10], [10, 30])
    assert found.difference == pytest.approx((30 * 0.5 + 10 * 0.0) / 40)


def test_no_difference_anywhere_has_p_1_and_a_constant_one_p_0():
    same = paired_difference([0.8, 0.9], [0.8, 0.9], [10, 10], [10, 10])
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert paired_difference([0.8, 0.8], [0.5, 0.5], [10, 10], [10, 10]).p_value == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10))
def test_swapping_the_sides_flips_the_difference(pairs):
    one, other = map(list, zip(*pairs, strict=True))
    sizes = [10] * len(one), [40] * len(one)
    there, back = paired_difference(one, other, *sizes), paired_difference(other, one, *sizes)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)


def test_under_no_difference_the_corrected_test_cries_wolf_seldom():
    """200 pairs of random guesses on the same 5 folds of 20 images: at most 5 % and a margin for luck."""
    rng = np.random.default_rng(0)
    guesses = rng.binomial(20, 0.5, size=(200, 2, 5)) / 20
    found = [paired_difference(one, other, [20] * 5, [80] * 5).p_value < 0.05 for one, other in guesses]
    assert np.mean(found) <= 0.05
