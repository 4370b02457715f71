"""``featurize import-bottlenecks``: retrain.py's text files as a table; every file is a row, a reject or ignored."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import Outcome, run

from featurize import FeatureTable


@pytest.fixture
def folder(tmp_path):
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


def imported(folder: Path, *more: str) -> tuple[FeatureTable, list[list[str]], Outcome]:
    table = folder.parent / "t.npz"
    done = run("featurize", "import-bottlenecks", folder, "-o", table, *more)
    assert done.status == 0, done.err
    with open(folder.parent / "t.rejects.csv", newline="") as stream:
        return FeatureTable.read(table), list(csv.reader(stream))[1:], done


def test_both_naming_schemes_become_columns(folder):
    table, rejects, done = imported(folder)
    assert "wrote" in done.err and "3 rows, inception_v3 (2), mobilenet_0.50_224 (3)" in done.err
    assert list(table.image) == ["daisy/1.jpg", "daisy/2_nohash_a.JPG", "rose/1.jpeg"]
    assert list(table.label) == ["daisy", "daisy", "rose"]
    assert list(table.group) == [None, "daisy/2", None]
    assert set(table.sha256) == {None}
    expected = np.float32([[0.5, 0.25, -1e-3], [1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(table.select("mobilenet_0.50_224"), expected)
    np.testing.assert_array_equal(table.select("inception_v3"), [[7, 8], [9, 10], [11, 12]])
    assert {entry["fingerprint"] for entry in table.metadata["features"].values()} == {"imported"}
    assert rejects == []


@pytest.mark.parametrize(("text", "reason"), [
    ("", "the file is empty"), ("1,2,x", "not numbers separated by commas"), ("1 2 3", "not numbers"),
    ("1,2", "2 numbers of mobilenet_0.50_224, where the others have 3"),
    ("1,2,nan", "not finite"), ("1,2,1e300", "too large for 32 bits"), ("1,2,\xe9", "not a text of numbers"),
    ("1," * (1 << 21) + "2", "too large for one vector"),
])  # fmt: skip
def test_a_malformed_file_is_a_reject_with_its_reason(folder, text, reason):
    (folder / "rose" / "1.jpeg_mobilenet_0.50_224.txt").write_text(text, encoding="latin-1")
    table, rejects, done = imported(folder, "--features", "mobilenet_0.50_224")
    assert list(table.image) == ["daisy/1.jpg", "daisy/2_nohash_a.JPG"]
    assert len(rejects) == 1 and reason in rejects[0][1] and "1 file was left out" in done.err
    assert "ignored 3 files: vectors of inception_v3" in done.err


def test_what_is_no_file_or_has_not_all_networks_is_a_reject_and_other_files_are_counted(folder):
    os.mkfifo(folder / "rose" / "2.jpg.txt")
    (folder / "rose" / "3.jpg.txt").mkdir()
    (folder / "rose" / "4.jpg.txt").symlink_to("nowhere")
    (folder / "rose" / "1.jpeg_inception_v3.txt").unlink()
    (folder / "rose" / "notes.md").write_text("hm")
    (folder / "daisy" / "1.jpg_inception_v3.txt").write_text("1,2")
    table, rejects, done = imported(folder)
    assert len(table) == 2 and "ignored 1 files: .md" in done.err
    assert rejects == [
        ["daisy/1.jpg_inception_v3.txt", "a second vector of inception_v3 for this image"],
        ["rose/1.jpeg", "no vector of inception_v3"],
        ["rose/2.jpg.txt", "not a regular file"],
        ["rose/3.jpg.txt", "a folder, not a file of numbers"],
        ["rose/4.jpg.txt", "a link that leads nowhere"],
    ]


def test_imported_vectors_cannot_pretend_to_come_from_photos(folder, tmp_path):
    imported(folder)
    model = tmp_path / "m.model"
    assert run("classify", "train", tmp_path / "t.npz", "--features", "inception_v3", "-o", model).status == 0
    (tmp_path / "photo.jpg").write_bytes(b"")
    done = run("classify", "predict", model, tmp_path / "photo.jpg")
    assert done.status == 1 and "cannot be computed from photos" in done.error


def test_what_could_not_be_read_or_written_is_refused_before_the_import(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    table = tmp_path / "t.parquet"
    for source, rejects, message in [
        (tmp_path / "empty", tmp_path / "r.csv", "has a vector"),
        (tmp_path / "nowhere", tmp_path / "r.csv", "there is no folder"),
        (folder, table, "another output and would be overwritten"),
        (folder, tmp_path / "gone" / "r.csv", "there is no folder"),
    ]:
        done = run("featurize", "import-bottlenecks", source, "-o", table, "--rejects", rejects)
        assert done.status == 1 and message in done.error and not table.exists()


def bottlenecks_of(graph, photos, folder):
    """The text files that retrain.py wrote, from TensorFlow itself."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        names = ["MobilenetV1/Logits/AvgPool_1a/AvgPool:0"]
        (result,) = tf.import_graph_def(definition, return_elements=names, name="")
        for photo in sorted(photos.glob("*/*.jpg")):
            rgb = tf.cast(tf.image.decode_jpeg(photo.read_bytes(), channels=3), tf.float32)[None]
            pixels = session.run((tf.compat.v1.image.resize_bilinear(rgb, [128, 128]) - 127.5) / 127.5)
            vector = session.run(result, {"input:0": pixels}).ravel()
            path = folder / photo.parent.name / f"{photo.name}_mobilenet_0.25_128.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(map(str, vector)))
    return folder


@pytest.mark.tensorflow
def test_with_the_graph_of_the_vectors_a_model_predicts_new_photos(assets, tmp_path):
    graph, photos = assets / "weights" / "mobilenet_v1_0.25_128.pb", tmp_path / "photos"
    for label in ("daisy", "roses"):
        (photos / label).mkdir(parents=True)
        for photo in sorted((assets / "data" / "flowers" / label).glob("*.jpg"))[:4]:
            shutil.copy(photo, photos / label)
    folder = bottlenecks_of(graph, photos, tmp_path / "bottleneck")
    words = ["featurize", "import-bottlenecks", folder, "-o", tmp_path / "t.parquet"]
    done = run(*words)
    assert done.status == 0 and "predict tables alone; --graph FILE.pb --photos DIR" in done.err
    done = run(*words, "--graph", graph, "--photos", photos)
    assert done.status == 0 and "mobilenet_v1_0.25_128 (256)" in done.err, done.err
    assert "predict tables alone" not in done.err
    assert run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m.model").status == 0
    new = sorted((assets / "data" / "flowers" / "roses").glob("*.jpg"))[10]
    store = tmp_path / "store"
    assert run("classify", "predict", tmp_path / "m.model", new, "--store", store).status == 0
    # As an extraction with this graph and retrain.py's pixels gives them.
    words = ["-o", tmp_path / "e.parquet", "--features", graph, "--parity", "retrain", "--store", store]
    assert run("featurize", "extract", photos, *words).status == 0
    tables = [FeatureTable.read(tmp_path / name) for name in ("t.parquet", "e.parquet")]
    (one,), (other,) = ([table.metadata["features"][name] for name in table.features] for table in tables)
    assert one["fingerprint"] == other["fingerprint"]
    # Vectors that this graph did not make, photos that are others, and half of what is needed.
    wrong = sorted(folder.glob("roses/*.txt"))[0]
    wrong.write_text(",".join(["0.5"] * 256))
    words = ["featurize", "import-bottlenecks", folder, "-o", tmp_path / "t.parquet", "--graph", graph]
    assert (
        f"does not make the vector of roses/{wrong.name[: -len('_mobilenet_0.25_128.txt')]}"
        in run(*words, "--photos", photos).error
    )
    assert "holds none of the photos" in run(*words, "--photos", tmp_path).error
    assert "go together" in run(*words).error
