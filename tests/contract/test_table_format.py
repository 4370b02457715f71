"""Tables as files keep every value, name and null, other programs read them, and damage is noticed."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import flip_bit, made_table, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featurize import BottleheadError, FeatureTable

BOTH = pytest.mark.parametrize("ending", [".parquet", ".npz"])
COLUMNS = ["image", "sha256", "label", "group", "split", "variant", "width", "height", "bytes", "format"]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@st.composite
def tables(draw) -> FeatureTable:
    n_rows = draw(st.integers(0, 5))

    def column(values):
        return draw(st.lists(values, min_size=n_rows, max_size=n_rows))

    names = draw(st.lists(TEXT.filter(str.isprintable).filter(bool), unique=True, max_size=3))
    names = [name for name in names if name not in COLUMNS and name != "featurize"]
    vectors = {
        name: draw(hnp.arrays(np.float32, (n_rows, draw(st.integers(1, 4))), elements=st.floats(width=32)))
        for name in names
    }
    columns = {
        "image": TEXT.filter(bool),
        "sha256": st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
        "split": st.sampled_from([None, "training", "testing"]),
        "variant": st.integers(0, 2**63 - 1),
        "format": st.sampled_from([None, "JPEG", "PNG"]),
        **dict.fromkeys(["label", "group"], st.none() | TEXT),
        **dict.fromkeys(["width", "height", "bytes"], st.none() | st.integers(0, 2**62)),
    }
    table = FeatureTable.from_arrays(vectors, **{name: column(values) for name, values in columns.items()})
    table.metadata["source"] = {"path": draw(TEXT), "kind": "folder"}
    table.metadata["features"] = {name: {"width": m.shape[1], "golden": [0.1]} for name, m in vectors.items()}
    return table


def assert_same(one: FeatureTable, other: FeatureTable) -> None:
    assert one.ids.equals(other.ids)
    assert one.features == other.features
    assert one.metadata == other.metadata
    for name, matrix in one.vectors.items():
        assert other.vectors[name].dtype == np.float32
        # Bit by bit: -0.0 and every NaN stay what they are.
        assert matrix.tobytes() == other.vectors[name].tobytes()


@BOTH
@settings(max_examples=40)
@given(table=tables())
def test_a_round_trip_keeps_every_value_name_and_null(tmp_path_factory, ending, table):
    path = tmp_path_factory.getbasetemp() / f"round-trip{ending}"
    table.write(path)
    assert_same(FeatureTable.read(path), table)


@pytest.fixture
def table() -> FeatureTable:
    rng = np.random.default_rng(1)
    made = FeatureTable.from_arrays(
        {"inception_v3:mixed8": rng.normal(size=(9, 6)), "file": rng.normal(size=(9, 2))},
        image=[f"daisy/{i} ‘ü’.jpg" for i in range(9)],
        label=["daisy", None, "rose"] * 3,
        width=[5] * 8 + [None],
    )
    made.metadata["source"] = {"path": "/photos", "kind": "folder"}
    return made


def test_views_and_rows_beyond_one_row_group_keep_their_order(tmp_path, table):
    strided = FeatureTable(table.ids, {"x": np.asfortranarray(table.vectors["file"])})
    for made in (table.filter([7, 2]), strided, made_table(9001)):
        made.write(tmp_path / "t.parquet")
        assert_same(FeatureTable.read(tmp_path / "t.parquet"), made)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3


def test_the_parquet_schema_is_the_documented_one_and_pandas_polars_and_duckdb_read_it(tmp_path, table):
    parquet = str(tmp_path / "t.parquet")
    table.write(parquet)
    schema = pq.read_schema(parquet)
    assert schema.names == [*COLUMNS, "inception_v3:mixed8", "file"]
    assert schema.field("inception_v3:mixed8").type == pa.list_(pa.float32(), 6)
    metadata = json.loads(schema.metadata[b"featurize"])
    assert metadata["format_version"] == 1 and metadata["source"]["path"] == "/photos"
    frame, wide = pd.read_parquet(parquet), table.select("inception_v3:mixed8")
    assert frame["label"].isna().sum() == 3
    np.testing.assert_array_equal(np.stack(frame["inception_v3:mixed8"]), wide)
    frame = pl.read_parquet(parquet)
    assert frame.schema["file"] == pl.Array(pl.Float32, 2)
    assert frame["label"].to_list() == table.label.tolist()
    np.testing.assert_array_equal(frame["file"].to_numpy(), table.select("file"))
    query = f"SELECT image, label, \"inception_v3:mixed8\"[2] FROM '{parquet}' WHERE label IS NOT NULL"
    known = [row for row in range(9) if table.label[row]]
    expected = [(table.image[row], table.label[row], wide[row, 1]) for row in known]
    assert duckdb.sql(query).fetchall() == expected


def test_numpy_reads_the_npz_without_us_and_without_pickle(tmp_path, table):
    table.write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert arrays["label"].tolist() == ["daisy", "", "rose"] * 3
        assert arrays["width"].tolist() == [5] * 8 + [-1]
        np.testing.assert_array_equal(arrays["file"], table.vectors["file"])
        assert json.loads(str(arrays["featurize"]))["format_version"] == 1


def write_with(path, table, metadata: str) -> None:
    """Write a table whose metadata are another text."""
    table.write(path)
    if path.suffix == ".parquet":
        pq.write_table(pq.read_table(path).replace_schema_metadata({"featurize": metadata}), path)
    else:
        np.savez(path, featurize=np.array(metadata), image=np.array(["a"]))


NEWER = json.dumps({"format_version": 2, "written_by": "3.4.5", "source": None, "features": {}})


@BOTH
@pytest.mark.parametrize("content", [
    "[]", '{"format_version": 1}', "{}",
])  # fmt: skip
def test_metadata_of_another_shape_are_refused(tmp_path, table, ending, content):
    write_with(tmp_path / f"t{ending}", table, content)
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.read(tmp_path / f"t{ending}")
    assert caught.value.hint


@BOTH
def test_a_table_of_a_newer_version_is_one_error_and_one_hint_of_every_command(tmp_path, table, ending):
    write_with(tmp_path / f"t{ending}", table, NEWER)
    for command in ("evaluate compare", "classify train -o m.model"):
        done = run(*command.split(), tmp_path / f"t{ending}")
        assert done.status == 1 and "table format 2, written by bottlehead 3.4.5" in done.error
        assert "install bottlehead 3.4.5 or newer" in done.hint


def test_a_parquet_or_npz_of_something_else_is_refused(tmp_path):
    pd.DataFrame({"image": ["a"], "x": [1.0]}).to_parquet(tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", x=np.zeros(3))
    for ending in ("parquet", "npz"):
        with pytest.raises(BottleheadError, match="was not written by featurize"):
            FeatureTable.read(tmp_path / f"t.{ending}")


def test_an_npz_that_holds_objects_is_never_unpickled(tmp_path, table):
    path = tmp_path / "t.npz"
    table.write(path)
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "file"}
    kept["label"] = np.array([print, *kept["label"][1:]], dtype=object)
    np.savez(path, **kept)
    with pytest.raises(BottleheadError, match="allow_pickle"):
        FeatureTable.read(path)


def test_vectors_that_another_program_made_ragged_are_refused(tmp_path, table):
    table.metadata["features"] = {"file": {}}
    table.write(tmp_path / "t.parquet")
    content = pq.read_table(tmp_path / "t.parquet")
    ragged = content["file"].cast(pa.list_(pa.float32()))
    place = content.schema.get_field_index("file")
    pq.write_table(content.set_column(place, "file", ragged), tmp_path / "t.parquet")
    with pytest.raises(BottleheadError, match="lost the vectors of file"):
        FeatureTable.read(tmp_path / "t.parquet")


@BOTH
@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PAR1PAR1", b"no table at all"])
def test_files_that_are_no_tables_are_refused(tmp_path, ending, content):
    path = tmp_path / f"t{ending}"
    path.write_bytes(content)
    with pytest.raises(BottleheadError, match="cannot be read as a table"):
        FeatureTable.read(path)


PLACES = st.floats(0, 1, exclude_max=True)


@pytest.fixture(scope="module", params=[".parquet", ".npz"])
def whole(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / f"t{request.param}"
    made_table(40).write(path)
    return path


@settings(max_examples=60)
@given(cut=PLACES)
def test_a_truncated_table_is_refused(whole, cut):
    path, data = whole.with_name(f"cut{whole.suffix}"), whole.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.read(path)
    assert caught.value.hint


@settings(max_examples=80)
@given(place=PLACES, bit=st.integers(0, 7))
@example(place=0.79296875, bit=0)  # in Parquet the name under which the sizes of lists stand
def test_a_flipped_bit_never_changes_a_vector_unnoticed(whole, place, bit):
    path = shutil.copy(whole, whole.with_name(f"flipped{whole.suffix}"))
    flip_bit(path, place, bit)
    try:
        read = FeatureTable.read(path)
    except BottleheadError:
        return
    # Names in a header may change, such as that of a column; the numbers may not.
    expected = made_table(40).vectors.values()
    for matrix, right in zip(read.vectors.values(), expected, strict=True):
        np.testing.assert_array_equal(matrix, right)


def test_other_endings_missing_places_and_what_npz_cannot_hold_are_refused(tmp_path, table):
    reserved = FeatureTable.from_arrays({"featurize": [[1.0]]})
    for act, place, message in [
        (FeatureTable.read, tmp_path, "is a folder, and a table is wanted"),
        (table.write, tmp_path / "t.csv", "cannot be a table: tables are .parquet or .npz, not csv"),
        (reserved.write, tmp_path / "t.npz", "features named featurize"),
        (table.write, tmp_path / "gone" / "t.npz", "there is no folder"),
        (FeatureTable.read, tmp_path / "gone.npz", "there is no table"),
    ]:
        with pytest.raises(BottleheadError, match=message):
            act(place)


@BOTH
def test_a_failed_write_leaves_the_old_table_and_nothing_else(tmp_path, table, ending):
    path = tmp_path / f"t{ending}"
    table.write(path)
    before = path.read_bytes()
    broken = FeatureTable.from_arrays({"x": np.zeros((2, 2))})
    broken.metadata["source"] = object()  # cannot be JSON
    with pytest.raises(TypeError):
        broken.write(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_equal_tables_are_equal_files(tmp_path, table):
    for ending in ("parquet", "npz"):
        table.write(tmp_path / f"a.{ending}"), table.filter(np.arange(9)).write(tmp_path / f"b.{ending}")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as one, zipfile.ZipFile(tmp_path / "b.npz") as two:
        assert [item.CRC for item in one.infolist()] == [item.CRC for item in two.infolist()]


@pytest.fixture
def five() -> FeatureTable:
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


def test_select_gives_one_column_or_several_side_by_side(five):
    both = five.select("thin+wide")
    assert both.dtype == np.float32 and both[3].tolist() == [-3, 30, 31, 32]
    assert five.widths("thin+wide") == [1, 3] and five.parts("thin+wide") == ["thin", "wide"]
    assert five.value_names("thin+wide") == ["minus", "wide_0000", "wide_0001", "wide_0002"]
    view = five.select("wide")
    assert np.shares_memory(view, five.vectors["wide"])
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    made = FeatureTable.from_arrays({"a+b": [[1.0]], "a": [[2.0]]})
    assert made.select("a+b").tolist() == [[1.0]]


def test_filter_takes_a_mask_or_row_numbers_in_that_order(five):
    assert five.filter(five.label == "cat").image.tolist() == ["a", "d"]
    picked = five.filter(np.array([4, 0, 0, -1]))
    assert picked.image.tolist() == ["e", "a", "a", "e"]
    assert picked.select("thin")[:, 0].tolist() == [-4, 0, 0, -4]
    assert len(five.filter([])) == len(five.filter(np.zeros(5, dtype=bool))) == 0
    with pytest.raises(IndexError):
        five.filter([5])


@pytest.mark.parametrize("name", COLUMNS)
def test_every_id_column_can_be_replaced_and_no_other_changes(five, name):
    whole = name in ("variant", "width", "height", "bytes")
    values = list(range(1, 6)) if whole else list("vwxyz")
    changed = five.with_column(name, values)
    assert changed.ids.column(name).to_pylist() == values and changed.ids.column_names == COLUMNS
    for other in set(COLUMNS) - {name}:
        assert changed.ids.column(other).equals(five.ids.column(other))


def test_relabel_renames_drops_and_keeps_what_has_no_label(five):
    new = five.relabel({"cat": "pet", "dog": "pet", "eel": ""})
    assert new.image.tolist() == list("abcd") and new.label.tolist() == ["pet", "pet", None, "pet"]
    assert new.select("thin")[:, 0].tolist() == [0, -1, -2, -3]
    assert five.label.tolist() == ["cat", "dog", None, "cat", "eel"]


def test_join_matches_by_content_and_variant_and_by_name_where_the_bytes_are_unknown(five):
    other = FeatureTable.from_arrays(
        {"new": [[4], [3], [2], [1], [9]]}, image=list("vwxyz"), sha256=list("43219")
    )
    joined = five.join(other)
    assert joined.features == ["wide", "thin", "new"] and five.features == ["wide", "thin"]
    assert joined.select("new")[:, 0].tolist() == [1, 2, 3, 4, 1] and joined.image.tolist() == list("abcde")
    one = FeatureTable.from_arrays({"x": [[0], [0], [0]]}, image=["a", "a", "b"], variant=[0, 7, 0])
    two = FeatureTable.from_arrays({"y": [[1], [2], [3]]}, image=["b", "a", "a"], variant=[0, 7, 0])
    assert one.join(two).select("y")[:, 0].tolist() == [3, 2, 1]


def test_to_frame_has_ids_and_named_float32_columns_column_has_none_for_null_and_the_repr_is_short(five):
    made = FeatureTable.from_arrays({}, image=["a", "b"], width=[3, None], bytes=[1, 2])
    assert made.column("width").tolist() == [3, None] and made.column("bytes").dtype == np.int64
    assert repr(five) == "FeatureTable: 5 rows; features wide (3), thin (1); 3 labels cat, dog, eel"
    frame = five.to_frame()
    assert list(frame.columns) == [*COLUMNS, *five.value_names("wide+thin")]
    assert (frame.dtypes.iloc[-4:] == np.float32).all()
    assert frame.loc[3, "wide_0002"] == 32 and frame.loc[3, "image"] == "d"
    assert pd.isna(frame.loc[2, "label"])


@pytest.mark.parametrize(("act", "message"), [
    (lambda t: t.select("wide+glcm"), r"no features named glcm \(it has wide, thin"),
    (lambda t: t.select("wide+"), r"no features named '' \(it has wide, thin"),
    (lambda t: t.select("wide+wide"), "names the same features twice"),
    (lambda t: t.filter(np.array([True, False, True])), "3 values for 5 rows"),
    (lambda t: t.with_column("colour", list("vwxyz")), "no id column is called colour .*image, sha256, label"),
    (lambda t: t.relabel({"cat": "x"}), "no new label for dog, eel"),
    (lambda t: t.join(FeatureTable.from_arrays({"y": np.zeros((3, 1))}, sha256=["2", "3", "4"])),
     "2 of 5 images are not in the other table, the first is a"),
    (lambda t: t.join(t), "both tables have features named thin, wide"),
    # Vectors are never converted behind the caller's back.
    (lambda t: FeatureTable(t.ids, {"x": np.zeros((5, 2))}), "float64"),
])  # fmt: skip
def test_what_a_table_cannot_do_is_refused(five, act, message):
    with pytest.raises(BottleheadError) as caught:
        act(five)
    assert re.search(message, f"{caught.value} ({caught.value.hint}") and caught.value.hint


@pytest.mark.parametrize(("vectors", "columns", "message"), [
    ({"x": [[1.0]]}, {"image": ["a", "b"]}, "1 vectors for 2 rows"),
    ({"x": [1.0]}, {}, "of shape"), ({"label": [[1.0]]}, {}, "cannot be named 'label'"),
    ({"": [[1.0]]}, {}, "cannot be named ''"),
    ({}, {"image": ["a"], "colour": ["red"]}, "no such columns: colour"),
    ({}, {"image": ["a"], "label": ["x", "y"]}, "different lengths"),
    ({}, {"image": ["a"], "width": ["wide"]}, "width cannot be int64"),
    ({}, {"image": ["\ud800"]}, "image cannot be string"),
    ({}, {"image": ["1", "2"], "label": ["a", "a\0"]}, "label holds a NUL"),
])  # fmt: skip
def test_arrays_that_make_no_table_are_refused(vectors, columns, message):
    with pytest.raises(BottleheadError, match=message) as caught:
        FeatureTable.from_arrays(vectors, **columns)
    assert caught.value.hint
