"""Tables are read by other programs without our help."""

import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurize.table import FeatureTable
from featurize.tableformat import IDS


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


def test_the_parquet_schema_is_the_documented_one(tmp_path, table):
    table.write(tmp_path / "t.parquet")
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert schema.names == [*IDS.names, "inception_v3:mixed8", "file"]
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
