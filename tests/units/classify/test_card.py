import numpy as np
import pytest
from sklearn.base import clone

from classify.folds import make_folds
from classify.model.card import model_card
from classify.training.train import train


def test_the_card_says_when_a_photo_is_an_outlier(described):
    model = train(described, features="wide")
    card = model_card(model)
    distances = model.outliers.percentiles
    assert (
        f"beyond    {model.outliers.threshold:.4g} from the fifth nearest training photo, as 5 % of" in card
    )
    assert f"usual     {distances[50]:.4g}; nine in ten {distances[5]:.4g} to {distances[95]:.4g}" in card
    assert "kept      60 of 60 training vectors" in card
    model.outliers = None
    assert "outliers  not told" in model_card(model)


def test_the_card_tells_the_scores_that_training_has_found_on_the_way(described):
    plain = train(described, features="noise")
    assert "none from training; `evaluate compare` measures" in model_card(plain)
    stepwise = train(described, "softmax:steps=20", "wide")
    course = stepwise.training["steps"]
    assert (
        f"accuracy {course['accuracy']:.3f}, cross entropy {course['cross_entropy']:.3f} on the photos set"
        in (model_card(stepwise))
    )
    tuned = train(described, "softmax", "noise", tune="accuracy")
    best = max(one["accuracy"] for one in tuned.training["tuning"]["trail"])
    assert f"accuracy {best:.3f}, log loss" in model_card(tuned) and "(5 folds)" in model_card(tuned)
    pointed = train(described, "softmax", "noise", positive="ant", threshold="recall=0.9")
    assert "on photos not trained on (60 photos)\n" in model_card(pointed)
    rule = {"positive": "ant", "threshold": "recall=0.9"}
    both = train(described, "softmax:max_iter=5", "noise", tune="accuracy", **rule)
    for card in (model_card(tuned), model_card(both)):
        assert "s); they chose its parameters too, so a little too good\n" in card


def test_scores_of_a_calibrated_head_are_those_of_its_folds(described):
    """By hand: each fold scored by a classifier fitted without it, with the slope of the whole."""
    X, y = described.select("noise"), described.label.astype(str)
    head = train(described, "knn", "noise").head
    model = train(described, "knn", "noise")
    scaled, calibrated = head[0].transform(X), head[-1]
    right, loss = [], []
    for fold in make_folds(y, described.groups, n_folds=5, seed=0):
        inner = clone(calibrated.estimator).fit(scaled[fold.training], y[fold.training])
        scores = calibrated.slope_ * np.log(np.clip(inner.predict_proba(scaled[fold.testing]), 0.01, 1))
        chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        columns = np.searchsorted(inner.classes_, y[fold.testing])
        right += (chance.argmax(axis=1) == columns).tolist()
        loss += (-np.log(chance[np.arange(len(columns)), columns])).tolist()
    assert model.training["scores"] == {
        "photos": 60,
        "folds": 5,
        "accuracy": pytest.approx(np.mean(right)),
        "log_loss": pytest.approx(np.mean(loss)),
    }
    assert "log loss" in model_card(model) and "(60 photos, 5 folds)" in model_card(model)
