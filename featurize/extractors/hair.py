"""Dark hair found, painted over and smoothed: DullRazor.

Lee, T., Ng, V., Gallagher, R., Coldman, A., McLean, D. (1997). DullRazor: A software approach to hair removal
from images. Computers in Biology and Medicine, 27(6), 533–543. https://doi.org/10.1016/S0010-4825(97)00020-6
"""

import numpy as np
from PIL import Image, ImageFilter

CONTRAST = 25  # how much darker than its surroundings a hair is in one channel, of 255
LENGTH = 3  # a hair is at least so many times longer than the widest hair is wide
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def without_hair(rgb: np.ndarray, width: int = 11) -> np.ndarray:
    """`rgb` with dark lines narrower than `width` pixels painted over.

    1. Closing: each channel is closed along lines of `width` pixels in four directions; what the strongest
       closing lightens by more than 25 of 255 in some channel, and hangs together over at least 3 × `width`
       pixels, is hair.
    2. Replacement: hair and one pixel around it take the distance-weighted mean (Gaussian) of the hairless
       pixels around them, or the nearest one. The original interpolates between the two pixels across the hair;
       the mean needs no direction and also does where hairs cross.
    3. Smoothing: the painted pixels take the median of 5 × 5.

    It is made for skin: where a photo is full of fine dark texture, such as grass or branches, that is taken for
    hair too.

    Parameters
    ----------
    rgb : array of shape (height, width, 3), uint8
    width : int
        Widest hair, in pixels of the photo.

    Returns
    -------
    array of the same shape, uint8
        Equal to `rgb` where there is no hair.
    """
    from scipy import ndimage

    hair = hair_mask(rgb, width)
    hair = ndimage.binary_dilation(hair, np.ones((3, 3)))
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
