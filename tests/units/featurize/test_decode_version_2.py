"""What decode version 2 reads, by hand-made files and values computed apart; and what version 1 goes on doing."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from builders import (
    DISPLAY_P3,
    encoded,
    icc_profile,
    noise,
    planar_tiff,
    png,
    png_chunk,
    run,
    run_process,
    tiff,
)
from PIL import Image, ImageCms

from featurize import GLCM, BottleheadError, extract
from featurize.photos.decode import CONVERTED, DARK, PROFILE_IGNORED, Decoding, ImageRejected
from featurize.photos.photo import Photo

VERSION_1 = Decoding(version=1)
COLOURS = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
GREYS = np.array([[0, 100, 1023, 4095]], dtype=np.uint16)


def shown(data: bytes, *steps: str, version: int = 2) -> np.ndarray:
    """The pixels that an extractor with these steps sees."""
    extractor = GLCM(preprocess=steps)
    extractor.decode_version = version
    return extractor.view(Photo(data)).rgb()


def scaled(values: np.ndarray, white: int = 65535) -> np.ndarray:
    return np.rint(values.clip(0, white) * (255 / white)).astype(np.uint8)


def png16(values: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 16 bits: grey, grey with alpha, RGB or RGBA by the last axis."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows, *chunks)


def tiff16(values: np.ndarray, order: str = "<", **tags: int) -> bytes:
    values = values[..., None] if values.ndim == 2 else values
    height, width, n = values.shape
    known = {256: width, 257: height, 258: (16,) * n, 259: 1, 262: 2 if n > 1 else 1, 277: n, 278: height}
    known |= {int(tag[1:]): value for tag, value in tags.items()}
    return tiff((known, [values.astype(f"{order}u2").tobytes()]), order=order)


# -- planes, and both bytes ---


@pytest.mark.parametrize("rows", [0, 8])
@pytest.mark.parametrize("order", "<>")
def test_planes_of_16_bits_are_read_rightly_and_refused_by_version_1(order, rows):
    data = planar_tiff(COLOURS, order, rows)
    np.testing.assert_array_equal(shown(data), scaled(COLOURS))
    with pytest.raises(ImageRejected, match="separate planes needs decode version 2"):
        shown(data, version=1)


def test_planes_in_tiles_packed_and_turned_are_read_rightly():
    values = COLOURS[:16, :16]
    tags = {256: 16, 257: 16, 258: (16,) * 3, 259: 8, 262: 2, 277: 3, 284: 2, 322: 16, 323: 16, 274: 6}
    tiles = [zlib.compress(values[..., band].astype("<u2").tobytes()) for band in range(3)]
    np.testing.assert_array_equal(shown(tiff((tags, tiles))), np.rot90(scaled(values), -1))


@pytest.mark.parametrize(
    "data", [png16(COLOURS), tiff16(COLOURS), tiff16(COLOURS, ">")], ids=["PNG", "II", "MM"]
)
def test_colours_of_16_bits_are_rounded_like_grey_and_cut_off_by_version_1(data):
    np.testing.assert_array_equal(shown(data), scaled(COLOURS))
    np.testing.assert_array_equal(shown(data, version=1), COLOURS >> 8)


def test_alpha_of_16_bits_lies_over_white():
    grey = np.array([[[0, 65535], [0, 0], [25700, 13107]]], dtype=np.uint16)  # 100 of 255, a fifth opaque
    assert shown(png16(grey))[0, :, 0].tolist() == [0, 255, 224]
    colours = np.dstack([np.full((1, 3, 3), 25700, np.uint16), grey[..., 1:]])
    assert shown(png16(colours))[0, :, 2].tolist() == [100, 255, 224]


def test_the_transparent_colour_of_16_bits_is_compared_in_full():
    values = np.array([[[1000, 2, 3], [1001, 2, 3]]], dtype=np.uint16)
    assert shown(png16(values, (b"tRNS", struct.pack(">3H", 1000, 2, 3))))[0].tolist() == [
        [255] * 3,
        [4, 0, 0],
    ]


# -- fewer bits than the file has ---


@pytest.mark.parametrize("data", [
    png16(GREYS, (b"sBIT", b"\x0c")),
    tiff16(GREYS, t281=4095),
    png16(np.dstack([GREYS] * 3), (b"sBIT", b"\x0c\x0c\x0c")),
    tiff16(np.dstack([GREYS] * 3), t281=4095),
])  # fmt: skip
def test_twelve_bits_that_the_file_states_are_the_whole_range(data):
    assert shown(data)[0, :, 0].tolist() == [0, 6, 64, 255]
    assert shown(data, version=1)[0, :, 0].max() <= 16
    photo = Photo(data)
    photo.rgb()
    assert not photo.remarks


@pytest.mark.parametrize("values", [GREYS << 4, (GREYS << 4) | (GREYS >> 8), GREYS[:, :2] << 4])
def test_significant_bits_where_png_wants_them_change_nothing(values):
    # On top of 16, the others 0 or repeated; also where all are dark.
    np.testing.assert_array_equal(shown(png16(values, (b"sBIT", b"\x0c")))[..., 0], scaled(values))


@pytest.mark.parametrize("statement", [1000, 1023])
def test_a_largest_value_that_is_none_of_a_depth_or_is_exceeded_is_not_believed(statement):
    np.testing.assert_array_equal(shown(tiff16(GREYS, t281=statement))[..., 0], scaled(GREYS))


def test_stretch_makes_white_of_a_value_or_of_the_brightest():
    for data in (png16(GREYS), tiff16(GREYS), png16(np.dstack([GREYS] * 3))):
        assert shown(data, "stretch:4095")[0, :, 0].tolist() == [0, 6, 64, 255]
        assert shown(data, "stretch:1023")[0, :, 0].tolist() == [0, 25, 255, 255]
        assert shown(data, "stretch")[0, :, 0].tolist() == [0, 6, 64, 255]
    low = GREYS[:, 1:]  # 100 to 4095
    np.testing.assert_array_equal(shown(png16(low), "stretch")[..., 0], np.rint((low - 100.0) * 255 / 3995))
    eight = Image.fromarray(np.array([[50, 60, 100]], np.uint8))
    assert shown(encoded(eight, "PNG"), "stretch")[0, :, 0].tolist() == [0, 51, 255]
    assert shown(encoded(eight, "PNG"), "stretch:4095")[0, :, 0].tolist() == [50, 60, 100]
    array = GLCM(preprocess=["stretch"]).view(Photo.from_array(np.asarray(eight))).rgb()
    assert array[0, :, 0].tolist() == [0, 51, 255]


def test_dark_photos_of_16_bits_are_counted_once(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png16(GREYS + np.uint16(number)))
    (tmp_path / "full.png").write_bytes(png16(COLOURS))
    words = f"featurize extract {tmp_path} --store {tmp_path}/s -o {tmp_path}/t.npz --features glcm color"
    said = run(words).err
    assert f"warning: {DARK}: 3 photos\n" in said and said.count(DARK) == 1
    assert DARK not in run(f"{words} --preprocess stretch:4095").err
    assert f"{DARK}: 3" in run(f"featurize scan {tmp_path}").out


# -- colour profiles ---


def p3_of(rgb: np.ndarray) -> Image.Image:
    """The same colours as values of Display P3."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile(*DISPLAY_P3)))
    return ImageCms.profileToProfile(Image.fromarray(rgb), ImageCms.createProfile("sRGB"), target)


def srgb_by_formula(p3: np.ndarray) -> np.ndarray:
    """Display P3 of gamma 2.2 as sRGB, by the matrices of the two (XYZ of D50) and the curve of IEC 61966-2-1."""
    to_xyz = np.array(DISPLAY_P3[:3]).T
    srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    linear = np.linalg.solve(srgb, to_xyz) @ ((p3 / 255) ** 2.2).reshape(-1, 3).T
    linear = linear.clip(0, 1).T.reshape(p3.shape)
    return np.rint(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def test_a_photo_of_display_p3_is_seen_in_srgb_and_by_version_1_as_it_lies():
    p3, icc = np.asarray(noise(32, 24, low=40, high=215)), icc_profile(*DISPLAY_P3)
    data = encoded(Image.fromarray(p3), "PNG", icc_profile=icc)
    np.testing.assert_allclose(shown(data), srgb_by_formula(p3), atol=2)
    np.testing.assert_array_equal(shown(data, version=1), p3)
    photo = Photo(data)
    assert np.abs(photo.rgb().astype(int) - p3).mean() > 3 and photo.remarks == {CONVERTED}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_one_picture_in_two_colour_spaces_is_one_picture_in_every_format(kind):
    rgb = np.asarray(noise(4, 4, low=40, high=215).resize((64, 64), Image.Resampling.BICUBIC))
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    found = shown(encoded(p3_of(rgb), kind, icc_profile=icc_profile(*DISPLAY_P3), **options))
    assert np.abs(found.astype(int) - rgb).mean() < 1.5


def test_a_profile_of_srgb_changes_no_pixel_and_a_broken_one_is_counted(tmp_path):
    picture = noise()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = icc_profile(*DISPLAY_P3).replace(b"RGB XYZ ", b"GRAYXYZ ")
    for name, icc, notes in [
        ("srgb", srgb, set()),
        ("no", b"profile", {PROFILE_IGNORED}),
        ("grey", grey, {PROFILE_IGNORED}),
    ]:
        data = encoded(picture, "PNG", icc_profile=icc)
        photo = Photo(data)
        np.testing.assert_array_equal(photo.rgb(), np.asarray(picture))
        assert photo.remarks == notes
        (tmp_path / f"{name}.png").write_bytes(data)
    said = run(f"featurize extract {tmp_path} --features color --store {tmp_path}/s -o {tmp_path}/t.npz").err
    assert f"warning: {PROFILE_IGNORED}: 2 photos\n" in said


def test_a_grey_photo_with_a_profile_of_rgb_and_one_with_alpha_are_converted():
    icc, grey = icc_profile(*DISPLAY_P3), np.arange(256, dtype=np.uint8).reshape(16, 16)
    by_formula = srgb_by_formula(np.dstack([grey] * 3))
    found = shown(encoded(Image.fromarray(grey), "PNG", icc_profile=icc))
    np.testing.assert_allclose(found, by_formula, atol=3)
    clear = Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)]))
    np.testing.assert_array_equal(shown(encoded(clear, "PNG", icc_profile=icc)), found)


# -- metadata, size, kinds ---

LONG = b"{" + b'"node": 1234, ' * 110_000 + b"}"  # 1.5 MB


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("chunks", [
    [(b"zTXt", b"workflow\0\0" + zlib.compress(LONG))],
    [(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LONG))],
    [(b"tEXt", b"workflow\0" + LONG)],
    [(b"tEXt", b"k\0" + b"x" * 1_000_000)] * 70,
    [(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LONG)],
], ids=["packed", "international", "plain", "many", "XMP"])  # fmt: skip
def test_a_png_with_long_texts_in_front_or_behind_is_read(chunks, version):
    picture = noise()
    plain, texts = encoded(picture, "PNG"), b"".join(png_chunk(*one) for one in chunks)
    for data in (plain[:33] + texts + plain[33:], plain[:-12] + texts + plain[-12:]):
        np.testing.assert_array_equal(shown(data, version=version), np.asarray(picture))


def test_a_profile_of_more_than_a_megabyte_in_a_png_is_used():
    icc = icc_profile(*DISPLAY_P3)
    icc = struct.pack(">I", 1_200_000) + icc[4:] + np.random.default_rng(0).bytes(1_200_000 - len(icc))
    p3 = np.asarray(noise(low=40, high=215))
    plain = encoded(Image.fromarray(p3), "PNG")
    data = plain[:33] + png_chunk(b"iCCP", b"scanner\0\0" + zlib.compress(icc)) + plain[33:]
    np.testing.assert_allclose(shown(data), srgb_by_formula(p3), atol=2)
    np.testing.assert_array_equal(shown(data, version=1), p3)


def large_jpeg(width: int, height: int) -> bytes:
    """A small grey JPEG whose header announces another size; the rows that are missing are never asked for."""
    data = bytearray(encoded(Image.new("L", (64, 64), 90), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def test_the_limit_of_megapixels_is_a_phones_200_and_can_be_moved(tmp_path):
    assert Photo(large_jpeg(16320, 12240)).width == 16320
    with pytest.raises(
        ImageRejected, match=r"20000 × 15000 are 300.0 megapixels; at most 200 are read \(--max-meg"
    ):
        Photo(large_jpeg(20000, 15000))
    assert Photo(large_jpeg(20000, 15000), max_pixels=300_000_000).height == 15000
    noise(100, 50).save(tmp_path / "a.png")
    noise(20, 10).save(tmp_path / "b.png")
    store, few = f"--store {tmp_path}/s", "--max-megapixels 0.001"
    for limit, n_rejects in (("", 0), (few, 1), ("", 0), (few, 1)):  # also where the store knows both
        words = f"featurize extract {tmp_path} {store} --features color -o {tmp_path}/t.npz {limit}"
        assert f"{'2' if not n_rejects else '1'} images (" in run(words).err
    assert "100 × 50 are 0.0 megapixels; at most 0.001" in run(f"featurize scan {tmp_path} {few}").out
    assert run(f"featurize scan {tmp_path} --max-megapixels none").status == 2


def test_a_large_jpeg_takes_the_memory_of_what_is_kept_of_it():
    data = encoded(Image.new("L", (8000, 6000), 90), "JPEG")
    tracemalloc.start()
    try:
        assert Photo(data).rgb(longer=512).shape == (750, 1000, 3)
        assert tracemalloc.get_traced_memory()[1] < 8e6  # 48 million pixels
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("tags", "named"), [
    ({258: (16,) * 5, 262: 2, 277: 5}, "5 samples of 16 bits, RGB"),
    ({258: (8,) * 7, 262: 1, 277: 7}, "7 samples of 8 bits, grey"),
    ({258: 64, 262: 1, 277: 1, 339: 3}, "1 sample of 64 bits, floating point, grey"),
    ({258: 8, 262: 1, 277: 1, 259: 65000}, "1 sample of 8 bits, grey, compression 65000"),
])  # fmt: skip
def test_a_kind_of_tiff_that_is_not_read_is_named(tags, named):
    data = tiff(({256: 4, 257: 4, 259: 1, 278: 4} | tags, [bytes(1000)]))
    with pytest.raises(ImageRejected, match=named):
        Photo(data)


def test_libtiff_writes_nothing_to_the_terminal(tmp_path):
    whole = encoded(noise(200, 200), "TIFF", compression="tiff_lzw")
    (tmp_path / "a.tif").write_bytes(whole[:8] + bytes(len(whole) // 2) + whole[8 + len(whole) // 2 :])
    noise().save(tmp_path / "b.png")
    done = run_process("featurize", "scan", tmp_path)
    assert done.status == 0 and "1 rejected" in done.out
    assert not [line for line in done.err.splitlines() if "scanning" not in line], done.err


# -- pages ---


def stack(*greys: int, **tags: int) -> bytes:
    """A TIFF of pages of one grey each, the page N of 4 + N pixels width."""
    pages = []
    for number, grey in enumerate(greys, start=1):
        known = {256: 4 + number, 257: 3, 258: 8, 259: 1, 262: 1, 277: 1, 278: 3}
        known |= {254: 1} if number == tags.get("reduced") else {}
        pages.append((known, [bytes([grey]) * 3 * (4 + number)]))
    return tiff(*pages)


def test_a_page_is_chosen_and_the_first_is_read_by_default():
    data = stack(10, 20, 30)
    assert shown(data)[0, 0, 0] == 10 == shown(data, "page:1")[0, 0, 0]
    assert shown(data, "page:3")[0, 0, 0] == 30 and shown(data, "page:3").shape == (3, 7, 3)
    with pytest.raises(ImageRejected, match="page 4 was asked for; there are 3"):
        shown(data, "page:4")
    with pytest.raises(ImageRejected, match="page 2 was asked for; there is 1"):
        shown(encoded(noise(), "PNG"), "page:2")


def test_a_reduced_copy_is_no_page():
    data = stack(10, 20, 30, reduced=2)
    assert shown(data, "page:2")[0, 0, 0] == 30
    photo = Photo(stack(10, 20, reduced=2))
    photo.rgb()
    assert not photo.remarks


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_has_pages_and_a_photo_of_its_format_has_none(kind):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue", "green")]
    for more, said in ((frames[1:], 1), ([], 0)):
        stream = io.BytesIO()
        frames[0].save(stream, kind, **({"save_all": True, "append_images": more} if more else {}))
        photo = Photo(stream.getvalue())
        red, _, blue = photo.rgb()[10, 10].tolist()
        assert red > 200 and blue < 50
        assert len([one for one in photo.remarks if one.startswith("several pages, of which page 1")]) == said


def test_photos_of_several_pages_are_counted(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.tif").write_bytes(stack(10, 20 + number, 30))
    noise().save(tmp_path / "one.tif")
    words = f"featurize extract {tmp_path} --features color --store {tmp_path}/s -o {tmp_path}/t.npz"
    assert (
        "several pages, of which page 1 was read (--preprocess page:N reads another): 2 photos\n"
        in run(words).err
    )
    assert "of which page 2 was read" in run(f"{words} --preprocess page:2").err
    assert (
        "several pages, of which page 1 was read (--preprocess page:N reads another): 2"
        in run(f"featurize scan {tmp_path}").out
    )


def test_steps_of_decoding_come_first_once_and_have_fingerprints_of_their_own():
    prints = {
        GLCM(preprocess=steps).fingerprint() for steps in ([], ["page:2"], ["stretch"], ["stretch:4095"])
    }
    assert len(prints) == 4
    for steps in (["grayscale", "page:2"], ["page:2", "page:3"], ["stretch", "stretch:9"]):
        with pytest.raises(BottleheadError, match="give it once, before the other steps"):
            shown(encoded(noise(), "PNG"), *steps)
    with pytest.raises(BottleheadError, match="decode version 1 knows no page"):
        shown(encoded(noise(), "PNG"), "page:2", version=1)
    for step in ("page:0", "page", "stretch:0", "stretch:65536"):
        with pytest.raises(BottleheadError, match="is not understood"):
            GLCM(preprocess=[step]).fingerprint()


def test_labels_that_look_like_several_are_named(tmp_path):
    for label in ("rust", "rust;mildew", "rust|well"):
        (tmp_path / "p" / label).mkdir(parents=True)
        noise(seed=len(label)).save(tmp_path / "p" / label / "1.png")
    said = run(
        f"featurize extract {tmp_path}/p --features color --store {tmp_path}/s -o {tmp_path}/t.npz"
    ).err
    assert "labels that look like several, and count as one each: rust;mildew and rust|well" in said
    assert "look like several, and count as one each: rust;mildew" in run(f"featurize scan {tmp_path}/p").out


# -- small things ---


@pytest.mark.parametrize(("bits", "row", "expected"), [
    (1, b"\x55", [0, 255] * 4),
    (2, b"\x1b\x1b", [0, 255, 170, 255] * 2),
    (4, b"\x01\x23\x45\x67", [0, 255, 34, 51, 68, 85, 102, 119]),
    (8, bytes(range(8)), [0, 255, 2, 3, 4, 5, 6, 7]),
])  # fmt: skip
def test_the_transparent_value_1_of_a_grey_png_is_white_at_every_depth(bits, row, expected):
    assert shown(png(8, 1, bits, 0, b"\0" + row, (b"tRNS", b"\0\1")))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("size", [(50, 1), (1, 50), (1, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_photo_of_one_row_or_column_has_vectors(tmp_path, size, kind):
    (tmp_path / "a.img").write_bytes(encoded(noise(*size), kind))
    features = ["glcm", "glcm:haralick", "color", "lbp", "shape", "nuisance"]
    table = extract([tmp_path / "a.img"], features, store=tmp_path / "s")
    assert len(table) == 1 and all(np.isfinite(matrix).all() for matrix in table.vectors.values())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("share", [0.25, 0.6, 0.9])
def test_the_reason_of_a_truncated_file_says_how_much_could_be_read(kind, share):
    data = encoded(noise(200, 400, low=30), kind)
    with pytest.raises(ImageRejected) as rejected:
        Photo(data[: int(len(data) * share)]).rgb()
    percent = int(str(rejected.value).split("; ")[-1].removesuffix(" % of the rows could be read"))
    assert abs(percent - 100 * share) < 12, rejected.value
    with pytest.raises(ImageRejected) as scaled_down:
        Photo(data[: int(len(data) * share)]).rgb(shorter=1)
    assert str(scaled_down.value) == str(rejected.value)
