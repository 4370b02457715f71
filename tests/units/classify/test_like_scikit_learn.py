"""Heads by scikit-learn's own rules: its checks, and every kind of rows, labels, weights and settings that it takes."""

import json
import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import classify
from classify import BlockScaler, Calibrated, fit_head, make_head, tune_head
from classify.heads.fitting import ClassWeighted
from classify.heads.steps import SGDHead
from classify.heads.tuning import GRIDS, TunedHead
from featurize import BottleheadError

RNG = np.random.default_rng(0)
Y = np.repeat(["ant", "bee", "cat"], 16)
X = (RNG.normal(size=(48, 5)) + 2 * np.repeat([0, 1, 2], 16)[:, None]).astype(np.float32)
IN_STEPS = "softmax:steps=40,learning_rate=0.5"
QUICKER = {"random-forest": "n_estimators=3", "gradient-boosting": "max_iter=2", "mlp": "max_iter=40"}
HEADS = [f"{name}:{QUICKER[name]}" if name in QUICKER else name for name in classify.head_names()]
SPECS = [*HEADS, IN_STEPS]
OURS = {
    **{spec: make_head(spec) for spec in SPECS},
    "SVC()": make_head(SVC()),
    "weighted": ClassWeighted(GaussianNB()),
    "tuned": TunedHead("softmax"),
}
OF_EVERY_KIND = ["softmax", "svm", IN_STEPS, "SVC()", "weighted", "tuned"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def _small_grids(monkeypatch):
    monkeypatch.setitem(GRIDS, "softmax", {"C": (0.1, 1.0)})
    monkeypatch.setitem(GRIDS, "svm", {"C": (1.0, 10.0)})


# -- scikit-learn's own checks, and why some fail ---

PIPELINE = "a Pipeline fits its own steps and keeps what they learn in `steps`, which is a parameter"
OF_PIPELINES = dict.fromkeys(
    ("check_estimators_overwrite_params", "check_dont_overwrite_parameters"), PIPELINE
)
OF_DUMMIES = dict.fromkeys(
    ("check_classifiers_regression_target", "check_supervised_y_no_nan"),
    "scikit-learn's DummyClassifier takes whatever it is given for labels",
)
OF_CALIBRATED = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "a row that weighs 2 is on one side of a fold, two rows may be on both; and a label may be left with one row, "
    "which cannot be calibrated",
)
OF_STEPS = {
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn at random: other rows, other draws",
}
CHECKED = {
    "BlockScaler": (BlockScaler(), {}),
    "Calibrated(SVC)": (Calibrated(SVC()), OF_CALIBRATED),
    "Calibrated(LinearSVC)": (Calibrated(LinearSVC()), OF_CALIBRATED),
    "ClassWeighted": (ClassWeighted(GaussianNB()), {}),
    "SGDHead": (SGDHead("softmax", steps=15, learning_rate=1.0), OF_STEPS),
    "TunedHead": (TunedHead("softmax"), OF_CALIBRATED),
    "softmax": (make_head("softmax"), OF_PIPELINES),
    "svm": (make_head("svm"), OF_PIPELINES),
    "dummy": (make_head("dummy"), OF_PIPELINES | OF_DUMMIES),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHECKED)
def test_scikit_learns_checks_pass_and_each_expected_failure_has_a_reason(name):
    estimator, expected = CHECKED[name]
    results = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
    failed = {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"}
    assert not failed
    assert {one["check_name"] for one in results if one["status"] == "xfail"} <= set(expected)
    assert len(results) > 40


# -- rows of every kind ---


def frames_of(matrix: np.ndarray) -> dict[str, object]:
    """The same numbers in every form that a head takes, but for memory-mapped arrays."""
    names = [f"n{column}" for column in range(matrix.shape[1])]
    shuffled = np.random.default_rng(1).permutation(len(matrix)) + 100
    return {
        "pandas": pd.DataFrame(matrix, columns=names, index=shuffled),
        "polars": pl.DataFrame(matrix, schema=names),
        "list": matrix.tolist(),
        "float16": matrix.astype(np.float16),
    }


@pytest.mark.parametrize("name", OURS)
def test_rows_of_every_kind_give_the_same_probabilities(name, tmp_path):
    head, matrix = OURS[name], X.astype(np.float16).astype(np.float64)
    expected = clone(head).fit(matrix, Y).predict_proba(matrix)
    mapped = np.memmap(tmp_path / "X", np.float64, "w+", shape=matrix.shape)
    mapped[:] = matrix
    mapped.flush()
    mapped.flags.writeable = False
    # An object's classifier, which has no scaling before it, may count by float16.
    close = 0.02 if name.startswith("mlp") or name == "weighted" else 2e-5
    for kind, given in (frames_of(matrix) | {"mapped": mapped}).items():
        labels = {"list": Y.tolist(), "pandas": pd.Series(Y, index=np.arange(48)[::-1])}.get(kind, Y)
        fitted = clone(head).fit(given, labels)
        np.testing.assert_allclose(fitted.predict_proba(given), expected, atol=close, err_msg=kind)
    assert not hasattr(head, "classes_")


@pytest.mark.parametrize("kind", ["list", "pandas", "polars"])
def test_scaling_rounds_no_number_that_was_given_in_full(kind):
    matrix = np.random.default_rng(4).normal(size=(8, 2))
    given = frames_of(matrix)[kind]
    scaled = BlockScaler().fit(given).transform(given)
    np.testing.assert_allclose(scaled, BlockScaler().fit_transform(matrix), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("name", OF_EVERY_KIND)
def test_what_transformers_put_out_changes_no_probability(name, output):
    matrix = X.astype(np.float64)  # what a frame holds is counted in full
    expected = clone(OURS[name]).fit(matrix, Y).predict_proba(matrix)
    with sklearn.config_context(transform_output=output):
        np.testing.assert_allclose(
            clone(OURS[name]).fit(matrix, Y).predict_proba(matrix), expected, atol=2e-5
        )
        frame = frames_of(matrix)[output]
        np.testing.assert_allclose(clone(OURS[name]).fit(frame, Y).predict_proba(frame), expected, atol=2e-5)
    head = clone(OURS[name])
    if isinstance(head, Pipeline):
        head.set_output(transform=output)
        np.testing.assert_allclose(head.fit(matrix, Y).predict_proba(matrix), expected, atol=2e-5)


@pytest.mark.parametrize("output", ["pandas", "polars", "default"])
def test_searches_and_trainings_in_steps_do_not_ask_what_transformers_put_out(output, separable):
    expected = tune_head("svm", X, Y).trail
    vectors = separable.select("noise")
    probabilities = classify.train_model(separable, IN_STEPS, "noise").predict_proba(vectors)
    with sklearn.config_context(transform_output=output):
        assert [one["accuracy"] for one in tune_head("svm", frames_of(X)["pandas"], Y).trail] == [
            one["accuracy"] for one in expected
        ]
        again = classify.train_model(separable, IN_STEPS, "noise")
        np.testing.assert_allclose(again.predict_proba(vectors), probabilities, atol=1e-5)


def test_the_index_of_a_frame_goes_with_its_rows_as_through_a_function_transformer():
    frame = frames_of(X)["pandas"]
    ours, control = (
        ColumnTransformer([("x", step, list(frame)), ("row", "passthrough", ["n0"])])
        .set_output(transform="pandas")
        .fit(frame)
        .transform(frame)
        for step in (BlockScaler(), FunctionTransformer(feature_names_out="one-to-one"))
    )
    pd.testing.assert_index_equal(ours.index, control.index)
    assert list(ours) == list(control)
    np.testing.assert_allclose(ours.filter(like="x__"), BlockScaler().fit_transform(X), rtol=1e-5)
    for head in map(OURS.get, OF_EVERY_KIND):
        some = frame.iloc[::3]
        fitted = clone(head).fit(frame, pd.Series(Y, index=frame.index))
        np.testing.assert_array_equal(fitted.predict(some), fitted.predict(frame)[::3])


def test_calibration_leaves_a_frame_to_the_steps_that_choose_columns():
    frame = pd.DataFrame(X, columns=list("abcde"))
    chooser = ColumnTransformer([("two", "passthrough", ["a", "c"])])
    fitted = Calibrated(make_pipeline(chooser, SVC())).fit(frame, Y)
    expected = Calibrated(make_pipeline(StandardScaler(with_mean=False, with_std=False), SVC()))
    np.testing.assert_allclose(
        fitted.predict_proba(frame), expected.fit(X[:, [0, 2]], Y).predict_proba(X[:, [0, 2]])
    )
    assert fitted.feature_names_in_.tolist() == list("abcde")


# -- labels and groups of every type ---

LABELS = {
    "integers": (np.repeat([3, 10, 20], 16), [3, 10, 20]),
    "truth": (np.repeat([True, False, True], 16), [False, True]),
    "text": (Y, ["ant", "bee", "cat"]),
    "objects": (Y.astype(object), ["ant", "bee", "cat"]),
    "categories": (pd.Series(Y, dtype="category", index=np.arange(48) * 2), ["ant", "bee", "cat"]),
    "nullable": (pd.Series(np.repeat([3, 10, 20], 16), dtype="Int64"), [3, 10, 20]),
    "polars": (pl.Series(np.repeat([3, 10, 20], 16)), [3, 10, 20]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_heads_keep_the_type_of_labels_as_scikit_learn_does(kind):
    labels, classes = LABELS[kind]
    expected = LogisticRegression().fit(X, labels).classes_
    for name in ("svm", "softmax", IN_STEPS, "weighted", "tuned"):
        for fitted in (clone(OURS[name]).fit(X, labels), fit_head(OURS[name], X, labels)):
            assert fitted.classes_.tolist() == classes
            assert fitted.classes_.dtype == expected.dtype, name
            assert fitted.predict(X).dtype == expected.dtype
            assert (fitted.predict(X) == np.asarray(labels)).mean() > 0.6


@pytest.mark.parametrize(
    "groups",
    [
        [f"leaf {row // 4}" for row in range(48)],
        pd.Series([f"leaf {row // 4}" for row in range(48)], dtype="category"),
        pd.Series(np.arange(48) // 4, index=np.arange(48)[::-1]),
        pd.Series(np.arange(48) // 4).astype(float),
        pl.Series([f"leaf {row // 4}" for row in range(48)]),
    ],
    ids=["list", "categories", "other-index", "floats", "polars"],
)
def test_groups_of_any_type_are_kept_together(groups):
    by_number = fit_head(make_head("svm"), X, Y, np.arange(48) // 4).predict_proba(X)
    np.testing.assert_array_equal(fit_head(make_head("svm"), X, Y, groups).predict_proba(X), by_number)


@pytest.mark.parametrize("groups", [[(row, 0) for row in range(48)], np.zeros((48, 1)), 3])
def test_groups_that_are_not_one_for_each_row_are_refused_by_their_shape(groups):
    with pytest.raises(BottleheadError, match="groups of shape"):
        fit_head(make_head("svm"), X, Y, groups, np.zeros(48, dtype=int))


def test_a_row_whose_group_is_missing_is_alone():
    gaps = pd.Series(["a", None, "b", "a", np.nan, pd.NA] * 8)
    numbers = np.array([0, 1, 2, 0, 3, 4] * 8)
    for place in (1, 4, 5):
        numbers[place::6] = 100 * place + np.arange(8)
    found = classify.make_folds(["x", "y"] * 24, gaps, n_folds=2)
    for fold in found:
        assert not set(numbers[fold.training]) & set(numbers[fold.testing])
    assert len({tuple(fold.testing) for fold in found}) == 2


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA], ids=str)
@pytest.mark.parametrize("name", ["svm", IN_STEPS, "weighted", "tuned"])
def test_a_missing_label_is_refused(name, gap):
    labels = pd.Series([*Y[:-1], gap], dtype=object)
    with pytest.raises(ValueError, match="1 of 48 rows have no label"):
        clone(OURS[name]).fit(X, labels)


# -- weights, logarithms, and what is not fitted ---

TAKES_NONE = "knn", "lda"


@pytest.mark.parametrize("name", OURS)
def test_weights_count_wherever_the_classifier_takes_them(name):
    """A heavy label becomes more probable everywhere; rows that weigh nothing might as well not be there."""
    weights = np.where(Y == "bee", 20.0, 1.0)
    crowded = 0.2 * X
    if name.startswith(TAKES_NONE):
        with pytest.raises(BottleheadError, match="takes no sample_weight"):
            fit_head(OURS[name], crowded, Y, sample_weight=weights)
        return
    plain, heavy = (fit_head(OURS[name], crowded, Y, sample_weight=one) for one in (np.ones(48), weights))
    if name not in ("weighted", "dummy"):  # balanced, and by shares alone
        found, before = ((one.predict(crowded) == "bee")[Y == "bee"].sum() for one in (heavy, plain))
        assert found >= before
        assert not np.allclose(heavy.predict_proba(crowded), plain.predict_proba(crowded), atol=1e-4)
    if name in ("svm", "linear-svm", "naive-bayes", "SVC()"):
        zero = np.arange(48) % 5 > 0
        with_zeros = OURS[name] if name == "SVC()" else clone(OURS[name])[-1]
        left_out = clone(with_zeros).fit(X[zero], Y[zero]).predict_proba(X)
        np.testing.assert_allclose(
            clone(with_zeros).fit(X, Y, sample_weight=zero.astype(float)).predict_proba(X),
            left_out,
            atol=1e-9,
        )


def test_a_classifier_that_takes_no_weights_says_so_inside_calibration():
    for head in (Calibrated(KNeighborsClassifier()), Calibrated(make_pipeline(KNeighborsClassifier()))):
        with pytest.raises(BottleheadError, match="KNeighborsClassifier takes no sample_weight"):
            head.fit(X, Y, sample_weight=np.ones(48))


@pytest.mark.parametrize("routing", [False, True])
def test_weights_reach_the_last_step_of_a_pipeline_inside_calibration(routing):
    weights = np.arange(48) % 3 + 1.0
    expected = Calibrated(LinearSVC()).fit(X, Y, sample_weight=weights).predict_proba(X)
    with sklearn.config_context(enable_metadata_routing=routing):
        nested = Calibrated(make_pipeline(FunctionTransformer(), LinearSVC()))
        found = nested.fit(X, Y, sample_weight=weights).predict_proba(X)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        fitted = fit_head(make_pipeline(FunctionTransformer(), nested), X, Y, sample_weight=weights)
        np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-6)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("name", [*OF_EVERY_KIND, "linear-svm"])
def test_groups_go_through_scikit_learns_searches_with_metadata_routing_and_without(name, routing):
    groups = np.arange(48) // 2
    with sklearn.config_context(enable_metadata_routing=routing):
        given = {"params": {"groups": groups}} if routing else {"groups": groups}
        found = cross_validate(OURS[name], X, Y, cv=GroupKFold(2), error_score="raise", **given)
        assert len(found["test_score"]) == 2
        fit_head(OURS[name], X, Y, groups, np.zeros(48, dtype=int))
        if name in ("svm", "linear-svm"):  # each label in one group: no calibration, so groups did arrive
            with pytest.raises(BottleheadError, match="in two groups"):
                clone(OURS[name]).fit(X, Y, **({"groups": Y} if routing else {"classifier__groups": Y}))


WITH_LOGARITHMS = [name for name in OURS if "boosting" not in name]  # scikit-learn's has none


@pytest.mark.parametrize("name", WITH_LOGARITHMS)
def test_logarithms_are_those_of_the_probabilities(name):
    fitted = clone(OURS[name]).fit(X, Y)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(
            fitted.predict_log_proba(X), np.log(fitted.predict_proba(X)), rtol=1e-6, atol=1e-12
        )


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("name", WITH_LOGARITHMS)
def test_a_head_that_is_not_fitted_says_so(name, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # older pipelines warn beforehand
        with pytest.raises(NotFittedError):
            getattr(clone(OURS[name]), method)(X)


# -- one path to the parameters ---


@pytest.mark.parametrize("spec", HEADS)
def test_one_path_reaches_the_parameters_of_every_heads_classifier(spec):
    head = make_head(spec)
    inner = head[-1].estimator if hasattr(head[-1], "estimator") else head[-1]
    for name, value in inner.get_params().items():
        assert head.get_params()[f"classifier__{name}"] is value
    if hasattr(inner, "random_state"):
        changed = clone(head).set_params(classifier__random_state=7)
        last = changed[-1].estimator if hasattr(changed[-1], "estimator") else changed[-1]
        assert last.random_state == 7 and inner.random_state != 7


@pytest.mark.parametrize("head", ["softmax", "svm", "linear-svm", "svm:class_weight=balanced"])
def test_one_path_and_the_old_one_work_in_a_grid_search(head):
    paths = ["classifier__C"] + ["classifier__estimator__C"] * (head != "softmax")
    for path in paths:
        search = GridSearchCV(make_head(head), {path: [1e-9, 1.0]}, cv=2).fit(X, Y)
        classifier = search.best_estimator_[-1]
        inner = classifier.estimator if isinstance(classifier, Calibrated) else classifier
        assert inner.C == search.best_params_[path]
        if "svm:" not in head and head != "svm":  # whose order calibration mends, whatever C is
            assert search.best_params_ == {path: 1.0}


def test_of_two_paths_to_one_parameter_the_one_with_a_new_value_counts():
    head = make_head("svm")
    everything = head.get_params()
    assert head.set_params(**everything).get_params()["classifier__C"] == 10.0
    assert head.set_params(**everything | {"classifier__C": 3.0})[-1].estimator.C == 3.0
    assert head.set_params(**head.get_params() | {"classifier__estimator__C": 4.0})[-1].estimator.C == 4.0
    assert Calibrated(SVC()).set_params(estimator=LinearSVC(), C=2.0).estimator.C == 2.0
    nested = Calibrated(ClassWeighted(RandomForestClassifier())).set_params(max_depth=3, seed=5)
    assert nested.estimator.estimator.max_depth == 3 and nested.seed == 5
    with pytest.raises(ValueError, match="Invalid parameter 'gama'"):
        head.set_params(classifier__gama=1)


# -- skops elsewhere ---


@pytest.mark.parametrize("name", OURS)
def test_a_reader_of_skops_needs_our_list_of_types_and_no_more(name):
    fitted = clone(OURS[name]).fit(X, Y)
    data = skops.io.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(classify.TRUSTED_TYPES)
    loaded = skops.io.loads(data, trusted=classify.TRUSTED_TYPES)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert json.loads(json.dumps(classify.TRUSTED_TYPES)) == sorted(set(classify.TRUSTED_TYPES))


def test_readmes_line_for_mlflow_names_the_list_that_skops_needs():
    """MLflow itself hands these to skops; the line is run with what it does in its place."""
    readme = (Path(__file__).parents[3] / "classify" / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"`(mlflow\.sklearn\.log_model\(.*?\))`", readme)
    loaded = []

    def log_model(head, name, serialization_format, skops_trusted_types):
        assert serialization_format == "skops"
        loaded.append(skops.io.loads(skops.io.dumps(head), trusted=skops_trusted_types))

    mlflow, head = SimpleNamespace(sklearn=SimpleNamespace(log_model=log_model)), make_head("svm").fit(X, Y)
    eval(line, {"mlflow": mlflow, "head": head, "classify": classify})  # noqa: S307
    np.testing.assert_array_equal(loaded[0].predict(X), head.predict(X))
