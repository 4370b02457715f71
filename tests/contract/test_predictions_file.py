"""``--predictions``: from the file alone, scikit-learn's own functions give the scores that are reported."""

import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as theirs
from builders import leaf_table, made_table, run

import evaluate
from classify import save_model, train_model

READ = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


def agrees(frame, row, confusion):
    """Whether the scores of a row, and a confusion, are those of a file's lines about one pair."""
    label, predicted = frame["label"], frame["predicted"]
    chances = frame.filter(regex="^probability:")
    labels = [name.removeprefix("probability:") for name in chances]
    n_repeats = len(set(frame["repeat"]))
    accuracy = row["accuracy"] if isinstance(row["accuracy"], float) else row["accuracy"]["mean"]
    assert accuracy == pytest.approx(theirs.accuracy_score(label, predicted))
    balanced = theirs.balanced_accuracy_score(label, predicted)
    assert row["balanced_accuracy"] == pytest.approx(balanced)
    assert row["macro_f1"] == pytest.approx(theirs.f1_score(label, predicted, average="macro"))
    assert row["log_loss"] == pytest.approx(theirs.log_loss(label, chances.to_numpy(), labels=labels))
    for place, name in enumerate(labels):
        auc = theirs.roc_auc_score(label == name, chances.iloc[:, place])
        assert row["one_vs_rest"][name]["roc_auc"] == pytest.approx(auc)
        average = theirs.average_precision_score(label == name, chances.iloc[:, place])
        assert row["one_vs_rest"][name]["average_precision"] == pytest.approx(average)
    if confusion:
        matrix = theirs.confusion_matrix(label, predicted, labels=labels) / n_repeats
        np.testing.assert_allclose(confusion["matrix"], matrix)


@pytest.mark.parametrize("ending", READ)
def test_scikit_learns_scores_of_the_file_of_compare_are_ours(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    made_table(48, separation=1.0).write("t.parquet")
    words = "evaluate compare t.parquet --heads softmax knn --cv 3 --repeats 2 -j 1 --json r.json"
    smaller = "evaluate compare t.parquet --features good --heads dummy --cv 2 -j 1"
    for command in (smaller, words):  # the file may be written over
        done = run(f"{command} --predictions p{ending}")
        assert done.status == 0 and f"wrote p{ending}" in done.err
    frame, content = READ[ending](f"p{ending}"), json.loads((tmp_path / "r.json").read_text())
    assert len(frame) == 48 * 2 * 6
    best = content["results"][0]
    for row in content["results"]:
        own = frame[(frame["features"] == row["features"]) & (frame["head"] == row["head"])]
        assert own.groupby("repeat")["image"].nunique().tolist() == [48] * 2
        agrees(own, row, content["best"]["confusion"] if row is best else None)
        of_fold = own.groupby(["repeat", "fold"])[["label", "predicted"]].apply(
            lambda one: (one["label"] == one["predicted"]).mean()
        )
        assert row["accuracy_per_fold"] == pytest.approx(of_fold.tolist())


@pytest.mark.parametrize("ending", READ)
def test_scikit_learns_scores_of_the_file_of_test_are_ours_where_a_threshold_decides(
    tmp_path, monkeypatch, ending
):
    monkeypatch.chdir(tmp_path)
    table = leaf_table(40, 3)
    half = np.arange(120) < 60
    threshold = {"positive": "rust", "threshold": "recall=0.95"}
    save_model(train_model(table.filter(half), "softmax", "x", jobs=1, **threshold), "m.model")
    table.filter(~half).write("t.parquet")
    assert run(f"evaluate test m.model t.parquet --json r.json --predictions p{ending}").status == 0
    frame, content = READ[ending](f"p{ending}"), json.loads((tmp_path / "r.json").read_text())
    likeliest = np.where(frame["probability:rust"] > frame["probability:well"], "rust", "well")
    assert (frame["predicted"] != likeliest).any()
    agrees(frame, content, content["confusion"])
    assert frame["group"].tolist() == [f"leaf {leaf}" for leaf in np.repeat(np.arange(20, 40), 3)]
    assert (frame.groupby("group")["kept_together"].nunique() == 1).all()


def test_from_python_the_frame_has_the_columns_of_the_file(tmp_path):
    table = leaf_table(12, 2)
    model = train_model(table, "softmax", "x", jobs=1)
    compared, tested = evaluate.compare(table, ["x"], ["softmax"], cv=3, jobs=1), evaluate.test(model, table)
    names = ["image", "label", "predicted", "probability:rust", "probability:well", "features", "head"]
    names += ["fold", "repeat", "group", "kept_together"]
    for found in (compared, tested):
        found.predictions.write(tmp_path / "p.parquet")
        written, frame = pd.read_parquet(tmp_path / "p.parquet"), found.predictions.to_frame()
        assert list(written.columns) == names
        pd.testing.assert_frame_equal(written, frame[names], check_dtype=False)


def test_a_table_without_groups_leaves_the_column_empty(tmp_path):
    found = evaluate.compare(made_table(30), ["good"], ["softmax"], cv=3, jobs=1)
    found.predictions.write(tmp_path / "p.csv")
    frame = pd.read_csv(tmp_path / "p.csv")
    assert frame["group"].isna().all() and frame["kept_together"].nunique() == 30
