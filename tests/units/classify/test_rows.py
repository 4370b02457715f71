import numpy as np
import pytest

from classify.rows import Sample, conflicting_images, read_relabel, relabelled, select_vectors, usable_rows
from featurize.errors import TableError, UsageError
from featurize.table import FeatureTable


def _table(**columns):
    n = len(columns["label"])
    return FeatureTable.from_arrays({"x": [[float(i)] for i in range(n)]}, **columns)


SPLIT = _table(
    label=["a", "b", None, "a", "b", "a", "b"],
    split=["training", "validation", "training", "testing", "testing", "testing", None],
    variant=[0, 0, 0, 0, 0, 7, 0],
)


@pytest.mark.parametrize(("purpose", "rows"), [("train", [0, 1]), ("compare", [0, 1]), ("test", [3, 4])])
def test_the_split_decides_which_rows_are_used(purpose, rows):
    assert usable_rows(SPLIT, purpose).select("x")[:, 0].tolist() == rows


def test_all_labelled_rows_are_used_when_there_is_no_split_and_copies_are_not_tested():
    table = _table(label=["a", None, "b", "b"], variant=[0, 0, 0, 5])
    for purpose, rows in {"train": [0, 2, 3], "compare": [0, 2, 3], "test": [0, 2]}.items():
        assert usable_rows(table, purpose).select("x")[:, 0].tolist() == rows
    assert len(usable_rows(_table(label=["a", "a"]), "test")) == 2  # one label can be tested


def test_only_identical_bytes_under_different_labels_conflict_and_copies_are_named_once():
    table = _table(
        label=["a", "b", "a", "a", "b", None, "a"],
        sha256=["11", "11", "22", "22", None, "11", "11"],
        image=["a/2", "b/1", "a/3", "a/4", "b/5", "loose", "a/2"],
        variant=[0, 0, 0, 0, 0, 0, 4],
    )
    assert conflicting_images(table) == [(("a/2", "a"), ("b/1", "b"))]


def test_outer_spaces_are_part_of_a_label(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("label,new_label\n fern,fern \nmoss ,moss\noak,  \n")
    assert read_relabel(path) == {" fern": "fern ", "moss ": "moss", "oak": ""}


def test_names_of_the_map_that_fit_no_label_are_told(caplog):
    table = FeatureTable.from_arrays({"x": [[0.0], [1.0]]}, label=["daisy", "rose"])
    with pytest.raises(UsageError, match="no new label for daisy"):
        relabelled(table, {"daisie": "a", "rose": "b"})
    assert caplog.messages == ["the relabelling names 'daisie'; the labels of the table are daisy, rose"]
    assert relabelled(table, None) is table


def test_opposite_infinities_do_not_cancel_and_the_largest_numbers_pass():
    largest = np.finfo(np.float32).max
    table = FeatureTable.from_arrays({"x": [[largest, largest], [-largest, -largest]]})
    assert (select_vectors(table, "x") == table.vectors["x"]).all()
    with pytest.raises(TableError, match="NaN or infinity"):
        select_vectors(FeatureTable.from_arrays({"x": [[np.inf, -np.inf]]}), "x")


def test_a_sample_keeps_vectors_labels_groups_variants_and_blocks_together():
    table = FeatureTable.from_arrays(
        {"x": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "y": [[6.0], [7.0], [8.0]]},
        label=["fern", "moss", "fern"],
        group=["leaf", None, "leaf"],
        variant=[0, 0, 3],
    )
    some = Sample.of(table, "y+x").rows(np.array([True, False, True]))
    assert some.X.tolist() == [[6, 0, 1], [8, 4, 5]] and some.y.tolist() == ["fern", "fern"]
    assert some.groups[0] == some.groups[1] and some.variant.tolist() == [0, 3] and some.widths == [1, 2]
