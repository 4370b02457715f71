"""What the file says: qualities written by Pillow and cameras in EXIF."""

import numpy as np
import pytest
from PIL import Image

from featurize import Nuisance
from featurize.extractors.base import golden_image
from featurize.extractors.nuisance import CAMERAS


def named(image) -> dict[str, float]:
    nuisance = Nuisance()
    return dict(zip(nuisance.value_names, nuisance.transform([image])[0].tolist(), strict=True))


@pytest.mark.parametrize("quality", [1, 30, 50, 90, 100])
def test_jpeg_quality_is_the_one_it_was_written_with(tmp_path, quality):
    path = tmp_path / "photo.jpg"
    Image.fromarray(golden_image()).save(path, quality=quality)
    assert named(path)["nuisance_jpeg_quality"] == quality


def test_each_camera_has_one_flag_and_a_damaged_exif_block_names_none(tmp_path):
    flags = []
    for model in ("EOS 5D", "EOS 5D", "Pixel 8", "D90"):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Maker", model
        Image.fromarray(golden_image()).save(tmp_path / "photo.jpg", exif=exif)
        values = named(tmp_path / "photo.jpg")
        assert values["nuisance_has_camera"] == 1
        flags.append(tuple(values[f"nuisance_camera{n}"] for n in range(CAMERAS)))
        assert sum(flags[-1]) == 1
    assert flags[0] == flags[1] and len(set(flags)) > 1
    Image.fromarray(golden_image()).save(tmp_path / "photo.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert named(tmp_path / "photo.jpg")["nuisance_has_camera"] == 0


def test_steps_change_the_colours_alone(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(golden_image()).save(path)
    plain, cropped = Nuisance().transform([path])[0], Nuisance(["crop:20"]).transform([path])[0]
    np.testing.assert_array_equal(plain[:-6], cropped[:-6])
    assert (plain[-6:] != cropped[-6:]).any()
