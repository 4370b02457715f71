"""Texture: how often grey levels lie side by side (grey-level co-occurrence matrices)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.pixels import Photo, decode_policy

LONGER_SIDE = 512

# Each takes the normalised matrices p of shape (levels, levels, n_distances, n_angles), and the level numbers
# i (rows) and j (columns) as arrays that broadcast with them, counted from 0; logarithms are to base 2.
PROPERTIES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {}


def _property(formula: Callable) -> Callable:
    PROPERTIES[formula.__name__] = formula
    return formula


@_property
def contrast(p, i, j):
    """Σ p (i − j)²; 0 for a constant image."""
    return _total(p * (i - j) ** 2)


@_property
def correlation(p, i, j):
    """Σ p (i − μ_i)(j − μ_j) / (σ_i σ_j); 1 for a constant image, as scikit-image has it."""
    off_i, off_j = i - _total(p * i), j - _total(p * j)
    spread = np.sqrt(_total(p * off_i**2) * _total(p * off_j**2))
    covariance = _total(p * off_i * off_j)
    return np.where(spread < 1e-15, 1.0, covariance / np.where(spread < 1e-15, 1.0, spread))


@_property
def energy(p, i, j):
    """√Σ p²; 1 for a constant image."""
    return np.sqrt(_total(p**2))


@_property
def entropy(p, i, j):
    """−Σ p log₂ p in bits; 0 for a constant image."""
    return -_total(p * np.log2(np.where(p > 0, p, 1.0)))


@_property
def homogeneity(p, i, j):
    """Σ p / (1 + (i − j)²); 1 for a constant image."""
    return _total(p / (1.0 + (i - j) ** 2))


def _total(values: np.ndarray) -> np.ndarray:
    return values.sum(axis=(0, 1))


class GLCM(Extractor):
    """Grey-level co-occurrence texture: contrast, correlation, energy, entropy, homogeneity.

    The photo becomes grey (ITU-R 601 luma) with its longer side brought down to 512 pixels, never enlarged;
    the 256 levels are cut into `levels` equal ones. Pairs count in both directions, and each matrix is divided
    by its sum. A pair of pixels that would leave the image is not counted.

    Parameters
    ----------
    levels : int, default 32
        Grey levels, 2 to 256.
    distances : sequence of int, default (1,)
        Distances between the two pixels of a pair, in pixels.
    angles : sequence of float, default (0, 45, 90, 135)
        Directions of the pairs in degrees; 0 is right, 90 is up.
    average : bool, default True
        True gives each property averaged over distances and angles (hardly changed by turning the photo);
        False gives one value per property, distance and angle.
    store : Store or path, optional
        Where `transform` keeps and finds the vectors of files.

    References
    ----------
    Haralick, R. M., Shanmugam, K., Dinstein, I. (1973). Textural Features for Image Classification. IEEE
    Transactions on Systems, Man, and Cybernetics, SMC-3(6), 610–621. https://doi.org/10.1109/TSMC.1973.4309314

    Examples
    --------
    >>> stripes = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> stripes[:, ::2] = 255
    >>> texture = GLCM(levels=2, angles=(0, 90), average=False)
    >>> for name, value in zip(texture.get_feature_names_out(), texture.transform([stripes])[0]):
    ...     print(f"{name:25} {value:5.2f}")
    glcm_contrast_d1_a000      1.00
    glcm_contrast_d1_a090      0.00
    glcm_correlation_d1_a000  -1.00
    glcm_correlation_d1_a090   1.00
    glcm_energy_d1_a000        0.71
    glcm_energy_d1_a090        0.71
    glcm_entropy_d1_a000       1.00
    glcm_entropy_d1_a090       1.00
    glcm_homogeneity_d1_a000   0.50
    glcm_homogeneity_d1_a090   1.00
    """

    family, version = "glcm", 1

    def __init__(
        self,
        levels: int = 32,
        distances: Sequence[int] = (1,),
        angles: Sequence[float] = (0, 45, 90, 135),
        average: bool = True,
        store: Any = None,
    ):
        self.levels = levels
        self.distances = distances
        self.angles = angles
        self.average = average
        self.store = store

    @property
    def value_names(self) -> list[str]:
        if self.average:
            return [f"glcm_{name}" for name in PROPERTIES]
        offsets = [f"d{distance}_a{angle:03g}" for distance in self.distances for angle in self.angles]
        return [f"glcm_{name}_{offset}" for name in PROPERTIES for offset in offsets]

    def settings(self) -> dict[str, Any]:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"GLCM levels is {self.levels}", "give 2 to 256 grey levels")
        if not self.distances or min(self.distances) < 1 or not self.angles:
            raise UsageError(
                f"GLCM distances {list(self.distances)}, angles {list(self.angles)}",
                "give at least one distance of 1 pixel or more, and one angle in degrees",
            )
        return {
            "levels": int(self.levels),
            "distances": [int(distance) for distance in self.distances],
            "angles": [float(angle) for angle in self.angles],
            "average": bool(self.average),
            "properties": list(PROPERTIES),
            "decode": decode_policy(longer=LONGER_SIDE),
            "resize": f"longer side at most {LONGER_SIDE}, bilinear with antialiasing",
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image")

    def prepare(self, photo: Photo) -> np.ndarray:
        from skimage.feature import graycomatrix

        grey = grey_image(photo)
        quantised = (grey.astype(np.uint16) * self.levels // 256).astype(np.uint8)
        p = graycomatrix(
            quantised, self.distances, np.deg2rad(self.angles), self.levels, symmetric=True, normed=True
        )
        i, j = np.ogrid[: self.levels, : self.levels]
        i, j = i[:, :, None, None].astype(np.float64), j[:, :, None, None].astype(np.float64)
        values = np.stack([formula(p, i, j) for formula in PROPERTIES.values()])
        return values.mean(axis=(1, 2)) if self.average else values.ravel()

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.stack(prepared).astype(np.float32)


def grey_image(photo: Photo) -> np.ndarray:
    """The photo in grey, uint8 of shape (height, width), its longer side at most 512 pixels."""
    grey = Image.fromarray(photo.rgb(longer=LONGER_SIDE)).convert("L")
    if max(grey.size) > LONGER_SIDE:
        factor = LONGER_SIDE / max(photo.width, photo.height)
        size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
        grey = grey.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(grey)
