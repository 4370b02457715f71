"""Scores by hand, and against scikit-learn on random predictions."""

import math

import numpy as np
import pytest
import sklearn.metrics as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.scores import metrics
from evaluate.scores.metrics import all_scores

NAMES = {2: ["no", "yes"], 3: ["ant", "bee", "cat"], 7: list("abcdefg")}


def test_scores_by_hand():
    label = ["cat"] * 4 + ["dog"] * 2 + ["owl"] * 2
    predicted = ["cat", "cat", "cat", "dog", "dog", "cat", "owl", "owl"]
    assert metrics.accuracy(label, predicted) == 6 / 8
    assert metrics.balanced_accuracy(["cat", "cat"], ["cat", "dog"]) == 0.5  # no image is a dog
    assert metrics.percent_of_rows([[3, 1], [0, 0]]) == [[75.0, 25.0], [0.0, 0.0]]
    # Sure and wrong, and yet finite.
    loss = metrics.log_loss(["cat"], np.array([[0.0, 1.0]]), ["cat", "dog"])
    assert loss == pytest.approx(-math.log(np.finfo(np.float64).eps))
    # In the order asked for, and nothing for a label that is not there.
    found = metrics.per_label(label, predicted, ["owl", "emu", "cat"])
    assert list(found) == ["owl", "emu", "cat"]
    assert found["cat"] == {"precision": 3 / 4, "recall": 3 / 4, "f1": 3 / 4, "support": 4}
    assert found["emu"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_confusion_and_per_label_tell_the_same_story(pairs):
    label, predicted = map(list, zip(*pairs, strict=True))
    matrix = np.array(metrics.confusion(label, predicted, "abc")["matrix"])
    scores = metrics.per_label(label, predicted, "abc")
    assert matrix.sum() == len(pairs)
    assert metrics.accuracy(label, predicted) == pytest.approx(np.trace(matrix) / len(pairs))
    for place, name in enumerate("abc"):
        assert scores[name]["support"] == matrix[place].sum()
        assert scores[name]["recall"] * matrix[place].sum() == pytest.approx(matrix[place, place])
        assert scores[name]["precision"] * matrix[:, place].sum() == pytest.approx(matrix[place, place])


def made(n_labels, seed, n=90):
    """True labels, probabilities that know something of them, and the names of the columns."""
    rng, labels = np.random.default_rng(seed), NAMES[n_labels]
    place = rng.permutation(np.arange(n) % n_labels)
    scores = rng.normal(size=(n, n_labels)) + 1.2 * np.eye(n_labels)[place]
    return np.array(labels)[place], np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("n_labels", [2, 3, 7])
@pytest.mark.parametrize("seed", range(2))
def test_every_score_is_scikit_learns(n_labels, seed):
    label, chances, labels = made(n_labels, seed)
    predicted = metrics.most_probable(chances, labels).astype(str)
    found = all_scores(label, chances, labels)
    report = theirs.classification_report(label, predicted, output_dict=True)
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = report[f"{average} avg"].values()
        scores = {"precision": precision, "recall": recall, "f1": f1}
        assert found["averages"][average] == pytest.approx(scores)
    truth = label[:, None] == np.array(labels)
    if n_labels == 2:
        brier = theirs.brier_score_loss(label, chances[:, 1], pos_label="yes")
        roc_auc, top_k = theirs.roc_auc_score(label == "yes", chances[:, 1]), {}
    else:
        brier = theirs.brier_score_loss(label, chances, labels=labels)
        roc_auc = theirs.roc_auc_score(label, chances, multi_class="ovr")
        ks = [2] if n_labels == 3 else [2, 3, 5]
        top_k = {str(k): theirs.top_k_accuracy_score(label, chances, k=k, labels=labels) for k in ks}
    for score, expected in (
        ("balanced_accuracy", theirs.balanced_accuracy_score(label, predicted)),
        ("macro_f1", report["macro avg"]["f1-score"]),
        ("log_loss", theirs.log_loss(label, chances, labels=labels)),
        ("average_precision", theirs.average_precision_score(truth, chances, average="macro")),
        ("brier", brier),
        ("roc_auc", roc_auc),
        ("top_k", top_k),
    ):
        assert found[score] == pytest.approx(expected), score
    first = theirs.roc_auc_score(truth[:, 0], chances[:, 0])
    assert found["one_vs_rest"][labels[0]]["roc_auc"] == pytest.approx(first)


def test_the_calibration_error_by_hand_and_of_a_head_that_says_what_it_does():
    # Bins of 1/15: 0.55 and 0.6 share (8/15, 9/15], with one of two right; 1.0 lies in the last and is right.
    chances = np.array([[0.55, 0.45], [0.6, 0.4], [0.0, 1.0]])
    found = metrics.calibration_error(["cat", "dog", "dog"], chances, ["cat", "dog"])
    assert found == pytest.approx((abs(0.55 + 0.6 - 1) + 0.0) / 3)
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 20_000)
    label = np.where(rng.random(20_000) < sure, "yes", "no")
    for no, expected in ((1 - sure, 0), ((1 - sure) / 4, 0.1875)):  # the second is too sure
        found = metrics.calibration_error(label, np.column_stack([no, 1 - no]), ["no", "yes"])
        assert found == pytest.approx(expected, abs=0.02)


def test_equal_probabilities_are_ranked_as_predicted_and_ranks_of_a_label_without_images_not_known():
    chances = np.full((1, 4), 0.25)
    assert metrics.most_probable(chances, list("abcd")) == ["a"]
    assert metrics.top_k(["b"], chances, list("abcd"))["2"] == 1.0
    assert metrics.top_k(["c"], chances, list("abcd")) == {"2": 0.0, "3": 1.0}
    found = metrics.one_vs_rest(["cat", "cat"], np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"])
    assert found == {name: {"roc_auc": None, "average_precision": None} for name in ("cat", "dog")}
    assert metrics.mean_over_labels(found, "roc_auc") is None


@settings(max_examples=20)
@given(st.permutations(range(3)), st.integers(0, 50))
def test_the_order_of_the_columns_changes_nothing(order, seed):
    label, chances, labels = made(3, seed, n=30)
    there = all_scores(label, chances, labels)
    back = all_scores(label, chances[:, order], [labels[i] for i in order])
    for score in ("brier", "calibration_error", "log_loss", "roc_auc", "average_precision", "top_k"):
        assert back[score] == pytest.approx(there[score])


def test_sensitivity_and_specificity_by_hand():
    label = np.array(["ill"] * 4 + ["well"] * 6)
    ill = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.1, 0.1, 0.2, 0.3, 0.1])
    chances = np.column_stack([ill, 1 - ill])
    found = all_scores(label, chances, ["ill", "well"], "ill")["positive"]
    assert (found["label"], found["sensitivity"], found["specificity"]) == ("ill", 3 / 4, 5 / 6)
    assert found["precision"] == 3 / 4
    # Of 24 pairs of ill and well, 0.2 loses to 0.6 and 0.3 and draws with 0.2.
    assert found["roc_auc"] == pytest.approx((24 - 2 - 0.5) / 24)
    other = all_scores(label, chances, ["ill", "well"], "well")["positive"]
    assert (other["sensitivity"], other["specificity"]) == (5 / 6, 3 / 4)
    # A share of nothing is not known.
    one = all_scores(np.array(["ill"]), np.array([[0.1, 0.9]]), ["ill", "well"], "ill")["positive"]
    assert (one["sensitivity"], one["specificity"], one["precision"]) == (0.0, None, None)


@pytest.mark.parametrize("n_labels", [2, 7])
def test_the_bins_of_the_reliability_hold_every_image_once(n_labels):
    label, chances, labels = made(n_labels, 4)
    bins = metrics.reliability(label, chances, labels)
    sure, right = chances.max(axis=1), metrics.most_probable(chances, labels).astype(str) == label
    for one in bins:
        inside = (sure > one["low"]) & (sure <= one["high"])
        assert one["images"] == inside.sum() > 0
        assert one["confidence"] == pytest.approx(sure[inside].mean())
        assert one["accuracy"] == pytest.approx(right[inside].mean())
    assert sum(one["images"] for one in bins) == len(label)
    assert [one["low"] for one in bins] == sorted({one["low"] for one in bins})
