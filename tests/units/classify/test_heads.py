import logging
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_info, threadpool_limits

from classify.heads.calibrate import Calibrated
from classify.heads.fitting import fit_head, head_name
from classify.heads.registry import HEADS, head_names, make_head
from classify.heads.scaling import BlockScaler
from featurize.errors import UsageError
from featurize.table import FeatureTable

QUICK = {
    "random-forest": "random-forest:n_estimators=20",
    "gradient-boosting": "gradient-boosting:max_iter=10",
}


@pytest.fixture
def corners() -> FeatureTable:
    """Three labels in three corners, so that one line can part each of them from the rest."""
    rng = np.random.default_rng(0)
    wide = rng.exponential(size=(60, 40)) * 0.3
    for code in range(3):
        wide[code * 20 : code * 20 + 20, code::3] += 3
    label = np.repeat(["ant", "bee", "cat"], 20)
    return FeatureTable.from_arrays({"wide": wide, "noise": rng.normal(size=(60, 3))}, label=label)


@pytest.mark.parametrize("name", head_names())
def test_every_registered_head_learns_and_repeats_itself(name, corners):
    X, y = corners.select("wide+noise"), corners.label
    head = make_head(QUICK.get(name, name), widths=corners.widths("wide+noise"), seed=3)
    assert isinstance(head.named_steps["scaling"], BlockScaler)
    fitted = fit_head(head, X, y, corners.groups, corners.variant)
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(X))
    if name == "dummy":
        np.testing.assert_allclose(proba, 1 / 3)
    else:
        assert (fitted.predict(X) == y).all()
    again = fit_head(head, X, y, corners.groups, corners.variant)
    np.testing.assert_array_equal(again.predict_proba(X), proba)


@pytest.mark.parametrize("name", head_names())
def test_every_registered_head_can_be_cloned_and_made_from_its_defaults(name):
    assert repr(clone(make_head(name))) == repr(make_head(name))
    spec = ",".join(f"{key}={value!r}" for key, value in HEADS[name].defaults.items())
    assert repr(make_head(f"{name}:{spec}")) == repr(make_head(name))


@pytest.mark.parametrize("name", head_names())
def test_two_labels(name, separable):
    two = separable.filter(separable.label != "cat")
    fitted = fit_head(make_head(QUICK.get(name, name)), two.select("wide"), two.label)
    assert fitted.predict_proba(two.select("wide")).shape == (40, 2)


def test_parameters_reach_the_classifier():
    assert make_head("softmax:C=0.5").named_steps["classifier"].C == 0.5
    assert make_head("svm:C=7,gamma=0.5").named_steps["classifier"].estimator.gamma == 0.5
    assert make_head("knn:n_neighbors=3").named_steps["classifier"].estimator.n_neighbors == 3


def test_seed_reaches_the_classifier_unless_the_spec_sets_it():
    assert make_head("mlp", seed=5).named_steps["classifier"].random_state == 5
    assert make_head("mlp:random_state=2", seed=5).named_steps["classifier"].random_state == 2
    assert make_head("sklearn.tree.DecisionTreeClassifier", seed=5).random_state == 5


def test_dotted_paths_and_objects_are_used_as_given():
    assert repr(make_head("sklearn.linear_model.LogisticRegression:C=3")) == repr(
        LogisticRegression(C=3, random_state=0)
    )
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    made = make_head(pipeline)
    assert repr(made) == repr(pipeline)
    assert made is not pipeline


@pytest.mark.parametrize(
    "head", [SVC(), make_pipeline(StandardScaler(), SVC()), "sklearn.linear_model.Perceptron"]
)
def test_whatever_has_no_probabilities_is_calibrated(head, corners):
    made = make_head(head)
    assert isinstance(made, Calibrated)
    fitted = fit_head(made, corners.select("wide"), corners.label)
    assert (fitted.predict(corners.select("wide")) == corners.label).all()


def test_heads_work_in_a_grid_search(separable):
    search = GridSearchCV(make_head("svm"), {"classifier__estimator__C": [0.1, 1]}, cv=3)
    assert search.fit(separable.select("wide"), separable.label.astype(str)).best_score_ == 1


def test_fit_head_leaves_the_head_unfitted(separable):
    head = make_head("softmax")
    fit_head(head, separable.select("wide"), separable.label)
    assert not hasattr(head.named_steps["classifier"], "coef_")


def test_groups_reach_the_calibration(separable):
    """With all photos of a label in one group no calibration is possible, and that is said."""
    groups = np.unique(separable.label.astype(str), return_inverse=True)[1]
    with pytest.raises(UsageError, match="two groups; ant has 1"):
        fit_head(make_head("svm"), separable.select("wide"), separable.label, groups)
    # also inside a pipeline of someone's own, at any depth
    nested = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Calibrated(SVC())))
    with pytest.raises(UsageError, match="two groups; ant has 1"):
        fit_head(nested, separable.select("wide"), separable.label, groups)


def test_a_head_that_did_not_converge_says_so_once(separable, caplog):
    with caplog.at_level(logging.WARNING, "bottlehead"):
        fit_head(make_head("mlp:max_iter=2"), separable.select("noise"), separable.label)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("MLPClassifier stopped before it converged")


def test_other_warnings_of_a_classifier_come_through(separable):
    class Warns(LogisticRegression):
        def fit(self, X, y):
            warnings.warn("look out", UserWarning, stacklevel=1)
            return super().fit(X, y)

    with pytest.warns(UserWarning, match="look out"):
        fit_head(Warns(), separable.select("wide"), separable.label)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("SVM", r"no head named 'SVM'; perhaps svm is meant \(the heads are"),
        ("softmax,svm", r"'softmax,svm' is no head \(separate several heads with spaces"),
        ("forest", r"no head named 'forest' \(the heads are softmax, svm, .*dummy"),
        ("svm:gama=1", "no parameter gama.*C, break_ties, .*tol"),
        ("svm:C=-1", "'C' parameter.*Got -1"),
        ("svm:kernel=round", "'kernel' parameter.*'round'"),
        ("knn:weights=heavy", "'weights' parameter"),
        ("sklearn.svm.SCV", "no head sklearn.svm.SCV"),
        ("nosuchmodule.Classifier", "No module named 'nosuchmodule'"),
        (".SVC", "no head .SVC"),
        ("sklearn.svm.SVR", "SVR is no head"),
        ("sklearn.base.clone", "no class"),
        ("sklearn.pipeline.Pipeline", "needs no arguments"),
        ("pathlib.Path", "needs no arguments"),
        (SVC, "SVC is no head, it is a class"),
        (StandardScaler(), "StandardScaler is no head"),
        (42, "int is no head"),
    ],
    ids=str,
)
def test_other_heads_are_refused(head, message):
    with pytest.raises(UsageError, match=message):
        make_head(head)


def test_names():
    assert head_name("svm:C=1") == "svm:C=1"
    assert head_name(make_head(Perceptron())) == "Perceptron"
    assert head_name(make_pipeline(StandardScaler(), SVC())) == "SVC"


class Spying(LogisticRegression):
    """Notes how many threads linear algebra has while it is fitted."""

    def fit(self, X, y, sample_weight=None):
        self.threads_ = {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
        return super().fit(X, y, sample_weight)


def test_a_fit_takes_one_thread_and_leaves_the_others_as_they_were():
    with threadpool_limits(3):
        before = [one["num_threads"] for one in threadpool_info()]
        fitted = fit_head(Spying(), [[0.0], [1.0]] * 5, ["a", "b"] * 5)
        after = [one["num_threads"] for one in threadpool_info()]
    assert fitted.threads_ == {1}
    assert before == after and set(before) != {1}


def test_gradient_boosting_sets_no_rows_aside_however_many_there_are():
    """A head that divides rows by chance would have photos of one group on both sides."""
    X = np.random.default_rng(0).normal(size=(10_200, 2)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "fern", "moss")
    head = make_head("gradient-boosting:max_iter=3")
    fitted = fit_head(head, X, y)[-1]
    assert fitted.n_iter_ == 3 and len(fitted.validation_score_) == 0
    assert make_head("gradient-boosting:early_stopping=True")[-1].early_stopping is True
