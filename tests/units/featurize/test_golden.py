"""The vectors of the synthetic image, and numbers that are not finite: they stop at the door of the store."""

import numpy as np
import pytest
from PIL import Image

from featurize import GLCM, BottleheadError, Store, extract
from featurize.errors import WeightsError
from featurize.extraction.run import golden_vectors, run_extraction
from featurize.extractors.base import GOLDEN_SHA256, Extractor, golden_image, relative_drift
from featurize.extractors.function import FunctionExtractor
from featurize.photos.source import list_source
from featurize.store.shard import image_keys


class Brightness(Extractor):
    """(mean, 1 / mean) of the photo: not finite for a black one."""

    family, version, value_names = "brightness", 1, ("mean", "inverse")

    def __init__(self, scale=1.0, store=None):
        self.scale = scale
        self.store = store

    def settings(self):
        return {"scale": self.scale}

    def prepare(self, photo):
        return np.float64(photo.rgb().mean())

    def vectors(self, prepared):
        means = np.array(prepared)
        with np.errstate(divide="ignore"):
            return np.stack([means * self.scale, 1 / means], axis=1)


@pytest.fixture
def photos(tmp_path):
    for value in (0, 50, 100, 200):
        path = tmp_path / "photos" / f"{value}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (value, value, value)).save(path)
    return path.parent


def stored(extractor, store):
    section = store.section_of(extractor)
    matrix = np.empty((len(keys := section.keys()), extractor.width), np.float32)
    assert section.load(keys, matrix).all()
    return matrix


def test_a_photo_without_finite_numbers_is_a_reject_and_the_others_go_on(photos, tmp_path):
    store, extractor = Store(tmp_path / "store"), Brightness()
    for n_computed in (3, 0):
        result = run_extraction(list_source(photos), [extractor, GLCM()], store=store)
        assert list(result.table.image) == ["100.png", "200.png", "50.png"]
        ((image, reason),) = result.rejects
        assert image == "0.png" and reason.startswith("brightness gave numbers that are not finite")
        assert result.n_computed == n_computed
        np.testing.assert_array_equal(result.table.vectors["brightness"][:, 0], [100, 200, 50])
    assert len(stored(extractor, store)) == 3 + 1 and np.isfinite(stored(extractor, store)).all()
    # The texture of the black photo is as good as any.
    assert len(stored(GLCM(), store)) == 4 + 1


def test_what_an_earlier_version_stored_is_not_believed(photos, tmp_path):
    store, extractor = Store(tmp_path / "store"), Brightness()
    extract(photos, extractor, store=store)
    section = store.section_of(extractor)
    section.write(image_keys(["a" * 64]), np.array([[1, np.inf]], np.float32))
    matrix = np.zeros((2, 2), np.float32)
    np.testing.assert_array_equal(section.load(image_keys([GOLDEN_SHA256, "a" * 64]), matrix), [True, False])


def test_transform_names_the_photo(photos):
    with pytest.raises(BottleheadError, match=r"0\.png: brightness gave numbers that are not finite"):
        Brightness().transform([photos / "50.png", photos / "0.png"])


def test_an_extractor_that_fails_on_the_test_image_is_refused_before_any_photo(photos, tmp_path):
    """1e300 is finite until it becomes a float32."""
    store, extractor = Store(tmp_path / "store"), Brightness(scale=1e300)
    message = r"brightness gives numbers that are not finite.* for the test image"
    with pytest.raises(WeightsError, match=message):
        extract(photos, extractor, store=store)
    assert len(store.section_of(extractor).keys()) == 0


@pytest.mark.parametrize(
    ("extractor", "reason"),
    [
        (FunctionExtractor(lambda rgb: [np.nan], "nothing", 1), "nothing gives numbers that are not finite"),
        (GLCM(preprocess=("resize:30000",)), "glcm makes no vector of the test image: .* pixels"),
    ],
)
def test_an_extractor_that_makes_nothing_of_the_test_image_is_no_traceback(
    extractor, reason, photos, tmp_path
):
    with pytest.raises(WeightsError, match=reason):
        extract(photos, extractor, store=tmp_path / "store")


def test_the_vectors_are_computed_once_and_are_those_of_transform(tmp_path):
    runs = []

    class Counted(Brightness):
        def vectors(self, prepared):
            runs.append(len(prepared))
            return super().vectors(prepared)

    store, extractor = Store(tmp_path / "store"), Counted()
    (first,), (again,) = (golden_vectors([extractor], [store.section_of(extractor)]) for _ in range(2))
    assert runs == [1]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, extractor.transform([golden_image()])[0])


def test_drift_is_relative_and_never_hides_a_nan():
    zero = np.zeros(2)
    assert relative_drift(zero, zero) == 0 and relative_drift(np.ones(2), zero) == np.inf
    assert relative_drift(np.array([np.nan, 1]), np.ones(2)) == np.inf
    assert relative_drift(np.array([0.0, 1.1]), np.array([0.0, 1.0])) == pytest.approx(0.1)
