"""The map: who is near whom stays so, samples keep the shares of labels, and pages keep below their size."""

import json

import numpy as np
import pytest
from builders import made_table, network_table

from evaluate.report.map import content_of, far_out, lay_out, make_map, map_in_words, stratified_rows
from featurize.pages import Thumbnails
from featurize.table import FeatureTable


def test_a_sample_has_the_same_share_of_every_label_and_at_least_one_photo():
    label = np.array(["a"] * 600 + ["b"] * 300 + ["c"] * 2, dtype=object)
    rows = stratified_rows(label, 90)
    assert len(rows) == len(set(rows)) == 90 and (np.diff(rows) > 0).all()
    counts = [int((label[rows] == name).sum()) for name in "abc"]
    assert counts[0] + counts[1] in (88, 89) and abs(counts[0] - 2 * counts[1]) <= 2 and counts[2] >= 1
    assert stratified_rows(label, 90).tolist() == rows.tolist() != stratified_rows(label, 90, seed=1).tolist()
    assert stratified_rows(label, 1000).tolist() == list(range(902))
    assert len(stratified_rows(np.array([None] * 20, dtype=object), 5)) == 5


def test_groups_of_like_vectors_are_groups_in_the_plane_and_the_same_each_time():
    table = network_table(90, labels="abc")
    X = table.vectors["net"] + 3.0 * np.eye(64)[np.unique(table.label, return_inverse=True)[1]]
    places, distances, method = lay_out(X, [64])
    assert method == "PCA to 50 numbers, then t-SNE" and places.shape == (90, 2) and distances.shape == (90,)
    assert places.min() >= 0 and places.max() <= 1 and np.ptp(places, axis=0).max() == pytest.approx(1)
    squares = ((places[:, None] - places) ** 2).sum(axis=2) + 9 * np.eye(90)
    nearest = np.argsort(squares, axis=1)[:, :3]
    assert (table.label[nearest] == table.label[:, None]).mean() > 0.9
    assert lay_out(X, [64])[0].tolist() == places.tolist()


def test_fewer_than_ten_photos_are_laid_out_by_principal_components():
    X = np.random.default_rng(0).normal(size=(9, 3))
    places, _, method = lay_out(X, [3])
    assert method == "principal components (PCA)"
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    u, s, _ = np.linalg.svd(scaled, full_matrices=False)
    gaps = np.linalg.norm(places[:, None] - places, axis=2)
    expected = np.linalg.norm((u * s)[:, None, :2] - (u * s)[:, :2], axis=2)
    assert gaps / gaps.max() == pytest.approx(expected / expected.max(), abs=1e-5)


@pytest.mark.parametrize("X", [np.ones((30, 4)), np.ones((1, 4)), np.ones((3, 1)), np.arange(30.0)[:, None]])
def test_vectors_that_say_little_have_places_all_the_same(X):
    places, distances, _ = lay_out(X, [X.shape[1]])
    assert places.shape == (len(X), 2) and np.isfinite(places).all() and np.isfinite(distances).all()
    assert ((places >= 0) & (places <= 1)).all()


def test_an_outlier_is_beyond_the_quartiles_by_one_and_a_half_of_their_distance():
    distances = np.arange(1.0, 21)  # quartiles 5.75 and 15.25, so that the fence stands at 29.5
    assert not far_out(distances).any()
    distances[-2:] = 29.4, 29.6
    assert np.flatnonzero(far_out(distances)).tolist() == [19]
    assert not far_out(np.array([1.0, 1, 1, 1, 99])).any()  # too few to say


def points_of(found, photos, most_bytes=10**6):
    content = content_of(found, photos, most_bytes)
    return json.loads(content["data"]), content


def test_what_is_predicted_otherwise_is_wrong_and_pairs_are_joined(photos):
    images = [str(one) for one in photos.image]
    predicted = {images[0]: "bee", images[1]: "ant", images[30]: "bee", images[40]: "bee"}
    pairs = [(images[0], images[40]), (images[0], "elsewhere.jpg")]
    found = make_map(photos, "good", np.arange(60), predicted=predicted, by="a head", pairs=pairs)
    points, content = points_of(found, Thumbnails(photos))
    assert points["wrong"] == [0, 40] and points["pairs"] == [[0, 40]]
    assert points["labels"] == ["ant", "bee", "cat"] and points["image"] == images
    assert [points["predicted"][n] for n in (0, 1, 2)] == ["bee", "ant", None]
    assert all(one.startswith("data:image/jpeg;base64,") for one in points["thumbnails"])
    text = " ".join(content["sentences"])
    assert (
        "60 photos, by good: PCA to 4 numbers, then t-SNE." in text
        and "A vector is the list of 4 numbers" in text
    )
    assert "2 photos with a ring are misclassified by a head" in text and "1 pair of near-duplicates" in text


def test_thumbnails_keep_below_a_size_and_what_is_left_out_is_told(photos):
    found = make_map(photos, "good", np.arange(60))
    every, _ = points_of(found, Thumbnails(photos))
    size = sum(map(len, every["thumbnails"]))
    some, content = points_of(found, Thumbnails(photos), size // 2)
    kept = [one for one in some["thumbnails"] if one]
    assert 20 < len(kept) < 40 and sum(map(len, kept)) <= size // 2
    assert f"{60 - len(kept)} photos more without a thumbnail" in content["sentences"][-1]


def test_photos_that_are_gone_are_points_and_told_of_once(photos, tmp_path):
    for name in photos.image[:7]:
        (tmp_path / "photos" / name).unlink()
    found = make_map(photos, "good", np.arange(60))
    points, content = points_of(found, Thumbnails(photos))
    assert points["thumbnails"][:7] == [None] * 7 and all(points["thumbnails"][7:])
    assert content["sentences"][-1] == "7 photos were not found; their points have no thumbnail."
    nowhere = made_table(12)
    points, content = points_of(make_map(nowhere, "good", np.arange(12)), Thumbnails(nowhere))
    assert points["thumbnails"] == [None] * 12
    assert content["sentences"][-1] == "None of the photos was found; their points have no thumbnail."


def test_a_sample_is_told_and_one_without_labels_too():
    table = FeatureTable.from_arrays({"x": np.random.default_rng(0).normal(size=(40, 3))})
    found = make_map(table, "x", np.arange(40), most=30)
    assert len(found.image) == 30 and found.labels == {"no label": 30}
    assert map_in_words(found)[0].startswith(
        "30 photos, a sample of 40 with the same share of every label, by x"
    )
