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


@settings(max_examples=80)
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


def test_a_plain_splitter_is_caught_a_grouped_one_passes_and_repeats_are_told_apart():
    table = leaf_table()
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        check_folds(KFold(3, shuffle=True, random_state=0), table)
    found = check_folds(StratifiedGroupKFold(3), table)
    assert sorted(np.concatenate([fold.testing for fold in found])) == list(range(24))
    found = check_folds(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), leaf_table(group=[None] * 24))
    assert [(fold.repeat, fold.fold) for fold in found] == [(r, f) for r in (0, 1) for f in (0, 1, 2)]


def test_distorted_copies_follow_their_photos_and_are_never_tested():
    once = leaf_table()
    table = once.filter(np.tile(np.arange(24), 2)).with_column("variant", [0] * 24 + [9] * 24)
    for fold in check_folds(StratifiedGroupKFold(3), table):
        assert fold.testing.max() < 24
        assert set(fold.training) == {r + k for r in set(range(24)) - set(fold.testing) for k in (0, 24)}
    with pytest.raises(BottleheadError, match="1 are distorted copies"):
        check_folds([(np.arange(3, 24), [0, 24])], table)


def test_compare_takes_pairs_folds_and_a_splitter_and_refuses_a_file_that_leaks(tmp_path):
    table = leaf_table()
    ours = make_folds(table.label, table.groups, n_folds=4, content=table.content)
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


def test_labels_are_spread_exactly_when_nothing_belongs_together():
    label = np.repeat(["a", "b"], [40, 10])
    for fold in make_folds(label, np.arange(50), n_folds=5):
        assert np.unique(label[fold.testing], return_counts=True)[1].tolist() == [8, 2]


# Their label, their photos, and distorted copies of each.
LEAVES = st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 2))


@settings(max_examples=40)
@given(st.lists(LEAVES, min_size=8, max_size=25), st.integers(2, 4), st.integers(1, 2), st.integers(0, 3))
def test_no_group_on_both_sides_and_every_photo_tested_once(leaves, n_folds, repeats, seed):
    leaves += [("a", 1, 0), ("b", 1, 0)] * n_folds
    sizes = [photos * (1 + copies) for _, photos, copies in leaves]
    label, groups = np.repeat([kind for kind, *_ in leaves], sizes), np.repeat(np.arange(len(leaves)), sizes)
    variant = np.array([v for _, photos, copies in leaves for _ in range(photos) for v in range(1 + copies)])
    folds = make_folds(label, groups, variant, n_folds=n_folds, repeats=repeats, seed=seed)
    assert [(f.repeat, f.fold) for f in folds] == [(r, k) for r in range(repeats) for k in range(n_folds)]
    for fold in folds:
        assert not set(groups[fold.training]) & set(groups[fold.testing])
        assert (variant[fold.testing] == 0).all()
        # Nothing is wasted: what is not of a tested group trains, distorted copies too.
        tested = np.isin(groups, groups[fold.testing])
        assert fold.training.tolist() == np.flatnonzero(~tested).tolist()
    for repeat in range(repeats):
        tested = np.concatenate([f.testing for f in folds if f.repeat == repeat])
        assert sorted(tested) == np.flatnonzero(variant == 0).tolist()


def numbers(folds):
    return [fold.testing.tolist() for fold in folds]


@pytest.mark.parametrize(
    ("label", "groups", "options", "message"),
    [
        (["common"] * 20 + ["rare"] * 3, range(23), {},
         r"5 folds cannot be made: rare has 3 images \(use at most 3 folds"),
        (["well"] * 20 + ["leafy"] * 10, [*range(20), *[20] * 5, *[21] * 5], {},
         "leafy has 10 images in 2 groups"),
        (["fern"] * 6 + ["moss"] * 6, [0] * 6 + [1, 2, 3, 4, 5, 6], {},
         r"fern has 6 images in 1 group \(add photos of fern in other groups"),
        (["a"] * 4 + ["b"] * 4, [0, 1, 2, 3, 4, 4, 4, 4], {"variant": [0, 0, 0, 0, 0, 1, 2, 3], "n_folds": 2},
         r"b has 1 image \(add photos"),
        (["a", "b"] * 5, range(10), {"n_folds": 1}, "1 folds"),
        (["a", "b"] * 5, range(10), {"repeats": 0}, "0 repeats"),
        (["a", "b"] * 5, range(10), {"seed": -1}, "seed -1"),
        (["a", None, "b"], range(3), {}, "1 of 3 rows have no label"),
    ],
)  # fmt: skip
def test_folds_that_cannot_be_are_refused_with_numbers(label, groups, options, message):
    with pytest.raises(BottleheadError, match=message):
        make_folds(label, groups, **options)


def test_labels_that_a_fold_would_not_train_are_named():
    """Of three large groups a fold tests two, and with them all that some label has."""
    label = np.array(2 * ["rust", *"abc", "rust", *"def", *"abcdef"])
    groups = np.tile(np.repeat([0, 1, 2], [4, 4, 6]), 2)
    with pytest.raises(BottleheadError, match="leaves no rust, because"):
        make_folds(label, groups, n_folds=2)


def test_folds_that_were_asked_for_before_are_the_same_and_nobody_elses_and_repeats_differ():
    label, groups = np.tile(["a", "b"], 20), np.arange(40) // 2
    first = make_folds(label, groups, n_folds=4, seed=1)
    kept = numbers(first)
    for fold in first:
        fold.testing[:] = 0  # what a caller does with its folds is its own affair
    assert numbers(make_folds(label.astype(object), groups + 7, n_folds=4, seed=1)) == kept
    other = numbers(make_folds(label, groups, n_folds=4, seed=2))
    twice = numbers(make_folds(label, groups, n_folds=4, seed=1, repeats=2))
    # The second repeat of a seed is not the first of the next.
    assert twice[:4] == kept and kept != other and twice[4:] != kept and twice[4:] != other
