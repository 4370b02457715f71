"""`compare`: what decides the order, heads that are tuned, the doubts that are named, and what is refused."""

import json
import zipfile

import numpy as np
import pytest
from builders import run, twin_table

from classify import save_model, train_model
from evaluate import compare
from featurize import BottleheadError, FeatureTable

BAYES = "sklearn.naive_bayes.GaussianNB"


def test_best_first_with_the_differences_and_the_method_and_good_features_beat_noise(comparison):
    means = [row["accuracy"]["mean"] for row in comparison.results]
    assert means == sorted(means, reverse=True) and means[0] > 0.6
    assert {row["features"] for row in comparison.results} == {"good", "noise", "good+noise"}
    assert all(row["features"] == "noise" for row in comparison.results[-2:])
    [against_noise] = [pair for pair in comparison.comparisons if pair["other"]["features"] == "noise"]
    # Enough alone, but not among three comparisons on four folds.
    assert against_noise["p_value"] < 0.05 < against_noise["p_holm"]
    assert against_noise["verdict"] == "ahead" and against_noise["low"] > 0
    assert "not settled among 3 comparisons" in against_noise["words"]
    assert against_noise["probability"]["better"] > 0.97
    text = str(comparison)
    assert text.splitlines()[0] == "60 photos, 3 labels; 4 folds, the same for all"
    [starred] = [line for line in text.splitlines() if line.startswith("*  ")]
    assert comparison.results[0]["head"] in starred
    assert comparison.comparisons[0]["words"] in text
    assert "intervals: Wilson on one prediction per photo, wider where" in text


def test_the_size_of_a_model_is_that_of_its_file(confused, tmp_path):
    found = compare(confused, ["good"], ["softmax", "random-forest:n_estimators=20"], cv=2, jobs=1)
    sizes = {row["head"]: row["model_bytes"] for row in found.results}
    save_model(train_model(confused, "softmax", "good", jobs=1), tmp_path / "good.model")
    with zipfile.ZipFile(tmp_path / "good.model") as archive:
        written = max(member.file_size for member in archive.infolist() if "json" not in member.filename)
    assert sizes["softmax"] == pytest.approx(written, rel=0.1)
    assert sizes["random-forest:n_estimators=20"] > 5 * sizes["softmax"]


def test_identical_photos_stay_together_conflicting_labels_are_named_and_testing_rows_left_out(confused):
    sha256, split = confused.sha256.copy(), ["testing" if row % 4 == 3 else "training" for row in range(60)]
    sha256[1], sha256[21], sha256[40] = sha256[0], sha256[20], sha256[2]
    table = confused.with_column("sha256", sha256).with_column("split", split)
    found = compare(table, ["good"], [BAYES], cv=3, jobs=1)
    assert set(found.predictions.rows["image"]) == set(confused.image[np.arange(60) % 4 < 3])
    assert (found.data["images"], found.data["identical_images"]) == (45, 6)
    fold = found.predictions.rows.set_index("image")["fold"]
    assert fold["ant/0.jpg"] == fold["ant/1.jpg"] and fold["ant/2.jpg"] == fold["cat/40.jpg"]
    [warning] = [text for text in found.warnings if "byte-identical" in text]
    assert "ant/2.jpg, cat/40.jpg" in warning and "ant/0.jpg" not in warning


@pytest.mark.parametrize(
    ("entry", "doubts"),
    [
        ({"good": {"fingerprint": "ab", "weights": {"source": "random"}}}, ["random, untrained weights"]),
        ({"good": {"fingerprint": "imported"}}, ["imported vectors"]),
        ({}, ["does not say how"]),
        ({"good": {"fingerprint": "ab", "weights": {"source": "imagenet"}}}, []),
        ({"good": {"fingerprint": "ab", "weights": None}}, []),
    ],
)
def test_doubtful_origins_are_named(confused, entry, doubts):
    table = FeatureTable(confused.ids, confused.vectors, {"features": entry})
    warnings = compare(table, ["good"], [BAYES], cv=2, jobs=1).warnings
    assert len(warnings) == len(doubts) and all(doubt in warnings[0] for doubt in doubts)


def test_heads_that_did_not_converge_are_named_once_with_a_count(confused):
    found = compare(confused, ["good"], ["mlp:max_iter=2"], cv=3, jobs=1)
    [warning] = [text for text in found.warnings if "converge" in text]
    assert warning.startswith("mlp:max_iter=2 on good: ") and warning.endswith("(3 of 3 fits)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cv": 21}, "21 folds cannot be made: ant has 20 images"),
        ({"superclasses": {"ant": "insect", "cat": "pet"}}, "1 of 3 labels have no super-class: bee"),
        ({"relabel": {"ant": "x"}}, "names no new label for bee, cat"),
        ({"heads": ["softmax"], "tune": "f1"}, "unknown tuning score"),
    ],
)
def test_what_cannot_be_compared_is_refused(confused, options, message):
    with pytest.raises(BottleheadError, match=message):
        compare(confused, jobs=1, **options)


def test_two_heads_that_never_differ_are_not_told_to_be_the_same_for_certain():
    label = np.repeat(["ant", "bee"], 20)
    X = np.c_[label == "bee", np.random.default_rng(0).normal(0, 0.01, 40)]
    found = compare(FeatureTable.from_arrays({"x": X}, label=label), heads=["softmax", BAYES], jobs=1)
    (pair,) = found.comparisons
    assert pair["difference"] == 0 and pair["same_in_every_fold"]
    assert pair["high"] > 0.04 and pair["low"] == -pair["high"] and pair["probability"]["same"] < 0.99
    assert "cannot be told apart" in pair["words"] and "the same in every fold" in pair["words"]


def test_steps_are_compared_beside_what_is_tuned():
    found = compare(twin_table(), ["x"], ["softmax:steps=3", "mlp:steps=3"], cv=2, tune="log-loss", jobs=1)
    rows = {row["head"]: row for row in found.results}
    # It has no C to search; the mlp has its alpha and its layer.
    assert rows["softmax:steps=3"]["tuned"] is None
    assert all("alpha=" in spec for spec in rows["mlp:steps=3 tuned"]["tuned"])


def test_the_command_tunes_with_balanced_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twin_table().write("t.parquet")
    words = "--cv 2 -j 1 --tune-by accuracy --balanced --json r.json"
    assert run(f"evaluate compare t.parquet --heads softmax naive-bayes {words}").status == 0
    for row in json.loads((tmp_path / "r.json").read_text())["results"]:
        assert "class_weight=balanced" in row["head"] and len(row["tuned"]) == 2
        assert all("class_weight=balanced" in spec for spec in row["tuned"])
