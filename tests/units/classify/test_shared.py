"""Heads that share scaling and distances, against the same heads fitted by themselves."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from classify.heads.registry import fit_head, head_names, make_head
from classify.heads.scaling import BlockScaler
from classify.model.modelfile import audit_head, dump_head
from classify.shared import SharedFold
from featurize.files import total_memory

WIDTHS = [40, 3]
QUICKER = {"random-forest": ":n_estimators=10", "gradient-boosting": ":max_iter=3"}


def problem(n_labels: int):
    """Vectors of two blocks that overlap, in groups of two, each with a distorted copy."""
    rng = np.random.default_rng(n_labels)
    y = np.tile(np.array(list("abcd"))[np.arange(60) % n_labels], 2)
    shift = 0.7 * (y[:, None] == np.unique(y))
    X = np.abs(rng.normal(size=(120, 43)))
    X[:, :n_labels] += shift
    groups = np.tile(np.arange(60) // 2, 2)
    return X.astype(np.float32), y, groups, np.repeat([0, 1], 60)


def sides():
    rows = np.arange(120)
    tested = (rows < 60) & (rows % 60 // 2 % 4 == 0)
    return rows[rows % 60 // 2 % 4 != 0], rows[tested]


def alone(head, X, y, groups, variant, training, testing):
    fitted = fit_head(head, X[training], y[training], groups[training], variant[training])
    return fitted.predict_proba(X[testing])


@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize("name", head_names())
def test_each_head_gives_what_it_gives_alone(name, n_labels):
    data, (training, testing) = problem(n_labels), sides()
    fold = SharedFold(*data, training=training, testing=testing)
    head = make_head(name + QUICKER.get(name, ""), widths=WIDTHS)
    fit = fold.fit(head)
    expected = alone(head, *data, training, testing)
    if name == "svm":
        np.testing.assert_allclose(fit.probabilities, expected, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(fit.probabilities.argmax(axis=1), expected.argmax(axis=1))
    else:
        np.testing.assert_array_equal(fit.probabilities, expected)


def test_what_is_shared_does_not_leak_from_head_to_head():
    data, (training, testing) = problem(3), sides()
    specs = [
        "svm:C=1",
        "softmax",
        "svm:C=100,gamma=0.1",
        "svm:C=1,class_weight=balanced",
        "svm:kernel=linear",
    ]
    fold = SharedFold(*data, training=training, testing=testing)
    together = [fold.fit(make_head(spec, widths=WIDTHS)).probabilities for spec in specs]
    for spec, found in zip(specs, together, strict=True):
        by_itself = SharedFold(*data, training=training, testing=testing).fit(make_head(spec, widths=WIDTHS))
        np.testing.assert_array_equal(found, by_itself.probabilities)
        np.testing.assert_allclose(
            found, alone(make_head(spec, widths=WIDTHS), *data, training, testing), atol=1e-9
        )


@pytest.mark.parametrize("n_labels", [2, 4])
def test_the_svm_that_comes_back_takes_vectors_and_can_be_written(n_labels):
    (X, *rest), (training, testing) = problem(n_labels), sides()
    fit = SharedFold(X, *rest, training=training, testing=testing).fit(make_head("svm", widths=WIDTHS))
    np.testing.assert_allclose(fit.head.predict_proba(X[testing]), fit.probabilities, rtol=0, atol=1e-9)
    data = dump_head(fit.head)
    audit_head(data)
    plain = fit_head(make_head("svm", widths=WIDTHS), X[training], rest[0][training])
    assert fit.head.n_features_in_ == 43
    assert 0.8 < len(data) / len(dump_head(plain)) < 1.25  # no matrix of distances has come along


@pytest.mark.parametrize("name", ["softmax", "svm"])
def test_scaling_counts_where_it_is_done(name, monkeypatch):
    """With a clock that stands still but for a second per scaled row: 88 rows train, 320 are predicted."""
    now = [0.0]
    transform = BlockScaler.transform

    def ticking(self, X):
        now[0] += len(X)
        return transform(self, X)

    monkeypatch.setattr(BlockScaler, "transform", ticking)
    monkeypatch.setattr("classify.shared.time.perf_counter", lambda: now[0])
    data, (training, testing) = problem(3), sides()
    fold = SharedFold(*data, training=training, testing=np.tile(testing, 20))
    fit = fold.fit(make_head(name, widths=WIDTHS))
    assert (len(training), len(testing)) == (88, 16)
    assert (fit.fit_seconds, fit.predict_seconds) == (88, 320)


def test_a_pipeline_of_someone_else_is_left_alone():
    data, (training, testing) = problem(2), sides()
    head = make_head(make_pipeline(StandardScaler(), SVC(C=2)))
    found = SharedFold(*data, training=training, testing=testing).fit(head)
    np.testing.assert_array_equal(found.probabilities, alone(head, *data, training, testing))


def test_memory_is_a_number_of_bytes_and_a_container_may_limit_it(tmp_path):
    whole = total_memory()
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    assert total_memory([limit]) == 2**30 < whole
    limit.write_text("max\n")
    assert total_memory([limit, tmp_path / "none"]) >= whole
