"""What lies around the pixels in a file: chunks of PNG, directories and pages of TIFF, boxes of JPEG 2000.

Nothing is decoded.
"""

import io
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import TiffImagePlugin

# -- PNG ---

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Names of texts that can hold EXIF, and with it the orientation.
PNG_EXIF_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
LARGEST_TEXT = 1 << 20  # bytes that Pillow unpacks of one text or profile
LARGEST_PROFILE = 1 << 25


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content begins and ends, of each chunk of a PNG, until they make no sense."""
    place = len(PNG_SIGNATURE)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, begin = data[place + 4 : place + 8], place + 8
        if begin + length > len(data):
            return
        yield kind, begin, begin + length
        place = begin + length + 4


def png_chunk(data: bytes, wanted: bytes) -> bytes:
    """The content of the first chunk of a kind in front of the pixels; empty if there is none."""
    for kind, begin, end in png_chunks(data):
        if kind in (wanted, b"IDAT"):
            return data[begin:end] if kind == wanted else b""
    return b""


def without_long_texts(data: bytes) -> tuple[bytes, bytes | None]:
    """A PNG without what Pillow refuses in metadata, none of which is pixels; and a colour profile that went with it.

    These are texts, but for those that may hold EXIF, and what unpacks to more than a megabyte.
    """
    kept, place, profile = [], 0, None
    for kind, begin, end in png_chunks(data):
        if kind in TEXTS and not (
            data.startswith(PNG_EXIF_TEXTS, begin) and _unpacked(data[begin:end], kind)
        ):
            drop = True
        # zlib packs a thousand bytes into one at best.
        elif kind == b"iCCP" and end - begin > LARGEST_TEXT >> 11:
            content = data[begin:end].partition(b"\0")[2][1:]
            drop = len(_inflated(content, LARGEST_TEXT)) > LARGEST_TEXT
            profile = _inflated(content, LARGEST_PROFILE) if drop else None
        else:
            drop = False
        if drop:
            kept.append(data[place : begin - 8])
            place = end + 4
    return (b"".join([*kept, data[place:]]) if kept else data), profile


def _unpacked(content: bytes, kind: bytes) -> bool:
    """Whether Pillow will unpack a text."""
    if kind == b"tEXt":
        return len(content) <= LARGEST_TEXT
    packed = content.partition(b"\0")[2]
    if kind == b"iTXt":
        if packed[:1] == b"\0":
            return len(content) <= LARGEST_TEXT
        packed = packed[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        packed = packed[1:]
    return len(_inflated(packed, LARGEST_TEXT)) <= LARGEST_TEXT


def _inflated(content: bytes, most: int) -> bytes:
    """What zlib unpacks, at most one byte more than `most`; what comes before damage."""
    try:
        return zlib.decompressobj().decompress(content, most + 1)
    except zlib.error:
        return b""


# -- TIFF ---

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE, SAMPLES, BITS, FORMAT, PHOTOMETRIC, COMPRESSION = 254, 277, 258, 339, 262, 259
SUB_DIRECTORIES, DNG_VERSION = 330, 50706
REDUCED, MASK = 1, 4  # of a page: a smaller copy of another, or its mask
MOST_PAGES = 100_000
PHOTOMETRICS = {
    0: "grey",
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "Lab",
    32803: "camera raw",
}
FORMATS = {2: "with a sign", 3: "floating point", 5: "complex", 6: "complex"}


def _directories(data: bytes) -> Iterator[Any]:
    """Each directory of a TIFF, in the order of the file; until one makes no sense."""
    stream = io.BytesIO(data)
    directory = TiffImagePlugin.ImageFileDirectory_v2(
        data[:16] if data[2:3] == b"+" or data[3:4] == b"+" else data[:8]
    )
    seen: set[int] = set()
    while (place := directory.next) and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        stream.seek(place)
        directory.load(stream)
        yield directory


def tiff_pages(data: bytes) -> list[int]:
    """The directories of a TIFF, from 0, that are pages: the first, and those that are no reduced copy and no mask."""
    try:
        return [
            number
            for number, tags in enumerate(_directories(data))
            if not number or not int(tags.get(SUBFILE, 0)) & (REDUCED | MASK)
        ] or [0]
    except Exception:
        return [0]  # a damaged directory leaves what can be read before it


def is_camera_raw(tags: Any, data: bytes) -> bool:
    """Whether a TIFF is the raw file of a camera, by its first directory: a small copy of what lies in others.

    So write Nikon, Sony, Pentax and DNG; Canon's CR2 has its name behind the signature.
    """
    small = int(tags.get(SUBFILE, 0)) & REDUCED
    return data[8:10] == b"CR" or bool(small and (SUB_DIRECTORIES in tags or DNG_VERSION in tags))


def tiff_kind(data: bytes) -> str:
    """What kind of TIFF this is, for a reason why it is not read: ``"4 samples of 16 bits"``; empty where unclear."""
    try:
        tags = next(_directories(data))
        bits = tags.get(BITS, (1,))
        n_samples = int(tags.get(SAMPLES, len(bits)))
        formats = {FORMATS[one] for one in tags.get(FORMAT, ()) if one in FORMATS}
        facts = [
            f"{n_samples} {'sample' if n_samples == 1 else 'samples'} of {'/'.join(map(str, dict.fromkeys(bits)))} bits"
        ]
        facts += sorted(formats)
        facts.append(
            PHOTOMETRICS.get(tags.get(PHOTOMETRIC), f"photometric interpretation {tags.get(PHOTOMETRIC)}")
        )
        compression = tags.get(COMPRESSION, 1)
        if compression not in TiffImagePlugin.COMPRESSION_INFO:
            facts.append(f"compression {compression}")
        return ", ".join(facts)
    except Exception:
        return ""


# -- JPEG 2000 ---

ICC_METHODS = (2, 3)


def jp2_profile(data: bytes) -> bytes | None:
    """The colour profile of a JPEG 2000 file, which Pillow passes over."""
    for kind, header in _boxes(data):
        if kind == b"jp2h":
            for part, content in _boxes(header):
                if part == b"colr" and content[0] in ICC_METHODS:
                    return content[3:]
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box, up to that of the pixels, or until they make no sense."""
    place = 0
    while place + 8 < len(data) and (kind := data[place + 4 : place + 8]) != b"jp2c":
        length = int.from_bytes(data[place : place + 4], "big")
        if length <= 8 or place + length > len(data):
            return
        yield kind, data[place + 8 : place + length]
        place += length
