import numpy as np
import pytest

from classify.heads.registry import HEADS, make_head
from classify.heads.tuning import GRIDS, candidate_params, has_grid, tune_head


@pytest.fixture
def blurred():
    """Three labels that overlap, in groups of two rows that resemble each other."""
    rng = np.random.default_rng(3)
    y = np.repeat(["ant", "bee", "cat"], 30)
    centres = np.equal(np.arange(40) % 3, (np.arange(90) // 30)[:, None])
    X = rng.exponential(size=(90, 40)) + 0.8 * centres + np.repeat(rng.exponential(size=(45, 40)), 2, axis=0)
    return np.hstack([X, rng.normal(size=(90, 3))]), y, np.arange(90) // 2


@pytest.mark.parametrize(
    ("head", "by", "widths"), [("svm", "log-loss", [40, 3]), ("svm:gamma=scale", "accuracy", None)]
)
def test_a_shared_search_decides_like_the_plain_one(blurred, head, by, widths):
    X, y, groups = blurred
    variant = np.r_[np.zeros(60, int), np.tile([0, 5], 15)]
    shared = tune_head(head, X, y, groups, variant, widths=widths, by=by, n_folds=3)
    plain = tune_head(head, X, y, groups, variant, widths=widths, by=by, n_folds=3, share=False)
    assert shared.head == plain.head
    for mine, its in zip(shared.trail, plain.trail, strict=True):
        assert mine["params"] == its["params"]
        assert mine["accuracy"] == its["accuracy"]
        assert mine["log_loss"] == pytest.approx(its["log_loss"], abs=1e-6)


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
