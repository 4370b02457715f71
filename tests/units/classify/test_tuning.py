import json
import logging

import numpy as np
import pytest
from sklearn.metrics import log_loss

from classify.folds import make_folds
from classify.heads.fitting import fit_head
from classify.heads.registry import HEADS, make_head
from classify.heads.spec import HeadSpec
from classify.heads.tuning import GRIDS, candidate_params, has_grid, tune_head
from classify.model.modelfile import load_model, save_model
from classify.training.train import train
from featurize.errors import UsageError


@pytest.fixture
def blurred():
    """Three labels that overlap, in groups of two rows that resemble each other."""
    rng = np.random.default_rng(3)
    y = np.repeat(["ant", "bee", "cat"], 30)
    centres = np.equal(np.arange(40) % 3, (np.arange(90) // 30)[:, None])
    X = rng.exponential(size=(90, 40)) + 0.8 * centres + np.repeat(rng.exponential(size=(45, 40)), 2, axis=0)
    return np.hstack([X, rng.normal(size=(90, 3))]), y, np.arange(90) // 2


@pytest.mark.parametrize("name", ["softmax", "svm:gamma=scale"])
def test_the_trail_is_what_fitting_by_hand_gives(name, blurred):
    X, y, groups = blurred
    found = tune_head(name, X, y, groups, widths=[40, 3], seed=2)
    folds = make_folds(y, groups, n_folds=5, seed=2)
    for one in found.trail:
        proba, truth = [], []
        for fold in folds:
            head = make_head(HeadSpec.parse(name).with_params(one["params"]), widths=[40, 3], seed=2)
            fitted = fit_head(head, X[fold.training], y[fold.training], groups[fold.training])
            proba.append(fitted.predict_proba(X[fold.testing]))
            truth.append(y[fold.testing])
        proba, truth = np.concatenate(proba), np.concatenate(truth)
        assert one["log_loss"] == pytest.approx(log_loss(truth, proba))
        assert one["accuracy"] == np.mean(np.array(["ant", "bee", "cat"])[proba.argmax(axis=1)] == truth)
    best = min(found.trail, key=lambda one: one["log_loss"])
    assert found.head == str(HeadSpec.parse(name).with_params(best["params"]))


def test_groups_and_variants_are_respected(blurred):
    """Twins of one label per group: a search that parted them would choose one neighbour."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 5)), 2, axis=0) + rng.normal(size=(120, 5)) * 1e-3
    y, groups = np.repeat(np.where(rng.random(60) < 0.5, "fern", "moss"), 2), np.arange(120) // 2
    together = tune_head("knn", X, y, groups, by="accuracy", n_folds=3)
    parted = tune_head("knn", X, y, by="accuracy")
    assert max(one["accuracy"] for one in together.trail) < 0.7 < 0.8 < parted.trail[0]["accuracy"]
    copies = tune_head("knn", X, y, groups, np.tile([0, 7], 60), by="accuracy", n_folds=3)
    assert all(round(one["accuracy"] * 60, 6).is_integer() for one in copies.trail)


def test_by_accuracy_the_most_accurate_is_chosen(blurred):
    X, y, groups = blurred
    found = tune_head("linear-svm", X, y, groups, by="accuracy")
    best = max(found.trail, key=lambda one: (one["accuracy"], -one["log_loss"]))
    assert found.head == f"linear-svm:C={best['params']['C']}"


def test_a_candidate_that_fails_is_kept_in_the_trail(blurred):
    X, y, _ = blurred
    rows = np.r_[0:12, 30:42]
    found = tune_head("knn", X[rows], y[rows])
    assert ["error" in one for one in found.trail] == [False, False, False, True, True]
    assert "n_neighbors = 20" in found.trail[3]["error"]


def test_what_the_spec_sets_is_kept():
    assert list(candidate_params("mlp:alpha=3")) == [
        {"hidden_layer_sizes": (100,)},
        {"hidden_layer_sizes": (300,)},
    ]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("dummy", "dummy has no search grid.*heads with a grid are softmax, svm"),
        ("sklearn.svm.SVC", "SVC has no search grid"),
        ("softmax:steps=10", "softmax:steps=10 has no search grid"),
        ("softmax:C=1", "sets all that would be searched"),
    ],
)
def test_nothing_to_search_is_refused(head, message):
    assert not has_grid(head)
    with pytest.raises(UsageError, match=message):
        tune_head(head, np.zeros((4, 1)), np.array(["a", "b"] * 2))


def test_another_score_is_refused():
    with pytest.raises(UsageError, match="unknown tuning score 'f1'"):
        tune_head("softmax", np.zeros((4, 1)), np.array(["a", "b"] * 2), by="f1")


def test_every_registered_head_has_a_grid_of_valid_values():
    assert list(GRIDS) == list(HEADS)
    for name in filter(has_grid, GRIDS):
        for params in candidate_params(name):
            spec = ",".join(f"{key}={value}" for key, value in params.items())
            make_head(f"{name}:{spec}")


def test_complaints_of_a_search_are_counted_once(blurred, caplog):
    X, y, groups = blurred
    with caplog.at_level(logging.INFO, "bottlehead"):
        tune_head("mlp:max_iter=2,hidden_layer_sizes=5", X, y, groups)
    assert caplog.messages == ["15 fits of the search stopped before they converged"]


def test_the_model_is_the_chosen_head_and_keeps_the_trail(separable, tmp_path):
    model = train(separable, "softmax", "wide", tune="accuracy", seed=1)
    found = tune_head(
        "softmax",
        separable.select("wide"),
        separable.label,
        separable.groups,
        widths=[40],
        by="accuracy",
        seed=1,
    )
    assert model.training["head"] == found.head
    plain = train(separable, found.head, "wide", seed=1)
    np.testing.assert_array_equal(
        model.predict_proba(separable.select("wide")), plain.predict_proba(separable.select("wide"))
    )
    save_model(model, tmp_path / "m.model")
    kept = load_model(tmp_path / "m.model").training["tuning"]
    assert kept == json.loads(json.dumps(found.to_dict()))
