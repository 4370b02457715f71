"""Folds files: what is refused, and which side of three a comparison tests."""

import hashlib

import numpy as np
import pytest

from evaluate.results import describe_folds
from evaluate.splits import checked_folds
from evaluate.splits.checked_folds import read_folds, write_folds
from featurize.errors import UsageError
from featurize.table import FeatureTable


def folds_for(table, folds="stratified", **options):
    """The folds, and what a result says of them."""
    found, method = checked_folds.folds_for(table, folds, **options)
    return found, describe_folds(found, method)


def sha(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def photos(n):
    return FeatureTable.from_arrays(
        {"x": np.zeros((n, 2))}, label=["rust", "well"] * (n // 2), sha256=[sha(one) for one in range(n)]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("image,fold\n", "has the columns image, fold"),
        (f"sha256,fold\n{sha(1)},0\n", "puts 1 images into 1 folds: 0"),
        (f"sha256,fold\n{sha(1)},0\n{sha(2)},testing\n", "into 2 folds: 0, testing"),
        (f"sha256,fold\n{sha(1)},0\n{sha(1)},1\n", "twice, again in line 3"),
        ("sha256,fold\nabc,0\n", "line 2 of .* is 'abc,0'"),
        (f"sha256,fold\n{sha(1)},-1\n", "line 2 of"),
        (f"sha256,fold\n{sha(1)}\n", "line 2 of"),
        (
            f"sha256,repeat,fold\n{sha(1)},0,0\n{sha(1)},1,1\n{sha(1)},0,1\n",
            "twice in repeat 0, again in line 4",
        ),
        (f"sha256,repeat,fold\n{sha(1)},x,0\n", "line 2 of"),
        (f"sha256,repeat,fold\n{sha(1)},0\n", "line 2 of"),
        (f"sha256,repeat,fold\n{sha(1)},0,0\n{sha(2)},0,1\n{sha(1)},1,0\n", "puts 1 images into 1 folds"),
        (
            f"sha256,repeat,fold\n{sha(1)},0,0\n{sha(2)},0,1\n{sha(1)},1,0\n{sha(3)},1,1\n{sha(2)},1,1\n",
            "names 2 images in one repeat and 3 in another .*, 1 of them not in both",
        ),
    ],
)
def test_a_damaged_folds_file_is_refused(tmp_path, text, message):
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_folds(tmp_path / "f.csv")


SIDES = ["training"] * 8 + ["validation"] * 4 + ["testing"] * 2


def test_heads_are_compared_on_validation_and_testing_is_left_for_the_one_that_is_chosen(tmp_path, caplog):
    table = photos(14)
    write_folds(tmp_path / "f.csv", table, SIDES)
    with caplog.at_level("INFO", "bottlehead"):
        (fold,), described = folds_for(table, tmp_path / "f.csv")
    assert (fold.training.tolist(), fold.testing.tolist()) == (list(range(8)), [8, 9, 10, 11])
    assert described["tested"] == 4
    assert "f.csv is left for the head that is chosen: 2 images" in caplog.text
    # As `compare` has a table with these sides: without the testing rows.
    (again,), _ = folds_for(table.filter(np.arange(12)), tmp_path / "f.csv")
    np.testing.assert_array_equal(again.testing, fold.testing)
    with pytest.raises(UsageError, match="names 14 images, and 1 of them are not among"):
        folds_for(table.filter(np.arange(11)), tmp_path / "f.csv")


def test_of_two_sides_the_other_one_is_tested(tmp_path):
    for side in ("validation", "testing"):
        write_folds(tmp_path / "f.csv", photos(12), ["training"] * 8 + [side] * 4)
        (fold,), _ = folds_for(photos(12), tmp_path / "f.csv")
        assert fold.testing.tolist() == [8, 9, 10, 11]
