import logging

import numpy as np
import pytest

from classify.rows import Sample, conflicting_images, read_relabel, relabelled, usable_rows, warn_of_conflicts
from featurize.errors import UsageError
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


@pytest.mark.parametrize("purpose", ["train", "compare", "test"])
def test_all_labelled_rows_are_used_when_there_is_no_split(purpose):
    table = _table(label=["a", None, "b"])
    assert usable_rows(table, purpose).select("x")[:, 0].tolist() == [0, 2]


def test_copies_train_and_are_not_tested():
    table = _table(label=["a", "b", "a"], variant=[0, 0, 5])
    assert len(usable_rows(table, "train")) == 3
    assert len(usable_rows(table, "test")) == 2


def test_one_line_says_which_rows_are_used(caplog):
    with caplog.at_level(logging.INFO, "bottlehead"):
        usable_rows(SPLIT, "train")
    assert caplog.messages == [
        "train uses the training and validation rows: 2 photos, 2 labels; 1 without a label left out"
    ]


@pytest.mark.parametrize("purpose", ["train", "compare"])
def test_one_label_is_refused(purpose):
    with pytest.raises(UsageError, match="all 2 usable rows have the label a"):
        usable_rows(_table(label=["a", "a"]), purpose)


def test_one_label_can_be_tested():
    assert len(usable_rows(_table(label=["a", "a"]), "test")) == 2


def test_no_rows_are_refused_with_counts():
    with pytest.raises(
        UsageError, match="no row is left to test: of 2 rows 2 have a label, 0 are among the testing"
    ):
        usable_rows(_table(label=["a", "b"], split=["training", "training"]), "test")


def test_only_identical_bytes_under_different_labels_conflict():
    table = _table(
        label=["a", "b", "a", "a", "b", None],
        sha256=["11", "11", "22", "22", None, "11"],
        image=["a/2", "b/1", "a/3", "a/4", "b/5", "loose"],
    )
    assert conflicting_images(table) == [(("a/2", "a"), ("b/1", "b"))]


def test_copies_of_one_image_are_named_once():
    table = _table(label=["a", "a", "b"], sha256=["11"] * 3, image=["a/1", "a/1", "b/1"], variant=[0, 4, 0])
    assert conflicting_images(table) == [(("a/1", "a"), ("b/1", "b"))]


def test_relabelling_is_read(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text('\ufefflabel,new_label\n"roses, red",flower\noak,\n\nfern,plant\n', encoding="utf-8")
    assert read_relabel(path) == {"roses, red": "flower", "oak": "", "fern": "plant"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("old,new\na,b\n", "has the columns old, new"),
        ("label,new_label\na\n", "line 2 .* is 'a'"),
        ("label,new_label\na,b\nc,d,e\n", "line 3 .* is 'c,d,e'"),
        ("label,new_label\na,b\na,c\n", "names a twice, again in line 3"),
        ("label,new_label\na,\n", "keeps no class"),
    ],
)
def test_other_relabellings_are_refused(tmp_path, text, message):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_relabel(path)


def test_a_relabelling_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "map.csv"
    path.write_bytes(b"label,new_label\n\xff\xfe,a\n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_relabel(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_relabel(tmp_path / "missing.csv")


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


@pytest.mark.parametrize("purpose", ["train", "compare"])
def test_distorted_copies_alone_are_refused(purpose):
    table = FeatureTable.from_arrays({"x": [[0.0], [1.0]]}, label=["a", "b"], variant=[1, 2])
    with pytest.raises(UsageError, match=f"the 2 rows to {purpose} are distorted copies"):
        usable_rows(table, purpose)


def test_of_many_conflicts_a_few_are_named(caplog):
    n = 40
    table = FeatureTable.from_arrays(
        {"x": [[0.0]] * n},
        sha256=[f"{i // 20:064x}" for i in range(n)],
        image=[f"{i}\x1b[31m.jpg" for i in range(n)],
        label=["fern", "moss"] * (n // 2),
    )
    with caplog.at_level("WARNING", "bottlehead"):
        warn_of_conflicts(table)
    assert [record.getMessage().count(".jpg") for record in caplog.records] == [5, 5]
    assert "and 15 more; at least one" in caplog.text and "\x1b" not in caplog.text


def test_a_sample_keeps_vectors_labels_groups_variants_and_blocks_together():
    table = FeatureTable.from_arrays(
        {"x": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], "y": [[6.0], [7.0], [8.0]]},
        label=["fern", "moss", "fern"],
        group=["leaf", None, "leaf"],
        variant=[0, 0, 3],
    )
    sample = Sample.of(table, "y+x")
    assert (len(sample), sample.widths) == (3, [1, 2])
    mask = np.array([True, False, True])
    for some in (sample.rows([0, 2]), sample.rows(mask)):
        assert some.X.tolist() == [[6, 0, 1], [8, 4, 5]] and some.y.tolist() == ["fern", "fern"]
        assert some.groups[0] == some.groups[1] and some.variant.tolist() == [0, 3] and some.widths == [1, 2]
    alone = Sample(np.zeros((2, 1)), np.array(["a", "b"])).rows([1])
    assert (alone.y.tolist(), alone.groups, alone.variant, alone.widths) == (["b"], None, None, None)
