"""Softmax in passes over a file, against softmax with all vectors at hand."""

import os
import subprocess
import sys

import numpy as np
import pytest
from builders import network_table, run
from sklearn.metrics import accuracy_score

from classify import load_model, train_model
from featurize import FeatureTable


def both(table: FeatureTable, path, head, features, *options, **alike):
    """The model of training in memory, and that of `classify train --out-of-core` on the table written to `path`."""
    table.write(path)
    model = path.with_name("m.model")
    words = ["-o", model, "--out-of-core", "--head", head, "--features", features]
    outcome = run("classify", "train", path, *words, *options)
    n_rows = int((table.split != "testing").sum())
    assert outcome.status == 0 and f"passes over {n_rows} rows" in outcome.err, outcome.err
    return train_model(table, head, features, **alike), load_model(model)


@pytest.mark.parametrize(
    ("labels", "features", "head"),
    [
        ("ab", "net+glcm", "softmax:C=10,class_weight=balanced"),
        ("abcde", "net", "softmax:C=10,class_weight=balanced"),
        ("abcde", "net+glcm", "softmax"),
        ("abc", "glcm", "softmax:class_weight={'a':1,'b':9}"),
    ],
)
def test_it_is_the_softmax_that_training_in_memory_gives(tmp_path, labels, features, head):
    table = network_table(500, labels).filter(np.r_[0:300, 350:500])  # labels are not equally many
    known, found = both(table, tmp_path / "t.parquet", head, features)
    X = table.select(features)
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(X), rtol=0, atol=1e-3)
    assert (found.predict(X) == known.predict(X)).mean() >= 0.99
    assert found.training["data_digest"] == known.training["data_digest"]
    # The one was read from its file, which does not tell when it was made.
    assert found.training.keys() == known.training.keys() - {"date", "seconds"}
    np.testing.assert_array_equal(found.hashes, known.hashes)
    np.testing.assert_allclose(found.outliers.threshold, known.outliers.threshold, rtol=1e-6)


def test_new_photos_are_told_as_well_from_many_parts_of_a_file(tmp_path):
    # Three parts, each with other labels.
    table = network_table(11_000, group=np.repeat(np.arange(2750), 4).astype(str))
    held_out = np.arange(len(table)) % 4 == 0
    split = np.where(held_out, "testing", np.where(np.arange(len(table)) % 5, "training", "validation"))
    table = table.with_column("split", split)
    known, found = both(table, tmp_path / "t.parquet", "softmax", "net")
    X, y = table.select("net")[held_out], table.label[held_out]
    accuracy = accuracy_score(y, known.predict(X))
    assert 0.7 < accuracy < 0.99
    assert abs(accuracy_score(y, found.predict(X)) - accuracy) < 0.01
    assert found.training["photos"] == known.training["photos"] == int((~held_out).sum())
    assert found.training["data_digest"] == known.training["data_digest"]


def test_relabelling_variants_and_npz_count_as_ever(tmp_path):
    table = network_table(200, "abc", variant=np.arange(200) % 2)
    relabel = {"a": "x", "b": "x", "c": "y"}
    (tmp_path / "map.csv").write_text("label,new_label\n" + "".join(f"{a},{b}\n" for a, b in relabel.items()))
    options = ["--relabel", str(tmp_path / "map.csv")]
    known, found = both(table, tmp_path / "t.npz", "softmax", "net+glcm", *options, relabel=relabel)
    assert found.labels == ["x", "y"] and found.relabel == relabel
    assert found.training["photos_per_label"] == known.training["photos_per_label"]
    X = table.select("net+glcm")
    np.testing.assert_allclose(found.predict_proba(X), known.predict_proba(X), rtol=0, atol=1e-3)


MEMORY = """
import resource, sys
from classify.cli import main
words = ["train", sys.argv[1], "-o", sys.argv[1] + ".model", "--out-of-core", "--head"]
main([*words, "dummy"])  # refused, after everything has been imported
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert main([*words, "softmax:max_iter=2"]) == 0
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(os.name == "nt", reason="peak memory is asked for as POSIX has it")
def test_memory_does_not_hold_the_vectors(tmp_path):
    X = np.random.default_rng(0).random((20_000, 1024), dtype=np.float32)
    FeatureTable.from_arrays({"x": X}, label=np.repeat(["ash", "elm"], 10_000)).write(tmp_path / "t.parquet")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "t.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.7 * X.nbytes  # of 82 MB; in memory it takes more than twice as much


def test_other_heads_other_parameters_and_gaps_are_refused(tmp_path):
    table = network_table(60, "abc")
    table.write(tmp_path / "t.parquet")
    words = f"classify train {tmp_path}/t.parquet -o {tmp_path}/m --out-of-core"
    assert "'x':2} cannot be fitted" in run(f"{words} --head \"softmax:class_weight={{'x':2}}\"").error
    table.vectors["net"][7, 3] = np.nan
    table.write(tmp_path / "t.parquet")
    for head in ("svm", "softmax:solver=saga"):
        assert "cannot be trained out of core" in run(f"{words} --head {head}").error
    assert "net of image-7 hold NaN" in run(words).error
