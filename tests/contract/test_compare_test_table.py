"""Training on one table and testing on another: against plain scikit-learn, and what must not be in both."""

import json

import numpy as np
import pytest
from builders import run
from sklearn.linear_model import LogisticRegression

from evaluate import compare
from featurize import BottleheadError, FeatureTable

HEAD = LogisticRegression(C=0.7)


def numbered(n: int, seed: int, width: int = 4, start: int = 0, **columns) -> FeatureTable:
    X = np.random.default_rng(seed).normal(size=(n, width)) + (np.arange(n) % 3)[:, None]
    columns.setdefault("sha256", [f"{start + i:064x}" for i in range(n)])
    columns.setdefault("image", [f"{start + i}.jpg" for i in range(n)])
    label = np.array(["ant", "bee", "cat"])[np.arange(n) % 3]
    return FeatureTable.from_arrays({"x": X, "y": X[:, :2]}, label=label, **columns)


@pytest.mark.parametrize("shared", [0, 1, 6])
def test_it_is_a_fit_on_the_one_without_what_is_in_both_and_a_prediction_of_the_other(shared):
    table, test = numbered(60, 0), numbered(45, 1, start=60 - shared)
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    n = 60 - shared
    plain = LogisticRegression(C=0.7).fit(table.select("x")[:n], table.label[:n].astype(str))
    assert found.results[0]["accuracy"]["mean"] == plain.score(test.select("x"), test.label.astype(str))
    assert np.allclose(found.predictions.probabilities, plain.predict_proba(test.select("x")), atol=1e-6)
    assert found.folds["tested"] == 45 and f"{n} photos to train on, 45 to test" in found.folds["method"]
    counted = f"{shared} of the 60 photos to train on {'is' if shared == 1 else 'are'} in"
    assert any(one.startswith(counted) for one in found.warnings) == (shared > 0)


@pytest.mark.parametrize("n", [1, 9])
def test_a_single_photo_or_patient_to_test_settles_nothing(n):
    test = numbered(n, 1, start=60, group=["patient"] * n)
    [pair] = compare(numbered(60, 0), ["x", "y"], [HEAD], test=test, jobs=1).comparisons
    assert pair["same_in_every_fold"] and pair["verdict"] == "undecided" and pair["p_value"] == 1
    assert pair["low"] < -0.4 and pair["high"] > 0.4


def test_groups_that_are_in_both_and_copies_of_their_photos_are_not_trained_on():
    leaf, variant = [f"leaf {i // 3}" for i in range(60)], [9 if i % 10 == 9 else 0 for i in range(60)]
    test = numbered(45, 1, start=60, group=["leaf 3"] + [f"other {i}" for i in range(44)])
    found = compare(numbered(60, 0, group=leaf, variant=variant), ["x"], [HEAD], test=test, jobs=1)
    # Rows 9, 10 and 11, of which 9 is a copy.
    assert "2 of the 54 photos to train on are" in found.warnings[0]
    assert found.predictions.times["n_training"].tolist() == [52]


def test_the_same_name_in_another_folder_is_another_photo():
    table, test = numbered(30, 0, sha256=[None] * 30), numbered(30, 1, sha256=[None] * 30)
    table.metadata["source"] = {"path": "/data/a", "kind": "folder"}
    test.metadata["source"] = {"path": "/data/b/list.csv", "kind": "manifest"}
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    assert table.image[0] == test.image[0] and found.predictions.times["n_training"].tolist() == [30]
    assert found.predictions.rows["image"].tolist() == [f"/data/b/{i}.jpg" for i in range(30)]
    # Nor do tables without a source share a photo by their made-up names.
    unnamed = [FeatureTable.from_arrays({"x": one.vectors["x"]}, label=one.label) for one in (table, test)]
    assert unnamed[0].image[0] == unnamed[1].image[0]
    found = compare(unnamed[0], ["x"], [HEAD], test=unnamed[1], jobs=1)
    assert found.predictions.times["n_training"].tolist() == [30]
    assert not any("in the test table" in one for one in found.warnings)


TRAINING, TESTED = numbered(60, 0), numbered(45, 1, start=60)
WASPS = "9 of 45 photos of the test table have labels that no row.*: wasp"
ONLY_Y = FeatureTable(TESTED.ids, {"y": TESTED.vectors["y"]})
OTHER = FeatureTable(TESTED.ids, TESTED.vectors, {"features": {"x": {"fingerprint": "b" * 64}}})


@pytest.mark.parametrize(
    ("message", "hint", "test"),
    [
        (WASPS, "ant, bee, cat", TESTED.with_column("label", ["wasp"] * 9 + list(TESTED.label[9:]))),
        ("no features named x; it has y", "--features x", ONLY_Y),
        ("made otherwise: width 4 and 6", "same settings", numbered(45, 1, width=6, start=60)),
        ("made otherwise: other fingerprints", "same settings", OTHER),
        ("none of them is ant", "", TRAINING.filter(TRAINING.label == "ant")),  # all of ant is in both
        ("no row is left to test: of 0 rows", "set the split", numbered(3, 1).filter(np.zeros(3, bool))),
    ],
)
def test_bad_pairs_of_tables_are_refused_with_the_way_out(message, hint, test):
    with pytest.raises(BottleheadError, match=message) as caught:
        compare(TRAINING, ["x"], [HEAD], test=test, jobs=1)
    assert hint in caught.value.hint


def test_the_command_tests_the_testing_rows_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbered(60, 0).write("a.parquet")
    numbered(60, 1, start=42, split=["training"] * 15 + ["testing"] * 45).write("b.parquet")
    command = "evaluate compare a.parquet --test b.parquet --features x y --heads softmax -j 1"
    done = run(f"{command} --json r.json --report r.html")
    assert done.status == 0 and "which test 45 photos" in done.out
    assert "warning: 3 of the 60 photos to train on are in the test table" in done.out
    content = json.loads((tmp_path / "r.json").read_text())
    (pair,) = content["comparisons"]
    assert content["folds"]["tested"] == 45
    assert pair["verdict"] in ("ahead", "undecided") and "beats" not in pair["words"]
    assert "3 of the 60 photos to train on" in (tmp_path / "r.html").read_text()
    assert "b.parquet is an input" in run(f"{command} --json b.parquet").error
