import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

from classify.heads.calibrate import Calibrated
from classify.heads.fitting import ClassWeighted, fit_head, head_name
from classify.heads.registry import make_head
from classify.model.modelfile import load_model, save_model
from classify.training.train import train
from featurize.errors import UsageError
from featurize.table import FeatureTable


@pytest.fixture
def lopsided():
    """95 ferns and 5 mosses that overlap."""
    rng = np.random.default_rng(0)
    y = np.repeat(["fern", "moss"], [95, 15])
    return rng.normal(size=(110, 6)) + 0.7 * (y == "moss")[:, None], y


@pytest.mark.parametrize(
    "head", ["softmax", "linear-svm", "mlp:max_iter=300", "naive-bayes", "random-forest:max_depth=2", "svm"]
)
def test_balanced_heads_find_more_of_the_rare_label(head, lopsided):
    X, y = lopsided
    start, rare = head + ("," if ":" in head else ":"), y == "moss"
    plain = fit_head(make_head(head), X[::2], y[::2])
    balanced = fit_head(make_head(f"{start}class_weight=balanced"), X[::2], y[::2])
    gain = balanced.predict_proba(X[1::2])[:, 1] - plain.predict_proba(X[1::2])[:, 1]
    assert gain[rare[1::2]].mean() > 0.01
    assert (balanced.predict(X)[rare] == "moss").sum() >= (plain.predict(X)[rare] == "moss").sum()


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


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("knn:class_weight=balanced", "KNeighborsClassifier takes none.*softmax, svm, .* can"),
        ("lda:class_weight=balanced", "LinearDiscriminantAnalysis takes none"),
        ("mlp:class_weight=heavy", "has class_weight 'heavy'.*class_weight=balanced"),
        ("softmax:class_weight=heavy", "'class_weight' parameter"),
    ],
)
def test_others_are_refused(head, message):
    with pytest.raises(UsageError, match=message):
        make_head(head)


def test_weights_of_labels_that_are_not_there_are_refused(separable):
    with pytest.raises(
        UsageError, match=r"head softmax.* cannot be fitted: .*'cat'\], are not in class_weight"
    ):
        train(separable, "softmax:class_weight={'dog':2}", "wide")


def test_a_weighted_model_loads(lopsided, tmp_path):
    X, y = lopsided
    model = train(FeatureTable.from_arrays({"x": X}, label=y), "mlp:class_weight=balanced,max_iter=300")
    save_model(model, tmp_path / "m.model")
    np.testing.assert_array_equal(load_model(tmp_path / "m.model").predict_proba(X), model.predict_proba(X))
