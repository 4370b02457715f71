"""Manifests as people and programs write them."""

import os
from pathlib import Path

import pandas as pd
import pytest

from featurize.errors import SourceError
from featurize.photos.manifest import read_manifest


def rows(path):
    return list(read_manifest(path))


def test_empty_values_are_none_and_other_columns_are_left_out(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("image,label,note\na.jpg,daisy,nice\n\nb.jpg,,\n")
    assert rows(path) == [
        ("line 2", {"image": "a.jpg", "label": "daisy"}),
        ("line 4", {"image": "b.jpg", "label": None}),
    ]


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("\ufeffimage,label\r\nä b.jpg,x\r\n".encode())
    assert rows(path) == [("line 2", {"image": "ä b.jpg", "label": "x"})]


def test_quoted_names_may_hold_commas_quotes_and_newlines(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text('image,label\n"a, ""b""\nc.jpg",x\n')
    assert rows(path) == [("line 3", {"image": 'a, "b"\nc.jpg', "label": "x"})]


def test_an_unquoted_comma_is_noticed_and_costs_no_other_line(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("image,label\na, b.jpg,x\nc.jpg,y\nd.jpg\n")
    first, second, third = rows(path)
    assert first == ("line 2", "3 values for 2 columns; quote what holds commas")
    assert second == ("line 3", {"image": "c.jpg", "label": "y"})
    assert third[1].startswith("1 values for 2 columns")


def test_parquet_numbers_become_text_and_nan_becomes_none(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"image": ["a.jpg", "b.jpg"], "label": [1, 2], "group": pa.array([2.5, float("nan")])})
    pq.write_table(table, tmp_path / "m.parquet")
    assert rows(tmp_path / "m.parquet") == [
        ("row 1", {"image": "a.jpg", "label": "1", "group": "2.5"}),
        ("row 2", {"image": "b.jpg", "label": "2", "group": None}),
    ]


def test_categories_written_by_pandas_are_read(tmp_path):
    frame = pd.DataFrame({"image": ["a.jpg"], "label": pd.Categorical(["daisy"])})
    frame.to_parquet(tmp_path / "m.parquet")
    assert rows(tmp_path / "m.parquet") == [("row 1", {"image": "a.jpg", "label": "daisy"})]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "columns none, and no column image"),
        (b"file,label\na,b\n", "columns 'file', 'label', and no column image"),
        (b"image,image\na,b\n", "two columns named image"),
        (b"image, label,group\na.jpg,x,p1\n", "has a column ' label'"),
        (b"image,label,Group\na.jpg,x,p1\n", "has a column 'Group'"),
        (b"Image,label\na.jpg,x\n", "has a column 'Image'"),
        (b"image,split\na.jpg,train\n", "line 2: split is 'train'"),
        (b"image\n\xff\xfe\n", "not UTF-8"),
        (b'image\n"a.jpg\n', "no readable CSV"),
        (b"image\na\0b.jpg\n" + b"x" * 200_000, "no readable CSV"),
    ],
)
def test_an_unreadable_csv_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        rows(path)
    assert caught.value.hint


def test_an_unreadable_parquet_is_one_clear_error(tmp_path):
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(SourceError, match="no readable Parquet"):
        rows(path)
    pd.DataFrame({"image": [1, 2]}).to_parquet(path)
    with pytest.raises(SourceError, match=r"image column .* holds int64"):
        rows(path)
    pd.DataFrame({"image": ["a.jpg"], "GROUP ": ["p1"]}).to_parquet(path)
    with pytest.raises(SourceError, match="has a column 'GROUP '"):
        rows(path)


@pytest.mark.parametrize("column", ["label", "group"])
def test_what_no_table_can_hold_is_found_before_anything_is_computed(tmp_path, column):
    path = tmp_path / "m.csv"
    path.write_bytes(f"image,{column}\na.jpg,x\0y\nb.jpg,z\n".encode())
    assert rows(path) == [
        ("line 2", f"its {column} holds a NUL character"),
        ("line 3", {"image": "b.jpg", column: "z"}),
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", [b"run:3.parquet", b"caf\xe9.parquet"])
def test_a_parquet_manifest_may_be_called_anything(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = Path(os.fsdecode(name))
    path.write_bytes(pd.DataFrame({"image": ["a.jpg"]}).to_parquet())
    assert rows(path) == [("row 1", {"image": "a.jpg"})]
