"""Photos of any origin go the whole way: read in order, known again by their stamp, named by their own digest."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from featurize.extraction.run import run_extraction
from featurize.extractors.color import Color
from featurize.extractors.lbp import LBP
from featurize.photos.decode import ImageRejected
from featurize.photos.origin import Origin, Source, SourceImage, Stamp
from featurize.photos.photo import content_digest

READ: list[str] = []


@dataclass(frozen=True, eq=False)
class Kept(Origin):
    """A photo in memory that notes when it is read."""

    place: str
    content: bytes | np.ndarray
    version: str | None = None
    order: int = 0

    def read(self):
        READ.append(self.place)
        if not len(self.content):
            raise ImageRejected("nothing is there")
        return self.content

    def stamp(self):
        return Stamp.of(len(self.content), self.version) if self.version else None


def grey(level: int) -> np.ndarray:
    return np.full((6, 8, 3), level, dtype=np.uint8)


def png(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(grey(level)).save(stream, "PNG")
    return stream.getvalue()


def run(store, *origins, extractors=None, **options):
    READ.clear()
    images = [SourceImage(origin, origin.place, label="x") for origin in origins]
    source = Source("somewhere", "memory", images)
    return run_extraction(source, extractors or Color(), store=store, jobs=1, **options)


def test_bytes_and_pixels_make_the_same_vectors_and_are_named_by_their_own_digests(tmp_path):
    result = run(tmp_path, Kept("a", png(9)), Kept("b", grey(9)), Kept("c", b""), Kept("d", grey(200)))
    table = result.table
    assert list(table.image) == ["a", "b", "d"] and result.rejects == [("c", "nothing is there")]
    np.testing.assert_array_equal(table.vectors["color"][0], table.vectors["color"][1])
    pixels = hashlib.sha256(b"(6, 8, 3)" + bytes([9]) * 144).hexdigest()
    assert list(table.sha256[:2]) == [hashlib.sha256(png(9)).hexdigest(), pixels]
    assert list(table.ids["format"].to_pylist()) == ["PNG", "array", "array"]
    assert table.ids["bytes"].to_pylist() == [len(png(9)), 144, 144]
    assert table.ids["width"].to_pylist() == [8, 8, 8]


def test_what_has_a_stamp_is_not_read_again_until_the_stamp_is_another(tmp_path):
    photos = [Kept("a", png(1), "v1"), Kept("b", png(2), "v1"), Kept("c", png(3))]
    first = run(tmp_path, *photos)
    again = run(tmp_path, *photos)
    assert READ == ["c"] and again.table.digest() == first.table.digest()
    changed = run(tmp_path, Kept("a", png(40), "v2"), *photos[1:])
    assert set(READ) == {"a", "c"} and changed.table.sha256[0] == content_digest(png(40))
    run(tmp_path, *photos, rehash=True)
    assert {"a", "b", "c"} <= set(READ)


@pytest.mark.parametrize("known", [False, True])
def test_photos_are_read_in_the_order_of_their_origin_and_stand_in_that_of_the_source(tmp_path, known):
    photos = [Kept(f"p{n}", png(n), "v", order=(7 * n) % 10) for n in range(10)]
    if known:  # the index knows what they hold, and the store has only vectors of other features
        run(tmp_path, *photos, extractors=LBP())
    table = run(tmp_path, *photos).table
    order = list(dict.fromkeys(READ))
    assert order == [one.place for one in sorted(photos, key=lambda one: one.order)]
    assert list(table.image) == [f"p{n}" for n in range(10)]
    levels = table.vectors["color"][:, 0]
    assert len(set(levels.tolist())) == 10


def test_pixels_of_another_shape_are_other_photos():
    assert content_digest(grey(5)) != content_digest(grey(5).reshape(8, 6, 3))
    assert content_digest(grey(5)) == content_digest(np.asfortranarray(grey(5)))
