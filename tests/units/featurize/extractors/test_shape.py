"""Shapes whose asymmetry, border and colour are known; contract/test_families.py measures a disc."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from featurize import Shape


def lesion(draw_on, inside=(90, 60, 50), size=(240, 200)) -> dict[str, float]:
    photo = Image.new("RGB", size, (210, 170, 150))
    draw_on(ImageDraw.Draw(photo), inside)
    shape = Shape()
    return dict(zip(shape.value_names, shape.transform([np.asarray(photo)])[0].tolist(), strict=True))


def test_two_colours_of_a_lesion_show():
    one = lesion(lambda draw, c: draw.rectangle([60, 40, 160, 140], fill=c))
    assert one["shape_colour_red_sd"] < 0.05

    def two_colours(draw, c):
        draw.rectangle([60, 40, 160, 140], fill=c)
        draw.rectangle([60, 40, 110, 140], fill=(20, 60, 50))

    assert lesion(two_colours)["shape_colour_red_sd"] == pytest.approx(35 / 255, rel=0.1)


def test_a_spiked_or_lopsided_border_shows():
    disc = lesion(lambda draw, c: draw.ellipse([60, 40, 160, 140], fill=c))

    turns = zip([70, 25] * 8, np.linspace(0, 2 * np.pi, 16, endpoint=False), strict=True)
    star = [(110 + r * np.cos(a), 90 + r * np.sin(a)) for r, a in turns]
    spiked = lesion(lambda draw, c: draw.polygon(star, fill=c))
    assert spiked["shape_border_roundness"] < 0.5 * disc["shape_border_roundness"]
    assert spiked["shape_border_solidity"] < 0.7 and spiked["shape_border_radius_variation"] > 0.15
    lopsided = lesion(lambda draw, c: draw.polygon([(40, 40), (200, 60), (60, 160)], fill=c))
    assert lopsided["shape_asymmetry_major"] > 0.1


def test_turning_and_mirroring_change_little():
    rgb = np.full((200, 200, 3), 210, np.uint8)
    rgb[60:120, 50:150] = 80
    rgb[100:140, 50:80] = 80
    straight, turned, mirrored = Shape().transform([rgb, np.rot90(rgb).copy(), rgb[:, ::-1].copy()])
    np.testing.assert_allclose(turned, straight, atol=0.02)
    np.testing.assert_allclose(mirrored, straight, atol=0.02)


def test_without_a_lesion_all_is_zero_and_a_thin_line_is_finite():
    for side in (1, 30):
        assert not Shape().transform([np.full((side, side, 3), 7, np.uint8)]).any()
    values = lesion(lambda draw, c: draw.line([20, 20, 200, 20], fill=c, width=1))
    assert np.isfinite(list(values.values())).all()
