"""Intervals and the paired comparison: degenerate cases first, then numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluate.statistics import (
    cross_validated_interval,
    grouped_interval,
    paired_difference,
    wilson_interval,
)

Z = 1.959963984540054


def test_wilson_by_hand():
    found = wilson_interval(8, 10)
    centre = (0.8 + Z**2 / 20) / (1 + Z**2 / 10)
    half = Z / (1 + Z**2 / 10) * math.sqrt(0.8 * 0.2 / 10 + Z**2 / 400)
    assert (found.mean, found.low, found.high) == pytest.approx((0.8, centre - half, centre + half))


def test_wilson_equals_scipy():
    expected = stats.binomtest(37, 45).proportion_ci(0.95, method="wilson")
    found = wilson_interval(37, 45)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("right", "end"), [(0, "low"), (12, "high")])
def test_wilson_at_the_ends_is_closed_there_and_open_on_the_other_side(right, end):
    found = wilson_interval(right, 12)
    assert getattr(found, end) == right / 12
    assert 0.2 < found.high - found.low < 0.3


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
    # Between 8 leaves the variance has 7 degrees of freedom: the effective number is 8 * 7/8.
    expected = wilson_interval(0.75 * 7, 7)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_groups_never_make_more_of_the_images_than_there_are():
    # Each group has one right and one wrong: less spread than chance.
    right, groups = np.tile([1, 0], 10), np.repeat(np.arange(10), 2)
    assert grouped_interval(right, groups) == wilson_interval(10, 20)


def test_all_right_counts_groups_not_images():
    assert grouped_interval(np.ones(30), np.repeat(np.arange(3), 10)) == wilson_interval(3, 3)


def test_cross_validated_interval_by_hand():
    # Four folds of ten: 9, 8, 10, 9 right; thirty images trained each.
    fold = np.repeat(np.arange(4), 10)
    right = np.concatenate([np.arange(10) < n for n in (9, 8, 10, 9)])
    found = cross_validated_interval(right, fold, np.arange(40), [30] * 4)
    variance = (0**2 + 0.1**2 + 0.1**2 + 0**2) / 3
    half = stats.t.ppf(0.975, 3) * math.sqrt((1 / 4 + 10 / 30) * variance)
    assert found.mean == pytest.approx(0.9)
    assert found.low == pytest.approx(0.9 - half)
    assert found.high == min(1.0, 0.9 + half)


def test_where_all_folds_agree_the_interval_is_not_empty():
    fold = np.repeat(np.arange(5), 4)
    assert cross_validated_interval(np.ones(20), fold, np.arange(20), [16] * 5) == wilson_interval(20, 20)


def test_repeats_of_one_image_do_not_count_as_new_images_where_all_folds_agree():
    fold, image = np.repeat(np.arange(10), 4), np.tile(np.arange(20), 2)
    assert cross_validated_interval(np.ones(40), fold, image, [16] * 10) == wilson_interval(20, 20)


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
