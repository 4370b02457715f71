"""Softmax in passes over a file, against softmax with all vectors at hand."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from classify.cli import main
from classify.heads.scaling import BlockScaler
from classify.model.modelfile import load_model, save_model
from classify.training.out_of_core import StreamedScaling, exceeds_memory, train_out_of_core
from classify.training.train import train
from featurize.errors import TableError, UsageError
from featurize.files import total_memory
from featurize.table import FeatureTable


def photos(n_rows: int, labels: str = "abcde", **columns) -> FeatureTable:
    """Vectors like a network's beside three texture values, one label after the other, as a folder gives them."""
    rng = np.random.default_rng(n_rows)
    label = np.sort(np.array(list(labels))[np.arange(n_rows) % len(labels)])
    centres = rng.exponential(size=(len(labels), 64))
    network = np.maximum(
        rng.exponential(size=(n_rows, 64)) + 0.3 * centres[np.unique(label, return_inverse=True)[1]], 0
    )
    texture = rng.normal(size=(n_rows, 3)) * [1, 10, 100] + (label == "a")[:, None]
    sha256 = [f"{i:064x}" for i in range(n_rows)]
    return FeatureTable.from_arrays({"net": network, "glcm": texture}, label=label, sha256=sha256, **columns)


def both(table: FeatureTable, path, head="softmax", features=None, **options):
    table.write(path)
    return train(table, head, features, **options), train_out_of_core(path, head, features, **options)


@pytest.mark.parametrize("labels", ["ab", "abcde"])
@pytest.mark.parametrize("features", ["net", "net+glcm"])
@pytest.mark.parametrize("head", ["softmax", "softmax:C=10,class_weight=balanced"])
def test_it_is_the_softmax_that_training_in_memory_gives(tmp_path, labels, features, head):
    table = photos(500, labels).filter(np.r_[0:300, 350:500])  # labels are not equally many
    known, found = both(table, tmp_path / "t.parquet", head, features)
    X = table.select(features)
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(X), rtol=0, atol=1e-3)
    assert (
        abs(accuracy_score(table.label, found.predict(X)) - accuracy_score(table.label, known.predict(X)))
        <= 0.01
    )
    assert found.training["data_digest"] == known.training["data_digest"]
    assert found.training.keys() == known.training.keys()
    np.testing.assert_array_equal(found.hashes, known.hashes)
    np.testing.assert_allclose(found.outliers.threshold, known.outliers.threshold, rtol=1e-6)


def test_labels_are_weighed_by_name_and_names_that_are_none_are_refused(tmp_path):
    table = photos(300, "abc")
    known, found = both(table, tmp_path / "t.parquet", "softmax:class_weight={'a':1,'b':9}", "glcm")
    X = table.select("glcm")
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(X), rtol=0, atol=1e-3)
    plain = train_out_of_core(tmp_path / "t.parquet", "softmax", "glcm")
    assert found.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.2
    with pytest.raises(UsageError, match=r"class_weight=\{'x':2\} cannot be fitted"):
        train_out_of_core(tmp_path / "t.parquet", "softmax:class_weight={'x':2}", "glcm")


def test_new_photos_are_told_as_well_from_many_parts_of_a_file(tmp_path):
    table = photos(
        11_000, group=np.repeat(np.arange(2750), 4).astype(str)
    )  # three parts, each with other labels
    held_out = np.arange(len(table)) % 4 == 0
    split = np.where(held_out, "testing", np.where(np.arange(len(table)) % 5, "training", "validation"))
    table = table.with_column("split", split)
    known, found = both(table, tmp_path / "t.parquet", features="net")
    X, y = table.select("net")[held_out], table.label[held_out]
    accuracy = accuracy_score(y, known.predict(X))
    assert 0.7 < accuracy < 0.99
    assert abs(accuracy_score(y, found.predict(X)) - accuracy) < 0.01
    assert found.training["photos"] == known.training["photos"] == int((~held_out).sum())
    assert found.training["data_digest"] == known.training["data_digest"]


def test_relabelling_variants_and_npz_count_as_ever(tmp_path):
    table = photos(200, "abc", variant=np.arange(200) % 2)
    relabel = {"a": "x", "b": "x", "c": "y"}
    known, found = both(table, tmp_path / "t.npz", relabel=relabel)
    assert found.labels == ["x", "y"] and found.relabel == relabel
    assert found.training["photos_per_label"] == known.training["photos_per_label"]
    X = table.select("net+glcm")
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(X), rtol=0, atol=1e-3)


def test_scaling_learnt_in_parts_is_scaling_learnt_at_once():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.exponential(size=(300, 40)), rng.normal(1e3, 1, (300, 3)), rng.normal(size=(300, 40))])
    X[:, 41] = 7.0  # constant
    X = X.astype(np.float32)
    streamed = StreamedScaling([40, 3, 40])
    for part in np.split(X, [1, 100, 110]):
        streamed.add(part)
    known, found = BlockScaler([40, 3, 40]).fit(X), streamed.result()
    assert found.methods_ == known.methods_ == ["root", "standard", "standard"]
    np.testing.assert_allclose(found.transform(X), known.transform(X), atol=2e-6)
    assert found.transform(X).dtype == np.float32


MEMORY = """
import resource, sys
from classify.training.out_of_core import train_out_of_core
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
train_out_of_core(sys.argv[1], "softmax:max_iter=2")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(os.name == "nt", reason="peak memory is asked for as POSIX has it")
def test_memory_does_not_hold_the_vectors(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.random((30_000, 1024), dtype=np.float32)
    label = np.repeat(["ash", "elm"], 15_000)
    table = FeatureTable.from_arrays({"x": X}, label=label)
    table.write(tmp_path / "t.parquet")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "t.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.5 * X.nbytes  # of 123 MB; in memory it takes more than twice as much


def test_other_heads_and_gaps_are_refused(tmp_path):
    table = photos(60, "abc")
    table.vectors["net"][7, 3] = np.nan
    table.write(tmp_path / "t.parquet")
    for head in ("svm", "softmax:solver=saga", "softmax:steps=100"):
        with pytest.raises(UsageError, match="cannot be trained out of core"):
            train_out_of_core(tmp_path / "t.parquet", head)
    with pytest.raises(TableError, match="net of image-7 hold NaN"):
        train_out_of_core(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="there is no table"):
        train_out_of_core(tmp_path / "none.parquet")


def test_a_table_exceeds_memory_from_an_eighth_on(tmp_path):
    path = tmp_path / "t.parquet"
    photos(100).write(path)
    n_bytes = 100 * 64 * 4
    assert exceeds_memory(path, "net", memory=8 * n_bytes - 1)
    assert not exceeds_memory(path, "net", memory=8 * n_bytes)
    assert exceeds_memory(path, memory=8 * n_bytes)  # with its texture values
    assert not exceeds_memory(tmp_path / "none.parquet", memory=1)
    path.write_bytes(b"PAR1 no table")
    assert not exceeds_memory(path, memory=1)


def test_the_command_does_it_when_asked_or_needed_and_the_model_is_like_any_other(
    tmp_path, capsys, monkeypatch
):
    table, output = tmp_path / "t.parquet", tmp_path / "m.model"
    photos(100).write(table)
    assert main(["train", str(table), "-o", str(output), "--out-of-core", "--features", "net"]) == 0
    assert "passes over 100 rows" in capsys.readouterr().err
    model = load_model(output)
    assert len(model.labels) == 5 and model.outliers is not None
    save_model(train(FeatureTable.read(table), features="net"), tmp_path / "known.model")
    assert abs(output.stat().st_size - (tmp_path / "known.model").stat().st_size) < 200
    assert main(["train", str(table), "-o", str(output), "--out-of-core", "--tune"]) == 2
    assert "--out-of-core and --tune do not go together" in capsys.readouterr().err
    monkeypatch.setattr("classify.training.out_of_core.total_memory", lambda: 1000)
    assert main(["train", str(table), "-o", str(output)]) == 0
    assert "again and again" in capsys.readouterr().err
    assert main(["train", str(table), "-o", str(output), "--head", "knn"]) == 0
    assert "only a plain softmax" in capsys.readouterr().err
    assert main(["train", str(table), "-o", str(output), "--threshold", "recall=0.9"]) == 1
    assert (
        "a threshold was given alone" in capsys.readouterr().err
    )  # by training in memory, which can have one


def test_memory_is_a_number_of_bytes_and_a_container_may_limit_it(tmp_path, monkeypatch):
    whole = total_memory()
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    monkeypatch.setattr("featurize.files.LIMITS", (str(limit),))
    assert total_memory() == 2**30 < whole
    limit.write_text("max\n")
    assert total_memory() >= whole
