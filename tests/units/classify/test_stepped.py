"""A head with a set number of steps: what it computes, and that specs with ``steps`` become one."""

import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.heads.steps import SGDHead, Steps
from classify.training.train import train, train_in_steps
from evaluate.studies.compare import compare
from featurize.errors import UsageError


def test_one_step_is_one_step_of_gradient_descent():
    X, y = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array(["a", "b"])
    still, moved = (
        SGDHead(steps=1, learning_rate=rate, batch_size=1).fit(X, y).pipeline_ for rate in (1e-12, 0.5)
    )
    scaled = moved.named_steps["scaling"].transform(X)
    start, end = still.named_steps["classifier"], moved.named_steps["classifier"]
    # By hand: weights less rate times (probability - truth) times the one photo that was drawn.
    error = 1 / (1 + np.exp(-(scaled @ start.coefs_[0] + start.intercepts_[0]))) - [[0.0], [1.0]]
    expected = [start.coefs_[0] - 0.5 * error[i] * scaled[i][:, None] for i in range(2)]
    assert sum(np.allclose(end.coefs_[0], one, rtol=1e-4, atol=1e-6) for one in expected) == 1


def test_more_steps_learn_more(separable):
    X, y = separable.select("wide"), separable.label.astype(str)
    chance = [
        SGDHead(steps=n).fit(X, y).predict_proba(X)[np.arange(60), np.arange(60) // 20].mean()
        for n in (1, 20, 400)
    ]
    assert chance[0] < chance[1] < chance[2] and chance[2] > 0.9


def test_rare_labels_are_drawn_as_often_as_frequent_ones():
    # One point for all: only how often each label is drawn can be learnt.
    X, y = np.zeros((100, 1)), np.array(["many"] * 95 + ["rare"] * 5)
    found = SGDHead(steps=500, learning_rate=0.1).fit(X, y).predict_proba(X[:1])[0]
    assert found == pytest.approx([0.5, 0.5], abs=0.05)


def test_the_same_seed_gives_the_same_head(separable):
    X, y = separable.select("noise"), separable.label.astype(str)
    one, two, other = (SGDHead(steps=30, seed=s).fit(X, y).predict_proba(X) for s in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


def test_a_spec_with_steps_is_stepped():
    head = make_head("softmax:steps=2000,learning_rate=0.05", widths=[3, 2], seed=7)
    assert (head.head, head.steps, head.learning_rate, head.widths, head.seed) == (
        "softmax",
        2000,
        0.05,
        [3, 2],
        7,
    )
    network = make_head("mlp:steps=5,hidden_layer_sizes=(7,)").unfitted().named_steps["classifier"]
    assert network.hidden_layer_sizes == (7,)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("svm:steps=10", "cannot be trained step by step"),
        ("softmax:steps=0", "steps is 0"),
        ("softmax:steps=10,depth=3", "no parameter depth"),
        ("softmax:steps=many", "steps is many"),
        ("softmax:steps=2.5", "steps is 2.5"),
        ("mlp:steps=10,learning_rate=fast", "learning_rate is fast"),
    ],
)
def test_what_cannot_be_stepped_is_refused(spec, message):
    with pytest.raises(UsageError, match=message):
        make_head(spec)


def test_training_by_a_spec_with_steps_is_training_in_steps(separable):
    model = train(separable, "softmax:steps=40,learning_rate=0.05,batch_size=20", "wide", seed=3)
    plan = Steps(steps=40, learning_rate=0.05, batch_size=20)
    same = train_in_steps(separable, "softmax", "wide", plan, seed=3)
    X = separable.select("wide")
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert model.training["steps"] == same.training["steps"]
    with pytest.raises(UsageError, match="neither tuned nor given a threshold"):
        train(separable, "softmax:steps=40", "wide", tune="accuracy")


def test_accuracy_seconds_and_size_by_steps_are_one_comparison(separable):
    heads = [f"softmax:steps={n}" for n in (5, 200)]
    found = compare(separable, ["wide"], heads, cv=3, jobs=1)
    rows = {row["head"]: row for row in found.results}
    assert set(rows) == set(heads)
    assert rows[heads[1]]["log_loss"] < rows[heads[0]]["log_loss"]
    assert rows[heads[0]]["model_bytes"] == pytest.approx(rows[heads[1]]["model_bytes"], rel=0.05)
    assert [pair["compares"] for pair in found.comparisons] == ["head"]
