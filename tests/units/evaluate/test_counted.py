"""Comparisons photo by photo, what may be said of them, and who stands for which features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.statistics.differences import (
    PairName,
    comparisons_to_make,
    mcnemar,
    paired_interval,
    sign_posterior,
    verdict_of,
)


def rights(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_one, only_other, neither]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


def difference(one, other, repeats: int = 1, group_size: int = 1, n_folds: int = 1):
    image = np.tile(np.arange(len(one)), repeats)
    return paired_interval(
        np.tile(one, repeats), np.tile(other, repeats), image, image // group_size, n_folds
    )


@pytest.mark.parametrize("n_folds", [1, 5])
def test_the_interval_by_hand(n_folds):
    one, other = rights(36, 12, 2, 0)
    n = 50 / (1 + 1.5 / 50**0.5) ** 2 if n_folds > 1 else 50
    first, second = (12 / 50 * n + 0.5) / (n + 1), (2 / 50 * n + 0.5) / (n + 1)
    half = 1.959964 * ((first + second - (first - second) ** 2) / (n + 1)) ** 0.5
    found = difference(one, other, n_folds=n_folds)
    assert found.difference == pytest.approx(10 / 50)
    assert (found.low, found.high) == pytest.approx((first - second - half, first - second + half))
    assert found.p_value == pytest.approx(mcnemar(one.astype(bool), other.astype(bool)).p_value)


def test_swapping_the_sides_flips_everything():
    one, other = rights(20, 7, 3, 10)
    there, back = difference(one, other), difference(other, one)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    verdict = sign_posterior(one, other, np.arange(40), 0.01)
    assert verdict.better > 0.8 > 0.2 > verdict.worse
    assert sum(verdict.to_dict().values()) == pytest.approx(1.0)


def test_repeats_of_a_photo_are_no_new_photos():
    one, other = rights(20, 7, 3, 10)
    once, thrice = difference(one, other), difference(one, other, repeats=3)
    assert (thrice.low, thrice.high, thrice.p_value) == pytest.approx((once.low, once.high, once.p_value))


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
    # Jeffreys' prior on 5, 0 and 200 groups: the mean difference is (5.5 - 0.5) / 206.5.
    verdict = sign_posterior(one, other, groups, same_within=5 / 206.5)
    assert 0.4 < verdict.better < 0.6


def test_the_interval_is_never_empty_nor_beyond_1():
    for counts in ((10, 0, 0, 0), (0, 10, 0, 0), (0, 0, 0, 10), (0, 1, 0, 0)):
        found = difference(*rights(*counts))
        assert -1 <= found.low < found.high <= 1
        assert found.low <= found.difference <= found.high


@settings(deadline=None)
@given(st.floats(-0.2, 0.3), st.floats(0, 0.2), st.floats(0, 1))
def test_words_interval_and_test_never_contradict_each_other(low, width, p_holm):
    verdict = verdict_of(low, low + width, p_holm)
    if verdict == "beats":
        assert p_holm < 0.05 and not low <= 0 <= low + width
    assert (verdict == "undecided") == (low <= 0 <= low + width)


def test_real_verdicts_follow_the_rule_and_the_words_the_verdict(comparison):
    for pair in comparison.comparisons:
        assert pair["low"] <= pair["difference"] <= pair["high"]
        assert pair.verdict == verdict_of(pair.low, pair.high, pair.p_holm)
        words = {"beats": " beats ", "ahead": "is ahead of", "undecided": "cannot be told apart"}
        assert words[pair["verdict"]] in pair["words"]


@pytest.mark.parametrize("dummy", ["dummy", "dummy:strategy=uniform", "sklearn.dummy.DummyClassifier"])
def test_a_dummy_stands_for_no_features(dummy):
    results = [PairName("a", "svm"), PairName("b", dummy), PairName("b", "svm"), PairName("a", dummy)]
    expected = [("features", results[0], results[2]), ("head", results[0], results[3])]
    assert comparisons_to_make(results) == expected


def test_a_dummy_that_wins_is_named_first_and_one_alone_stands_for_itself():
    results = [PairName("a", "dummy"), PairName("a", "svm")]
    assert comparisons_to_make(results) == [("head", *results)]
    alone = [PairName("a", "dummy"), PairName("b", "dummy")]
    assert comparisons_to_make(alone) == [("features", *alone)]
