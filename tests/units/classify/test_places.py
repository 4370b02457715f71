"""Models and predictions go wherever the system has files: names that are no UTF-8, or look like a URL."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from classify.cli import main
from classify.model.modelfile import DESCRIPTION
from featurize.table import FeatureTable


@pytest.mark.parametrize("place", ["jos\udce9/t", "exp:1/t", "run:3"])
def test_a_model_is_trained_kept_and_used_there(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    table, model, predictions = (Path(place + ending) for ending in (".parquet", ".model", "-p.parquet"))
    try:
        table.parent.mkdir(exist_ok=True)
        table.touch()
    except OSError:
        pytest.skip("this system has no such names")
    X = np.random.default_rng(0).normal(size=(40, 3)) + np.repeat([[0], [9]], 20, axis=0)
    made = FeatureTable.from_arrays({"x": X}, image=[*map(str, range(40))], label=["a"] * 20 + ["b"] * 20)
    made.metadata["features"]["x"] = {"fingerprint": "ab" * 32, "weights": {"file": os.path.abspath(table)}}
    made.write(table)
    assert main(["train", str(table), "-o", str(model), "-q"]) == 0
    with zipfile.ZipFile(model) as archive:
        kept = json.loads(archive.read(DESCRIPTION))["described"]["x"]["weights"]
    assert kept == {"file": os.path.abspath(table)}
    assert main(["predict", str(model), str(table), "-o", str(predictions), "-q"]) == 0
    with open(predictions, "rb") as stream:
        assert pq.ParquetFile(stream).read()["label"].to_pylist() == ["a"] * 20 + ["b"] * 20
