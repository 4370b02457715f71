"""The perceptual hash: 64 bits that stay nearly the same when a photo is resized, compressed or slightly cropped."""

from typing import Any

import numpy as np
from PIL import Image

from featurize.extractors.base import Extractor
from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo, decode_policy

SHORTER = 598  # as Inception v3 decodes, so that a photo is decoded once for both
SIDE, KEPT = 32, 8
FREQUENCY = np.arange(KEPT)[:, None] * (2 * np.arange(SIDE) + 1) * np.pi / (2 * SIDE)
COSINES = np.cos(FREQUENCY)
# Both sides of a median that is 0 but for rounding errors, as in a symmetric image.
DIGITS = 3
UNKNOWN = np.full(4, -1.0)


class PerceptualHash(Extractor):
    """The hash as four numbers of 16 bits, the first bits first; four times -1 for a photo that has none.

    Grey (ITU-R 601 luma) at 32 × 32 pixels (Lanczos), the 8 × 8 lowest frequencies of its cosine transform (DCT-II),
    a bit for each that exceeds their median, row by row: what the package imagehash calls ``phash``. A photo of one
    grey has none.

    Examples
    --------
    >>> rising = np.repeat(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))[:, :, None], 3, axis=2)
    >>> hashes_as_text(PerceptualHash().transform([rising, rising // 2 * 0]))
    ['8000000000000000', None]
    """

    family, version = "phash", 1
    reentrant = True
    value_names = tuple(f"phash_{number}" for number in range(4))

    def settings(self) -> dict[str, Any]:
        return {"side": SIDE, "frequencies": KEPT, "decode": decode_policy(shorter=SHORTER)}

    def prepare(self, photo: Photo) -> np.ndarray:
        try:
            image = self.view(photo).image(shorter=SHORTER)
        except ImageRejected:  # an extractor with a decoder of its own may read it
            return UNKNOWN
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
        if np.ptp(grey) == 0:
            return UNKNOWN
        low = np.round(COSINES @ grey @ COSINES.T, DIGITS)
        return np.packbits(low > np.median(low)).view(">u2").astype(np.float64)


def hashes_as_text(matrix: np.ndarray) -> list[str | None]:
    """The vectors of `PerceptualHash` as 16 hex digits each, None where there is no hash."""
    return [None if vector[0] < 0 else vector.astype(">u2").tobytes().hex() for vector in matrix]
