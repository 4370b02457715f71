"""Distorted copies of photos for training: mirrored, seen from nearer and off centre, lighter or darker."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from featurize.errors import UsageError
from featurize.photos.decode import Decoding
from featurize.photos.photo import Photo

VERSION = 1


@dataclass(frozen=True)
class Distortion:
    """The four distortions of TensorFlow's ``retrain.py``, in `copies` random variants of each photo.

    1. The photo is enlarged by (1 + `random_crop` / 100) × a factor drawn evenly from 1 to 1 + `random_scale` /
       100, and a window of its former size is cut out at a place drawn evenly, in one bilinear resampling.
    2. With `flip_left_right` it is mirrored with probability ½.
    3. Pixel values are multiplied by a factor drawn evenly from 1 − `random_brightness` / 100 to 1 +
       `random_brightness` / 100, rounded, and **clipped to 0–255** (``retrain.py`` fed the network larger values).

    What is drawn depends on the content of the photo, the distortion, `seed` and the number of the copy alone:
    identical files have identical copies, everywhere.

    Parameters
    ----------
    copies : int
        Distorted copies of each photo, 1 to 1000.
    flip_left_right : bool, default False
    random_crop, random_scale, random_brightness : float, default 0
        Percentages, 0 to 100.
    seed : int, default 0
        Another seed draws other copies.

    Raises
    ------
    UsageError
        If a number is out of its range, or nothing would be distorted.

    Examples
    --------
    >>> distortion = Distortion(copies=2, flip_left_right=True, random_crop=10)
    >>> [variant.bit_length() <= 63 for variant in distortion.variants]
    [True, True]
    """

    copies: int
    flip_left_right: bool = False
    random_crop: float = 0
    random_scale: float = 0
    random_brightness: float = 0
    seed: int = 0

    def __post_init__(self):
        if not 1 <= self.copies <= 1000 or self.seed < 0:
            problem = f"{self.copies} distorted copies with seed {self.seed}"
            raise UsageError(problem, "give 1 to 1000 copies, a seed from 0")
        percent = {name: getattr(self, name) for name in ("random_crop", "random_scale", "random_brightness")}
        for name, value in percent.items():
            if not 0 <= value <= 100:
                raise UsageError(f"{name} is {value}", "give a percentage, 0 to 100")
        if not self.flip_left_right and not any(percent.values()):
            hint = "choose flip_left_right, random_crop, random_scale or random_brightness"
            raise UsageError(f"{self.copies} distorted copies, and no distortion", hint)

    @cached_property
    def variants(self) -> tuple[int, ...]:
        """The keys of the copies in tables and stores: 63 bits of the digest of settings, seed and number."""
        return tuple(self._variant(number) for number in range(self.copies))

    def record(self) -> dict[str, Any]:
        """What a table keeps, as plain JSON values: the settings, and the keys of the copies."""
        return {**self._settings(), "seed": int(self.seed), "variants": list(self.variants)}

    def _settings(self) -> dict[str, Any]:
        kept = {k: float(v) for k, v in asdict(self).items() if k.startswith("random_")}
        return {"version": VERSION, "flip_left_right": bool(self.flip_left_right), **kept}

    def _variant(self, number: int) -> int:
        named = {**self._settings(), "seed": int(self.seed), "index": number}
        text = json.dumps(named, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def distort(self, rgb: np.ndarray, variant: int, sha256: str) -> np.ndarray:
        """The copy `variant` of a photo, uint8 of the same shape (height, width, 3); `sha256` is its file's, in hex."""
        flip, enlarge, down, across, lighten = _draw(variant, sha256, 5)
        image = Image.fromarray(rgb)
        factor = (1 + self.random_crop / 100) * (1 + enlarge * self.random_scale / 100)
        if factor > 1:
            width, height = image.width / factor, image.height / factor
            left, top = across * (image.width - width), down * (image.height - height)
            box = (left, top, min(left + width, image.width), min(top + height, image.height))
            image = image.resize(image.size, Image.Resampling.BILINEAR, box=box)
        if self.flip_left_right and flip < 0.5:
            image = ImageOps.mirror(image)
        if self.random_brightness:
            gain = 1 + (2 * lighten - 1) * self.random_brightness / 100
            image = image.point(np.rint(np.arange(256) * gain).clip(0, 255).astype(int).tolist() * 3)
        return np.asarray(image)


class DistortedPhoto(Photo):
    """The copy `variant` of `photo`: the same file, other pixels, decoded at the same scales."""

    def __init__(self, photo: Photo, distortion: Distortion, variant: int, sha256: str):
        self.data, self.format, self.decoding = photo.data, photo.format, photo.decoding
        self.max_pixels, self.remarks = photo.max_pixels, photo.remarks
        self.width, self.height = photo.width, photo.height
        self._begin()
        self._photo, self._distortion, self._variant, self._sha256 = photo, distortion, variant, sha256

    def _decoded_as(self, decoding: Decoding) -> Photo:
        photo = self._photo.decoded_as(decoding)
        return DistortedPhoto(photo, self._distortion, self._variant, self._sha256)

    def _decode(self, scale: int) -> Image.Image:
        pixels = np.asarray(self._photo._at(scale))
        return Image.fromarray(self._distortion.distort(pixels, self._variant, self._sha256))

    def decoded_by(self, decoder: Callable[[bytes], np.ndarray]) -> np.ndarray:
        """The pixels that `decoder` reads from the photo's file, distorted as those of `rgb` are."""
        return self._distortion.distort(self._photo.decoded_by(decoder), self._variant, self._sha256)


def _draw(variant: int, sha256: str, count: int) -> list[float]:
    """Numbers from 0 up to 1, the same on every machine and with every library."""
    digest = hashlib.sha256(variant.to_bytes(8, "big") + bytes.fromhex(sha256)).digest()
    return [int.from_bytes(digest[6 * i : 6 * i + 6], "big") / 2**48 for i in range(count)]
