"""Texture: which small patterns of lighter and darker neighbours occur (local binary patterns)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.extractors.glcm import LONGER_SIDE, grey_image
from featurize.pixels import Photo, decode_policy


class LBP(Extractor):
    """Rotation-invariant uniform local binary patterns, as shares of all pixels.

    For each radius R, every pixel is compared with 8 R neighbours on a circle around it. A uniform pattern has at
    most two changes between lighter and darker along the circle and is named by its number of neighbours that are
    not darker; all others share one bin. So each radius gives 8 R + 2 shares that sum to 1. The photo becomes
    grey with its longer side brought down to 512 pixels, never enlarged; beyond the border its edge is repeated.
    In a constant image no neighbour is darker, and the share of ``uniform08`` (of radius 1) is 1.

    Parameters
    ----------
    radii : sequence of int, default (1, 2, 3)
        In pixels, 1 to 8.
    preprocess : sequence of str, default ()
        Steps that change the photo first; see `featurize.extractors.steps`.
    store : Store or path, optional
        Where `transform` keeps and finds the vectors of files.

    References
    ----------
    Ojala, T., Pietikäinen, M., Mäenpää, T. (2002). Multiresolution Gray-Scale and Rotation Invariant Texture
    Classification with Local Binary Patterns. IEEE Transactions on Pattern Analysis and Machine Intelligence,
    24(7), 971–987. https://doi.org/10.1109/TPAMI.2002.1017623

    Examples
    --------
    >>> patterns = LBP(radii=(1,))
    >>> noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    >>> patterns.transform([noise]).shape, patterns.value_names[-1]
    ((1, 10), 'lbp_r1_other')
    """

    family, version = "lbp", 1

    def __init__(self, radii: Sequence[int] = (1, 2, 3), preprocess: Sequence[str] = (), store: Any = None):
        self.radii = radii
        self.preprocess = preprocess
        self.store = store

    @property
    def value_names(self) -> list[str]:
        return [
            f"lbp_r{radius}_{name}"
            for radius in self.radii
            for name in [*(f"uniform{n:02d}" for n in range(8 * radius + 1)), "other"]
        ]

    def settings(self) -> dict[str, Any]:
        if not self.radii or min(self.radii) < 1 or max(self.radii) > 8:
            raise UsageError(f"LBP radii {list(self.radii)}", "give at least one radius, each 1 to 8 pixels")
        return {
            "radii": [int(radius) for radius in self.radii],
            "points": "8 per pixel of radius",
            "border": "edge repeated",
            "decode": decode_policy(longer=LONGER_SIDE),
            "resize": f"longer side at most {LONGER_SIDE}, bilinear with antialiasing",
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image")

    def prepare(self, photo: Photo) -> np.ndarray:
        from skimage.feature import local_binary_pattern

        grey, shares = grey_image(self.view(photo)), []
        for radius in self.radii:
            # scikit-image takes what lies beyond the border for black; repeat the edge instead.
            wide = np.pad(grey, radius, mode="edge")
            patterns = local_binary_pattern(wide, 8 * radius, radius, method="uniform")
            patterns = patterns[radius:-radius, radius:-radius].astype(np.int64)
            shares.append(np.bincount(patterns.ravel(), minlength=8 * radius + 2) / patterns.size)
        return np.concatenate(shares)

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.stack(prepared).astype(np.float32)
