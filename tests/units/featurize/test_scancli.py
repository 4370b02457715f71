"""What ``featurize scan`` prints, and its JSON."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize.cli import main
from featurize.extractors.base import golden_image
from featurize.photos.scan import scan_lines, scan_source


def encoded(kind: str, shade: int = 0, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(golden_image() // 2 + np.uint8(shade)).save(stream, kind, **options)
    return stream.getvalue()


CONTENTS = {
    "jpeg": encoded("JPEG"),
    "gif": encoded("GIF"),
    "truncated-png": encoded("PNG")[:900],
    "empty": b"",
    "text": b"not a photo",
    "appledouble": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
}


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENTS[content] if isinstance(content, str) else content)
    return path


@pytest.fixture
def troubled(tmp_path) -> Path:
    """Two classes that differ in case, one photo in both, junk, and a class of one."""
    photos = tmp_path / "photos"
    for number in range(10):
        put(photos / "Rose" / f"{number}.jpg", encoded("JPEG", number))
    put(photos / "rose/same.jpg", encoded("JPEG", 3))
    put(photos / "rose/new\nline 🌼.gif", "gif")
    put(photos / "rose/bad.png", "truncated-png")
    put(photos / "rose/._1.jpg", "appledouble")
    put(photos / "notes.txt", "text")
    return photos


def test_counts_stand_below_each_other_whatever_the_script(tmp_path):
    for number, label in enumerate(("雛菊", "daisy", "Ga\u0308nse")):
        put(tmp_path / "photos" / label / "1.jpg", encoded("JPEG", number))
    lines = list(scan_lines(scan_source(tmp_path / "photos")))
    assert [line for line in lines if line.endswith("   1")] == [
        "  Ga\u0308nse      1",
        "  daisy      1",
        "  雛菊       1",
    ]


def test_the_account_is_complete(troubled):
    assert list(scan_lines(scan_source(troubled))) == [
        "15 files: 12 images will be used, 1 rejected, 2 ignored",
        "  Rose     10",
        "  rose      2, 1 rejected",
        "sizes: 128 × 96 to 128 × 96, median 128 × 96; 0.0 MB",
        "formats: 11 JPEG, 1 GIF",
        "ignored:",
        "  files ending in .txt: 1",
        "  hidden files: 1",
        "rejected:",
        "  rose/bad.png: image file is truncated",
        "byte-identical (kept together in every split):",
        "  Rose/3.jpg, rose/same.jpg",
        "one photo, two labels:",
        "  Rose/3.jpg (Rose), rose/same.jpg (rose)",
        "class names that differ in case or Unicode form only (one folder on Windows and macOS):",
        "  Rose, rose",
        "classes with too few photos to split:",
        "  rose: 2, fewer than 5 folds need",
    ]


def test_the_command_prints_the_account_and_writes_json(troubled, capsys, tmp_path):
    assert main(["scan", str(troubled), "--json", str(tmp_path / "scan.json"), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == list(scan_lines(scan_source(troubled))) and err == ""
    about = json.loads((tmp_path / "scan.json").read_text(encoding="utf-8"))
    assert about["counts"] == {"used": 12, "rejected": 1, "ignored": 2}
    assert about["rejects"] == [{"image": "rose/bad.png", "reason": "image file is truncated"}]
    assert about["small_classes"] == {"rose": 2}
    assert len(about["images"]) == 12
    assert about["images"][0]["image"] == "Rose/0.jpg" and len(about["images"][0]["sha256"]) == 64
    assert about["conflicts"] == [
        [{"image": "Rose/3.jpg", "label": "Rose"}, {"image": "rose/same.jpg", "label": "rose"}]
    ]


def test_the_json_never_overwrites_the_manifest(tmp_path, capsys):
    manifest = tmp_path / "m.csv"
    manifest.write_text("image\na.jpg\n")
    put(tmp_path / "a.jpg", "jpeg")
    assert main(["scan", str(manifest), "--json", str(manifest)]) == 1
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert manifest.read_text() == "image\na.jpg\n"
    assert main(["scan", str(manifest), "--json", str(tmp_path / "gone" / "s.json")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_name_with_a_newline_stays_on_one_line(tmp_path):
    put(tmp_path / "a\nb\x1b[31m.jpg", "empty")
    put(tmp_path / "ok.jpg", "jpeg")
    assert "  a\\nb\\x1b[31m.jpg: the file is empty" in list(scan_lines(scan_source(tmp_path)))


def test_long_lists_are_cut_on_the_terminal_and_whole_in_json(tmp_path):
    put(tmp_path / "ok.jpg", "jpeg")
    for number in range(25):
        put(tmp_path / f"{number:02}.jpg", "empty")
    found = scan_source(tmp_path)
    lines = list(scan_lines(found))
    assert "  and 5 more (--json FILE lists all)" in lines and sum("empty" in line for line in lines) == 20
    assert len(found.to_json()["rejects"]) == 25


def test_nothing_usable_is_told_and_is_an_error(tmp_path, capsys):
    put(tmp_path / "photos/a/1.jpg", "text")
    assert main(["scan", str(tmp_path / "photos"), "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert "a/1.jpg: text, not an image" in out
    assert [line.partition(":")[0] for line in err.splitlines()] == ["error", "hint"]


def test_splits_of_a_manifest_are_counted(tmp_path):
    for number in range(3):
        put(tmp_path / f"{number}.jpg", encoded("JPEG", number))
    (tmp_path / "m.csv").write_text("image,split\n0.jpg,training\n1.jpg,training\n2.jpg,testing\n")
    assert "splits: 2 training, 1 testing" in list(scan_lines(scan_source(tmp_path / "m.csv")))


def test_a_pipe_without_emoji_gets_an_escape(tmp_path):
    put(tmp_path / "🌼.jpg", "empty")
    put(tmp_path / "ok.jpg", "jpeg")
    result = subprocess.run(
        [sys.executable, "-m", "featurize", "scan", str(tmp_path), "--quiet"],
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        check=True,
    )
    assert b"\\U0001f33c.jpg: the file is empty" in result.stdout and result.stderr == b""
