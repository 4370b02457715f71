"""The bytes of an image file become an RGB picture, or a reason why not."""

import ctypes
import io
import os
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

# Importing a reader registers it; left to Pillow, that happens at first use, which two threads can disturb.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from featurize.photos.containers import (
    PNG_EXIF_TEXTS,
    PNG_SIGNATURE,
    TIFF_SIGNATURES,
    is_camera_raw,
    jp2_profile,
    tiff_kind,
    tiff_pages,
    without_long_texts,
)
from featurize.photos.levels import eight_bits, is_planar, load, read_samples
from featurize.photos.profiles import to_srgb
from featurize.photos.unread import (
    AVIF,
    CONVERT,
    DICOM,
    HEIC,
    JPEG_2000,
    LONGEST_START,
    RAW,
    ImageRejected,
    is_read,
    kind_of_content,
    not_read,
)
from featurize.terminal import printable

MAX_BYTES = 1 << 29  # of an image file
# How pixels are made of a file; it stands in every fingerprint. When it rises, tables and models made before go on with
# theirs, because each version stays implemented. What each one does stands in featurize/README.md.
DECODE_VERSION = 2


@dataclass(frozen=True)
class Decoding:
    """How pixels are made of the bytes of a file; equal ones make equal pixels."""

    version: int = DECODE_VERSION
    page: int = 1  # of a file with several, from 1
    # The value that becomes white in images of more than 8 bits; 0: each image from its darkest to its brightest value.
    stretch: int | None = None


def read_image(path: str) -> bytes:
    """The bytes of an image file.

    ImageRejected if it cannot be read, is no regular file, is larger than `MAX_BYTES`, or has a format that is not
    read here.
    """
    try:
        # `open` closes what its opener opened also where that turns out to be a folder.
        with open(path, "rb", opener=_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageRejected("not a regular file")
            if status.st_size > MAX_BYTES:
                raise ImageRejected(f"{status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
            head = stream.peek(LONGEST_START)[:LONGEST_START]
            kind = kind_of_content(head)
            if kind is not None and not is_read(kind) and not any(_readers(head)):
                raise ImageRejected(not_read(kind))
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageRejected(f"cannot be read: {error.strerror or error}") from error


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for a writer; O_NONBLOCK does not (Windows has neither)."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


# What is read unless somebody asks for more: a phone's largest photo, 600 MB when unpacked.
MAX_PIXELS = 200_000_000
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
READERS = tuple(name for name in FORMATS if name != "MPO")  # Pillow reads MPO as a kind of JPEG
# Formats that are read where a library for them is there, and what Pillow calls them; by decode version 2 at least.
LATER = {HEIC: "HEIF", AVIF: "AVIF", JPEG_2000: "JPEG2000", DICOM: "DICOM"}

# How to turn what a camera with this EXIF orientation wrote.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Where a PNG can hold EXIF: its own chunk, and two kinds of text, all of which have their name in plain letters.
PNG_EXIF = (b"eXIf", *PNG_EXIF_TEXTS)
NO_IMAGES = {
    (b"\x00\x05\x16\x07", b"\x00\x05\x16\x00"): "macOS AppleDouble metadata, not an image",
    (b"%pdf-",): "a PDF document, not an image",
    (b"<!doctype", b"<html"): "an HTML page, not an image",
    (b"version https://git-lfs",): "a Git LFS pointer, not the image itself",
}
NO_RANGE = "values of 32 bits or with a sign have no fixed range; save it with 8 or 16 bits"
NO_MEMORY = "too large for the memory of this machine"
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF tags

# What is worth a word about how a photo was read, though it was read.
DARK = (
    "less than a quarter of 16 bits is used, which makes them dark (--preprocess stretch:4095 for a camera of 12 bits, "
    "stretch for each photo's own range)"
)
PROFILE_IGNORED = "a colour profile that is broken, or of another kind of pixels, was ignored"
NO_WINDOW = (
    "DICOM without a window, of which all that its bits can hold is shown (--preprocess stretch:N for 0 to N, stretch "
    "for each photo's own range)"
)
CONVERTED = "converted to sRGB by their colour profile"
PAGES = "several pages, of which page {} was read (--preprocess page:N reads another)"

# Pillow warns at half its limit, and about metadata that nobody asked for; what matters is a reject's reason.
warnings.filterwarnings("ignore", module=r"PIL\.")
# libtiff writes its complaints to the terminal, past every handler of Python's; what Pillow makes of them is enough.
# Where it is a part of Pillow's own library (Windows), it has no such name.
with suppress(OSError, AttributeError):
    _silence = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    _silence.argtypes, _silence.restype = [ctypes.c_void_p], ctypes.c_void_p
    _silence(None)


def open_image(data: bytes, page: int = 1) -> ImageFile:
    """The image, header read; any complaint of the reader becomes the reason of a rejection.

    However many pixels it has: Pillow's own limit is asked by `Image.open` alone.
    """
    profile = None
    if data.startswith(PNG_SIGNATURE):
        data, profile = without_long_texts(data)
    try:
        image = _read_header(data)
        if image is None:
            raise ImageRejected(_what_it_is(data))
        if image.format == "TIFF" and is_camera_raw(image.tag_v2, data):  # type: ignore[attr-defined]
            raise ImageRejected(not_read(RAW))
        if page > 1:
            _seek(image, data, page)
    except ImageRejected:
        raise
    except Image.DecompressionBombError:
        raise ImageRejected("more pixels than Pillow reads of this format") from None
    except Exception as error:
        # Readers of damaged headers raise almost anything: struct.error, SyntaxError, KeyError, OverflowError.
        raise ImageRejected(f"damaged header: {_one_line(error)}{_tiff_says(data)}") from error
    if image.format == "JPEG2000":
        profile = jp2_profile(data)
    if profile:
        image.info["icc_profile"] = profile
    return image


def _read_header(data: bytes) -> ImageFile | None:
    for reader in _readers(data):
        try:
            return reader(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # as Image.open does: another reader may know it
    kind = kind_of_content(data)
    return _later_reader(kind)(io.BytesIO(data), "") if kind is not None and is_read(kind) else None


def _readers(data: bytes) -> Iterator[Callable[[io.BytesIO, str], ImageFile]]:
    """Pillow's readers that a file may be for, by its first bytes."""
    for name in READERS:
        reader, accepts = Image.OPEN[name]
        if accepts is None or accepts(data[:16]) is True:
            yield reader


def _later_reader(kind: str) -> Callable[[io.BytesIO, str], ImageFile]:
    """What reads a format of `LATER`; imported when a file of it comes."""
    try:
        if kind == HEIC:
            from pillow_heif import HeifImageFile

            return HeifImageFile
        if kind == DICOM:
            from featurize.photos.dicom import DicomImageFile

            return DicomImageFile
        if kind == AVIF:
            from PIL.AvifImagePlugin import AvifImageFile

            return AvifImageFile
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        return Jpeg2KImageFile
    except ImportError as error:
        raise ImageRejected(f"{not_read(kind)} (what is installed fails: {_one_line(error)})") from error


def _n_pages(image: ImageFile, data: bytes) -> int:
    return len(tiff_pages(data)) if image.format == "TIFF" else getattr(image, "n_frames", 1)


def _has_pages(image: ImageFile, data: bytes) -> bool:
    """Whether there is more than one picture in it; not of MPO, whose others are no pages, but copies and depths."""
    if image.format in ("TIFF", *LATER.values()):
        return _n_pages(image, data) > 1
    if (
        image.format == "GIF"
    ):  # which looks for the second frame, and must not spoil the first where that is damaged
        with suppress(Exception), Image.open(io.BytesIO(data)) as again:
            return bool(getattr(again, "is_animated", False))
    return image.format in ("PNG", "WEBP") and bool(getattr(image, "is_animated", False))


def _seek(image: ImageFile, data: bytes, page: int) -> None:
    n_pages = _n_pages(image, data)
    if page > n_pages:
        raise ImageRejected(f"page {page} was asked for; there {'is' if n_pages == 1 else 'are'} {n_pages}")
    if image.format == "TIFF":
        image.seek(tiff_pages(data)[page - 1])
    else:  # a file opens with its main image, which need not be the first: in HEIC the others follow in their order
        image.seek(page - 2 if page - 2 < image.tell() else page - 1)


def _tiff_says(data: bytes) -> str:
    kind = tiff_kind(data) if data.startswith(TIFF_SIGNATURES) else ""
    return f" (a TIFF of {kind})" if kind else ""


def _what_it_is(data: bytes) -> str:
    head = data[:256].lstrip().lower()
    for beginnings, what in NO_IMAGES.items():
        if head.startswith(beginnings):
            return what
    if kind := kind_of_content(data):
        return not_read(kind)
    if kind := _tiff_says(data):
        return f"a kind of TIFF that is not read{kind}"
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start <= 4000:  # else a character that is cut in two
            known = ", ".join([*FORMATS, *filter(is_read, LATER)])
            return f"not an image of a known format ({known})"
    return "text, not an image"


def shown_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Width and height as a viewer shows them, after the EXIF orientation; `data` is the whole file."""
    turned = _orientation(image, data) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def read_exif(image: Image.Image, data: bytes) -> Image.Exif:
    """The EXIF of an opened image, whose whole file is `data`; may raise almost anything if it is damaged."""
    # It may stand behind the pixels of a PNG, all of which Pillow decodes to look there. Most have none.
    if image.format == "PNG" and not any(mark in data for mark in PNG_EXIF):
        return Image.Exif()
    return image.getexif()


def _orientation(image: Image.Image, data: bytes) -> int:
    """The EXIF orientation that is still to be applied, 1 to 8."""
    if image.format == "TIFF":
        return 1  # Pillow's TIFF reader reports the turned size, and turns while loading
    try:
        orientation = int(read_exif(image, data).get(0x0112, 1))
    except Exception:
        return 1  # a damaged EXIF block leaves a good picture: as it lies
    return orientation if orientation in TURNS else 1


def decode_image(data: bytes, scale: int, decoding: Decoding) -> tuple[Image.Image, set[str]]:
    """The picture, upright, in RGB, and what is worth a word; a JPEG at 1 / `scale` of its size (1, 2, 4 or 8).

    ImageRejected if the file is truncated, damaged, or of a kind that has no fixed range (32 bits per value).
    """
    remarks: set[str] = set()
    try:
        with open_image(data, decoding.page) as image:
            orientation = _orientation(image, data)
            if scale > 1:
                image.draft(None, (image.width // scale, image.height // scale))
            try:
                rgb = _decoded(image, data, decoding, remarks)
            except OSError as error:
                if scale > 1:  # the same reason at every scale: how far it went is said of all rows
                    return decode_image(data, 1, decoding)
                raise ImageRejected(_one_line(error) + _how_far(image)) from error
            return rgb.transpose(TURNS[orientation]) if orientation > 1 else rgb, remarks
    except ImageRejected:
        raise
    except MemoryError:
        raise ImageRejected(NO_MEMORY) from None
    except Exception as error:
        # Decoders of damaged files raise almost anything: OSError, SyntaxError, struct.error, ValueError.
        raise ImageRejected(_one_line(error)) from error


def _how_far(image: Image.Image) -> str:
    """How much of a picture was decoded before its file ended or made no sense; empty where the reader cannot say."""
    core = getattr(image, "_im", None)
    if core is None or image.format == "JPEG2000":  # whose rows come all at once
        return ""
    box = core.getbbox()  # of what is not black, as everything is that was not reached
    n_rows = box[3] - box[1] if box else 0
    return f"; {100 * n_rows // core.size[1]} % of the rows could be read"


def _decoded(image: ImageFile, data: bytes, decoding: Decoding, remarks: set[str]) -> Image.Image:
    if _has_pages(image, data):
        remarks.add(PAGES.format(decoding.page))
    if decoding.version == 1:
        if image.format in LATER.values():
            raise ImageRejected(f"a photo in the format {image.format} needs decode version 2: {CONVERT}")
        if is_planar(image):
            raise ImageRejected(
                "a TIFF of 16 bits with its colours in separate planes needs decode version 2"
            )
        load(image)
        return _to_rgb_1(image)
    return _to_rgb(image, data, decoding, remarks)


def _to_rgb(image: ImageFile, data: bytes, decoding: Decoding, remarks: set[str]) -> Image.Image:
    """Any mode as sRGB: 16 bits scaled to 8, profiles applied, CMYK by its own convention, alpha over white."""
    if image.format == "DICOM":
        samples = image.samples(decoding.stretch)  # type: ignore[attr-defined]
    else:
        samples = read_samples(image, lambda: open_image(data, decoding.page), data)
    if samples is not None:
        picture, alpha, dark = eight_bits(samples, decoding.stretch)
        if image.format == "DICOM" and picture.mode == "L" and decoding.stretch is None:
            remarks.add(NO_WINDOW)
        elif dark:
            remarks.add(DARK)
    else:
        load(image)
        picture, alpha = _without_alpha(image, data)
    icc = image.info.get("icc_profile")
    if icc:
        converted = to_srgb(picture, icc)
        remarks |= (
            {PROFILE_IGNORED} if converted is None else {CONVERTED} if converted is not picture else set()
        )
        picture = picture if converted is None else converted
    # Pillow would copy what is RGB already.
    picture = picture if picture.mode == "RGB" else picture.convert("RGB")
    if alpha is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    if decoding.stretch == 0 and samples is None:
        picture = Image.fromarray(stretched(np.asarray(picture)))
    return picture


def _without_alpha(image: ImageFile, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """A loaded picture of 8 bits in L, RGB, CMYK or another mode without alpha, and how opaque it is, in L."""
    mode = image.mode
    if mode in ("I", "F"):
        raise ImageRejected(NO_RANGE)
    if mode == "CMYK":
        return _upright_cmyk(image), None
    if mode in ("LA", "La"):
        grey, alpha = image.convert("LA").split()
        return grey, alpha
    if "transparency" in image.info or mode in ("RGBA", "PA", "RGBa"):
        # Pillow spreads the values of 1 to 4 bits, and not the transparent one.
        if image.format == "PNG" and mode == "L" and data[24] < 8:
            image.info["transparency"] *= 255 // ((1 << data[24]) - 1)
        opaque = image.convert("RGBA")
        return opaque.convert("RGB"), opaque.getchannel("A")
    return image, None


def _upright_cmyk(image: Image.Image) -> Image.Image:
    # Pillow inverts every CMYK JPEG, as Adobe's programs write them; without Adobe's marker that is wrong.
    inverted = image.format in ("JPEG", "MPO") and "adobe" not in image.info
    return ImageChops.invert(image) if inverted else image


def stretched(rgb: np.ndarray) -> np.ndarray:
    """uint8 pixels from their darkest to their brightest value, over all channels, spread to 0 to 255."""
    low, high = int(rgb.min()), int(rgb.max())
    if low == high:
        return rgb
    levels = (np.arange(256).clip(low, high) - low) * 255
    return ((levels + (high - low) // 2) // (high - low)).astype(np.uint8)[rgb]


# -- decode version 1 ---


def _to_rgb_1(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16 bits scaled to 8, alpha over white, CMYK by its own convention."""
    mode, kind = image.mode, image.format
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if mode in ("I", "F"):
        raise ImageRejected(NO_RANGE)
    if mode == "CMYK":
        return _upright_cmyk(image).convert("RGB")
    if "transparency" in image.info or mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    # Pillow would copy what is RGB already.
    return image if mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> np.ndarray:
    """Grey of 9 to 16 bits as uint8: the darkest possible value becomes 0, the brightest 255."""
    tags = getattr(image, "tag_v2", {})
    bits = int(tags.get(BITS_PER_SAMPLE, (16,))[0])
    top = (1 << bits) - 1
    values = np.asarray(image)
    grey = np.empty(values.shape, dtype=np.uint8)
    white_is_zero = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    transparent = image.info.get("transparency")
    # Some rows at a time: value × 255 needs 32 bits, which would quadruple a large photo.
    for start in range(0, len(values), 256):
        rows = values[start : start + 256].astype(np.uint32)
        part = ((rows.clip(0, top) * 255 + top // 2) // top).astype(np.uint8)
        part = 255 - part if white_is_zero else part
        if isinstance(transparent, int):
            part[rows == transparent] = 255
        grey[start : start + 256] = part
    return grey


def _one_line(error: BaseException) -> str:
    """The message of a reader, which may quote bytes of the file, fit for a terminal and a CSV."""
    return printable(" ".join(str(error).split())) or type(error).__name__
