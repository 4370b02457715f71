"""Tables as files keep every value, name and null, other programs read them, and damage is noticed."""

import json
import zipfile

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import run
from hypothesis import given, settings
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
    sizes = st.none() | st.integers(0, 2**62)
    table = FeatureTable.from_arrays(
        vectors,
        image=column(TEXT.filter(bool)),
        sha256=column(st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)),
        label=column(st.none() | TEXT),
        group=column(st.none() | TEXT),
        split=column(st.sampled_from([None, "training", "testing"])),
        variant=column(st.integers(0, 2**63 - 1)),
        width=column(sizes),
        height=column(sizes),
        bytes=column(sizes),
        format=column(st.sampled_from([None, "JPEG", "PNG"])),
    )
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
@settings(max_examples=40, deadline=None)
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


def test_rows_beyond_one_row_group_keep_their_order(tmp_path):
    rng = np.random.default_rng(2)
    made = FeatureTable.from_arrays({"x": rng.normal(size=(9001, 3))}, image=[str(i) for i in range(9001)])
    made.write(tmp_path / "t.parquet")
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 3
    assert_same(FeatureTable.read(tmp_path / "t.parquet"), made)


def test_tables_of_a_view_are_written_as_the_view(tmp_path, table):
    part = table.filter([7, 2])
    strided = FeatureTable(table.ids, {"x": np.asfortranarray(table.vectors["file"])})
    for name, made in {"a": part, "b": strided}.items():
        made.write(tmp_path / f"{name}.parquet")
        assert_same(FeatureTable.read(tmp_path / f"{name}.parquet"), made)


# -- read by other programs, without our help ----------------------------------------------------


def test_the_parquet_schema_is_the_documented_one(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert schema.names == [*COLUMNS, "inception_v3:mixed8", "file"]
    assert schema.field("inception_v3:mixed8").type == pa.list_(pa.float32(), 6)
    metadata = json.loads(schema.metadata[b"featurize"])
    assert metadata["format_version"] == 1 and metadata["source"]["path"] == "/photos"


def test_pandas_reads_it(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert frame["label"].isna().sum() == 3
    np.testing.assert_array_equal(np.stack(frame["inception_v3:mixed8"]), table.select("inception_v3:mixed8"))


def test_polars_reads_it(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    frame = pl.read_parquet(tmp_path / "t.parquet")
    assert frame.schema["file"] == pl.Array(pl.Float32, 2)
    assert frame["label"].to_list() == table.label.tolist()
    np.testing.assert_array_equal(frame["file"].to_numpy(), table.select("file"))


def test_duckdb_reads_it(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    rows = duckdb.sql(
        f"SELECT image, label, \"inception_v3:mixed8\"[2] FROM '{tmp_path}/t.parquet' WHERE label IS NOT NULL"
    ).fetchall()
    known = table.filter(table.label != None)  # noqa: E711
    assert [row[:2] for row in rows] == list(zip(known.image, known.label, strict=True))
    np.testing.assert_array_equal([row[2] for row in rows], known.select("inception_v3:mixed8")[:, 1])


def test_numpy_reads_the_npz_without_us_and_without_pickle(tmp_path, table):
    table.write(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert arrays["label"].tolist() == ["daisy", "", "rose"] * 3
        assert arrays["width"].tolist() == [5] * 8 + [-1]
        np.testing.assert_array_equal(arrays["file"], table.vectors["file"])
        assert json.loads(str(arrays["featurize"]))["format_version"] == 1


# -- refused --------------------------------------------------------------------------------------


def with_metadata(path, change) -> None:
    """Rewrite the metadata of a table file."""
    if path.suffix == ".parquet":
        content = pq.read_table(path)
        metadata = change(json.loads(content.schema.metadata[b"featurize"]))
        pq.write_table(content.replace_schema_metadata({"featurize": json.dumps(metadata)}), path)
    else:
        with np.load(path) as arrays:
            kept = dict(arrays)
        metadata = change(json.loads(str(kept.pop("featurize"))))
        kept.pop("file", None)
        metadata["features"].pop("file", None)
        np.savez(path, featurize=np.array(json.dumps(metadata)), **kept)


@BOTH
def test_a_newer_format_is_refused_with_the_version_it_needs(tmp_path, table, ending):
    path = tmp_path / f"t{ending}"
    table.write(path)
    with_metadata(path, lambda metadata: {**metadata, "format_version": 2, "written_by": "3.4.5"})
    with pytest.raises(BottleheadError, match=r"table format 2, written by bottlehead 3\.4\.5") as caught:
        FeatureTable.read(path)
    assert "bottlehead>=3.4.5" in caught.value.hint


@BOTH
@pytest.mark.parametrize("change", [lambda m: [], lambda m: {"format_version": 1}, lambda m: {}])
def test_metadata_of_another_shape_is_refused(tmp_path, table, ending, change):
    path = tmp_path / f"t{ending}"
    table.write(path)
    content = json.dumps(change({}))
    if ending == ".parquet":
        pq.write_table(pq.read_table(path).replace_schema_metadata({"featurize": content}), path)
    else:
        np.savez(path, featurize=np.array(content), image=np.array(["a"]))
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.read(path)
    assert caught.value.hint


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, tuple[bytes, FeatureTable]]:
    """The bytes of one table, by ending."""
    rng = np.random.default_rng(3)
    made = FeatureTable.from_arrays(
        {"x": rng.normal(size=(40, 16))}, image=[f"{i}.jpg" for i in range(40)], label=["a", "b"] * 20
    )
    files = {}
    for ending in (".parquet", ".npz"):
        path = tmp_path_factory.mktemp("whole") / f"t{ending}"
        made.write(path)
        files[ending] = path.read_bytes(), made
    return files


@BOTH
@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_table_is_refused(tmp_path_factory, whole, ending, cut):
    data, _ = whole[ending]
    path = tmp_path_factory.getbasetemp() / f"cut{ending}"
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(BottleheadError) as caught:
        FeatureTable.read(path)
    assert caught.value.hint


@BOTH
@settings(max_examples=80, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_changes_a_vector_unnoticed(tmp_path_factory, whole, ending, place, bit):
    data, made = whole[ending]
    damaged = bytearray(data)
    damaged[int(place * len(data))] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / f"flipped{ending}"
    path.write_bytes(damaged)
    try:
        read = FeatureTable.read(path)
    except BottleheadError:
        return
    # Names in a header may change, such as that of a column; the numbers may not.
    for matrix in read.vectors.values():
        np.testing.assert_array_equal(matrix, made.vectors["x"])


def test_other_endings_and_missing_places_are_refused(tmp_path, table):
    with pytest.raises(BottleheadError, match="is a folder, and a table is wanted"):
        FeatureTable.read(tmp_path)
    with pytest.raises(BottleheadError, match="cannot tell the format of"):
        table.write(tmp_path / "t.csv")
    with pytest.raises(BottleheadError, match="there is no folder"):
        table.write(tmp_path / "gone" / "t.npz")
    with pytest.raises(BottleheadError, match="there is no table"):
        FeatureTable.read(tmp_path / "gone.npz")


def test_npz_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(BottleheadError, match="features named featurize"):
        FeatureTable.from_arrays({"featurize": [[1.0]]}).write(tmp_path / "t.npz")
    with pytest.raises(BottleheadError, match="NUL"):
        FeatureTable.from_arrays({}, image=["a"], label=["x\0"]).write(tmp_path / "t.npz")
    assert list(tmp_path.iterdir()) == []


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


# -- a table in memory ----------------------------------------------------------------------------


def test_rows_columns_and_labels_change_in_a_new_table(table):
    flowers = table.with_column("split", ["training"] * 8 + [None]).filter(np.arange(9) % 3 != 1)
    renamed = flowers.relabel({"daisy": "aster", "rose": None})
    assert renamed.label.tolist() == ["aster"] * 3 and renamed.split.tolist() == ["training"] * 3
    np.testing.assert_array_equal(renamed.select("file"), table.vectors["file"][[0, 3, 6]])
    assert table.label.tolist() == ["daisy", None, "rose"] * 3 and set(table.split) == {None}
    with pytest.raises(BottleheadError, match="no new label for rose"):
        flowers.relabel({"daisy": "aster"})
    with pytest.raises(BottleheadError, match="no id column is called colour"):
        table.with_column("colour", [1] * 9)


def test_features_are_joined_by_image_and_variant(table):
    vectors = {"y": np.arange(9.0)[:, None]}
    backwards = FeatureTable.from_arrays(vectors, image=table.image[::-1].tolist())
    both = table.join(backwards)
    assert both.widths("file+y") == [2, 1] and both.parts("file+y") == ["file", "y"]
    np.testing.assert_array_equal(
        both.select("file+y"), np.hstack([table.vectors["file"], vectors["y"][::-1]])
    )
    assert both.value_names("y+file") == ["y_0000", "file_0000", "file_0001"]
    assert both.to_frame().shape == (9, 10 + 6 + 2 + 1)
    assert both.to_frame()["y_0000"].tolist() == list(range(8, -1, -1))
    for wrong, message in [
        (table, "both tables have features named"),
        (backwards.filter([0]), "8 of 9 images are not in the other table"),
    ]:
        with pytest.raises(BottleheadError, match=message):
            (both if wrong is table else table).join(wrong)
    for name, message in [("z", "no features named z"), ("y+y", "the same features twice")]:
        with pytest.raises(BottleheadError, match=message):
            both.select(name)


@pytest.mark.parametrize(
    ("vectors", "columns", "message"),
    [
        ({"x": [[1.0]]}, {"image": ["a", "b"]}, "different lengths|1 vectors for 2 rows"),
        ({}, {"image": ["a"], "colour": ["red"]}, "no such columns: colour"),
        ({}, {"image": ["a"], "width": ["wide"]}, "width cannot be int64"),
        ({"label": [[1.0]]}, {}, "features cannot be named"),
        ({"x": [1.0]}, {}, "of shape"),
    ],
)
def test_arrays_that_make_no_table_are_refused(vectors, columns, message):
    with pytest.raises(BottleheadError, match=message):
        FeatureTable.from_arrays(vectors, **columns)


def test_a_table_of_a_newer_version_is_one_error_and_one_hint_of_every_command(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    with_metadata(tmp_path / "t.parquet", lambda m: {**m, "format_version": 2, "written_by": "9.0"})
    for command in ("evaluate compare", "classify train -o m.model"):
        done = run(*command.split(), tmp_path / "t.parquet")
        assert done.status == 1 and "table format 2, written by bottlehead 9.0" in done.error
