"""Manifests as people and programs write them."""

import os
from pathlib import Path

import pandas as pd
import pytest

from featurize.errors import SourceError
from featurize.photos.manifest import read_manifest


def rows(path: Path, content: bytes | str | pd.DataFrame | None = None) -> list[tuple]:
    """What is read of a file, after writing it."""
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    elif content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_manifest(path))


CSV = {
    "other columns and empty lines are left out, empty values are none": (
        "image,label,note\na.jpg,daisy,nice\n\nb.jpg,,\n",
        [("line 2", {"image": "a.jpg", "label": "daisy"}), ("line 4", {"image": "b.jpg", "label": None})],
    ),
    "a byte order mark and Windows line ends do not matter": (
        "\ufeffimage,label\r\nä b.jpg,x\r\n", [("line 2", {"image": "ä b.jpg", "label": "x"})]),
    "quoted names may hold commas, quotes and newlines": (
        'image,label\n"a, ""b""\nc.jpg",x\n', [("line 3", {"image": 'a, "b"\nc.jpg', "label": "x"})]),
    "an unquoted comma costs no other line": (
        "image,label\na, b.jpg,x\nc.jpg,y\nd.jpg\n",
        [("line 2", "3 values for 2 columns; quote what holds commas"),
         ("line 3", {"image": "c.jpg", "label": "y"}),
         ("line 4", "1 values for 2 columns; quote what holds commas")],
    ),
    "a label that no table can hold": (
        "image,label\na.jpg,x\0y\nb.jpg,z\n",
        [("line 2", "its label holds a NUL character"), ("line 3", {"image": "b.jpg", "label": "z"})],
    ),
    "a group that no table can hold": ("image,group\na.jpg,x\0y\n", [("line 2", "its group holds a NUL character")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV)
def test_a_csv_is_read_as_people_and_programs_write_it(tmp_path, case):
    content, expected = CSV[case]
    assert rows(tmp_path / "m.csv", content) == expected


def test_parquet_numbers_become_text_nan_becomes_none_and_categories_are_read(tmp_path):
    label = pd.Categorical(["daisy", "daisy"])
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "label": label, "group": [2.5, float("nan")]})
    assert rows(tmp_path / "m.parquet", frame) == [
        ("row 1", {"image": "a.jpg", "label": "daisy", "group": "2.5"}),
        ("row 2", {"image": "b.jpg", "label": "daisy", "group": None}),
    ]
    assert rows(tmp_path / "m.parquet", frame.assign(label=[1, 2]))[0][1]["label"] == "1"


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
    with pytest.raises(SourceError, match=message) as caught:
        rows(tmp_path / "m.csv", content)
    assert caught.value.hint


@pytest.mark.parametrize(
    "content, message",
    [
        (b"PAR1 nonsense PAR1", "no readable Parquet"),
        (pd.DataFrame({"image": [1, 2]}), r"image column .* holds int64"),
        (pd.DataFrame({"image": ["a.jpg"], "GROUP ": ["p1"]}), "has a column 'GROUP '"),
    ],
)
def test_an_unreadable_parquet_is_one_clear_error(tmp_path, content, message):
    with pytest.raises(SourceError, match=message):
        rows(tmp_path / "m.parquet", content)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", [b"run:3.parquet", b"caf\xe9.parquet"])
def test_a_parquet_manifest_may_be_called_anything(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content = pd.DataFrame({"image": ["a.jpg"]}).to_parquet()
    assert rows(Path(os.fsdecode(name)), content) == [("row 1", {"image": "a.jpg"})]
