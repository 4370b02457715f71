"""What is said of near-duplicates on both sides, and how photos on both sides are counted."""

import numpy as np
from builders import burst_table

from classify.folds import Fold
from evaluate.checks.leakage import (
    LOOKED_AT_UNASKED,
    describe_duplicates,
    find_near_duplicates,
    n_split_across_folds,
)
from evaluate.statistics.intervals import Interval


def test_equal_figures_are_said_once_and_a_difference_within_the_interval_is_not_oversold():
    duplicates, interval = find_near_duplicates(burst_table(), True)[0], Interval(0.8, 0.7, 0.9)
    folds = [Fold(0, 0, np.array([1]), np.array([0]))]
    words = describe_duplicates(duplicates, folds, interval, together=0.8)["words"]
    assert words.startswith("1 photo was tested by heads trained on a near-duplicate")
    assert words.endswith("keeps them together (80.0 % either way)")
    near, far = (describe_duplicates(duplicates, [], interval, at_random=p)["words"] for p in (0.85, 0.95))
    assert "85.0 % with random folds and 80.0 % when near-duplicates stay in one fold" in near
    assert "new folds alone can explain that much" in near
    assert "95.0 % with random folds" in far and "alone" not in far


def test_parted_counts_tested_photos_once():
    folds = [Fold(0, 0, np.array([0, 1]), np.array([2, 3])), Fold(0, 1, np.array([2, 3]), np.array([0, 1]))]
    assert n_split_across_folds(np.array([[0, 2], [1, 2], [0, 1]]), folds) == 3
    assert n_split_across_folds(np.zeros((0, 2), dtype=np.int64), folds) == 0


def test_large_tables_are_passed_over_unless_asked():
    large = burst_table().filter(np.arange(LOOKED_AT_UNASKED + 1) % 120)
    assert find_near_duplicates(large, False)[0] is None
