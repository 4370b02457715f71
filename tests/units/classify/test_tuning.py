import numpy as np
import pytest
from sklearn.metrics import log_loss

from classify.folds import make_folds
from classify.heads.fitting import fit_head
from classify.heads.registry import HEADS, make_head
from classify.heads.spec import HeadSpec
from classify.heads.tuning import GRIDS, candidate_params, has_grid, tune_head


@pytest.fixture
def blurred():
    """Three labels that overlap, in groups of two rows that resemble each other."""
    rng = np.random.default_rng(3)
    y = np.repeat(["ant", "bee", "cat"], 30)
    centres = np.equal(np.arange(40) % 3, (np.arange(90) // 30)[:, None])
    X = rng.exponential(size=(90, 40)) + 0.8 * centres + np.repeat(rng.exponential(size=(45, 40)), 2, axis=0)
    return np.hstack([X, rng.normal(size=(90, 3))]), y, np.arange(90) // 2


def test_what_the_spec_sets_is_kept():
    assert list(candidate_params("mlp:alpha=3")) == [
        {"hidden_layer_sizes": (100,)},
        {"hidden_layer_sizes": (300,)},
    ]


def test_every_registered_head_has_a_grid_of_valid_values():
    assert list(GRIDS) == list(HEADS)
    for name in filter(has_grid, GRIDS):
        for params in candidate_params(name):
            spec = ",".join(f"{key}={value}" for key, value in params.items())
            make_head(f"{name}:{spec}")


@pytest.mark.parametrize("head", ["dummy", "sklearn.svm.SVC", "softmax:steps=10", "softmax:C=1"])
def test_what_leaves_nothing_to_search_has_no_grid(head):
    assert not has_grid(head)


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
