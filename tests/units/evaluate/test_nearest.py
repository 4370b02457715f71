"""The nearest training photos: against plain scikit-learn, from the right fold, and never a photo itself."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from classify.folds import Fold
from classify.training.train import train
from evaluate.scores.mistakes import N_WITH_NEAREST, Mistake, nearest_in_folds, nearest_rows
from evaluate.studies import testing
from evaluate.studies.compare import compare
from featurize.table import FeatureTable


def test_a_block_of_few_numbers_is_what_scikit_learn_finds_after_standardising():
    rng = np.random.default_rng(3)
    training, X = (rng.normal(5, [1, 100, 0.01], size=(n, 3)).astype(np.float32) for n in (40, 9))
    rows, similarity = nearest_rows(X, training, [3], rows_at_once=7)
    scaler = StandardScaler().fit(training)
    expected = cosine_similarity(scaler.transform(X), scaler.transform(training))
    assert rows.tolist() == np.argsort(-expected, axis=1)[:, :3].tolist()
    assert np.allclose(similarity, -np.sort(-expected, axis=1)[:, :3], atol=1e-5)


def test_texture_is_heard_beside_a_network():
    rng = np.random.default_rng(0)
    network = np.abs(rng.normal(size=(30, 200))) * 1000
    texture = np.zeros((30, 2))
    texture[10:20, 0] = texture[20:, 1] = 1
    network[1:] = network[0] + rng.normal(size=(29, 200))  # almost the same for all
    X = np.hstack([network, texture]).astype(np.float32)
    kind = np.arange(30) // 10

    def of_the_same_texture(features, widths):
        others = [np.flatnonzero(np.arange(30) != row) for row in range(30)]
        found = [nearest_rows(features[[r]], features[o], widths, 9)[0][0] for r, o in enumerate(others)]
        return np.mean(
            [kind[o[rows]] == kind[r] for r, (o, rows) in enumerate(zip(others, found, strict=True))]
        )

    assert of_the_same_texture(X[:, :200], [200]) < 0.35  # by chance 9 of 29
    assert of_the_same_texture(X, [200, 2]) > 0.45


def test_fewer_training_photos_than_asked_for_are_all_given():
    rows, similarity = nearest_rows(np.ones((2, 2), np.float32), np.eye(2, dtype=np.float32), [2])
    assert rows.shape == similarity.shape == (2, 2)


def test_the_photo_comes_from_the_training_side_of_its_own_fold(confused):
    def rows(*numbers):
        return np.array(numbers)

    folds = [Fold(0, 0, rows(1, 2, 21), rows(0, 20)), Fold(0, 1, rows(0, 20), rows(1, 2, 21))]
    wrong = [Mistake(confused.image[row], "ant", "bee", 0.9) for row in (20, 2)]
    first, second = nearest_in_folds(confused, "good", folds, wrong)
    assert {one["image"] for one in first["nearest"]} == set(confused.image[[1, 2, 21]])
    assert {(one["image"], one["label"]) for one in second["nearest"]} == {
        (confused.image[row], confused.label[row]) for row in (0, 20)
    }
    assert [one["similarity"] for one in first["nearest"]] == sorted(
        (one["similarity"] for one in first["nearest"]), reverse=True
    )


def test_in_a_comparison_no_photo_is_its_own_neighbour_nor_is_a_distorted_copy():
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b"], 200).tolist()
    image = [f"{i}.jpg" for i in range(100)]
    table = FeatureTable.from_arrays(
        {"noise": rng.normal(size=(200, 3))},
        label=label[:100] * 2,
        image=image * 2,
        variant=[0] * 100 + [7] * 100,
        sha256=[f"{i:064x}" for i in range(100)] * 2,
    )
    wrong = compare(table, heads=["softmax"], jobs=1).best["misclassified"]
    assert 0 < len(wrong) <= N_WITH_NEAREST
    for one in wrong:
        names = [other["image"] for other in one["nearest"]]
        assert one["image"] not in names and len(set(names)) == 3


def test_only_the_photos_that_a_report_shows_are_looked_at():
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays(
        {"noise": rng.normal(size=(200, 2))}, label=rng.choice(["a", "b"], 200).tolist()
    )
    wrong = compare(table, heads=["softmax"], jobs=1).best["misclassified"]
    assert [one["nearest"] is not None for one in wrong] == [
        place < N_WITH_NEAREST for place in range(len(wrong))
    ]
    assert len(wrong) > N_WITH_NEAREST


@pytest.mark.parametrize("relabel", [None, {"ant": "insect", "bee": "insect", "cat": "cat"}])
def test_a_model_needs_the_table_that_it_was_trained_on(relabel):
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays(
        {"wide": rng.normal(size=(60, 64))},
        label=np.repeat(["ant", "bee", "cat"], 20),
        sha256=[f"{i:064x}" for i in range(60)],
    )
    even = np.arange(60) % 2 == 0
    model = train(table.filter(even), "softmax", "wide", relabel=relabel, jobs=1)
    alone = testing.test(model, table.filter(~even))
    wrong = alone.details["misclassified"]
    assert wrong and {one["nearest"] is None for one in wrong} == {True}
    given = testing.test(model, table.filter(~even), training=table)
    known = dict(zip(table.image[even], table.label[even], strict=True))
    for one in given.details["misclassified"]:
        assert [other["label"] for other in one["nearest"]] == [
            (relabel or {}).get(known[other["image"]], known[other["image"]]) for other in one["nearest"]
        ]
    assert [one["image"] for one in wrong] == [one["image"] for one in given.details["misclassified"]]
