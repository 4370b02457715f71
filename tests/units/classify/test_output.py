import csv
import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from classify.prediction.neighbours import Neighbour
from classify.prediction.output import as_csv, as_jsonl, as_text, neighbours_as, write_parquet
from classify.prediction.predictions import Predictions
from featurize.errors import ModelError

PROBABILITIES = np.array([[0.25, 0.7, 0.05], [0.6, 0.1, 0.3]])
TWO = Predictions(["a/1.jpg", 'b/"odd", name\n.jpg'], ["cat", "dog", "emu"], PROBABILITIES, [None, True])
ONE = Predictions(["a/1.jpg"], TWO.labels, TWO.probabilities[:1], [None])
NONE = Predictions([], TWO.labels, TWO.probabilities[:0], [])
LEFT_OUT = Predictions([], TWO.labels, TWO.probabilities[:0], [], [("x.jpg", "no such file")])
FORMS = [as_text, as_csv, as_jsonl]


def all_of(form, batches, top=None):
    return "".join(form(TWO.labels, batches, top))


def test_where_several_were_asked_for_the_one_that_can_be_read_is_named():
    for batches in ([ONE, LEFT_OUT], [LEFT_OUT, NONE, ONE]):
        assert all_of(as_text, batches) == "a/1.jpg: dog 0.7000\n"


def test_neighbours_are_guarded_for_a_spreadsheet_and_distances_stay_numbers():
    found = [Neighbour("=1.jpg", "-a", -0.5), Neighbour("'+2.jpg", None, 0.25)]
    assert neighbours_as("csv", found) == "image,label,distance\n=1.jpg,-a,-0.5\n'+2.jpg,,0.25\n"
    guarded = "\ufeffimage,label,distance\n'=1.jpg,'-a,-0.5\n''+2.jpg,,0.25\n"
    assert neighbours_as("csv", found, excel=True) == guarded


def test_csv_quotes_every_kind_of_line_end():
    names = ["a\rb.jpg", "a\nb.jpg", "a\r\nb.jpg"]
    written = all_of(as_csv, [Predictions(names, TWO.labels, TWO.probabilities[[0, 0, 0]], [None] * 3)])
    lines = list(csv.reader(io.StringIO(written, newline="")))
    assert [line[0] for line in lines[1:]] == names


def divided(predictions):
    """The same predictions, one a batch, with empty batches between."""
    for row, image in enumerate(predictions.image):
        yield NONE
        proba = predictions.probabilities[row : row + 1]
        yield Predictions([image], TWO.labels, proba, [predictions.outlier[row]])


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


def test_nothing_is_a_header_or_nothing(tmp_path):
    assert all_of(as_text, []) == all_of(as_jsonl, [NONE]) == ""
    assert all_of(as_csv, [NONE]) == all_of(as_csv, []) == "image,label,confidence,outlier\n"
    write_parquet(tmp_path / "p.parquet", TWO.labels, [NONE], 0)
    table = pq.read_table(tmp_path / "p.parquet")
    assert (table.num_rows, table.column_names[4:]) == (0, TWO.labels)


def test_nothing_is_printed_before_there_is_a_prediction():
    def failing():
        yield LEFT_OUT
        raise ModelError("other weights", "give the old ones")

    printed = []
    with pytest.raises(ModelError):
        printed.extend(as_csv(TWO.labels, failing()))
    assert printed == []
