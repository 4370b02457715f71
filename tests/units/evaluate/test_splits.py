"""Splits and folds files: exact counts, and groups that never part."""

from collections import Counter

import numpy as np
import pytest
from builders import digest_of, leaf_table
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneGroupOut

from evaluate.splits.checked_folds import fold_of_rows, folds_for, side_of_rows, write_folds
from evaluate.splits.split import crossing_images, split_table
from featurize.errors import UsageError
from featurize.table import FeatureTable

SIDES, METHODS = ("training", "validation", "testing"), ("stratified", "group")


def table_of(label, **columns):
    return FeatureTable.from_arrays({"x": np.zeros((len(label), 1))}, label=label, **columns)


def test_keep_together_moves_whole_groups_and_nothing_else():
    contents = [f"{i // 3 if i < 90 else i:064x}" for i in range(300)]
    table = table_of(["a"] * 300, image=[f"{i}.jpg" for i in range(300)], sha256=contents)
    plain, kept = split_table(table, "hash", 30, 30), split_table(table, "hash", 30, 30, keep_together=True)
    assert crossing_images(plain) > 0 == crossing_images(kept)
    assert plain.split[90:].tolist() == kept.split[90:].tolist()
    for start in range(0, 90, 3):
        sides = set(plain.split[start : start + 3])
        expected = next(side for side in SIDES if side in sides)
        assert set(kept.split[start : start + 3]) == {expected}
    split = ["training", "testing", "testing", None]
    assert crossing_images(table_of(["a"] * 4, sha256=["aa", "aa", "bb", "cc"], split=split)) == 2


def test_a_photo_in_training_stays_there_when_its_twin_is_added():
    images, contents = [f"{i}.jpg" for i in range(400)], [f"{i % 200:064x}" for i in range(400)]
    small = table_of(["a"] * 200, image=images[:200], sha256=contents[:200])
    large = table_of(["a"] * 400, image=images, sha256=contents)
    before, after = (split_table(t, "hash", 30, 30, keep_together=True).split[:200] for t in (small, large))
    assert set(after[before == "training"]) == {"training"}


EXACT = [(10, 10, (16, 2, 2)), (25, 0, (15, 0, 5)), (1, 1, (18, 1, 1))]


@pytest.mark.parametrize(("testing", "validation", "expected"), EXACT)
def test_stratified_has_exact_counts_and_takes_variants_along(testing, validation, expected):
    label, names = ["a"] * 20 + ["b"] * 20 + [None], [f"{i}.jpg" for i in range(41)]
    table = table_of(label * 2, image=names * 2, variant=[0] * 41 + [7] * 41)
    found = split_table(table, "stratified", testing, validation).split
    for rows in (slice(0, 20), slice(20, 40)):
        counts = Counter(found[rows].tolist())
        assert tuple(counts[side] for side in SIDES) == expected
    assert found[:41].tolist() == found[41:].tolist() and found[40] is None


@settings(max_examples=40)
@given(st.lists(st.integers(0, 11), min_size=40, max_size=80), st.sampled_from(METHODS), st.integers(0, 5))
def test_groups_never_part_and_no_side_is_empty(groups, method, seed):
    label = ["a" if group % 2 else "b" for group in groups]
    table = table_of(label, group=[f"leaf {group}" for group in groups])
    try:
        found = split_table(table, method, seed=seed)
    except UsageError:
        return
    assert crossing_images(found) == 0
    assert set(found.split) == set(SIDES)


def test_no_side_is_empty_beside_a_giant_group():
    for seed in range(10):
        table = table_of(["a"] * 40, group=["giant"] * 38 + ["one", "two"])
        found = split_table(table, "stratified", 10, 10, seed=seed)
        assert set(found.split) == set(SIDES) and crossing_images(found) == 0


TWENTY = table_of(["a"] * 20)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (TWENTY, {"method": "random"}, "no split method is called 'random'"),
        (TWENTY, {"testing_percentage": -1}, "-1 % testing"),
        (TWENTY, {"testing_percentage": float("nan")}, "nan % testing"),
        (TWENTY, {"method": "hash", "folder": "x"}, "'image' was asked for, with 'x'"),
        (TWENTY, {"keep_together": True}, "stratified has no use for a name"),
        (table_of(["a"] * 3), {"method": "hash"}, "divides 3 photos into .* 0 for"),
        (table_of(["a"] * 20 + ["b"] * 2), {}, "b has 2 images in 2 groups; 1 for testing and 1 for val"),
        (table_of(["a"] * 20 + ["b"]), {}, "b has 1 image in 1 group; 1 for testing"),
        (TWENTY.with_column("variant", np.arange(1, 21)), {}, "20 rows of the table are distorted copies"),
        (table_of(["a"] * 2, group=["1", "2"]), {"method": "group"}, "the table has 2 groups"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_numbers(table, options, message):
    with pytest.raises(UsageError, match=message):
        split_table(table, **options)


def test_group_refuses_when_training_would_lose_a_label():
    table = table_of(["rare"] + ["a"] * 9, group=[str(i) for i in range(10)])
    refused = 0
    for seed in range(20):
        try:
            assert "rare" in table.label[split_table(table, "group", 30, 0, seed=seed).split == "training"]
        except UsageError as error:
            assert "training would have no image of rare" in str(error)
            refused += 1
    assert 0 < refused < 20


def test_leave_one_group_out_is_scikit_learns():
    table = leaf_table()
    found, _ = folds_for(table, "leave-one-group-out")
    theirs = LeaveOneGroupOut().split(table.label, groups=table.group)
    assert sorted(f.testing.tolist() for f in found) == sorted(testing.tolist() for _, testing in theirs)
    with pytest.raises(UsageError, match="of 24 photos 1 have no group, and 9 groups"):
        folds_for(leaf_table(group=[None, *table.group[1:]]), "leave-one-group-out")


def test_predefined_trains_on_training_and_tests_validation():
    ((fold,), _) = folds_for(leaf_table(split=["training"] * 15 + ["validation"] * 9), "predefined")
    assert fold.training.tolist() == list(range(15)) and fold.testing.tolist() == list(range(15, 24))
    with pytest.raises(UsageError, match="0 photos for training and 0 for validation"):
        folds_for(leaf_table(), "predefined")
    with pytest.raises(UsageError, match="leaks"):
        folds_for(leaf_table(split=["training"] * 16 + ["validation"] * 8), "predefined")


def test_the_folds_file_repeats_the_folds_after_renaming_and_shuffling(tmp_path):
    table = leaf_table()
    made, _ = folds_for(table, cv=3, repeats=2)
    written = write_folds(tmp_path / "f.csv", table, *(fold_of_rows(made, 24, repeat) for repeat in (0, 1)))
    assert written == 48 and (tmp_path / "f.csv").read_text().startswith("sha256,repeat,fold\n")
    shuffled = table.filter(np.random.default_rng(0).permutation(24))
    renamed = shuffled.with_column("image", [f"new/{n}.png" for n in range(24)])
    again, _ = folds_for(renamed, tmp_path / "f.csv")
    for one, other in zip(made, again, strict=True):
        assert (one.repeat, one.fold) == (other.repeat, other.fold)
        assert set(table.sha256[one.testing]) == set(renamed.sha256[other.testing])
        assert set(table.sha256[one.training]) == set(renamed.sha256[other.training])
    with pytest.raises(UsageError, match="holds 2 repeats, and a split is one division"):
        side_of_rows(tmp_path / "f.csv", table)
    # A file needs contents, one fold for each, and sides where a split is asked for.
    with pytest.raises(UsageError, match=r"the content of 0\.jpg is not known"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[None] * 24), [0] * 24)
    with pytest.raises(UsageError, match="same bytes as a photo in fold 0, and would be in fold 1"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[digest_of(0)] * 24), [0] * 23 + [1])
    write_folds(tmp_path / "f.csv", leaf_table(), [0, 1] * 12)
    with pytest.raises(UsageError, match="2 numbered folds, and a split has sides"):
        side_of_rows(tmp_path / "f.csv", leaf_table())
