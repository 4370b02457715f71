"""Photos in formats that are not read everywhere: how they are recognised, and what their owner can do.

AVIF and JPEG 2000 are read where Pillow can, HEIC and DICOM with an extra, the others nowhere.
"""

import os
from functools import cache
from importlib.util import find_spec

from PIL import Image

from featurize.errors import installing

CONVERT = "convert it to JPEG, PNG or TIFF"
HEIC, AVIF, JPEG_2000, DICOM = "HEIC", "AVIF", "JPEG 2000", "DICOM"
RAW = "camera raw"
KINDS = {
    HEIC: ".heic .heif .hif",
    AVIF: ".avif",
    JPEG_2000: ".jp2 .j2k .jpx",
    "JPEG XL": ".jxl",
    DICOM: ".dcm .dicom",
    RAW: ".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf",
    "Photoshop": ".psd .psb",
}
KIND_OF_ENDING = {ending: kind for kind, endings in KINDS.items() for ending in endings.split()}
# What reads them, and what brings it.
LIBRARIES = {HEIC: "pillow_heif", AVIF: "PIL._avif", DICOM: "pydicom"}
REMEDIES = {
    HEIC: installing("heic"),
    AVIF: "pip install --upgrade pillow",
    DICOM: installing("dicom"),
}
STARTS = {
    b"\0\0\0\x0cjP  \r\n\x87\n": JPEG_2000,
    b"\xff\x4f\xff\x51": JPEG_2000,
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"FUJIFILMCCD-RAW": RAW,
    **dict.fromkeys((b"IIRO", b"IIRS", b"IIU\0"), RAW),  # Olympus and Panasonic, which are nearly TIFF
}
BRANDS = {
    AVIF: {b"avif", b"avis"},
    HEIC: {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
}
# What a DICOM file without its preamble begins with: group 2, or one of the first elements of group 8.
DICOM_STARTS = (b"\2\0\0\0UL\4\0", *(b"\10\0" + bytes([element]) + b"\0" for element in (0, 1, 5, 8, 0x16)))
LONGEST_START = 512  # bytes of a file that say which format it has


class ImageRejected(Exception):
    """This file gives no pixels; the message is the reason, for the rejects file."""


def is_read_by_name(name: str) -> bool:
    """Whether a photo of this name is read here, as far as the ending tells."""
    kind = kind_of_name(name)
    return kind is None or is_read(kind)


@cache
def is_read(kind: str) -> bool:
    """Whether photos of one of these formats are read by what is installed here."""
    if kind == JPEG_2000:
        return hasattr(Image.core, "jpeg2k_decoder")
    return kind in LIBRARIES and find_spec(LIBRARIES[kind]) is not None


def kind_of_content(data: bytes) -> str | None:
    """Which of these formats a file has by its first bytes.

    >>> kind_of_content(b"\\0\\0\\0\\x18ftypheic\\0\\0\\0\\0mif1heic")
    'HEIC'
    """
    if data[4:8] == b"ftyp":
        if data[8:12] == b"crx ":
            return RAW
        box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        brands = {box[place : place + 4] for place in range(0, len(box), 4)}
        return next((kind for kind, known in BRANDS.items() if brands & known), None)
    if data[128:132] == b"DICM" or _is_dicom_without_preamble(data):
        return DICOM
    return next((kind for start, kind in STARTS.items() if data.startswith(start)), None)


def _is_dicom_without_preamble(data: bytes) -> bool:
    """By the first element: two letters and a length of two bytes, or a short length of four bytes."""
    if not data.startswith(DICOM_STARTS):
        return False
    return data[4:6] in (b"UL", b"CS", b"UI") or (data[5:8] == b"\0\0\0" and len(data) > 128)


def kind_of_name(name: str) -> str | None:
    """Which of these formats a file has by the ending of its name."""
    return KIND_OF_ENDING.get(os.path.splitext(name)[1].lower())


def not_read(kind: str) -> str:
    """The reason of a rejection, with the remedy.

    >>> not_read("JPEG XL")
    'a photo in the format JPEG XL, which is not read: convert it to JPEG, PNG or TIFF'
    >>> not_read("HEIC").partition(", or ")[2]
    "pip install '.[heic]' in the checkout"
    """
    remedy = f"{CONVERT}, or {REMEDIES[kind]}" if kind in REMEDIES else CONVERT
    return f"a photo in the format {kind}, which is not read: {remedy}"


def with_remedy(name: str, reason: str) -> str:
    """The reason why a file was rejected; where its content says nothing, the ending of its name does."""
    kind = kind_of_name(name)
    unknown = reason.startswith(("not an image of a known format", "text, not an image"))
    return not_read(kind) if kind is not None and not is_read(kind) and unknown else reason
