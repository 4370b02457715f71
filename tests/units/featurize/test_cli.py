"""The command ``featurize extract``: what it writes, says and refuses."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from featurize.cli import main
from featurize.extractors.base import golden_image
from featurize.files import text_as_name
from featurize.table import FeatureTable


@pytest.fixture
def photos(tmp_path) -> Path:
    """Three photos in two classes."""
    folder = tmp_path / "photos"
    for number, name in enumerate(["daisy/p1_a.jpg", "daisy/p1_b.jpg", "rose/p2_a.png"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(golden_image(), 9 * number, axis=1)).save(path)
    return folder


@pytest.fixture
def extract(tmp_path, capsys):
    """Run ``featurize extract`` with a store of the test's own: status, stdout and lines of stderr."""

    def run(*argv: str | Path) -> tuple[int, str, list[str]]:
        status = main(["extract", *map(str, argv), "--features", "glcm", "--store", str(tmp_path / "store")])
        out, err = capsys.readouterr()
        return status, out, [line for line in err.splitlines() if line.strip()]

    return run


def assert_one_error_and_one_hint(lines: list[str]) -> None:
    assert [line.partition(":")[0] for line in lines if line.startswith(("error:", "hint:"))] == [
        "error",
        "hint",
    ]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("ending", ["parquet", "npz"])
def test_a_table_and_an_empty_rejects_file_are_written(photos, extract, tmp_path, ending):
    status, out, lines = extract(photos, "-o", tmp_path / f"t.{ending}")
    assert (status, out) == (0, "")
    table = FeatureTable.read(tmp_path / f"t.{ending}")
    assert table.image.tolist() == ["daisy/p1_a.jpg", "daisy/p1_b.jpg", "rose/p2_a.png"]
    assert table.label.tolist() == ["daisy", "daisy", "rose"]
    assert table.select("glcm").shape == (3, 5)
    assert (tmp_path / "t.rejects.csv").read_text() == "image,reason\n"
    assert any("3 rows" in line for line in lines)


def test_a_second_run_computes_nothing_and_says_so(photos, extract, tmp_path):
    extract(photos, "-o", tmp_path / "a.parquet")
    _, _, lines = extract(photos, "-o", tmp_path / "b.parquet")
    assert any("nothing was computed" in line for line in lines)
    one, two = (FeatureTable.read(tmp_path / f"{name}.parquet") for name in "ab")
    assert one.digest() == two.digest()


def test_group_by_reaches_the_table(photos, extract, tmp_path):
    extract(photos, "-o", tmp_path / "t.npz", "--group-by", r"/(p\d)_")
    table = FeatureTable.read(tmp_path / "t.npz")
    assert table.group.tolist() == ["p1", "p1", "p2"]
    assert table.groups.tolist() == [0, 0, 1]


def test_a_manifest_with_windows_separators_groups_and_splits(photos, extract, tmp_path):
    (photos / "m.csv").write_text(
        "image,label,group,split\ndaisy\\p1_a.jpg,x,g,training\nrose\\p2_a.png,y,g,testing\n"
    )
    extract(photos / "m.csv", "-o", tmp_path / "t.parquet")
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.image.tolist() == ["daisy/p1_a.jpg", "rose/p2_a.png"]
    assert (table.label.tolist(), table.split.tolist()) == (["x", "y"], ["training", "testing"])
    assert table.groups.tolist() == [0, 0]


BAD_NAMES = [
    "with space.jpg",
    'quo"te,comma.jpg',
    "new\nline.jpg",
    "mac\rline.jpg",
    "🌼.jpg",
    "é" * 120 + ".jpg",
    "back\\slash.jpg",
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_awkward_names_are_kept_in_both_tables_and_in_the_rejects_file(photos, extract, tmp_path):
    names = [*BAD_NAMES, os.fsdecode(b"caf\xe9.jpg")]
    for number, name in enumerate(names):
        Image.fromarray(np.roll(golden_image(), number, axis=0)).save(photos / "daisy" / name)
        (photos / "rose" / name).write_bytes(b"")
    written = {f"daisy/{name}" for name in names}
    for ending in ("parquet", "npz"):
        assert extract(photos, "-o", tmp_path / f"t.{ending}")[0] == 0
        images = FeatureTable.read(tmp_path / f"t.{ending}").image
        assert written <= {text_as_name(image) for image in images}
        with open(tmp_path / "t.rejects.csv", encoding="utf-8", newline="") as stream:
            rejects = list(csv.DictReader(stream))
        assert {text_as_name(row["image"]) for row in rejects} == {f"rose/{name}" for name in names}
        assert {row["reason"] for row in rejects} == {"the file is empty"}


def test_bad_photos_are_left_out_with_a_reason_and_strict_makes_that_an_error(photos, extract, tmp_path):
    (photos / "daisy/text.jpg").write_text("hello")
    whole = (photos / "daisy/p1_a.jpg").read_bytes()
    (photos / "daisy/cut.jpg").write_bytes(whole[: len(whole) // 2])
    status, _, lines = extract(photos, "-o", tmp_path / "t.parquet")
    assert status == 0 and any("2 images were left out" in line for line in lines)
    with open(tmp_path / "t.rejects.csv", encoding="utf-8", newline="") as stream:
        rejects = {row["image"]: row["reason"] for row in csv.DictReader(stream)}
    assert rejects["daisy/text.jpg"] == "text, not an image"
    assert "truncated" in rejects["daisy/cut.jpg"]
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 3
    other = tmp_path / "elsewhere.csv"
    argv = [photos, "-o", tmp_path / "t.parquet", "--strict", "--rejects", other]
    status, _, lines = extract(*argv)
    assert status == 1 and not any(line.startswith("warning:") for line in lines)
    assert_one_error_and_one_hint(lines)
    told = ["error: 2 images were left out (--strict)", f"hint: see {other}"]
    assert extract(*argv, "--quiet") == (1, "", told)
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 3
    assert len(other.read_bytes().split(b"\n")) == 4 and b"\r" not in other.read_bytes()


def test_where_no_photo_can_be_used_the_rejects_say_why(extract, tmp_path):
    rejects = tmp_path / "why.csv"
    rejects.write_text("of an earlier run")
    status, _, lines = extract(only_junk(tmp_path), "-o", tmp_path / "t.npz", "--rejects", rejects)
    assert status == 1 and lines[-1] == f"hint: all reasons are in {rejects}"
    assert rejects.read_text() == 'image,reason\na.jpg,"text, not an image"\n'


def empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def only_junk(tmp_path: Path) -> Path:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/a.jpg").write_text("hello")
    return tmp_path / "junk"


@pytest.mark.parametrize(
    "source, argv, message",
    [
        (empty_folder, [], "no images in"),
        (only_junk, [], "not one of"),
        (lambda tmp_path: tmp_path / "gone", [], "there is no"),
        (None, ["--group-by", "p1"], "no capture group"),
        (None, ["--group-by", "(zebra)"], "fits none of the 3 images"),
        (None, ["-o", "{tmp}/t.csv"], "cannot tell the format of"),
        (None, ["-o", "{tmp}/gone/t.parquet"], "there is no folder"),
        (None, ["--features", "gclm"], "no features named gclm"),
        (None, ["--features", "glcm"], "glcm are asked for twice"),
        (None, ["--features", "glcm:"], "no option"),
        (None, ["--features", "inception_v3", "--weights", "{tmp}/gone.h5"], "gone.h5"),
    ],
)
def test_bad_input_is_one_error_and_one_hint(photos, extract, tmp_path, source, argv, message):
    argv = [text.format(tmp=tmp_path) for text in argv]
    output = [] if "-o" in argv else ["-o", tmp_path / "t.parquet"]
    status, out, lines = extract(source(tmp_path) if source else photos, *output, *argv)
    assert (status, out) == (1, "")
    assert_one_error_and_one_hint(lines)
    assert any(line.startswith("error:") and message in line for line in lines), lines
    assert not list(tmp_path.glob("t.[np]*"))


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--flip-left-right", "--random-crop", "5"], "--flip-left-right, --random-crop without --distort"),
        (["--graph-mean", "1"], "--graph-mean is for a FILE.pb, and none is among the features"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(photos, extract, tmp_path, argv, message):
    status, out, lines = extract(photos, "-o", tmp_path / "t.parquet", *argv)
    assert (status, out) == (2, "")
    assert lines[0] == f"error: {message}" and lines[1].startswith("hint:") and len(lines) == 2


def test_a_missing_output_is_wrong_usage(photos, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["extract", str(photos)])
    assert caught.value.code == 2
    assert "-o" in capsys.readouterr().err


def test_a_table_of_another_version_is_one_error_and_one_hint(photos, extract, tmp_path, capsys):
    from evaluate.cli import main as evaluate

    extract(photos, "-o", tmp_path / "t.parquet")
    content = pq.read_table(tmp_path / "t.parquet")
    metadata = json.loads(content.schema.metadata[b"featurize"]) | {"format_version": 2, "written_by": "9.0"}
    pq.write_table(
        content.replace_schema_metadata({"featurize": json.dumps(metadata)}), tmp_path / "t.parquet"
    )
    assert evaluate(["compare", str(tmp_path / "t.parquet")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert_one_error_and_one_hint(lines)
    assert "table format 2, written by bottlehead 9.0" in "".join(lines)


def test_a_damaged_parquet_manifest_is_one_error_and_one_hint(extract, tmp_path):
    (tmp_path / "m.parquet").write_bytes(b"nonsense")
    status, _, lines = extract(tmp_path / "m.parquet", "-o", tmp_path / "t.npz")
    assert status == 1
    assert_one_error_and_one_hint(lines)


def test_no_output_overwrites_another_or_an_input(photos, extract, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("image\nphotos/daisy/p1_a.jpg\n")
    for argv in (
        [photos, "-o", tmp_path / "t.parquet", "--rejects", tmp_path / "t.parquet"],
        [manifest, "-o", tmp_path / "t.parquet", "--rejects", manifest],
        [photos, "-o", tmp_path / "t.parquet", "--rejects", tmp_path / "missing" / "r.csv"],
    ):
        status, _, lines = extract(*argv)
        assert status == 1 and not (tmp_path / "t.parquet").exists()
        assert_one_error_and_one_hint(lines)
    assert manifest.read_text().startswith("image")


def test_verbose_says_how_long_each_part_took(photos, extract, tmp_path):
    _, _, lines = extract(photos, "-o", tmp_path / "t.parquet", "--verbose")
    assert re.fullmatch(r"listing [\d.]+ s, reading and featurizing [\d.]+ s, writing [\d.]+ s", lines[-1])
