"""Training in steps against gradient descent by hand, and which photos it sets aside."""

import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.heads.steps import SGDHead, Steps, divide_for_steps, step_head
from classify.training.train import train_in_steps


def test_a_step_is_gradient_descent_on_softmax(separable):
    """Two steps by hand, with the same draws."""
    plan = Steps(steps=2, batch_size=30, learning_rate=0.5, eval_interval=1, validation_batch_size=-1)
    found = train_in_steps(separable, "softmax", "wide", plan, seed=5)
    start = step_head("softmax", plan, widths=[40], seed=5)
    X, y = separable.select("wide"), separable.label.astype(str)
    training, _ = divide_for_steps(y, separable.groups, separable.variant, separable.split, seed=5)
    scaled = start.named_steps["scaling"].fit(X[training]).transform(X)
    rng, network = np.random.default_rng(5), start.named_steps["classifier"]
    labels = np.unique(y)
    for step in range(2):
        drawn = rng.integers(3, size=30)
        batch = np.array([rng.choice(training[y[training] == labels[code]]) for code in drawn])
        if step == 0:  # only scikit-learn knows how it starts
            network.set_params(learning_rate_init=1e-30)
            network.partial_fit(scaled[batch], y[batch], classes=labels)
            W, b = network.coefs_[0].astype(np.float64), network.intercepts_[0].astype(np.float64)
        z = scaled[batch] @ W + b
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        error = p - (y[batch][:, None] == labels)
        W, b = W - 0.5 * scaled[batch].T @ error / 30, b - 0.5 * error.mean(axis=0)
    assert found.training["steps"]["best_step"] == 2
    np.testing.assert_allclose(found.head.named_steps["classifier"].coefs_[0], W, atol=1e-5)
    np.testing.assert_allclose(found.head.named_steps["classifier"].intercepts_[0], b, atol=1e-5)


def test_the_best_step_is_kept(separable):
    """With random labels more steps only overfit; the state with the lowest validation entropy is returned."""
    table = separable.with_column("label", np.random.default_rng(0).choice(["a", "b"], 60).tolist())
    plan = Steps(steps=100, batch_size=20, learning_rate=1.0, eval_interval=5, validation_batch_size=-1)
    model = train_in_steps(table, "softmax", "noise", plan, seed=1)
    course = model.training["steps"]
    assert course["best_step"] < 100
    y = table.label.astype(str)
    _, validation = divide_for_steps(y, table.groups, table.variant, table.split, seed=1)
    proba = model.predict_proba(table.select("noise"))[validation]
    chance = proba[np.arange(len(validation)), (y[validation] == "b").astype(int)]
    assert -np.log(chance).mean() == pytest.approx(course["cross_entropy"], rel=1e-6)


def test_the_validation_rows_of_the_split_and_their_groups_are_not_learnt_from(separable):
    y = separable.label.astype(str)
    split = np.array((["training"] * 3 + ["validation"]) * 15, dtype=object)
    groups = np.arange(60)
    groups[0] = groups[3]  # a training row in the group of a validation row
    training, validation = divide_for_steps(y, groups, np.zeros(60, int), split)
    assert validation.tolist() == list(range(3, 60, 4))
    assert 0 not in training
    assert len(training) == 44
    training, validation = divide_for_steps(y, groups, np.zeros(60, int), np.array([None] * 60, dtype=object))
    assert not set(groups[training]) & set(groups[validation])
    assert 5 <= len(validation) <= 7


def test_one_step_of_a_head_is_one_step_of_gradient_descent():
    X, y = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array(["a", "b"])
    still, moved = (SGDHead(steps=1, learning_rate=r, batch_size=1).fit(X, y).pipeline_ for r in (1e-12, 0.5))
    scaled = moved.named_steps["scaling"].transform(X)
    start, end = still.named_steps["classifier"], moved.named_steps["classifier"]
    # By hand: weights less rate times (probability - truth) times the one photo that was drawn.
    error = 1 / (1 + np.exp(-(scaled @ start.coefs_[0] + start.intercepts_[0]))) - [[0.0], [1.0]]
    expected = [start.coefs_[0] - 0.5 * error[i] * scaled[i][:, None] for i in range(2)]
    assert sum(np.allclose(end.coefs_[0], one, rtol=1e-4, atol=1e-6) for one in expected) == 1


def test_more_steps_learn_more_and_the_same_seed_gives_the_same(separable):
    X, y, rows = separable.select("wide"), separable.label.astype(str), np.arange(60)
    heads = [SGDHead(steps=n, learning_rate=0.1, batch_size=20).fit(X, y) for n in (1, 10, 60)]
    chance = [head.predict_proba(X)[rows, rows // 20].mean() for head in heads]
    assert chance[0] < chance[1] < chance[2] and chance[2] > 0.9
    one, two, other = (SGDHead(steps=5, seed=s).fit(X, y).predict_proba(X) for s in (1, 1, 2))
    assert (one == two).all() and (one != other).any()


def test_a_spec_with_steps_is_stepped():
    head = make_head("softmax:steps=2000,learning_rate=0.05", widths=[3, 2], seed=7)
    assert (head.head, head.steps, head.learning_rate) == ("softmax", 2000, 0.05)
    assert (head.widths, head.seed) == ([3, 2], 7)
    network = make_head("mlp:steps=5,hidden_layer_sizes=(7,)").unfitted().named_steps["classifier"]
    assert network.hidden_layer_sizes == (7,)
