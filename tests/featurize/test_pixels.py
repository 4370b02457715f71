"""One file becomes the pixels that a viewer shows, or a reason."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.extractors import make_extractor
from featurize.pixels import MAX_PIXELS, ImageRejected, Photo, decode_policy, golden_image, resize

F_SHAPE = np.array([[9, 9, 9], [9, 0, 0], [9, 9, 0], [9, 0, 0], [9, 0, 0]], dtype=np.uint8) * 28
# What a viewer shows when the stored rows and columns run as EXIF 2.32, table 6, says for each value.
TURNED = {
    1: F_SHAPE,
    2: F_SHAPE[:, ::-1],
    3: F_SHAPE[::-1, ::-1],
    4: F_SHAPE[::-1],
    5: F_SHAPE.T,
    6: F_SHAPE.T[:, ::-1],
    7: F_SHAPE[::-1, ::-1].T,
    8: F_SHAPE.T[::-1],
}


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width: int = 37, height: int = 23) -> Image.Image:
    return Image.fromarray(resize(golden_image(), width, height))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, for what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in body)


def tiff(width: int, height: int, bits: int, photometric: int, data: bytes, sample_format: int = 1) -> bytes:
    """An uncompressed grey TIFF written by hand."""
    tags = {
        256: width, 257: height, 258: bits, 259: 1, 262: photometric,
        273: 8, 277: 1, 278: height, 279: len(data), 339: sample_format,
    }  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return (
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)
    )


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


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_scaled_jpeg_is_turned_too(scale):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Photo(encoded(picture(640, 320), "JPEG", exif=exif))
    assert photo.scale(shorter=320 // scale) == scale
    assert photo.rgb(shorter=320 // scale).shape == (640 // scale, 320 // scale, 3)


def test_damaged_exif_leaves_the_picture_as_it_lies():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\x00\x03" * 9)
    photo = Photo(data)
    assert photo.rgb().shape == (23, 37, 3) == (photo.height, photo.width, 3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_no_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = Photo(encoded(picture(), "PNG", exif=exif))
    np.testing.assert_array_equal(photo.rgb(), np.asarray(picture()))


@pytest.mark.parametrize(
    "kind, name, options",
    [
        ("PNG", "PNG", {}),
        ("GIF", "GIF", {}),
        ("BMP", "BMP", {}),
        ("TIFF", "TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", "WEBP", {"lossless": True}),
        ("PPM", "PPM", {}),
    ],
)
def test_lossless_formats_give_the_exact_pixels(kind, name, options):
    image = picture().quantize(200).convert("RGB")
    photo = Photo(encoded(image, kind, **options))
    assert photo.format == name
    np.testing.assert_array_equal(photo.rgb(), np.asarray(image))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "RGB"])
def test_every_mode_of_png_becomes_rgb(mode):
    grey = picture().convert("L").point(lambda value: 255 * (value > 99))
    source = grey.convert("RGB").convert("RGBA" if mode == "LA" else mode)
    image = source.convert("LA") if mode == "LA" else source
    rgb = Photo(encoded(image, "PNG")).rgb()
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, np.asarray(grey.convert("RGB")))


def test_alpha_is_laid_over_white():
    pixels = np.array([[[200, 0, 100, 255], [200, 0, 100, 0], [200, 0, 100, 51]]], dtype=np.uint8)
    rgb = Photo(encoded(Image.fromarray(pixels), "PNG")).rgb()
    # 51/255 of the colour and 204/255 of white.
    np.testing.assert_array_equal(rgb, [[[200, 0, 100], [255, 255, 255], [244, 204, 224]]])


def test_grey_with_alpha_is_laid_over_white():
    pixels = np.array([[[0, 255], [0, 0], [100, 51]]], dtype=np.uint8)
    rgb = Photo(encoded(Image.fromarray(pixels, "LA"), "PNG")).rgb()
    np.testing.assert_array_equal(rgb[0, :, 0], [0, 255, 224])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_transparent_colour_of_a_palette_is_white(kind):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    rgb = Photo(encoded(image, kind, transparency=1)).rgb()
    np.testing.assert_array_equal(rgb, [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]])


def test_a_palette_with_alpha_values_is_laid_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 100, 0, 0, 0])
    image.putdata([0, 1])
    rgb = Photo(encoded(image, "PNG", transparency=bytes([51, 255]))).rgb()
    np.testing.assert_array_equal(rgb, [[[244, 204, 224], [0, 0, 0]]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_of_grey_are_scaled_to_eight(kind):
    values = np.array([[0, 128, 129, 257, 32767, 32768, 65406, 65407, 65535]], dtype=np.uint16)
    rgb = Photo(encoded(Image.fromarray(values), kind)).rgb()
    np.testing.assert_array_equal(rgb[0, :, 0], np.rint(values[0] / 257))
    np.testing.assert_array_equal(rgb[0, :, 0], rgb[0, :, 2])


def test_all_sixteen_bit_values_are_rounded_to_the_nearest():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rgb = Photo(encoded(Image.fromarray(values), "PNG")).rgb()
    np.testing.assert_array_equal(rgb[:, :, 0], np.rint(values / 257.0))


def test_sixteen_bits_of_colour_are_scaled_to_eight():
    values = np.array([0, 257, 5000, 32768, 60000, 65535], dtype=">u2")
    rgb = Photo(png(2, 1, 16, 2, b"\0" + values.tobytes())).rgb()
    # Pillow keeps the upper byte, which is at most one level from the nearest.
    np.testing.assert_allclose(rgb.reshape(-1), values.astype(float) / 257, atol=1)
    assert rgb.min() == 0 and rgb.max() == 255


def test_the_transparent_value_of_sixteen_bit_grey_is_white():
    values = np.array([1000, 2000], dtype=">u2")
    data = png(2, 1, 16, 0, b"\0" + values.tobytes(), (b"tRNS", struct.pack(">H", 1000)))
    assert Photo(data).rgb()[0, :, 0].tolist() == [255, round(2000 / 257)]


def test_twelve_bits_fill_the_whole_range():
    packed = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00])  # 0, 4095, 2048, 0
    assert Photo(tiff(4, 1, 12, 1, packed)).rgb()[0, :, 0].tolist() == [0, 255, 128, 0]


@pytest.mark.parametrize("bits, values", [(8, [0, 255, 100]), (16, [0, 65535, 25700])])
def test_white_is_zero_is_turned_round(bits, values):
    data = np.array(values, dtype=f"<u{bits // 8}").tobytes()
    assert Photo(tiff(3, 1, bits, 0, data)).rgb()[0, :, 0].tolist() == [255, 0, 155]


@pytest.mark.parametrize("bits, sample_format", [(32, 3), (32, 1), (16, 2)])
def test_values_without_a_fixed_range_are_rejected(bits, sample_format):
    photo = Photo(tiff(2, 1, bits, 1, bytes(bits // 4), sample_format))
    with pytest.raises(ImageRejected, match="no fixed range"):
        photo.rgb()


INKS = {"white": (0, 0, 0, 0), "cyan": (255, 0, 0, 0), "black": (0, 0, 0, 255), "red": (0, 255, 255, 0)}
SHOWN = {"white": (255, 255, 255), "cyan": (0, 255, 255), "black": (0, 0, 0), "red": (255, 0, 0)}


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_shows_its_inks(ink, kind):
    options = {"quality": 95} if kind == "JPEG" else {}
    rgb = Photo(encoded(Image.new("CMYK", (16, 16), INKS[ink]), kind, **options)).rgb()
    np.testing.assert_allclose(rgb[8, 8].astype(int), SHOWN[ink], atol=2)


@pytest.mark.parametrize("ink", INKS)
def test_cmyk_jpeg_without_adobes_marker_is_not_inverted(ink):
    inverted = tuple(255 - value for value in INKS[ink])
    data = encoded(Image.new("CMYK", (16, 16), inverted), "JPEG", quality=95)
    start = data.index(b"\xff\xee")
    (length,) = struct.unpack(">H", data[start + 2 : start + 4])
    assert b"Adobe" in data[start : start + 2 + length]
    rgb = Photo(data[:start] + data[start + 2 + length :]).rgb()
    np.testing.assert_allclose(rgb[8, 8].astype(int), SHOWN[ink], atol=2)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "MPO", "TIFF"])
def test_the_first_frame_of_many_is_shown(kind):
    first, second = Image.new("RGB", (32, 24), (255, 0, 0)), Image.new("RGB", (32, 24), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = Photo(encoded(first, kind, save_all=True, append_images=[second], **options))
    assert (photo.width, photo.height, photo.format) == (32, 24, kind)
    np.testing.assert_allclose(photo.rgb()[12, 16].astype(int), (255, 0, 0), atol=3)


def test_a_real_mpo_and_real_palette_and_alpha_pngs(assets):
    for path in sorted((assets / "data/oddities").rglob("[!.]*.*")):
        photo = Photo(path.read_bytes())
        assert photo.rgb().shape == (photo.height, photo.width, 3), path
        assert photo.rgb().std() > 20, path


# -- what is rejected -----------------------------------------------------------------------------


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
    import tracemalloc

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


# -- decoding large JPEGs at a scale --------------------------------------------------------------


def large_photos(assets) -> list[Image.Image]:
    flowers = sorted((assets / "data/flowers").glob("*/*.jpg"))[::150]
    large = [
        Image.open(path).convert("RGB").resize((2600, 1950), Image.Resampling.BICUBIC) for path in flowers
    ]
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


@settings(max_examples=50, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300), limit=st.integers(1, 300))
def test_scaling_keeps_the_wanted_pixels(width, height, limit):
    photo = Photo(encoded(Image.new("RGB", (width, height)), "JPEG"))
    scale = photo.scale(shorter=limit)
    decoded = photo.rgb(shorter=limit)
    assert decoded.shape == (-(-height // scale), -(-width // scale), 3)
    assert min(decoded.shape[:2]) >= min(limit, width, height)
    assert scale == 8 or scale * 2 > min(width, height) // limit or scale == 1 == min(width, height) // limit


def test_other_formats_are_never_scaled():
    assert Photo(encoded(picture(800, 800), "PNG")).scale(shorter=10) == 1


def test_the_policy_tells_scaled_from_full_decoding_and_stands_in_the_fingerprint():
    assert decode_policy(shorter=299) != decode_policy() != decode_policy(longer=512)
    assert decode_policy()["jpeg"] == "full"
    assert "1/8" in decode_policy(longer=512)["jpeg"]
    for spec in ("inception_v3", "glcm"):
        assert "1/8" in make_extractor(spec, weights="random").description()["decode"]["jpeg"]


def test_threads_share_one_decoding():
    photo = Photo(encoded(picture(400, 300), "JPEG"))
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(id(photo.rgb()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


def test_the_golden_image_never_changes():
    import hashlib

    image = golden_image()
    assert image.shape == (96, 128, 3) and image.dtype == np.uint8
    assert hashlib.sha256(image.tobytes()).hexdigest() == GOLDEN


GOLDEN = "4021b1dff00e3265f3523b96e926f9c47cd96c1f836316fa936a6795d50786bb"
