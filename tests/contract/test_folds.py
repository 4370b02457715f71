"""Folds: ours and scikit-learn's are checked by the same rules, against a check that is written otherwise."""

from collections import defaultdict

import numpy as np
import pytest
from builders import digest_of, leaf_table, run, write_folds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, RepeatedKFold, StratifiedGroupKFold

from classify import Fold, make_folds
from evaluate import check_folds, compare
from featurize import BottleheadError, FeatureTable


def crosses(table, training, testing):
    """By hand: does any photo, content or given group stand on both sides?"""
    seen = defaultdict(set)
    for side, rows in (("training", training), ("testing", testing)):
        for row in rows:
            for kind in ("image", "sha256", "group"):
                value = table.column(kind)[row]
                if value is not None and (kind != "image" or table.sha256[row] is None):
                    seen[kind, value].add(side)
    return any(len(sides) == 2 for sides in seen.values())


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=12, max_size=30), st.integers(0, 1000)
)
def test_accepted_folds_part_nothing(rows, seed):
    groups = [f"g{group}" if group < 5 else None for group, _ in rows]
    table = FeatureTable.from_arrays(
        {"x": np.zeros((len(rows), 1))},
        label=np.resize(["a", "b"], len(rows)),
        group=groups,
        sha256=[digest_of(content) for _, content in rows],
    )
    pairs = list(KFold(2, shuffle=True, random_state=seed).split(groups))
    try:
        accepted = check_folds(pairs, table)
    except BottleheadError as error:
        if "leaks" not in str(error):
            assert "none of them is" in str(error)
            return
        # Direct ties are enough to refuse; ties through a third photo are refused too.
        training, testing = pairs[int(str(error).split()[1])]
        assert set(table.groups[training]) & set(table.groups[testing])
        return
    assert not any(crosses(table, fold.training, fold.testing) for fold in accepted)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"group": ["leaf"] * 2 + [None] * 22}, "is in the same group as a training photo"),
        ({"group": [None] * 24, "sha256": [digest_of(0)] * 2 + [digest_of(n) for n in range(2, 24)]},
         "is byte-identical with a training photo"),
        ({"group": [None] * 24, "sha256": [None] * 24, "image": ["0.jpg"] * 2 + list("abcdefghijklmnopqrstuv")},
         "is a training photo too, or a distorted copy of one"),
    ],
)  # fmt: skip
def test_each_kind_of_crossing_is_named_and_counted(columns, why):
    with pytest.raises(BottleheadError, match=f"fold 0 leaks: 1 of its 1 test photos {why}"):
        check_folds([(np.arange(1, 24), [0])], leaf_table(**columns))


def test_crossing_through_a_third_photo_is_refused():
    # 0 and 1 share bytes, 1 and 2 a leaf: 0 and 2 belong together though they have nothing in common.
    table = leaf_table(
        label=["rust", "well"] * 4, group=[None, "a", "a", *[None] * 5],
        sha256=[digest_of(n) for n in (0, 0, 1, 2, 3, 4, 5, 6)], n_leaves=4, per_leaf=2
    )  # fmt: skip
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        check_folds([([0, 3, 4], [2, 5])], table)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([], "no folds were given"),
        ([([], [1])], "0 rows to train on and 1 to test"),
        ([([1], [])], "1 rows to train on and 0 to test"),
        ([([0], [99])], "names row 99; the table has 24 rows"),
        ([([0], [-1])], "names row -1"),
        ([([0.5], [1])], "is float64 of shape"),
        ([([0, 1, 2], [3, 3, 4, 5])], "1 are there twice"),
        ([([0, 1, 2], [3, 4, 5])], "none of them is well"),
        ([3], "int is no fold"),
        # scikit-learn 1.7 makes a fold of nothing instead of refusing itself.
        (StratifiedGroupKFold(9), "(StratifiedGroupKFold cannot split 24 photos in 8 groups|and 0 to test)"),
    ],
)
def test_folds_that_cannot_be_used_are_refused_with_numbers(folds, message):
    with pytest.raises(BottleheadError, match=message):
        check_folds(folds, leaf_table())


def test_a_plain_splitter_is_caught_and_a_grouped_one_passes():
    table = leaf_table()
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        check_folds(KFold(3, shuffle=True, random_state=0), table)
    found = check_folds(StratifiedGroupKFold(3), table)
    assert sorted(np.concatenate([fold.testing for fold in found])) == list(range(24))


def test_distorted_copies_follow_their_photos_and_are_never_tested():
    once = leaf_table()
    table = once.filter(np.tile(np.arange(24), 2)).with_column("variant", [0] * 24 + [9] * 24)
    for fold in check_folds(StratifiedGroupKFold(3), table):
        assert fold.testing.max() < 24
        assert set(fold.training) == {r + k for r in set(range(24)) - set(fold.testing) for k in (0, 24)}
    with pytest.raises(BottleheadError, match="1 are distorted copies"):
        check_folds([(np.arange(3, 24), [0, 24])], table)


def test_repeats_of_a_splitter_are_told_apart():
    found = check_folds(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), leaf_table(group=[None] * 24))
    assert [(fold.repeat, fold.fold) for fold in found] == [(r, f) for r in (0, 1) for f in (0, 1, 2)]


def test_compare_takes_pairs_folds_and_a_splitter_and_refuses_a_file_that_leaks(tmp_path):
    table = leaf_table()
    ours = make_folds(table.label, table.groups, n_folds=4)
    for one, other in zip(ours, check_folds(ours, table), strict=True):
        assert isinstance(other, Fold) and (one.repeat, one.fold) == (other.repeat, other.fold)
        assert np.array_equal(one.training, other.training) and np.array_equal(one.testing, other.testing)
    found, same, own = (
        compare(table, heads=["softmax"], jobs=1, **options)
        for options in (
            {"folds": [(one.training, one.testing) for one in ours]}, {"folds": StratifiedGroupKFold(4)}, {"cv": 4}
        )
    )  # fmt: skip
    assert found.folds["cv"] == same.folds["cv"] == 4
    assert found.results[0]["log_loss"] == own.results[0]["log_loss"]
    table.write(tmp_path / "t.parquet")
    write_folds(tmp_path / "f.csv", [row % 2 for row in range(24)])
    outcome = run(f"evaluate compare {tmp_path}/t.parquet --heads dummy -j 1 --folds {tmp_path}/f.csv")
    assert "in the same group as a training photo" in outcome.error
