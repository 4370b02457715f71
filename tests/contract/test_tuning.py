"""The search of `classify train --tune` and `tune_head`, against fitting by hand."""

import json
import logging

import numpy as np
import pytest
from builders import made_table, members_of, run
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classify import fit_head, load_model, make_folds, make_head, train_model, tune_head
from featurize import BottleheadError


@pytest.fixture(scope="module")
def blurred():
    """Three labels that overlap, in groups of two rows that resemble each other."""
    rng = np.random.default_rng(3)
    y = np.repeat(["ant", "bee", "cat"], 30)
    centres = np.equal(np.arange(40) % 3, (np.arange(90) // 30)[:, None])
    X = rng.exponential(size=(90, 40)) + 0.8 * centres + np.repeat(rng.exponential(size=(45, 40)), 2, axis=0)
    return np.hstack([X, rng.normal(size=(90, 3))]), y, np.arange(90) // 2


@pytest.mark.parametrize(
    ("head", "searched", "by"), [("svm:gamma=0.1,", "C", "accuracy"), ("lda:", "shrinkage", "log-loss")]
)
def test_the_trail_is_what_fitting_by_hand_gives(head, searched, by, blurred):
    X, y, groups = blurred
    found = tune_head(head[:-1], X, y, groups, widths=[40, 3], seed=2, n_folds=3, by=by)
    folds = make_folds(y, groups, n_folds=3, seed=2)
    for one in found.trail:
        assert list(one["params"]) == [searched]
        spec = f"{head}{searched}={one['params'][searched]}"
        proba, truth = [], np.concatenate([y[fold.testing] for fold in folds])
        for fold in folds:
            rows, unfitted = fold.training, make_head(spec, widths=[40, 3], seed=2)
            proba.append(fit_head(unfitted, X[rows], y[rows], groups[rows]).predict_proba(X[fold.testing]))
        proba = np.concatenate(proba)
        assert one["log_loss"] == pytest.approx(log_loss(truth, proba), abs=1e-5)
        assert one["accuracy"] == np.mean(np.array(["ant", "bee", "cat"])[proba.argmax(axis=1)] == truth)
    trail = sorted(found.trail, key=lambda one: one["log_loss"])  # stable: of equals the first
    assert found.best == (trail[0] if by == "log-loss" else max(trail, key=lambda one: one["accuracy"]))
    assert str(found.best["params"][searched]) in found.head


def test_the_command_keeps_the_trail_in_model_json_and_the_model_is_the_chosen_head(tmp_path):
    """The trail by scikit-learn alone: standardised numbers of equal weight, softmax, pooled log loss of five folds."""
    table = made_table(separation=1.0)
    table.write(tmp_path / "t.npz")
    outcome = run(f"classify train {tmp_path}/t.npz -o {tmp_path}/m --features good --tune --seed 1")
    assert outcome.status == 0, outcome.err
    tuning = json.loads(members_of(tmp_path / "m")["model.json"])["training"]["tuning"]
    assert (tuning["by"], tuning["n_folds"]) == ("log-loss", 5)
    assert [one["params"]["C"] for one in tuning["trail"]] == [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
    X, y = table.select("good").astype(np.float64), table.label.astype(str)
    for one in tuning["trail"]:
        # Numbers divided by the fourth root of their count: the same as another C.
        plain = make_pipeline(StandardScaler(), LogisticRegression(C=one["params"]["C"] / 2, max_iter=1000))
        total = 0.0
        for fold in make_folds(y, table.groups, n_folds=5, seed=1):
            proba = plain.fit(X[fold.training], y[fold.training]).predict_proba(X[fold.testing])
            total += log_loss(y[fold.testing], proba, labels=np.unique(y), normalize=False)
        assert one["log_loss"] == pytest.approx(total / 60, abs=1e-3)
    model = load_model(tmp_path / "m")
    assert model.training["head"] == tuning["head"]
    same = train_model(table, tuning["head"], "good", seed=1)
    np.testing.assert_allclose(model.predict_proba(X), same.predict_proba(X), atol=1e-6)
    best = min(tuning["trail"], key=lambda one: one["log_loss"])
    card = run(f"classify show {tmp_path}/m").out
    assert f"tuned     by log-loss on 5 folds: {tuning['head']}" in card
    scores = f"log loss {best['log_loss']:.4f}, accuracy {best['accuracy']:.4f}"
    assert f"C={best['params']['C']}: {scores}" in card
    scores = (
        f"accuracy {100 * best['accuracy']:.1f} %, log loss {best['log_loss']:.3f} on photos not trained on"
    )
    assert f"{scores} (5 folds); they chose its parameters too, so a little too good" in card


def test_groups_and_variants_are_respected():
    """Twins of one label per group: a search that parted them would choose one neighbour."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 5)), 2, axis=0) + rng.normal(size=(120, 5)) * 1e-3
    y, groups = np.repeat(np.where(rng.random(60) < 0.5, "fern", "moss"), 2), np.arange(120) // 2
    together = tune_head("knn", X, y, groups, by="accuracy", n_folds=3)
    parted = tune_head("knn", X, y, by="accuracy")
    assert max(one["accuracy"] for one in together.trail) < 0.7 < 0.8 < parted.trail[0]["accuracy"]
    copies = tune_head("knn", X, y, groups, np.tile([0, 7], 60), by="accuracy", n_folds=3)
    assert all(round(one["accuracy"] * 60, 6).is_integer() for one in copies.trail)


def test_a_candidate_that_fails_is_kept_in_the_trail(blurred):
    X, y, _ = blurred
    rows = np.r_[0:12, 30:42]
    found = tune_head("knn", X[rows], y[rows])
    assert ["error" in one for one in found.trail] == [False, False, False, True, True]
    assert "n_neighbors = 20" in found.trail[3]["error"]


@pytest.mark.parametrize(
    ("head", "by", "message"),
    [
        ("dummy", "log-loss", "dummy has no search grid.*heads with a grid are softmax, svm"),
        ("sklearn.svm.SVC", "log-loss", "SVC has no search grid"),
        ("softmax:steps=10", "log-loss", "softmax:steps=10 has no search grid"),
        ("softmax:C=1", "log-loss", "sets all that would be searched"),
        ("softmax", "f1", "unknown tuning score"),
        ("knn:metric=haversine", "log-loss", "no candidate of the search for .*=haversine could be fitted"),
    ],
)
def test_nothing_to_search_is_refused(head, by, message):
    with pytest.raises(BottleheadError, match=message):
        tune_head(head, np.zeros((8, 3)), np.array(["a", "b"] * 4), by=by)


def test_complaints_of_a_search_are_counted_once(blurred, caplog):
    X, y, groups = blurred
    with caplog.at_level(logging.INFO, "bottlehead"):
        tune_head("mlp:max_iter=2,hidden_layer_sizes=5", X, y, groups)
    assert caplog.messages == ["15 fits of the search stopped before they converged"]
