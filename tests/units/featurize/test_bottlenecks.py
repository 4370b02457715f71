"""retrain.py's text files as a table: every file is a row, a reject or ignored."""

import csv
import os

import numpy as np
import pytest

from featurize import BottleheadError, FeatureTable
from featurize.cli import main
from featurize.extraction.bottlenecks import import_bottlenecks
from featurize.registry import extractor_from_metadata


@pytest.fixture
def folder(tmp_path):
    """Three photos of two labels, as two versions of retrain.py left them."""
    files = {
        "daisy/1.jpg_mobilenet_0.50_224.txt": "0.5,0.25,-1e-3",
        "daisy/2_nohash_a.JPG_mobilenet_0.50_224.txt": "1,2,3",
        "rose/1.jpeg_mobilenet_0.50_224.txt": "4,5,6\n",
        "daisy/1.jpg.txt": "7.0,8.0",
        "daisy/2_nohash_a.JPG.txt": "9.0,10.0",
        "rose/1.jpeg_inception_v3.txt": "11.0,12.0",
    }
    for name, text in files.items():
        path = tmp_path / "bottleneck" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "bottleneck"


def test_both_naming_schemes_become_columns(folder):
    found = import_bottlenecks(folder)
    table = found.table
    assert list(table.image) == ["daisy/1.jpg", "daisy/2_nohash_a.JPG", "rose/1.jpeg"]
    assert list(table.label) == ["daisy", "daisy", "rose"]
    assert list(table.group) == [None, "daisy/2", None]
    assert set(table.sha256) == {None}
    np.testing.assert_array_equal(
        table.select("mobilenet_0.50_224"), np.float32([[0.5, 0.25, -1e-3], [1, 2, 3], [4, 5, 6]])
    )
    np.testing.assert_array_equal(table.select("inception_v3"), [[7, 8], [9, 10], [11, 12]])
    assert {entry["fingerprint"] for entry in table.metadata["features"].values()} == {"imported"}
    assert found.rejects == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("1,2,x", "not numbers separated by commas"),
        ("1 2 3", "not numbers"),
        ("1,2", "2 numbers of mobilenet_0.50_224, where the others have 3"),
        ("1,2,nan", "not finite"),
        ("1,2,1e300", "too large for 32 bits"),
        ("1,2,\xe9", "not a text of numbers"),
    ],
)
def test_a_malformed_file_is_a_reject_with_its_reason(folder, text, reason):
    (folder / "rose" / "1.jpeg_mobilenet_0.50_224.txt").write_text(text, encoding="latin-1")
    found = import_bottlenecks(folder, ["mobilenet_0.50_224"])
    assert list(found.table.image) == ["daisy/1.jpg", "daisy/2_nohash_a.JPG"]
    assert len(found.rejects) == 1
    assert reason in found.rejects[0][1]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are not files here")
def test_what_is_named_like_vectors_and_is_no_file_is_a_reject(folder):
    os.mkfifo(folder / "rose" / "2.jpg.txt")
    (folder / "rose" / "3.jpg.txt").mkdir()
    (folder / "rose" / "4.jpg.txt").symlink_to("nowhere")
    found = import_bottlenecks(folder)
    assert len(found.table) == 3
    assert found.rejects == [
        ("rose/2.jpg.txt", "not a regular file"),
        ("rose/3.jpg.txt", "a folder, not a file of numbers"),
        ("rose/4.jpg.txt", "a link that leads nowhere"),
    ]


def test_an_image_without_all_networks_is_a_reject_and_other_files_are_counted(folder):
    (folder / "rose" / "1.jpeg_inception_v3.txt").unlink()
    (folder / "rose" / "notes.md").write_text("hm")
    found = import_bottlenecks(folder)
    assert found.rejects == [("rose/1.jpeg", "no vector of inception_v3")]
    assert found.ignored == {".md": 1}


def test_the_command_writes_table_and_rejects_and_the_table_cannot_pretend_to_be_ours(folder, tmp_path):
    (folder / "rose" / "2.jpg.txt").write_text("oops")
    table_file = tmp_path / "t.npz"
    assert main(["import-bottlenecks", str(folder), "-o", str(table_file), "--features", "inception_v3"]) == 0
    table = FeatureTable.read(table_file)
    assert len(table) == 3
    with open(tmp_path / "t.rejects.csv", newline="") as stream:
        assert list(csv.reader(stream))[1] == ["rose/2.jpg.txt", "not numbers separated by commas"]
    with pytest.raises(BottleheadError, match="cannot be computed from photos"):
        extractor_from_metadata(table.metadata["features"]["inception_v3"])


def test_a_folder_without_vectors_is_refused(tmp_path, capsys):
    assert main(["import-bottlenecks", str(tmp_path), "-o", str(tmp_path / "t.npz")]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert "has a vector" in error
    assert "PHOTO.jpg_NETWORK.txt" in hint
    assert main(["import-bottlenecks", str(tmp_path / "nowhere"), "-o", str(tmp_path / "t.npz")]) == 1


def test_what_the_command_could_not_write_is_refused_before_the_import(folder, tmp_path, capsys):
    table = tmp_path / "t.parquet"
    for rejects, message in [
        (table, "another output and would be overwritten"),
        (tmp_path / "gone" / "r.csv", "there is no folder"),
    ]:
        assert main(["import-bottlenecks", str(folder), "-o", str(table), "--rejects", str(rejects)]) == 1
        assert message in capsys.readouterr().err and not table.exists()
