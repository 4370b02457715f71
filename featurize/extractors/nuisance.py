"""Numbers about the camera, the file and the mean colours of a photo, and none about its subject."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from featurize.extractors.base import Extractor, small_image, small_settings
from featurize.photos.decode import open_image, read_exif
from featurize.photos.photo import Photo

CAMERAS = 8
MAKE, MODEL = 0x010F, 0x0110
BORDER = 0.05
# ITU-T T.81 (JPEG), annex K, table K.1: the luminance table that libjpeg scales by the quality.
STANDARD = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
])  # fmt: skip


class Nuisance(Extractor):
    """Size, compression, camera and mean colours: what no head should be able to learn from.

    Where a head predicts the labels from these alone, a network may read the camera or the file, not the subject.

    - width and height in pixels, bytes of the file, bits per pixel
    - JPEG: 1 or 0; its quality, 1 to 100, from the luminance quantisation table by libjpeg's rule (0 for other
      formats); subsampling is not looked at
    - EXIF: whether it names a camera, and one of 8 flags chosen by a hash of make and model (all 0 without)
    - mean red, green and blue of the photo, and of a frame 5 % of the shorter side wide along its border

    An array has no file: its bytes, bits per pixel, JPEG and camera values are 0, which no file has. Steps in
    ``preprocess``, and distortions, change the colours alone; the rest describes the file.

    Parameters
    ----------
    preprocess, store
        As in `Extractor`.

    Examples
    --------
    >>> values = Nuisance().transform([np.full((20, 30, 3), 7, dtype=np.uint8)])[0]
    >>> values[:2].tolist(), values[-6:].tolist()
    ([30.0, 20.0], [7.0, 7.0, 7.0, 7.0, 7.0, 7.0])
    """

    family, version = "nuisance", 1

    @property
    def value_names(self) -> list[str]:
        camera = ["has_camera", *(f"camera{number}" for number in range(CAMERAS))]
        colours = [f"{where}_{c}" for where in ("mean", "border") for c in ("red", "green", "blue")]
        file = ["width", "height", "bytes", "bits_per_pixel", "is_jpeg", "jpeg_quality"]
        return [f"nuisance_{name}" for name in [*file, *camera, *colours]]

    def settings(self) -> dict[str, Any]:
        return {
            "cameras": CAMERAS,
            "border": BORDER,
            **small_settings(),
        }

    def prepare(self, photo: Photo) -> np.ndarray:
        rgb = small_image(self.view(photo)).astype(np.float64)
        frame = max(1, round(BORDER * min(rgb.shape[:2])))
        border = np.ones(rgb.shape[:2], dtype=bool)
        border[frame:-frame, frame:-frame] = False
        n_bytes = len(photo.data or b"")
        size = [photo.width, photo.height, n_bytes, 8 * n_bytes / (photo.width * photo.height)]
        return np.array([*size, *_header(photo), *rgb.mean(axis=(0, 1)), *rgb[border].mean(axis=0)])


def _header(photo: Photo) -> list[float]:
    """Is it JPEG, its quality, and the camera's flags."""
    if photo.data is None:
        return [0.0] * (3 + CAMERAS)
    with open_image(photo.data) as image:
        tables = getattr(image, "quantization", None)
        return [float(bool(tables)), jpeg_quality(tables) if tables else 0.0, *_camera(image, photo.data)]


def jpeg_quality(tables: dict[int, Sequence[int]]) -> float:
    """The libjpeg quality, 1 to 100, whose scaling of the standard table comes nearest to the first of `tables`.

    >>> jpeg_quality({0: [1] * 64})
    100.0
    """
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    scaled = ((STANDARD * percent[:, None] + 50) // 100).clip(1, 255)
    return float(qualities[abs(scaled.sum(axis=1) - sum(tables[min(tables)])).argmin()])


def _camera(image: Image.Image, data: bytes) -> list[float]:
    try:
        exif = read_exif(image, data)
        name = "|".join(str(exif.get(tag, "")).strip(" \0").lower() for tag in (MAKE, MODEL))
    except Exception:
        # Damaged EXIF makes readers raise almost anything; it names no camera.
        name = "|"
    flags = [0.0] * (1 + CAMERAS)
    if name != "|":
        flags[0] = 1.0
        flags[1 + hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] % CAMERAS] = 1.0
    return flags
