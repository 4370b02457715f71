"""The command ``featurize extract``: what it writes, says and refuses."""

import csv
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from builders import Outcome, encoded, noise, png, run, write_photos
from PIL import Image

from featurize import FeatureTable, extract


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_photos(tmp_path / "photos", ["daisy/p1_a.jpg", "daisy/p1_b.jpg", "rose/p2_a.png"], 40, 30)


@pytest.fixture
def command(tmp_path):
    def called(*words: str | Path) -> Outcome:
        return run("featurize", "extract", *words, "--features", "glcm", "--store", tmp_path / "store")

    return called


def read_rejects(path: Path) -> dict[str, str]:
    with open(path, encoding="utf-8", newline="") as stream:
        return {row["image"]: row["reason"] for row in csv.DictReader(stream)}


def test_both_kinds_of_file_hold_the_same_table_and_a_second_run_computes_nothing(photos, command, tmp_path):
    done = command(photos, "-o", tmp_path / "t.parquet")
    assert (done.status, done.out) == (0, "")
    assert "3 rows, glcm (5)" in done.err and "all were computed" in done.err
    assert (tmp_path / "t.rejects.csv").read_text() == "image,reason\n"
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.image.tolist() == ["daisy/p1_a.jpg", "daisy/p1_b.jpg", "rose/p2_a.png"]
    assert table.label.tolist() == ["daisy", "daisy", "rose"]
    assert table.select("glcm").shape == (3, 5)
    told = [table.column(name).tolist() for name in ("width", "height", "format")]
    assert told == [[40] * 3, [30] * 3, ["JPEG", "JPEG", "PNG"]]
    assert table.column("bytes").tolist() == [(photos / name).stat().st_size for name in table.image]
    assert table.metadata["source"] == {"path": str(photos.resolve()), "kind": "folder"}
    assert "nothing was computed" in command(photos, "-o", tmp_path / "b.npz").err
    other = FeatureTable.read(tmp_path / "b.npz")
    assert other.digest() == table.digest() and other.metadata["features"] == table.metadata["features"]


def test_a_flat_folder_has_no_labels_and_a_list_of_files_keeps_its_order(tmp_path):
    folder = write_photos(tmp_path / "flat", ["b.png", "a.gif", "c.bmp"])
    (folder / "notes.txt").write_text("not a photo")
    words = ["--features", "color", "--store", tmp_path]
    done = run("featurize", "extract", folder, "-o", tmp_path / "t.npz", *words)
    assert "ignored files ending in .txt: 1" in done.err
    table = FeatureTable.read(tmp_path / "t.npz")
    assert table.image.tolist() == ["a.gif", "b.png", "c.bmp"] and table.label.tolist() == [None] * 3
    files = [folder / "c.bmp", folder / "a.gif"]
    listed = extract(files, "color", store=tmp_path)
    assert [Path(image).name for image in listed.image] == ["c.bmp", "a.gif"]
    assert (listed.select("color") == table.select("color")[[2, 0]]).all()


def test_the_text_before_nohash_is_the_group_and_identical_photos_belong_together(tmp_path):
    folder = write_photos(tmp_path / "photos", ["a/x_nohash_1.png", "a/x_nohash_2.png", "a/y.png"])
    (folder / "b").mkdir()
    (folder / "b/copy.png").write_bytes((folder / "a/y.png").read_bytes())
    table = extract(folder, "color", store=tmp_path / "store")
    assert table.group.tolist() == ["a/x", "a/x", None, None] and table.groups.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("kind", "where"), [("csv", ("line 2", "line 5")), ("parquet", ("row 1", "row 4"))])
def test_a_manifest_sets_labels_groups_and_splits(photos, command, tmp_path, kind, where):
    manifest = photos / f"m.{kind}"
    rows = pd.DataFrame({
        "image": ["daisy\\p1_a.jpg", "./rose/p2_a.png", "gone.jpg", "daisy/p1_a.jpg"],
        "label": ["x", "y", "z", "x"],
        "group": ["g", "g", "", ""],
        "split": ["training", "testing", "", ""],
    })  # fmt: skip
    rows.to_csv(manifest, index=False) if kind == "csv" else rows.to_parquet(manifest)
    command(manifest, "-o", tmp_path / "t.parquet")
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.image.tolist() == ["daisy/p1_a.jpg", "rose/p2_a.png"]
    assert (table.label.tolist(), table.split.tolist()) == (["x", "y"], ["training", "testing"])
    assert table.groups.tolist() == [0, 0]
    assert read_rejects(tmp_path / "t.rejects.csv") == {
        "gone.jpg": f"cannot be read: No such file or directory; it was looked for in {photos}",
        "daisy/p1_a.jpg": f"listed in {where[0]}, and again in {where[1]}",
    }


# The name of the file, and the image in the table: a backslash, and bytes that are no UTF-8, are escaped.
SAME = ["with space.jpg", 'quo"te,comma.jpg', "new\nline.jpg", "mac\rline.jpg", "🌼.jpg", "é" * 120 + ".jpg"]
ESCAPED = {"back\\slash.jpg": "back\\\\slash.jpg", os.fsdecode(b"caf\xe9.jpg"): "caf\\xE9.jpg"}
BAD_NAMES = dict(zip(SAME, SAME, strict=True)) | ESCAPED


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_awkward_names_are_kept_in_tables_rejects_and_manifests(photos, command, tmp_path):
    for number, name in enumerate(BAD_NAMES):
        noise(seed=number + 50).save(photos / "daisy" / name)
        (photos / "rose" / name).write_bytes(b"")
    for ending in ("parquet", "npz"):
        assert command(photos, "-o", tmp_path / f"t.{ending}").status == 0
        images = FeatureTable.read(tmp_path / f"t.{ending}").image
        assert {f"daisy/{text}" for text in BAD_NAMES.values()} <= set(images) and len(images) == 11
        rejects = read_rejects(tmp_path / "t.rejects.csv")
        assert rejects == {f"rose/{text}": "the file is empty" for text in BAD_NAMES.values()}
    # The names in a table lead to the files again.
    manifest = photos / "m.parquet"
    pd.DataFrame({"image": images}).to_parquet(manifest)
    assert "nothing was computed" in command(manifest, "-o", tmp_path / "again.npz").err
    assert FeatureTable.read(tmp_path / "again.npz").image.tolist() == images.tolist()


def test_bad_photos_are_left_out_with_a_reason_and_strict_makes_that_an_error(photos, command, tmp_path):
    (photos / "daisy/text.jpg").write_text("hello")
    whole = (photos / "daisy/p1_a.jpg").read_bytes()
    (photos / "daisy/cut.jpg").write_bytes(whole[: len(whole) // 2])
    done = command(photos, "-o", tmp_path / "t.parquet")
    assert done.status == 0 and "2 images were left out" in done.err
    rejects = read_rejects(tmp_path / "t.rejects.csv")
    assert rejects["daisy/text.jpg"] == "text, not an image" and "truncated" in rejects["daisy/cut.jpg"]
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 3
    other = tmp_path / "elsewhere.csv"
    done = command(photos, "-o", tmp_path / "t.parquet", "--strict", "--rejects", other)
    assert done.status == 1 and "warning:" not in done.err
    assert (done.error, done.hint) == ("2 images were left out (--strict)", f"see {other}")
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 3
    assert len(other.read_bytes().split(b"\n")) == 4 and b"\r" not in other.read_bytes()


REJECTED = {
    "empty.jpg": (b"", "the file is empty"),
    "text.jpg": ("α".encode() * 5000, "text, not an image"),
    "elf.jpg": (b"\x7fELF\x02\x01\x01\xff\xfe", None),
    "header.png": (b"\x89PNG\r\n\x1a\n" + bytes(40), None),
    "page.jpg": (b"<!DOCTYPE html><p>404", "an HTML page, not an image"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the image itself"),
    "mac.jpg": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "macOS AppleDouble metadata, not an image"),
    "bytes.jpg": (b"\xff\xfe\x80\x81", None),
    "cut.png": (encoded(noise(), "PNG")[:900], "image file is truncated; 45 % of the rows could be read"),
    "cut.gif": (encoded(noise(), "GIF")[:400], None),
    "bomb.png": (png(20_000, 20_000, 8, 0, b""),
                 "20000 × 20000 are 400.0 megapixels; at most 200 are read (--max-megapixels)"),
    "deep.tif": (encoded(Image.new("F", (5, 5)), "TIFF"), "values of 32 bits or with a sign have no fixed range; "
                 "save it with 8 or 16 bits"),
}  # fmt: skip


def test_every_kind_of_bad_photo_is_a_reject_whose_reason_says_what_it_is(photos, command, tmp_path):
    for name, (content, _) in REJECTED.items():
        (photos / "rose" / name).write_bytes(content)
    (photos / "rose" / "loose.jpg").symlink_to("nowhere")
    (photos / "rose" / "folder.jpg").mkdir()
    (photos / "rose" / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(photos / "rose" / "pipe.jpg")
    assert command(photos, "-o", tmp_path / "t.npz").status == 0
    rejects = read_rejects(tmp_path / "t.rejects.csv")
    # Which others follow depends on what is installed.
    always = "not an image of a known format (JPEG, MPO, PNG, GIF, BMP, TIFF, WEBP, PPM"
    assert rejects["rose/bytes.jpg"].startswith((f"{always})", f"{always}, "))
    for name, (_, reason) in REJECTED.items():
        told = rejects.pop(f"rose/{name}")
        assert told == reason if reason else told, (name, told)
    assert set(rejects) == {"rose/loose.jpg", "rose/pipe.jpg", "rose/zero.jpg"}
    assert rejects["rose/pipe.jpg"] == rejects["rose/zero.jpg"] == "not a regular file"
    assert FeatureTable.read(tmp_path / "t.npz").image.tolist()[2:] == ["rose/p2_a.png"]


def test_where_no_photo_can_be_used_the_rejects_say_why(command, tmp_path):
    rejects = tmp_path / "why.csv"
    rejects.write_text("image,reason\nold.jpg,of an earlier run\n")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/a.jpg").write_text("hello")
    done = command(tmp_path / "junk", "-o", tmp_path / "t.npz", "--rejects", rejects)
    assert (
        done.status == 1
        and "can be read (rejected: 1)" in done.error
        and done.hint == f"all reasons are in {rejects}"
    )
    assert rejects.read_text() == 'image,reason\na.jpg,"text, not an image"\n'


# A folder is empty; bytes stand in a manifest; None: three photos.
@pytest.mark.parametrize("source, argv, message", [
    ("empty", [], "no images in"), ("gone", [], "there is no"),
    (b"photo,label\na,b\n", [], "columns 'photo', 'label', and no column image"),
    (None, ["--group-by", "p1"], "no capture group"), (None, ["--group-by", "("], "no regular expression"),
    (None, ["--group-by", "(zebra)"], "fits none of the 3 images"),
    (None, ["-o", "{tmp}/t.csv"], "cannot be a table: tables are .parquet or .npz, not csv"),
    (None, ["-o", "{tmp}/photos"], "is a folder, and a table is wanted"),
    (None, ["-o", "{tmp}/gone/t.parquet"], "there is no folder"),
    (None, ["--features", "gclm"], "no features named gclm; perhaps glcm is meant"),
    (None, ["--features", "glcm"], "glcm are asked for twice"),
    (None, ["--features", "glcm:"], "no option"),
    (None, ["--features", "glcm:six"], "GLCM properties 'six'"),
    (None, ["--features", "lbp:3"], "lbp has no option '3'"),
    (None, ["--features", "lbp,color"], "no features named lbp,color"),
    (None, ["--features", "glcm:five,color"], "'glcm:five,color' is no features spec"),
    (None, ["--features", "mobilenet_0.25_128_quantized"], "has 8-bit weights"),
    (None, ["--features", "{tmp}/gone.pb"], "there is no graph"),
    (None, ["--features", "inception_v3", "--weights", "{tmp}/gone.h5"], "gone.h5"),
    (None, ["--features", "inception_v3", "--weights", "random:x"], "'x' is no seed"),
    (None, ["--features", "inception_v3:mixed99", "--weights", "random"], "has no layer mixed99"),
    (None, ["--weights", "resnet50=x.h5"], "resnet50 is no network among the features"),
    (None, ["--features", "inception_v3", "resnet50", "--weights", "{tmp}/photos"], "one file for 2 networks"),
    (None, ["--preprocess", "blur"], "there is no step 'blur'"),
    (None, ["--preprocess", "median:4"], "the step 'median:4' is not understood"),
    (None, ["--distort", "0", "--flip-left-right"], "0 distorted copies"),
    (None, ["--distort", "2"], "no distortion"),
    (None, ["--distort", "2", "--random-crop", "101"], "random_crop is 101"),
    (None, ["--store", "~no-such-user/store"], "could not determine home"),
    (None, ["--store", "nonsense://x/y"], "the store nonsense://x/y cannot be reached"),
    (None, ["--store", "{tmp}/photos/rose/p2_a.png"], "cannot be made"),
])  # fmt: skip
def test_bad_input_is_one_error_and_one_hint(photos, tmp_path, source, argv, message):
    argv = [text.format(tmp=tmp_path) for text in argv]
    output = [] if "-o" in argv else ["-o", tmp_path / "t.parquet"]
    place = [] if "--store" in argv else ["--store", tmp_path / "store"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.csv").write_bytes(source if isinstance(source, bytes) else b"")
    made = tmp_path / (source if isinstance(source, str) else "m.csv" if source else "photos")
    done = run("featurize", "extract", made, *output, "--features", "glcm", *argv, *place)
    assert (done.status, done.out) == (1, "")
    assert message in done.error and done.hint
    assert not list(tmp_path.glob("t.[np]*"))


@pytest.mark.parametrize("argv, message", [
    ("-o t.npz --flip-left-right --random-crop 5", "--flip-left-right, --random-crop without --distort"),
    ("-o t.npz --graph-mean 1", "--graph-mean is for a FILE.pb, and none is among the features"),
    ("", "-o"), ("-o t.npz --jobs 0", "--jobs"),
])  # fmt: skip
def test_a_wrong_command_line_is_status_2_and_names_the_option(photos, command, argv, message):
    done = command(photos, *argv.split())
    assert (done.status, done.out) == (2, "") and message in done.err


def test_no_output_overwrites_another_or_an_input(photos, command, tmp_path):
    manifest, table, gone = tmp_path / "m.csv", tmp_path / "t.parquet", tmp_path / "gone/r.csv"
    manifest.write_text("image\nphotos/daisy/p1_a.jpg\n")
    for rejects, message in [(table, "another output"), (manifest, "is an input"), (gone, "no folder")]:
        done = command(manifest, "-o", table, "--rejects", rejects)
        assert done.status == 1 and message in done.error and not table.exists()
    assert manifest.read_text().startswith("image")


def test_verbose_says_how_long_each_part_took_and_a_pattern_groups(photos, command, tmp_path):
    noise().save(photos / "rose/other.jpg")
    words = ["--verbose", "--group-by", r"/(p\d)_(a|b)"]
    done = command(photos, "-o", tmp_path / "t.parquet", *words)
    assert FeatureTable.read(tmp_path / "t.parquet").group.tolist() == ["p1", "p1", None, "p2"]
    assert "all images but 1" in done.err and "rose/other.jpg" in done.err
    times = r"listing [\d.]+ s, reading and featurizing [\d.]+ s, writing [\d.]+ s"
    assert re.fullmatch(times, done.err.splitlines()[-1])
