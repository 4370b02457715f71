"""One file becomes the pixels that a viewer shows, or a reason."""

import struct
import zlib

import numpy as np
import pytest
from builders import encoded, png
from PIL import Image, PngImagePlugin

from featurize.extractors.base import golden_image
from featurize.extractors.nuisance import Nuisance
from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo, resize

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


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk between the pixels and the end, where Pillow never writes one."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return png[:-12] + chunk + png[-12:]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"eXIf", TURNED_BY_8),
        (
            b"tEXt",
            b"Raw profile type exif\0\nexif\n%d\n%s\n" % (len(TURNED_BY_8), TURNED_BY_8.hex().encode()),
        ),
        (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<rdf tiff:Orientation="8"/>'),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<rdf tiff:Orientation="8"/>')),
    ],
)
def test_the_orientation_of_a_png_is_found_behind_its_pixels_however_it_is_written(kind, content):
    photo = Photo(with_chunk(encoded(picture(), "PNG"), kind, content))
    assert (photo.height, photo.width) == (37, 23)
    np.testing.assert_array_equal(photo.rgb(), np.rot90(np.asarray(picture())))


def test_the_header_of_a_png_is_read_without_its_pixels(monkeypatch):
    loaded = []
    load = PngImagePlugin.PngImageFile.load_prepare
    monkeypatch.setattr(
        PngImagePlugin.PngImageFile, "load_prepare", lambda image: (loaded.append(image), load(image))[1]
    )
    photo = Photo(encoded(picture(), "PNG"))
    assert (photo.width, photo.height, len(loaded)) == (37, 23, 0)
    Nuisance().prepare(photo)
    assert len(loaded) == 1


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
