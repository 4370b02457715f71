"""HEIC, AVIF and JPEG 2000 come out as the same picture in PNG; camera raw is named."""

import io
import json
import os
import subprocess
import sys
import tracemalloc
from importlib.util import find_spec

import numpy as np
import pytest
from builders import DISPLAY_P3, encoded, icc_profile, noise, tiff
from PIL import Image

from featurize.errors import installing
from featurize.photos.decode import (
    CONVERTED,
    PAGES,
    TURNS,
    Decoding,
    ImageRejected,
    open_image,
    read_exif,
    read_image,
)
from featurize.photos.photo import Photo
from featurize.photos.unread import RAW, not_read

pillow_heif = pytest.importorskip("pillow_heif", reason="pip install '.[test]'")
if find_spec("PIL._avif") is None:
    pytest.skip("this Pillow does not read AVIF", allow_module_level=True)
pillow_heif.register_heif_opener()  # so that Pillow writes it
# Without loss, but for AVIF, and how far the pixels may be off.
KINDS = {
    "HEIF": ({"quality": -1, "chroma": 444, "matrix_coefficients": 0}, 0),
    "AVIF": ({"quality": 100, "subsampling": "4:4:4"}, 5),
    "JPEG2000": ({}, 0),
}
BLOCKS = np.kron(np.random.default_rng(0).integers(0, 256, (4, 6, 3)), np.ones((32, 32, 1))).astype(np.uint8)


def picture() -> Image.Image:
    return Image.fromarray(BLOCKS)


def file(kind: str, image: Image.Image | None = None, **options) -> bytes:
    return encoded(image or picture(), kind, **KINDS[kind][0], **options)


def assert_same(kind: str, data: bytes, expected: np.ndarray, **decoding) -> None:
    found = Photo(data, decoding=Decoding(**decoding)).rgb()
    assert found.shape == expected.shape
    assert abs(found.astype(int) - expected).max() <= KINDS[kind][1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_that_were_written(kind):
    assert_same(kind, file(kind), BLOCKS)
    photo = Photo(file(kind))
    assert (photo.format, photo.width, photo.height, photo.remarks) == (kind, 192, 128, set())
    grey = picture().convert("L")
    found = Photo(encoded(grey, kind, **({} if kind == "JPEG2000" else {"quality": 100}))).rgb()
    assert abs(found.astype(int) - np.asarray(grey)[..., None]).max() <= 1


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_the_orientation_is_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "ACME"
    data = file(kind, exif=exif.tobytes())
    upright = np.asarray(picture().transpose(TURNS[orientation]))
    assert_same(kind, data, upright)
    assert (Photo(data).height, Photo(data).width) == upright.shape[:2]
    with open_image(data) as image:
        assert read_exif(image, data)[0x010F] == "ACME"


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_lies_over_white(kind):
    image = picture()
    image.putalpha(Image.fromarray(np.repeat(np.repeat(np.uint8([[0, 255]]), 96, 1), 128, 0)))
    expected = BLOCKS.copy()
    expected[:, :96] = 255
    assert_same(kind, file(kind, image), expected)


def jp2_with_profile(profile: bytes) -> bytes:
    """The colour box of a JP2, which names sRGB, replaced by one that holds a profile."""
    data = file("JPEG2000")
    header, colour = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    box = (11 + len(profile)).to_bytes(4, "big") + b"colr\2\0\0" + profile
    length = int.from_bytes(data[header : header + 4], "big") - 15 + len(box)
    return data[:header] + length.to_bytes(4, "big") + data[header + 4 : colour] + box + data[colour + 15 :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_colour_profile_is_applied(kind):
    profile = icc_profile(*DISPLAY_P3)
    expected = Photo(encoded(picture(), "PNG", icc_profile=profile)).rgb()
    data = jp2_with_profile(profile) if kind == "JPEG2000" else file(kind, icc_profile=profile)
    assert_same(kind, data, expected)
    photo = Photo(data)
    photo.rgb()
    assert photo.remarks == {CONVERTED} and abs(expected.astype(int) - BLOCKS).max() > 20


def test_more_than_eight_bits_are_scaled_to_eight():
    values = (np.arange(128 * 192).reshape(128, 192) % 1024).astype(np.uint16)
    deep = pillow_heif.from_bytes(
        "RGB;16", (192, 128), (np.stack([values] * 3, -1) << 6).astype("<u2").tobytes()
    )
    stream = io.BytesIO()
    deep.save(stream, **KINDS["HEIF"][0])
    assert pillow_heif.open_heif(stream.getvalue()).info["bit_depth"] == 10
    assert abs(Photo(stream.getvalue()).rgb()[..., 0] - values * (255 / 1023)).max() < 1
    grey = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    found = Photo(encoded(Image.fromarray(grey), "JPEG2000")).rgb()[..., 0]
    assert (found == (grey.astype(int) * 255 + 32767) // 65535).all()


def test_the_main_picture_of_several_is_page_1_and_the_others_follow():
    others = [picture().transpose(TURNS[3]), noise(64, 64)]
    data = file("HEIF", save_all=True, append_images=others, primary_index=1)
    for page, expected in enumerate([others[0], picture(), others[1]], start=1):
        assert_same("HEIF", data, np.asarray(expected), page=page)
    photo = Photo(data)
    photo.rgb()
    assert photo.remarks == {PAGES.format(1)}
    with pytest.raises(ImageRejected, match="page 4 was asked for; there are 3"):
        Photo(data, decoding=Decoding(page=4))
    moving = file("AVIF", save_all=True, append_images=others[:1])
    assert moving[8:12] == b"avis"
    assert_same("AVIF", moving, BLOCKS)
    assert_same("AVIF", moving, np.asarray(others[0]), page=2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_old_decode_version_reads_none_of_them(kind):
    with pytest.raises(ImageRejected, match=f"{kind} needs decode version 2"):
        Photo(file(kind), decoding=Decoding(version=1)).rgb()


@pytest.mark.parametrize("size", [(100_000, 100_000), (1, 1), (191, 128), (16_000, 12_000)])
def test_no_picture_is_larger_than_its_header_says(size):
    def box(width: int, height: int) -> bytes:
        return b"ispe" + bytes(4) + width.to_bytes(4, "big") + height.to_bytes(4, "big")

    data = file("HEIF")
    assert box(192, 128) in data
    try:
        found = Photo(data.replace(box(192, 128), box(*size))).rgb()
    except ImageRejected:
        return
    assert found.shape[:2] == size[::-1] and found.size < BLOCKS.size  # older libraries cut it


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_is_more_than_a_reject(kind, capfd):
    whole = encoded(noise(96, 64), kind)
    for part in (0.05, 0.3, 0.7, 0.95):
        with pytest.raises(ImageRejected) as raised:
            Photo(whole[: int(part * len(whole))]).rgb()
        assert "\n" not in str(raised.value)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        broken = bytearray(whole)
        for place in rng.integers(0, 700 if seed % 2 else len(whole), 6):
            broken[place] = rng.integers(256)
        try:
            Photo(bytes(broken), max_pixels=10**6).rgb()
        except ImageRejected as rejected:
            assert "\n" not in str(rejected)
    assert capfd.readouterr() == ("", "")


GARBAGE = [
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc",
]  # fmt: skip


@pytest.mark.parametrize("start", GARBAGE)
def test_garbage_behind_the_right_beginning_is_a_reject(start, capfd):
    with pytest.raises(ImageRejected, match="damaged header"):
        Photo(start + bytes(99))
    assert capfd.readouterr() == ("", "")


def raw_tiff(start: bytes = b"", **tags: int) -> bytes:
    """A TIFF of 8 × 8 pixels, which stand in front of its directory; `start` are the first of them."""
    known = {256: 8, 257: 8, 258: (8, 8, 8), 259: 1, 262: 2, 277: 3, 278: 8}
    return tiff((known | {int(tag[1:]): value for tag, value in tags.items()}, [start.ljust(192, b"\0")]))


RAWS = {
    "a Nikon's": raw_tiff(t254=1, t330=8),
    "a DNG": raw_tiff(t254=1, t50706=0x01040000),
    "a CR2": raw_tiff(b"CR\2\0"),
}


@pytest.mark.parametrize("case", RAWS)
def test_a_camera_s_raw_file_is_named_whatever_it_is_called(case):
    with pytest.raises(ImageRejected) as raised:
        Photo(RAWS[case])
    assert str(raised.value) == not_read(RAW)


def test_a_tiff_whose_first_page_is_the_picture_is_read_whatever_lies_behind():
    for data in (raw_tiff(), raw_tiff(t254=0, t330=8), raw_tiff(t254=0, t50706=0x01040000), raw_tiff(t254=1)):
        assert Photo(data).rgb().shape == (8, 8, 3)


def test_of_a_file_in_a_format_that_is_not_read_the_beginning_is_enough(tmp_path):
    path = tmp_path / "1.jpg"
    path.write_bytes(b"\0\0\0\x0cJXL \r\n\x87\n")
    os.truncate(path, 100_000_000)
    tracemalloc.start()
    with pytest.raises(ImageRejected) as raised:
        read_image(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(raised.value) == not_read("JPEG XL") and peak < 1e6


# Python as it is where an extra is not installed: nothing finds its library.
WITHOUT = """
import sys
from importlib.machinery import PathFinder


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        lacking = name.split(".")[0] in ("pillow_heif", "_pillow_heif", "pydicom") or name == "PIL._avif"
        return None if lacking else super().find_spec(name, path, target)


sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from featurize.cli import main

sys.exit(main(sys.argv[1:]))
"""
REASONS = {
    "heic/1.heic": "HEIC, which is not read: convert it to JPEG, PNG or TIFF, or " + installing("heic"),
    "heic/2.jpg": "HEIC, which is not read: convert it to JPEG, PNG or TIFF, or " + installing("heic"),
    "dicom/1.dcm": "DICOM, which is not read: convert it to JPEG, PNG or TIFF, or " + installing("dicom"),
    "avif/1.avif": "AVIF, which is not read: convert it to JPEG, PNG or TIFF, or pip install --upgrade pillow",
    "dicom/2.dcm": "DICOM, which is not read: convert it to JPEG, PNG or TIFF, or " + installing("dicom"),
}


def test_without_its_extra_a_photo_is_a_reject_that_names_the_extra(tmp_path):
    files = {"heic/1.heic": file("HEIF"), "heic/2.jpg": file("HEIF"), "avif/1.avif": file("AVIF")}
    files |= {"dicom/1.dcm": bytes(128) + b"DICM" + bytes(99), "dicom/2.dcm": b"no photo"}
    files |= {"png/1.png": encoded(noise(), "PNG"), "jp2/1.jp2": file("JPEG2000")}
    for name, data in files.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    words = ["scan", tmp_path / "photos", "--json", tmp_path / "scan.json"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    about = json.loads((tmp_path / "scan.json").read_text())
    assert {reject["image"]: reject["reason"] for reject in about["rejects"]} == {
        name: f"a photo in the format {reason}" for name, reason in REASONS.items()
    }
    assert about["empty_classes"] == ["avif", "dicom", "heic"]
    assert about["formats"] == {"PNG": 1, "JPEG2000": 1}
