"""DICOM becomes the picture that its file describes; the values are computed here by hand or by pydicom's own rules."""

import io
import sys
import tracemalloc

import numpy as np
import pytest
from builders import DISPLAY_P3, dicom, encoded, icc_profile, noise

from featurize.photos.decode import NO_WINDOW, PAGES, Decoding, ImageRejected, open_image
from featurize.photos.photo import Photo

pydicom = pytest.importorskip("pydicom", reason="pip install '.[test]'")
UID = pydicom.uid
ROW = np.array([[0, 1, 100, 2047, 2048, 4095]], dtype=np.uint16)
RANDOM = np.random.default_rng(0).integers(0, 4096, (40, 30)).astype(np.uint16)


def read(data: bytes, **decoding) -> np.ndarray:
    return Photo(data, decoding=Decoding(**decoding)).rgb()


def grey(data: bytes, **decoding) -> list[int]:
    """The only row of a grey picture."""
    picture = read(data, **decoding)
    assert np.ptp(picture, axis=2).max() == 0
    return picture[0, :, 0].tolist()


def table(first: int, bits: int, values: list[int]) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    return pydicom.Sequence([item])


WINDOW = {"WindowCenter": 128, "WindowWidth": 256}
HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024}
CASES = {
    "12 bits": ({"bits": 12}, {}, [0, 0, 6, 127, 128, 255]),
    "16 bits": ({}, {}, [0, 0, 0, 8, 8, 16]),
    "white is 0": ({"bits": 12, "photometric": "MONOCHROME1"}, {}, [255, 255, 249, 128, 127, 0]),
    "a window of 0 to 255": (dict(bits=12, **WINDOW), {}, [0, 1, 100, 255, 255, 255]),
    "a window and white is 0": (dict(bits=12, photometric="MONOCHROME1", **WINDOW), {}, [255, 254, 155, 0, 0, 0]),
    "the first of two windows": (
        {"bits": 12, "WindowCenter": [128, 9], "WindowWidth": [256, 9]}, {}, [0, 1, 100, 255, 255, 255],
    ),
    "a window of width 0 is none": ({"bits": 12, "WindowCenter": 128, "WindowWidth": 0}, {}, [0, 0, 6, 127, 128, 255]),
    "a window without a width": ({"bits": 12, "WindowCenter": 128}, {}, [0, 0, 6, 127, 128, 255]),
    "a window of width 1 is a step": ({"bits": 12, "WindowCenter": 2048, "WindowWidth": 1}, {}, [0, 0, 0, 0, 255, 255]),
    "a window of rescaled values": (
        dict(bits=12, WindowCenter=1023.5, WindowWidth=4096, **HOUNSFIELD), {}, [0, 0, 6, 128, 128, 255],
    ),
    "a slope below 0": ({"bits": 12, "RescaleSlope": -1, "RescaleIntercept": 0}, {}, [255, 255, 249, 128, 127, 0]),
    "a slope of 0 is none": ({"bits": 12, "RescaleSlope": 0, "RescaleIntercept": 0}, {}, [0, 0, 6, 127, 128, 255]),
    "own range": (dict(bits=12, **WINDOW), {"stretch": 0}, [0, 0, 6, 127, 128, 255]),
    "0 to 2046 of rescaled values": (
        dict(bits=12, **WINDOW, **HOUNSFIELD), {"stretch": 2046}, [0, 0, 0, 128, 128, 255],
    ),
    "a table of what is shown": (
        {"bits": 12, "VOILUTSequence": table(99, 8, [0, 50, 200])}, {}, [0, 0, 50, 200, 200, 200],
    ),
    "a table of what values mean": (
        {"bits": 12, "ModalityLUTSequence": table(0, 16, [65535, 0, 257])}, {}, [255, 0, 1, 1, 1, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_grey_is_shown_as_the_file_says(case):
    elements, decoding, expected = CASES[case]
    assert grey(dicom(ROW, **elements), **decoding) == expected


def test_values_with_a_sign_count_from_the_least_that_can_be():
    values = np.array([[-2048, -1024, 0, 2047]], dtype=np.int16)
    assert grey(dicom(values, bits=12)) == [0, 64, 128, 255]
    assert grey(dicom(values, bits=12, WindowCenter=0, WindowWidth=2048)) == [0, 0, 128, 255]
    assert grey(dicom(values, bits=12), stretch=2047) == [0, 0, 0, 255]


def test_eight_bits_and_one_bit_fill_the_range():
    values = np.array([[0, 3, 10, 255]], dtype=np.uint8)
    assert grey(dicom(values)) == [0, 3, 10, 255]
    assert grey(dicom(values, WindowCenter=6.5, WindowWidth=8)) == [0, 18, 255, 255]
    mask = dicom(np.zeros((1, 8), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=b"\x0d\0")
    assert grey(mask) == [255, 0, 255, 255, 0, 0, 0, 0]


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("slope", [1, 0.37])
def test_windows_are_those_of_pydicom(function, slope):
    about = {"WindowCenter": 700.5, "WindowWidth": 900, "RescaleSlope": slope, "RescaleIntercept": -20}
    values = np.concatenate([RANDOM, np.array([[0, 4095] * 15], np.uint16)])
    data = dicom(values, bits=12, VOILUTFunction=function, **about)
    file = pydicom.dcmread(io.BytesIO(data))
    real = pydicom.pixels.apply_modality_lut(file.pixel_array, file)
    low, high = -20, 4095 * slope - 20  # what pydicom gives to black and white
    theirs = (pydicom.pixels.apply_windowing(real, file) - low) / (high - low) * 255
    assert abs(read(data)[..., 0] - theirs).max() <= 0.5 + 1e-6


def test_colours_are_those_of_the_file():
    rgb = np.asarray(noise(30, 20))
    assert (read(dicom(rgb, "RGB")) == rgb).all()
    planes = np.moveaxis(rgb, 2, 0)
    assert (read(dicom(rgb, "RGB", PlanarConfiguration=1, PixelData=planes.tobytes())) == rgb).all()
    ycc = np.asarray(noise(30, 20).convert("YCbCr"))
    expected = np.asarray(noise(30, 20).convert("YCbCr").convert("RGB")).astype(int)
    assert abs(read(dicom(ycc, "YBR_FULL")) - expected).max() <= 2
    deep = np.array([[[0, 514, 65535], [257, 32768, 1]]], dtype=np.uint16)
    assert read(dicom(deep, "RGB")).tolist() == [[[0, 2, 255], [1, 128, 0]]]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_the_colours(bits):
    colours = np.array([[10, 20, 30], [200, 100, 0], [255, 255, 255], [1, 2, 3]])
    kind, scale = ("<u1", 1) if bits == 8 else ("<u2", 257)
    palette = {}
    for name, channel in zip(("Red", "Green", "Blue"), colours.T, strict=True):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        palette[f"{name}PaletteColorLookupTableData"] = (channel * scale).astype(kind).tobytes()
    which = np.array([[3, 0, 1], [2, 2, 0]], dtype=np.uint8)
    assert (read(dicom(which, "PALETTE COLOR", **palette)) == colours[which]).all()


def test_compressed_pixels_are_read_where_a_library_for_them_is_there():
    jpeg, rgb = encoded(noise(40, 30), "JPEG", quality=95), np.asarray(noise(40, 30))
    compressed = dicom(rgb, "YBR_FULL_422", syntax=UID.JPEGBaseline8Bit, PixelData=jpeg)
    assert abs(read(compressed).astype(int) - Photo(jpeg).rgb()).max() <= 1
    exact = encoded(noise(40, 30), "JPEG2000", no_jp2=True)
    assert (read(dicom(rgb, "RGB", syntax=UID.JPEG2000Lossless, PixelData=exact)) == rgb).all()
    packed = pydicom.dcmread(io.BytesIO(dicom(RANDOM, bits=12)))
    packed.compress(UID.RLELossless)
    stream = io.BytesIO()
    packed.save_as(stream)
    assert (read(stream.getvalue()) == read(dicom(RANDOM, bits=12))).all()


@pytest.mark.parametrize(
    ("syntax", "kind"), [(UID.JPEGBaseline8Bit, "JPEG"), (UID.JPEG2000Lossless, "JPEG2000")]
)
def test_a_frame_that_is_larger_than_its_file_says_is_not_unpacked(syntax, kind, monkeypatch):
    larger = encoded(noise(400, 300), kind, **({"no_jp2": True} if kind == "JPEG2000" else {}))
    loaded = []
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: loaded.append(image.size))
    with pytest.raises(ImageRejected, match="damaged or ends early"):
        read(dicom(np.asarray(noise(40, 30)), "RGB", syntax=syntax, PixelData=larger))
    assert not loaded


def test_a_colour_profile_counts():
    profile = icc_profile(*DISPLAY_P3)
    rgb = np.asarray(noise())
    expected = Photo(encoded(noise(), "PNG", icc_profile=profile)).rgb()
    assert (read(dicom(rgb, "RGB", ICCProfile=profile)) == expected).all() and (expected != rgb).any()


def test_of_several_frames_the_first_is_read_or_the_one_that_is_asked_for():
    frames = np.stack([RANDOM, RANDOM // 2, RANDOM // 4])
    data = dicom(frames, bits=12)
    photo = Photo(data)
    assert (photo.rgb() == read(dicom(RANDOM, bits=12))).all()
    assert photo.remarks == {PAGES.format(1), NO_WINDOW}
    assert (read(data, page=3) == read(dicom(RANDOM // 4, bits=12))).all()
    with pytest.raises(ImageRejected, match="page 4 was asked for; there are 3"):
        read(data, page=4)


def test_each_frame_has_its_own_window_and_what_all_share():
    def group(name: str, **elements) -> pydicom.Dataset:
        item, one = pydicom.Dataset(), pydicom.Dataset()
        for element, value in elements.items():
            setattr(one, element, value)
        setattr(item, name, pydicom.Sequence([one]))
        return item

    shared = group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=0)
    own = [group("FrameVOILUTSequence", WindowCenter=128 * n, WindowWidth=256 * n) for n in (1, 2)]
    groups = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": own}
    data = dicom(
        np.stack([ROW, ROW]), bits=12, **{name: pydicom.Sequence(items) for name, items in groups.items()}
    )
    assert grey(data) == [0, 2, 200, 255, 255, 255]
    assert grey(data, page=2) == [0, 1, 100, 255, 255, 255]


def test_a_file_without_a_preamble_is_known_by_its_first_element():
    expected = read(dicom(ROW, bits=12))
    whole = dicom(ROW, bits=12)
    for syntax in (UID.ExplicitVRLittleEndian, UID.ImplicitVRLittleEndian, UID.ExplicitVRBigEndian):
        values = ROW.astype(">u2") if syntax == UID.ExplicitVRBigEndian else ROW
        data = dicom(ROW, bits=12, syntax=syntax, PixelData=values.tobytes())
        assert (read(data) == expected).all() and (read(data[132:]) == expected).all()
    without_meta = whole[whole.index(b"\x08\0\x16\0") :]
    assert (read(without_meta) == expected).all()
    implicit = dicom(ROW, bits=12, syntax=UID.ImplicitVRLittleEndian)
    assert (read(implicit[implicit.index(b"\x08\0\x16\0") :]) == expected).all()


LOSSLESS = {"syntax": UID.JPEGLosslessSV1, "PixelData": b"\xff\xd8\xff\xd9"}
BROKEN = {
    "no pixels": ({"PixelData": None}, "without a picture"),
    "no rows": ({"Rows": None}, "without a picture"),
    "a syntax that nothing reads": (LOSSLESS, "transfer syntax JPEG Lossless, Non-Hierarchical, First-Order"),
    "deflated": ({"syntax": UID.DeflatedExplicitVRLittleEndian}, "Deflated Explicit VR Little Endian"),
    "broken JPEG 2000": ({"syntax": UID.JPEG2000, "PixelData": b"\xff\x4f\xff\x51"}, "a kind of JPEG 2000"),
    "too few pixels": ({"Rows": 2}, "damaged or ends early"),
    "32 bits": ({"BitsAllocated": 32, "BitsStored": 32}, "values of 32 bits"),
    "more bits than there are": ({"BitsStored": 17}, "values of 17 bits in 16"),
    "an interpretation that is not read": ({"PhotometricInterpretation": "HSV"}, "interpretation HSV"),
    "one that is no interpretation": ({"PhotometricInterpretation": "SECRET"}, "interpretation unknown"),
    "too many samples": ({"SamplesPerPixel": 4}, "samples per pixel: 4"),
    "a huge picture": ({"Rows": 65535, "Columns": 65535}, "4,294.8 megapixels; at most 200"),
    "no palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "damaged or ends early"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_shown_is_rejected_with_a_reason_that_tells_nothing_of_the_patient(case, capfd):
    elements, reason = BROKEN[case]
    data = dicom(ROW, **elements)
    tracemalloc.start()
    with pytest.raises(ImageRejected, match=reason) as raised:
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "secret" not in str(raised.value).lower() and capfd.readouterr() == ("", "")
    assert peak < 5e6


def test_an_unknown_transfer_syntax_is_not_quoted():
    name = str(UID.ExplicitVRLittleEndian).encode()
    with pytest.raises(ImageRejected, match="transfer syntax that is unknown"):
        read(dicom(ROW).replace(name, b"Secret^Patient^1980"[: len(name)]))


def test_of_frames_that_are_not_there_none_is_read():
    data = dicom(ROW, bits=12, NumberOfFrames=2**31 - 1)
    assert grey(data) == [0, 0, 6, 127, 128, 255]
    with pytest.raises(ImageRejected, match="damaged or ends early"):
        read(data, page=1000)


def test_sequences_within_sequences_without_end_are_rejected():
    opened = b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    whole = dicom(ROW, bits=12)
    place = whole.index(b"\x28\0\2\0US")
    with pytest.raises(ImageRejected, match="damaged or ends early"):
        read(whole[:place] + opened * 20_000 + whole[place:])


def test_no_damage_is_more_than_a_reject(capfd):
    whole = dicom(RANDOM, bits=12, RescaleSlope=2, RescaleIntercept=-5, **WINDOW)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        broken = bytearray(whole)
        for place in rng.integers(0, 700 if seed % 2 else len(whole), 6):
            broken[place] = rng.integers(256)
        try:
            Photo(bytes(broken[: rng.integers(1, len(whole))] if seed % 5 == 0 else broken)).rgb()
        except ImageRejected as rejected:
            assert "Secret" not in str(rejected)
    assert capfd.readouterr() == ("", "")


def test_a_header_is_enough_for_the_size_and_the_format():
    photo = Photo(dicom(RANDOM, bits=12)[:-1000])
    assert (photo.width, photo.height, photo.format) == (30, 40, "DICOM")
    with open_image(dicom(RANDOM, bits=12)) as image:
        assert not image.getexif()
    assert "pydicom" in sys.modules


def test_the_old_decode_version_reads_none():
    with pytest.raises(ImageRejected, match="DICOM needs decode version 2"):
        read(dicom(ROW), version=1)
