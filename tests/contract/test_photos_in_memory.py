"""Photos that are objects: encoded bytes, open files, Pillow images and RGB arrays, to everything that takes photos."""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, write_textures
from PIL import Image, ImageOps

from classify import Predictor, predict_images, train_model
from featurize import GLCM, BottleheadError, extract


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """Large enough to be decoded at a smaller scale, and turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path_factory.mktemp("photo") / "a.jpg"
    file.write_bytes(encoded(noise(1300, 1100, seed=1), "JPEG", exif=exif, quality=60))
    return file


WAYS = {
    "text": str,
    "path": Path,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "stream": lambda path: io.BytesIO(path.read_bytes()),
    "file": lambda path: path.open("rb"),
    "pillow": Image.open,
    "row": lambda path: {"bytes": path.read_bytes(), "path": "a.jpg"},
    "row of a path": lambda path: {"bytes": None, "path": str(path)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_photo_has_the_vectors_and_the_key_of_its_file_however_it_is_given(way, path, tmp_path):
    given = way(path)
    expected = GLCM().transform([path])
    np.testing.assert_array_equal(GLCM().transform([given]), expected)
    np.testing.assert_array_equal(GLCM(store=tmp_path / "a").transform([given, given]), expected[[0, 0]])
    table = extract([given], [GLCM()], store=tmp_path / "b")
    np.testing.assert_array_equal(table.select("glcm"), expected)
    assert table.sha256.tolist() == [hashlib.sha256(path.read_bytes()).hexdigest()]
    assert table.image.tolist() == [str(given) if isinstance(given, str | Path) else "0"]
    if hasattr(given, "close"):
        given.close()


def test_a_pillow_image_is_neither_loaded_changed_nor_closed(path, tmp_path):
    image = Image.open(path)
    place, info, size = image.fp.tell(), dict(image.info), image.size
    extract([image, image], ["color"], store=tmp_path)
    GLCM().transform([image])
    assert (image.fp.tell(), image.info, image.size) == (place, info, size) and image._im is None
    image.load()
    pixels = np.asarray(image).copy()
    assert GLCM().transform([image]).shape == (1, 5)
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert image.getexif()[0x0112] == 6


def test_an_array_is_its_pixels_and_has_the_vectors_of_its_png(tmp_path):
    arrays = [np.asarray(noise(50, 40, seed=n)) for n in range(4)]
    files = [tmp_path / f"{n}.png" for n in range(4)]
    for array, file in zip(arrays, files, strict=True):
        Image.fromarray(array).save(file)
    expected = GLCM().transform(files)
    images = [Image.fromarray(array) for array in arrays]
    for given in (arrays, images, np.stack(arrays), iter(arrays), [np.asfortranarray(a) for a in arrays]):
        table = extract(given, ["glcm"], store=tmp_path / "s")
        np.testing.assert_array_equal(table.select("glcm"), expected)
        digests = [hashlib.sha256(repr(a.shape).encode() + a.tobytes()).hexdigest() for a in arrays]
        assert table.sha256.tolist() == digests and table.image.tolist() == ["0", "1", "2", "3"]
        assert table.ids["format"].to_pylist() == ["array"] * 4


def picture(mode: str) -> Image.Image:
    image = noise(40, 30, seed=2)
    if mode == "I;16":
        return Image.fromarray(np.random.default_rng(0).integers(0, 65536, (30, 40)).astype(np.uint16))
    image = image.convert(mode)
    if mode == "RGBA":
        image.putalpha(noise(40, 30, seed=3).convert("L"))
    return image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_pillow_image_of_any_mode_is_read_as_its_file_is(mode):
    image = picture(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(GLCM().transform([image]), GLCM().transform([data]))


def test_orientation_and_profile_of_a_loaded_image_count_as_in_its_file(path):
    from PIL import ImageCms

    image = Image.open(path)
    image.load()
    upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(GLCM().transform([image]), GLCM().transform([upright]))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(noise(30, 30), "PNG", icc_profile=profile)
    loaded = Image.open(io.BytesIO(data))
    loaded.load()
    np.testing.assert_array_equal(GLCM().transform([loaded]), GLCM().transform([data]))


def test_the_file_of_an_image_that_was_changed_is_not_taken(tmp_path):
    data = encoded(noise(400, 400), "JPEG")
    for change in (
        lambda i: i.crop((0, 0, 50, 50)),
        lambda i: i.draft("L", (200, 200)) and i,
        lambda i: i.rotate(90),
    ):
        changed = change(Image.open(io.BytesIO(data)))
        table = extract([changed], ["color"], store=tmp_path)
        assert table.sha256[0] != hashlib.sha256(data).hexdigest()
    pages = io.BytesIO()
    noise(seed=1).save(pages, "TIFF", save_all=True, append_images=[noise(seed=2)])
    second = Image.open(pages)
    second.seek(1)
    np.testing.assert_array_equal(GLCM().transform([second]), GLCM().transform([np.asarray(noise(seed=2))]))


RGB = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
CONVERTIBLE = {
    "grey": RGB[..., 0],
    "grey of three axes": RGB[..., :1],
    "RGBA": np.dstack([RGB, RGB[..., 0]]),
    "CHW": np.moveaxis(RGB, -1, 0),
    "float": (RGB / 255).astype(np.float32),
    "float CHW": np.moveaxis(RGB / 255, -1, 0),
    "float grey": RGB[..., 0] / 255,
    "16 bits": RGB.astype(np.uint16) * 257,
    "yes and no": RGB[..., 0] > 100,
}


@pytest.mark.parametrize("array", CONVERTIBLE.values(), ids=CONVERTIBLE)
def test_the_error_for_another_array_says_how_to_convert_it_and_it_works(array, path):
    with pytest.raises(BottleheadError) as caught:
        GLCM().transform([path, array])
    said = str(caught.value)
    assert said.startswith(
        f"photo 1: an array of {array.dtype} with shape {array.shape}; give uint8 of shape"
    )
    a = array
    for step in re.findall(r"a = (.*?)(?:, which|, then| if|\s\(a photo|$)", said):
        a = eval(step, {"a": a, "np": np})  # noqa: S307
    assert GLCM().transform([a]).shape == (1, 5)
    with pytest.raises(BottleheadError, match="photo 0: an array"):
        extract([(array, "rose")], ["glcm"])


def _closed() -> io.BytesIO:
    stream = io.BytesIO(b"photo")
    stream.close()
    return stream


WRONG = {
    "a number": 3,
    "nothing": None,
    "a list": [["a.jpg"]],
    "a set": {1},
    "a triple": ("a.jpg", "rose", 1),
    "a label of another kind": ("a.jpg", 2.5),
    "a file opened as text": io.StringIO("text"),
    "a closed file": _closed(),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_no_photo_is_named_by_its_position_with_what_is_accepted(wrong, path, tmp_path):
    for call in (GLCM().transform, lambda photos: extract(photos, ["glcm"], store=tmp_path)):
        with pytest.raises(BottleheadError, match=r"^photo 1 is ") as caught:
            call([path, wrong])
        assert caught.value.hint


def test_columns_by_name_are_an_error_that_says_what_is_taken(tmp_path):
    for call in (GLCM().transform, lambda photos: extract(photos, ["glcm"], store=tmp_path)):
        with pytest.raises(
            BottleheadError, match="no photos can be taken from what is of type dict"
        ) as caught:
            call({"image": ["a.jpg"], "label": ["rose"]})
        assert "DataFrame" in caught.value.hint


def test_no_photos_at_all_are_not_looked_for_in_the_current_folder(tmp_path):
    with pytest.raises(BottleheadError, match="no photos are given"):
        extract([], ["glcm"], store=tmp_path)


def test_damaged_bytes_are_rejects_in_a_mixed_list_and_pairs_have_labels(path, tmp_path, caplog):
    array = np.asarray(noise())
    given = [
        (path, "a"),
        b"no photo",
        (array, 7),
        Image.open(io.BytesIO(path.read_bytes())),
        (path.read_bytes()[:500], None),
        {"bytes": None},
    ]
    with caplog.at_level("INFO", "bottlehead"):
        table = extract(given[:-1], ["color"], store=tmp_path)
    assert table.image.tolist() == [str(path), "2", "3"] and table.label.tolist() == ["a", "7", None]
    assert "left out 1: text, not an image" in caplog.messages
    assert any(text.startswith("left out 4: ") for text in caplog.messages)
    assert caplog.messages.count("labels are whole numbers, which are taken as text") == 1
    with pytest.raises(BottleheadError, match=r"photo 5: there are no bytes and no path"):
        extract(given, ["color"], store=tmp_path)
    with pytest.raises(BottleheadError, match="has the label a, and b"):
        extract([(path, "a"), (path, "b")], ["color"], store=tmp_path)


def test_pairs_of_folders_and_labels_label_all_photos_below(tmp_path):
    photos = write_textures(tmp_path / "photos", n=3)
    pairs = [
        (photos / "rough", "wild"),
        (str(photos / "smooth" / "*.png"), "still"),
        (photos / "rough/1.png", "wild"),
    ]
    table = extract(pairs, ["color"], store=tmp_path / "s")
    assert table.label.tolist() == ["wild"] * 3 + ["still"] * 3


def test_an_open_file_is_left_where_it_was(path):
    with path.open("rb") as stream:
        stream.seek(10)
        np.testing.assert_array_equal(GLCM().transform([stream]), GLCM().transform([path]))
        assert stream.tell() == 10 and not stream.closed


def test_predictions_of_objects_are_those_of_their_files_and_a_generator_is_consumed_as_it_goes(tmp_path):
    photos = write_textures(tmp_path / "photos", n=5)
    store, files = tmp_path / "s", sorted(photos.glob("*/*.png"))
    model = train_model(extract(photos, ["glcm"], store=store))
    expected = predict_images(model, files, store=store).probabilities
    arrays = [np.asarray(Image.open(io.BytesIO(file.read_bytes()))) for file in files]
    for given in (
        arrays,
        np.stack(arrays),
        [io.BytesIO(file.read_bytes()) for file in files],
        [(one, "label") for one in files],
    ):
        found = predict_images(model, given, store=store)
        np.testing.assert_array_equal(found.probabilities, expected)
    taken = []

    def photos_one_by_one():
        for number in range(200):
            taken.append(number)
            yield arrays[number % 10]

    batches = Predictor(model, store=store).predict_batches(photos_one_by_one())
    assert len(next(batches)) <= len(taken) <= 65
    assert sum(len(batch) for batch in batches) == 200 - 64
    frame = pytest.importorskip("pandas").DataFrame({"image": arrays}, index=[f"n{n}" for n in range(10)])
    found = predict_images(model, frame, store=store)
    np.testing.assert_array_equal(found.probabilities, expected)
    assert found.image == [f"n{n}" for n in range(10)]
    assert [name for name, _ in Predictor(model, store=store).predict([arrays[0], RGB[..., 0]]).rejects] == [
        "photo 2"
    ]
