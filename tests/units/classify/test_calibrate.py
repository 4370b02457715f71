import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from classify.folds import make_folds
from classify.heads import calibrate
from classify.heads.calibrate import Calibrated, _Distances, squared_distances
from classify.heads.plain import _coupled, log_probabilities


def _blobs(n_labels: int, n: int = 240):
    X, y = make_blobs(n, centers=n_labels, cluster_std=4.0, random_state=0)
    return X, np.array([f"label {code}" for code in y])


@pytest.mark.parametrize(
    ("estimator", "n_labels"), [(SVC(), 2), (RidgeClassifier(), 2), (RidgeClassifier(), 4)], ids=str
)
def test_the_decision_stays_that_of_the_classifier(estimator, n_labels):
    X, y = _blobs(n_labels)
    np.testing.assert_array_equal(Calibrated(estimator).fit(X, y).predict(X), estimator.fit(X, y).predict(X))


def test_coupling_by_hand():
    """Three labels, r01 = 2/3, r02 = 4/5, r12 = 1/2: 1 / (sum of 1/r - 1) is 4/7, 1/3 and 1/6."""
    r01, r02, r12 = 2 / 3, 4 / 5, 1 / 2
    scores = np.log([[r01 / (1 - r01), r02 / (1 - r02), r12 / (1 - r12)]])
    raw = np.array([1 / (3 / 2 + 5 / 4 - 1), 1 / (3 + 2 - 1), 1 / (5 + 2 - 1)])
    np.testing.assert_allclose(np.exp(_coupled(scores, 3))[0], raw)
    np.testing.assert_allclose(np.exp(log_probabilities(scores, 3, True))[0], raw / raw.sum())


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_coupling_is_the_closed_form_of_price_for_any_number_of_labels(dtype, tolerance):
    rng, k = np.random.default_rng(0), 7
    scores = rng.normal(scale=4, size=(5, k * (k - 1) // 2))
    expected = np.empty((5, k))
    for row in range(5):
        r = np.zeros((k, k))
        r[np.triu_indices(k, 1)] = 1 / (1 + np.exp(-scores[row]))
        r += np.tril(1 - r.T, -1)
        expected[row] = [1 / (sum(1 / r[i, j] for j in range(k) if j != i) - (k - 2)) for i in range(k)]
    found = np.exp(_coupled(scores.astype(dtype), k))
    np.testing.assert_allclose(found, expected, rtol=tolerance)
    np.testing.assert_allclose(np.exp(_coupled(np.asfortranarray(scores, dtype), k)), found, rtol=1e-5)


def _many(n_labels: int, per_label: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of many labels, each near a centre of its own; the rows of a label are neighbours."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_labels), per_label)
    return rng.normal(size=(n_labels, 12))[y] + 0.5 * rng.normal(size=(len(y), 12)), y


@pytest.mark.parametrize(
    ("estimator", "most"), [(SVC(), "ENOUGH_OF_PAIRS"), (KNeighborsClassifier(5), "ENOUGH")], ids=str
)
def test_the_slope_of_many_labels_comes_from_one_fold_and_is_nearly_that_of_all(estimator, most, monkeypatch):
    X, y = _many(105, 7)
    monkeypatch.setattr(calibrate, most, 100)
    quick = Calibrated(estimator).fit(X, y)
    assert quick.held_out_["folds"] == 1 and 50 <= quick.held_out_["photos"] <= 100
    monkeypatch.setattr(calibrate, "MANY_LABELS", 105)
    whole = Calibrated(estimator).fit(X, y)
    assert whole.held_out_["folds"] == 5 and whole.held_out_["photos"] == len(y)
    assert quick.slope_ == pytest.approx(whole.slope_, rel=0.2)
    assert quick.held_out_["log_loss"] == pytest.approx(whole.held_out_["log_loss"], abs=0.15)


def test_the_slope_of_many_rows_comes_from_one_fold_and_is_nearly_that_of_all(monkeypatch):
    X, y = _many(4, 100)
    whole = Calibrated(KNeighborsClassifier(20)).fit(X, y)
    monkeypatch.setattr(calibrate, "MANY_ROWS", 399)
    monkeypatch.setattr(calibrate, "ENOUGH_OF_ROWS", 50)
    quick = Calibrated(KNeighborsClassifier(20)).fit(X, y)
    assert (whole.held_out_["folds"], whole.held_out_["photos"]) == (5, 400)
    assert quick.held_out_["folds"] == 1 and 25 <= quick.held_out_["photos"] <= 50
    assert quick.slope_ == pytest.approx(whole.slope_, rel=0.2)
    np.testing.assert_array_equal(quick.predict(X), whole.predict(X))


def test_no_more_scores_of_pairs_are_kept_than_the_limit(monkeypatch):
    """Spread over the labels, whose rows are neighbours; the classifier itself is fitted on all rows."""
    X, y = _many(12, 20)
    monkeypatch.setattr(calibrate, "MOST_SCORES", 66 * 30)
    asked = []
    monkeypatch.setattr(
        calibrate, "_best_slope", lambda scores, codes, *_: asked.append((scores, codes)) or 2.0
    )
    head = Calibrated(SVC()).fit(X, y)
    ((scores, codes),) = asked
    assert scores.shape == (len(codes), 66) and 20 <= len(codes) <= 30 and len(set(codes)) > 8
    assert head.held_out_["photos"] == len(codes) and head.estimator_.shape_fit_ == X.shape


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_scores_of_many_labels_a_few_rows_at_a_time_are_those_of_all_rows(kernel, monkeypatch):
    X, y = _many(12, 6)
    monkeypatch.setattr(calibrate, "MANY_LABELS", 5)
    whole = Calibrated(SVC(kernel=kernel)).fit(X, y)
    monkeypatch.setattr(calibrate, "SCORES_AT_ONCE", 5 * 66)
    few = Calibrated(SVC(kernel=kernel)).fit(X, y)
    assert few.slope_ == pytest.approx(whole.slope_, rel=1e-6)
    np.testing.assert_allclose(few.predict_proba(X), whole.predict_proba(X), rtol=0, atol=1e-6)


def test_the_slope_is_the_best_one():
    """An independent search with another method, over the scores that the folds give."""
    X, y = _blobs(2)
    head = Calibrated(SVC(), seed=1).fit(X, y)
    scores, codes = np.empty(len(y)), (y == head.classes_[1]).astype(int)
    for fold in make_folds(y, np.arange(len(y)), n_folds=5, seed=1):
        fitted = SVC().fit(X[fold.training], y[fold.training])
        scores[fold.testing] = fitted.decision_function(X[fold.testing])
    n = np.bincount(codes)[codes]
    sure = (n + 1) / (n + 2)
    sign = 2 * codes - 1

    def loss(a):
        margin = a[0] * scores * sign
        return (sure * np.logaddexp(0, -margin) + (1 - sure) * np.logaddexp(0, margin)).mean()

    assert head.slope_ == pytest.approx(minimize(loss, [1.0]).x[0], rel=1e-3)


def test_perfectly_separated_photos_are_not_certain():
    X = np.repeat([[0.0], [100.0]], 10, axis=0)
    proba = Calibrated(SVC()).fit(X, np.repeat(["a", "b"], 10)).predict_proba(X)
    np.testing.assert_allclose(proba.max(axis=1), 11 / 12, atol=1e-3)  # Platt's target for 10 of a kind


def test_fewer_folds_for_a_rare_label():
    X, y = _blobs(2, 20)[0], ["rare"] * 2 + ["common"] * 18
    assert Calibrated(SVC()).fit(X, y).held_out_["folds"] == 2


@pytest.mark.parametrize(
    ("n_labels", "gamma", "weight"),
    [(2, "scale", None), (4, "scale", "balanced"), (4, "auto", None), (2, 0.3, "balanced"), (4, 0.3, None)],
)
def test_an_svm_on_distances_is_the_svm_on_vectors(n_labels, gamma, weight, monkeypatch):
    X, y = _blobs(n_labels, 90)
    X, y = np.hstack([X + 5, X**2 / 50]), np.where(np.arange(90) < 8, y[0], y)
    svc = SVC(C=3, gamma=gamma, class_weight=weight)
    on_distances = Calibrated(svc).fit(X[:60], y[:60])
    plain = SVC(C=3, gamma=gamma, class_weight=weight, decision_function_shape="ovo").fit(X[:60], y[:60])
    scores = on_distances.estimator_.decision_function(X)
    np.testing.assert_allclose(scores, plain.decision_function(X), rtol=0, atol=2e-3)
    assert on_distances.estimator_.get_params() == plain.get_params()
    assert vars(on_distances.estimator_).keys() == vars(plain).keys()
    monkeypatch.setattr(calibrate, "MOST_DISTANCES", 59)
    on_vectors = Calibrated(svc).fit(X[:60], y[:60])
    assert on_vectors.slope_ == pytest.approx(on_distances.slope_, rel=1e-2)
    np.testing.assert_allclose(on_distances.predict_proba(X), on_vectors.predict_proba(X), rtol=0, atol=2e-3)


@pytest.mark.parametrize("n_labels", [2, 3, 5])
def test_scores_of_an_svm_are_those_of_scikit_learn(n_labels, monkeypatch):
    X, y = _blobs(n_labels)
    svc = SVC(gamma=0.05, decision_function_shape="ovo").fit(X[::2], y[::2])
    monkeypatch.setattr(calibrate, "ROWS_AT_ONCE", 50)
    head = Calibrated(SVC())
    head.classes_ = svc.classes_
    scores = np.concatenate(list(head._scores(svc, X)))
    np.testing.assert_allclose(scores, svc.decision_function(X), rtol=0, atol=1e-9)


def test_an_svc_of_other_parts_is_fitted_on_the_vectors(monkeypatch):
    """As if scikit-learn kept its gamma under another name, so that setting it had no effect."""
    X, y = _blobs(3, 60)
    monkeypatch.setattr(SVC, "_gamma", property(lambda self: 7.0, lambda self, value: None), raising=False)
    fitted = _Distances(X).fit_for_vectors(SVC(gamma=0.3), y)
    assert "shape_fit_" in vars(fitted)
    assert fitted.kernel == "rbf"
    np.testing.assert_array_equal(fitted.dual_coef_, SVC(gamma=0.3).fit(X, y).dual_coef_)


def test_distances_of_far_away_vectors_keep_their_digits():
    distances = squared_distances(np.array([[1e6, 0.0], [1e6 + 1, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(distances, [[0, 1], [1, 0]])


def test_held_out_scores_are_those_of_the_folds_which_keep_groups_together_and_test_no_copies():
    """By hand: each fold scored by a classifier fitted without it, with the slope of the whole."""
    X, y = _blobs(3, 60)
    X, y = X[np.argsort(y)], np.sort(y)
    groups, variant = np.arange(60) // 4, np.arange(60) % 2
    calibrated = Calibrated(KNeighborsClassifier(10)).fit(X, y, groups=groups, variant=variant)
    right, loss = [], []
    for fold in make_folds(y, groups, variant, n_folds=5, seed=0):
        inner = clone(calibrated.estimator).fit(X[fold.training], y[fold.training])
        scores = calibrated.slope_ * np.log(np.clip(inner.predict_proba(X[fold.testing]), 0.01, 1))
        chance = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        columns = np.searchsorted(inner.classes_, y[fold.testing])
        right += (chance.argmax(axis=1) == columns).tolist()
        loss += (-np.log(chance[np.arange(len(columns)), columns])).tolist()
    scores = {"accuracy": pytest.approx(np.mean(right)), "log_loss": pytest.approx(np.mean(loss))}
    assert calibrated.held_out_ == {"photos": 30, "folds": 5} | scores


def test_every_fit_of_a_calibration_is_progress(monkeypatch):
    X, y = _blobs(2, 40)
    totals, done = [], []

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self):
            done.append(1)

    monkeypatch.setattr(calibrate, "progress", lambda total, *_, **__: totals.append(total) or Bar())
    Calibrated(SVC(), n_folds=3).fit(X, y)
    assert totals == [4] and len(done) == 4
