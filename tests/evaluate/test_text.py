"""Sentences and columns as people read them."""

import pytest

from evaluate.text import aligned, difference_in_words, points_in_words, split_as_text
from featurize.table import FeatureTable


def pair(compares="features", **numbers):
    one, other = {"features": "inception_v3", "head": "svm"}, {"features": "glcm", "head": "mlp"}
    if compares == "head":
        other = {"features": "inception_v3", "head": "softmax"}
    return {"compares": compares, "one": one, "other": other, **numbers}


def test_a_clear_difference_of_features():
    found = pair(difference=0.312, low=0.268, high=0.351, p_value=0.001)
    assert difference_in_words(found) == "inception_v3 (svm) beats glcm (mlp) by 31 points (27 to 35)"


def test_heads_that_cannot_be_told_apart():
    found = pair("head", difference=0.004, low=-0.02, high=0.028, p_value=0.6)
    assert difference_in_words(found) == (
        "on inception_v3, svm and softmax cannot be told apart: the difference is 0.4 points (-2.0 to 2.8)"
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.0841, 0.032, 0.14), "8.4 points (3.2 to 14.0)"),
        ((0.0996, 0.05, 0.15), "10 points (5 to 15)"),
        ((-0.0001, -0.0002, 0.0), "0.0 points (0.0 to 0.0)"),
    ],
)
def test_points_have_one_decimal_below_ten_and_no_minus_zero(numbers, words):
    assert points_in_words(*numbers) == words


def test_columns_line_up():
    text = aligned(["name", "n"], [["a", "100"], ["bcdef", "1"]], left=1)
    assert text == "name     n\na      100\nbcdef    1"


def test_the_split_is_counted_by_label_without_variants():
    split = ["training", "testing", "training", None, "training"]
    table = FeatureTable.from_arrays(
        {}, label=["b", "b", "a", None, "a"], split=split, variant=[0, 0, 0, 0, 9]
    )
    assert [line.split() for line in split_as_text(table).splitlines()] == [
        ["label", "training", "validation", "testing"],
        ["a", "1", "0", "0"],
        ["b", "1", "0", "1"],
        ["no", "label", "0", "0", "0"],
        ["all", "2", "0", "1"],
    ]
