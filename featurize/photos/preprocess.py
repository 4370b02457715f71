"""Steps in front of an extractor, in the order given: pure functions from RGB uint8 to RGB uint8, by name (`STEPS`)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from featurize.errors import UsageError
from featurize.photos.decode import MAX_PIXELS, Decoding, ImageRejected
from featurize.photos.photo import resize

# Dark hair found, painted over and smoothed:
# Lee, T., Ng, V., Gallagher, R., Coldman, A., McLean, D. (1997). DullRazor: A software approach to hair removal
# from images. Computers in Biology and Medicine, 27(6), 533–543. https://doi.org/10.1016/S0010-4825(97)00020-6

CONTRAST = 25  # how much darker than its surroundings a hair is in one channel, of 255
LENGTH = 3  # a hair is at least so many times longer than the widest hair is wide
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def without_hair(rgb: np.ndarray, width: int = 11) -> np.ndarray:
    """`rgb` with dark lines narrower than `width` pixels painted over; equal where there is no hair.

    1. Closing: each channel is closed along lines of `width` pixels in four directions; what the strongest closing
       lightens by more than 25 of 255 in some channel, and hangs together over at least 3 × `width` pixels, is hair.
    2. Replacement: hair and one pixel around it take the distance-weighted mean (Gaussian) of the hairless pixels
       around them, or the nearest one. The original interpolates between the two pixels across the hair; the mean
       needs no direction and also does where hairs cross.
    3. Smoothing: the painted pixels take the median of 5 × 5.

    It is made for skin: fine dark texture, such as grass or branches, is taken for hair too.
    """
    from scipy import ndimage

    hair = ndimage.binary_dilation(hair_mask(rgb, width), np.ones((3, 3)))
    if not hair.any() or hair.all():
        return rgb
    painted = np.where(hair[:, :, None], _surroundings(rgb, ~hair, width / 2), rgb)
    smooth = np.asarray(Image.fromarray(painted).filter(ImageFilter.MedianFilter(5)))
    return np.where(hair[:, :, None], smooth, painted)


def hair_mask(rgb: np.ndarray, width: int = 11) -> np.ndarray:
    """Where the hair is: bool of shape (height, width)."""
    from scipy import ndimage

    closed = rgb
    for down, across in DIRECTIONS:
        closed = np.maximum(closed, _closing(rgb, down, across, width))
    dark = (closed - rgb).max(axis=2) > CONTRAST
    parts, n_parts = ndimage.label(dark, np.ones((3, 3)))
    long = np.zeros(n_parts + 1, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        long[number] = np.hypot(*(side.stop - side.start for side in box)) >= LENGTH * width
    return long[parts]


def _closing(rgb: np.ndarray, down: int, across: int, length: int) -> np.ndarray:
    """The largest, then the smallest value along a line of `length` pixels in one direction."""
    if across < 0:
        return _closing(rgb[:, ::-1], down, -across, length)[:, ::-1]
    # Reaching out by the whole line keeps edges as they are: the second pass gives back what the first took.
    edges = ((down * (length - 1),) * 2, (across * (length - 1),) * 2, (0, 0))
    wide = np.pad(rgb, edges, mode="edge")
    return _along(_along(wide, down, across, length, np.maximum), down, across, length, np.minimum)


def _along(values: np.ndarray, down: int, across: int, length: int, extreme: np.ufunc) -> np.ndarray:
    """`extreme` over `length` pixels that begin at each, in log₂(length) passes; the array shrinks by the rest."""
    reach = 1
    while reach < length:
        step = min(reach, length - reach)
        height, width = values.shape[0] - down * step, values.shape[1] - across * step
        values = extreme(values[:height, :width], values[down * step :, across * step :])
        reach += step
    return values


def _surroundings(rgb: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of the known pixels around each pixel; where none is near, the nearest one; uint8."""
    from scipy import ndimage

    weight = ndimage.gaussian_filter(known.astype(np.float32), sigma)
    near = weight > 1e-3
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    result = rgb[tuple(nearest)]
    for channel in range(3):
        total = ndimage.gaussian_filter(np.where(known, rgb[:, :, channel], 0).astype(np.float32), sigma)
        result[near, channel] = np.rint(total[near] / weight[near]).clip(0, 255)
    return result


LONGER_SIDE = 512
SMALLEST = 16  # pixels of the smaller picture; less is no region


def lesion_mask(rgb: np.ndarray) -> np.ndarray:
    """The largest dark region, its holes filled; all False where nothing, or specks alone, is darker than the rest.

    The luma is smoothed (Gaussian, σ = 1 pixel), cut in two by Otsu's threshold (1979,
    https://doi.org/10.1109/TSMC.1979.4310076), and the largest connected part (through edges, not corners) of the
    darker side is taken. Frames and dark corners count like anything else that is dark: crop them away first.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    grey = np.asarray(Image.fromarray(rgb).convert("L").filter(ImageFilter.GaussianBlur(1)))
    if grey.min() == grey.max():
        return np.zeros(grey.shape, dtype=bool)
    parts, _ = ndimage.label(grey <= threshold_otsu(grey))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    if sizes.max() < SMALLEST:
        return np.zeros(grey.shape, dtype=bool)
    return ndimage.binary_fill_holes(parts == sizes.argmax())


def lesion_box(rgb: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold the lesion; all of them where there is none.

    It is looked for with the longer side brought down to 512 pixels, so that large photos take no longer.
    """
    height, width = rgb.shape[:2]
    factor = min(1.0, LONGER_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    mask = lesion_mask(np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)))
    if not mask.any():
        return slice(0, height), slice(0, width)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    down, across = height / mask.shape[0], width / mask.shape[1]
    return (
        slice(int(rows[0] * down), int(np.ceil((rows[-1] + 1) * down))),
        slice(int(columns[0] * across), int(np.ceil((columns[-1] + 1) * across))),
    )


@dataclass(frozen=True)
class Step:
    """A step: its function, a number to raise whenever its results change, and how to read its option.

    One without a function is done while a photo is decoded: its options are fields of `Decoding`.
    """

    change: Callable[..., np.ndarray] | None
    version: int
    read: Callable[[str], dict[str, int] | None]
    accepted: str


def apply_steps(rgb: np.ndarray, steps: Sequence[str]) -> np.ndarray:
    """`rgb` (uint8) after each of the `steps`, ``name[:option]``; UsageError if one is unknown or not understood.

    >>> apply_steps(np.zeros((40, 60, 3), np.uint8), ["resize:20", "crop:20"]).shape
    (20, 20, 3)
    """
    for step, options in _parse(steps):
        change = STEPS[step].change
        if change is None:
            raise UsageError(f"the step {step} works on files", "it cannot be applied to pixels")
        rgb = np.ascontiguousarray(change(rgb, **options))
    return rgb


def decoding_of(steps: Sequence[str], version: int) -> tuple[Decoding, tuple[str, ...]]:
    """How a photo is decoded for these steps, and the steps that are left for `apply_steps`.

    >>> decoding_of(["page:2", "grayscale"], 2)
    (Decoding(version=2, page=2, stretch=None), ('grayscale',))
    """
    if not steps:
        return Decoding(version), ()
    options: dict[str, int] = {}
    rest: list[str] = []
    for text, (name, given) in zip(steps, _parse(steps), strict=True):
        if STEPS[name].change is not None:
            rest.append(text)
        elif rest or options.keys() & given.keys():
            raise UsageError(
                f"the step {text!r} is done while a photo is decoded", "give it once, before the other steps"
            )
        else:
            options |= given
    if options and version < 2:
        raise UsageError(
            f"decode version {version} knows no {' and no '.join(options)}",
            "leave it out, or decode by the newest version",
        )
    return Decoding(version, **options), tuple(rest)


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


def _page(option: str) -> dict[str, int] | None:
    return {"page": int(option)} if re.fullmatch("[1-9][0-9]{0,5}", option) else None


def _white(option: str) -> dict[str, int] | None:
    """The value that becomes white; 0 for each photo's own."""
    if not option:
        return {"stretch": 0}
    return (
        {"stretch": int(option)} if re.fullmatch("[1-9][0-9]{0,4}", option) and int(option) < 65536 else None
    )


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


def segment_lesion(rgb: np.ndarray) -> np.ndarray:
    """The box around the largest dark region, or everything where there is none."""
    return rgb[lesion_box(rgb)]


STEPS = {
    "page": Step(None, 1, _page, "page:N, the first page being 1"),
    "stretch": Step(
        None, 1, _white, "stretch, or stretch:WHITE with the value that becomes white, 1 to 65535"
    ),
    "grayscale": Step(grayscale, 1, _nothing, "grayscale"),
    "crop": Step(crop, 1, _box, "crop:100 or crop:WIDTHxHEIGHT, in pixels"),
    "resize": Step(resample, 1, _one_side, "resize:100 or resize:WIDTHxHEIGHT, in pixels"),
    "median": Step(median, 1, _window, "median:K with K odd, 3 to 15"),
    "remove-hair": Step(without_hair, 1, _line, "remove-hair or remove-hair:WIDTH with 3 to 99 pixels"),
    "segment-lesion": Step(segment_lesion, 1, _nothing, "segment-lesion"),
    "equalize": Step(equalize, 1, _nothing, "equalize"),
}
