"""Vectors are computed while further files are still being read and batches stacked; nothing twice, nothing lost."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize.extraction.run import run_extraction
from featurize.extractors.base import Extractor
from featurize.extractors.batches import BatchRunner
from featurize.photos.fileindex import Content, FileIndex
from featurize.photos.source import list_source
from featurize.store.store import Store

N_PHOTOS = 300


class Center(Extractor):
    """The pixel in the middle, and how often it was looked at."""

    family, version = "center", 1
    value_names = ("red", "green", "blue")

    def __init__(self, store=None):
        self.store = store
        self.n_prepared = 0
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
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(N_PHOTOS):
        Image.new("RGB", (3, 3), shade(number)).save(folder / f"{number:03d}.png")
    return folder


def run(folder: Path, store: Path, extractor: Extractor | None = None, **options):
    store = Store(store, **options)
    return run_extraction(list_source(folder), extractor or Center(), store=store, jobs=2)


def expected(result) -> np.ndarray:
    return np.array([shade(int(image[:3])) for image in result.table.image], np.float32)


def store_with(index: type[FileIndex], url: Path) -> Store:
    """A store whose index of files is of another class."""
    store = Store(url)
    store.file_index = lambda: index(store.local_path("files.sqlite"))
    return store


def test_the_first_vectors_do_not_wait_for_the_last_file(photos, tmp_path):
    extractor = Center()

    class Waiting(FileIndex):
        def read(self, paths, *, jobs=1):
            return super().read(map(self.in_time, paths), jobs=jobs)

        def in_time(self, path):
            if path.endswith(f"{N_PHOTOS - 1}.png"):
                assert extractor.first_batch.wait(60), "no batch ran while a file was still to be read"
            return path

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
    """The first file goes after it was hashed; its content stands in the last one, which nobody has read by then."""
    (photos / "299.png").write_bytes((photos / "000.png").read_bytes())

    class Vanishing(FileIndex):
        def read(self, paths, *, jobs=1):
            for path, content in zip(paths, super().read(paths, jobs=jobs), strict=True):
                if path.endswith("000.png"):
                    os.unlink(path)
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


def test_what_was_read_is_remembered_when_the_run_is_interrupted(photos, tmp_path):
    class Interrupted(Center):
        def vectors(self, prepared):
            if len(prepared) > 1:
                raise KeyboardInterrupt
            return super().vectors(prepared)

    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / "store", Interrupted(), young_seconds=-1.0)
    known = Store(tmp_path / "store").file_index().known([str(photos / f"{n:03d}.png") for n in range(64)])
    assert all(isinstance(content, Content) for content in known)


# -- the thread that runs the extractors -----------------------------------------------------------


class Slow(Extractor):
    """Waits in `vectors` until the next batch was stacked, while there is one to come."""

    family, version, value_names = "slow", 1, ("sum",)

    def __init__(self, n_batches=0):
        self.n_batches = n_batches
        self.stacked = threading.Semaphore(0)  # once per batch but the first
        self.threads, self.begun = set(), False

    def stack(self, prepared):
        self.threads.add(threading.current_thread().name)
        if self.begun:
            self.stacked.release()
        self.begun = True
        return prepared

    def vectors(self, prepared):
        if self.n_batches > 1:
            assert self.stacked.acquire(timeout=20)
        self.n_batches -= 1
        return np.array([[sum(prepared)]] * len(prepared), dtype=np.float32)


def test_a_batch_is_stacked_while_the_one_before_runs_and_results_keep_their_order():
    extractor = Slow(n_batches=4)
    with BatchRunner([extractor]) as runner:
        batches = []
        for number in range(4):
            batches += runner.run((0,), [(f"{number}a", number), (f"{number}b", 10)])
        batches += runner.finish()
    assert [(batch.keys[0], float(batch.matrix[0, 0])) for batch in batches] == [
        ("0a", 10), ("1a", 11), ("2a", 12), ("3a", 13),
    ]  # fmt: skip
    assert extractor.threads == {"MainThread"}


def test_what_fails_in_the_thread_is_raised_outside():
    class Broken(Slow):
        def vectors(self, prepared):
            raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"), BatchRunner([Broken()]) as runner:
        list(runner.run((0,), [("a", 1)]))
        list(runner.finish())
