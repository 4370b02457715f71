"""Texture: the properties that any photo must show, and counts of pairs; test_haralick.py has values by hand."""

import numpy as np
import pytest
from builders import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import graycomatrix

from featurize import GLCM
from featurize.extractors.glcm import co_occurrences


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(3, 40))
def test_turning_a_photo_by_a_right_angle_changes_no_averaged_value(seed, height, width):
    rgb = np.asarray(noise(width, height, seed))
    once, turned = GLCM().transform([rgb, np.ascontiguousarray(np.rot90(rgb))])
    np.testing.assert_allclose(once, turned, rtol=1e-5)


def test_values_per_angle_average_to_the_averaged_ones():
    rgb = np.asarray(noise(20, 30))
    each = GLCM(distances=(1, 3), average=False)
    values = each.transform([rgb])[0].reshape(5, 8).mean(axis=1)
    np.testing.assert_allclose(GLCM(distances=(1, 3)).transform([rgb])[0], values, rtol=1e-6)
    assert each.get_feature_names_out()[9] == "glcm_correlation_d1_a045"
    assert each.width == 5 * 2 * 4


def test_the_type_of_an_angle_is_no_part_of_the_fingerprint():
    assert GLCM(angles=[0.0, 45.0, 90.0, 135.0]).fingerprint() == GLCM().fingerprint()


def test_colour_channels_are_those_of_three_grey_photos():
    rgb = np.asarray(noise(30, 20))
    texture = GLCM(channels="rgb")
    planes = [np.repeat(rgb[:, :, c : c + 1], 3, axis=2) for c in range(3)]
    np.testing.assert_array_equal(texture.transform([rgb])[0], GLCM().transform(planes).ravel())
    assert texture.value_names[5] == "glcm_green_contrast"


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (40, 30)])
def test_shares_are_those_of_scikit_image_to_the_bit(shape):
    # In the first two some offsets have no pair at all.
    image = np.random.default_rng(5).integers(0, 8, shape, dtype=np.uint8)
    distances, angles = (1, 2), (0, 45, 90, 135)
    expected = graycomatrix(image, distances, np.deg2rad(angles), 8, symmetric=True, normed=True)
    np.testing.assert_array_equal(co_occurrences(image, 8, distances, angles), expected.reshape(8, 8, -1))


@pytest.mark.parametrize(
    "options", [{}, {"properties": "haralick", "average": False, "distances": (1, 2)}, {"channels": "rgb"}]
)
def test_the_width_is_the_number_of_names(options):
    assert GLCM(**options).width == len(GLCM(**options).value_names)
