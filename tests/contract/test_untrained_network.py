"""From photos to predictions through a network without weights: what needs no download works, and quietly."""

import csv

import pytest
from builders import run, run_process, write_textures

from featurize import FeatureTable


@pytest.mark.tensorflow
def test_an_untrained_network_extracts_and_its_model_predicts_with_no_line_of_tensorflows_own(tmp_path):
    photos, table, model = write_textures(tmp_path / "photos"), tmp_path / "t.parquet", tmp_path / "t.model"
    network = ["--features", "mobilenet_0.25_128", "glcm", "--weights", "random"]
    store = ["--store", tmp_path / "store"]
    extracted = run_process("featurize", "extract", photos, *network, *store, "-o", table)
    assert (extracted.status, extracted.out) == (0, ""), extracted.err
    ours = (
        "loading ",
        "warning: mobilenet_0.25_128 comes from an untrained network",
        "16 images ",
        "labels: ",
        "wrote ",
    )
    assert [line for line in extracted.err.splitlines() if not line.startswith(ours)] == []
    vectors = FeatureTable.read(table)
    assert vectors.widths("mobilenet_0.25_128+glcm") == [256, 5]
    trained = run("classify", "train", table, "-o", model, "--features", "mobilenet_0.25_128+glcm")
    assert trained.status == 0, trained.err
    new = write_textures(tmp_path / "new", 2, width=48)
    predicted = run("classify", "predict", model, new, *store, "-o", tmp_path / "p.csv")
    assert predicted.status == 0, predicted.err
    with open(tmp_path / "p.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"].split("/")[-2] for row in rows] == [row["label"] for row in rows]
    assert len(rows) == 4
