"""Intervals, paired comparisons and families of questions: by hand, against scipy, and their symmetries."""

import math
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluate.statistics.differences import (
    bayesian_comparison,
    comparisons_to_make,
    holm,
    mcnemar,
    paired_interval,
    sign_posterior,
    verdict_of,
)
from evaluate.statistics.intervals import cross_validated_interval as interval_of
from evaluate.statistics.intervals import grouped_interval, paired_difference, wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_mean_and_stays_between_0_and_1(case):
    found = wilson_interval(*case)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    # At the ends it is closed there, and open on the other side.
    none, all_right = wilson_interval(0, 12), wilson_interval(12, 12)
    assert none.low == 0 < 0.2 < none.high < 0.3 and 0.7 < all_right.low < 0.8 < all_right.high == 1


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
    # One fold is a test set, and images that stand alone are Wilson's.
    found, expected = interval_of(right, image, image, n_folds=1), wilson_interval(90, 100)
    assert (found.mean, found.low, found.high) == pytest.approx((0.9, expected.low, expected.high))
    assert grouped_interval(right, image) == expected


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
    # Unequal folds weigh by their images.
    unequal = paired_difference([1.0, 0.5], [0.5, 0.5], [30, 10], [10, 30])
    assert unequal.difference == pytest.approx((30 * 0.5 + 10 * 0.0) / 40)


def test_no_difference_anywhere_has_p_1_and_a_constant_one_p_0():
    same = paired_difference([0.8, 0.9], [0.8, 0.9], [10, 10], [10, 10])
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert paired_difference([0.8, 0.8], [0.5, 0.5], [10, 10], [10, 10]).p_value == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10), st.floats(0.001, 0.2))
def test_swapping_the_sides_flips_the_difference_and_the_probabilities(pairs, width):
    one, other = map(list, zip(*pairs, strict=True))
    sizes = [10] * len(one), [40] * len(one)
    there, back = paired_difference(one, other, *sizes), paired_difference(other, one, *sizes)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)
    forth, reverse = (bayesian_comparison(*two, *sizes, width) for two in ((one, other), (other, one)))
    assert forth.worse + forth.same + forth.better == pytest.approx(1)
    assert (forth.worse, forth.same) == pytest.approx((reverse.better, reverse.same), abs=1e-9)
    if there.low < there.high:  # without a region of equivalence it is the one-sided test
        verdict = bayesian_comparison(one, other, *sizes, same_within=0.0)
        assert 2 * min(verdict.worse, verdict.better) == pytest.approx(there.p_value, abs=1e-9)


def test_under_no_difference_the_corrected_test_cries_wolf_seldom():
    """200 pairs of random guesses on the same 5 folds of 20 images: at most 5 % and a margin for luck."""
    rng = np.random.default_rng(0)
    guesses = rng.binomial(20, 0.5, size=(200, 2, 5)) / 20
    found = [paired_difference(one, other, [20] * 5, [80] * 5).p_value < 0.05 for one, other in guesses]
    assert np.mean(found) <= 0.05


def test_folds_that_agree_exactly_leave_no_doubt():
    # In numbers that floats hold exactly: 0.25 either way is still the same, 0.5 is not.
    for one, certain in ((0.75, "same"), (0.25, "same"), (1.0, "better"), (0.0, "worse")):
        found = bayesian_comparison([one] * 3, [0.5] * 3, [10] * 3, [20] * 3, same_within=0.25)
        assert found == {"worse": 0, "same": 0, "better": 0} | {certain: 1}


def test_holm_by_hand():
    # Sorted: 0.005*4, 0.01*3, 0.03*2, 0.04*1; the last may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm([]), holm([0.04]), holm([0.9, 0.8])) == ([], [0.04], [1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_textbook_loop_rejects(p_values):
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] * (len(p_values) - step) > 0.05:
            break
        rejected.add(place)
    corrected = holm(p_values)
    assert {place for place, p in enumerate(corrected) if p <= 0.05} == rejected
    assert all(0 <= given <= p <= 1 for given, p in zip(p_values, corrected, strict=True))


def rights(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_one, only_other, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


def difference(one, other, repeats: int = 1, group_size: int = 1):
    image = np.tile(np.arange(len(one)), repeats)
    return paired_interval(np.tile(one, repeats), np.tile(other, repeats), image, image // group_size, 1)


def test_swapping_the_sides_flips_everything_and_repeats_of_a_photo_are_no_new_photos():
    one, other = rights(20, 7, 3, 10)
    there, back, thrice = difference(one, other), difference(other, one), difference(one, other, repeats=3)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert (thrice.low, thrice.high, thrice.p_value) == pytest.approx((there.low, there.high, there.p_value))
    verdict = sign_posterior(one, other, np.arange(40), 0.01)
    assert verdict.better > 0.8 > 0.2 > verdict.worse
    assert sum(verdict.to_dict().values()) == pytest.approx(1.0)


def test_photos_of_a_group_that_differ_together_weigh_as_one():
    one, other = rights(2000, 700, 300, 1000)
    alone, together = difference(one, other), difference(one, other, group_size=10)
    assert together.difference == alone.difference
    assert together.high - together.low == pytest.approx(10**0.5 * (alone.high - alone.low), rel=0.02)


def test_a_large_group_counts_once_among_single_photos():
    # Of 200 photos alone and 5 groups of 10 the groups are won by the one head: 5 of 5, p = 2 / 2 ** 5.
    groups = np.r_[np.arange(200), 200 + np.repeat(np.arange(5), 10)]
    one, other = np.ones(250), groups < 200
    found = paired_interval(one, other, np.arange(250), groups, n_folds=5)
    assert found.p_value == pytest.approx(2 / 2**5)
    assert mcnemar(one, one, groups).p_value == 1.0
    assert mcnemar(one, other, groups).p_value == pytest.approx(2 / 2**5)
    # Jeffreys' prior on 5, 0 and 200 groups: the mean difference is (5.5 - 0.5) / 206.5.
    verdict = sign_posterior(one, other, groups, same_within=5 / 206.5)
    assert 0.4 < verdict.better < 0.6


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_mcnemars_test_of_groups_is_that_over_all_ways_to_swap_the_heads_in_them(leads):
    groups = np.repeat(np.arange(len(leads)), [2 + abs(lead) for lead in leads])
    one = np.concatenate([[True] + [lead > 0] * abs(lead) + [False] for lead in leads])
    other = np.concatenate([[True] + [lead < 0] * abs(lead) + [False] for lead in leads])
    sums = [abs(np.dot(signs, leads)) for signs in product((-1, 1), repeat=len(leads))]
    expected = np.mean([one >= abs(sum(leads)) for one in sums])
    assert mcnemar(one, other, groups).p_value == pytest.approx(expected)


def test_mcnemars_test_keeps_the_digits_of_the_smallest_p_values():
    groups = np.concatenate([np.arange(100), 100 + np.arange(200) // 2])
    one = np.ones(300, dtype=bool)
    assert mcnemar(one, ~one, groups).p_value == pytest.approx(2 * 0.5**200, rel=1e-9, abs=0)


def test_mcnemars_test_of_groups_holds_its_level_where_that_of_photos_does_not():
    """Two heads of equal accuracy; photos of a group favour the same one."""
    rng, groups = np.random.default_rng(0), np.arange(200) // 5
    p_values = []
    for _ in range(400):
        prefers = rng.random(40)[groups] < 0.5
        one, other = ((rng.random(200) < 0.6 + 0.3 * side) for side in (prefers, ~prefers))
        p_values.append([mcnemar(one, other, by).p_value for by in (groups, np.arange(200))])
    of_groups, of_photos = (np.array(p_values) < 0.05).mean(axis=0)
    assert 0.02 < of_groups < 0.07 < of_photos


def test_the_interval_is_never_empty_nor_beyond_1():
    for counts in ((10, 0, 0, 0), (0, 10, 0, 0), (0, 0, 0, 10), (0, 1, 0, 0)):
        found = difference(*rights(*counts))
        assert -1 <= found.low < found.high <= 1
        assert found.low <= found.difference <= found.high


@given(st.floats(-0.2, 0.3), st.floats(0, 0.2), st.floats(0, 1))
def test_words_interval_and_test_never_contradict_each_other(low, width, p_holm):
    verdict = verdict_of(low, low + width, p_holm)
    if verdict == "beats":
        assert p_holm < 0.05 and not low <= 0 <= low + width
    assert (verdict == "undecided") == (low <= 0)


class Row(NamedTuple):
    features: str
    head: str
    classifier: str


@pytest.mark.parametrize("dummy", ["dummy", "dummy:strategy=uniform", "sklearn.dummy.DummyClassifier"])
def test_a_dummy_stands_for_no_features(dummy):
    """By what it is, whatever it is called."""

    def pair(features, classifier):
        return Row(features, "dummy" if classifier == "svm" else "mine", classifier)

    results = [pair("a", "svm"), pair("b", dummy), pair("b", "svm"), pair("a", dummy)]
    expected = [("features", results[0], results[2]), ("head", results[0], results[3])]
    assert comparisons_to_make(results) == expected
    # One that wins is named first, and one alone stands for itself.
    results = [pair("a", "dummy"), pair("a", "svm")]
    assert comparisons_to_make(results) == [("head", *results)]
    alone = [pair("a", "dummy"), pair("b", "dummy")]
    assert comparisons_to_make(alone) == [("features", *alone)]
