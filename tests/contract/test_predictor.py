"""`classify.Predictor`: photos from anywhere, the same answer, in any thread; the training photos nearest to one."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, run, write_textures
from PIL import Image

from classify import BlockScaler, Predictor, nearest_images, predict_images, save_model, train_model
from featurize import BottleheadError, FunctionExtractor, extract


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


def test_a_photo_gets_the_same_answer_however_it_is_given(predictor, photos, store, table, tmp_path):
    path = photos / "rough" / "3.png"
    image, data = Image.open(path), path.read_bytes()
    given = [path, data, str(path), bytearray(data), image, np.asarray(image.convert("RGB"))]
    together = predictor.predict(given)
    assert together.label == ["rough"] * 6 and together.n_seen == 4  # known by the bytes of the file
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


def test_order_is_kept_across_paths_tables_and_photos(predictor, photos, store, tmp_path):
    extract(photos / "smooth", ["glcm", "color"], store=store).write(tmp_path / "smooth.parquet")
    rough = photos / "rough"
    given = [noise(), rough / "1.png", tmp_path / "smooth.parquet", rough, np.asarray(noise())]
    found = predictor.predict(given)
    every = [f"{number}.png" for number in range(10)]
    assert [Path(name).name for name in found.image] == ["photo 1", "1.png", *every, *every, "photo 5"]
    expected = predict_images(predictor.model, rough, store=store).probabilities
    np.testing.assert_array_equal(found.probabilities[12:22], expected)


def test_what_is_no_photo_is_a_reject_beside_others_and_an_error_alone(predictor, photos, tmp_path):
    (tmp_path / "no.jpg").write_text("no photo")
    whole = photos / "rough" / "1.png"
    bad = [tmp_path / "no.jpg", b"no photo", b"", whole.read_bytes()[:200], np.zeros((4, 4)), "gone.jpg"]
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


@pytest.mark.parametrize("also_new", [False, True])
def test_an_extractor_runs_only_where_the_store_lacks_a_vector(photos, tmp_path, also_new):
    """Not even for the test image, which costs the load of a network."""
    calls = []

    def corner(rgb):
        calls.append(rgb.shape)
        return [float(rgb[0, 0, 0]), float(rgb[-1, -1, 2])]

    own = FunctionExtractor(corner, "corner", 1)
    table = extract(photos, own, store=tmp_path / "store")
    predictor = Predictor(train_model(table, "softmax"), store=tmp_path / "store", extractors=[own])
    paths = sorted(photos.rglob("*.png"))
    if also_new:
        paths.append(tmp_path / "new.png")
        Image.new("RGB", (33, 44), "red").save(paths[-1])
    calls.clear()
    found = predictor.predict(paths)
    assert calls.count((44, 33, 3)) == also_new and bool(calls) == also_new
    expected = predictor.model.predict_proba(table.select("corner"))
    np.testing.assert_allclose(found.probabilities[: len(table)], expected, rtol=0, atol=1e-6)
    assert predictor.vectors(paths[0]).select("corner").tolist() == table.select("corner")[:1].tolist()


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


def test_the_nearest_by_the_scaled_distance(predictor, photos, store, table):
    model = predictor.model
    found = nearest_images(model, photos / "rough" / "3.png", table, top=20, store=store)
    scaled = BlockScaler(model.widths).fit_transform(table.select(model.features)).astype(np.float64)
    expected = np.linalg.norm(scaled - scaled[table.image == "rough/3.png"], axis=1)
    np.testing.assert_allclose([one.distance for one in found], np.sort(expected), atol=1e-5)
    assert (found[0].image, found[0].label, found[0].distance) == ("rough/3.png", "rough", 0.0)
    assert [one.image for one in found] == table.image[np.argsort(expected)].tolist()


def test_copies_are_left_out_and_labels_are_those_of_the_model(photos, store, table):
    relabel = {"smooth": "still", "rough": "wild"}
    model = train_model(table, relabel=relabel)
    copies = table.with_column("variant", [0, 4] * 10)
    found = nearest_images(model, photos / "smooth" / "1.png", copies, top=99, store=store)
    assert len(found) == 10
    assert {one.image for one in found} == set(table.image[::2])
    assert {one.label for one in found} == {"still", "wild"}


def test_what_cannot_be_compared_is_refused(predictor, photos, store, table, tmp_path):
    (tmp_path / "text.jpg").write_text("not a photo")
    model, photo = predictor.model, photos / "smooth" / "1.png"
    for source, known, message in (
        (tmp_path / "text.jpg", table, r"text\.jpg cannot be used: text, not an image"),
        (photos, table, "is 20 photos"),
        (photo, extract(photos, ["glcm"], store=store), "needs the features color"),
        (photo, table.filter(np.zeros(20, bool)), "holds no photo"),
    ):
        with pytest.raises(BottleheadError, match=message):
            nearest_images(model, source, known, store=store)


def test_the_command_tells_the_same_in_every_form(predictor, photos, store, table, tmp_path):
    save_model(model := predictor.model, tmp_path / "m")
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
