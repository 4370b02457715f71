"""Colours that one can name; contract/test_families.py compares the statistics with those of scipy."""

import colorsys

import numpy as np
import pytest

from featurize import Color


@pytest.mark.parametrize("rgb", [(250, 10, 10), (10, 240, 30), (20, 20, 200), (90, 90, 90), (200, 180, 40)])
def test_a_plain_colour_fills_its_own_bin(rgb):
    plain = np.full((4, 4, 3), rgb, np.uint8)
    values = dict(zip(Color().value_names, Color().transform([plain])[0].tolist(), strict=True))
    h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in rgb))
    name = f"color_hue{int(h * 8)}_saturation{min(2, int(s * 3))}_value{min(2, int(v * 3))}"
    assert {n: x for n, x in values.items() if "hue" in n and x} == {name: 1.0}
    assert values["color_grey_sd"] == values["color_grey_skewness"] == values["color_grey_kurtosis"] == 0
