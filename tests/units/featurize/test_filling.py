"""Vectors are computed while further files are read; nothing twice, nothing lost, and nothing that is not finite."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from featurize import GLCM, BottleheadError, Store, extract
from featurize.errors import WeightsError
from featurize.extraction.run import golden_vectors, run_extraction
from featurize.extractors.base import GOLDEN_SHA256, Extractor, golden_image, relative_drift
from featurize.extractors.batches import Task, compute
from featurize.extractors.function import FunctionExtractor
from featurize.photos.fileindex import Content, FileIndex
from featurize.photos.origin import OnDisk
from featurize.photos.source import list_source
from featurize.store.shard import image_keys

N_PHOTOS = 300


class Center(Extractor):
    family, version = "center", 1
    value_names = ("red", "green", "blue")

    def __init__(self, store=None):
        self.store, self.n_prepared = store, 0
        self.first_batch = threading.Event()

    def settings(self):
        return {}

    def prepare(self, photo):
        self.n_prepared += 1
        rgb = photo.rgb()
        return rgb[rgb.shape[0] // 2, rgb.shape[1] // 2].astype(np.float32)

    def vectors(self, prepared):
        if len(prepared) > 1:  # the golden image comes alone
            self.first_batch.set()
        return np.stack(prepared)


def shade(number: int) -> tuple[int, int, int]:
    return number % 256, number // 256, 7


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(N_PHOTOS):
        Image.new("RGB", (3, 3), shade(number)).save(tmp_path / "photos" / f"{number:03d}.png")
    return tmp_path / "photos"


def run(folder: Path, store: Path, extractor: Extractor | None = None, **options):
    store = Store(store, **options)
    return run_extraction(list_source(folder), extractor or Center(), store=store, jobs=2)


def expected(result) -> np.ndarray:
    return np.array([shade(int(image[:3])) for image in result.table.image], np.float32)


def store_with(index: type[FileIndex], url: Path) -> Store:
    store = Store(url)
    store.file_index = lambda: index(store.local_path("files.sqlite"))
    return store


def test_the_first_vectors_do_not_wait_for_the_last_file(photos, tmp_path):
    extractor = Center()

    class Waiting(FileIndex):
        def read(self, origins, **options):
            return super().read(map(self.in_time, origins), **options)

        def in_time(self, origin):
            if origin.place.endswith(f"{N_PHOTOS - 1}.png"):
                assert extractor.first_batch.wait(60), "no batch ran while a file was still to be read"
            return origin

    store = store_with(Waiting, tmp_path / "store")
    result = run_extraction(list_source(photos), extractor, store=store, jobs=2)
    np.testing.assert_array_equal(result.table.vectors["center"], expected(result))
    assert (len(result.table), result.n_read, result.n_computed) == (N_PHOTOS, N_PHOTOS, N_PHOTOS)


def test_equal_photos_are_computed_once_however_far_apart(photos, tmp_path):
    for number in (0, 150, 298):
        Image.new("RGB", (3, 3), shade(299)).save(photos / f"{number:03d}.png")
    extractor = Center()
    result = run(photos, tmp_path / "store", extractor)
    assert extractor.n_prepared == N_PHOTOS - 3 + 1  # the golden image
    matrix = result.table.vectors["center"]
    assert matrix[[0, 150, 298, 299]].tolist() == [list(shade(299))] * 4
    assert matrix[[1, 297]].tolist() == [list(shade(1)), list(shade(297))]
    assert (result.n_computed, result.n_reused) == (N_PHOTOS - 3, 0)


def test_a_photo_that_vanishes_is_computed_from_its_twin_that_was_found_later(photos, tmp_path):
    (photos / "299.png").write_bytes((photos / "000.png").read_bytes())

    class Vanishing(FileIndex):
        def read(self, origins, **options):
            for origin, content in zip(origins, super().read(origins, **options), strict=True):
                if origin.place.endswith("000.png"):
                    os.unlink(origin.place)
                yield content

    store = store_with(Vanishing, tmp_path / "store")
    result = run_extraction(list_source(photos), Center(), store=store, jobs=2)
    assert not (photos / "000.png").exists()
    assert result.rejects == [] and len(result.table) == N_PHOTOS
    assert result.table.vectors["center"][[0, 299]].tolist() == [list(shade(0))] * 2


def test_rejects_between_good_photos_leave_every_vector_with_its_photo(photos, tmp_path):
    for number in (0, 1, 128, 299):
        (photos / f"{number:03d}.png").write_bytes(b"no picture")
    data = (photos / "200.png").read_bytes()
    (photos / "200.png").write_bytes(data[: len(data) // 2])  # its header is whole
    result = run(photos, tmp_path / "store")
    assert [image for image, _ in result.rejects] == [f"{n:03d}.png" for n in (0, 1, 128, 200, 299)]
    np.testing.assert_array_equal(result.table.vectors["center"], expected(result))


def test_what_fails_while_vectors_are_computed_is_raised_and_what_was_read_is_remembered(photos, tmp_path):
    class Interrupted(Center):
        def vectors(self, prepared):
            if len(prepared) > 1:
                raise KeyboardInterrupt
            return super().vectors(prepared)

    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / "store", Interrupted(), young_seconds=-1.0)
    known = (
        Store(tmp_path / "store")
        .file_index()
        .known([OnDisk(str(photos / f"{n:03d}.png")) for n in range(64)])
    )
    assert all(isinstance(content, Content) for content in known)


def test_a_batch_is_stacked_while_the_one_before_runs_and_results_keep_their_order():
    stacked = threading.Semaphore(0)  # once per batch but the first

    class Slow(Center):
        batch_size = 1

        def prepare(self, photo):
            return photo.number

        def stack(self, prepared):
            if prepared[0]:
                stacked.release()
            return prepared

        def vectors(self, prepared):
            assert prepared[0] == 3 or stacked.acquire(timeout=20)
            return np.array([prepared * 3], np.float32)

    tasks = [Task(n, lambda n=n: SimpleNamespace(number=n, remarks=set())) for n in range(4)]
    batches = list(compute(tasks, [Slow()], jobs=2))
    assert [(batch.keys, batch.matrix.tolist()) for batch in batches] == [([n], [[n] * 3]) for n in range(4)]


class Brightness(Extractor):
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
def greys(tmp_path):
    (tmp_path / "greys").mkdir()
    for value in (0, 50, 100, 200):
        Image.new("RGB", (40, 40), (value,) * 3).save(tmp_path / "greys" / f"{value}.png")
    return tmp_path / "greys"


def stored(extractor, store):
    section = store.section_of(extractor)
    matrix = np.empty((len(keys := section.keys()), extractor.width), np.float32)
    assert section.load(keys, matrix).all()
    return matrix


def test_a_photo_without_finite_numbers_is_a_reject_and_the_others_go_on(greys, tmp_path):
    store, extractor = Store(tmp_path / "store"), Brightness()
    for n_computed in (3, 0):
        result = run_extraction(list_source(greys), [extractor, GLCM()], store=store)
        assert list(result.table.image) == ["100.png", "200.png", "50.png"]
        ((image, reason),) = result.rejects
        assert image == "0.png" and reason.startswith("brightness gave numbers that are not finite")
        assert result.n_computed == n_computed
        np.testing.assert_array_equal(result.table.vectors["brightness"][:, 0], [100, 200, 50])
    assert len(stored(extractor, store)) == 3 + 1 and np.isfinite(stored(extractor, store)).all()
    # The texture of the black photo is as good as any.
    assert len(stored(GLCM(), store)) == 4 + 1
    with pytest.raises(BottleheadError, match=r"0\.png: brightness gave numbers that are not finite"):
        extractor.transform([greys / "50.png", greys / "0.png"])


def test_what_an_earlier_version_stored_is_not_believed(greys, tmp_path):
    store, extractor = Store(tmp_path / "store"), Brightness()
    extract(greys, extractor, store=store)
    section = store.section_of(extractor)
    section.write(image_keys(["a" * 64]), np.array([[1, np.inf]], np.float32))
    matrix = np.zeros((2, 2), np.float32)
    np.testing.assert_array_equal(section.load(image_keys([GOLDEN_SHA256, "a" * 64]), matrix), [True, False])


@pytest.mark.parametrize(("extractor", "reason"), [
    # 1e300 is finite until it becomes a float32.
    (Brightness(1e300), "brightness gives numbers that are not finite.* for the test image"),
    (FunctionExtractor(lambda rgb: [np.nan], "nothing", 1), "nothing gives numbers that are not finite"),
    (GLCM(preprocess=("resize:30000",)), "glcm makes no vector of the test image: .* pixels"),
])  # fmt: skip
def test_an_extractor_that_makes_nothing_of_the_test_image_is_refused(extractor, reason, greys, tmp_path):
    with pytest.raises(WeightsError, match=reason):
        extract(greys, extractor, store=tmp_path / "store")
    assert not list(tmp_path.glob("store/*/*.parquet"))


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
