"""Training in steps against gradient descent by hand, and which photos it sets aside."""

import numpy as np

from classify.heads.registry import make_head
from classify.heads.steps import Steps, divide_for_steps, step_head
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


def test_a_spec_with_steps_is_stepped():
    head = make_head("softmax:steps=2000,learning_rate=0.05", widths=[3, 2], seed=7)
    assert (head.head, head.steps, head.learning_rate) == ("softmax", 2000, 0.05)
    assert (head.widths, head.seed) == ([3, 2], 7)
    network = make_head("mlp:steps=5,hidden_layer_sizes=(7,)").unfitted().named_steps["classifier"]
    assert network.hidden_layer_sizes == (7,)
