"""Every number of a comparison's JSON against scikit-learn, scipy and formulas written out by hand."""

import json

import numpy as np
import pytest
import sklearn.metrics
from builders import made_table, run, write_folds
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

HEADS = {
    "sklearn.linear_model.LogisticRegression": LogisticRegression,
    "sklearn.naive_bayes.GaussianNB": GaussianNB,
}
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
    done = run(
        *f"evaluate compare {folder}/t.parquet --features good noise --heads".split(),
        *HEADS,
        *f"--folds {folder}/f.csv -j 1 --json {folder}/r.json".split(),
    )
    assert done.status == 0
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
    y, labels = table.label.astype(str), ["ant", "bee", "cat"]
    assert len(content["results"]) == 4
    for row in content["results"]:
        sure = chances[row["features"], row["head"]]
        right = given(sure) == y
        report = sklearn.metrics.classification_report(y, given(sure), output_dict=True)
        assert row["accuracy"]["mean"] == pytest.approx(right.mean())
        assert row["balanced_accuracy"] == pytest.approx(report["macro avg"]["recall"])
        assert row["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
        assert row["log_loss"] == pytest.approx(sklearn.metrics.log_loss(y, sure), rel=1e-5)
        assert row["brier"] == pytest.approx(
            sklearn.metrics.brier_score_loss(y, sure, labels=labels), rel=1e-5
        )
        auc = sklearn.metrics.roc_auc_score(y, sure, multi_class="ovr")
        assert row["roc_auc"] == pytest.approx(auc, abs=1e-4)
        top = sklearn.metrics.top_k_accuracy_score(y, sure, k=2)
        assert row["top_k"] == {"2": pytest.approx(top)}
        for label in labels:
            mine, theirs = row["per_label"][label], report[label]
            assert mine == pytest.approx(
                {
                    "precision": theirs["precision"],
                    "recall": theirs["recall"],
                    "f1": theirs["f1-score"],
                    "support": 30,
                }
            )
        assert row["accuracy_per_fold"] == pytest.approx(
            [right[fold == FOLD].mean() for fold in range(N_FOLDS)]
        )
        # Wilson's interval, as if of fewer photos: the heads of several folds share what they train on.
        z, n, p = 1.959964, N / (1 + 1.5 / N**0.5) ** 2, right.mean()
        centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
        assert [row["accuracy"]["low"], row["accuracy"]["high"]] == pytest.approx(
            [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)]
        )


def test_the_best_is_shown_with_its_confusion_and_its_mistakes(content, chances, table):
    y, best = table.label.astype(str), content["results"][0]
    assert best["accuracy"]["mean"] == max(row["accuracy"]["mean"] for row in content["results"])
    sure = chances[best["features"], best["head"]]
    assert content["best"]["confusion"] == {
        "labels": ["ant", "bee", "cat"],
        "matrix": sklearn.metrics.confusion_matrix(y, given(sure)).tolist(),
    }
    wrong = np.flatnonzero(given(sure) != y)
    wrong = wrong[np.argsort(-sure.max(axis=1)[wrong], kind="stable")]
    assert [one["image"] for one in content["best"]["misclassified"]] == table.image[wrong].tolist()
    assert [one["confidence"] for one in content["best"]["misclassified"]] == pytest.approx(
        sure.max(axis=1)[wrong].tolist(), abs=1e-5
    )
    mean = np.mean([chances[best["features"], head] for head in HEADS], axis=0)
    hardest = np.argsort(mean[np.arange(N), np.searchsorted(["ant", "bee", "cat"], y)], kind="stable")
    shown = [one["image"] for one in content["best"]["hardest"]]
    assert shown == table.image[hardest[: len(shown)]].tolist() and len(shown) > 5
    every = np.all([given(chances[best["features"], head]) != y for head in HEADS], axis=0)
    assert {one["image"] for one in content["best"]["wrong_every_time"]} == set(table.image[every])


def test_every_pair_has_the_interval_and_the_tests_of_the_textbooks(content, chances, table):
    y, pairs = table.label.astype(str), content["comparisons"]
    assert [pair["compares"] for pair in pairs] == ["features", "head"]
    for pair in pairs:
        one, other = (
            given(chances[pair[side]["features"], pair[side]["head"]]) == y for side in ("one", "other")
        )
        n01, n10 = int((other & ~one).sum()), int((one & ~other).sum())
        assert pair["difference"] == pytest.approx(one.mean() - other.mean())
        # McNemar's exact test is the binomial test of the photos on which the two differ.
        assert pair["mcnemar"]["only_one_right"] == n10 and pair["mcnemar"]["only_other_right"] == n01
        assert pair["mcnemar"]["p_value"] == pytest.approx(stats.binomtest(n10, n10 + n01).pvalue)
        # Nadeau and Bengio's corrected t-test over the folds, 18 photos tested and 72 trained on.
        folds = np.array([one[fold == FOLD].mean() - other[fold == FOLD].mean() for fold in range(N_FOLDS)])
        error = (folds.var(ddof=1) * (1 / N_FOLDS + 18 / 72)) ** 0.5
        assert pair["p_value"] == pytest.approx(2 * stats.t.sf(abs(folds.mean()) / error, N_FOLDS - 1))
        better = stats.t.sf((0.01 - folds.mean()) / error, N_FOLDS - 1)
        worse = stats.t.cdf((-0.01 - folds.mean()) / error, N_FOLDS - 1)
        assert pair["probability"] == pytest.approx(
            {"worse": worse, "same": 1 - worse - better, "better": better}
        )
    for tests in (pairs, [pair["mcnemar"] for pair in pairs]):
        small, large = sorted(tests, key=lambda test: test["p_value"])
        assert small["p_holm"] == pytest.approx(min(1, 2 * small["p_value"]))
        assert large["p_holm"] == pytest.approx(max(small["p_holm"], large["p_value"]))
