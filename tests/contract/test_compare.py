"""`compare`: every number follows from the predictions, and the doubts are named."""

import json
import zipfile

import numpy as np
import pytest

from classify import save_model, train_model
from evaluate import compare
from featurize import BottleheadError, FeatureTable


def test_results_follow_from_the_predictions(comparison):
    assert len(comparison.results) == 6
    for row in comparison.results:
        mine = comparison.predictions.of(row["features"], row["head"])
        right = mine.label == mine.predicted
        assert row["accuracy"]["mean"] == pytest.approx(right.mean())
        assert 0 <= row["accuracy"]["low"] <= row["accuracy"]["mean"] <= row["accuracy"]["high"] <= 1
        given = [
            p[list(mine.labels).index(label)] for label, p in zip(mine.label, mine.probabilities, strict=True)
        ]
        assert row["log_loss"] == pytest.approx(-np.log(given).mean())
        assert np.average(row["accuracy_per_fold"], weights=mine.times["n_testing"]) == pytest.approx(
            right.mean()
        )
        assert row["fit_seconds"] == pytest.approx(mine.times["fit_seconds"].mean())


def test_best_first_and_good_features_beat_noise(comparison):
    means = [row["accuracy"]["mean"] for row in comparison.results]
    assert means == sorted(means, reverse=True) and means[0] > 0.6
    assert all(row["features"] == "noise" for row in comparison.results[-2:])
    [against_noise] = [pair for pair in comparison.comparisons if pair["other"]["features"] == "noise"]
    # Enough alone, but not among three comparisons on four folds.
    assert against_noise["p_value"] < 0.05 < against_noise["p_holm"]
    assert against_noise["verdict"] == "ahead" and against_noise["low"] > 0
    assert "not settled among 3 comparisons" in against_noise["words"]
    assert against_noise["probability"]["better"] > 0.98
    noise = next(row for row in comparison.results if row["features"] == "noise")
    assert against_noise["difference"] == pytest.approx(means[0] - noise["accuracy"]["mean"])


def test_a_large_difference_is_said_plainly(confused):
    found = compare(confused, ["good", "noise"], ["softmax"], cv=10, jobs=1)
    [pair] = found.comparisons
    assert pair["p_holm"] == pair["p_value"] < 0.05
    assert pair["words"].startswith("good (softmax) beats noise (softmax) by ")
    assert "practically" not in pair["words"]


def test_a_pair_holds_every_answer(comparison):
    [pair] = [one for one in comparison.comparisons if one["compares"] == "head"]
    mine, its = (comparison.predictions.of(**pair[side]) for side in ("one", "other"))
    right, other = mine.label == mine.predicted, its.label == its.predicted
    assert pair["mcnemar"]["only_one_right"] == (right & ~other).sum()
    assert pair["mcnemar"]["only_other_right"] == (other & ~right).sum()
    assert sum(pair["probability"].values()) == pytest.approx(1) and pair["rope"] == 1.0
    p = np.array([one["p_value"] for one in comparison.comparisons])
    order = np.argsort(p)
    adjusted = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    assert [comparison.comparisons[i]["p_holm"] for i in order] == pytest.approx(adjusted)


def test_the_region_of_equivalence_is_in_points(confused):
    heads = ["softmax", "sklearn.naive_bayes.GaussianNB"]
    same = [
        compare(confused, ["good"], heads, cv=4, rope=rope, jobs=1).comparisons[0]["probability"]["same"]
        for rope in (0, 5, 99)
    ]
    assert same[0] == 0 < same[1] < same[2] and same[2] > 0.99


def test_the_size_of_a_model_is_that_of_its_file(confused, tmp_path):
    found = compare(confused, ["good"], ["softmax", "random-forest:n_estimators=20"], cv=4, jobs=1)
    sizes = {row["head"]: row["model_bytes"] for row in found.results}
    save_model(train_model(confused, "softmax", "good", jobs=1), tmp_path / "good.model")
    with zipfile.ZipFile(tmp_path / "good.model") as archive:
        written = max(member.file_size for member in archive.infolist() if "json" not in member.filename)
    assert sizes["softmax"] == pytest.approx(written, rel=0.1)
    assert sizes["random-forest:n_estimators=20"] > 5 * sizes["softmax"]


def test_sensitivity_is_the_recall_of_the_positive_label(confused):
    two = {"ant": "ant", "bee": "other", "cat": "other"}
    [row] = compare(confused, ["good"], ["softmax"], relabel=two, positive="ant", jobs=1).results
    assert row["positive"]["sensitivity"] == pytest.approx(row["per_label"]["ant"]["recall"])
    assert row["positive"]["specificity"] == pytest.approx(row["per_label"]["other"]["recall"])


def test_the_best_is_told_in_detail(comparison):
    confusion = np.array(comparison.best["confusion"]["matrix"])
    wrong = comparison.best["misclassified"]
    assert np.trace(confusion) / 60 == pytest.approx(comparison.results[0]["accuracy"]["mean"])
    assert len(wrong) == 60 - np.trace(confusion) > 0
    assert [row["confidence"] for row in wrong] == sorted([row["confidence"] for row in wrong], reverse=True)
    assert all(row["image"].startswith(row["label"]) and row["predicted"] != row["label"] for row in wrong)


def test_the_content_survives_json(comparison):
    content = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert content["format_version"] == 1 and content["seed"] == 0
    assert content["data"]["labels"] == {"ant": 20, "bee": 20, "cat": 20}
    assert content["folds"]["cv"] == 4 and content["versions"]["scikit-learn"]
    assert content == comparison.to_dict()


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(confused):
    def timeless(seed):
        rows = compare(confused, ["good"], ["softmax"], cv=3, seed=seed, jobs=1).results
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]

    assert timeless(1) == timeless(1) != timeless(2)


def test_features_are_by_default_each_and_all_together(comparison, confused):
    assert {row["features"] for row in comparison.results} == {"good", "noise", "good+noise"}
    alone = compare(FeatureTable(confused.ids, {"x": confused.vectors["good"]}), heads=["softmax"], jobs=1)
    assert [row["features"] for row in alone.results] == ["x"] and alone.comparisons == []


def test_testing_rows_are_left_out(confused):
    split = ["testing" if row % 4 == 0 else "training" for row in range(60)]
    found = compare(confused.with_column("split", split), ["good"], ["softmax"], cv=3, jobs=1)
    assert found.data["images"] == 45
    assert set(found.predictions.rows["image"]) == set(confused.image[np.array(split) == "training"])


def test_relabelling_merges_and_drops(confused):
    found = compare(
        confused, ["good"], ["softmax"], relabel={"ant": "insect", "bee": "insect", "cat": "cat"}, jobs=1
    )
    assert found.data["labels"] == {"cat": 20, "insect": 40}


def test_identical_photos_stay_together_and_conflicting_labels_are_named(confused):
    sha256 = confused.sha256.copy()
    sha256[1], sha256[21] = sha256[0], sha256[20]
    sha256[40] = sha256[2]
    found = compare(confused.with_column("sha256", sha256), ["good"], ["softmax"], cv=3, jobs=1)
    assert found.data["identical_images"] == 6
    fold = found.predictions.rows.set_index("image")["fold"]
    assert fold["ant/0.jpg"] == fold["ant/1.jpg"] and fold["ant/2.jpg"] == fold["cat/40.jpg"]
    [warning] = [text for text in found.warnings if "byte-identical" in text]
    assert "ant/2.jpg, cat/40.jpg" in warning and "ant/0.jpg" not in warning


@pytest.mark.parametrize(
    ("entry", "doubt"),
    [
        ({"fingerprint": "ab", "weights": {"source": "random"}}, "random, untrained weights"),
        ({"fingerprint": "imported"}, "imported vectors"),
        (None, "does not say how"),
        ({"fingerprint": "ab", "weights": {"source": "imagenet"}}, None),
        ({"fingerprint": "ab", "weights": None}, None),
    ],
)
def test_doubtful_origins_are_named(confused, entry, doubt):
    features = {"good": entry} if entry else {}
    table = FeatureTable(confused.ids, confused.vectors, {"features": features})
    warnings = compare(table, ["good"], ["softmax"], cv=3, jobs=1).warnings
    assert (len(warnings) == 1 and doubt in warnings[0]) if doubt else warnings == []


def test_heads_that_did_not_converge_are_named_once_with_a_count(confused):
    found = compare(confused, ["good"], ["mlp:max_iter=2"], cv=3, jobs=1)
    [warning] = [text for text in found.warnings if "converge" in text]
    assert warning.startswith("mlp:max_iter=2 on good: ") and warning.endswith("(3 of 3 fits)")


def test_with_repeats_an_image_is_misclassified_by_its_mean_probability(confused):
    found = compare(confused, ["good"], ["softmax"], cv=3, repeats=3, jobs=1)
    mine = found.predictions.of("good", "softmax")
    mean = mine.to_frame().groupby("row")[["probability:ant", "probability:bee", "probability:cat"]].mean()
    predicted = mean.idxmax(axis=1).str.removeprefix("probability:")
    expected = {confused.image[row] for row in mean.index if predicted[row] != confused.label[row]}
    assert {row["image"] for row in found.best["misclassified"]} == expected
    assert sum(map(sum, found.best["confusion"]["matrix"])) == 180


def test_the_text_shows_the_best_first_and_the_differences(comparison):
    text = str(comparison)
    lines = text.splitlines()
    assert lines[0] == "60 photos, 3 labels; 4 folds, the same for all"
    starred = [line for line in lines if line.startswith("*  ")]
    assert len(starred) == 1 and comparison.results[0]["head"] in starred[0]
    assert comparison.comparisons[0]["words"] in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "good"}, "features and heads are lists"),
        ({"heads": "svm"}, "features and heads are lists"),
        ({"cv": 21}, "21 folds cannot be made: ant has 20 images"),
        ({"relabel": {"ant": "x", "bee": "x", "cat": "x"}}, "all 60 usable rows have the label x"),
        ({"positive": "ant"}, "of two labels, and here are 3"),
        ({"rope": -1}, "equivalence is -1 points"),
        ({"superclasses": {"ant": "insect", "cat": "pet"}}, "1 of 3 labels have no super-class: bee"),
        ({"relabel": {"ant": "x"}}, "names no new label for bee, cat"),
    ],
)
def test_what_cannot_be_compared_is_refused(confused, options, message):
    with pytest.raises(BottleheadError, match=message):
        compare(confused, jobs=1, **options)


def test_two_heads_that_never_differ_are_not_told_to_be_the_same_for_certain():
    label = np.repeat(["ant", "bee"], 20)
    X = np.c_[label == "bee", np.random.default_rng(0).normal(0, 0.01, 40)]
    found = compare(FeatureTable.from_arrays({"x": X}, label=label), heads=["softmax", "svm"], jobs=1)
    (pair,) = found.comparisons
    assert pair["difference"] == 0 and pair["same_in_every_fold"]
    assert pair["high"] > 0.04 and pair["low"] == -pair["high"] and pair["probability"]["same"] < 0.99
    assert "cannot be told apart" in pair["words"] and "the same in every fold" in pair["words"]


def test_the_terminal_names_the_method_of_its_intervals(comparison):
    assert "intervals: Wilson on one prediction per photo, wider where" in str(comparison)


def test_swapped_labels_are_suspected_first(separable):
    label = separable.label.copy()
    label[3], label[25] = "bee", "cat"
    found = compare(separable.with_column("label", label), ["wide"], ["softmax"], jobs=1)
    suspects = found.best["label_suspects"]
    assert {one["image"]: one["suggested"] for one in suspects[:2]} == {
        separable.image[3]: "ant",
        separable.image[25]: "bee",
    }
