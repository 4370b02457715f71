"""Folders and manifests as people have them, through the commands: what becomes of labels, splits and rejects."""

import json
import logging
from pathlib import Path

import pandas as pd
import pytest
from builders import Outcome, encoded, made_table, noise, run, write_photos

from featurize import FeatureTable, extract


def names(folders: str, n: int = 2) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders.split() for number in range(n)]


@pytest.fixture
def command(tmp_path):
    def called(source: Path, *words: str | Path) -> Outcome:
        places = ["-o", tmp_path / "t.parquet", "--store", tmp_path / "store"]
        return run("featurize", "extract", source, *places, "--features", "color", *words)

    return called


def test_split_folders_fill_the_split_that_every_command_keeps_to(command, tmp_path):
    photos = write_photos(tmp_path / "data", names("train/rust train/steel val/rust val/steel", 6))
    write_photos(photos, names("test/rust test/steel", 3), seed=1)
    done = command(photos)
    assert "the folders train, val and test are read as splits" in done.err
    assert "labels: rust 15, steel 15\nsplits: training 12, validation 12, testing 6\n" in done.err
    table = FeatureTable.read(tmp_path / "t.parquet")
    kin = {"train": "training", "val": "validation", "test": "testing"}
    for image, label, split in zip(table.image, table.label, table.split, strict=True):
        assert (kin[image.split("/")[0]], image.split("/")[1]) == (split, label)
    # The same photos by a manifest that says the same: the same labels, splits, groups and vectors.
    rows = {"image": table.image, "label": table.label, "split": [name.split("/")[0] for name in table.image]}
    pd.DataFrame(rows).to_csv(photos / "m.csv", index=False)
    listed = extract(photos / "m.csv", ["color"], store=tmp_path / "store")
    assert listed.digest() == table.digest()
    trained = run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m")
    assert "the training and validation rows: 24 photos" in trained.err
    tested = run("evaluate", "test", tmp_path / "m", tmp_path / "t.parquet", "--json", tmp_path / "test.json")
    assert "test uses the testing rows: 6 photos" in tested.err and tested.status == 0
    heads = ["--heads", "knn", "--cv", "2"]
    assert (
        "the training and validation rows: 24 photos"
        in run("evaluate", "compare", tmp_path / "t.parquet", *heads).err
    )


def test_a_test_folder_without_labels_has_rows_without_labels_and_no_copies(command, tmp_path):
    photos = write_photos(tmp_path / "data", [*names("train/rust train/steel"), "test/a.png", "test/b.png"])
    done = command(photos, "--distort", "1", "--flip-left-right")
    assert "of the photos in test no label is known" in done.err
    table = FeatureTable.read(tmp_path / "t.parquet")
    last = [
        (image, label, split)
        for image, label, split in zip(table.image, table.label, table.split, strict=True)
    ][:2]
    assert last == [("test/a.png", None, "testing"), ("test/b.png", None, "testing")]
    assert len(table) == 2 + 2 * 4


def test_thumbnails_and_deleted_photos_of_a_disk_station_are_no_photos(command, tmp_path):
    photos = write_photos(tmp_path / "nas", names("rust steel"))
    left = [
        "rust/@eaDir/0.png/XL.png",
        "rust/deep/@eaDir/x.png",
        "#recycle/1.png",
        "$RECYCLE.BIN/1.png",
        "lost+found/1.png",
    ]
    write_photos(photos, left, seed=1)
    done = command(photos)
    assert "labels: rust 2, steel 2\n" in done.err and "ignored files in @eaDir: 2" in done.err
    run("featurize", "scan", photos, "--json", tmp_path / "s.json")
    about = json.loads((tmp_path / "s.json").read_text())
    kinds = {"@eaDir": 2, "#recycle": 1, "$RECYCLE.BIN": 1, "lost+found": 1}
    assert about["ignored"] == {f"files in {kind}": count for kind, count in kinds.items()}
    # A pattern finds none of them either, unless it names them.
    pattern = f"{photos}/**/*.png"
    assert len(extract([pattern], ["color"], store=tmp_path / "store")) == 4
    assert len(extract([f"{photos}/rust/@eaDir/**/*.png"], ["color"], store=tmp_path / "store")) == 1


@pytest.fixture
def phone(tmp_path) -> Path:
    """A class of photos in formats that are not read, beside a class of JPEG photos."""
    photos = write_photos(tmp_path / "photos", names("paint"))
    (photos / "moss").mkdir()
    for ending, data in {
        "JXL": b"\0\0\0\x0cJXL \r\n\x87\n",
        "dng": encoded(noise(), "TIFF"),
    }.items():
        (photos / f"moss/1.{ending}").write_bytes(data + bytes(99))
    (photos / "paint/jxl.jpg").write_bytes(b"\xff\x0a" + bytes(99))
    return photos


def test_a_class_of_photos_that_are_not_read_is_named_in_the_terminal(phone, command, tmp_path):
    done = command(phone, "--strict")
    assert done.status == 1 and "3 images were left out (--strict)" in done.error
    assert "warning: not one photo of the class folder moss can be used" in done.err
    rejects = (tmp_path / "t.rejects.csv").read_text()
    assert (
        rejects.count("the format JPEG XL, which is not read: convert it to") == 2 and "camera raw" in rejects
    )
    lines = run("featurize", "scan", phone, "--json", tmp_path / "s.json").out.splitlines()
    assert "warning: not one photo of the class folder moss can be used" in lines
    assert "  moss       0, 2 rejected" in lines
    about = json.loads((tmp_path / "s.json").read_text())
    assert about["empty_classes"] == ["moss"] and len(about["warnings"]) == 1


def test_a_class_of_photos_that_are_not_read_is_named_in_python(phone, caplog, tmp_path):
    with caplog.at_level(logging.INFO):
        table = extract(phone, ["color"], store=tmp_path / "store")
    assert len(table) == 2
    assert "not one photo of the class folder moss can be used" in [
        record.message for record in caplog.records
    ]


def test_labels_that_may_be_one_are_named_by_every_command_that_learns_them(command, tmp_path):
    photos = write_photos(tmp_path / "photos", names("rose Rose oak"))
    told = "labels that differ in blanks, case or Unicode form alone: 'Rose', 'rose'"
    assert told in command(photos).err
    assert told in run("featurize", "scan", photos).out
    made_table(labels=("rose", "rose ", "oak")).write(tmp_path / "made.parquet")
    trained = run("classify", "train", tmp_path / "made.parquet", "-o", tmp_path / "m", "--features", "good")
    assert "labels that differ in blanks, case or Unicode form alone: 'rose', 'rose '" in trained.err


@pytest.fixture
def odd(tmp_path) -> Path:
    """A manifest of four lines with columns of its own, far from its photos; one file comes twice, one is missing."""
    write_photos(tmp_path / "photos", ["a.png", "b.png", "c.png"])
    (tmp_path / "lists").mkdir()
    text = (
        "photo;kind;set;sure\nc.png;rose;train;1\nA.PNG;oak;val;0\ngone.png;oak;;1\n"
        "b.png;oak;test;1\nc.png;rose;;1\n"
    )
    (tmp_path / "lists/m.csv").write_text(text)
    return tmp_path / "lists/m.csv"


def test_columns_and_a_root_read_a_manifest_that_is_written_otherwise(odd, command, tmp_path):
    done = command(odd, "--columns", "image=photo,label=kind,split=set", "--root", tmp_path / "photos")
    assert done.status == 0
    for words in ("left out: sure", "A.PNG is a.png", "1 photo of the manifest is not found below"):
        assert words in done.err
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.image.tolist() == ["a.png", "b.png", "c.png"]
    assert table.label.tolist() == ["oak", "oak", "rose"]
    assert table.split.tolist() == ["validation", "testing", "training"]
    assert table.metadata["source"]["folder"] == str(tmp_path / "photos")
    rejects = (tmp_path / "t.rejects.csv").read_text()
    assert (
        f"it was looked for in {tmp_path / 'photos'}" in rejects
        and "listed in line 2, and again in line 6" in rejects
    )


@pytest.mark.parametrize("given", ["image", "photo=x", "image=a,image=b"])
def test_columns_that_say_nothing_are_refused_as_an_option(odd, command, given):
    done = command(odd, "--columns", given)
    assert done.status == 2 and f"--columns {given}" in done.error


def test_predictions_for_a_manifest_come_line_by_line_in_its_order(odd, tmp_path):
    photos = write_photos(tmp_path / "known", names("rose oak", 8))
    run(
        "featurize",
        "extract",
        photos,
        "-o",
        tmp_path / "k.parquet",
        "--features",
        "color",
        "--store",
        tmp_path / "s",
    )
    run("classify", "train", tmp_path / "k.parquet", "-o", tmp_path / "m")
    how = [
        "--columns",
        "image=photo",
        "--root",
        tmp_path / "photos",
        "--store",
        tmp_path / "s",
        "--format",
        "csv",
    ]
    done = run("classify", "predict", tmp_path / "m", odd, *how)
    assert [line.split(",")[0] for line in done.out.splitlines()[1:]] == ["c.png", "a.png", "b.png", "c.png"]
    assert "left out gone.png" in done.err
    done = run("classify", "predict", tmp_path / "m", tmp_path / "photos", *how[:4])
    assert "for manifests alone" in done.error
