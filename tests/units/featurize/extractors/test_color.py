"""Colour values against scipy's statistics and colours that one can name."""

import colorsys

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from featurize import Color

RGB = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


def named(rgb: np.ndarray) -> dict[str, float]:
    color = Color()
    return dict(zip(color.value_names, color.transform([rgb])[0].tolist(), strict=True))


def test_moments_and_first_order_statistics_agree_with_scipy():
    values, red = named(RGB), RGB[:, :, 0].astype(float).ravel()
    assert values["color_red_mean"] == pytest.approx(red.mean(), rel=1e-6)
    assert values["color_red_sd"] == pytest.approx(red.std(), rel=1e-6)
    assert values["color_red_skew"] == pytest.approx(np.cbrt(stats.moment(red, 3)), rel=1e-4)
    grey = np.asarray(Image.fromarray(RGB).convert("L")).astype(float).ravel()
    share = np.unique(grey, return_counts=True)[1] / grey.size
    assert values["color_grey_skewness"] == pytest.approx(stats.skew(grey), rel=1e-4)
    assert values["color_grey_kurtosis"] == pytest.approx(stats.kurtosis(grey), rel=1e-4)
    assert values["color_grey_entropy"] == pytest.approx(stats.entropy(share, base=2), rel=1e-6)
    assert values["color_grey_energy"] == pytest.approx((share**2).sum(), rel=1e-6)


@pytest.mark.parametrize("rgb", [(250, 10, 10), (10, 240, 30), (20, 20, 200), (90, 90, 90), (200, 180, 40)])
def test_a_plain_colour_fills_its_own_bin(rgb):
    values = named(np.full((4, 4, 3), rgb, np.uint8))
    h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))
    name = f"color_hue{int(h * 8)}_saturation{min(2, int(s * 3))}_value{min(2, int(v * 3))}"
    assert {n: x for n, x in values.items() if "hue" in n and x} == {name: 1.0}
    assert values["color_grey_sd"] == values["color_grey_skewness"] == values["color_grey_kurtosis"] == 0
