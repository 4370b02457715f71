"""Folds: ours and scikit-learn's are checked by the same rules, against a check that is written otherwise."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, LeaveOneGroupOut, RepeatedKFold, StratifiedGroupKFold

from classify.folds import Fold, make_folds
from evaluate.cli import main
from evaluate.results import describe_folds
from evaluate.splits import checked_folds
from evaluate.splits.checked_folds import check_folds, fold_of_rows, side_of_rows, write_folds
from evaluate.studies.compare import compare
from featurize.errors import UsageError
from featurize.table import FeatureTable


def folds_for(table, folds="stratified", **options):
    """The folds, and what a result says of them."""
    found, method = checked_folds.folds_for(table, folds, **options)
    return found, describe_folds(found, method)


def sha(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def leaves(n_leaves=8, per_leaf=3, **columns):
    """Photos of leaves, two labels in turn."""
    n = n_leaves * per_leaf
    leaf = np.repeat(np.arange(n_leaves), per_leaf)
    given = {
        "label": np.array(["rust", "well"])[leaf % 2],
        "group": [f"leaf {one}" for one in leaf],
        "image": [f"{one}.jpg" for one in range(n)],
        "sha256": [sha(one) for one in range(n)],
    }
    x = np.random.default_rng(0).normal(size=(n, 2)) + (leaf % 2)[:, None]
    return FeatureTable.from_arrays({"x": x}, **given | columns)


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
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), min_size=12, max_size=30),
    st.integers(0, 1000),
)
def test_accepted_folds_part_nothing(rows, seed):
    groups = [f"g{group}" if group < 5 else None for group, _ in rows]
    table = FeatureTable.from_arrays(
        {"x": np.zeros((len(rows), 1))},
        label=["a", "b"] * (len(rows) // 2) + ["a"] * (len(rows) % 2),
        group=groups,
        sha256=[sha(content) for _, content in rows],
    )
    pairs = list(KFold(2, shuffle=True, random_state=seed).split(groups))
    try:
        accepted = check_folds(pairs, table)
    except UsageError as error:
        message = str(error)
        if "leaks" in message:
            # Direct ties are enough to refuse; ties through a third photo are refused too.
            number = int(message.split()[1])
            training, testing = pairs[number]
            assert set(table.groups[training]) & set(table.groups[testing])
        else:
            assert "none of them is" in message
        return
    assert not any(crosses(table, fold.training, fold.testing) for fold in accepted)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"group": ["leaf"] * 2 + [None] * 22}, "is in the same group as a training photo"),
        ({"group": [None] * 24, "sha256": [sha(0)] * 2 + [sha(n) for n in range(2, 24)]},
         "is byte-identical with a training photo"),
        ({"group": [None] * 24, "sha256": [None] * 24, "image": ["0.jpg"] * 2 + list("abcdefghijklmnopqrstuv")},
         "is a training photo too, or a distorted copy of one"),
    ],
)  # fmt: skip
def test_each_kind_of_crossing_is_named_and_counted(columns, why):
    table = leaves(**columns)
    pairs = [(np.arange(1, 24), [0])]
    with pytest.raises(UsageError, match=f"fold 0 leaks: 1 of its 1 test photos {why}"):
        check_folds(pairs, table)


def test_crossing_through_a_third_photo_is_refused():
    # 0 and 1 share bytes, 1 and 2 a leaf: 0 and 2 belong together though they have nothing in common.
    table = leaves(
        4,
        2,
        label=["rust", "well"] * 4,
        group=[None, "a", "a", None, None, None, None, None],
        sha256=[sha(n) for n in (0, 0, 1, 2, 3, 4, 5, 6)],
    )
    with pytest.raises(UsageError, match="leaks"):
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
        (StratifiedGroupKFold(9), "StratifiedGroupKFold cannot split 24 photos in 8 groups"),
    ],
)
def test_folds_that_cannot_be_used_are_refused_with_numbers(folds, message):
    with pytest.raises(UsageError, match=message):
        check_folds(folds, leaves())


def test_a_plain_splitter_is_caught_and_a_grouped_one_passes():
    table = leaves()
    with pytest.raises(UsageError, match="fold 0 leaks"):
        check_folds(KFold(3, shuffle=True, random_state=0), table)
    found = check_folds(StratifiedGroupKFold(3), table)
    assert sorted(np.concatenate([fold.testing for fold in found])) == list(range(24))


def test_distorted_copies_follow_their_photos_and_are_never_tested():
    once = leaves()
    table = once.filter(np.tile(np.arange(24), 2)).with_column("variant", [0] * 24 + [9] * 24)
    for fold in check_folds(StratifiedGroupKFold(3), table):
        assert fold.testing.max() < 24
        assert set(fold.training) == {r + k for r in set(range(24)) - set(fold.testing) for k in (0, 24)}
    with pytest.raises(UsageError, match="1 are distorted copies"):
        check_folds([(np.arange(3, 24), [0, 24])], table)


def test_repeats_of_a_splitter_are_told_apart():
    table = leaves(group=[None] * 24)
    found = check_folds(RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), table)
    assert [(fold.repeat, fold.fold) for fold in found] == [(r, f) for r in (0, 1) for f in (0, 1, 2)]


def test_our_folds_pass_unchanged():
    table = leaves()
    ours = make_folds(table.label, table.groups, n_folds=3, repeats=2)
    for one, other in zip(ours, check_folds(ours, table), strict=True):
        assert (one.repeat, one.fold) == (other.repeat, other.fold)
        assert np.array_equal(one.training, other.training) and np.array_equal(one.testing, other.testing)


def test_leave_one_group_out_is_scikit_learns():
    table = leaves()
    found, described = folds_for(table, "leave-one-group-out")
    theirs = LeaveOneGroupOut().split(table.label, groups=table.group)
    assert sorted(f.testing.tolist() for f in found) == sorted(testing.tolist() for _, testing in theirs)
    assert described["cv"] == 8 and described["tested"] == 24
    with pytest.raises(UsageError, match="of 24 photos 1 have no group, and 9 groups"):
        folds_for(leaves(group=[None, *table.group[1:]]), "leave-one-group-out")


def test_predefined_trains_on_training_and_tests_validation():
    table = leaves(split=["training"] * 15 + ["validation"] * 9)
    ((fold,), described) = folds_for(table, "predefined")
    assert fold.training.tolist() == list(range(15)) and fold.testing.tolist() == list(range(15, 24))
    assert described["tested"] == 9
    with pytest.raises(UsageError, match="0 photos for training and 0 for validation"):
        folds_for(leaves(), "predefined")
    with pytest.raises(UsageError, match="leaks"):
        folds_for(leaves(split=["training"] * 16 + ["validation"] * 8), "predefined")


def test_the_folds_file_repeats_the_folds_after_renaming_and_adding(tmp_path):
    table = leaves()
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
    table = leaves()
    write_folds(tmp_path / "f.csv", table, [row // 6 if row < 18 else None for row in range(24)])
    found, described = folds_for(table, tmp_path / "f.csv")
    assert described["tested"] == 18 and all(fold.training.max() < 18 for fold in found)


def test_folds_that_name_missing_images_are_refused_with_both_numbers(tmp_path):
    table = leaves()
    write_folds(tmp_path / "f.csv", table, [row // 6 for row in range(24)])
    with pytest.raises(UsageError, match="names 24 images, and 3 of them are not among the 21 photos"):
        folds_for(table.filter(np.arange(21)), tmp_path / "f.csv")


def test_repeats_come_back_as_they_were_made(tmp_path):
    table = leaves()
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
        write_folds(tmp_path / "f.csv", leaves(sha256=[None] * 24), [0] * 24)
    with pytest.raises(UsageError, match="same bytes as a photo in fold 0, and would be in fold 1"):
        write_folds(tmp_path / "f.csv", leaves(sha256=[sha(0)] * 24), [0] * 23 + [1])
    with pytest.raises(UsageError, match="2 numbered folds, and a split has sides"):
        write_folds(tmp_path / "f.csv", leaves(), [0, 1] * 12)
        side_of_rows(tmp_path / "f.csv", leaves())


def test_compare_uses_the_file_and_refuses_leaking_folds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = leaves()
    table.write("t.parquet")
    write_folds("f.csv", table, [row // 6 for row in range(24)])
    assert main("compare t.parquet --heads softmax --folds f.csv -j 1".split()) == 0
    assert "4 folds" in capsys.readouterr().out
    write_folds("f.csv", table, [row % 2 for row in range(24)])
    assert main("compare t.parquet --heads softmax --folds f.csv -j 1".split()) == 1
    assert "in the same group as a training photo" in capsys.readouterr().err
    assert main("compare t.parquet --heads softmax --folds leave-one-out -j 1".split()) == 1
    assert "the folds file leave-one-out cannot be read" in capsys.readouterr().err


def test_compare_takes_pairs_and_folds():
    table = leaves()
    pairs = [(f.training, f.testing) for f in make_folds(table.label, table.groups, n_folds=4)]
    found = compare(table, heads=["softmax"], folds=pairs, jobs=1)
    same = compare(table, heads=["softmax"], folds=StratifiedGroupKFold(4), jobs=1)
    assert found.folds["cv"] == same.folds["cv"] == 4
    assert (
        found.results[0]["accuracy"] == compare(table, heads=["softmax"], cv=4, jobs=1).results[0]["accuracy"]
    )
    assert isinstance(check_folds(pairs, table)[0], Fold)
