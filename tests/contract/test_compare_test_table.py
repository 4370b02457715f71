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
    rng = np.random.default_rng(seed)
    label = np.array(["ant", "bee", "cat"])[np.arange(n) % 3]
    X = rng.normal(size=(n, width)) + (np.arange(n) % 3)[:, None]
    columns.setdefault("sha256", [f"{start + i:064x}" for i in range(n)])
    columns.setdefault("image", [f"{start + i}.jpg" for i in range(n)])
    return FeatureTable.from_arrays({"x": X, "y": X[:, :2]}, label=label, **columns)


def test_it_is_a_fit_on_the_one_and_a_prediction_of_the_other():
    table, test = numbered(60, 0), numbered(45, 1, start=60)
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    plain = LogisticRegression(C=0.7).fit(table.select("x"), table.label.astype(str))
    assert found.results[0]["accuracy"]["mean"] == plain.score(test.select("x"), test.label.astype(str))
    assert np.allclose(found.predictions.probabilities, plain.predict_proba(test.select("x")), atol=1e-6)
    assert found.folds["tested"] == 45 and "60 photos to train on, 45 to test" in found.folds["method"]
    assert "1 fold, the same for all, which test 45 photos" in str(found)


def test_pairs_are_compared_photo_by_photo():
    found = compare(numbered(60, 0), ["x", "y"], [HEAD], test=numbered(45, 1, start=60), jobs=1)
    [pair] = found.comparisons
    assert pair["low"] < pair["difference"] < pair["high"] and 0 <= pair["p_value"] <= 1


@pytest.mark.parametrize("n", [1, 9])
def test_a_single_photo_or_patient_to_test_settles_nothing(n):
    test = numbered(n, 1, start=60, group=["patient"] * n)
    found = compare(numbered(60, 0), ["x", "y"], [HEAD], test=test, jobs=1)
    [pair] = found.comparisons
    assert pair["same_in_every_fold"] and pair["verdict"] == "undecided" and pair["p_value"] == 1
    assert pair["low"] < -0.4 and pair["high"] > 0.4


@pytest.mark.parametrize("shared", [1, 6])
def test_photos_in_both_are_not_trained_on_and_counted(shared):
    table, test = numbered(60, 0), numbered(45, 1, start=60 - shared)
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    plain = LogisticRegression(C=0.7).fit(
        table.select("x")[: 60 - shared], table.label[: 60 - shared].astype(str)
    )
    assert found.results[0]["accuracy"]["mean"] == plain.score(test.select("x"), test.label.astype(str))
    assert found.warnings[0].startswith(
        f"{shared} of the 60 photos to train on {'is' if shared == 1 else 'are'} in"
    )


def test_groups_that_are_in_both_and_copies_of_their_photos_are_not_trained_on():
    leaf = [f"leaf {i // 3}" for i in range(60)]
    variant = [9 if i % 10 == 9 else 0 for i in range(60)]
    table = numbered(60, 0, group=leaf, variant=variant)
    test = numbered(45, 1, start=60, group=["leaf 3"] + [f"other {i}" for i in range(44)])
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    assert (
        "2 of the 54 photos to train on are" in found.warnings[0]
    )  # rows 9, 10 and 11, of which 9 is a copy
    assert found.predictions.times["n_training"].tolist() == [52]


def test_only_the_testing_rows_of_a_test_table_with_a_split():
    test = numbered(45, 1, start=60, split=["testing"] * 30 + ["training"] * 15)
    assert compare(numbered(60, 0), ["x"], [HEAD], test=test, jobs=1).folds["tested"] == 30


def test_the_same_name_in_another_folder_is_another_photo():
    table, test = numbered(30, 0, sha256=[None] * 30), numbered(30, 1, sha256=[None] * 30)
    table.metadata["source"] = {"path": "/data/a", "kind": "folder"}
    test.metadata["source"] = {"path": "/data/b/list.csv", "kind": "manifest"}
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    assert table.image[0] == test.image[0] and found.predictions.times["n_training"].tolist() == [30]
    assert found.predictions.rows["image"].tolist() == [f"/data/b/{i}.jpg" for i in range(30)]


def test_tables_without_a_source_share_no_photo_by_their_made_up_names():
    table, test = (
        FeatureTable.from_arrays({"x": one.vectors["x"]}, label=one.label)
        for one in (numbered(60, 0), numbered(45, 1))
    )
    assert table.image[0] == test.image[0]
    found = compare(table, ["x"], [HEAD], test=test, jobs=1)
    assert found.predictions.times["n_training"].tolist() == [60]
    assert not any("in the test table" in one for one in found.warnings)


def refused(message: str, hint: str, table, test, features=("x",)) -> None:
    with pytest.raises(BottleheadError, match=message) as caught:
        compare(table, list(features), [HEAD], test=test, jobs=1)
    assert hint in caught.value.hint


def test_bad_pairs_of_tables_are_refused_with_the_way_out():
    table, test = numbered(60, 0), numbered(45, 1, start=60)
    strange = test.with_column("label", ["wasp"] * 9 + list(test.label[9:]))
    refused(
        "9 of 45 photos of the test table have labels that no row.*: wasp", "ant, bee, cat", table, strange
    )
    without = FeatureTable(test.ids, {"y": test.vectors["y"]})
    refused("the test table has no features named x; it has y", "--features x", table, without)
    refused("made otherwise: width 4 and 6", "same settings", table, numbered(45, 1, width=6, start=60))
    other = FeatureTable(test.ids, test.vectors, {"features": {"x": {"fingerprint": "b" * 64}}})
    refused("made otherwise: other fingerprints", "same settings", table, other)
    # All of ant is in both.
    again = numbered(60, 0).filter(table.label == "ant")
    refused("none of them is ant", "", table, again)


def test_an_empty_test_table_is_refused():
    with pytest.raises(BottleheadError):
        compare(numbered(60, 0), ["x"], [HEAD], test=numbered(3, 1).filter(np.zeros(3, bool)), jobs=1)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    numbered(60, 0).write("a.parquet")
    numbered(45, 1, start=57).write("b.parquet")
    command = "evaluate compare a.parquet --test b.parquet --heads softmax -j 1"
    done = run(f"{command} --json r.json --report r.html")
    assert done.status == 0 and "which test 45 photos" in done.out
    assert "warning: 3 of the 60 photos to train on are in the test table" in done.out
    assert json.loads((tmp_path / "r.json").read_text())["folds"]["tested"] == 45
    assert "3 of the 60 photos to train on" in (tmp_path / "r.html").read_text()
    assert "b.parquet is an input" in run(f"{command} --json b.parquet").error
