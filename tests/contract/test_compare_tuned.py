"""Heads that are searched anew within each training side."""

import json

import pytest
from builders import run, twin_table

from evaluate import compare
from featurize import FeatureTable


@pytest.fixture(scope="module")
def twins() -> FeatureTable:
    return twin_table()


def test_compare_tunes_what_can_be_tuned(twins):
    found = compare(twins, ["x"], ["softmax", "dummy"], cv=3, tune="accuracy", jobs=1)
    rows = {row["head"]: row for row in found.results}
    assert rows.keys() == {"softmax tuned", "dummy"} and rows["dummy"]["tuned"] is None
    assert len(rows["softmax tuned"]["tuned"]) == 3
    assert all(spec.startswith("softmax:C=") for spec in rows["softmax tuned"]["tuned"])
    assert "softmax tuned on x chose in 3 folds: softmax:C=" in str(found)
    assert rows["softmax tuned"]["model_bytes"] > 0


def test_steps_are_compared_beside_what_is_tuned(twins):
    found = compare(twins, ["x"], ["softmax:steps=10", "mlp:steps=10"], cv=2, tune="log-loss", jobs=1)
    rows = {row["head"]: row for row in found.results}
    # It has no C to search; the mlp has its alpha and its layer.
    assert rows["softmax:steps=10"]["tuned"] is None
    assert all("alpha=" in spec for spec in rows["mlp:steps=10 tuned"]["tuned"])


def test_the_command_tunes_with_balanced_labels(twins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twins.write("t.parquet")
    words = "--cv 3 -j 1 --tune-by accuracy --balanced --json r.json --report r.html"
    assert run(f"evaluate compare t.parquet --heads softmax naive-bayes {words}").status == 0
    for row in json.loads((tmp_path / "r.json").read_text())["results"]:
        assert "class_weight=balanced" in row["head"] and len(row["tuned"]) == 3
        assert all("class_weight=balanced" in spec for spec in row["tuned"])
