"""Shape of the largest dark region: the ABCD rule of dermatology as numbers."""

from typing import Any

import numpy as np

from featurize.extractors.base import Extractor, small_image, small_settings
from featurize.photos.photo import Photo
from featurize.photos.preprocess import lesion_mask

NAMES = (
    "asymmetry_minor", "asymmetry_major",
    "border_roundness", "border_solidity", "border_radius_variation",
    "colour_red_sd", "colour_green_sd", "colour_blue_sd", "colour_contrast",
    "diameter_longest", "diameter_equivalent", "area",
)  # fmt: skip


class Shape(Extractor):
    """Asymmetry, border irregularity, colour variegation and diameter of the segmented lesion.

    The lesion is the largest dark region (`featurize.photos.preprocess.lesion_mask`) of the photo with its longer
    side brought down to 512 pixels.

    - **Asymmetry** across the minor and the major axis: the share of the lesion whose mirror image lies outside
      it; 0 for an ellipse.
    - **Border**: roundness 4π area / perimeter² (about 1 for a disc, less for any other shape); solidity, area by
      area of the convex hull; standard deviation by mean of the distance of the border from the centroid.
    - **Colour**: standard deviations of red, green and blue inside, and the distance of the mean colours inside
      and outside, all divided by 255.
    - **Diameter**: longest distance between two border pixels, and diameter of the disc of equal area, both by the
      diagonal of the photo (it does not say how large its pixels are on the skin); area as a share of the photo.

    Where no region is darker than the rest (a constant image), all values are 0.

    Parameters
    ----------
    preprocess, store
        As in `Extractor`.

    References
    ----------
    Nachbar, F. et al. (1994). The ABCD rule of dermatoscopy. Journal of the American Academy of Dermatology,
    30(4), 551–559. https://doi.org/10.1016/S0190-9622(94)70061-3

    Examples
    --------
    >>> y, x = np.ogrid[:100, :100]
    >>> skin = np.full((100, 100, 3), 200, dtype=np.uint8)
    >>> skin[(y - 50) ** 2 + (x - 50) ** 2 < 30**2] = 80
    >>> values = dict(zip(Shape().value_names, Shape().transform([skin])[0].tolist()))
    >>> round(values["shape_diameter_equivalent"] * 100 * 2**0.5)
    60
    """

    family, version = "shape", 1

    @property
    def value_names(self) -> list[str]:
        return [f"shape_{name}" for name in NAMES]

    def settings(self) -> dict[str, Any]:
        return {
            "segmentation": "Otsu of smoothed luma, largest dark region, holes filled",
            **small_settings(),
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image", "scipy")

    def prepare(self, photo: Photo) -> np.ndarray:
        rgb = small_image(self.view(photo))
        mask = lesion_mask(rgb)
        if not mask.any():
            return np.zeros(len(NAMES))
        values = [*_asymmetry(mask), *_border(mask), *_colour(rgb, mask), *_diameter(mask)]
        return np.array(values)


def _asymmetry(mask: np.ndarray) -> list[float]:
    """The share of the pixels whose mirror image across an axis of inertia lies outside: minor, then major."""
    place = np.argwhere(mask)
    centre = place.mean(axis=0)
    axes = np.linalg.eigh(np.cov(place.T, ddof=0))[1]  # minor, major, as columns
    shares = []
    for across in (axes[:, 1], axes[:, 0]):
        along = (place - centre) @ across
        mirrored = np.rint(place - 2 * along[:, None] * across).astype(np.int64)
        inside = ((mirrored >= 0) & (mirrored < mask.shape)).all(axis=1)
        inside[inside] = mask[tuple(mirrored[inside].T)]
        shares.append(1 - inside.mean())
    return shares


def _edge(mask: np.ndarray) -> np.ndarray:
    """The places of the lesion's pixels that touch something else, shape (n, 2)."""
    from scipy import ndimage

    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def _border(mask: np.ndarray) -> list[float]:
    from scipy.spatial import ConvexHull
    from skimage.measure import perimeter_crofton

    edge = _edge(mask)
    radius = np.hypot(*(edge - np.argwhere(mask).mean(axis=0)).T)
    corners = np.concatenate([edge + corner for corner in ((0, 0), (0, 1), (1, 0), (1, 1))])
    length = perimeter_crofton(np.pad(mask, 1), directions=4)
    return [
        4 * np.pi * mask.sum() / length**2,
        mask.sum() / ConvexHull(corners).volume,  # in two dimensions the area
        radius.std() / radius.mean(),
    ]


def _colour(rgb: np.ndarray, mask: np.ndarray) -> list[float]:
    inside, outside = rgb[mask] / 255, rgb[~mask] / 255
    contrast = np.linalg.norm(inside.mean(axis=0) - outside.mean(axis=0)) if len(outside) else 0.0
    return [*inside.std(axis=0), contrast]


def _diameter(mask: np.ndarray) -> list[float]:
    diagonal, area = np.hypot(*mask.shape), mask.sum()
    # The two ends of the longest distance are extreme in some direction; 180 directions miss 0.02 % at most.
    angles = np.deg2rad(np.arange(180))
    reach = _edge(mask) @ np.stack([np.sin(angles), np.cos(angles)])
    longest = (reach.max(axis=0) - reach.min(axis=0)).max() + 1
    return [longest / diagonal, 2 * np.sqrt(area / np.pi) / diagonal, area / mask.size]
