"""Every number of a comparison's JSON against scikit-learn, scipy and formulas written out by hand.

Over folds, and over one division, where nothing may be said of heads trained on other photos.
"""

import json

import numpy as np
import pytest
import sklearn.metrics
from builders import made_table, run, write_folds
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit
from sklearn.naive_bayes import GaussianNB

from evaluate import compare
from featurize import FeatureTable

NAMES = ("sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB")
HEADS = dict(zip(NAMES, (LogisticRegression, GaussianNB), strict=True))
N, N_FOLDS = 90, 5
FOLD = np.arange(N) // 3 % N_FOLDS


@pytest.fixture(scope="module")
def table():
    return made_table(N, separation=1.2, seed=3)


@pytest.fixture(scope="module")
def content(table, tmp_path_factory):
    """The JSON of a comparison of two plain heads on two features, over folds from a file."""
    folder = tmp_path_factory.mktemp("scores")
    table.write(folder / "t.parquet")
    write_folds(folder / "f.csv", FOLD.tolist())
    words = f"--features good noise --heads {' '.join(HEADS)} --folds {folder}/f.csv -j 1"
    assert run(f"evaluate compare {folder}/t.parquet {words} --json {folder}/r.json").status == 0
    return json.loads((folder / "r.json").read_text())


@pytest.fixture(scope="module")
def chances(table):
    """Per features and head the probabilities that plain scikit-learn gives each photo out of its fold."""
    y, found = table.label.astype(str), {}
    for features in ("good", "noise"):
        X = table.select(features).astype(float)
        for name, kind in HEADS.items():
            found[features, name] = np.empty((N, 3))
            for fold in range(N_FOLDS):
                head = kind().fit(X[fold != FOLD], y[fold != FOLD])
                found[features, name][fold == FOLD] = head.predict_proba(X[fold == FOLD])
    return found


def given(chances):
    return np.array(["ant", "bee", "cat"])[chances.argmax(axis=1)]


def test_every_row_has_the_scores_of_scikit_learn(content, chances, table):
    y, labels, theirs = table.label.astype(str), ["ant", "bee", "cat"], sklearn.metrics
    assert len(content["results"]) == 4
    for row in content["results"]:
        sure = chances[row["features"], row["head"]]
        right = given(sure) == y
        report = theirs.classification_report(y, given(sure), output_dict=True)
        assert row["accuracy"]["mean"] == pytest.approx(right.mean())
        assert row["balanced_accuracy"] == pytest.approx(report["macro avg"]["recall"])
        assert row["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
        assert row["log_loss"] == pytest.approx(theirs.log_loss(y, sure), rel=1e-5)
        assert row["brier"] == pytest.approx(theirs.brier_score_loss(y, sure, labels=labels), rel=1e-5)
        assert row["roc_auc"] == pytest.approx(theirs.roc_auc_score(y, sure, multi_class="ovr"), abs=1e-4)
        assert row["top_k"] == {"2": pytest.approx(theirs.top_k_accuracy_score(y, sure, k=2))}
        for label in labels:
            expected = {"f1" if key == "f1-score" else key: value for key, value in report[label].items()}
            assert row["per_label"][label] == pytest.approx(expected)
        of_fold = [right[fold == FOLD].mean() for fold in range(N_FOLDS)]
        assert row["accuracy_per_fold"] == pytest.approx(of_fold)
        # Wilson's interval, as if of fewer photos: the heads of several folds share what they train on.
        z, n, p = 1.959964, N / (1 + 1.5 / N**0.5) ** 2, right.mean()
        centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
        ends = [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]
        assert [row["accuracy"]["low"], row["accuracy"]["high"]] == pytest.approx(ends)


def test_the_best_is_shown_with_its_confusion_and_its_mistakes(content, chances, table):
    y, row, best = table.label.astype(str), content["results"][0], content["best"]
    assert row["accuracy"]["mean"] == max(one["accuracy"]["mean"] for one in content["results"])
    sure = chances[row["features"], row["head"]]
    matrix = sklearn.metrics.confusion_matrix(y, given(sure)).tolist()
    assert best["confusion"] == {"labels": ["ant", "bee", "cat"], "matrix": matrix}
    wrong = np.flatnonzero(given(sure) != y)
    wrong = wrong[np.argsort(-sure.max(axis=1)[wrong], kind="stable")]
    assert [one["image"] for one in best["misclassified"]] == table.image[wrong].tolist()
    confidence = [one["confidence"] for one in best["misclassified"]]
    assert confidence == pytest.approx(sure.max(axis=1)[wrong].tolist(), abs=1e-5)
    mean = np.mean([chances[row["features"], head] for head in HEADS], axis=0)
    hardest = np.argsort(mean[np.arange(N), np.searchsorted(["ant", "bee", "cat"], y)], kind="stable")
    shown = [one["image"] for one in best["hardest"]]
    assert shown == table.image[hardest[: len(shown)]].tolist() and len(shown) > 5
    every = np.all([given(chances[row["features"], head]) != y for head in HEADS], axis=0)
    assert {one["image"] for one in best["wrong_every_time"]} == set(table.image[every])


def test_every_pair_has_the_interval_and_the_tests_of_the_textbooks(content, chances, table):
    y, pairs = table.label.astype(str), content["comparisons"]
    assert [pair["compares"] for pair in pairs] == ["features", "head"]
    for pair in pairs:
        one, other = (given(chances[tuple(pair[side].values())]) == y for side in ("one", "other"))
        n01, n10 = int((other & ~one).sum()), int((one & ~other).sum())
        assert pair["difference"] == pytest.approx(one.mean() - other.mean())
        # Wald's interval with half a photo and a photo more (Bonett and Price), as if of fewer photos.
        n = N / (1 + 1.5 / N**0.5) ** 2
        first, second = ((count / N * n + 0.5) / (n + 1) for count in (n10, n01))
        half = 1.959964 * ((first + second - (first - second) ** 2) / (n + 1)) ** 0.5
        assert [pair["low"], pair["high"]] == pytest.approx([first - second - half, first - second + half])
        # McNemar's exact test is the binomial test of the photos on which the two differ.
        assert pair["mcnemar"]["only_one_right"] == n10 and pair["mcnemar"]["only_other_right"] == n01
        assert pair["mcnemar"]["p_value"] == pytest.approx(stats.binomtest(n10, n10 + n01).pvalue)
        # Nadeau and Bengio's corrected t-test over the folds, 18 photos tested and 72 trained on.
        folds = np.array([one[fold == FOLD].mean() - other[fold == FOLD].mean() for fold in range(N_FOLDS)])
        error = (folds.var(ddof=1) * (1 / N_FOLDS + 18 / 72)) ** 0.5
        assert pair["p_value"] == pytest.approx(2 * stats.t.sf(abs(folds.mean()) / error, N_FOLDS - 1))
        better = stats.t.sf((0.01 - folds.mean()) / error, N_FOLDS - 1)
        worse = stats.t.cdf((-0.01 - folds.mean()) / error, N_FOLDS - 1)
        expected = {"worse": worse, "same": 1 - worse - better, "better": better}
        assert pair["probability"] == pytest.approx(expected)
    for tests in (pairs, [pair["mcnemar"] for pair in pairs]):
        small, large = sorted(tests, key=lambda test: test["p_value"])
        assert small["p_holm"] == pytest.approx(min(1, 2 * small["p_value"]))
        assert large["p_holm"] == pytest.approx(max(small["p_holm"], large["p_value"]))


def test_photos_that_are_tested_unequally_often_count_once_each():
    """Drawn anew each time, some photos are tested three times and some never."""
    table = made_table(60, separation=1.0)
    draws = ShuffleSplit(4, test_size=0.4, random_state=1)
    found = compare(table, ["good"], ["softmax"], folds=draws, jobs=1)
    row, frame = found.results[0], found.predictions.to_frame()
    times = frame["image"].map(frame["image"].value_counts())
    assert len(set(times)) > 2
    y, predicted, weight = frame["label"].astype(str), frame["predicted"].astype(str), 1 / times
    sure = frame.filter(like="probability:").to_numpy()
    theirs, labels = sklearn.metrics, ["ant", "bee", "cat"]
    matrix = theirs.confusion_matrix(y, predicted, sample_weight=weight)
    np.testing.assert_allclose(found.best.confusion.matrix, matrix)
    photos = frame.drop_duplicates("image")
    assert {name: one.support for name, one in row.per_label.items()} == dict(photos["label"].value_counts())
    assert row.accuracy.mean == pytest.approx(matrix.trace() / len(photos))
    assert row.balanced_accuracy == pytest.approx(
        theirs.balanced_accuracy_score(y, predicted, sample_weight=weight)
    )
    assert row.log_loss == pytest.approx(theirs.log_loss(y, sure, sample_weight=weight))
    brier = theirs.brier_score_loss(y, sure, labels=labels, sample_weight=weight)
    assert row.brier == pytest.approx(brier)
    auc = theirs.roc_auc_score(y == "bee", sure[:, 1], sample_weight=weight)
    assert row.one_vs_rest["bee"].roc_auc == pytest.approx(auc)
    top = theirs.top_k_accuracy_score(y, sure, k=2, sample_weight=weight)
    assert row.top_k["2"] == pytest.approx(top)


def test_one_fold_gives_intervals_and_differences_of_a_test_set():
    rng = np.random.default_rng(3)
    label = np.array(["rust", "well"])[np.arange(200) % 2]
    X = rng.normal(size=(200, 2)) + (label == "well")[:, None]
    vectors, split = {"x": X, "noise": rng.normal(size=(200, 1))}, ["training"] * 120 + ["validation"] * 80
    table = FeatureTable.from_arrays(vectors, label=label, split=split)
    found = compare(table, ["x", "noise"], ["softmax"], folds="predefined", jobs=1)
    mine = [found.predictions.of(features, "softmax") for features in ("x", "noise")]
    right = [one.label == one.predicted for one in mine]
    (pair,) = found.comparisons
    assert pair["p_value"] == pytest.approx(stats.ttest_1samp(right[0].astype(float) - right[1], 0).pvalue)
    # Wald's interval with half a photo and a photo more (Bonett and Price); one division widens nothing.
    first, second = (((a & ~b).sum() + 0.5) / 81 for a, b in (right, right[::-1]))
    half = 1.959964 * ((first + second - (first - second) ** 2) / 81) ** 0.5
    assert (pair["low"], pair["high"]) == pytest.approx((first - second - half, first - second + half))
    assert found.results[0]["accuracy"]["mean"] == right[0].mean()
    # However small p, one training says nothing of heads trained on other photos; nor is it said that it was folds.
    assert pair["p_holm"] < 0.05 and pair["verdict"] == "ahead"
    assert "not settled for other training photos" in pair["words"]
    content, page = found.to_dict(), found.to_html()
    for words in (*content["methods"].values(), content["methods_paragraph"]["text"], page):
        assert "over the folds" not in words and "Nadeau" not in words
    assert "paired t-test over the groups tested" in content["methods_paragraph"]["text"]
    assert "the t-test over the groups tested, alone" in page


def test_the_base_rate_is_that_of_the_photos_tested():
    """60 to train on, mostly fern; 20 to test, of which 15 are moss."""
    label = np.array(["fern"] * 50 + ["moss"] * 10 + ["fern"] * 5 + ["moss"] * 15)
    X, split = np.random.default_rng(0).normal(size=(80, 2)), ["training"] * 60 + ["validation"] * 20
    table = FeatureTable.from_arrays({"x": X}, label=label, split=split)
    found = compare(table, ["x"], ["softmax"], folds="predefined", jobs=1)
    assert "Always answering moss, the commonest label, would be right on 75.0 %." in found.to_html()
