"""Folds, splits and draws are the same under every version of the libraries: their digests stand in a file.

``UPDATE_GOLDEN=1 pytest tests/contract/test_folds_outlive_versions.py`` writes it anew, for a change that is meant.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from classify import make_folds
from evaluate import compare, learning_curve, split_table
from featurize import BottleheadError, FeatureTable

KEPT = Path(__file__).parent / "files" / "folds.json"


def numbers(count, below, step):
    """Numbers that look drawn and come from whole-number steps alone."""
    return np.array(
        [int(hashlib.sha256(f"{step}/{i}".encode()).hexdigest()[:8], 16) % below for i in range(count)]
    )


def grouped(n_photos=120, n_groups=30, n_labels=3, step=0, **columns):
    group, label = numbers(n_photos, n_groups, step), numbers(n_photos, n_labels, step + 1)
    given = {
        "label": [f"label {one}" for one in label],
        "group": [f"group {one}" for one in group],
        "image": [f"{row}.jpg" for row in range(n_photos)],
        "sha256": [digest_of(row) for row in range(n_photos)],
    } | columns
    x = numbers(2 * n_photos, 1000, step + 2).reshape(-1, 2) / 100 + 4 * label[:, None]
    return FeatureTable.from_arrays({"x": x}, **given)


def sha(content):
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def folds_of(table, content=True, **options):
    options |= {"content": table.content} if content else {}
    folds = make_folds(table.label, table.groups, table.variant, **options)
    return sha([[fold.repeat, fold.fold, fold.training.tolist(), fold.testing.tolist()] for fold in folds])


def found_now():
    one, alone, unknown = grouped(), grouped(group=[None] * 120), grouped(sha256=[None] * 120)
    curve = learning_curve(one, "x", sizes=[5, 10, 16], cv=3, jobs=1)
    return {
        "groups": folds_of(one),
        "groups, other seed, repeats": folds_of(one, seed=7, repeats=3, n_folds=4),
        "groups by their order": folds_of(one, content=False),
        "no groups": folds_of(alone),
        "no groups, by their order": folds_of(alone, content=False, repeats=2),
        "contents unknown": folds_of(unknown),
        "many groups": folds_of(grouped(2000, 900, 5)),
        "compare": compare(one, heads=["dummy"], jobs=1).folds.digest,
        "one group out": compare(one, heads=["dummy"], folds="leave-one-group-out", jobs=1).folds.digest,
        "split, stratified": sha(split_table(alone).split.tolist()),
        "split, groups": sha(split_table(one, "group", seed=3).split.tolist()),
        "split, hash": sha(split_table(alone, "hash").split.tolist()),
        "curve": [curve.folds.digest, *(point.n_training for point in curve.points)],
    }


def test_folds_splits_and_subsamples_are_those_of_the_file_under_these_versions():
    found = found_now()
    if os.environ.get("UPDATE_GOLDEN"):
        KEPT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert found == json.loads(KEPT.read_text(encoding="utf-8"))


def test_neither_the_order_of_the_rows_nor_the_names_of_the_photos_change_a_fold():
    table = grouped()
    order = np.argsort(numbers(120, 10**6, 5))
    other = table.filter(order).with_column("image", [f"other/{one}.png" for one in range(120)])
    ours, theirs = (
        make_folds(one.label, one.groups, content=one.content, repeats=2) for one in (table, other)
    )
    for one, two in zip(ours, theirs, strict=True):
        assert set(table.sha256[one.testing]) == set(other.sha256[two.testing])
    digests = {compare(one, heads=["dummy"], jobs=1).folds.digest for one in (table, other)}
    assert len(digests) == 1
    assert compare(table, heads=["dummy"], seed=1, jobs=1).folds.digest not in digests
    split, again = (dict(zip(one.sha256, split_table(one).split, strict=True)) for one in (table, other))
    assert split == again


def test_the_digest_follows_from_the_sentence_that_says_how_it_is_made():
    table = grouped(
        24, 8, 2, split=[*["training"] * 15, *["validation"] * 6, *["testing"] * 3], group=[None] * 24
    )
    tested = [f"0,0,test,{digest_of(row)}\n" for row in range(15, 21)]
    expected = hashlib.sha256("".join(sorted(tested)).encode()).hexdigest()
    assert compare(table, heads=["dummy"], folds="predefined", jobs=1).folds["digest"] == expected
    few = [(np.arange(2, 15), np.arange(15, 21))]
    out = [f"0,0,out,{digest_of(row)}\n" for row in (0, 1)]
    expected = hashlib.sha256("".join(sorted(tested + out)).encode()).hexdigest()
    assert compare(table, heads=["dummy"], folds=few, jobs=1).folds["digest"] == expected


@pytest.mark.parametrize("counts", [(40, 10), (13, 11, 9), (5, 5, 5, 5, 7), (101, 52, 6)])
@pytest.mark.parametrize("n_folds", [2, 5])
def test_without_groups_the_counts_are_those_of_stratified_k_fold(counts, n_folds):
    label = np.repeat(list("abcde")[: len(counts)], counts)
    ours = [np.unique(label[fold.testing], return_counts=True) for fold in make_folds(label, n_folds=n_folds)]
    theirs = StratifiedKFold(n_folds).split(label, label)
    for (names, some), (_, testing) in zip(ours, theirs, strict=True):
        expected = np.unique(label[testing], return_counts=True)
        assert names.tolist() == expected[0].tolist() and some.tolist() == expected[1].tolist()


def unevenness(label, folds):
    """How far the folds' sizes and their shares of each label lie apart, as standard deviations of shares."""
    sizes = np.array([len(rows) for rows in folds]) * len(folds) / len(label)
    shares = [
        np.array([(label[rows] == name).sum() for rows in folds]) * len(folds) / (label == name).sum()
        for name in np.unique(label)
    ]
    return float(sizes.std()), float(np.mean([share.std() for share in shares]))


def of_one_label(sizes, rng):
    return np.repeat(rng.integers(0, 3, len(sizes)), sizes), np.repeat(np.arange(len(sizes)), sizes)


TABLES = {
    "groups of one label": lambda rng: of_one_label(np.full(60, 5), rng),
    "groups of one label and unequal sizes": lambda rng: of_one_label(rng.geometric(0.15, 60), rng),
    "groups of several labels": lambda rng: (rng.integers(0, 4, 400), rng.integers(0, 50, 400)),
    "rare labels, unequal groups": lambda rng: (
        rng.choice(4, 500, p=[0.7, 0.2, 0.07, 0.03]), np.minimum(rng.geometric(0.05, 500), 60)
    ),
    "many groups": lambda rng: (rng.choice(5, 500, p=[0.5, 0.2, 0.2, 0.07, 0.03]), rng.integers(0, 250, 500)),
    "few groups": lambda rng: (rng.integers(0, 2, 100), rng.integers(0, 12, 100)),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_groups_are_stratified_as_well_as_by_stratified_group_k_fold(kind):
    ours, theirs = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        label, group = TABLES[kind](rng)
        try:
            folds = [fold.testing for fold in make_folds(label, group, seed=seed)]
        except BottleheadError:  # too few groups of a label in this one
            continue
        renumbered = rng.permutation(group.max() + 1)[group]  # what shuffles there in every version
        ours.append(unevenness(label, folds))
        theirs.append(
            unevenness(label, [rows for _, rows in StratifiedGroupKFold(5).split(label, label, renumbered)])
        )
    assert len(ours) >= 8
    assert (np.mean(ours, axis=0) <= np.mean(theirs, axis=0) + 0.002).all()
