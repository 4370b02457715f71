"""A compressed tar is read from its beginning on: how often, and in how much memory."""

import copy
import os
import random

import pytest
from builders import encoded, noise, write_archive

from featurize.extraction.run import run_extraction
from featurize.photos.archive_members import ArchiveFile, _Passes, _tar_infos
from featurize.photos.archives import list_archive, member_at
from featurize.photos.decode import ImageRejected
from featurize.photos.source import list_source
from featurize.store.store import Store

PHOTOS = {f"a/{n:02}.png": random.Random(n).randbytes(1000) for n in range(60)}


class Counted(_Passes):
    """Counts how often a pass begins, and the most that is kept."""

    n_passes = most_kept = 0

    def _photos(self):
        self.n_passes += 1
        return super()._photos()

    def _keep(self, place, data):
        super()._keep(place, data)
        self.most_kept = max(self.most_kept, sum(map(len, self._kept.values())))


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "p.tgz", PHOTOS)


def passes_of(archive, kept: int) -> tuple[Counted, list[int]]:
    file = ArchiveFile.of(archive)
    wanted = {info.offset_data: info.size for _, info in _tar_infos(file)}
    return Counted(file, wanted, 1000 * kept), list(wanted)


@pytest.mark.parametrize("kept,n_passes", [(30, 1), (5, 2)])
def test_photos_that_are_hashed_and_later_decoded_take_one_pass_or_two_when_memory_is_short(
    archive, kept, n_passes
):
    passes, places = passes_of(archive, kept)
    for number in range(len(places) + 20):
        # Threads ask in nearly the same order.
        for place in (
            places[n] for n in (number, number - 1, number - 19, number - 20) if 0 <= n < len(places)
        ):
            assert passes.read(place) == list(PHOTOS.values())[places.index(place)]
    assert passes.n_passes == n_passes and passes.most_kept <= 1000 * kept


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_photos_of_an_unchanged_archive_are_not_read_again(kind, tmp_path):
    photos = {f"a/{n}.png": encoded(noise(seed=n), "PNG") for n in range(4)}
    archive = write_archive(tmp_path / f"p.{kind}", photos)

    def n_read() -> int:
        store = Store(tmp_path / "store", young_seconds=-1.0)
        return run_extraction(list_source(archive), "color", store=store).n_read

    assert [n_read(), n_read()] == [4, 0]
    os.utime(archive, (1, 1))
    assert [n_read(), n_read()] == [4, 0]
    assert run_extraction(list_source(archive), "color", store=tmp_path / "store").n_read == 0
    assert run_extraction(list_source(archive), "color", store=tmp_path / "store", rehash=True).n_read == 4


def test_a_source_with_a_compressed_tar_travels_to_another_process(archive):
    origin = list_archive(archive).origins["a/07.png"]
    # Copied by the same protocol as pickled.
    assert copy.deepcopy(origin).read() == PHOTOS["a/07.png"]
    assert member_at(origin.place) == origin and member_at(f"{archive}/a/none.png") is None


def test_an_archive_that_changed_since_it_was_listed_gives_no_photo(archive):
    origin = list_archive(archive).origins["a/07.png"]
    write_archive(archive, {**PHOTOS, "a/99.png": b"more"})
    with pytest.raises(ImageRejected, match="changed while it was being read; run again"):
        origin.read()
