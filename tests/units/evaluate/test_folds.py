"""Folds: ours and scikit-learn's are checked by the same rules, against a check that is written otherwise."""

import numpy as np
import pytest
from builders import digest_of, leaf_table
from sklearn.model_selection import LeaveOneGroupOut

from evaluate.results import describe_folds
from evaluate.splits import checked_folds
from evaluate.splits.checked_folds import fold_of_rows, side_of_rows, write_folds
from featurize.errors import UsageError


def folds_for(table, folds="stratified", **options):
    """The folds, and what a result says of them."""
    found, method = checked_folds.folds_for(table, folds, **options)
    return found, describe_folds(found, method)


def test_leave_one_group_out_is_scikit_learns():
    table = leaf_table()
    found, described = folds_for(table, "leave-one-group-out")
    theirs = LeaveOneGroupOut().split(table.label, groups=table.group)
    assert sorted(f.testing.tolist() for f in found) == sorted(testing.tolist() for _, testing in theirs)
    assert described["cv"] == 8 and described["tested"] == 24
    with pytest.raises(UsageError, match="of 24 photos 1 have no group, and 9 groups"):
        folds_for(leaf_table(group=[None, *table.group[1:]]), "leave-one-group-out")


def test_predefined_trains_on_training_and_tests_validation():
    table = leaf_table(split=["training"] * 15 + ["validation"] * 9)
    ((fold,), described) = folds_for(table, "predefined")
    assert fold.training.tolist() == list(range(15)) and fold.testing.tolist() == list(range(15, 24))
    assert described["tested"] == 9
    with pytest.raises(UsageError, match="0 photos for training and 0 for validation"):
        folds_for(leaf_table(), "predefined")
    with pytest.raises(UsageError, match="leaks"):
        folds_for(leaf_table(split=["training"] * 16 + ["validation"] * 8), "predefined")


def test_the_folds_file_repeats_the_folds_after_renaming_and_adding(tmp_path):
    table = leaf_table()
    made, _ = folds_for(table, cv=3)
    fold = [next(f.fold for f in made if row in f.testing) for row in range(24)]
    assert write_folds(tmp_path / "f.csv", table, fold) == 24
    shuffled = table.filter(np.random.default_rng(0).permutation(24))
    renamed = shuffled.with_column("image", [f"new/{n}.png" for n in range(24)])
    again, described = folds_for(renamed, tmp_path / "f.csv")
    for one, other in zip(made, again, strict=True):
        assert set(table.sha256[one.testing]) == set(renamed.sha256[other.testing])
    assert described["method"] == "as the folds file f.csv says"


def test_photos_that_the_file_does_not_name_are_left_out(tmp_path):
    table = leaf_table()
    write_folds(tmp_path / "f.csv", table, [row // 6 if row < 18 else None for row in range(24)])
    found, described = folds_for(table, tmp_path / "f.csv")
    assert described["tested"] == 18 and all(fold.training.max() < 18 for fold in found)


def test_folds_that_name_missing_images_are_refused_with_both_numbers(tmp_path):
    table = leaf_table()
    write_folds(tmp_path / "f.csv", table, [row // 6 for row in range(24)])
    with pytest.raises(UsageError, match="names 24 images, and 3 of them are not among the 21 photos"):
        folds_for(table.filter(np.arange(21)), tmp_path / "f.csv")


def test_repeats_come_back_as_they_were_made(tmp_path):
    table = leaf_table()
    made, _ = folds_for(table, cv=3, repeats=2)
    written = write_folds(tmp_path / "f.csv", table, *(fold_of_rows(made, 24, repeat) for repeat in (0, 1)))
    assert written == 48 and (tmp_path / "f.csv").read_text().startswith("sha256,repeat,fold\n")
    again, described = folds_for(table, tmp_path / "f.csv")
    assert [(one.repeat, one.fold) for one in again] == [(one.repeat, one.fold) for one in made]
    for one, other in zip(made, again, strict=True):
        assert (
            one.testing.tolist() == other.testing.tolist()
            and one.training.tolist() == other.training.tolist()
        )
    assert (described["cv"], described["repeats"], described["tested"]) == (3, 2, 24)
    with pytest.raises(UsageError, match="holds 2 repeats, and a split is one division"):
        side_of_rows(tmp_path / "f.csv", table)


def test_a_folds_file_needs_contents_and_one_fold_for_each(tmp_path):
    with pytest.raises(UsageError, match=r"the content of 0\.jpg is not known"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[None] * 24), [0] * 24)
    with pytest.raises(UsageError, match="same bytes as a photo in fold 0, and would be in fold 1"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[digest_of(0)] * 24), [0] * 23 + [1])
    with pytest.raises(UsageError, match="2 numbered folds, and a split has sides"):
        write_folds(tmp_path / "f.csv", leaf_table(), [0, 1] * 12)
        side_of_rows(tmp_path / "f.csv", leaf_table())
