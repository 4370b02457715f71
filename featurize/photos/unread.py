"""Photos in formats that are not read: how they are recognised, and what their owner can do."""

import os

CONVERT = "convert it to JPEG, PNG or TIFF"
HEIC, DICOM = "HEIC", "DICOM"
RAW = "camera raw"
KINDS = {
    HEIC: ".heic .heif .hif",
    "AVIF": ".avif",
    "JPEG 2000": ".jp2 .j2k .jpx",
    "JPEG XL": ".jxl",
    DICOM: ".dcm .dicom",
    RAW: ".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf",
    "Photoshop": ".psd .psb",
}
KIND_OF_ENDING = {ending: kind for kind, endings in KINDS.items() for ending in endings.split()}
STARTS = {
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"FUJIFILMCCD-RAW": RAW,
}
BRANDS = {
    "AVIF": {b"avif", b"avis"},
    HEIC: {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"},
}


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
    if data[128:132] == b"DICM":
        return DICOM
    return next((kind for start, kind in STARTS.items() if data.startswith(start)), None)


def kind_of_name(name: str) -> str | None:
    """Which of these formats a file has by the ending of its name."""
    return KIND_OF_ENDING.get(os.path.splitext(name)[1].lower())


def not_read(kind: str) -> str:
    """The reason of a rejection, with the remedy.

    >>> not_read("AVIF")
    'a photo in the format AVIF, which is not read: convert it to JPEG, PNG or TIFF'
    """
    return f"a photo in the format {kind}, which is not read: {CONVERT}"


def with_remedy(name: str, reason: str) -> str:
    """The reason why a file was rejected; where its content says nothing, the ending of its name does."""
    kind = kind_of_name(name)
    unknown = reason.startswith(("not an image of a known format", "text, not an image"))
    return not_read(kind) if kind is not None and unknown else reason
