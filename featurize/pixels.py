"""One photo file becomes RGB pixels, or a reason why not."""

import io
import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Any

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

from featurize.terminal import printable

MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs: twice a 256 MiB picture
MAX_BYTES = 1 << 29
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
READERS = tuple(name for name in FORMATS if name != "MPO")  # Pillow reads MPO as a kind of JPEG
DECODE_VERSION = 1

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
BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF tags

# Pillow warns at half its limit, and about metadata that nobody asked for; what matters is a reject's reason.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageRejected(Exception):
    """This file gives no pixels; the message is the reason, for the rejects file."""


class Photo:
    """The bytes of one image file, decoded on demand.

    Parameters
    ----------
    data : bytes
        The whole file.

    Attributes
    ----------
    width, height : int
        Size in pixels as a viewer shows it, after the EXIF orientation.
    format : str
        What the file really is, whatever its name says: ``"JPEG"``, ``"PNG"``, …

    Raises
    ------
    ImageRejected
        If the bytes are no image of a known format, or one with too many pixels.
    """

    def __init__(self, data: bytes):
        self.data: bytes | None = data
        if not data:
            raise ImageRejected("the file is empty")
        with _open(data) as image:
            self.format = str(image.format)
            self.width, self.height = _shown_size(image)
        if self.width * self.height > MAX_PIXELS:
            raise ImageRejected(f"{self.width} × {self.height} pixels; at most {MAX_PIXELS:,} are read")
        self._begin()

    @classmethod
    def from_array(cls, rgb: np.ndarray) -> "Photo":
        """A photo from pixels: uint8 of shape (height, width, 3), or (height, width) for grey.

        Raises
        ------
        ImageRejected
            For any other shape or dtype.
        """
        rgb = np.asarray(rgb)
        if rgb.ndim == 2:
            rgb = np.repeat(rgb[:, :, None], 3, axis=2)
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ImageRejected(
                f"an array of {rgb.dtype} with shape {rgb.shape}; give uint8 of shape (height, width, 3)"
            )
        photo = cls.__new__(cls)
        photo.data, photo.format = None, "array"
        photo.height, photo.width = rgb.shape[:2]
        photo._begin()
        photo._arrays[1] = rgb
        return photo

    def _begin(self) -> None:
        """Nothing decoded yet."""
        self._images: dict[int, Image.Image] = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._views: dict[Hashable, Photo] = {}
        self._lock = threading.RLock()

    def view(self, key: Hashable, change: Callable[[np.ndarray], np.ndarray]) -> "Photo":
        """The photo whose pixels are what `change` makes of all pixels of this one; made once per `key`."""
        with self._lock:
            if key not in self._views:
                self._views[key] = Photo.from_array(change(self.rgb()))
            return self._views[key]

    def rgb(self, *, shorter: int | None = None, longer: int | None = None) -> np.ndarray:
        """The pixels, uint8 of shape (height, width, 3).

        With `shorter` or `longer`, a JPEG may come at 1/2, 1/4 or 1/8 of its size, which is decoded several
        times faster, as long as its shorter (longer) side keeps at least that many pixels. It is the same
        array for everyone who asks for the same scale; copy before writing into it.

        Raises
        ------
        ImageRejected
            If the file is truncated, damaged, or of a kind that has no fixed range (32 bits per value).
        """
        scale = self.scale(shorter=shorter, longer=longer)
        with self._lock:
            if scale not in self._arrays:
                self._arrays[scale] = np.asarray(self._at(scale))
            return self._arrays[scale]

    def image(self, *, shorter: int | None = None, longer: int | None = None) -> Image.Image:
        """The pixels as `rgb` gives them, as Pillow's own image, which it resizes without another copy.

        It is the same image for everyone who asks for the same scale; do not change it.

        Raises
        ------
        ImageRejected
            As `rgb` does.
        """
        return self._at(self.scale(shorter=shorter, longer=longer))

    def _at(self, scale: int) -> Image.Image:
        with self._lock:
            if scale not in self._images:
                self._images[scale] = (
                    Image.fromarray(self._arrays[scale]) if scale in self._arrays else self._decode(scale)
                )
            return self._images[scale]

    def _decode(self, scale: int) -> Image.Image:
        assert self.data is not None
        return _decode(self.data, scale)

    def scale(self, *, shorter: int | None = None, longer: int | None = None) -> int:
        """The factor (1, 2, 4 or 8) by which `rgb` shrinks a JPEG while decoding it."""
        if self.format not in ("JPEG", "MPO") or (shorter is None and longer is None):
            return 1
        low, high = sorted((self.width, self.height))
        room = min(low // shorter if shorter else 8, high // longer if longer else 8)
        return next(scale for scale in (8, 4, 2, 1) if room >= scale or scale == 1)


def _open(data: bytes) -> Image.Image:
    """The image, header read; any complaint of the reader becomes the reason of a rejection."""
    try:
        return Image.open(io.BytesIO(data), formats=READERS)
    except Image.DecompressionBombError:
        raise ImageRejected(f"more than {MAX_PIXELS:,} pixels (a decompression bomb?)") from None
    except Image.UnidentifiedImageError:
        raise ImageRejected(_what_it_is(data)) from None
    except Exception as error:
        # Readers of damaged headers raise almost anything: struct.error, SyntaxError, KeyError, OverflowError.
        raise ImageRejected(f"damaged header: {_one_line(error)}") from error


def _what_it_is(data: bytes) -> str:
    if data[:4] in (b"\x00\x05\x16\x07", b"\x00\x05\x16\x00"):
        return "macOS AppleDouble metadata, not an image"
    head = data[:256].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html")):
        return "an HTML page, not an image"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image itself"
    try:
        data[:4096].decode("utf-8")
        return "text, not an image"
    except UnicodeDecodeError as error:
        if error.start > 4000:
            return "text, not an image"
    return f"not an image of a known format ({', '.join(FORMATS)})"


def _shown_size(image: Image.Image) -> tuple[int, int]:
    turned = _orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that is still to be applied, 1 to 8."""
    if image.format == "TIFF":
        return 1  # Pillow's TIFF reader reports the turned size, and turns while loading
    try:
        orientation = int(image.getexif().get(0x0112, 1))
    except Exception:
        # A damaged EXIF block leaves a good picture: as it lies.
        return 1
    return orientation if orientation in TURNS else 1


def _decode(data: bytes, scale: int) -> Image.Image:
    try:
        with _open(data) as image:
            orientation = _orientation(image)
            if scale > 1:
                image.draft(None, (image.width // scale, image.height // scale))
            image.load()
            rgb = _to_rgb(image)
            return rgb.transpose(TURNS[orientation]) if orientation > 1 else rgb
    except ImageRejected:
        raise
    except MemoryError:
        raise ImageRejected("too large for the memory of this machine") from None
    except Exception as error:
        # Decoders of damaged files raise almost anything: OSError, SyntaxError, struct.error, ValueError.
        raise ImageRejected(_one_line(error)) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB: 16 bits scaled to 8, alpha over white, CMYK by its own convention."""
    mode, kind = image.mode, image.format
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if mode in ("I", "F"):
        raise ImageRejected("values of 32 bits or with a sign have no fixed range; save it with 8 or 16 bits")
    if mode == "CMYK":
        # Pillow inverts every CMYK JPEG, as Adobe's programs write them; without Adobe's marker that is wrong.
        inverted = kind in ("JPEG", "MPO") and "adobe" not in image.info
        return (ImageChops.invert(image) if inverted else image).convert("RGB")
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


def resize(pixels: np.ndarray | Image.Image, width: int, height: int) -> np.ndarray:
    """RGB pixels resampled to exactly width × height: bilinear, with antialiasing when they shrink (Pillow)."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if image.size == (width, height):
        return np.asarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def golden_image() -> np.ndarray:
    """The small synthetic picture whose vector proves that an extractor still computes the same.

    Smooth ramps, a disc and a fine texture in colour, from integer arithmetic alone, so that it is the same
    on every machine. uint8, shape (96, 128, 3).
    """
    y, x = np.mgrid[0:96, 0:128]
    red, green = x * 2, y * 255 // 95
    blue = (x * 7 + y * 13) % 64 * 4
    disc = (x - 64) ** 2 + (y - 48) ** 2 < 900
    rgb = np.stack([red, green, blue], axis=2)
    rgb[disc] = 255 - rgb[disc]
    return rgb.astype(np.uint8)


def decode_policy(**limits: int | None) -> dict[str, Any]:
    """What about decoding can change a number, for an extractor's description."""
    return {
        "version": DECODE_VERSION,
        "jpeg": "scaled by 1/2, 1/4, 1/8" if any(limits.values()) else "full",
        **{name: value for name, value in limits.items() if value},
        "alpha": "over white",
        "orientation": "EXIF",
    }
