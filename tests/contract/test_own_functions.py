"""Anybody's function, transformer or extractor: as an object, and registered by another package."""

import re
import sys
from decimal import Decimal

import numpy as np
import pytest
from builders import run, write_photos
from PIL import Image
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer

from classify import load_model, nearest_images, predict_images, save_model, train_model
from featurize import BottleheadError, Extractor, FeatureTable, FunctionExtractor, extract, make_extractor

MODULE = """
import numpy as np
from featurize import Extractor

def brightness(rgb):
    return [rgb.mean(), rgb.std()]

brightness.version = 1
brightness.value_names = ["mean", "sd"]

class Middle:
    version = "2024-05"
    def __init__(self, side=2):
        self.side = side
    def get_params(self, deep=True):
        return {"side": self.side}
    def transform(self, X):
        return np.array([x[: self.side, : self.side].mean(axis=(0, 1)) for x in X])

class Corner(Extractor):
    family, version = "corner", 1
    value_names = ("red", "green", "blue")
    def __init__(self, preprocess=(), store=None):
        self.preprocess, self.store = preprocess, store
    def settings(self):
        return {}
    def prepare(self, photo):
        return self.view(photo).rgb()[0, 0]
    def vectors(self, prepared):
        return np.stack(prepared).astype(np.float32)
"""


@pytest.fixture
def registered(tmp_path, monkeypatch):
    about = tmp_path / "site" / "own_families-1.0.dist-info"
    about.mkdir(parents=True)
    (tmp_path / "site/own_families.py").write_text(MODULE)
    (about / "METADATA").write_text("Name: own-families\nVersion: 1.0\n")
    names = {"brightness": "brightness", "middle": "Middle", "corner": "Corner"}
    lines = [f"{family} = own_families:{name}" for family, name in names.items()]
    (about / "entry_points.txt").write_text("\n".join(["[featurize.extractors]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield
    sys.modules.pop("own_families", None)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", ["a/0.png", "a/1.png", "b/2.png"], 30, 20)


@pytest.mark.usefixtures("registered")
def test_families_of_another_package_are_named_like_ours_cached_and_made_again(photos, tmp_path):
    words = ["--features", "brightness", "middle", "corner", "--store", tmp_path / "store"]
    command = ["featurize", "extract", photos, "-o", tmp_path / "t.parquet", *words]
    assert run(*command).status == 0
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.value_names("brightness") == ["mean", "sd"] and table.value_names("corner")[0] == "red"
    for row, name in enumerate(table.image):
        rgb = np.asarray(Image.open(photos / name))
        np.testing.assert_allclose(table.select("brightness")[row], [rgb.mean(), rgb.std()], rtol=1e-6)
        np.testing.assert_allclose(table.select("middle")[row], rgb[:2, :2].mean(axis=(0, 1)), rtol=1e-6)
        np.testing.assert_array_equal(table.select("corner")[row], rgb[0, 0])
    assert "nothing was computed" in run(*command).err
    # A model that was trained on them makes them of new photos.
    model = tmp_path / "m.model"
    trained = run("classify", "train", tmp_path / "t.parquet", "--features", "brightness", "-o", model)
    assert trained.status == 0, trained.err
    assert run("classify", "predict", model, photos / "a/0.png", "--store", tmp_path / "store").status == 0
    stepped = make_extractor("brightness", preprocess=["crop:10"]).transform([photos / "a/0.png"])
    middle = np.asarray(Image.open(photos / "a/0.png"))[5:15, 10:20]
    np.testing.assert_allclose(stepped[0], [middle.mean(), middle.std()], rtol=1e-6)
    done = run(*command[:-4], "brightnes", "--store", tmp_path / "store")
    assert done.status == 1 and "no features named brightnes" in done.error
    assert "brightness, corner, middle" in done.hint


def test_another_version_or_parameter_is_computed_anew(photos, tmp_path):
    calls = []

    def mean(rgb):
        calls.append(rgb.shape)
        return [rgb.mean()]

    def computed(version) -> int:
        calls.clear()
        extract(photos, FunctionExtractor(mean, "mean", version, names=["mean"]), store=tmp_path / "store")
        return calls.count((20, 30, 3))

    assert [computed(version) for version in (1, 1, 2, "2")] == [3, 0, 3, 3]
    tops = [FunctionTransformer(np.asarray, kw_args={"dtype": d}) for d in ("float32", "float64")]
    prints = {FunctionExtractor(t, "top", 1).fingerprint() for t in (*tops, clone(tops[0]))}
    assert len(prints) == 2


def test_a_model_on_a_function_predicts_where_the_function_is_given(photos, tmp_path):
    def corners(rgb):
        return [float(rgb[0, 0, 0]), float(rgb[-1, -1, 2])]

    own = FunctionExtractor(corners, "corners", 1)
    table = extract(photos, [own, "color"], store=tmp_path / "store")
    save_model(train_model(table, "softmax", "corners+color"), tmp_path / "m.model")
    model, files = load_model(tmp_path / "m.model"), [photos / "a" / "0.png", photos / "a" / "1.png"]
    with pytest.raises(BottleheadError, match=r"corners cannot be computed .*extractors="):
        predict_images(model, files, store=tmp_path / "store")
    again = FunctionExtractor(lambda rgb: corners(rgb), "corners", 1)
    for extractors in ([own], [again]):
        found = predict_images(model, files, store=tmp_path / "new store", extractors=extractors)
        expected = model.predict_proba(table.select("corners+color")[:2])
        np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-6)
    # What makes other vectors is no such extractor: by its version, or as the golden image shows.
    for other, message in [
        (FunctionExtractor(corners, "corners", 2), "version was 1, is now 2"),
        (
            FunctionExtractor(lambda rgb: [0.0, 1.0], "corners", 1),
            "does not make the vectors of the training",
        ),
    ]:
        with pytest.raises(BottleheadError, match=message):
            predict_images(model, files, store=tmp_path / "third store", extractors=[other])
    nearest = nearest_images(model, files[0], table, top=1, store=tmp_path / "store", extractors=[own])
    assert nearest[0].image == "a/0.png" and nearest[0].distance == 0


def test_wrong_functions_and_names_are_refused_with_a_reason(photos, tmp_path):
    strange = FunctionTransformer(np.asarray, kw_args={"dtype": object()})
    for function, name, version, message in [
        (np.mean, "mean", None, "give it a version"),
        (lambda rgb: rgb[0, :, 0], "growing", 1, "as many numbers for every photo"),
        (lambda rgb: [np.nan], "nothing", 1, "not finite"),
        (strange, "strange", 1, "a fingerprint cannot hold"),
    ]:
        with pytest.raises(BottleheadError, match=message):
            extract(photos, FunctionExtractor(function, name, version), store=tmp_path / "store")


def test_what_is_no_vector_no_function_and_no_name_is_refused_before_anything_is_stored(photos, tmp_path):
    for function, name, version, message in [
        *((np.mean, name, 1, "features cannot be named") for name in ("group", "tab\tbed", "", "a+b", 7)),
        ("redness", np.mean, 1, r"given 'redness' as its function, .*give the function first"),
        (lambda rgb: np.zeros(0), "empty", 1, r"empty made float64 of shape \(0,\) .* one number, or a list"),
        (lambda rgb: np.zeros(3) + 1j, "waves", 1, "waves made complex128 of shape"),
        (lambda rgb: rgb[0], "rows", 1, r"rows made uint8 of shape \(\d+, 3\)"),
        (lambda rgb: ["1.5"], "text", 1, "text made <U3 of shape"),
        (lambda rgb: [None, "1"], "mixed", 1, "mixed made object of shape"),
    ]:
        with pytest.raises(BottleheadError, match=message):
            extract(photos, FunctionExtractor(function, name, version), store=tmp_path / "store")
        with pytest.raises(BottleheadError, match=message):
            FunctionExtractor(function, name, version, names=["one"]).transform([photos / "a" / "0.png"])
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_an_extractor_without_numbers_is_refused_before_anything_is_stored(photos, tmp_path):
    class Empty(Extractor):
        family, version, value_names = "empty", 1, ()

        def settings(self):
            return {}

        def prepare(self, photo):
            return np.zeros(0)

    with pytest.raises(BottleheadError, match="empty has vectors of no numbers"):
        extract(photos, Empty(), store=tmp_path / "store")
    assert not list((tmp_path / "store").rglob("*.parquet"))


def test_one_number_a_row_and_decimal_numbers_are_vectors(photos):
    for made in (2, [2], [[2]], np.float16(2), [Decimal(2)], [True + 1], csr_array([[2]])):
        vector = FunctionExtractor(lambda rgb, made=made: made, "two", 1).transform([photos / "a" / "0.png"])
        assert vector.tolist() == [[2.0]]


def test_photos_of_which_a_function_makes_no_numbers_are_left_out_and_logged(photos, tmp_path, caplog):
    def hungry(rgb):
        if rgb.shape[:2] != (20, 30):
            return [0]
        first = int(rgb[0, 0, 0])
        if first == firsts[0]:
            return [len(np.empty(1 << 55))]
        return [np.inf if first == firsts[1] else first]

    names = ["a/0.png", "a/1.png", "b/2.png"]
    firsts = [int(np.asarray(Image.open(photos / name))[0, 0, 0]) for name in names]
    table = extract(photos, FunctionExtractor(hungry, "hungry", 1), store=tmp_path / "s")
    assert table.image.tolist() == ["b/2.png"] and table.select("hungry").tolist() == [[firsts[2]]]
    assert "left out a/0.png: too large for the memory of this machine" in caplog.text
    assert "left out a/1.png" in caplog.text and "finite" in caplog.text


class Bright(Extractor):
    family, version, value_names = "bright", 1, ("mean", "sd")

    def settings(self):
        return {}

    def prepare(self, photo):
        rgb = self.view(photo).rgb()
        return np.array([rgb.mean(), rgb.std()])


ON_ONE = r"^bright failed on (the test image|.*a/0\.png)"


def only_of_the_test_image(self, photo):
    return Bright.prepare(self, photo) if photo.width == 128 else 1 // 0


@pytest.mark.parametrize(
    ("method", "made", "message"),
    [
        ("prepare", only_of_the_test_image, r"^bright failed on .*a/0\.png: ZeroDivisionError: integer div"),
        ("prepare", lambda self, photo: 1 // 0, ON_ONE + ": ZeroDivisionError"),
        ("prepare", lambda self, photo: sys.exit(3), ON_ONE + ": SystemExit: 3"),
        ("vectors", lambda self, prepared: prepared[9], "^bright failed: IndexError"),
        (
            "vectors",
            lambda self, prepared: np.stack(prepared)[:, :1],
            r"gave float64 of shape \(1, 1\), and not fl",
        ),
        ("vectors", lambda self, prepared: np.zeros(2), r"gave float64 of shape \(2,\)"),
        ("vectors", lambda self, prepared: np.array([["a", "b"]]), "gave <U1 of shape"),
        ("vectors", lambda self, prepared: [[1, 2], [3]], "^bright failed: ValueError: .*inhomogeneous"),
        ("vectors", lambda self, prepared: None, "gave object of shape"),
        ("run_together", lambda self, group, stacked: [], "^bright failed: ValueError: zip"),
        ("stack", lambda self, prepared: {}["no"], "^bright failed: KeyError"),
        (
            "settings",
            lambda self: {"side": np.ones(1)},
            "^the features bright cannot be used: TypeError: .*ndarray",
        ),
        (
            "libraries",
            lambda self: ("none-such",),
            "^the features bright cannot be used: PackageNotFoundError",
        ),
        ("attach", lambda self, store: store["x"], "^the features bright cannot be used: TypeError"),
    ],
)
def test_an_extractor_that_fails_is_one_error_that_names_it_and_the_photo(
    method, made, message, photos, tmp_path
):
    own = type("Own", (Bright,), {method: made})()
    uses = [lambda: extract(photos, own, store=tmp_path / "store")]
    if "cannot be used" not in message:
        uses.append(lambda: own.transform([photos / "a/0.png"]))
    for use in uses:
        with pytest.raises(BottleheadError) as caught:
            use()
        assert re.search(message, caught.value.args[0]), caught.value.args[0]
        assert caught.value.hint and caught.value.__cause__ is not None


@pytest.mark.usefixtures("registered")
def test_a_broken_extractor_of_another_package_is_an_error_of_the_command(photos, tmp_path, monkeypatch):
    words = ["--features", "corner", "-o", tmp_path / "t.parquet", "--store", tmp_path / "store"]
    assert run("featurize", "extract", photos, *words).status == 0
    corner = type(make_extractor("corner"))
    monkeypatch.setattr(corner, "prepare", lambda self, photo: photo["x"])
    monkeypatch.setattr(corner, "version", 2)
    done = run("featurize", "extract", photos, *words)
    assert done.status == 1 and done.error.startswith("corner failed on the test image: TypeError: 'Photo'")
    monkeypatch.setattr(corner, "version", property(lambda self: 1 // 0))
    assert (
        "the features corner cannot be used: ZeroDivisionError"
        in run("featurize", "extract", photos, *words).error
    )
