"""Leaks in a comparison: near-duplicates on both sides, measured on made-up and on real photos."""

import numpy as np
import pytest
from builders import burst_table

from classify.folds import Fold
from evaluate.checks.leakage import (
    LOOKED_AT_UNASKED,
    describe_duplicates,
    find_near_duplicates,
    n_split_across_folds,
)
from evaluate.statistics.intervals import Interval
from evaluate.studies.compare import compare
from featurize.errors import UsageError
from featurize.table import FeatureTable


@pytest.fixture
def bursts() -> FeatureTable:
    return burst_table()


def test_the_same_figure_either_way_is_said_once(bursts):
    duplicates, _, _ = find_near_duplicates(bursts, True)
    interval, folds = Interval(0.8, 0.7, 0.9), [Fold(0, 0, np.array([1]), np.array([0]))]
    words = describe_duplicates(duplicates, folds, interval, together=0.8)["words"]
    assert words.startswith("1 photo was tested by heads trained on a near-duplicate")
    assert words.endswith("keeps them together (80.0 % either way)")


def test_a_difference_within_the_interval_is_not_oversold(bursts):
    duplicates, _, _ = find_near_duplicates(bursts, True)
    interval = Interval(0.8, 0.7, 0.9)
    near, far = (
        describe_duplicates(duplicates, [], interval, at_random=one)["words"] for one in (0.85, 0.95)
    )
    assert (
        "accuracy is 85.0 % with random folds and 80.0 % when near-duplicates stay in one fold" in near
        and "new folds alone can explain that much" in near
    )
    assert "95.0 % with random folds" in far and "alone" not in far


def test_parted_counts_tested_photos_once():
    folds = [Fold(0, 0, np.array([0, 1]), np.array([2, 3])), Fold(0, 1, np.array([2, 3]), np.array([0, 1]))]
    assert n_split_across_folds(np.array([[0, 2], [1, 2], [0, 1]]), folds) == 3
    assert n_split_across_folds(np.zeros((0, 2), dtype=np.int64), folds) == 0


def test_narrow_and_large_tables_are_passed_over_unless_asked(bursts):
    narrow = FeatureTable.from_arrays({"x": np.ones((4, 3))}, label=list("aabb"))
    assert find_near_duplicates(narrow, False) == (None, narrow, [])
    with pytest.raises(UsageError, match="tell photos apart"):
        find_near_duplicates(narrow, True)
    large = bursts.filter(np.arange(LOOKED_AT_UNASKED + 1) % 120)
    assert find_near_duplicates(large, False)[0] is None


def test_more_near_duplicates_than_can_be_listed_do_not_end_a_comparison():
    """Of 3,000 photos 1,500 are frames of one fixed camera, and so 1,124,250 pairs."""
    vectors = np.random.default_rng(0).normal(size=(3000, 64))
    vectors[:1500] = vectors[0] + 0.01 * vectors[:1500]
    frames = FeatureTable.from_arrays(
        {"net": vectors}, label=["day", "night"] * 1500, sha256=[f"{n:064x}" for n in range(3000)]
    )
    found = compare(frames, heads=["dummy"], jobs=1)
    assert found.duplicates is None
    start = "more than 1,000,000 pairs of photos reach a similarity of 0.97, too many"
    (warning,) = (text for text in found.warnings if text.startswith(start))
    assert warning in found.to_html() and "--group-by" in warning
    with pytest.raises(UsageError, match="more than 1,000,000 pairs") as caught:
        compare(frames, heads=["dummy"], group_duplicates=True, jobs=1)
    assert caught.value.hint.startswith("leave --group-duplicates out; say which photos show one scene")
