"""Steps in front of an extractor: pure functions from RGB uint8 to RGB uint8, by name.

============================  ==========================================================================
``grayscale``                 grey (ITU-R 601 luma) in all three channels
``crop:SIZE``                 the middle SIZE × SIZE pixels; a shorter side stays as it is
``resize:SIZE``               the shorter side becomes SIZE pixels, the shape stays
``median:K``                  each value the median of the K × K around it; K odd, 3 to 15
``remove-hair[:WIDTH]``       DullRazor: dark lines narrower than WIDTH pixels (11) are painted over
``segment-lesion``            cut out the largest dark region
``equalize``                  brightness spread evenly over its range, hues kept
============================  ==========================================================================

Both SIZE may also be WIDTHxHEIGHT. Steps run in the order given, on all pixels of the photo.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from featurize.errors import UsageError
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.photo import resize


@dataclass(frozen=True)
class Step:
    """A step: its function, a number to raise whenever its results change, and how to read its option."""

    change: Callable[..., np.ndarray]
    version: int
    read: Callable[[str], dict[str, int] | None]
    accepted: str


def apply_steps(rgb: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """`rgb` after each of the `steps`, such as ``["grayscale", "crop:100"]``.

    Parameters
    ----------
    rgb : array of shape (height, width, 3), uint8
    steps : sequence of str
        ``name[:option]``.

    Returns
    -------
    array of shape (new height, new width, 3), uint8

    Raises
    ------
    UsageError
        If a step is unknown or its option is not accepted.
    ImageRejected
        If the photo would become too large.

    Examples
    --------
    >>> apply_steps(np.zeros((40, 60, 3), np.uint8), ["resize:20", "crop:20"]).shape
    (20, 20, 3)
    """
    for step, options in _parse(steps):
        rgb = np.ascontiguousarray(STEPS[step].change(rgb, **options))
    return rgb


def describe_steps(steps: Sequence[str]) -> list[dict[str, Any]]:
    """The steps in canonical form, for a fingerprint.

    >>> describe_steps(["median:3"])
    [{'step': 'median', 'version': 1, 'size': 3}]
    """
    return [{"step": name, "version": STEPS[name].version, **options} for name, options in _parse(steps)]


def _parse(steps: Sequence[str]) -> list[tuple[str, dict[str, int]]]:
    if isinstance(steps, str):
        raise UsageError(f"preprocess is the text {steps!r}", f"give a list of steps: [{steps!r}]")
    parsed = []
    for text in steps:
        name, colon, option = str(text).partition(":")
        if name not in STEPS:
            raise UsageError(f"there is no step {text!r}", f"the steps are {', '.join(STEPS)}")
        options = STEPS[name].read(option) if bool(option) == bool(colon) else None
        if options is None:
            raise UsageError(f"the step {text!r} is not understood", f"write {STEPS[name].accepted}")
        parsed.append((name, options))
    return parsed


# -- what a step's option may be --------------------------------------------------------------------


def _nothing(option: str) -> dict[str, int] | None:
    return None if option else {}


def _one_side(option: str) -> dict[str, int] | None:
    return {"side": int(option)} if re.fullmatch("[1-9][0-9]{0,4}", option) else _two_sides(option)


def _two_sides(option: str) -> dict[str, int] | None:
    match = re.fullmatch("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", option)
    return {"width": int(match[1]), "height": int(match[2])} if match else None


def _box(option: str) -> dict[str, int] | None:
    sides = _one_side(option)
    return {"width": sides["side"], "height": sides["side"]} if sides and "side" in sides else sides


def _window(option: str) -> dict[str, int] | None:
    return {"size": int(option)} if option in ("3", "5", "7", "9", "11", "13", "15") else None


def _line(option: str) -> dict[str, int] | None:
    option = option or "11"
    return {"width": int(option)} if re.fullmatch("[1-9][0-9]?", option) and int(option) >= 3 else None


# -- the steps --------------------------------------------------------------------------------------


def grayscale(rgb: np.ndarray) -> np.ndarray:
    """Grey (ITU-R 601 luma) in all three channels."""
    return np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[:, :, None], 3, axis=2)


def crop(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """The middle `width` × `height` pixels; a side that is shorter than that stays as it is."""
    top, left = max(0, rgb.shape[0] - height) // 2, max(0, rgb.shape[1] - width) // 2
    return rgb[top : top + height, left : left + width]


def resample(rgb: np.ndarray, side: int = 0, width: int = 0, height: int = 0) -> np.ndarray:
    """The shorter side `side` pixels long with the shape kept, or exactly `width` × `height`; bilinear."""
    if side:
        factor = side / min(rgb.shape[:2])
        height, width = (max(side, round(length * factor)) for length in rgb.shape[:2])
    if width * height > MAX_PIXELS:
        raise ImageRejected(f"would be resized to {width} × {height} pixels; at most {MAX_PIXELS:,} are made")
    return resize(rgb, width, height)


def median(rgb: np.ndarray, size: int) -> np.ndarray:
    """Each value the median of the `size` × `size` values around it, channel by channel; edges repeated."""
    return np.asarray(Image.fromarray(rgb).filter(ImageFilter.MedianFilter(size)))


def equalize(rgb: np.ndarray) -> np.ndarray:
    """The luma (Y of YCbCr) with an even histogram, from 0 to 255; the two colour channels stay."""
    y, cb, cr = Image.fromarray(rgb).convert("YCbCr").split()
    at_most = np.cumsum(y.histogram())
    darkest = at_most[at_most > 0][0]
    if darkest == at_most[-1]:
        return rgb
    even = np.rint(255 * (at_most - darkest).clip(0) / (at_most[-1] - darkest)).astype(int)
    return np.asarray(Image.merge("YCbCr", (y.point(even.tolist()), cb, cr)).convert("RGB"))


def remove_hair(rgb: np.ndarray, width: int) -> np.ndarray:
    """Dark lines narrower than `width` pixels painted over; see `featurize.extractors.hair`."""
    from featurize.extractors.hair import without_hair

    return without_hair(rgb, width)


def segment_lesion(rgb: np.ndarray) -> np.ndarray:
    """The box around the largest dark region, or everything where there is none."""
    from featurize.extractors.lesion import lesion_box

    return rgb[lesion_box(rgb)]


STEPS = {
    "grayscale": Step(grayscale, 1, _nothing, "grayscale"),
    "crop": Step(crop, 1, _box, "crop:100 or crop:WIDTHxHEIGHT, in pixels"),
    "resize": Step(resample, 1, _one_side, "resize:100 or resize:WIDTHxHEIGHT, in pixels"),
    "median": Step(median, 1, _window, "median:K with K odd, 3 to 15"),
    "remove-hair": Step(remove_hair, 1, _line, "remove-hair or remove-hair:WIDTH with 3 to 99 pixels"),
    "segment-lesion": Step(segment_lesion, 1, _nothing, "segment-lesion"),
    "equalize": Step(equalize, 1, _nothing, "equalize"),
}
