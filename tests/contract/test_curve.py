"""The learning curve: what trains at each size, the fitted law, and guesses that are called guesses."""

import json
import re

import numpy as np
import pytest
from builders import run

from evaluate import compare, learning_curve
from featurize import BottleheadError, FeatureTable

BAYES = "sklearn.naive_bayes.GaussianNB"


def test_compare_measures_the_curve_of_the_best_pair_on_its_own_folds(confused):
    found = compare(confused, ["good", "noise"], ["softmax"], cv=4, seed=3, curve=True, jobs=1)
    alone = learning_curve(confused, "good", "softmax", cv=4, seed=3, jobs=1)
    content = alone.to_dict()
    names = ("model", "points", "fit", "guesses", "gains", "advice")
    assert found.learning_curve == {name: content[name] for name in names}
    # The largest size is what compare measures.
    last, row = alone.points[-1], found.results[0]
    assert last["images_per_label"] == last["n_training"] / 3 == 15
    assert last["accuracy"] == row["accuracy"]
    assert last["recall"] == {name: scores["recall"] for name, scores in row["per_label"].items()}
    assert "softmax on good with ever more images per label" in str(found)
    assert "curve" in found.to_dict()["methods"] and "Learning curve" in found.to_html()
    assert compare(confused, ["good"], [BAYES], cv=2, jobs=1).learning_curve is None
    # A label with fewer images gives all it has.
    few = confused.filter((confused.label != "cat") | (np.arange(60) < 48))
    point = learning_curve(few, "good", BAYES, sizes=[15], cv=4, jobs=1).points[0]
    assert point["n_training"] == 15 + 15 + 6 and point["images_per_label"] == 12


def test_three_sizes_fit_anything_and_so_guess_nothing_and_guesses_are_called_guesses(confused):
    curve = learning_curve(confused, "good", BAYES, sizes=[3, 6, 12], cv=4, jobs=1)
    assert (curve.fit, curve.guesses, set(curve.gains.values())) == (None, [], {None})
    assert "Four sizes or more are needed" in str(curve)
    curve = learning_curve(confused, "good", BAYES, sizes=[3, 5, 8, 15], cv=4, jobs=1)
    sentences = re.findall(r"A guess: .*", str(curve))
    assert len(sentences) == 4 and sentences[0].startswith("A guess: with 30 images per label")
    assert [guess["images_per_label"] for guess in curve.guesses] == [30, 60]


def of_three_labels(sizes, raised, seed):
    """Each label has one of eight numbers of its own raised."""
    codes, rng = np.repeat(np.arange(3), sizes), np.random.default_rng(seed)
    X = rng.normal(size=(len(codes), 8))
    X[np.arange(len(codes)), codes] += np.array(raised)[codes]
    return FeatureTable.from_arrays({"x": X}, label=np.array(["common", "rare", "seldom"])[codes])


def test_the_commonest_label_is_never_the_one_to_photograph():
    for seed in range(2):
        curve = learning_curve(of_three_labels((160, 20, 8), (1.6, 1.6, 1.6), seed), "x", BAYES, jobs=1)
        assert curve.advice.label != "common"
        rises = {name: rise.mean for name, rise in curve.advice.rises.items()}
        assert rises["common"] < min(rises["rare"], rises["seldom"])
        # Their own counts stand still while the commonest label grows: they say nothing of twice as many.
        assert curve.gains["rare"] is curve.gains["seldom"] is None is not curve.gains["common"]
        assert "bring rare and seldom is not told" in str(curve)


def test_of_equally_many_photos_those_of_the_hard_label_are_wanted_and_alike_labels_are_not_told_apart():
    curve = learning_curve(
        of_three_labels((100, 100, 100), (4, 4, 1.5), 1), "x", sizes=[10, 20, 40, 80], jobs=1
    )
    assert curve.advice.label == "seldom" and "photograph more seldom." in str(curve)
    alike = learning_curve(of_three_labels((60, 60, 60), (2, 2, 2), 0), "x", BAYES, jobs=1)
    assert alike.advice.label is None and "do not tell which label to photograph" in str(alike)
    assert "photograph more" not in str(alike)


def test_sizes_and_features_that_are_not_there_are_refused(confused):
    vectors = {**confused.vectors, "nuisance": confused.vectors["noise"]}
    everything = learning_curve(FeatureTable(confused.ids, vectors), sizes=[5], cv=2, jobs=1)
    assert everything.model["features"] == "good+noise"  # by default, and never the nuisance
    for sizes in ([1, 5], [5, 16], []):
        with pytest.raises(BottleheadError, match="trains on at most 15 images of a label"):
            learning_curve(confused, "good", sizes=sizes, cv=4, jobs=1)
    with pytest.raises(BottleheadError, match="no features named glcm"):
        learning_curve(confused, "glcm", cv=4, jobs=1)
    with pytest.raises(BottleheadError, match="the table has no features"):
        learning_curve(FeatureTable(confused.ids, {}), sizes=[5], cv=2, jobs=1)


def test_the_command_prints_and_writes_all(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos.write("table.parquet")
    words = "--features good --sizes 3 5 8 12 -j 1 --report c.html --json c.json --quiet"
    out = run(f"evaluate curve table.parquet {words}").out
    content = json.loads((tmp_path / "c.json").read_text())
    assert content["kind"] == "curve" and [p["images_per_label"] for p in content["points"]] == [3, 5, 8, 12]
    assert content["model"] == {"features": "good", "head": "softmax"}
    assert "images per label" in out and "A guess: with 24 images per label" in out
    page = (tmp_path / "c.html").read_text()
    assert page.count('class="measured"') == 4 and page.count('class="guess"') == 2
    assert "A guess: with 24 images per label" in page and page.count("<script") == 1
    refused = run("evaluate curve table.parquet --sizes 99")
    assert "give whole numbers from 2 to 16" in refused.hint and refused.err.startswith("curve uses all rows")


def patients(n_patients: int, photos_each: int) -> FeatureTable:
    n = 2 * n_patients * photos_each
    label = np.repeat(["rust", "well"], n // 2)
    x = np.random.default_rng(0).normal(size=(n, 3)) + (label == "well")[:, None]
    group, sha256 = [f"patient {i // photos_each}" for i in range(n)], [f"{i:064x}" for i in range(n)]
    return FeatureTable.from_arrays({"x": x}, label=label, group=group, sha256=sha256)


def test_sizes_that_come_to_the_same_photos_are_one_and_named_as_they_are():
    # Of 5 patients of a label 4 train a fold: 120 photos are two of them, and 240 all four.
    curve = learning_curve(patients(5, 60), "x", BAYES, cv=5, jobs=1)
    assert [point["images_per_label"] for point in curve.points] == [120, 180, 240]
    assert [point["n_training"] for point in curve.points] == [240, 360, 480]
    assert "240" in str(curve)
    assert "120, 180 and 240 images per label" in curve.to_dict()["methods_paragraph"]["text"]
    equal = learning_curve(patients(5, 60), "x", BAYES, sizes=[2, 3, 4, 5, 6, 7], cv=5, jobs=1)
    assert len(equal.points) == 1 and equal.fit is None
    json.dumps(equal.to_dict(), allow_nan=False)


@pytest.mark.parametrize("head", ["svm", "knn", "lda"])
def test_heads_that_are_calibrated_have_two_groups_at_every_size(head):
    found = compare(patients(8, 5), ["x"], [head], cv=4, curve=True, jobs=1)
    # Six patients of a label train a fold: two, four and six of them.
    assert [point["images_per_label"] for point in found.learning_curve["points"]] == [10, 20, 30]


def test_a_size_too_small_to_tune_on_is_left_out_of_the_curve_of_a_tuned_head_and_said(caplog):
    # Within two groups of a label each inner fold trains on one, and that cannot be calibrated.
    found = compare(patients(12, 5), ["x"], ["knn"], tune="accuracy", cv=2, curve=True, jobs=1)
    assert [point["images_per_label"] for point in found.learning_curve["points"]] == [20, 30]
    assert found.learning_curve["model"]["head"] == found.results[0]["head"] == "knn tuned"
    assert "10 images per label are left out of the curve: the head knn tuned failed" in caplog.text
