import csv
import io
import json

import numpy as np
import pytest

from classify.output import as_csv, as_jsonl, as_text
from classify.predict import Predictions

TWO = Predictions(
    ["a/1.jpg", 'b/"odd", name\n.jpg'],
    ["cat", "dog", "emu"],
    np.array([[0.25, 0.7, 0.05], [0.6, 0.1, 0.3]]),
    [None, True],
)
ONE = Predictions(["a/1.jpg"], TWO.labels, TWO.probabilities[:1], [None])


def test_text_of_one_image_is_labels_best_first():
    assert as_text(ONE) == "dog 0.7000\ncat 0.2500\nemu 0.0500\n"
    assert as_text(ONE, 2) == "dog 0.7000\ncat 0.2500\n"
    assert as_text(ONE, 0) == as_text(ONE)


def test_text_of_several_is_a_line_each_whatever_their_names():
    assert as_text(TWO) == 'a/1.jpg: dog 0.7000\nb/"odd", name\\n.jpg: cat 0.6000\n'
    assert as_text(TWO, 2).splitlines()[0] == "a/1.jpg: dog 0.7000, cat 0.2500"


@pytest.mark.parametrize(
    ("top", "header", "first"),
    [
        (None, ["image", "label", "confidence", "outlier"], ["a/1.jpg", "dog", "0.7", ""]),
        (
            0,
            ["image", "label", "confidence", "outlier", "cat", "dog", "emu"],
            ["a/1.jpg", "dog", "0.7", "", "0.25", "0.7", "0.05"],
        ),
        (
            2,
            ["image", "label", "confidence", "outlier", "label_2", "confidence_2"],
            ["a/1.jpg", "dog", "0.7", "", "cat", "0.25"],
        ),
    ],
)
def test_csv(top, header, first):
    lines = list(csv.reader(io.StringIO(as_csv(TWO, top))))
    assert lines[:2] == [header, first]
    assert lines[2][0] == TWO.image[1]
    assert lines[2][3] == "yes"


def test_more_labels_than_there_are():
    assert as_csv(TWO, 99) == as_csv(TWO, 3)


def test_jsonl():
    lines = [json.loads(line) for line in as_jsonl(TWO, 0).splitlines()]
    assert lines[0] == {
        "image": "a/1.jpg",
        "label": "dog",
        "confidence": 0.7,
        "outlier": None,
        "probabilities": {"dog": 0.7, "cat": 0.25, "emu": 0.05},
    }
    assert lines[1]["image"] == TWO.image[1]
    assert lines[1]["outlier"] is True
    assert json.loads(as_jsonl(ONE))["probabilities"] == {"dog": 0.7}
