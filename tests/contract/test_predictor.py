"""`classify.Predictor`: photos from anywhere, the same answer, in any thread."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, write_textures
from PIL import Image

from classify import Predictor, nearest_images, predict_images, train_model
from featurize import BottleheadError, extract


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_textures(tmp_path_factory.mktemp("photos"), n=10)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def table(photos, store):
    return extract(photos, ["glcm", "color"], store=store)


@pytest.fixture(scope="module")
def predictor(table, store) -> Predictor:
    return Predictor(train_model(table, jobs=1), store=store)


def assert_alike(probabilities):
    np.testing.assert_allclose(probabilities, probabilities[[0] * len(probabilities)], rtol=0, atol=1e-6)


def test_a_photo_gets_the_same_answer_however_it_is_given(predictor, photos, store, table):
    """As a path in two ways, as bytes in two ways, as a Pillow image and as an array."""
    path = photos / "rough" / "3.png"
    image, data = Image.open(path), path.read_bytes()
    given = [path, data, str(path), bytearray(data), image, np.asarray(image.convert("RGB"))]
    together = predictor.predict(given)
    assert together.label == ["rough"] * 6
    assert_alike(together.probabilities)
    assert together.image[1::2] == ["photo 2", "photo 4", "photo 6"]
    vectors = predictor.vectors(path).select("glcm+color")
    neighbours = nearest_images(predictor.model, path, table, top=3, store=store)
    assert (neighbours[0].image, neighbours[0].distance) == ("rough/3.png", 0)
    for one in given:
        np.testing.assert_array_equal(predictor.vectors(one).select("glcm+color"), vectors)
        alone = predictor.predict(one)
        np.testing.assert_allclose(alone.probabilities, together.probabilities[:1], rtol=0, atol=1e-6)
        assert alone.distance == pytest.approx(together.distance[0], abs=1e-5, nan_ok=True)
        assert nearest_images(predictor.model, one, table, top=3, store=store) == neighbours


def test_a_large_jpeg_is_the_same_photo_as_bytes_and_as_a_path(predictor, tmp_path):
    data = encoded(noise(1600, 1300, seed=5), "JPEG", quality=60)
    (tmp_path / "large.jpg").write_bytes(data)
    assert_alike(predictor.predict([tmp_path / "large.jpg", data]).probabilities)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "turned"])
def test_a_pillow_image_is_turned_upright_and_into_rgb_as_its_file_is(predictor, mode):
    image, exif = noise(40, 30, seed=2), Image.Exif()
    if mode == "turned":
        exif[0x0112] = 6
    else:
        image = image.convert(mode)
    if mode == "RGBA":
        image.putalpha(noise(40, 30, seed=3).convert("L"))
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG", exif=exif)
    opened = Image.open(io.BytesIO(data)) if mode == "turned" else image
    assert_alike(predictor.predict([opened, data]).probabilities)


def test_ten_threads_at_once_get_what_one_gets(predictor, store, photos):
    given = [one for path in sorted(photos.rglob("*.png"))[:5] for one in (path, path.read_bytes())]
    expected = [predictor.predict(one).probabilities for one in given]
    shared = Predictor(predictor.model, store=store)
    with ThreadPoolExecutor(10) as pool:
        for _ in range(3):
            found = pool.map(lambda one: shared.predict(one).probabilities, given)
            np.testing.assert_allclose(list(found), expected, rtol=0, atol=1e-6)


def test_the_training_photos_are_known_by_their_bytes(predictor, photos, caplog):
    predictions = predictor.predict([(photos / "rough" / "0.png").read_bytes(), noise()])
    assert predictions.n_seen == 1
    assert "1 of the 2 photos were in the model's training set" in caplog.text


def test_order_is_kept_across_paths_tables_and_photos(predictor, photos, store, tmp_path):
    extract(photos / "smooth", ["glcm", "color"], store=store).write(tmp_path / "smooth.parquet")
    rough = photos / "rough"
    found = predictor.predict(
        [noise(), rough / "1.png", tmp_path / "smooth.parquet", rough, np.asarray(noise())]
    )
    every = [f"{number}.png" for number in range(10)]
    assert [Path(name).name for name in found.image] == ["photo 1", "1.png", *every, *every, "photo 5"]
    expected = predict_images(predictor.model, rough, store=store).probabilities
    np.testing.assert_array_equal(found.probabilities[12:22], expected)


def test_what_is_no_photo_is_a_reject_beside_others_and_an_error_alone(predictor, photos, tmp_path):
    (tmp_path / "no.jpg").write_text("no photo")
    whole = photos / "rough" / "1.png"
    bad = [
        tmp_path / "no.jpg",
        b"no photo",
        b"",
        whole.read_bytes()[:200],
        np.zeros((4, 4)),
        tmp_path / "gone.jpg",
    ]
    found = predictor.predict([whole, *bad])
    assert len(found) == 1
    names = [Path(name).name for name, _ in found.rejects]
    assert names == ["no.jpg", "photo 3", "photo 4", "photo 5", "photo 6", "gone.jpg"]
    assert "text, not an image" in found.rejects[1][1]
    assert "give uint8 of shape (height, width, 3)" in found.rejects[4][1]
    for one in [*bad, [], [None]]:
        with pytest.raises(BottleheadError):
            predictor.predict(one)
    with pytest.raises(TypeError):
        predictor.predict(42)


@pytest.mark.tensorflow
def test_a_network_is_loaded_once_for_all_threads(assets, photos, store, caplog):
    table = extract(photos, [str(assets / "weights" / "mobilenet_v1_0.25_128.pb")], store=store)
    paths = sorted(photos.rglob("*.png"))
    fresh = Predictor(train_model(table), store=store / "fresh")
    with caplog.at_level("INFO", "bottlehead"), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: fresh.predict(path.read_bytes()).probabilities[0], paths))
    assert sum(text.startswith("loading ") for text in caplog.messages) <= 1
    expected = Predictor(fresh.model, store=store).predict(paths).probabilities
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
