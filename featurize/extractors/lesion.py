"""Where the lesion is: the largest dark region of a photo."""

import numpy as np
from PIL import Image, ImageFilter

LONGER_SIDE = 512
SMALLEST = 16  # pixels of the smaller picture; less is no region


def lesion_mask(rgb: np.ndarray) -> np.ndarray:
    """The largest dark region, its holes filled.

    The luma is smoothed (Gaussian, σ = 1 pixel), cut in two by Otsu's threshold, and the largest connected part
    (through edges, not corners) of the darker side is taken. Frames and dark corners count like anything else
    that is dark: crop them away first.

    Parameters
    ----------
    rgb : array of shape (height, width, 3), uint8

    Returns
    -------
    array of shape (height, width), bool
        All False where nothing is darker than the rest, or only specks of fewer than 16 pixels are.

    References
    ----------
    Otsu, N. (1979). A Threshold Selection Method from Gray-Level Histograms. IEEE Transactions on Systems, Man,
    and Cybernetics, 9(1), 62–66. https://doi.org/10.1109/TSMC.1979.4310076
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    grey = np.asarray(Image.fromarray(rgb).convert("L").filter(ImageFilter.GaussianBlur(1)))
    if grey.min() == grey.max():
        return np.zeros(grey.shape, dtype=bool)
    parts, n_parts = ndimage.label(grey <= threshold_otsu(grey))
    sizes = np.bincount(parts.ravel(), minlength=n_parts + 1)
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
