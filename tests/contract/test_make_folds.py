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


def test_same_seed_same_folds_and_repeats_differ():
    label, groups = np.repeat(["a", "b"], 20), np.arange(40)

    def tested(**options):
        return [f.testing.tolist() for f in make_folds(label, groups, **options)]

    assert tested(seed=3) == tested(seed=3)
    assert tested(seed=3) != tested(seed=4)
    twice = tested(seed=3, repeats=2)
    assert twice[:5] == tested(seed=3)
    assert twice[5:] != twice[:5]
    assert twice[5:] != tested(seed=4)  # the second repeat of a seed is not the first of the next


def test_folds_do_not_depend_on_what_the_groups_are_numbered():
    label = np.repeat(["a", "b"], 20)
    groups = np.arange(40) // 2
    one = make_folds(label, groups)
    other = make_folds(label, groups * 7 + 100)
    assert [f.testing.tolist() for f in one] == [f.testing.tolist() for f in other]


def test_too_few_images_are_refused_with_both_numbers():
    with pytest.raises(
        BottleheadError, match=r"5 folds cannot be made: rare has 3 images \(use at most 3 folds"
    ):
        make_folds(["common"] * 20 + ["rare"] * 3, np.arange(23))


def test_too_few_groups_are_refused_although_the_images_would_do():
    groups = [*range(20), *[20] * 5, *[21] * 5]
    with pytest.raises(BottleheadError, match="leafy has 10 images in 2 groups"):
        make_folds(["well"] * 20 + ["leafy"] * 10, groups)


def test_distorted_copies_do_not_count_as_images():
    with pytest.raises(BottleheadError, match=r"b has 1 image \(add photos"):
        make_folds(["a"] * 4 + ["b"] * 4, [0, 1, 2, 3, 4, 4, 4, 4], [0, 0, 0, 0, 0, 1, 2, 3], n_folds=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_folds": 1}, "1 folds"), ({"repeats": 0}, "0 repeats"), ({"seed": -1}, "seed -1")],
)
def test_impossible_numbers_are_refused(options, message):
    with pytest.raises(BottleheadError, match=message):
        make_folds(["a", "b"] * 5, range(10), **options)


def test_unknown_labels_are_refused():
    with pytest.raises(BottleheadError, match="1 of 3 rows have no label"):
        make_folds(["a", None, "b"], range(3))


def test_folds_that_were_asked_for_before_are_the_same_and_nobody_elses():
    label, groups = np.tile(["a", "b"], 20), np.arange(40) // 2
    first = make_folds(label, groups, n_folds=4, seed=1)
    kept = [fold.testing.copy() for fold in first]
    for fold in first:
        fold.testing[:] = 0  # what a caller does with its folds is its own affair
    again = make_folds(label.astype(object), groups + 7, n_folds=4, seed=1)
    assert [fold.testing.tolist() for fold in again] == [rows.tolist() for rows in kept]
    other = make_folds(label, groups, n_folds=4, seed=2)
    assert [fold.testing.tolist() for fold in other] != [rows.tolist() for rows in kept]


def test_a_label_of_one_group_needs_other_groups_more_than_photos():
    label = ["fern"] * 6 + ["moss"] * 6
    with pytest.raises(
        BottleheadError, match=r"fern has 6 images in 1 group \(add photos of fern in other groups"
    ):
        make_folds(label, [0] * 6 + [1, 2, 3, 4, 5, 6], n_folds=5, seed=0)
