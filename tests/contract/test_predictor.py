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
def model(photos, store):
    return train_model(extract(photos, ["glcm", "color"], store=store))


@pytest.fixture
def predictor(model, store) -> Predictor:
    return Predictor(model, store=store)


def as_everything(path: Path) -> list:
    """One photo as a path in two ways, as bytes in two ways, as a Pillow image and as an array."""
    image = Image.open(path)
    data = path.read_bytes()
    return [path, data, str(path), bytearray(data), image, np.asarray(image.convert("RGB"))]


def test_a_photo_gets_the_same_answer_however_it_is_given(predictor, photos):
    given = as_everything(photos / "rough" / "3.png")
    together = predictor.predict(given)
    assert together.label == ["rough"] * 6
    np.testing.assert_allclose(together.probabilities, together.probabilities[[0] * 6], rtol=0, atol=1e-6)
    assert together.image[1::2] == ["photo 2", "photo 4", "photo 6"]
    vectors = predictor.vectors(given[0]).select("glcm+color")
    for one in given:
        np.testing.assert_array_equal(predictor.vectors(one).select("glcm+color"), vectors)
        alone = predictor.predict(one)
        np.testing.assert_allclose(alone.probabilities, together.probabilities[:1], rtol=0, atol=1e-6)
        assert alone.distance == pytest.approx(together.distance[0], abs=1e-5, nan_ok=True)


def test_a_large_jpeg_is_the_same_photo_as_bytes_and_as_a_path(predictor, tmp_path):
    data = encoded(noise(1600, 1300, seed=5), "JPEG", quality=60)
    (tmp_path / "large.jpg").write_bytes(data)
    found = predictor.predict([tmp_path / "large.jpg", data])
    np.testing.assert_allclose(*found.probabilities[:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_a_pillow_image_is_turned_into_rgb_as_its_file_is(predictor, mode):
    image = noise(40, 30, seed=2).convert(mode)
    if mode == "RGBA":
        image.putalpha(noise(40, 30, seed=3).convert("L"))
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    found = predictor.predict([image, data])
    np.testing.assert_allclose(*found.probabilities[:2], rtol=0, atol=1e-6)


def test_a_pillow_image_is_turned_upright_as_its_file_is(predictor):
    image = noise(40, 30, seed=2)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, "PNG", exif=exif)
    opened = Image.open(io.BytesIO(data))
    found = predictor.predict([opened, data])
    np.testing.assert_allclose(*found.probabilities[:2], rtol=0, atol=1e-6)


def test_ten_threads_at_once_get_what_one_gets(model, store, photos):
    given = [one for path in sorted(photos.rglob("*.png"))[:5] for one in (path, path.read_bytes())]
    expected = [Predictor(model, store=store).predict(one).probabilities for one in given]
    shared = Predictor(model, store=store)
    with ThreadPoolExecutor(10) as pool:
        for _ in range(3):
            found = pool.map(lambda one: shared.predict(one).probabilities, given)
            np.testing.assert_allclose(list(found), expected, rtol=0, atol=1e-6)


def test_the_training_photos_are_known_by_their_bytes(predictor, photos, caplog):
    predictions = predictor.predict([(photos / "rough" / "0.png").read_bytes(), noise()])
    assert predictions.n_seen == 1
    assert "1 of the 2 photos were in the model's training set" in caplog.text


def test_order_is_kept_across_paths_tables_and_photos(predictor, photos, store, tmp_path):
    table = extract(photos / "smooth", ["glcm", "color"], store=store)
    table.write(tmp_path / "smooth.parquet")
    rough = photos / "rough"
    given = [noise(), rough / "1.png", tmp_path / "smooth.parquet", rough, np.asarray(noise())]
    images = predictor.predict(given).image
    names = [Path(name).name for name in images]
    every = [f"{number}.png" for number in range(10)]
    assert names == ["photo 1", "1.png", *every, *every, "photo 5"]


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
    assert [Path(name).name for name, _ in found.rejects] == [
        "no.jpg", "photo 3", "photo 4", "photo 5", "photo 6", "gone.jpg"
    ]  # fmt: skip
    assert "text, not an image" in found.rejects[1][1]
    assert "give uint8 of shape (height, width, 3)" in found.rejects[4][1]
    for one in bad:
        with pytest.raises(BottleheadError):
            predictor.predict(one)


@pytest.mark.parametrize("given", [[], 42, [None]])
def test_what_can_be_no_photo_is_refused(predictor, given):
    with pytest.raises(TypeError if given == 42 else BottleheadError):
        predictor.predict(given)


def test_it_predicts_what_predict_images_predicts(predictor, model, store, photos):
    np.testing.assert_array_equal(
        predictor.predict(photos).probabilities, predict_images(model, photos, store=store).probabilities
    )


def test_neighbours_are_found_for_photos_without_a_path(model, store, photos):
    table = extract(photos, ["glcm", "color"], store=store)
    path = photos / "smooth" / "4.png"
    by_path, by_bytes = (
        nearest_images(model, one, table, top=3, store=store) for one in (path, path.read_bytes())
    )
    assert by_path == by_bytes
    assert (by_path[0].image, by_path[0].distance) == ("smooth/4.png", 0)


@pytest.mark.tensorflow
def test_a_network_is_loaded_once_for_all_threads(assets, photos, store, caplog):
    file = str(assets / "weights" / "mobilenet_v1_0.25_128.pb")
    table = extract(photos, [file], store=store)
    paths = sorted(photos.rglob("*.png"))
    fresh = Predictor(train_model(table), store=store / "fresh")
    with caplog.at_level("INFO", "bottlehead"), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: fresh.predict(path.read_bytes()).probabilities[0], paths))
    assert sum(text.startswith("loading ") for text in caplog.messages) <= 1
    expected = Predictor(fresh.model, store=store).predict(paths).probabilities
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
