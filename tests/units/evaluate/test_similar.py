"""Similar pairs: the same as comparing everything with everything, in plain numpy and in scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from classify.similar import most_similar, similar_pairs, typical_similarity
from featurize.errors import UsageError


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


def test_length_of_the_vectors_does_not_matter_and_zeros_match_nothing():
    X = np.array([[3, 4], [300, 400], [0, 0], [0, 0], [-3, -4]], dtype=np.float32)
    assert similar_pairs(X, 0.999)[0].tolist() == [[0, 1]]


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


def test_a_threshold_that_means_nothing_and_more_pairs_than_anyone_can_read_are_refused():
    for threshold in (0, -1, 1.01, float("nan")):
        with pytest.raises(UsageError, match="a threshold of"):
            similar_pairs(np.eye(3, dtype=np.float32), threshold)
    with pytest.raises(UsageError, match=r"more than 5 pairs of photos reach a similarity of 0\.9"):
        similar_pairs(np.ones((10, 2), dtype=np.float32), 0.9, max_pairs=5)


def test_the_typical_similarity_is_the_median_over_pairs_of_different_rows():
    X = clustered(40, 30)
    cosine = cosine_similarity(X)[np.triu_indices(80, 1)]
    assert typical_similarity(X) == pytest.approx(np.median(cosine), abs=0.02)
    assert typical_similarity(np.ones((19, 3), dtype=np.float32)) == 0.0
