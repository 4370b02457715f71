"""Regions of a photo, its border or its centre, and the extractors that count over the pixels of one alone."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.spec import spelled

MARGIN = 0.12
REGIONS = {
    "border": "the middle is covered, 12 % in from each side",
    "centre": "all but the middle is covered, 12 % in from each side",
}


def seen_in(region: str | None, height: int, width: int) -> np.ndarray | None:
    """Which pixels a region leaves in sight, as booleans of shape (height, width); None where it is the whole photo.

    >>> seen_in("border", 4, 5).astype(int)
    array([[1, 1, 1, 1, 1],
           [1, 0, 0, 0, 1],
           [1, 0, 0, 0, 1],
           [1, 1, 1, 1, 1]])
    """
    if region is None:
        return None
    if region not in REGIONS:
        raise UsageError(f"region {region!r} is not known", f"choose {' or '.join(REGIONS)}, or leave it out")
    top, left = max(1, round(MARGIN * height)), max(1, round(MARGIN * width))
    seen = np.full((height, width), region == "border")
    seen[top : height - top, left : width - left] = region == "centre"
    return seen


def seen_around(seen: np.ndarray | None, radius: int) -> np.ndarray | None:
    """Which pixels have nothing covered in the square of 2 `radius` + 1 pixels around them; beyond the photo is none.

    >>> seen_around(seen_in("centre", 5, 6), 1).astype(int)
    array([[0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 0]])
    """
    from scipy.ndimage import minimum_filter

    return None if seen is None else minimum_filter(seen, 2 * radius + 1, mode="nearest")


def pick(values: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """The values of the pixels in sight: all of them, or those of `seen`, in a row."""
    return values if seen is None else values[seen]


class CountingExtractor(Extractor):
    """An extractor that counts over pixels, and so can leave a part of the photo out of its counts.

    Parameters
    ----------
    preprocess, store
        As in `Extractor`.
    region : {None, "border", "centre"}, default None
        ``"border"`` leaves out the middle of the photo, 12 % in from each side, ``"centre"`` all but the middle.
        Pairs, patterns and windows of pixels count where no pixel of theirs is left out; a share of nothing is 0.
    """

    region: str | None = None

    def __init__(self, preprocess: Sequence[str] = (), store: Any = None, region: str | None = None):
        super().__init__(preprocess, store)
        self.region = region

    @property
    def option(self) -> str | None:
        """What the spec has after the family's name, if anything."""
        return None

    @property
    def usual_name(self) -> str:
        return spelled(self.family, [self.option, self.region and f"region={self.region}"])

    def kept_params(self) -> dict[str, Any]:
        return {k: v for k, v in super().kept_params().items() if (k, v) != ("region", None)}

    def seen(self, height: int, width: int) -> np.ndarray | None:
        """Which pixels of an image of that size count; None for all."""
        return seen_in(self.region, height, width)

    def region_settings(self) -> dict[str, Any]:
        """The region, for the fingerprint; nothing for the whole photo."""
        seen_in(self.region, 3, 3)  # which refuses what is no region
        return {"region": f"{REGIONS[self.region]}, left out of counts"} if self.region else {}

    def in_region(self, names: Iterable[str]) -> list[str]:
        """Names of values that say which region they are of."""
        return [f"{name}_{self.region}" if self.region else name for name in names]
