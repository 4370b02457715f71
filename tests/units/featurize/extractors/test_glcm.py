"""Texture values: by hand on four by four pixels, and the properties that any photo must show."""

from math import log2, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import graycomatrix

from featurize import GLCM, BottleheadError
from featurize.extractors.base import LONGER_SIDE
from featurize.extractors.glcm import co_occurrences, grey_image
from featurize.photos.photo import Photo

# Haralick's own example image; level k of 4 is grey 64 k.
LEVELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], dtype=np.uint8)


def grey(levels: np.ndarray, step: int = 64) -> np.ndarray:
    return np.repeat((levels * step).astype(np.uint8)[:, :, None], 3, axis=2)


def test_five_values_by_hand_at_zero_degrees():
    # Pairs to the right, both ways: rows (4 2 1 0), (2 4 0 0), (1 0 6 1), (0 0 1 2), 24 in all.
    values = GLCM(levels=4, angles=(0,)).transform([grey(LEVELS)])[0]
    contrast = (2 * 2 * 1**2 + 2 * 1 * 2**2 + 2 * 1 * 1**2) / 24
    mean = (7 * 0 + 6 * 1 + 8 * 2 + 3 * 3) / 24
    variance = (7 * mean**2 + 6 * (1 - mean) ** 2 + 8 * (2 - mean) ** 2 + 3 * (3 - mean) ** 2) / 24
    product = (4 * 1 * 1 + 6 * 2 * 2 + 2 * 1 * 2 * 3 + 2 * 3 * 3) / 24
    counts = [4, 4, 6, 2, 2, 2, 1, 1, 1, 1]
    expected = [
        contrast,
        (product - mean**2) / variance,
        sqrt(sum(c**2 for c in counts)) / 24,
        -sum(c / 24 * log2(c / 24) for c in counts),
        (4 + 4 + 6 + 2 + 2 * 2 / 2 + 2 * 1 / 5 + 2 * 1 / 2) / 24,
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_a_constant_image_has_finite_documented_values():
    values = GLCM().transform([np.full((20, 30, 3), 77, dtype=np.uint8)])[0]
    np.testing.assert_array_equal(values, [0, 1, 1, 0, 1])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(3, 40))
def test_turning_a_photo_by_a_right_angle_changes_no_averaged_value(seed, height, width):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    once, turned = GLCM().transform([rgb, np.ascontiguousarray(np.rot90(rgb))])
    np.testing.assert_allclose(once, turned, rtol=1e-5)


def test_values_per_angle_average_to_the_averaged_ones():
    rgb = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    each = GLCM(distances=(1, 3), average=False)
    values = each.transform([rgb])[0].reshape(5, 8).mean(axis=1)
    np.testing.assert_allclose(GLCM(distances=(1, 3)).transform([rgb])[0], values, rtol=1e-6)
    assert each.get_feature_names_out()[9] == "glcm_correlation_d1_a045"
    assert each.width == 5 * 2 * 4


def test_large_photos_are_brought_down_to_512_and_small_ones_stay():
    assert grey_image(Photo.from_array(np.zeros((100, 1024, 3), np.uint8))).shape == (50, LONGER_SIDE)
    assert grey_image(Photo.from_array(np.zeros((7, 9, 3), np.uint8))).shape == (7, 9)


@pytest.mark.parametrize("wrong", [{"levels": 1}, {"levels": 300}, {"distances": (0,)}, {"angles": ()}])
def test_impossible_settings_are_refused_before_any_work(wrong):
    with pytest.raises(BottleheadError, match="GLCM"):
        GLCM(**wrong).fingerprint()


def test_settings_are_part_of_the_fingerprint_and_argument_types_are_not():
    assert GLCM(levels=16).fingerprint() != GLCM().fingerprint()
    assert GLCM(angles=[0.0, 45.0, 90.0, 135.0]).fingerprint() == GLCM().fingerprint()


def test_colour_channels_are_those_of_three_grey_photos():
    rgb = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    texture = GLCM(channels="rgb")
    planes = [np.repeat(rgb[:, :, c : c + 1], 3, axis=2) for c in range(3)]
    np.testing.assert_array_equal(texture.transform([rgb])[0], GLCM().transform(planes).ravel())
    assert texture.value_names[5] == "glcm_green_contrast"


@pytest.mark.parametrize("wrong", [{"properties": "six"}, {"channels": "hsv"}])
def test_unknown_properties_and_channels_are_refused_with_the_choices(wrong):
    with pytest.raises(BottleheadError, match=r"choose (five or haralick|grey or rgb)"):
        _ = GLCM(**wrong).width


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (40, 30)])
def test_shares_are_those_of_scikit_image_to_the_bit(shape):
    # In the first two some offsets have no pair at all.
    image = np.random.default_rng(5).integers(0, 8, shape, dtype=np.uint8)
    distances, angles = (1, 2), (0, 45, 90, 135)
    expected = graycomatrix(image, distances, np.deg2rad(angles), 8, symmetric=True, normed=True)
    np.testing.assert_array_equal(co_occurrences(image, 8, distances, angles), expected.reshape(8, 8, -1))


def test_the_width_is_the_number_of_names():
    for options in (
        {},
        {"properties": "haralick", "average": False, "distances": (1, 2)},
        {"channels": "rgb"},
    ):
        texture = GLCM(**options)
        assert texture.width == len(texture.value_names)
