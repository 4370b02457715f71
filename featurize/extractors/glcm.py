"""Texture: how often grey levels lie side by side (grey-level co-occurrence matrices)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from featurize.errors import UsageError
from featurize.extractors.base import LONGER_SIDE, small_image, small_settings, small_size
from featurize.extractors.regions import CountingExtractor
from featurize.photos.photo import Photo

# -- The 22 co-occurrence statistics: one formula each, with its source ---

# Throughout, p(i, j) is the share of pairs of pixels with the levels i and j. Levels count from 0 (Haralick
# counts from 1, which adds 2 to the sum average and i + j + 1 to each term of the autocorrelation and changes
# nothing else); logarithms are to base 2, so entropies are in bits; matrices are symmetric.

SMALLEST = np.finfo(np.float64).tiny
FLAT = 1e-15  # variances and entropies below this are those of a constant image


class Pairs:
    """Symmetric co-occurrence matrices (levels, levels, n_matrices), and the sums that several formulas share.

    Each matrix sums to 1 (to 0 where the image has no pairs) and equals its transpose. For each of them, `x` says
    how often each level occurs, `plus` each sum i + j and `minus` each difference abs(i - j), from 0; `p` is flat.
    """

    def __init__(self, p: np.ndarray):
        self.levels: int = p.shape[0]
        self.p: np.ndarray = p.reshape(self.levels**2, -1)
        sums = _margins(self.levels) @ self.p
        self.x: np.ndarray = sums[: self.levels]
        self.plus: np.ndarray = sums[self.levels : 3 * self.levels - 1]
        self.minus: np.ndarray = sums[3 * self.levels - 1 :]
        self.level: np.ndarray = np.arange(self.levels, dtype=np.float64)
        self.sum: np.ndarray = np.arange(2 * self.levels - 1, dtype=np.float64)
        # μ and σ² of the levels, the same for i and j
        self.mean: np.ndarray = self.level @ self.x
        self.variance: np.ndarray = (self.x * (self.level[:, None] - self.mean) ** 2).sum(axis=0)
        # i + j − 2μ, and p_{x+y} (i + j − 2μ)², for each sum
        self.off_sum: np.ndarray = self.sum[:, None] - self.sum @ self.plus
        self.spread_sum: np.ndarray = self.plus * self.off_sum**2
        self.variance_sum: np.ndarray = self.spread_sum.sum(axis=0)
        # Σ i j p, by i j = ((i + j)² − (i − j)²) / 4
        self.product: np.ndarray = (self.sum**2 @ self.plus - self.level**2 @ self.minus) / 4
        self.entropy_x: np.ndarray = bits(self.x)
        self.entropy: np.ndarray = bits(self.p)
        # What one level of a pair says about the other, in bits: −Σ p log(p_x p_y) and −ΣΣ p_x p_y log(p_x p_y),
        # Haralick's HXY1 and HXY2, are both HX + HY.
        self.shared_information: np.ndarray = np.maximum(2 * self.entropy_x - self.entropy, 0.0)


def bits(p: np.ndarray) -> np.ndarray:
    """−Σ p log₂ p over the first axis, where 0 log 0 is 0."""
    # The logarithm of anything will do where p is 0; to leave gaps in the loop takes three times as long.
    logarithms = np.maximum(p, SMALLEST)
    return -np.einsum("k...,k...->...", p, np.log2(logarithms, out=logarithms))


@lru_cache(maxsize=4)
def _margins(levels: int):
    """The sparse matrix of 0 and 1 that turns a flat p into p_x, p_{x+y} and p_{|x−y|}."""
    from scipy.sparse import csr_array

    i, j = (index.ravel() for index in np.indices((levels, levels)))
    rows = np.concatenate([i, levels + i + j, 3 * levels - 1 + abs(i - j)])
    columns = np.tile(np.arange(levels**2), 3)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(4 * levels - 1, levels**2))


def _ratio(value: np.ndarray, by: np.ndarray, of_constant: float) -> np.ndarray:
    flat = by < FLAT
    return np.where(flat, of_constant, value / np.where(flat, 1.0, by))


def _difference_variance(m: Pairs) -> np.ndarray:
    return (m.minus * (m.level[:, None] - m.level @ m.minus) ** 2).sum(axis=0)


# H: Haralick, Shanmugam and Dinstein (1973), https://doi.org/10.1109/TSMC.1973.4309314
# S: Soh and Tsatsoulis (1999), https://doi.org/10.1109/36.752194
# C: Clausi (2002), https://doi.org/10.5589/m02-004
# [..] is the value for a constant image of level g.
FORMULAS: dict[str, Callable[[Pairs], np.ndarray]] = {
    "autocorrelation": lambda m: m.product,  # Σ i j p; S. [g²]
    "contrast": lambda m: m.level**2 @ m.minus,  # Σ (i − j)² p; H f2. [0]
    # Σ (i − μ)(j − μ) p / σ²; H f3, as MATLAB and scikit-image write it. [1, as in scikit-image]
    # The covariance follows from Var(i + j) = 2σ² + 2 cov.
    "correlation": lambda m: _ratio(m.variance_sum / 2 - m.variance, m.variance, 1.0),
    # (Σ i j p − μ²) / σ²; H f3 as printed. The same number by another way; kept because the published set of
    # 22 has both. [1]
    "correlation_product": lambda m: _ratio(m.product - m.mean**2, m.variance, 1.0),
    "cluster_prominence": lambda m: (m.spread_sum * m.off_sum**2).sum(axis=0),  # Σ (i + j − 2μ)⁴ p; S. [0]
    "cluster_shade": lambda m: (m.spread_sum * m.off_sum).sum(axis=0),  # Σ (i + j − 2μ)³ p; S. [0]
    "dissimilarity": lambda m: m.level @ m.minus,  # Σ |i − j| p; S. [0]
    # √Σ p²; the root of H f1 (angular second moment), as in scikit-image. [1]
    "energy": lambda m: np.sqrt(np.einsum("km,km->m", m.p, m.p)),
    "entropy": lambda m: m.entropy,  # −Σ p log₂ p; H f9. [0]
    # Σ p / (1 + (i − j)²); H f5 (inverse difference moment). [1]
    "homogeneity": lambda m: (1 / (1 + m.level**2)) @ m.minus,
    # Σ p / (1 + |i − j|); MATLAB's form, C (inverse difference). [1]
    "homogeneity_absolute": lambda m: (1 / (1 + m.level)) @ m.minus,
    # max p; S. [1]
    "maximum_probability": lambda m: m.p.reshape(m.levels, -1).max(axis=0).reshape(m.levels, -1).max(axis=0),
    "sum_of_squares_variance": lambda m: m.variance,  # Σ (i − μ)² p; H f4. [0]
    "sum_average": lambda m: m.sum @ m.plus,  # Σ k p_{x+y}(k); H f6. [2 g]
    # Σ (k − sum average)² p_{x+y}(k); H f7, where the print has the sum entropy for the average. [0]
    "sum_variance": lambda m: m.variance_sum,
    "sum_entropy": lambda m: bits(m.plus),  # −Σ p_{x+y} log₂ p_{x+y}; H f8. [0]
    "difference_variance": _difference_variance,  # Σ (k − Σ k p_{|x−y|})² p_{|x−y|}(k); H f10. [0]
    "difference_entropy": lambda m: bits(m.minus),  # −Σ p_{|x−y|} log₂ p_{|x−y|}; H f11. [0]
    # (HXY − HXY1) / max(HX, HY); H f12. [0]
    "information_correlation_1": lambda m: _ratio(-m.shared_information, m.entropy_x, 0.0),
    # √(1 − exp(−2 (HXY2 − HXY))); H f13, with entropies in bits as in mahotas and pyradiomics. [0]
    "information_correlation_2": lambda m: np.sqrt(-np.expm1(-2 * m.shared_information)),
    # Σ p / (1 + |i − j| / levels); C. [1]
    "inverse_difference_normalised": lambda m: (1 / (1 + m.level / m.levels)) @ m.minus,
    # Σ p / (1 + (i − j)² / levels²); C. [1]
    "inverse_difference_moment_normalised": lambda m: (1 / (1 + (m.level / m.levels) ** 2)) @ m.minus,
}
FIVE = ("contrast", "correlation", "energy", "entropy", "homogeneity")
PROPERTIES = {"five": FIVE, "haralick": tuple(FORMULAS)}
Offset = tuple[int, int]  # rows down and columns to the right
CHANNELS = {"grey": ("",), "rgb": ("red_", "green_", "blue_")}


class GLCM(CountingExtractor):
    """Grey-level co-occurrence texture: five values, or the 22 that texture studies use.

    The photo has its longer side brought down to 512 pixels, never enlarged, and becomes grey (ITU-R 601 luma);
    the 256 levels are cut into `levels` equal ones. Pairs count in both directions, and each matrix is divided
    by its sum. A pair of pixels that would leave the image is not counted. A direction in which an image is too
    small for any pair is left out of averages; with ``average=False`` its matrix is all zeros. The formulas, their
    sources and their values for a constant image stand in `featurize.extractors.glcm.FORMULAS`.

    Parameters
    ----------
    properties : {"five", "haralick"}, default "five"
        ``"five"``: contrast, correlation, energy, entropy and homogeneity, the five that skin-texture studies
        share. ``"haralick"`` (spec ``glcm:haralick``): all 22.
    levels : int, default 32
        Grey levels, 2 to 256.
    distances : sequence of int, default (1,)
        Distances between the two pixels of a pair: the larger of rows and columns, as Haralick counts, so that 45
        degrees at distance 2 is 2 pixels to the right and 2 up.
    angles : sequence of float, default (0, 45, 90, 135)
        Directions of the pairs in degrees; 0 is right, 90 is up, 45 between them.
    average : bool, default True
        True gives each property averaged over distances and angles (hardly changed by turning the photo);
        False gives one value per property, distance and angle.
    channels : {"grey", "rgb"}, default "grey"
        ``"rgb"`` does the same for the red, the green and the blue values, side by side.
    preprocess, store, region
        As in `CountingExtractor`.

    References
    ----------
    Haralick, R. M., Shanmugam, K., Dinstein, I. (1973). Textural Features for Image Classification. IEEE
    Transactions on Systems, Man, and Cybernetics, SMC-3(6), 610–621. https://doi.org/10.1109/TSMC.1973.4309314

    Examples
    --------
    >>> stripes = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> stripes[:, ::2] = 255
    >>> texture = GLCM(levels=2, angles=(0, 90), average=False)
    >>> dict(zip(texture.value_names, texture.transform([stripes])[0].tolist()))["glcm_contrast_d1_a000"]
    1.0
    """

    family = "glcm"

    def __init__(
        self,
        properties: str = "five",
        levels: int = 32,
        distances: Sequence[int] = (1,),
        angles: Sequence[float] = (0, 45, 90, 135),
        average: bool = True,
        channels: str = "grey",
        preprocess: Sequence[str] = (),
        store: Any = None,
        region: str | None = None,
    ):
        super().__init__(preprocess, store, region)
        self.properties = properties
        self.levels = levels
        self.distances = distances
        self.angles = angles
        self.average = average
        self.channels = channels

    @property
    def option(self) -> str | None:
        return None if self.properties == "five" else self.properties

    @property
    def version(self) -> int:  # type: ignore[override]
        """2 for settings whose values never changed, else 3.

        Version 2 had 45 and 135 degrees the wrong way round and measured distances along diagonals, and empty
        directions counted as zeros in averages; photos of decode version 1 go on with it. Over the four directions at
        distance 1, averages come out the same.
        """
        return self.version_by(self.decode_version)

    def version_by(self, decode_version: int) -> int:
        self.settings()  # which refuses what is no distance or angle
        return 2 if decode_version == 1 or self._as_before() else 3

    def _as_before(self) -> bool:
        if not self.average or any(distance > 1 for distance in self.distances):
            return False
        former, now = (
            sorted(max(offset, (-offset[0], -offset[1])) for offset in offsets)
            for offsets in (self._former_offsets(), self._haralick_offsets())
        )
        return former == now

    def _offsets(self) -> list[Offset]:
        # Equal pairs are added up in the order of version 2: the same average to the last bit.
        return self._former_offsets() if self.version == 2 else self._haralick_offsets()

    def _haralick_offsets(self) -> list[Offset]:
        return [haralick_offset(distance, angle) for distance in self.distances for angle in self.angles]

    def _former_offsets(self) -> list[Offset]:
        turns = np.deg2rad(self.angles)
        return [
            (round(np.sin(turn) * distance), round(np.cos(turn) * distance))
            for distance in self.distances
            for turn in turns
        ]

    @property
    def value_names(self) -> list[str]:
        names = [f"glcm_{channel}{name}" for channel in self._channels() for name in self._formulas()]
        if self.average:
            return self.in_region(names)
        offsets = [f"d{distance}_a{angle:03g}" for distance in self.distances for angle in self.angles]
        return self.in_region(f"{name}_{offset}" for name in names for offset in offsets)

    def settings(self) -> dict[str, Any]:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"GLCM levels is {self.levels}", "give 2 to 256 grey levels")
        usable = len(self.distances) and min(self.distances) >= 1 and len(self.angles)
        if not usable or not np.isfinite(self.angles).all():
            raise UsageError(
                f"GLCM distances {list(self.distances)}, angles {list(self.angles)}",
                "give at least one distance of 1 pixel or more, and one angle in degrees",
            )
        self._channels()  # refuses one that there is not
        return {
            "levels": int(self.levels),
            "distances": [int(distance) for distance in self.distances],
            "angles": [float(angle) for angle in self.angles],
            "average": bool(self.average),
            "properties": list(self._formulas()),
            "channels": self.channels,
            **small_settings(),
            **self.region_settings(),
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image")

    def prepare(self, photo: Photo) -> np.ndarray:
        photo, formulas, offsets = self.view(photo), self._formulas(), self._offsets()
        planes = [grey_image(photo)] if self.channels == "grey" else np.moveaxis(small_image(photo), 2, 0)
        values = []
        for plane in planes:
            quantised = (plane.astype(np.uint16) * self.levels // 256).astype(np.uint8)
            shares = co_occurrences(quantised, self.levels, offsets, self.seen(*plane.shape))
            if self.average and self.decode_version > 1:
                filled = shares.any(axis=(0, 1))
                shares = shares[:, :, filled] if filled.any() else shares
            pairs = Pairs(shares)
            values.append(np.stack([FORMULAS[name](pairs) for name in formulas]))
        block = np.concatenate(values)
        return block.mean(axis=1) if self.average else block.ravel()

    def _formulas(self) -> tuple[str, ...]:
        if self.properties not in PROPERTIES:
            raise UsageError(f"GLCM properties {self.properties!r}", f"choose {' or '.join(PROPERTIES)}")
        return PROPERTIES[self.properties]

    def _channels(self) -> tuple[str, ...]:
        if self.channels not in CHANNELS:
            raise UsageError(f"GLCM channels {self.channels!r}", f"choose {' or '.join(CHANNELS)}")
        return CHANNELS[self.channels]


def haralick_offset(distance: int, angle: float) -> Offset:
    """Rows and columns from one pixel of a pair to the other, as Haralick counts them; rows go down.

    >>> [haralick_offset(2, angle) for angle in (0, 45, 90, 135)]
    [(0, 2), (-2, 2), (-2, 0), (-2, -2)]
    """
    up, right = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    scale = distance / max(abs(up), abs(right))
    return -round(up * scale), round(right * scale)


def co_occurrences(
    image: np.ndarray, levels: int, offsets: Sequence[Offset], seen: np.ndarray | None = None
) -> np.ndarray:
    """How often each two levels lie side by side, as shares; shape (levels, levels, n_offsets), float64.

    What scikit-image gives for ``symmetric=True, normed=True``, to the bit, and quicker. Pairs with a pixel that is not
    `seen` do not count: such pixels have a level of their own, which is cut off.
    """
    from skimage.feature import graycomatrix

    down, right = np.array(offsets).T
    lengths, turns = np.hypot(down, right), np.arctan2(down, right)
    n_levels = levels
    if seen is not None:
        image, n_levels = np.where(seen, image, np.uint16(levels)), levels + 1
    counts = np.empty((levels, levels, len(offsets)), dtype=np.uint32)
    for length in np.unique(lengths):
        alike = lengths == length
        counts[:, :, alike] = graycomatrix(image, [length], turns[alike], n_levels)[:levels, :levels, 0]
    counts = counts + counts.transpose(1, 0, 2)
    total = counts.reshape(levels, -1).sum(axis=0, dtype=np.uint32).reshape(levels, -1).sum(axis=0)
    return counts / np.maximum(total, 1)


def grey_image(photo: Photo) -> np.ndarray:
    """The photo in grey, uint8 of shape (height, width), its longer side at most 512 pixels."""
    grey = photo.image(longer=LONGER_SIDE).convert("L")
    if grey.size != small_size(photo):
        grey = grey.resize(small_size(photo), Image.Resampling.BILINEAR)
    return np.asarray(grey)
