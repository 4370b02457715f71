"""Texture: how often grey levels lie side by side (grey-level co-occurrence matrices)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.extractors.haralick import FORMULAS, PROPERTIES, Pairs
from featurize.photos.photo import Photo, decode_policy, resize

LONGER_SIDE = 512
CHANNELS = {"grey": ("",), "rgb": ("red_", "green_", "blue_")}


class GLCM(Extractor):
    """Grey-level co-occurrence texture: five values, or the 22 that texture studies use.

    The photo has its longer side brought down to 512 pixels, never enlarged, and becomes grey (ITU-R 601 luma);
    the 256 levels are cut into `levels` equal ones. Pairs count in both directions, and each matrix is divided
    by its sum. A pair of pixels that would leave the image is not counted; where an image is too small for any
    pair at some distance, that matrix is all zeros. The formulas, their sources and their values for a constant
    image stand in `featurize.extractors.haralick.FORMULAS`.

    Parameters
    ----------
    properties : {"five", "haralick"}, default "five"
        ``"five"``: contrast, correlation, energy, entropy and homogeneity, the five that skin-texture studies
        share. ``"haralick"`` (spec ``glcm:haralick``): all 22.
    levels : int, default 32
        Grey levels, 2 to 256.
    distances : sequence of int, default (1,)
        Distances between the two pixels of a pair, in pixels.
    angles : sequence of float, default (0, 45, 90, 135)
        Directions of the pairs in degrees; 0 is right, 90 is up.
    average : bool, default True
        True gives each property averaged over distances and angles (hardly changed by turning the photo);
        False gives one value per property, distance and angle.
    channels : {"grey", "rgb"}, default "grey"
        ``"rgb"`` does the same for the red, the green and the blue values, side by side.
    preprocess : sequence of str, default ()
        Steps that change the photo first, such as ``("median:3",)``; see `featurize.photos.preprocess`.
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

    family, version = "glcm", 2

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
    ):
        self.properties = properties
        self.levels = levels
        self.distances = distances
        self.angles = angles
        self.average = average
        self.channels = channels
        self.preprocess = preprocess
        self.store = store

    @property
    def name(self) -> str:
        return self.family if self.properties == "five" else f"{self.family}:{self.properties}"

    @property
    def value_names(self) -> list[str]:
        names = [f"glcm_{channel}{name}" for channel in self._channels() for name in self._formulas()]
        if self.average:
            return names
        offsets = [f"d{distance}_a{angle:03g}" for distance in self.distances for angle in self.angles]
        return [f"{name}_{offset}" for name in names for offset in offsets]

    @property
    def width(self) -> int:
        # Asked for with every batch: counting is quicker than making up the names.
        n_offsets = 1 if self.average else len(self.distances) * len(self.angles)
        return len(self._channels()) * len(self._formulas()) * n_offsets

    def settings(self) -> dict[str, Any]:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"GLCM levels is {self.levels}", "give 2 to 256 grey levels")
        if not len(self.distances) or min(self.distances) < 1 or not len(self.angles):
            raise UsageError(
                f"GLCM distances {list(self.distances)}, angles {list(self.angles)}",
                "give at least one distance of 1 pixel or more, and one angle in degrees",
            )
        return {
            "levels": int(self.levels),
            "distances": [int(distance) for distance in self.distances],
            "angles": [float(angle) for angle in self.angles],
            "average": bool(self.average),
            "properties": list(self._formulas()),
            "channels": self.channels,
            "decode": decode_policy(longer=LONGER_SIDE),
            "resize": f"longer side at most {LONGER_SIDE}, bilinear with antialiasing",
        }

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "scikit-image")

    def prepare(self, photo: Photo) -> np.ndarray:
        photo, formulas = self.view(photo), self._formulas()
        planes = [grey_image(photo)] if self.channels == "grey" else np.moveaxis(small_image(photo), 2, 0)
        values = []
        for plane in planes:
            quantised = (plane.astype(np.uint16) * self.levels // 256).astype(np.uint8)
            pairs = Pairs(co_occurrences(quantised, self.levels, self.distances, self.angles))
            values.append(np.stack([FORMULAS[name](pairs) for name in formulas]))
        block = np.concatenate(values)
        return block.mean(axis=1) if self.average else block.ravel()

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        return np.stack(prepared).astype(np.float32)

    def _formulas(self) -> tuple[str, ...]:
        if self.properties not in PROPERTIES:
            raise UsageError(f"GLCM properties {self.properties!r}", f"choose {' or '.join(PROPERTIES)}")
        return PROPERTIES[self.properties]

    def _channels(self) -> tuple[str, ...]:
        if self.channels not in CHANNELS:
            raise UsageError(f"GLCM channels {self.channels!r}", f"choose {' or '.join(CHANNELS)}")
        return CHANNELS[self.channels]


def co_occurrences(
    image: np.ndarray, levels: int, distances: Sequence[int], angles: Sequence[float]
) -> np.ndarray:
    """How often each two levels lie side by side, as shares; shape (levels, levels, distances * angles), float64.

    What scikit-image gives for ``symmetric=True, normed=True``, to the bit: its counts are whole numbers, and adding
    them up before they become fractions is quicker.
    """
    from skimage.feature import graycomatrix

    counts = graycomatrix(image, distances, np.deg2rad(angles), levels).reshape(levels, levels, -1)
    counts = counts + counts.transpose(1, 0, 2)
    total = counts.reshape(levels, -1).sum(axis=0, dtype=np.uint32).reshape(levels, -1).sum(axis=0)
    return counts / np.maximum(total, 1)


def small_image(photo: Photo) -> np.ndarray:
    """The photo, uint8 of shape (height, width, 3), its longer side at most 512 pixels."""
    return resize(photo.rgb(longer=LONGER_SIDE), *_small_size(photo))


def grey_image(photo: Photo) -> np.ndarray:
    """The photo in grey, uint8 of shape (height, width), its longer side at most 512 pixels."""
    grey = photo.image(longer=LONGER_SIDE).convert("L")
    if grey.size != _small_size(photo):
        grey = grey.resize(_small_size(photo), Image.Resampling.BILINEAR)
    return np.asarray(grey)


def _small_size(photo: Photo) -> tuple[int, int]:
    factor = min(1.0, LONGER_SIDE / max(photo.width, photo.height))
    return max(1, round(photo.width * factor)), max(1, round(photo.height * factor))
