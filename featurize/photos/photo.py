"""A photo that is decoded on demand, at the smallest scale the caller accepts."""

import copy
import hashlib
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from featurize.photos.decode import (
    MAX_PIXELS,
    Decoding,
    ImageRejected,
    decode_image,
    open_image,
    shown_size,
    stretched,
)


class Photo:
    """A photo that is decoded on demand; `data` is the whole file.

    `width` and `height` are as a viewer shows it, after the EXIF orientation; `format` is what the file really is:
    ``"JPEG"``, ``"PNG"``, … ImageRejected if it is no image of a known format, or has more than `max_pixels`. `remarks`
    holds, once it is decoded, what is worth a word about how it was read.
    """

    def __init__(self, data: bytes, *, max_pixels: int = MAX_PIXELS, decoding: Decoding | None = None):
        self.data: bytes | None = data
        self.decoding = decoding or Decoding()
        self.max_pixels = max_pixels
        self.remarks: set[str] = set()
        if not data:
            raise ImageRejected("the file is empty")
        with open_image(data, self.decoding.page) as image:
            self.format = str(image.format)
            self.width, self.height = shown_size(image, data)
        check_pixels(self.width, self.height, max_pixels)
        self._begin()

    @classmethod
    def of(cls, content: bytes | np.ndarray, max_pixels: int = MAX_PIXELS) -> "Photo":
        """A photo from the bytes of a file or from pixels."""
        if isinstance(content, np.ndarray):
            photo = cls.from_array(content)
            check_pixels(photo.width, photo.height, max_pixels)
            return photo
        return cls(content, max_pixels=max_pixels)

    @classmethod
    def from_array(cls, rgb: np.ndarray) -> "Photo":
        """A photo from pixels: uint8 of shape (height, width, 3), or (height, width) for grey.

        ImageRejected for any other shape or dtype.
        """
        rgb = np.asarray(rgb)
        if rgb.ndim == 2:
            rgb = np.repeat(rgb[:, :, None], 3, axis=2)
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            given = f"an array of {rgb.dtype} with shape {rgb.shape}"
            raise ImageRejected(f"{given}; give uint8 of shape (height, width, 3)")
        photo = cls.__new__(cls)
        photo.data, photo.format, photo.decoding = None, "array", Decoding()
        photo.max_pixels, photo.remarks = MAX_PIXELS, set()
        photo.height, photo.width = rgb.shape[:2]
        photo._begin()
        # Extractors share a photo: what one of them wrote into it, the next would see.
        photo._arrays[1] = rgb.view()
        photo._arrays[1].flags.writeable = False
        return photo

    def _begin(self) -> None:
        """Nothing decoded yet."""
        self._images: dict[int, Image.Image] = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._views: dict[Hashable, Photo] = {}
        self._lock = threading.RLock()

    def decoded_as(self, decoding: Decoding) -> "Photo":
        """The same file, its pixels made as `decoding` says; made once for each."""
        if decoding == self.decoding:
            return self
        with self._lock:
            if decoding not in self._views:
                self._views[decoding] = self._decoded_as(decoding)
            return self._views[decoding]

    def _decoded_as(self, decoding: Decoding) -> "Photo":
        if self.data is None:
            return Photo.from_array(stretched(self.rgb())) if decoding.stretch == 0 else self
        if decoding.page != self.decoding.page:
            photo = Photo(self.data, max_pixels=self.max_pixels, decoding=decoding)
        else:
            photo = copy.copy(self)
            photo.decoding = decoding
            photo._begin()
        photo.remarks = self.remarks
        return photo

    def view(self, key: Hashable, change: Callable[[np.ndarray], np.ndarray]) -> "Photo":
        """The photo whose pixels are what `change` makes of all pixels of this one; made once per `key`."""
        with self._lock:
            if key not in self._views:
                self._views[key] = Photo.from_array(change(self.rgb()))
            return self._views[key]

    def rgb(self, *, shorter: int | None = None, longer: int | None = None) -> np.ndarray:
        """The pixels, uint8 of shape (height, width, 3); ImageRejected if the file is truncated or damaged.

        With `shorter` or `longer`, a JPEG may come at 1/2, 1/4 or 1/8 of its size, which is decoded several times
        faster, as long as its shorter (longer) side keeps at least that many pixels. It is the same array for
        everyone who asks for the same scale, and read-only; copy before writing into it.
        """
        scale = self.scale(shorter=shorter, longer=longer)
        with self._lock:
            if scale not in self._arrays:
                self._arrays[scale] = np.asarray(self._at(scale))
            return self._arrays[scale]

    def image(self, *, shorter: int | None = None, longer: int | None = None) -> Image.Image:
        """The pixels of `rgb` as Pillow's own image, which it resizes without another copy; do not change it."""
        return self._at(self.scale(shorter=shorter, longer=longer))

    def _at(self, scale: int) -> Image.Image:
        with self._lock:
            if scale not in self._images:
                pixels = self._arrays.get(scale)
                self._images[scale] = self._decode(scale) if pixels is None else Image.fromarray(pixels)
            return self._images[scale]

    def _decode(self, scale: int) -> Image.Image:
        assert self.data is not None
        image, remarks = decode_image(self.data, scale, self.decoding)
        self.remarks |= remarks
        return image

    def decoded_by(self, decoder: Callable[[bytes], np.ndarray]) -> np.ndarray:
        """All pixels, uint8 of shape (height, width, 3), as `decoder` reads them from the bytes of the file."""
        assert self.data is not None
        return decoder(self.data)

    def scale(self, *, shorter: int | None = None, longer: int | None = None) -> int:
        """The factor (1, 2, 4 or 8) by which `rgb` shrinks a JPEG while decoding it."""
        if self.format not in ("JPEG", "MPO") or (shorter is None and longer is None):
            return 1
        if self.decoding.stretch == 0:
            return 1  # a smaller one has another darkest and brightest value
        low, high = sorted((self.width, self.height))
        room = min(low // shorter if shorter else 8, high // longer if longer else 8)
        return next(scale for scale in (8, 4, 2, 1) if room >= scale or scale == 1)


def content_digest(content: bytes | np.ndarray) -> str:
    """Who an image is: the SHA-256 of the bytes of its file, or of the shape and the values of its pixels.

    >>> content_digest(np.zeros((2, 3, 3), np.uint8)) == content_digest(np.zeros((3, 2, 3), np.uint8))
    False
    """
    if isinstance(content, np.ndarray):
        digest = hashlib.sha256(repr(content.shape).encode())
        digest.update(content.tobytes())
        return digest.hexdigest()
    return hashlib.sha256(content).hexdigest()


def check_pixels(width: int, height: int, most: int) -> None:
    """ImageRejected for more than `most` pixels."""
    if width * height > most:
        raise ImageRejected(
            f"{width} × {height} are {width * height / 1e6:,.1f} megapixels; at most {most / 1e6:,g} are read "
            "(--max-megapixels)"
        )


def resize(pixels: np.ndarray | Image.Image, width: int, height: int) -> np.ndarray:
    """RGB pixels resampled to exactly width × height: bilinear, with antialiasing when they shrink (Pillow)."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if image.size == (width, height):
        return np.asarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def decode_policy(**limits: int | None) -> dict[str, Any]:
    """What about decoding can change a number, for an extractor's description, which states its own version."""
    return {
        "version": 1,
        "jpeg": "scaled by 1/2, 1/4, 1/8" if any(limits.values()) else "full",
        **{name: value for name, value in limits.items() if value},
        "alpha": "over white",
        "orientation": "EXIF",
    }


def decode_version_of(entry: Mapping[str, Any]) -> int:
    """By which version the photos were decoded behind features that a table or a model describes (`Extractor.record`).

    >>> decode_version_of({"description": {"decode": decode_policy()}})
    1
    """
    # Where nothing is said, the features are of another package's extractor, made before there was a second version.
    policy = (entry.get("description") or {}).get("decode")
    version = policy.get("version", 1) if isinstance(policy, Mapping) else 1
    return version if isinstance(version, int) else 0
