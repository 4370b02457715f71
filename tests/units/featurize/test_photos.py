"""One file becomes the pixels that a viewer shows, decoded once, or a reason, within little memory."""

import hashlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from builders import encoded, png, png_chunk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.extractors.base import golden_image
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.photo import Photo, resize
from featurize.registry import make_extractor

F_SHAPE = np.array([[9, 9, 9], [9, 0, 0], [9, 9, 0], [9, 0, 0], [9, 0, 0]], dtype=np.uint8) * 28
# What a viewer shows when the stored rows and columns run as EXIF 2.32, table 6, says for each value.
TURNED = {
    1: F_SHAPE, 2: F_SHAPE[:, ::-1], 3: F_SHAPE[::-1, ::-1], 4: F_SHAPE[::-1],
    5: F_SHAPE.T, 6: F_SHAPE.T[:, ::-1], 7: F_SHAPE[::-1, ::-1].T, 8: F_SHAPE.T[::-1],
}  # fmt: skip
TURNED_BY_8 = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x0112, 3, 1, 8, 0)


def picture(width: int = 37, height: int = 23) -> Image.Image:
    return Image.fromarray(resize(golden_image(), width, height))


def tiff(width: int, height: int, bits: int, photometric: int, data: bytes, sample_format: int = 1) -> bytes:
    """An uncompressed grey TIFF written by hand."""
    tags = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric,
        273: 8, 277: 1, 278: height, 279: len(data), 339: sample_format,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    begin = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return begin + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright_in_pixels_and_in_size(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(F_SHAPE.repeat(16, axis=0).repeat(16, axis=1)).convert("RGB")
    lossless = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    photo = Photo(encoded(stored, kind, exif=exif, **lossless))
    shown = TURNED[orientation].repeat(16, axis=0).repeat(16, axis=1)
    assert (photo.height, photo.width) == shown.shape
    np.testing.assert_allclose(photo.rgb()[:, :, 1], shown, atol=40 if kind == "JPEG" else 0)
    assert np.abs(photo.rgb()[:, :, 1].astype(int) - shown).mean() < 4


@pytest.mark.parametrize(("kind", "content"), [
    (b"eXIf", TURNED_BY_8),
    (b"tEXt", b"Raw profile type exif\0\nexif\n26\n" + TURNED_BY_8.hex().encode() + b"\n"),
    (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<rdf tiff:Orientation="8"/>'),
    (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<rdf tiff:Orientation="8"/>')),
])  # fmt: skip
def test_the_orientation_of_a_png_is_found_behind_its_pixels_however_it_is_written(kind, content):
    # Between the pixels and the end, where Pillow never writes one.
    data = encoded(picture(), "PNG")
    photo = Photo(data[:-12] + png_chunk(kind, content) + data[-12:])
    assert (photo.height, photo.width) == (37, 23)
    np.testing.assert_array_equal(photo.rgb(), np.rot90(np.asarray(picture())))


def test_damaged_exif_and_orientations_that_do_not_exist_leave_the_picture_as_it_lies():
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\x00\x03" * 9
    assert Photo(encoded(picture(), "JPEG", exif=damaged)).rgb().shape == (23, 37, 3)
    text = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\2\0\0\0\3up\0\0" + bytes(4)
    np.testing.assert_array_equal(Photo(encoded(picture(), "PNG", exif=text)).rgb(), np.asarray(picture()))
    for orientation in (0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo = Photo(encoded(picture(), "PNG", exif=exif))
        np.testing.assert_array_equal(photo.rgb(), np.asarray(picture()))


@pytest.mark.parametrize(("bits", "photometric", "data", "grey"), [
    (12, 1, bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00]), [0, 255, 128, 0]),  # 0, 4095, 2048, 0
    (8, 0, bytes([0, 255, 100]), [255, 0, 155]),  # white is zero
    (16, 0, np.array([0, 65535, 25700], "<u2").tobytes(), [255, 0, 155]),
])  # fmt: skip
def test_every_depth_fills_the_whole_range_and_white_is_light(bits, photometric, data, grey):
    assert Photo(tiff(len(grey), 1, bits, photometric, data)).rgb()[0, :, 0].tolist() == grey


@pytest.mark.parametrize("bits, sample_format", [(32, 3), (32, 1), (16, 2)])
def test_values_without_a_fixed_range_are_rejected(bits, sample_format):
    photo = Photo(tiff(2, 1, bits, 1, bytes(bits // 4), sample_format))
    with pytest.raises(ImageRejected, match="no fixed range"):
        photo.rgb()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "MPO", "TIFF"])
def test_the_first_frame_of_many_is_shown(kind):
    first, second = Image.new("RGB", (32, 24), (255, 0, 0)), Image.new("RGB", (32, 24), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = Photo(encoded(first, kind, save_all=True, append_images=[second], **options))
    assert (photo.width, photo.height, photo.format) == (32, 24, kind)
    np.testing.assert_allclose(photo.rgb()[12, 16].astype(int), (255, 0, 0), atol=3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_rejected(kind, share):
    data = encoded(picture(200, 150), kind)
    with pytest.raises(ImageRejected):
        Photo(data[: int(len(data) * share)]).rgb()


@settings(max_examples=60)
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


@pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1), (14_143, 14_143)])
def test_a_bomb_is_refused_before_it_is_unpacked(size):
    bomb = png(*size, 1, 0, bytes(14_000 * 1751))
    tracemalloc.start()
    try:
        with pytest.raises(ImageRejected, match=r"pixels|damaged header"):
            Photo(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_grey_array_is_repeated_and_floats_and_other_shapes_are_refused():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(Photo.from_array(grey).rgb(), np.dstack([grey] * 3))
    with pytest.raises(ImageRejected, match="float64"):
        Photo.from_array(grey / 2)
    for shape in [(4, 4, 4), (4,), (0, 4, 3), (2, 2, 2, 3)]:
        with pytest.raises(ImageRejected, match="shape"):
            Photo.from_array(np.zeros(shape, dtype=np.uint8))


SEEDS = [encoded(picture(), kind) for kind in ("PNG", "TIFF", "WEBP", "BMP", "PPM")] + [
    encoded(picture(), "JPEG", exif=Image.Exif()),
    encoded(picture().convert("CMYK"), "JPEG"),
    encoded(picture(), "JPEG", progressive=True),
    encoded(picture().quantize(9), "PNG", transparency=3),
    encoded(picture().quantize(9), "GIF", transparency=2),
    encoded(picture(), "GIF", save_all=True, append_images=[picture().rotate(180)]),
    encoded(picture().convert("1"), "TIFF", compression="group4"),
    encoded(picture(), "MPO", save_all=True, append_images=[picture()]),
]


@settings(max_examples=1000)
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


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_scaled_jpeg_is_turned_too(scale):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Photo(encoded(picture(640, 320), "JPEG", exif=exif))
    assert photo.scale(shorter=320 // scale) == scale
    assert photo.rgb(shorter=320 // scale).shape == (640 // scale, 320 // scale, 3)


def large_photos(assets) -> list[Image.Image]:
    flowers = map(Image.open, sorted((assets / "data/flowers").glob("*/*.jpg"))[::150])
    large = [flower.convert("RGB").resize((2600, 1950), Image.Resampling.BICUBIC) for flower in flowers]
    y, x = np.mgrid[0:1950, 0:2600]
    rings = 127 + 120 * np.sin(((x - 1300) ** 2 + (y - 975) ** 2) / 20_000)
    return [*large, Image.fromarray(np.dstack([rings, rings[::-1], 255 - rings]).astype(np.uint8))]


def test_scaled_decoding_is_close_to_full_decoding(assets):
    limit = make_extractor("inception_v3", weights="random").description()["decode"]["shorter"]
    assert limit >= 299
    for image in large_photos(assets):
        photo = Photo(encoded(image, "JPEG", quality=92))
        assert photo.scale(shorter=limit) > 1
        full = resize(photo.rgb(), 299, 299).astype(int)
        scaled = resize(photo.rgb(shorter=limit), 299, 299).astype(int)
        # In grey levels; seen: mean 0.11 to 0.33, largest 3. Neighbouring pixels differ by 4 to 39 on average.
        assert np.abs(full - scaled).mean() < 0.5
        assert np.abs(full - scaled).max() <= 6


@settings(max_examples=50)
@given(width=st.integers(1, 300), height=st.integers(1, 300), limit=st.integers(1, 300))
def test_scaling_keeps_the_wanted_pixels(width, height, limit):
    photo = Photo(encoded(Image.new("RGB", (width, height)), "JPEG"))
    scale = photo.scale(shorter=limit)
    decoded = photo.rgb(shorter=limit)
    assert decoded.shape == (-(-height // scale), -(-width // scale), 3)
    assert min(decoded.shape[:2]) >= min(limit, width, height)
    assert scale == 8 or scale * 2 > min(width, height) // limit or scale == 1 == min(width, height) // limit


@pytest.mark.parametrize("limit", [{}, {"shorter": 100}, {"longer": 100}])
def test_the_picture_and_the_array_are_the_same_pixels(limit):
    of_a_file = Photo(encoded(picture(640, 480), "JPEG"))
    of_an_array = Photo.from_array(golden_image())
    distortion = Distortion(1, flip_left_right=True, random_crop=20)
    copy = DistortedPhoto(of_a_file, distortion, distortion.variants[0], "ab" * 32)
    for photo in (of_a_file, of_an_array, copy):
        np.testing.assert_array_equal(np.asarray(photo.image(**limit)), photo.rgb(**limit))
    assert copy.image(**limit).size == of_a_file.image(**limit).size
    assert not np.array_equal(copy.rgb(**limit), of_a_file.rgb(**limit))


def test_nobody_can_write_into_pixels_that_others_will_see():
    mine = golden_image()
    photo = Photo.from_array(mine)
    for shared in (photo, photo.view("copy", np.copy), photo.view("crop", lambda rgb: rgb[:9, :9])):
        with pytest.raises(ValueError, match="read-only"):
            shared.rgb()[0] = 0
    mine[0] = 0  # still belongs to the caller


def test_the_golden_image_never_changes():
    digest = hashlib.sha256(golden_image().tobytes()).hexdigest()
    assert digest == "4021b1dff00e3265f3523b96e926f9c47cd96c1f836316fa936a6795d50786bb"
