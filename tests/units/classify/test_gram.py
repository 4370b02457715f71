import numpy as np
import pytest
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.svm import SVC

from classify.gram import Distances, RowsSVC, can_share, on_rows, squared_distances
from classify.heads.registry import fit_head, make_head
from classify.heads.scaling import BlockScaler


@pytest.fixture
def vectors():
    """A block for ``root`` (with a dead column) and a block of three numbers for ``standard``."""
    rng = np.random.default_rng(1)
    wide = rng.exponential(size=(50, 40)) * (rng.random((50, 40)) < 0.6)
    wide[:, 7] = 0
    return np.hstack([wide, rng.normal(size=(50, 3)) * [1, 10, 100]])


@pytest.mark.parametrize("widths", [[40, 3], [40, 2, 1], [43]])
def test_distances_are_those_of_the_scaled_vectors(vectors, widths):
    shared = Distances(vectors, widths)
    for training in (np.arange(30), np.arange(20, 50)):
        scaled = BlockScaler(widths).fit(vectors[training]).transform(vectors)
        found = shared.scaled(BlockScaler(widths), training).distances
        np.testing.assert_allclose(found, euclidean_distances(scaled, squared=True), atol=1e-9)


def test_a_column_that_is_dead_in_training_only_is_not_shared(vectors):
    vectors[:30, 5] = 0
    vectors[30:, 5] = 4
    scaled = BlockScaler([40, 3]).fit(vectors[:30]).transform(vectors)
    found = Distances(vectors, [40, 3]).scaled(BlockScaler([40, 3]), np.arange(30)).distances
    np.testing.assert_allclose(found, euclidean_distances(scaled, squared=True), rtol=1e-9, atol=1e-9)


def test_root_blocks_are_multiplied_once(vectors, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "classify.gram.squared_distances", lambda block: calls.append(block.shape) or squared_distances(block)
    )
    shared = Distances(vectors, [40, 3])
    for start in (0, 10, 20):
        shared.scaled(BlockScaler([40, 3]), np.arange(start, start + 30))
    assert calls == [(50, 40), (50, 3), (50, 3), (50, 3)]


@pytest.mark.parametrize("gamma", ["scale", "auto", 0.3])
def test_gamma_and_kernel_are_those_of_svc(vectors, gamma):
    rows = np.arange(5, 35)
    scaled = BlockScaler([40, 3]).fit(vectors[rows]).transform(vectors)
    gram = Distances(vectors, [40, 3]).scaled(BlockScaler([40, 3]), rows)
    y = np.arange(50) % 3
    svc = SVC(gamma=gamma, decision_function_shape="ovo").fit(scaled[:20], y[:20])
    mine = RowsSVC(SVC(gamma=gamma), gram).fit(np.arange(20)[:, None], y[:20])
    assert mine.gamma_ == pytest.approx(svc._gamma, rel=1e-9)
    np.testing.assert_allclose(
        gram.kernel(mine.gamma_, rows[:4], rows[4:]),
        rbf_kernel(scaled[rows[:4]], scaled[rows[4:]], svc._gamma),
    )
    np.testing.assert_allclose(
        mine.decision_function(np.arange(50)[:, None]), svc.decision_function(scaled), atol=1e-6
    )


@pytest.mark.parametrize("n_labels", [2, 3])
def test_a_calibrated_head_on_rows_is_the_head_on_vectors(vectors, n_labels):
    y = np.array(["a", "b", "c"])[np.arange(50) % n_labels]
    groups, training = np.arange(50) // 2, np.arange(40)
    head = make_head("svm:C=3", widths=[40, 3])
    on_vectors = fit_head(head, vectors[training], y[training], groups[training])
    gram = Distances(vectors, [40, 3]).scaled(head.named_steps["scaling"], training)
    rows = np.arange(50)[:, None]
    mine = fit_head(on_rows(head, gram), rows[training], y[training], groups[training])
    np.testing.assert_allclose(
        mine.predict_proba(rows[40:]), on_vectors.predict_proba(vectors[40:]), atol=1e-6
    )


def test_what_can_share():
    assert can_share(make_head("svm:gamma=0.1"), 100)
    assert not can_share(make_head("svm:kernel=poly"), 100)
    assert not can_share(make_head("linear-svm"), 100)
    assert not can_share(make_head(SVC()), 100)
    assert not can_share(make_head("svm"), 1_000_000)


def test_distances_of_far_away_vectors_keep_their_digits():
    found = squared_distances(np.array([[1e6, 0.0], [1e6 + 1, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[0, 1], [1, 0]])
