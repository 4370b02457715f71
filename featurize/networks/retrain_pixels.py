"""The pixels that TensorFlow's retrain.py and label_image.py showed to a network, to the last bit.

The whole photo is decoded by TensorFlow's own JPEG decoder, lying as the camera wrote it, and brought to size by a
bilinear sampling of the corners of pixels, which skips most of a large photo.
"""

import numpy as np

from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo


def retrain_pixels(photo: Photo, side: int) -> np.ndarray:
    """A photo as retrain.py read and resized it: float32 of shape (side, side, 3), 0 to 255, not rounded.

    A JPEG is decoded before it is distorted; any other image, which retrain.py did not read, as everywhere here.

    >>> retrain_pixels(Photo.from_array(np.arange(4, dtype=np.uint8).reshape(2, 2)), 4)[0, :, 0]
    array([0. , 0.5, 1. , 1. ], dtype=float32)
    """
    if photo.format in ("JPEG", "MPO"):
        from featurize.networks.tensorflow_engine import decode_jpeg

        try:
            rgb = photo.decoded_by(decode_jpeg)
        except ValueError as error:
            raise ImageRejected(str(error)) from error
    else:
        rgb = photo.rgb()
    return resize_corners(rgb, side)


def resize_corners(rgb: np.ndarray, side: int) -> np.ndarray:
    """Bilinear as TensorFlow 1 resized: pixel i of n is read at i * size / n, whatever lies between is skipped.

    The same arithmetic as ``tf.compat.v1.image.resize_bilinear`` by default; float32 of shape (side, side, 3).
    """
    top, bottom, down = _samples(rgb.shape[0], side)
    left, right, across = _samples(rgb.shape[1], side)
    across, down = across[None, :, None], down[:, None, None]
    upper, lower = rgb[top].astype(np.float32), rgb[bottom].astype(np.float32)
    upper = upper[:, left] + (upper[:, right] - upper[:, left]) * across
    lower = lower[:, left] + (lower[:, right] - lower[:, left]) * across
    return upper + (lower - upper) * down


def _samples(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two neighbours that each new pixel lies between, and how far from the first."""
    place = np.arange(wanted, dtype=np.float32) * (np.float32(size) / np.float32(wanted))
    first = np.floor(place).astype(np.int64)
    return first, np.minimum(first + 1, size - 1), place - first.astype(np.float32)
