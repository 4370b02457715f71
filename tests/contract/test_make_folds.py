"""The folds of `make_folds`: groups stay together, labels are spread, and what cannot be is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classify import make_folds
from featurize import BottleheadError


def test_labels_are_spread_exactly_when_nothing_belongs_together():
    label = np.repeat(["a", "b"], [40, 10])
    for fold in make_folds(label, np.arange(50), n_folds=5):
        assert np.unique(label[fold.testing], return_counts=True)[1].tolist() == [8, 2]


@settings(max_examples=40, deadline=None)
@given(
    leaves=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 4), st.integers(0, 2)), min_size=8, max_size=25
    ),
    n_folds=st.integers(2, 4),
    repeats=st.integers(1, 2),
    seed=st.integers(0, 3),
)
def test_no_group_on_both_sides_and_every_photo_tested_once(leaves, n_folds, repeats, seed):
    leaves += [("a", 1, 0), ("b", 1, 0)] * n_folds
    label = np.array([kind for kind, photos, copies in leaves for _ in range(photos * (1 + copies))])
    groups = np.array(
        [i for i, (_, photos, copies) in enumerate(leaves) for _ in range(photos * (1 + copies))]
    )
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


def test_same_seed_same_folds_whatever_the_groups_are_numbered_and_repeats_differ():
    label, groups = np.repeat(["a", "b"], 20), np.arange(40) // 2

    def tested(**options):
        return numbers(make_folds(label, groups, **options))

    assert tested(seed=3) == tested(seed=3) == numbers(make_folds(label, groups * 7 + 100, seed=3))
    assert tested(seed=3) != tested(seed=4)
    twice = tested(seed=3, repeats=2)
    assert twice[:5] == tested(seed=3)
    assert twice[5:] != twice[:5]
    assert twice[5:] != tested(seed=4)  # the second repeat of a seed is not the first of the next


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
    """Of three large groups a fold tests two, and with them all that one half of the labels has."""
    label = np.array(2 * ["rust", *"abc", "rust", *"def", *"abcdef"])
    groups = np.tile(np.repeat([0, 1, 2], [4, 4, 6]), 2)
    with pytest.raises(BottleheadError, match="leaves no d, e, f, because"):
        make_folds(label, groups, n_folds=2)


def test_folds_that_were_asked_for_before_are_the_same_and_nobody_elses():
    label, groups = np.tile(["a", "b"], 20), np.arange(40) // 2
    first = make_folds(label, groups, n_folds=4, seed=1)
    kept = numbers(first)
    for fold in first:
        fold.testing[:] = 0  # what a caller does with its folds is its own affair
    assert numbers(make_folds(label.astype(object), groups + 7, n_folds=4, seed=1)) == kept
    assert numbers(make_folds(label, groups, n_folds=4, seed=2)) != kept
