import numpy as np
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from classify.heads.calibrate import Calibrated
from classify.heads.fitting import ClassWeighted, head_name
from classify.heads.registry import make_head


def test_weighing_is_fitting_on_copies():
    """With three ferns to each moss, balancing is having each moss three times, up to a common factor."""
    rng = np.random.default_rng(1)
    y = np.repeat(["fern", "moss"], [30, 10])
    X = rng.normal(size=(40, 2)) + (y == "moss")[:, None]
    copies = np.r_[0:30, np.repeat(np.arange(30, 40), 3)]
    balanced = ClassWeighted(GaussianNB(), "balanced").fit(X, y)
    np.testing.assert_allclose(
        balanced.predict_proba(X), GaussianNB().fit(X[copies], y[copies]).predict_proba(X)
    )
    given = ClassWeighted(GaussianNB(), {"fern": 1, "moss": 3}).fit(X, y)
    np.testing.assert_allclose(given.predict_proba(X), balanced.predict_proba(X))


def test_the_classifiers_own_weights_are_used_where_it_has_them():
    assert make_head("softmax:class_weight=balanced").named_steps["classifier"].class_weight == "balanced"
    weighted = make_head("mlp:class_weight=balanced,alpha=2").named_steps["classifier"]
    assert isinstance(weighted, ClassWeighted)
    assert isinstance(weighted.estimator, MLPClassifier)
    assert weighted.estimator.alpha == 2
    calibrated = make_head("naive-bayes:class_weight=balanced").named_steps["classifier"]
    assert isinstance(calibrated, Calibrated)
    assert head_name(make_head("mlp:class_weight=balanced")) == "MLPClassifier"
    assert isinstance(make_head("mlp:class_weight=None").named_steps["classifier"], MLPClassifier)
