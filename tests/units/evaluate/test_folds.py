"""Folds: ours and scikit-learn's are checked by the same rules, against a check that is written otherwise."""

import numpy as np
import pytest
from builders import digest_of, leaf_table
from sklearn.model_selection import LeaveOneGroupOut

from evaluate.splits.checked_folds import fold_of_rows, folds_for, side_of_rows, write_folds
from featurize.errors import UsageError


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


def test_a_folds_file_needs_contents_and_one_fold_for_each(tmp_path):
    with pytest.raises(UsageError, match=r"the content of 0\.jpg is not known"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[None] * 24), [0] * 24)
    with pytest.raises(UsageError, match="same bytes as a photo in fold 0, and would be in fold 1"):
        write_folds(tmp_path / "f.csv", leaf_table(sha256=[digest_of(0)] * 24), [0] * 23 + [1])
    write_folds(tmp_path / "f.csv", leaf_table(), [0, 1] * 12)
    with pytest.raises(UsageError, match="2 numbered folds, and a split has sides"):
        side_of_rows(tmp_path / "f.csv", leaf_table())
