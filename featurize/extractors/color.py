"""Colour moments and an HSV histogram of the whole photo."""

from typing import Any

import numpy as np
from PIL import Image

from featurize.extractors.base import small_image, small_settings
from featurize.extractors.regions import CountingExtractor, pick
from featurize.photos.photo import Photo

HUES, SATURATIONS, VALUES = 8, 3, 3
FIRST_ORDER = ("mean", "sd", "skewness", "kurtosis", "energy", "entropy")


class Color(CountingExtractor):
    """Colour moments, first-order statistics of the grey levels, and a histogram of hue, saturation and value.

    - Moments (9): mean, standard deviation and the cube root of the third central moment of red, green and blue,
      all in levels of 0 to 255.
    - First-order statistics (6) of the luma: mean and standard deviation in levels; skewness and excess kurtosis
      (both 0 for a constant image); energy Σ h² and entropy −Σ h log₂ h in bits of its 256-bin histogram h.
    - HSV histogram (72): shares of the pixels in 8 hues × 3 saturations × 3 values of equal width (Pillow's HSV,
      where grey has the hue of red).

    The longer side is brought down to 512 pixels first, never enlarged.

    Parameters
    ----------
    preprocess, store, region
        As in `CountingExtractor`.

    References
    ----------
    Stricker, M., Orengo, M. (1995). Similarity of Color Images. Proc. SPIE 2420, 381–392.
    https://doi.org/10.1117/12.205308

    Examples
    --------
    >>> red = np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8)
    >>> dict(zip(Color().value_names, Color().transform([red])[0].tolist()))["color_hue0_saturation2_value2"]
    1.0
    """

    family, version = "color", 1

    @property
    def value_names(self) -> list[str]:
        moments = [f"{c}_{m}" for c in ("red", "green", "blue") for m in ("mean", "sd", "skew")]
        bins = np.ndindex(HUES, SATURATIONS, VALUES)
        histogram = [f"hue{h}_saturation{s}_value{v}" for h, s, v in bins]
        names = [*moments, *(f"grey_{n}" for n in FIRST_ORDER), *histogram]
        return self.in_region(f"color_{name}" for name in names)

    def settings(self) -> dict[str, Any]:
        return {
            "histogram": [HUES, SATURATIONS, VALUES],
            **small_settings(),
            **self.region_settings(),
        }

    def prepare(self, photo: Photo) -> np.ndarray:
        rgb = small_image(self.view(photo))
        image = Image.fromarray(rgb)
        grey, seen = np.asarray(image.convert("L")), self.seen(image.height, image.width)
        return np.concatenate(
            [color_moments(pick(rgb, seen)), first_order(pick(grey, seen)), _histogram(image, seen)]
        )


def color_moments(rgb: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and the cube root of the third central moment of each channel, shape (9,)."""
    values = []
    for channel in range(3):
        mean, variance, third, _ = _central_moments(_shares(rgb[..., channel]))
        values += [mean, np.sqrt(variance), np.cbrt(third)]
    return np.array(values)


def first_order(grey: np.ndarray) -> np.ndarray:
    """The first-order statistics of grey levels, in the order of `FIRST_ORDER`."""
    share = _shares(grey)
    mean, variance, third, fourth = _central_moments(share)
    flat = variance < 1e-12
    skewness, kurtosis = (0.0, 0.0) if flat else (third / variance**1.5, fourth / variance**2 - 3)
    present = share[share > 0]
    entropy = -(present @ np.log2(present))
    return np.array([mean, np.sqrt(variance), skewness, kurtosis, share @ share, entropy])


def _shares(values: np.ndarray) -> np.ndarray:
    """How often each of the 256 levels occurs."""
    return np.bincount(values.ravel(), minlength=256) / max(values.size, 1)


def _central_moments(share: np.ndarray) -> tuple[float, float, float, float]:
    level = np.arange(256.0)
    mean = share @ level
    second, third, fourth = (share @ (level - mean) ** power for power in (2, 3, 4))
    return mean, second, third, fourth


def _histogram(image: Image.Image, seen: np.ndarray | None) -> np.ndarray:
    counts = (HUES, SATURATIONS, VALUES)
    hsv = np.asarray(image.convert("HSV")).astype(np.uint16) * np.array(counts, np.uint16) // 256
    bins = pick(np.ravel_multi_index(tuple(np.moveaxis(hsv, 2, 0)), counts), seen)
    return np.bincount(bins.ravel(), minlength=HUES * SATURATIONS * VALUES) / max(bins.size, 1)
