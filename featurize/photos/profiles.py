"""Colour profiles (ICC): pixels of any colour space become those of sRGB, as every viewer shows them."""

import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # Pillow's mode for what a profile speaks of
SAME = 2  # levels of 255: profiles that call themselves sRGB differ from it by so much in the dark


class Profile(NamedTuple):
    """What a profile wants its pixels to be, and how they become sRGB; no transform where they are sRGB already."""

    mode: str
    transform: ImageCms.ImageCmsTransform | None


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image | None:
    """The picture in RGB, by its profile, with the perceptual intent; None where the profile cannot be used.

    Grey pixels with a profile of RGB, as cameras write them, are taken for RGB.
    """
    profile = _read(bytes(icc))
    if profile is None:
        return None
    if image.mode != profile.mode:
        if image.mode == "CMYK" or profile.mode != "RGB":
            return None
        image = image.convert("RGB")
    return image if profile.transform is None else ImageCms.applyTransform(image, profile.transform)


@lru_cache(maxsize=64)
def _read(icc: bytes) -> Profile | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = MODES.get(source.profile.xcolor_space.strip())
        if mode is None:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    return Profile(mode, None if mode == "RGB" and _is_srgb(transform) else transform)


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours all over the cube stay what they are."""
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(16, -1, 3)
    found = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return int(np.abs(found.astype(int) - cube).max()) <= SAME
