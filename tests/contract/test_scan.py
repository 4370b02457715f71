"""What ``featurize scan`` prints, and its JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, run
from PIL import Image


def picture(shade: int = 0) -> Image.Image:
    return Image.fromarray(np.full((96, 128, 3), 40 + shade, np.uint8))


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def scan(*words: str | Path) -> list[str]:
    done = run("featurize", "scan", *words, "--quiet")
    assert (done.status, done.err) == (0, "")
    return done.out.splitlines()


@pytest.fixture
def troubled(tmp_path) -> Path:
    photos = tmp_path / "photos"
    for number in range(10):
        put(photos / "Rose" / f"{number}.jpg", encoded(picture(number), "JPEG"))
    put(photos / "rose/same.jpg", encoded(picture(3), "JPEG"))
    put(photos / "rose/new\nline 🌼.gif", encoded(picture(), "GIF"))
    put(photos / "rose/bad.png", encoded(noise(40, 40), "PNG")[:900])
    put(photos / "rose/._1.jpg", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    put(photos / "notes.txt", b"not a photo")
    return photos


def test_the_account_is_complete_and_the_json_holds_it_photo_by_photo(troubled, tmp_path):
    assert scan(troubled, "--json", tmp_path / "scan.json") == [
        "15 files: 12 images will be used, 1 rejected, 2 ignored",
        "warning: labels that differ in blanks, case or Unicode form alone: 'Rose', 'rose'",
        "  Rose     10",
        "  rose      2, 1 rejected",
        "sizes: 128 × 96 to 128 × 96, median 128 × 96; 0.0 MB",
        "formats: 11 JPEG, 1 GIF; decode version 2",
        "ignored: 1 files ending in .txt, 1 hidden files",
        "rejected:",
        "  1 × image file is truncated; 17 % of the rows could be read: rose/bad.png",
        "byte-identical (kept together in every split):",
        "  Rose/3.jpg, rose/same.jpg",
        "one photo, two labels:",
        "  Rose/3.jpg (Rose), rose/same.jpg (rose)",
        "classes with too few photos to split:",
        "  rose: 2, fewer than 5 folds need",
    ]
    about = json.loads((tmp_path / "scan.json").read_text(encoding="utf-8"))
    assert about["counts"] == {"used": 12, "rejected": 1, "ignored": 2}
    assert about["rejects"] == [
        {"image": "rose/bad.png", "reason": "image file is truncated; 17 % of the rows could be read"}
    ]
    assert about["small_classes"] == {"rose": 2}
    assert len(about["images"]) == 12
    assert about["images"][0]["image"] == "Rose/0.jpg" and len(about["images"][0]["sha256"]) == 64
    one, other = {"image": "Rose/3.jpg", "label": "Rose"}, {"image": "rose/same.jpg", "label": "rose"}
    assert about["conflicts"] == [[one, other]]


def test_counts_stand_below_each_other_whatever_the_script_and_labels_of_two_unicode_forms_collide(tmp_path):
    for number, label in enumerate(("雛菊", "daisy", "Ga\u0308nse", "G\u00e4nse")):
        put(tmp_path / "photos" / label / "1.jpg", encoded(picture(number), "JPEG"))
    lines = scan(tmp_path / "photos")
    counted = ["  Ga\u0308nse      1", "  G\u00e4nse      1", "  daisy      1", "  雛菊       1"]
    assert [line for line in lines if line.endswith("   1")] == counted
    alike = "labels that differ in blanks, case or Unicode form alone"
    assert f"warning: {alike}: 'Ga\u0308nse' (decomposed), 'G\u00e4nse'" in lines


def test_a_manifest_s_splits_and_groups_are_counted_and_the_json_never_overwrites_it(tmp_path):
    for number in range(3):
        put(tmp_path / f"{number}.jpg", encoded(picture(number), "JPEG"))
    text = "image,label,split,group\n0.jpg,x,training,p\n1.jpg,x,training,p\n2.jpg,,testing,q\n"
    manifest = put(tmp_path / "m.csv", text.encode())
    lines = scan(manifest)
    assert "splits: 2 training, 1 testing" in lines
    assert (
        "  x               2 in 1 groups (2 training)" in lines and "  (no label)      1 (1 testing)" in lines
    )
    for place, message in [
        (manifest, "an input and would be"),
        (tmp_path / "x/s.json", "there is no folder"),
    ]:
        done = run("featurize", "scan", manifest, "--json", place)
        assert done.status == 1 and message in done.error
    assert manifest.read_text() == text


def test_long_lists_are_cut_on_the_terminal_and_whole_in_json_and_no_name_breaks_a_line(tmp_path):
    for number in range(26):
        put(tmp_path / f"photos/{number:02}/ok.jpg", encoded(picture(number), "JPEG"))
        put(tmp_path / f"photos/{number:02}/a\nb\x1b[31m{number}.jpg", b"")
        put(tmp_path / f"photos/{number:02}/x.jpg", f"{number}".encode())
    for number in range(8):
        put(tmp_path / f"photos/00/copy{number}.jpg", encoded(picture(number), "JPEG"))
    lines = scan(tmp_path / "photos", "--json", tmp_path / "s.json")
    assert "  and 6 more classes (--json FILE lists all)" in lines and len(lines) < 50
    assert "  and 3 more (--json FILE lists all)" in lines  # of the eight copies
    assert (
        "  26 × the file is empty: 00/a\\nb\\x1b[31m0.jpg, 01/a\\nb\\x1b[31m1.jpg, 02/a\\nb\\x1b[31m2.jpg and 23 more"
        in lines
    )
    assert len(json.loads((tmp_path / "s.json").read_text())["rejects"]) == 52


def test_nothing_usable_is_told_and_is_an_error(tmp_path):
    put(tmp_path / "photos/a/1.jpg", b"not a photo")
    done = run("featurize", "scan", tmp_path / "photos", "--quiet")
    assert done.status == 1 and "1 × text, not an image: a/1.jpg" in done.out
    assert done.error == "no image can be used (rejected: 1)"


def test_an_empty_name_is_not_the_current_folder():
    for command in ("featurize scan ''", "featurize extract '' -o t.parquet"):
        done = run(command)
        assert done.status == 1 and "source is empty" in done.error and "variable" in done.hint
