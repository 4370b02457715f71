"""Heads by name, by path and as objects: what they compute, how they weigh labels, and how they fail."""

import logging
import re
import signal
import sys
import warnings

import numpy as np
import pytest
from builders import made_table, quick_heads, run
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_info, threadpool_limits

from classify import BlockScaler, Calibrated, fit_head, make_head, predict_table, train_model
from featurize import BottleheadError, FeatureTable


@pytest.mark.parametrize("spec", quick_heads())
def test_every_registered_head_learns_and_repeats_itself_also_with_two_labels(spec, separable):
    head = make_head(spec, widths=separable.widths("wide+noise"), seed=3)
    assert isinstance(head.named_steps["scaling"], BlockScaler)
    assert repr(clone(head)) == repr(head)
    for table in (separable, separable.filter(separable.label != "cat")):
        X, y = table.select("wide+noise"), table.label
        fitted = fit_head(head, X, y, table.groups, table.variant)
        proba = fitted.predict_proba(X)
        np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(X))
        if spec == "dummy":
            np.testing.assert_allclose(proba, 1 / len(np.unique(y)))
        else:
            assert (fitted.predict(X) == y).all()
        again = fit_head(clone(head), X, y, table.groups, table.variant)
        np.testing.assert_array_equal(again.predict_proba(X), proba)
        assert not hasattr(head[-1], "classes_")  # it is left unfitted


@pytest.mark.parametrize(
    ("spec", "key", "value"),
    [
        ("softmax:C=0.5", "C", 0.5),
        ("svm:C=7,gamma=0.5", "estimator__gamma", 0.5),
        ("knn:n_neighbors=3", "estimator__n_neighbors", 3),
        ("mlp", "random_state", 5),
        ("mlp:random_state=2", "random_state", 2),
        ("mlp:class_weight=balanced,alpha=2", "estimator__alpha", 2),
        ("softmax:class_weight=balanced", "class_weight", "balanced"),
        ("gradient-boosting", "early_stopping", False),
        ("gradient-boosting:early_stopping=True", "early_stopping", True),
    ],
)
def test_parameters_and_the_seed_reach_the_classifier(spec, key, value):
    assert make_head(spec, seed=5).named_steps["classifier"].get_params()[key] == value


def test_dotted_paths_and_objects_are_used_as_given():
    by_path = make_head("sklearn.linear_model.LogisticRegression:C=3", seed=4)
    assert repr(by_path) == repr(LogisticRegression(C=3, random_state=4))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    made = make_head(pipeline)
    assert repr(made) == repr(pipeline) and made is not pipeline


def test_whatever_has_no_probabilities_is_calibrated(separable):
    X, y = separable.select("wide"), separable.label
    for head in (SVC(), make_pipeline(StandardScaler(), SVC()), "sklearn.linear_model.Perceptron"):
        made = make_head(head)
        assert isinstance(made, Calibrated) and (fit_head(made, X, y).predict(X) == y).all(), head


def test_calibrated_probabilities_are_right_as_often_as_they_say():
    """Of labels that a fifth is turned around, so that a head that believes what it has learnt by heart says 1."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(2000, 1)) + rng.normal(size=(2000, 1)) * 0.05
    y = np.where((X[:, 0] > 0) ^ (rng.random(2000) < 0.2), "fern", "moss")
    for head in ("linear-svm", "random-forest:n_estimators=10", "naive-bayes"):
        fitted = fit_head(make_head(head), X[:1000], y[:1000])
        right = (fitted.predict(X[1000:]) == y[1000:]).mean()
        assert 0.6 < right < 0.9, head
        assert fitted.predict_proba(X[1000:]).max(axis=1).mean() == pytest.approx(right, abs=0.05), head


def test_heads_work_in_a_grid_search(separable):
    search = GridSearchCV(make_head("svm"), {"classifier__estimator__C": [0.1, 1]}, cv=3)
    assert search.fit(separable.select("wide"), separable.label.astype(str)).best_score_ == 1


def test_groups_reach_the_calibration_at_any_depth(separable):
    """With all photos of a label in one group no calibration is possible, and that is said."""
    groups = np.unique(separable.label.astype(str), return_inverse=True)[1]
    nested = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), Calibrated(SVC())))
    for head in (make_head("svm"), nested):
        with pytest.raises(BottleheadError, match="two groups; ant has 1"):
            fit_head(head, separable.select("wide"), separable.label, groups)


def test_a_head_that_did_not_converge_says_so_once_and_other_warnings_come_through(separable, caplog):
    class Warns(LogisticRegression):
        def fit(self, X, y):
            warnings.warn("look out", UserWarning, stacklevel=1)
            return super().fit(X, y)

    with caplog.at_level(logging.WARNING, "bottlehead"):
        fit_head(make_head("mlp:max_iter=2"), separable.select("noise"), separable.label)
    (message,) = caplog.messages
    assert message.startswith("MLPClassifier stopped before it converged")
    with pytest.warns(UserWarning, match="look out"):
        fit_head(Warns(), separable.select("wide"), separable.label)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("SVM", r"no head named 'SVM'; perhaps svm is meant \(the heads are"),
        ("softmax,svm", r"'softmax,svm' is no head \(separate several heads with spaces"),
        ("forest", r"no head named 'forest' \(the heads are softmax, svm, .*dummy"),
        *((f"svm:{half}", "no parameter with a value") for half in ("C", "=1", "C=")),
        ("svm:C=1,C=2", "sets C twice"),
        ("svm:gama=1", "no parameter gama.*C, break_ties, .*tol"),
        ("svm:C=-1", "'C' parameter.*Got -1"),
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
        ("knn:class_weight=balanced", "KNeighborsClassifier takes none.*softmax, svm, .* can"),
        ("mlp:class_weight=heavy", "has class_weight 'heavy'.*class_weight=balanced"),
    ],
    ids=str,
)
def test_other_heads_are_refused(head, message):
    with pytest.raises(BottleheadError, match=message):
        make_head(head)


class Spying(LogisticRegression):
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


@pytest.mark.parametrize("weighed", ["", "class_weight=balanced,"])
def test_ctrl_c_ends_a_fit_that_would_not_end(weighed):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 50)), rng.permutation(np.repeat(["ant", "bee"], 200))
    unfitted = make_head(f"mlp:{weighed}max_iter=1000000,tol=0.0,n_iter_no_change=1000000", widths=[50])

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_head(unfitted, X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "head", ["softmax", "svm", "mlp:max_iter=200", "naive-bayes", "random-forest:max_depth=2,n_estimators=10"]
)
def test_balanced_heads_find_more_of_the_rare_label(head):
    rng = np.random.default_rng(0)
    y = np.repeat(["fern", "moss"], [190, 30])
    X = rng.normal(size=(220, 6)) + 0.7 * (y == "moss")[:, None]
    start, rare = head + ("," if ":" in head else ":"), y == "moss"
    plain = fit_head(make_head(head), X[::2], y[::2])
    balanced = fit_head(make_head(f"{start}class_weight=balanced"), X[::2], y[::2])
    gain = balanced.predict_proba(X[1::2])[:, 1] - plain.predict_proba(X[1::2])[:, 1]
    assert gain[rare[1::2]].mean() > 0.01
    assert (balanced.predict(X)[rare] == "moss").sum() >= (plain.predict(X)[rare] == "moss").sum()


@pytest.mark.parametrize("weights", ["balanced", "{'fern':1,'moss':3}"])
def test_weighing_is_fitting_on_copies(weights):
    """With three ferns to each moss, balancing is having each moss three times, up to a common factor."""
    y = np.repeat(["fern", "moss"], [30, 10])
    X = np.random.default_rng(1).normal(size=(40, 2)) + (y == "moss")[:, None]
    copies = np.r_[0:30, np.repeat(np.arange(30, 40), 3)]
    found = make_head(f"sklearn.naive_bayes.GaussianNB:class_weight={weights}").fit(X, y)
    expected = GaussianNB().fit(X[copies], y[copies])
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X))


@pytest.mark.filterwarnings("ignore")
def test_gradient_boosting_weighs_labels_by_name():
    table = tiny(30)
    X, y = table.select("noise"), table.label.astype(str)
    plain, weighted = (
        make_head(f"gradient-boosting:max_iter=5{more}").fit(X, y)
        for more in (",class_weight={'fern':1,'moss':1}", ",class_weight={'fern':1,'moss':20}")
    )
    np.testing.assert_allclose(
        plain.predict_proba(X), make_head("gradient-boosting:max_iter=5").fit(X, y).predict_proba(X)
    )
    assert (weighted.predict_proba(X)[:, 1] > plain.predict_proba(X)[:, 1]).all()


def test_weights_of_labels_that_are_not_there_are_refused(separable):
    with pytest.raises(BottleheadError, match=r"softmax.* cannot be fitted: .*'cat'\], are not in class_w"):
        train_model(separable, "softmax:class_weight={'dog':2}", "wide")


def tiny(n_per_label: int) -> FeatureTable:
    return made_table(2 * n_per_label, ["fern", "moss"], 4.0)


@pytest.mark.parametrize(
    ("head", "reason", "hint"),
    [
        ("knn:n_neighbors=30", "n_neighbors = 30", "fewer neighbours vote: knn:n_neighbors=3"),
        ("lda", "number of samples", "use head softmax"),
        ("lda:solver=svd", "shrinkage not supported", "leave out solver=svd"),
        ("svm:kernel=precomputed", "must be a square matrix", "leave out kernel=precomputed"),
        ("softmax:solver=newton-cholesky,penalty=elasticnet", "supports only 'l2'", "leave out solver="),
        ("naive-bayes:var_smoothing=1e308", "probabilities that are not numbers", "leave out var_smoothing"),
        ("sklearn.naive_bayes.MultinomialNB", "Negative values", "use another head"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_failing_fit_is_one_error_with_a_hint_that_fits(head, reason, hint):
    with pytest.raises(BottleheadError) as caught:
        train_model(tiny(2 if head == "lda" else 10), head, jobs=1)
    assert caught.value.args[0].startswith(f"the head {head} cannot be fitted: ")
    assert reason in caught.value.args[0] and "\n" not in caught.value.args[0]
    assert hint in caught.value.hint


def test_a_fold_with_fewer_photos_than_neighbours_lets_all_of_them_vote():
    table = tiny(6)
    fitted = make_head("knn").fit(table.select("good"), table.label.astype(str))
    assert fitted[-1].estimator_.n_neighbors == 10


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gaps_in_vectors_are_refused_with_the_name_of_the_image(value):
    table, other = tiny(6), tiny(6)
    model = train_model(table, jobs=1)
    other.vectors["good"][[7, 9]] = value
    for use in (lambda: train_model(other, jobs=1), lambda: predict_table(model, other)):
        with pytest.raises(BottleheadError, match=r"good\S* of moss/7\.jpg, and of 1 more hold NaN or inf"):
            use()


def test_a_model_never_gives_probabilities_that_are_no_numbers(monkeypatch):
    model = train_model(tiny(6), jobs=1)
    monkeypatch.setattr(type(model.head), "predict_proba", lambda self, X: np.full((len(X), 2), np.nan))
    with pytest.raises(BottleheadError, match="gives no probabilities for these vectors"):
        model.predict(np.zeros((1, 6)))


class Own(ClassifierMixin, BaseEstimator):
    """A head of somebody, without ``_parameter_constraints``."""

    def __init__(self, side=2):
        self.side = side

    def fit(self, X, y):
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def failing(*arguments, **options):
    raise ZeroDivisionError("as it may")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "made", "reason"),
    [
        ("__init__", failing, "cannot be made: ZeroDivisionError: as it may"),
        ("get_params", failing, "cannot be made: ZeroDivisionError"),
        ("set_params", failing, "cannot be made: ZeroDivisionError"),
        ("__sklearn_tags__", failing, "cannot be used: ZeroDivisionError"),
        ("fit", failing, "failed on good in fold 0 of repeat 0: ZeroDivisionError: as it may"),
        ("fit", lambda self, X, y: sys.exit(3), "fold 0 of repeat 0: SystemExit: 3"),
        ("fit", lambda self, X, y: self, "fold 0 of repeat 0: 'Own' object has no attribute 'classes_'"),
        ("predict_proba", failing, "fold 0 of repeat 0: ZeroDivisionError"),
        ("predict_proba", lambda self, X: np.ones(3), r"probabilities of shape \(3,\), and not \(12, 3\)"),
        ("predict_proba", lambda self, X: np.ones((len(X), 7)), r"probabilities of shape \(12, 7\), and not"),
        ("predict_proba", lambda self, X: np.zeros((len(X), 3)), "0 for every label"),
        ("predict_proba", lambda self, X: np.full((len(X), 3), "a"), "could not convert string"),
    ],
)
def test_a_failing_head_of_somebody_is_one_error_that_names_it(method, made, reason, tmp_path, monkeypatch):
    made_table().write(tmp_path / "t.parquet")
    words = ["evaluate", "compare", tmp_path / "t.parquet", "--features", "good", "-j", 1, "--heads"]
    assert run(*words, f"{__name__}.Own").status == 0
    monkeypatch.setattr(Own, method, made, raising=False)
    done = run(*words, f"{__name__}.Own")
    assert done.status == 1 and re.search(reason, done.error) and "Own" in done.error, done.err
    if "fold" in reason:
        words = [
            "classify",
            "train",
            tmp_path / "t.parquet",
            "-o",
            tmp_path / "m",
            "--trust",
            f"{__name__}.Own",
        ]
        done = run(*words, "--head", f"{__name__}.Own")
        assert done.status == 1 and f"the head {__name__}.Own cannot be fitted: " in done.error


@pytest.mark.parametrize("code", ["1 // 0", "raise SystemExit(4)", "def ("])
def test_a_module_of_heads_that_cannot_be_imported_is_one_error(code, tmp_path, monkeypatch):
    (tmp_path / "broken_heads.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        BottleheadError, match=r"there is no head broken_heads\.Own: (ZeroD|SystemExit|SyntaxE)"
    ):
        make_head("broken_heads.Own")
