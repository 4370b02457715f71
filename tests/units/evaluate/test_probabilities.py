"""Scores of probabilities against scikit-learn on random predictions, and at their ends."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.scores import metrics
from evaluate.scores.metrics import all_scores, check_positive
from featurize.errors import UsageError

NAMES = {2: ["no", "yes"], 3: ["ant", "bee", "cat"], 7: list("abcdefg")}


def made(n_labels, seed, n=90):
    """True labels, probabilities that know something of them, and the names of the columns."""
    rng = np.random.default_rng(seed)
    place = rng.permutation(np.arange(n) % n_labels)
    scores = rng.normal(size=(n, n_labels)) + 1.2 * np.eye(n_labels)[place]
    return (
        np.array(NAMES[n_labels])[place],
        np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True),
        NAMES[n_labels],
    )


@pytest.mark.parametrize("n_labels", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_every_score_is_scikit_learns(n_labels, seed):
    label, chances, labels = made(n_labels, seed)
    predicted = metrics.most_probable(chances, labels).astype(str)
    found = all_scores(label, chances, labels)
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(label, predicted)
    )
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(label, chances, labels=labels))
    report = sklearn.metrics.classification_report(label, predicted, output_dict=True)
    for average in ("macro", "weighted"):
        expected = report[f"{average} avg"]
        assert found["averages"][average] == pytest.approx(
            {"precision": expected["precision"], "recall": expected["recall"], "f1": expected["f1-score"]}
        )
    assert found["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    if n_labels == 2:
        brier = sklearn.metrics.brier_score_loss(label, chances[:, 1], pos_label=labels[1])
        assert found["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(label == "yes", chances[:, 1]))
        assert found["top_k"] == {}
    else:
        brier = sklearn.metrics.brier_score_loss(label, chances, labels=labels)
        assert found["roc_auc"] == pytest.approx(
            sklearn.metrics.roc_auc_score(label, chances, multi_class="ovr")
        )
        assert found["top_k"] == pytest.approx(
            {
                str(k): sklearn.metrics.top_k_accuracy_score(label, chances, k=k, labels=labels)
                for k in (2, 3, 5)
                if k < n_labels
            }
        )
    assert found["brier"] == pytest.approx(brier)
    truth = label[:, None] == np.array(labels)
    assert found["average_precision"] == pytest.approx(
        sklearn.metrics.average_precision_score(truth, chances, average="macro")
    )
    assert found["one_vs_rest"][labels[0]]["roc_auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(truth[:, 0], chances[:, 0])
    )


def test_calibration_error_by_hand():
    # Bins of 1/15: 0.55 and 0.6 share (8/15, 9/15], with one of two right; 1.0 lies in the last and is right.
    chances = np.array([[0.55, 0.45], [0.6, 0.4], [0.0, 1.0]])
    found = metrics.calibration_error(["cat", "dog", "dog"], chances, ["cat", "dog"])
    assert found == pytest.approx((abs(0.55 + 0.6 - 1) + 0.0) / 3)


def test_a_head_that_says_what_it_does_is_calibrated():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 100_000)
    label = np.where(rng.random(100_000) < sure, "yes", "no")
    chances = np.column_stack([1 - sure, sure])
    assert metrics.calibration_error(label, chances, ["no", "yes"]) < 0.01
    overconfident = np.column_stack([(1 - sure) / 4, 1 - (1 - sure) / 4])
    assert metrics.calibration_error(label, overconfident, ["no", "yes"]) == pytest.approx(0.1875, abs=0.01)


def test_equal_probabilities_are_ranked_as_they_are_predicted():
    chances = np.full((1, 4), 0.25)
    assert metrics.most_probable(chances, list("abcd")) == ["a"]
    assert metrics.top_k(["b"], chances, list("abcd"))["2"] == 1.0
    assert metrics.top_k(["c"], chances, list("abcd")) == {"2": 0.0, "3": 1.0}


def test_ranks_of_a_label_without_images_are_not_known():
    found = metrics.one_vs_rest(["cat", "cat"], np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"])
    assert found == {name: {"roc_auc": None, "average_precision": None} for name in ("cat", "dog")}
    assert metrics.mean_over_labels(found, "roc_auc") is None


@settings(deadline=None, max_examples=50)
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


def test_a_share_of_nothing_is_not_known():
    found = all_scores(np.array(["ill"]), np.array([[0.1, 0.9]]), ["ill", "well"], "ill")["positive"]
    assert (found["sensitivity"], found["specificity"], found["precision"]) == (0.0, None, None)


@pytest.mark.parametrize(
    ("labels", "message"), [(["a", "b"], "'x' is none of the 2 labels"), (["x", "b", "c"], "here are 3")]
)
def test_a_positive_label_needs_to_be_one_of_two(labels, message):
    with pytest.raises(UsageError, match=message):
        check_positive(labels, "x")


@pytest.mark.parametrize("n_labels", [2, 3, 7])
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
