"""Photos in rows: Parquet files as Hugging Face writes them, its datasets, DataFrames, and lists of pairs."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import (
    encoded,
    flip_bit,
    noise,
    run,
    words_of_page,
    write_hugging_face,
    write_photos,
    write_textures,
)
from PIL import Image

from classify import predict_images, save_model, train_model
from evaluate import compare
from featurize import GLCM, BottleheadError, FeatureTable, extract

CLASSES = ["rust", "steel"]
BAD = {"rust/bad.jpg": b"no photo", "rust/empty.png": b""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    names = [f"{label}/{n}.{kind}" for label in CLASSES for n in range(3) for kind in ("png", "jpg")]
    photos = write_photos(tmp_path_factory.mktemp("folder") / "photos", names)
    for name, data in BAD.items():
        (photos / name).write_bytes(data)
    return photos


@pytest.fixture(scope="module")
def rows(folder) -> list[dict]:
    """Rows of a dataset, in no particular order, with a group each."""
    files = sorted(folder.glob("*/*.*"), key=lambda file: file.read_bytes())
    names = [file.relative_to(folder).as_posix() for file in files]
    return [
        {
            "image": {"bytes": (folder / name).read_bytes(), "path": name},
            "label": CLASSES.index(name.split("/")[0]),
            "group": name[-5],
        }
        for name in names
    ]


def as_manifest(rows, tmp_path, folder):
    lines = [f"{row['image']['path']},{CLASSES[row['label']]},{row['group']}" for row in rows]
    (folder.parent / "m.csv").write_text("\n".join(["image,label,group", *lines]))
    return folder.parent / "m.csv", {"root": folder}


def as_parquet(rows, tmp_path, folder):
    return write_hugging_face(tmp_path / "photos.parquet", rows, CLASSES, row_group_size=5), {}


def as_shards(rows, tmp_path, folder):
    for number in range(2):
        name = f"data-0000{number}.parquet"
        write_hugging_face(tmp_path / "shards" / name, rows[number::2], CLASSES)
    return str(tmp_path / "shards" / "*.parquet"), {}


def dataset_of(rows, path: Path):
    """As `datasets` loads a Parquet file (its own ways of making one ask for TensorFlow)."""
    datasets = pytest.importorskip("datasets")
    table = pq.read_table(write_hugging_face(path, rows, CLASSES))
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def as_dataset(rows, tmp_path, folder):
    return dataset_of(rows, tmp_path / "d.parquet"), {}


def as_frame(rows, tmp_path, folder):
    about = {"label": [CLASSES[row["label"]] for row in rows], "group": [row["group"] for row in rows]}
    images = [row["image"]["bytes"] for row in rows]
    return pd.DataFrame({"image": images, **about}, index=[row["image"]["path"] for row in rows]), {}


def as_frame_of_paths(rows, tmp_path, folder):
    frame = as_frame(rows, tmp_path, folder)[0]
    return frame.assign(image=frame.index), {"root": folder}


def as_polars(rows, tmp_path, folder):
    polars = pytest.importorskip("polars")
    frame = as_frame_of_paths(rows, tmp_path, folder)[0]
    return polars.DataFrame({name: frame[name].tolist() for name in frame}), {"root": folder}


KINDS = (as_manifest, as_parquet, as_shards, as_dataset, as_frame, as_frame_of_paths, as_polars)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__[3:])
def test_every_kind_of_source_gives_what_the_folder_gives(kind, folder, rows, tmp_path, caplog):
    source, options = kind(rows, tmp_path, folder)
    expected = extract(folder, ["color"], store=tmp_path / "a")
    with caplog.at_level("WARNING", "bottlehead"):
        caplog.clear()
        table = extract(source, ["color"], store=tmp_path / "b", **options)
    order = np.argsort(table.image)
    assert table.image[order].tolist() == expected.image.tolist()
    for column in ("label", "sha256", "width", "height", "bytes", "format", "phash", "variant"):
        assert table.ids[column].take(order).to_pylist() == expected.ids[column].to_pylist()
    np.testing.assert_array_equal(table.select("color")[order], expected.select("color"))
    assert table.group[order].tolist() == [name[-5] for name in expected.image]
    for name, reason in (("rust/bad.jpg", "text, not an image"), ("rust/empty.png", "the file is empty")):
        assert f"left out {name}: {reason}" in caplog.messages


def test_scan_says_of_a_parquet_file_what_it_says_of_the_folder(folder, rows, tmp_path):
    plain = sorted(
        ({name: row[name] for name in ("image", "label")} for row in rows), key=lambda r: r["image"]["path"]
    )
    source = write_hugging_face(tmp_path / "photos.parquet", plain, CLASSES)
    of_folder, of_rows = (run("featurize", "scan", one).out.splitlines() for one in (folder, source))
    # Only folders tell the label of what is rejected.
    assert [re.sub("(rust .*), 2 rejected", r"\1", line) for line in of_folder] == of_rows


def test_splits_come_from_the_names_of_shards_and_of_datasets(folder, rows, tmp_path, caplog):
    names = (
        "train-00000-of-00002",
        "train-00001-of-00002",
        "validation-00000-of-00001",
        "nested/test-00000-of-00001",
    )
    for number, name in enumerate(names):
        write_hugging_face(tmp_path / "data" / f"{name}.parquet", rows[number::4], CLASSES)
    with caplog.at_level("INFO", "bottlehead"):
        table = extract(tmp_path / "data", ["color"], store=tmp_path / "s")
    assert "splits by the names of the Parquet files: 1 testing, 2 training, 1 validation" in caplog.messages
    wanted = {
        row["image"]["path"]: ("training", "training", "validation", "testing")[n % 4]
        for n, row in enumerate(rows)
    }
    assert dict(zip(table.image, table.split, strict=True)) == {
        n: s for n, s in wanted.items() if n not in BAD
    }
    alone = extract(tmp_path / "data" / f"{names[2]}.parquet", ["color"], store=tmp_path / "s")
    assert set(alone.split) == {"validation"}
    datasets = pytest.importorskip("datasets")
    parts = {name: dataset_of(rows[n::2], tmp_path / "d.parquet") for n, name in enumerate(("train", "test"))}
    table = extract(datasets.DatasetDict(parts), ["color"], store=tmp_path / "s")
    wanted = {row["image"]["path"]: ("training", "testing")[n % 2] for n, row in enumerate(rows)}
    assert dict(zip(table.image, table.split, strict=True)) == {
        n: s for n, s in wanted.items() if n not in BAD
    }


def test_names_are_the_paths_where_they_are_unique_else_file_and_row(tmp_path):
    data = [encoded(noise(seed=n), "PNG") for n in range(4)]
    paths = ["a.png", "twice.png", "twice.png", None]
    rows = [{"image": {"bytes": one, "path": path}} for one, path in zip(data, paths, strict=True)]
    write_hugging_face(tmp_path / "p.parquet", rows)
    table = extract(tmp_path / "p.parquet", ["color"], store=tmp_path / "s")
    assert table.image.tolist() == ["a.png", "p.parquet/1", "p.parquet/2", "p.parquet/3"]
    pq.write_table(pa.table({"picture": data}), tmp_path / "bytes.parquet")
    table = extract(tmp_path / "bytes.parquet", ["color"], store=tmp_path / "s")
    assert table.image.tolist() == [f"bytes.parquet/{n}" for n in range(4)]
    both = extract([tmp_path / "bytes.parquet", tmp_path / "p.parquet"], ["color"], store=tmp_path / "s")
    assert both.image.tolist() == [*table.image, "a.png", *(f"p.parquet/{n}" for n in (1, 2, 3))]
    (tmp_path / "x.png").write_bytes(data[0])
    mixed = extract([tmp_path / "x.png", tmp_path / "p.parquet"], ["color"], store=tmp_path / "s")
    assert [Path(name).name for name in mixed.image] == ["x.png", "0", "1", "2", "3"]


LABELS = {
    "names": ([0, 1, -1, None], ["rust", "steel"], ["rust", "steel", None, None]),
    "numbers": ([0, 7, -1, None], None, ["0", "7", "-1", None]),
    "text": (["a", " b ", "", None], None, ["a", "b", None, None]),
}


@pytest.mark.parametrize(("given", "names", "labels"), LABELS.values(), ids=LABELS)
def test_labels_are_class_names_else_numbers_as_text(given, names, labels, tmp_path, caplog):
    photos = [{"bytes": encoded(noise(seed=n), "PNG"), "path": f"{n}.png"} for n in range(4)]
    rows = [{"image": photo, "label": label} for photo, label in zip(photos, given, strict=True)]
    source = write_hugging_face(tmp_path / "p.parquet", rows, names)
    with caplog.at_level("INFO", "bottlehead"):
        assert extract(source, ["color"], store=tmp_path / "s").label.tolist() == labels
    assert caplog.messages.count("labels are whole numbers, which are taken as text") == (given[1] == 7)


def test_what_a_row_lacks_or_a_file_has_damaged_is_a_reject(tmp_path, caplog):
    rows = [
        {"image": {"bytes": encoded(noise(40, 40, n), "BMP"), "path": f"{n}.bmp"}, "label": n % 2}
        for n in range(20)
    ]
    rows[1]["image"], rows[2]["image"] = None, {"bytes": None, "path": "gone.bmp"}
    rows[3]["label"] = 5
    options = {
        "row_group_size": 10,
        "compression": "none",
        "use_dictionary": False,
        "write_page_checksum": True,
    }
    source = write_hugging_face(tmp_path / "p.parquet", rows, CLASSES, **options)
    whole = extract(source, ["color"], store=tmp_path / "s")
    assert whole.image.tolist() == ["0.bmp", *(f"{n}.bmp" for n in range(4, 20))]
    assert "left out p.parquet/1: the image is null" in caplog.messages
    assert any(text.startswith("left out gone.bmp: the image has no bytes") for text in caplog.messages)
    assert "left out row 3 of p.parquet: its label is 5, and 2 classes have a name" in caplog.messages
    caplog.clear()
    place = source.read_bytes().index(rows[15]["image"]["bytes"]) + 1000
    flip_bit(source, place)
    table = extract(source, ["color"], store=tmp_path / "other")
    assert table.image.tolist() == whole.image.tolist()[:7]
    assert sum("damaged in the Parquet file" in text for text in caplog.messages) == 10


def test_columns_are_chosen_as_in_manifests_and_a_manifest_stays_one(folder, rows, tmp_path, monkeypatch):
    photos = [row["image"] for row in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    other = pa.array([{"bytes": b"", "path": "x"}] * len(photos), kind)
    columns = {"one": pa.array(photos, kind), "two": other, "kind": [str(row["label"]) for row in rows]}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    command = [
        "featurize",
        "extract",
        tmp_path / "p.parquet",
        "-o",
        tmp_path / "t.parquet",
        "--store",
        tmp_path / "s",
    ]
    command += ["--features", "color"]
    assert "'one', 'two', 'kind', and no column image" in run(*command).error
    wrong = run(*command, "--columns", "image=one,label=sort")
    assert "no columns named 'sort'" in wrong.error and "'one', 'two', 'kind'" in wrong.hint
    assert run(*command, "--columns", "image=one,label=kind").status == 0
    assert set(FeatureTable.read(tmp_path / "t.parquet").label) == {"0", "1"}
    names = [photo["path"] for photo in photos]
    pq.write_table(pa.table({"image": names, "thumb": [b"x"] * len(names)}), folder / "m.parquet")
    table = extract(folder / "m.parquet", ["color"], store=tmp_path / "s")
    assert table.metadata["source"]["kind"] == "manifest" and table.image.tolist() == sorted(
        set(names) - set(BAD)
    )
    (folder / "m.parquet").unlink()


@pytest.mark.parametrize("kind", ["parquet", "dataset", "frame"])
def test_further_columns_are_kept_and_an_unknown_one_is_an_error(kind, rows, tmp_path):
    sites = [f"site {row['group']}" for row in rows]
    path = write_hugging_face(
        tmp_path / "p.parquet", [{**row, "site": site} for row, site in zip(rows, sites, strict=True)]
    )
    source = path if kind == "parquet" else pd.read_parquet(path)
    if kind == "dataset":
        datasets = pytest.importorskip("datasets")
        source = datasets.Dataset(datasets.table.InMemoryTable(pq.read_table(path)))
    table = extract(source, ["color"], keep=["site"], store=tmp_path / "s")
    wanted = [site for row, site in zip(rows, sites, strict=True) if row["image"]["path"] not in BAD]
    assert table["site"].tolist() == wanted
    with pytest.raises(BottleheadError, match="named 'age' to keep"):
        extract(source, ["color"], keep=["age"], store=tmp_path / "s")


def test_a_second_run_reads_nothing_and_a_changed_file_is_read_again(folder, rows, tmp_path):
    source = write_hugging_face(tmp_path / "p.parquet", rows, CLASSES)
    os.utime(source, (1e9, 1e9))
    command = [
        "featurize",
        "extract",
        source,
        "-o",
        tmp_path / "t.parquet",
        "--store",
        tmp_path / "s",
        "--verbose",
    ]
    command += ["--features", "color"]
    first, again = run(*command), run(*command)
    assert "all were computed" in first.err and "nothing was computed" in again.err, again.err


def test_the_report_and_predictions_read_photos_from_the_parquet_file(tmp_path):
    photos = write_textures(tmp_path / "photos", n=6)
    files = sorted(photos.glob("*/*.png"))
    rows = [
        {"image": {"bytes": file.read_bytes(), "path": file.name}, "label": file.parent.name}
        for file in files
    ]
    rows[0]["label"] = "smooth"  # a mistake to look at
    source = write_hugging_face(tmp_path / "p.parquet", rows)
    table = extract(source, ["glcm"], store=tmp_path / "s")
    page = compare(table, heads=["knn:n_neighbors=1"], cv=3).to_html()
    assert page.count("data:image/jpeg") > 0
    model = train_model(table)
    found = predict_images(model, source, store=tmp_path / "s")
    of_files = predict_images(model, files, store=tmp_path / "s")
    np.testing.assert_array_equal(found.probabilities, of_files.probabilities)
    assert found.image == [f"p.parquet/{n}" for n in range(12)]
    save_model(model, tmp_path / "m")
    outcome = run(
        "classify",
        "predict",
        tmp_path / "m",
        tmp_path / "p*.parquet",
        "--store",
        tmp_path / "s",
        "--format",
        "csv",
    )
    assert [line.split(",")[:2] for line in outcome.out.splitlines()[1:]] == [
        [name, label] for name, label in zip(found.image, found.label, strict=True)
    ]
    assert words_of_page(page)


MEMORY = """
import sys, tracemalloc
import pyarrow
from featurize import extract, make_extractor
make_extractor("color")  # imports what computes, which takes twice as long where memory is traced
tracemalloc.start()
table = extract(sys.argv[1], ["color"], store=sys.argv[2])
print(len(table), tracemalloc.get_traced_memory()[1] + pyarrow.default_memory_pool().max_memory())
"""


def test_a_row_group_is_not_held_in_memory(tmp_path):
    photos = [encoded(noise(seed=n), "JPEG") + bytes(1_000_000) for n in range(300)]
    rows = [{"image": {"bytes": photo, "path": f"{n}.jpg"}} for n, photo in enumerate(photos)]
    options = {"use_dictionary": False, "write_batch_size": 8, "compression": "none"}
    source = write_hugging_face(tmp_path / "p.parquet", rows, **options)
    assert pq.read_metadata(source).num_row_groups == 1
    command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_rows, n_bytes = map(int, done.stdout.split())
    assert n_rows == 300
    assert n_bytes < 180e6, n_bytes  # of 300 MB, at any number of rows


def test_a_streaming_dataset_and_one_without_images_are_errors(rows, tmp_path):
    dataset = dataset_of(rows, tmp_path / "d.parquet")
    with pytest.raises(BottleheadError, match="streaming dataset"):
        extract(dataset.to_iterable_dataset(), ["color"])
    with pytest.raises(BottleheadError, match="no column image"):
        extract(dataset.remove_columns("image"), ["color"])


def test_transform_takes_the_image_column_of_a_frame_and_a_dataset(folder, rows, tmp_path):
    good = [row for row in rows if row["image"]["path"] not in BAD]
    paths = [folder / row["image"]["path"] for row in good]
    expected = GLCM().transform(paths)
    frame = as_frame(good, tmp_path, folder)[0]
    for given in (
        frame,
        frame[["image"]],
        as_dataset(good, tmp_path, folder)[0],
        [(p, "a label") for p in paths],
    ):
        np.testing.assert_array_equal(GLCM().transform(given), expected)


def test_the_index_names_photos_and_a_frame_in_memory_can_be_tested_on_another(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (30, 30, 3)).astype(np.uint8) // (1 + n % 2) for n in range(24)]
    labels = [f"class{n % 2}" for n in range(24)]
    training = extract(pd.DataFrame({"image": arrays[:12], "label": labels[:12]}), ["color"], store=tmp_path)
    testing = extract(pd.DataFrame({"image": arrays[12:], "label": labels[12:]}), ["color"], store=tmp_path)
    assert training.image.tolist() == [str(n) for n in range(12)] == testing.image.tolist()
    result = compare(training, test=testing, heads=["knn"])
    assert "which test 12 photos" in str(result)
    twice = pd.DataFrame({"image": arrays[:2]}, index=["same", "same"])
    assert extract(twice, ["color"], store=tmp_path).image.tolist() == ["0", "1"]


def test_a_pillow_image_in_a_frame_is_read_and_nothing_is_left_open(tmp_path):
    data = encoded(noise(), "PNG")
    image = Image.open(io.BytesIO(data))
    table = extract(pd.DataFrame({"image": [image, data, None]}), ["color"], store=tmp_path)
    # Older pandas loads the image, which then counts as its pixels and not as its file.
    assert len(table) == 2
    np.testing.assert_array_equal(table.select("color")[0], table.select("color")[1])


def test_what_pandas_calls_missing_is_no_value_whichever_type_the_column_has(tmp_path):
    images = [encoded(noise(seed=n), "PNG") for n in range(3)]
    missing = {
        "string": (pd.array(["rust", pd.NA, "steel"], dtype="string"), ["rust", None, "steel"]),
        "Int64": (pd.array([1, pd.NA, 2], dtype="Int64"), ["1", None, "2"]),
        "object": (pd.Series(["rust", pd.NA, float("nan")], dtype=object), ["rust", None, None]),
    }
    for values, labels in missing.values():
        frame = pd.DataFrame({"image": images, "label": values, "site": values})
        table = extract(frame, ["glcm"], store=tmp_path, keep=["site"])
        assert table.label.tolist() == labels and table["site"].tolist() == labels
    frame = pd.DataFrame({"image": [pd.NA, *images[1:]], "label": ["rust", "steel", "rust"]})
    assert extract(frame, ["glcm"], store=tmp_path).image.tolist() == ["1", "2"]


@pytest.mark.parametrize(
    "label", [["rust", "steel"], {"name": "rust"}, np.arange(2)], ids=["list", "dict", "array"]
)
def test_a_label_of_several_values_is_a_reject_and_kept_columns_hold_its_text(label, tmp_path, caplog):
    images = [encoded(noise(seed=n), "PNG") for n in range(2)]
    frame = pd.DataFrame({"image": images, "label": [label, "rust"], "boxes": [label, label]})
    table = extract(frame, ["glcm"], store=tmp_path, keep=["boxes"])
    assert table.image.tolist() == ["1"] and table["boxes"].tolist() == [str(label)]
    assert f"row 0: its label is of type {type(label).__name__}; a photo has one label" in caplog.text


def test_lists_of_labels_in_parquet_are_no_labels(rows, tmp_path):
    photos = [{"bytes": row["image"]["bytes"], "path": None} for row in rows[:2]]
    pq.write_table(pa.table({"image": photos, "label": [["rust", "steel"]] * 2}), tmp_path / "a.parquet")
    done = run("featurize", "scan", tmp_path / "a.parquet")
    assert (
        "its label is of type list; a photo has one label, as text or a whole number" in done.out + done.err
    )


def test_the_index_of_a_frame_is_a_name_that_a_table_can_hold(tmp_path):
    images = [encoded(noise(seed=n), "PNG") for n in range(2)]
    table = extract(pd.DataFrame({"image": images}, index=["a\0b", "c"]), ["glcm"], store=tmp_path)
    assert table.image.tolist() == ["a\\x00b", "c"]
