"""What the file says: qualities written by Pillow, cameras in EXIF, borders in colour."""

import numpy as np
import pytest
from PIL import Image

from featurize import Nuisance
from featurize.extractors.base import golden_image
from featurize.extractors.nuisance import CAMERAS


def named(image) -> dict[str, float]:
    nuisance = Nuisance()
    return dict(zip(nuisance.value_names, nuisance.transform([image])[0].tolist(), strict=True))


@pytest.mark.parametrize("quality", [1, 5, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_the_one_it_was_written_with(tmp_path, quality):
    path = tmp_path / "photo.jpg"
    Image.fromarray(golden_image()).save(path, quality=quality)
    values = named(path)
    assert values["nuisance_jpeg_quality"] == quality
    assert values["nuisance_is_jpeg"] == 1 and values["nuisance_has_camera"] == 0
    assert values["nuisance_bytes"] == path.stat().st_size
    assert values["nuisance_bits_per_pixel"] == pytest.approx(8 * path.stat().st_size / (96 * 128))


def test_each_camera_has_one_flag(tmp_path):
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


def test_a_damaged_exif_block_names_no_camera(tmp_path):
    Image.fromarray(golden_image()).save(tmp_path / "photo.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert named(tmp_path / "photo.jpg")["nuisance_has_camera"] == 0


def test_png_and_arrays_have_no_jpeg_values_and_arrays_no_bytes(tmp_path):
    Image.fromarray(golden_image()).save(tmp_path / "photo.png")
    file, array = named(tmp_path / "photo.png"), named(golden_image())
    assert file["nuisance_is_jpeg"] == file["nuisance_jpeg_quality"] == array["nuisance_bytes"] == 0
    assert file["nuisance_bytes"] > 0
    same = ["width", "height", "mean_red", "border_blue"]
    assert [file[f"nuisance_{n}"] for n in same] == [array[f"nuisance_{n}"] for n in same]


def test_the_frame_along_the_border_is_told_from_the_rest():
    rgb = np.full((100, 200, 3), 10, np.uint8)
    rgb[:5], rgb[-5:], rgb[:, :5], rgb[:, -5:] = (0, 200, 0), (0, 200, 0), (0, 200, 0), (0, 200, 0)
    values = named(rgb)
    assert (values["nuisance_border_red"], values["nuisance_border_green"]) == (0, 200)
    n_frame = 100 * 200 - 90 * 190
    assert values["nuisance_mean_red"] == pytest.approx(10 * 90 * 190 / 20000)
    assert values["nuisance_mean_green"] == pytest.approx((200 * n_frame + 10 * 90 * 190) / 20000)


def test_steps_change_the_colours_alone(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(golden_image()).save(path)
    plain, cropped = Nuisance().transform([path])[0], Nuisance(["crop:20"]).transform([path])[0]
    np.testing.assert_array_equal(plain[:-6], cropped[:-6])
    assert (plain[-6:] != cropped[-6:]).any()
