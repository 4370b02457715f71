"""`classify neighbours` and `nearest_images`: the training photos that a photo resembles most."""

import json

import numpy as np
import pytest
from builders import run, write_textures

from classify import BlockScaler, nearest_images, save_model, train_model
from featurize import BottleheadError, extract


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def photos(store):
    """Twelve photos of each of two labels."""
    return write_textures(store / "photos", n=12)


@pytest.fixture(scope="module")
def table(photos, store):
    return extract(photos, ["glcm", "lbp"], store=store)


@pytest.fixture(scope="module")
def model(table):
    return train_model(table)


def test_the_nearest_by_the_scaled_distance(model, photos, store, table):
    found = nearest_images(model, photos / "rough" / "3.png", table, top=24, store=store)
    scaled = BlockScaler(model.widths).fit_transform(table.select(model.features)).astype(np.float64)
    expected = np.linalg.norm(scaled - scaled[table.image == "rough/3.png"], axis=1)
    np.testing.assert_allclose([one.distance for one in found], np.sort(expected), atol=1e-5)
    assert (found[0].image, found[0].label, found[0].distance) == ("rough/3.png", "rough", 0.0)
    assert [one.image for one in found] == table.image[np.argsort(expected)].tolist()


def test_copies_are_left_out_and_labels_are_those_of_the_model(photos, store, table):
    relabel = {"smooth": "still", "rough": "wild"}
    model = train_model(table, relabel=relabel)
    copies = table.with_column("variant", [0, 4] * 12)
    found = nearest_images(model, photos / "smooth" / "1.png", copies, top=99, store=store)
    assert len(found) == 12
    assert {one.image for one in found} == set(table.image[::2])
    assert {one.label for one in found} == {"still", "wild"}


def test_what_cannot_be_compared_is_refused(model, photos, store, table, tmp_path):
    (tmp_path / "text.jpg").write_text("not a photo")
    photo = photos / "smooth" / "1.png"
    for source, known, message in (
        (tmp_path / "text.jpg", table, r"text\.jpg cannot be used: text, not an image"),
        (photos, table, "is 24 photos"),
        (photo, extract(photos, ["glcm"], store=store), "needs the features lbp"),
        (photo, table.filter(np.zeros(24, bool)), "holds no photo"),
    ):
        with pytest.raises(BottleheadError, match=message):
            nearest_images(model, source, known, store=store)


def test_the_command_tells_the_same_in_every_form(model, photos, store, table, tmp_path):
    save_model(model, tmp_path / "m")
    table.write(tmp_path / "t.parquet")
    words = ["classify", "neighbours", tmp_path / "m", photos / "rough" / "3.png", "--store", store]
    words += ["--table", tmp_path / "t.parquet", "--top", "3"]
    text = run(*words).out.splitlines()
    found = nearest_images(model, photos / "rough" / "3.png", table, top=3, store=store)
    assert text == [f"{one.distance:.4f} {one.label} {one.image}" for one in found]
    assert text[0] == "0.0000 rough rough/3.png" and len(text) == 3
    lines = run(*words, "--format", "csv").out.splitlines()
    assert lines[:2] == ["image,label,distance", "rough/3.png,rough,0.0"]
    objects = [json.loads(line) for line in run(*words, "--format", "jsonl").out.splitlines()]
    assert [f"{one['distance']:.4f} {one['label']} {one['image']}" for one in objects] == text
