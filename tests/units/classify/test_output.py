import csv
import io
import json

import numpy as np
import pytest

from classify.prediction.output import as_csv, as_jsonl, as_text, write_parquet
from classify.prediction.predict import Predictions
from featurize.errors import ModelError, UsageError

TWO = Predictions(
    ["a/1.jpg", 'b/"odd", name\n.jpg'],
    ["cat", "dog", "emu"],
    np.array([[0.25, 0.7, 0.05], [0.6, 0.1, 0.3]]),
    [None, True],
)
ONE = Predictions(["a/1.jpg"], TWO.labels, TWO.probabilities[:1], [None])
NONE = Predictions([], TWO.labels, TWO.probabilities[:0], [])
LEFT_OUT = Predictions([], TWO.labels, TWO.probabilities[:0], [], [("x.jpg", "no such file")])
FORMS = [as_text, as_csv, as_jsonl]


def all_of(form, batches, top=None):
    return "".join(form(TWO.labels, batches, top))


def text(predictions, top=None):
    return all_of(as_text, [predictions], top)


def test_text_of_one_image_is_labels_best_first():
    assert text(ONE) == "dog 0.7000\ncat 0.2500\nemu 0.0500\n"
    assert text(ONE, 2) == "dog 0.7000\ncat 0.2500\n"
    assert text(ONE, 0) == text(ONE)


@pytest.mark.parametrize("batches", [[ONE, LEFT_OUT], [LEFT_OUT, NONE, ONE]])
def test_where_several_were_asked_for_the_one_that_can_be_read_is_named(batches):
    assert all_of(as_text, batches) == "a/1.jpg: dog 0.7000\n"


def test_text_of_several_is_a_line_each_whatever_their_names():
    assert text(TWO) == 'a/1.jpg: dog 0.7000\nb/"odd", name\\n.jpg: cat 0.6000 (outlier)\n'
    assert text(TWO, 2).splitlines()[0] == "a/1.jpg: dog 0.7000, cat 0.2500"


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
    lines = list(csv.reader(io.StringIO(all_of(as_csv, [TWO], top))))
    assert lines[:2] == [header, first]
    assert lines[2][0] == TWO.image[1]
    assert lines[2][3] == "yes"


def test_csv_quotes_every_kind_of_line_end():
    names = ["a\rb.jpg", "a\nb.jpg", "a\r\nb.jpg"]
    written = all_of(as_csv, [Predictions(names, TWO.labels, TWO.probabilities[[0, 0, 0]], [None] * 3)])
    lines = list(csv.reader(io.StringIO(written, newline="")))
    assert [line[0] for line in lines[1:]] == names


def test_more_labels_than_there_are():
    assert all_of(as_csv, [TWO], 99) == all_of(as_csv, [TWO], 3)


def test_jsonl():
    lines = [json.loads(line) for line in all_of(as_jsonl, [TWO], 0).splitlines()]
    assert lines[0] == {
        "image": "a/1.jpg",
        "label": "dog",
        "confidence": 0.7,
        "outlier": None,
        "probabilities": {"dog": 0.7, "cat": 0.25, "emu": 0.05},
    }
    assert lines[1]["image"] == TWO.image[1]
    assert lines[1]["outlier"] is True
    assert json.loads(all_of(as_jsonl, [ONE]))["probabilities"] == {"dog": 0.7}


def divided(predictions):
    """The same predictions, one a batch, with empty batches between."""
    for row, image in enumerate(predictions.image):
        yield NONE
        yield Predictions(
            [image], TWO.labels, predictions.probabilities[row : row + 1], [predictions.outlier[row]]
        )


@pytest.mark.parametrize("top", [None, 0, 2])
@pytest.mark.parametrize("form", FORMS)
def test_how_predictions_are_divided_into_batches_does_not_matter(form, top):
    assert all_of(form, divided(TWO), top) == all_of(form, [TWO], top)
    assert all_of(form, [NONE, ONE, NONE], top) == all_of(form, [ONE], top)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_handed_over_before_the_next_but_one_batch_is_asked_for(form):
    asked = []

    def batches():
        for number in range(5):
            asked.append(number)
            yield TWO

    pieces = form(TWO.labels, batches())
    while "a/1.jpg" not in next(pieces):
        pass
    assert asked == [0]


def test_nothing_is_a_header_or_nothing():
    assert all_of(as_text, []) == all_of(as_jsonl, [NONE]) == ""
    assert all_of(as_csv, [NONE]) == all_of(as_csv, []) == "image,label,confidence,outlier\n"


@pytest.mark.parametrize("top", [None, 0, 2])
def test_parquet_holds_what_csv_holds(top, tmp_path):
    import pyarrow.parquet as pq

    write_parquet(tmp_path / "p.parquet", TWO.labels, divided(TWO), top)
    table = pq.read_table(tmp_path / "p.parquet")
    lines = list(csv.reader(io.StringIO(all_of(as_csv, [TWO], top))))
    assert table.column_names == lines[0]
    assert table["outlier"].to_pylist() == [None, True]
    for row, line in zip(table.to_pylist(), lines[1:], strict=True):
        assert [str(value) for name, value in row.items() if name != "outlier"] == line[:3] + line[4:]


def test_parquet_of_nothing_has_its_columns(tmp_path):
    import pyarrow.parquet as pq

    write_parquet(tmp_path / "p.parquet", TWO.labels, [NONE], 0)
    assert pq.read_table(tmp_path / "p.parquet").num_rows == 0


def test_parquet_cannot_hold_two_columns_of_one_name(tmp_path):
    with pytest.raises(UsageError, match="a label is called image, as another column"):
        write_parquet(tmp_path / "p.parquet", ["image", "text"], [], 0)


def test_nothing_is_printed_before_there_is_a_prediction():
    def failing():
        yield LEFT_OUT
        raise ModelError("other weights", "give the old ones")

    printed = []
    with pytest.raises(ModelError):
        printed.extend(as_csv(TWO.labels, failing()))
    assert printed == []


def test_the_csv_header_is_printed_once_for_many_batches():
    assert all_of(as_csv, [TWO, NONE, ONE]).count("image,label") == 1
