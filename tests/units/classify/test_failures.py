"""Heads that fail and vectors with gaps: one error that names the culprit, never a traceback, never NaN."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from classify.heads.registry import head_names, make_head
from classify.heads.steps import Steps
from classify.prediction.predict import predict_table
from classify.rows import select_vectors
from classify.training.train import train, train_in_steps
from featurize.errors import ModelError, TableError, UsageError
from featurize.table import FeatureTable


def tiny(n_per_label: int) -> FeatureTable:
    rng = np.random.default_rng(0)
    label = np.repeat(["fern", "moss"], n_per_label)
    X = rng.normal(size=(len(label), 6)) + 4.0 * (label == "moss")[:, None]
    return FeatureTable.from_arrays({"x": X}, label=label, image=[f"{i}.jpg" for i in range(len(label))])


@pytest.mark.parametrize("head", head_names())
def test_every_head_learns_from_twelve_photos(head):
    table = tiny(6)
    model = train(table, head, jobs=1)
    if head not in ("dummy", "gradient-boosting"):  # which needs 20 photos in a leaf
        assert (model.predict(table.select("x")) == table.label).all()


@pytest.mark.parametrize(
    ("head", "reason", "hint"),
    [
        ("knn:n_neighbors=30", "n_neighbors = 30", "fewer neighbours vote: knn:n_neighbors=3"),
        ("lda:solver=svd", "shrinkage not supported", "leave out solver=svd"),
        ("svm:kernel=precomputed", "must be a square matrix", "leave out kernel=precomputed"),
        ("dummy:strategy=constant", "Constant target value has to be", "leave out strategy=constant"),
        ("softmax:solver=newton-cholesky,penalty=elasticnet", "supports only 'l2'", "leave out solver="),
        ("naive-bayes:var_smoothing=1e300", "probabilities that are not numbers", "leave out var_smoothing"),
        ("sklearn.naive_bayes.MultinomialNB", "Negative values", "use another head"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_failing_fit_is_one_error_with_a_hint_that_fits(head, reason, hint):
    with pytest.raises(UsageError) as caught:
        train(tiny(10), head, jobs=1)
    assert caught.value.args[0].startswith(f"the head {head} cannot be fitted: ")
    assert reason in caught.value.args[0] and "\n" not in caught.value.args[0]
    assert caught.value.hint.startswith(hint) or hint in caught.value.hint


def test_three_photos_are_too_few_for_lda_and_softmax_is_recommended():
    with pytest.raises(UsageError, match=r"number of samples .* use head softmax"):
        train(tiny(2), "lda", jobs=1)


def test_a_fold_with_fewer_photos_than_neighbours_lets_all_of_them_vote():
    table = tiny(6)
    fitted = make_head("knn").fit(table.select("x"), table.label.astype(str))
    assert fitted[-1].estimator_.n_neighbors == 10


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gaps_in_vectors_are_refused_with_the_name_of_the_image(value):
    table, other = tiny(6), tiny(6)
    model = train(table, jobs=1)
    other.vectors["x"] = other.vectors["x"].copy()
    other.vectors["x"][[7, 9], 2] = value
    for use in (
        lambda: train(other, jobs=1),
        lambda: predict_table(model, other),
        lambda: select_vectors(other, "x"),
    ):
        with pytest.raises(TableError, match=r"the features x of 7\.jpg, and of 1 more hold NaN or infinity"):
            use()


def test_opposite_infinities_do_not_cancel_and_the_largest_numbers_pass():
    largest = np.finfo(np.float32).max
    table = FeatureTable.from_arrays({"x": [[largest, largest], [-largest, -largest]]})
    assert (select_vectors(table, "x") == table.vectors["x"]).all()
    table = FeatureTable.from_arrays({"x": [[np.inf, -np.inf]]})
    with pytest.raises(TableError, match="NaN or infinity"):
        select_vectors(table, "x")


class Odd(ClassifierMixin, BaseEstimator):
    """Fits, and then gives no numbers."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


def test_a_model_never_gives_probabilities_that_are_no_numbers():
    model = train(tiny(6), jobs=1)
    model.head = Odd().fit(None, ["fern", "moss"])
    with pytest.raises(ModelError, match="gives no probabilities for these vectors"):
        model.predict(np.zeros((1, 6)))


@pytest.mark.parametrize("param", ["solver=lbfgs", "early_stopping=True"])
def test_a_head_that_takes_no_steps_is_one_error(param):
    with pytest.raises(UsageError, match=r"MLPClassifier cannot be trained in steps: partial_fit (is|does)"):
        train_in_steps(tiny(6), f"mlp:{param}", plan=Steps(steps=2))
