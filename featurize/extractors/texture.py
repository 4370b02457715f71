"""Texture and colour as strong as they get without a network: six classical descriptions in one vector."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from featurize.errors import UsageError
from featurize.extractors.base import small_image, small_settings
from featurize.extractors.color import FIRST_ORDER, color_moments, first_order
from featurize.extractors.glcm import CHANNELS, FORMULAS, Pairs, co_occurrences, haralick_offset
from featurize.extractors.regions import CountingExtractor, pick, seen_around
from featurize.photos.photo import Photo

LONGER = 256
LEVELS, DISTANCES, ANGLES = 32, (1, 2, 4, 8), (0, 45, 90, 135)
# f1 to f13 of Haralick, Shanmugam and Dinstein (1973).
HARALICK = (
    "energy", "contrast", "correlation", "sum_of_squares_variance", "homogeneity", "sum_average", "sum_variance",
    "sum_entropy", "entropy", "difference_variance", "difference_entropy",
    "information_correlation_1", "information_correlation_2",
)  # fmt: skip
RADII = (1, 2, 4)
RING = (
    (0, 1),
    (-1, 1),
    (-1, 0),
    (-1, -1),
    (0, -1),
    (1, -1),
    (1, 0),
    (1, 1),
)  # rows down, columns to the right
WINDOWS, CODES = (3, 7), 256
NO_SIGN = 1e-2  # grey levels; what rounding leaves of the response to a constant image
HUES, SATURATIONS, VALUES = 12, 4, 4
HOG_SIDE, CELLS, ORIENTATIONS = 128, 4, 9


class Texture(CountingExtractor):
    """The strong classical description of a photo, to compare a network with: texture, colour and edges.

    The photo has its longer side brought down to 256 pixels, never enlarged. Side by side:

    - **Co-occurrence** (312): of red, green and blue, Haralick's 13 statistics at distances 1, 2, 4 and 8 over 32
      levels, each as mean and range over the four directions, as he proposed [1]_.
    - **Local binary patterns** (90): of luma and the two chroma planes (ITU-R 601), every pixel against its 8
      neighbours 1, 2 and 4 pixels away; rotation-invariant uniform patterns [2]_.
    - **Local phase quantisation** (512): the signs of the lowest four frequencies in windows of 3 and 7 pixels, one
      code of 256 per pixel of the luma [3]_.
    - **Colour** (399): moments of red, green and blue and first-order statistics of the luma, as in `Color`; a joint
      histogram of hue, saturation and value (12 × 4 × 4) of the photo, and one of its middle half in each direction.
    - **Oriented gradients** (144): of the luma as a square of 128 pixels, 9 orientations in 4 × 4 cells [4]_.

    Histograms hold the square roots of shares, so that all numbers can be scaled alike. Turning the photo by 90 degrees
    changes phase quantisation and gradients alone. ``featurize/README.md`` says what was measured and left out.

    Parameters
    ----------
    channels : {"rgb", "grey"}, default "rgb"
        ``"grey"`` (spec ``texture:grey``) is texture without colour, 790 numbers of the luma.
    preprocess, store, region
        As in `CountingExtractor`.

    References
    ----------
    .. [1] Haralick, R. M., Shanmugam, K., Dinstein, I. (1973). Textural Features for Image Classification. IEEE
       Transactions on Systems, Man, and Cybernetics, SMC-3(6), 610–621. https://doi.org/10.1109/TSMC.1973.4309314
    .. [2] Ojala, T., Pietikäinen, M., Mäenpää, T. (2002). Multiresolution Gray-Scale and Rotation Invariant Texture
       Classification with Local Binary Patterns. IEEE Transactions on Pattern Analysis and Machine Intelligence,
       24(7), 971–987. https://doi.org/10.1109/TPAMI.2002.1017623
    .. [3] Ojansivu, V., Heikkilä, J. (2008). Blur Insensitive Texture Classification Using Local Phase Quantization.
       Image and Signal Processing, 236–243. https://doi.org/10.1007/978-3-540-69905-7_27
    .. [4] Dalal, N., Triggs, B. (2005). Histograms of Oriented Gradients for Human Detection. CVPR, 886–893.
       https://doi.org/10.1109/CVPR.2005.177

    Examples
    --------
    >>> red = np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8)
    >>> texture = Texture()
    >>> values = dict(zip(texture.value_names, texture.transform([red])[0].tolist()))
    >>> len(values), values["texture_red_mean"], values["texture_hsv_hue00_saturation3_value3"]
    (1457, 255.0, 1.0)
    """

    family, version = "texture", 1

    def __init__(
        self,
        channels: str = "rgb",
        preprocess: Sequence[str] = (),
        store: Any = None,
        region: str | None = None,
    ):
        super().__init__(preprocess, store, region)
        self.channels = channels

    @property
    def option(self) -> str | None:
        return None if self.channels == "rgb" else self.channels

    @property
    def value_names(self) -> list[str]:
        colour = self._has_colour()
        names = [
            f"{channel}{name}_d{distance}_{what}"
            for channel in CHANNELS[self.channels]
            for name in HARALICK
            for distance in DISTANCES
            for what in ("mean", "range")
        ]
        patterns = [*(f"uniform{n}" for n in range(len(RING) + 1)), "other"]
        planes = ("luma", "chroma_blue", "chroma_red") if colour else ("luma",)
        names += [f"lbp_{plane}_r{radius}_{one}" for plane in planes for radius in RADII for one in patterns]
        names += [f"lpq{window}_code{code:03d}" for window in WINDOWS for code in range(CODES)]
        if colour:
            names += [f"{c}_{m}" for c in ("red", "green", "blue") for m in ("mean", "sd", "skew")]
            names += [f"grey_{name}" for name in FIRST_ORDER]
            bins = list(np.ndindex(HUES, SATURATIONS, VALUES))
            names += [
                f"{where}_hue{h:02d}_saturation{s}_value{v}"
                for where in ("hsv", "centre")
                for h, s, v in bins
            ]
        cells = np.ndindex(CELLS, CELLS, ORIENTATIONS)
        names += [f"hog_row{y}_column{x}_angle{20 * o + 10:03d}" for y, x, o in cells]
        return self.in_region(f"texture_{name}" for name in names)

    def settings(self) -> dict[str, Any]:
        self._has_colour()  # refuses channels that there are not
        return {
            "channels": self.channels,
            "co-occurrence": {"levels": LEVELS, "distances": list(DISTANCES), "angles": list(ANGLES)},
            "patterns": {"radii": list(RADII), "points": len(RING), "border": "edge repeated"},
            "phase": {"windows": list(WINDOWS), "border": "reflected"},
            "histogram": [HUES, SATURATIONS, VALUES],
            "gradients": {"side": HOG_SIDE, "cells": CELLS, "orientations": ORIENTATIONS},
            **small_settings(LONGER),
            **self.region_settings(),
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image", "scipy")

    def prepare(self, photo: Photo) -> np.ndarray:
        rgb = small_image(self.view(photo), LONGER)
        image = Image.fromarray(rgb)
        grey = np.asarray(image.convert("L"))
        colour, seen = self._has_colour(), self.seen(*grey.shape)
        planes = np.moveaxis(rgb, 2, 0) if colour else [grey]
        values = [co_occurrence_statistics(plane, seen) for plane in planes]
        for plane in np.moveaxis(np.asarray(image.convert("YCbCr")), 2, 0) if colour else [grey]:
            values += [np.sqrt(ring_patterns(plane, radius, seen)) for radius in RADII]
        values += [np.sqrt(phase_codes(grey, window, seen)) for window in WINDOWS]
        if colour:
            values += [color_moments(pick(rgb, seen)), first_order(pick(grey, seen))]
            values += [np.sqrt(one) for one in hsv_histograms(image, seen)]
        values.append(np.sqrt(oriented_gradients(image, seen)))
        return np.concatenate(values)

    def _has_colour(self) -> bool:
        if self.channels not in CHANNELS:
            raise UsageError(f"texture channels {self.channels!r}", f"choose {' or '.join(CHANNELS)}")
        return self.channels == "rgb"


def co_occurrence_statistics(plane: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Mean and range over the directions that have pairs, of each statistic and distance; 0 where none has."""
    quantised = (plane.astype(np.uint16) * LEVELS // 256).astype(np.uint8)
    offsets = [haralick_offset(distance, angle) for distance in DISTANCES for angle in ANGLES]
    shares = co_occurrences(quantised, LEVELS, offsets, seen)
    filled = shares.any(axis=(0, 1)).reshape(len(DISTANCES), len(ANGLES))
    pairs = Pairs(shares)
    values = np.stack([FORMULAS[name](pairs) for name in HARALICK]).reshape(-1, *filled.shape)
    mean = np.where(filled, values, 0).sum(axis=2) / np.maximum(filled.sum(axis=1), 1)
    highest = np.where(filled, values, -np.inf).max(axis=2)
    lowest = np.where(filled, values, np.inf).min(axis=2)
    spread = np.where(filled.any(axis=1), highest - lowest, 0)
    return np.stack([mean, spread], axis=2).ravel()


def _uniform_classes() -> np.ndarray:
    """For each code of 8 bits around a ring: its number of ones if it changes at most twice, else 9."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9)


UNIFORM = _uniform_classes()


def ring_patterns(plane: np.ndarray, radius: int, seen: np.ndarray | None = None) -> np.ndarray:
    """Shares of the rotation-invariant uniform patterns of 8 neighbours, `radius` rows or columns away; shape (10,)."""
    height, width = plane.shape
    wide = np.pad(plane, radius, mode="edge")
    codes = np.zeros(plane.shape, np.uint8)
    for bit, (down, right) in enumerate(RING):
        top, left = radius * (1 + down), radius * (1 + right)
        not_darker = wide[top : top + height, left : left + width] >= plane
        codes |= not_darker.view(np.uint8) << np.uint8(bit)
    counts = np.bincount(UNIFORM, _code_counts(codes, seen, radius), minlength=10)
    return counts / max(counts.sum(), 1)


def _code_counts(codes: np.ndarray, seen: np.ndarray | None, radius: int) -> np.ndarray:
    """How many pixels have each code of 256, but for those with a covered pixel in the square of `radius` around."""
    return np.bincount(pick(codes, seen_around(seen, radius)).ravel(), minlength=256)


def phase_codes(grey: np.ndarray, window: int, seen: np.ndarray | None = None) -> np.ndarray:
    """Shares of the 256 codes of local phase quantisation, without decorrelation.

    The frequencies are (1, 0), (0, 1), (1, 1) and (1, -1) divided by `window`, of columns and rows; bit 2k says whether
    the real part of the k-th response is above 0, bit 2k + 1 the imaginary part.
    """
    from scipy.ndimage import correlate1d

    def along(axis: int, image: np.ndarray, taps: np.ndarray) -> np.ndarray:
        return correlate1d(image, taps, axis, mode="reflect")

    angle = 2 * np.pi * (np.arange(window) - window // 2) / window
    flat, cosine, sine = np.ones(window), np.cos(angle), np.sin(angle)
    rows_flat, rows_cosine, rows_sine = (
        along(1, grey.astype(np.float64), taps) for taps in (flat, cosine, sine)
    )
    both_cosine, both_sine = along(0, rows_cosine, cosine), along(0, rows_sine, sine)
    sine_cosine, cosine_sine = along(0, rows_sine, cosine), along(0, rows_cosine, sine)
    responses = (
        along(0, rows_cosine, flat), along(0, rows_sine, flat),
        along(0, rows_flat, cosine), along(0, rows_flat, sine),
        both_cosine - both_sine, sine_cosine + cosine_sine,
        both_cosine + both_sine, sine_cosine - cosine_sine,
    )  # fmt: skip
    codes = np.zeros(grey.shape, np.uint8)
    for bit, response in enumerate(responses):
        codes |= (response > NO_SIGN).view(np.uint8) << np.uint8(bit)
    counts = _code_counts(codes, seen, window // 2)
    return counts / max(counts.sum(), 1)


def hsv_histograms(image: Image.Image, seen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the joint bins of hue, saturation and value (Pillow's): of the photo, and of its middle."""
    counts = (HUES, SATURATIONS, VALUES)
    hsv = np.asarray(image.convert("HSV")).astype(np.uint16) * np.array(counts, np.uint16) // 256
    bins = np.ravel_multi_index(tuple(np.moveaxis(hsv, 2, 0)), counts)
    down, right = (side // 4 for side in bins.shape)
    middle = np.s_[down : bins.shape[0] - down, right : bins.shape[1] - right]
    parts = pick(bins, seen), pick(bins[middle], None if seen is None else seen[middle])
    whole, centre = (np.bincount(one.ravel(), minlength=np.prod(counts)) / max(one.size, 1) for one in parts)
    return whole, centre


def oriented_gradients(image: Image.Image, seen: np.ndarray | None = None) -> np.ndarray:
    """Histograms of oriented gradients in a grid of cells over the whole photo, each of length 1 (L2-Hys)."""
    from skimage.feature import hog

    square = np.asarray(image.convert("L").resize((HOG_SIDE, HOG_SIDE), Image.Resampling.BILINEAR))
    side = HOG_SIDE // CELLS
    if seen is None:
        return hog(square, ORIENTATIONS, (side, side), (1, 1))
    return _gradients_in_sight(square, seen)


def _gradients_in_sight(square: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """What scikit-image's `hog` gives, where gradients that a covered pixel has a part in do not count."""
    covered = np.asarray(
        Image.fromarray((~seen).astype(np.float32)).resize(square.shape, Image.Resampling.BILINEAR)
    )
    counted = seen_around(covered == 0, 1)
    down, right = np.zeros((2, *square.shape))
    grey = square.astype(np.float64)
    down[1:-1], right[:, 1:-1] = grey[2:] - grey[:-2], grey[:, 2:] - grey[:, :-2]
    turn = (np.rad2deg(np.arctan2(down, right)) % 180 // (180 / ORIENTATIONS)).astype(np.intp)
    y, x = np.indices(square.shape) * CELLS // HOG_SIDE
    bins = np.ravel_multi_index((y, x, turn), (CELLS, CELLS, ORIENTATIONS), mode="clip")
    sums = np.bincount(bins.ravel(), (np.hypot(down, right) * counted).ravel(), CELLS * CELLS * ORIENTATIONS)
    cells = sums.reshape(-1, ORIENTATIONS) / (HOG_SIDE // CELLS) ** 2
    for highest in (0.2, 1.0):  # L2-Hys: to length 1, cut, and to length 1 again
        cells = np.minimum(cells / np.sqrt((cells**2).sum(axis=1, keepdims=True) + 1e-10), highest)
    return cells.ravel()
