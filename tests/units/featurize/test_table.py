"""Ids and numbers travel together, and every method gives a new table."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurize.errors import TableError, UsageError
from featurize.table import IDS, FeatureTable


@pytest.fixture
def table() -> FeatureTable:
    """Five rows; row i of ``wide`` is 10 i, 10 i + 1, 10 i + 2, and of ``thin`` −i."""
    rows = np.arange(5)
    made = FeatureTable.from_arrays(
        {"wide": rows[:, None] * 10 + np.arange(3), "thin": -rows[:, None]},
        image=list("abcde"),
        label=["cat", "dog", None, "cat", "eel"],
        sha256=["1", "2", "3", "4", "1"],
        split=["training", "testing", None, "training", "training"],
    )
    made.metadata["features"]["thin"] = {"value_names": ["minus"]}
    return made


def test_select_gives_one_column_or_several_side_by_side(table):
    assert table.select("wide").tolist() == table.vectors["wide"].tolist()
    both = table.select("thin+wide")
    assert both.dtype == np.float32
    assert both[3].tolist() == [-3, 30, 31, 32]
    assert table.widths("thin+wide") == [1, 3]
    assert table.value_names("thin+wide") == ["minus", "wide_0000", "wide_0001", "wide_0002"]


def test_select_of_one_column_shares_memory_and_cannot_be_written(table):
    view = table.select("wide")
    assert np.shares_memory(view, table.vectors["wide"])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_a_column_with_a_plus_in_its_name_is_found():
    made = FeatureTable.from_arrays({"a+b": [[1.0]], "a": [[2.0]]})
    assert made.select("a+b").tolist() == [[1.0]]


def test_missing_features_are_refused_with_those_there_are(table):
    with pytest.raises(UsageError, match=r"no features named glcm \(it has wide, thin"):
        table.select("wide+glcm")


def test_features_joined_with_themselves_are_refused(table):
    name = table.features[0]
    with pytest.raises(UsageError, match="names the same features twice"):
        table.select(f"{name}+{name}")


def test_filter_takes_a_mask_or_row_numbers_in_that_order(table):
    assert table.filter(table.label == "cat").image.tolist() == ["a", "d"]
    picked = table.filter(np.array([4, 0, 0, -1]))
    assert picked.image.tolist() == ["e", "a", "a", "e"]
    assert picked.select("thin")[:, 0].tolist() == [-4, 0, 0, -4]
    assert len(table.filter([])) == len(table.filter(np.zeros(5, dtype=bool))) == 0
    assert table.filter(table.split == "training").label.tolist() == ["cat", "cat", "eel"]
    with pytest.raises(UsageError, match="3 values for 5 rows"):
        table.filter(np.array([True, False, True]))
    with pytest.raises(IndexError):
        table.filter([5])


@given(st.data())
def test_filter_keeps_ids_and_numbers_together(data):
    n_rows = data.draw(st.integers(1, 30))
    numbers = np.arange(n_rows)
    made = FeatureTable.from_arrays({"x": numbers[:, None]}, image=[str(n) for n in numbers])
    rows = data.draw(st.lists(st.integers(0, n_rows - 1)))
    picked = made.filter(rows)
    assert [int(name) for name in picked.image] == picked.vectors["x"][:, 0].astype(int).tolist() == rows


@pytest.mark.parametrize("name", IDS.names)
def test_every_id_column_can_be_replaced_and_no_other_changes(table, name):
    """Also the first and the last one."""
    values = list(range(1, 6)) if pa.types.is_integer(IDS.field(name).type) else list("vwxyz")
    changed = table.with_column(name, values)
    assert changed.ids.column(name).to_pylist() == values
    for other in set(IDS.names) - {name}:
        assert changed.ids.column(other).equals(table.ids.column(other))
    assert changed.ids.column_names == table.ids.column_names


def test_a_column_that_is_no_id_is_not_added(table):
    with pytest.raises(UsageError, match="no id column is called wide") as caught:
        table.with_column("wide", list("vwxyz"))
    assert ", ".join(IDS.names) in caught.value.hint


def test_relabel_renames_drops_and_keeps_what_has_no_label(table):
    new = table.relabel({"cat": "pet", "dog": "pet", "eel": ""})
    assert new.image.tolist() == list("abcd")
    assert new.label.tolist() == ["pet", "pet", None, "pet"]
    assert new.select("thin")[:, 0].tolist() == [0, -1, -2, -3]
    assert table.label.tolist() == ["cat", "dog", None, "cat", "eel"]
    with pytest.raises(UsageError, match="no new label for dog, eel"):
        table.relabel({"cat": "x"})


def test_join_matches_by_content_whatever_the_order_and_the_names(table):
    other = FeatureTable.from_arrays(
        {"new": [[4.0], [3.0], [2.0], [1.0], [9.0]]},
        image=["v", "w", "x", "y", "z"],
        sha256=["4", "3", "2", "1", "9"],
    )
    joined = table.join(other)
    assert joined.features == ["wide", "thin", "new"]
    assert joined.select("new")[:, 0].tolist() == [1, 2, 3, 4, 1]
    assert joined.image.tolist() == list("abcde")
    assert table.features == ["wide", "thin"]


def test_join_tells_variants_apart_and_uses_names_where_the_bytes_are_unknown():
    one = FeatureTable.from_arrays({"x": [[0], [0], [0]]}, image=["a", "a", "b"], variant=[0, 7, 0])
    two = FeatureTable.from_arrays({"y": [[1], [2], [3]]}, image=["b", "a", "a"], variant=[0, 7, 0])
    assert one.join(two).select("y")[:, 0].tolist() == [3, 2, 1]


def test_join_refuses_missing_images_and_equal_names(table):
    with pytest.raises(TableError, match="2 of 5 images are not in the other table, the first is a"):
        table.join(FeatureTable.from_arrays({"y": np.zeros((3, 1))}, sha256=["2", "3", "4"]))
    with pytest.raises(TableError, match="both tables have features named thin, wide"):
        table.join(table)


def test_to_frame_has_ids_and_named_float32_columns(table):
    frame = table.to_frame()
    assert list(frame.columns)[:3] == ["image", "sha256", "label"]
    assert list(frame.columns)[-4:] == ["wide_0000", "wide_0001", "wide_0002", "minus"]
    assert (frame.dtypes.iloc[-4:] == np.float32).all()
    assert frame.loc[3, "wide_0002"] == 32 and frame.loc[3, "image"] == "d"
    assert pd.isna(frame.loc[2, "label"])


def test_groups_join_equal_bytes_and_variants(table):
    assert table.groups.tolist() == [0, 1, 2, 3, 0]
    assert table.with_column("group", ["p", None, "q", "q", None]).groups.tolist() == [0, 1, 2, 2, 0]
    twice = FeatureTable.from_arrays({}, image=["a", "b", "a"], sha256=["1", "2", "1"], variant=[0, 0, 5])
    assert twice.groups.tolist() == [0, 1, 0]


def test_the_digest_follows_every_number_and_every_name(table):
    rows = np.arange(5)
    assert table.digest() == table.filter(rows).digest()
    assert table.digest() != table.filter(rows[::-1]).digest()
    assert table.digest() != table.with_column("label", ["cat", "dog", None, "cat", "cow"]).digest()
    vectors = {**table.vectors, "thin": np.nextafter(table.vectors["thin"], np.float32(9))}
    assert table.digest() != FeatureTable(table.ids, vectors).digest()


def test_integer_columns_with_nulls_hold_none():
    made = FeatureTable.from_arrays({}, image=["a", "b"], width=[3, None], bytes=[1, 2])
    assert made.column("width").tolist() == [3, None]
    assert made.column("bytes").dtype == np.int64


def test_repr_says_what_is_in_it(table):
    assert repr(table) == "FeatureTable: 5 rows; features wide (3), thin (1); 3 labels cat, dog, eel"


@pytest.mark.parametrize(
    "vectors, message",
    [
        ({"x": [1.0, 2.0]}, "shape"),
        ({"x": [[1.0]]}, "1 vectors for 2 rows"),
        ({"label": [[1.0], [2.0]]}, "cannot be named 'label'"),
        ({"": [[1.0], [2.0]]}, "cannot be named ''"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(vectors, message):
    with pytest.raises(TableError, match=message):
        FeatureTable.from_arrays(vectors, image=["a", "b"])


def test_vectors_are_never_converted_behind_the_callers_back(table):
    with pytest.raises(TableError, match="float64"):
        FeatureTable(table.ids, {"x": np.zeros((5, 2))})
