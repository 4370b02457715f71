"""The nearest training photos and similar pairs: as scikit-learn finds them, and never a photo itself."""

import numpy as np
import pytest
from builders import digest_of
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from classify.folds import Fold
from classify.similar import most_similar, similar_pairs, typical_similarity
from evaluate.scores.mistakes import N_WITH_NEAREST, Mistake, nearest_in_folds, nearest_rows
from evaluate.studies.compare import compare
from featurize.errors import UsageError
from featurize.table import FeatureTable


def test_a_block_of_few_numbers_is_what_scikit_learn_finds_after_standardising():
    rng = np.random.default_rng(3)
    training, X = (rng.normal(5, [1, 100, 0.01], size=(n, 3)).astype(np.float32) for n in (40, 9))
    rows, similarity = nearest_rows(X, training, [3], rows_at_once=7)
    scaler = StandardScaler().fit(training)
    expected = cosine_similarity(scaler.transform(X), scaler.transform(training))
    assert rows.tolist() == np.argsort(-expected, axis=1)[:, :3].tolist()
    assert np.allclose(similarity, -np.sort(-expected, axis=1)[:, :3], atol=1e-5)
    fewer = nearest_rows(np.ones((2, 2), np.float32), np.eye(2, dtype=np.float32), [2])  # than asked for
    assert fewer[0].shape == fewer[1].shape == (2, 2)


def test_texture_is_heard_beside_a_network():
    rng, kind = np.random.default_rng(0), np.arange(30) // 10
    network = np.abs(rng.normal(size=(30, 200))) * 1000
    network[1:] = network[0] + rng.normal(size=(29, 200))  # almost the same for all
    texture = np.equal(kind[:, None], [1, 2])
    X = np.hstack([network, texture]).astype(np.float32)

    def of_the_same_texture(features, widths):
        shares = []
        for row in range(30):
            others = np.flatnonzero(np.arange(30) != row)
            nearest, _ = nearest_rows(features[[row]], features[others], widths, 9)
            shares.append(kind[others[nearest[0]]] == kind[row])
        return np.mean(shares)

    assert of_the_same_texture(X[:, :200], [200]) < 0.35  # by chance 9 of 29
    assert of_the_same_texture(X, [200, 2]) > 0.45


def test_the_photo_comes_from_the_training_side_of_its_own_fold(confused):
    one, other = np.array([1, 2, 21]), np.array([0, 20])
    wrong = [Mistake(confused.image[row], "ant", "bee", 0.9) for row in (20, 2)]
    found = nearest_in_folds(confused, "good", [Fold(0, 0, one, other), Fold(0, 1, other, one)], wrong)
    for mistake, rows in zip(found, (one, other), strict=True):
        nearest = {(near["image"], near["label"]) for near in mistake["nearest"]}
        assert nearest == {(confused.image[row], confused.label[row]) for row in rows}
        similarity = [near["similarity"] for near in mistake["nearest"]]
        assert similarity == sorted(similarity, reverse=True)


def test_in_a_comparison_no_photo_is_its_own_neighbour_nor_is_a_distorted_copy():
    rng, image = np.random.default_rng(0), [f"{i}.jpg" for i in range(100)]
    label, sha256 = rng.choice(["a", "b"], 100).tolist(), [digest_of(i) for i in range(100)]
    ids = {"image": image * 2, "label": label * 2, "sha256": sha256 * 2, "variant": [0] * 100 + [7] * 100}
    table = FeatureTable.from_arrays({"noise": rng.normal(size=(200, 3))}, **ids)
    wrong = compare(table, heads=["sklearn.naive_bayes.GaussianNB"], jobs=1).best["misclassified"]
    assert 0 < len(wrong) <= N_WITH_NEAREST
    for one in wrong:
        names = [other["image"] for other in one["nearest"]]
        assert one["image"] not in names and len(set(names)) == 3


def clustered(n_clusters, width, seed=0):
    """Rows in pairs, each a little off its twin."""
    rng = np.random.default_rng(seed)
    centres = np.abs(rng.normal(size=(n_clusters, width)))
    return (np.repeat(centres, 2, axis=0) + rng.normal(size=(2 * n_clusters, width)) * 0.1).astype(np.float32)


def test_all_pairs_agree_with_scikit_learn_across_blocks():
    X = clustered(15, 20)
    pairs, similarity = similar_pairs(X, 0.9, block=7)
    cosine = cosine_similarity(X)
    one, other = np.nonzero(np.triu(cosine, 1) >= 0.9)
    assert len(pairs) >= 15 and pairs.tolist() == np.stack([one, other], axis=1).tolist()
    np.testing.assert_allclose(similarity, cosine[one, other], atol=1e-6)
    # The length of vectors does not matter, and zeros match nothing.
    X = np.array([[3, 4], [300, 400], [0, 0], [0, 0], [-3, -4]], dtype=np.float32)
    assert similar_pairs(X, 0.999)[0].tolist() == [[0, 1]]
    for threshold in (0, -1, 1.01, float("nan")):
        with pytest.raises(UsageError, match="a threshold of"):
            similar_pairs(X, threshold)


def test_the_approximation_with_many_files_keeps_its_promise():
    X = clustered(1500, 32)
    exact = set(map(tuple, similar_pairs(X, 0.97)[0].tolist()))
    pairs, _ = similar_pairs(X, 0.97, exact_up_to=10, rows_per_anchor=100)
    found = set(map(tuple, pairs.tolist()))
    assert found <= exact and len(found) >= 0.99 * len(exact)


@pytest.mark.parametrize("top", [1, 3, 30])
def test_the_nearest_rows_of_another_set_agree_with_scikit_learn(top):
    rng = np.random.default_rng(0)
    X, others = rng.normal(size=(30, 9)).astype(np.float32), rng.normal(size=(21, 9)).astype(np.float32)
    rows, similarity = most_similar(X, others, top, block=8)
    cosine = cosine_similarity(X, others)
    assert rows.tolist() == np.argsort(-cosine, axis=1)[:, :top].tolist()
    np.testing.assert_allclose(similarity, -np.sort(-cosine, axis=1)[:, :top], atol=1e-6)
    assert most_similar(X, X[[3, 3, 5]], 2, block=1)[0][3].tolist() == [0, 1]  # of equals the first


def test_the_typical_similarity_is_the_median_over_pairs_of_different_rows():
    X = clustered(40, 30)
    cosine = cosine_similarity(X)[np.triu_indices(80, 1)]
    assert typical_similarity(X) == pytest.approx(np.median(cosine), abs=0.02)
    assert typical_similarity(np.ones((19, 3), dtype=np.float32)) == 0.0
