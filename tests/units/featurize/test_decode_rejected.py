"""What is no image is rejected with a reason, within little memory, whatever its bytes."""

import tracemalloc

import numpy as np
import pytest
from builders import encoded, png
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.extractors.base import golden_image
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.photo import Photo, resize


def picture(width: int = 37, height: int = 23) -> Image.Image:
    return Image.fromarray(resize(golden_image(), width, height))


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "the file is empty"),
        (b"a shopping list\n", "text, not an image"),
        ("α" * 5000, "text, not an image"),
        (b"  <!DOCTYPE html><p>404", "an HTML page, not an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, not the image itself"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "macOS AppleDouble metadata, not an image"),
        (b"\x7fELF\x02\x01\x01\xff\xfe", "not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "damaged header|not an image"),
    ],
)
def test_what_is_no_image_is_named_for_what_it_is(data, reason):
    with pytest.raises(ImageRejected, match=reason):
        Photo(data.encode() if isinstance(data, str) else data)


def test_real_appledouble_files_are_no_images(assets):
    files = list((assets / "data/oddities/appledouble_named_jpg").iterdir())
    assert files
    for path in files:
        with pytest.raises(ImageRejected, match="AppleDouble"):
            Photo(path.read_bytes())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_rejected(kind, share):
    data = encoded(picture(200, 150), kind)
    with pytest.raises(ImageRejected):
        Photo(data[: int(len(data) * share)]).rgb()


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0, 1), progressive=st.booleans())
def test_a_truncated_jpeg_is_rejected_at_every_scale_alike(share, progressive):
    data = encoded(picture(320, 240), "JPEG", progressive=progressive)
    data = data[: int(len(data) * share)]

    def outcome(**limit) -> str:
        try:
            return str(Photo(data).rgb(**limit).dtype)
        except ImageRejected:
            return "rejected"

    assert outcome() == outcome(shorter=1) == outcome(longer=100)


@pytest.mark.parametrize("size", [(20_000, 20_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)])
def test_a_bomb_is_refused_before_it_is_unpacked(size):
    with pytest.raises(ImageRejected, match=r"pixels|damaged header"):
        Photo(png(*size, 8, 2, bytes(100)))


def test_a_bomb_is_refused_within_little_memory():
    bomb = png(14_000, 14_000, 1, 0, bytes(14_000 * 1751))
    tracemalloc.start()
    try:
        with pytest.raises(ImageRejected, match="pixels"):
            Photo(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_reasons_are_one_printable_line():
    with pytest.raises(ImageRejected) as caught:
        Photo(b"P6 \x1b[31m\x00\n").rgb()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("shape", [(4, 4, 4), (4,), (0, 4, 3), (2, 2, 2, 3)])
def test_arrays_of_other_shapes_are_refused(shape):
    with pytest.raises(ImageRejected, match="shape"):
        Photo.from_array(np.zeros(shape, dtype=np.uint8))


def test_a_grey_array_is_repeated_and_floats_are_refused():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(Photo.from_array(grey).rgb(), np.dstack([grey] * 3))
    with pytest.raises(ImageRejected, match="float64"):
        Photo.from_array(grey / 2)


# -- fuzzed ---------------------------------------------------------------------------------------

SEEDS = [
    encoded(picture(), "JPEG", exif=Image.Exif()),
    encoded(picture().convert("CMYK"), "JPEG"),
    encoded(picture(), "JPEG", progressive=True),
    encoded(picture(), "PNG"),
    encoded(picture().quantize(9), "PNG", transparency=3),
    encoded(picture().quantize(9), "GIF", transparency=2),
    encoded(picture(), "GIF", save_all=True, append_images=[picture().rotate(180)]),
    encoded(picture(), "TIFF"),
    encoded(picture().convert("1"), "TIFF", compression="group4"),
    encoded(picture(), "WEBP"),
    encoded(picture(), "MPO", save_all=True, append_images=[picture()]),
    encoded(picture(), "BMP"),
    encoded(picture(), "PPM"),
]


@settings(max_examples=1000, deadline=None)
@given(
    data=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    rest=st.binary(max_size=8),
)
def test_mutated_files_give_pixels_of_the_stated_size_or_a_reason(data, flips, cut, rest):
    mutated = bytearray(data)
    for place, value in flips:
        # Headers are short; look there twice as often.
        mutated[int(place**2 * len(mutated))] = value
    start, end = sorted(int(share * len(mutated)) for share in cut)
    if (end - start) * 2 < len(mutated):
        mutated[start:end] = rest
    try:
        photo = Photo(bytes(mutated))
        if photo.width * photo.height < 4_000_000:
            assert photo.rgb().shape == (photo.height, photo.width, 3)
    except ImageRejected as rejected:
        assert str(rejected).isprintable() and str(rejected)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_array_or_a_reason(data):
    try:
        assert Photo(data).rgb().dtype == np.uint8
    except ImageRejected as rejected:
        assert str(rejected)
