"""The scores by hand, and against their definitions on random predictions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.scores import metrics

LABEL = ["cat"] * 4 + ["dog"] * 2 + ["owl"] * 2
PREDICTED = ["cat", "cat", "cat", "dog", "dog", "cat", "owl", "owl"]


def test_scores_by_hand():
    assert metrics.accuracy(LABEL, PREDICTED) == 6 / 8
    assert metrics.balanced_accuracy(LABEL, PREDICTED) == pytest.approx((3 / 4 + 1 / 2 + 2 / 2) / 3)
    assert metrics.averages(LABEL, PREDICTED)["macro"].f1 == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert metrics.confusion(LABEL, PREDICTED, ["cat", "dog", "owl"]) == {
        "labels": ["cat", "dog", "owl"],
        "matrix": [[3, 1, 0], [1, 1, 0], [0, 0, 2]],
    }


def test_per_label_keeps_the_order_asked_for_and_counts_an_absent_label_as_nothing():
    found = metrics.per_label(LABEL, PREDICTED, ["owl", "emu", "cat"])
    assert list(found) == ["owl", "emu", "cat"]
    assert found["cat"] == {"precision": 3 / 4, "recall": 3 / 4, "f1": 3 / 4, "support": 4}
    assert found["emu"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}


def test_log_loss_is_the_mean_of_minus_ln_in_any_order_of_labels():
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    expected = -(math.log(0.8) + math.log(0.5) + math.log(0.1)) / 3
    assert metrics.log_loss(["cat", "owl", "cat"], probabilities, ["owl", "cat"]) == pytest.approx(expected)
    flipped = metrics.log_loss(["cat", "owl", "cat"], probabilities[:, ::-1], ["cat", "owl"])
    assert flipped == pytest.approx(expected)


def test_log_loss_stays_finite_when_a_head_is_sure_and_wrong():
    loss = metrics.log_loss(["cat"], np.array([[0.0, 1.0]]), ["cat", "dog"])
    assert loss == pytest.approx(-math.log(np.finfo(np.float64).eps))


def test_balanced_accuracy_ignores_labels_that_no_image_has():
    assert metrics.balanced_accuracy(["cat", "cat"], ["cat", "dog"]) == 0.5


@settings(deadline=None)
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


def test_averages_by_hand():
    found = metrics.averages(LABEL, PREDICTED)
    assert found["macro"]["recall"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert found["weighted"]["recall"] == pytest.approx(6 / 8)
    assert found["weighted"]["precision"] == pytest.approx((4 * 3 / 4 + 2 * 1 / 2 + 2 * 1) / 8)


def test_confusion_in_per_cent_of_each_row():
    matrix = metrics.confusion(LABEL, PREDICTED, ["cat", "dog", "emu"])["matrix"]
    assert metrics.percent_of_rows(matrix) == [[75.0, 25.0, 0.0], [50.0, 50.0, 0.0], [0.0, 0.0, 0.0]]
