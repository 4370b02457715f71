"""Texture: 22 values by hand, counts of pairs, and the properties that any photo must show."""

from math import exp, log2, sqrt

import numpy as np
import pytest
from builders import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import graycomatrix

from featurize import GLCM
from featurize.extractors.base import golden_image
from featurize.extractors.glcm import FIVE, FORMULAS, co_occurrences

# Haralick's own example; level k of 4 is grey 64 k. Pairs to the right, both ways:
# rows (4 2 1 0), (2 4 0 0), (1 0 6 1), (0 0 1 2), 24 in all.
LEVELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], dtype=np.uint8)


def bits(*counts: int) -> float:
    return -sum(count / 24 * log2(count / 24) for count in counts)


def by_hand() -> dict[str, float]:
    mean, hx = 31 / 24, bits(7, 6, 8, 3)
    variance = (7 * 0 + 6 * 1 + 8 * 4 + 3 * 9) / 24 - mean**2
    autocorrelation = (4 * 1 + 6 * 4 + 2 * 9 + 2 * 1 * 6) / 24
    hxy = bits(4, 4, 6, 2, 2, 2, 1, 1, 1, 1)
    sums = {0: 4, 1: 4, 2: 6, 4: 6, 5: 2, 6: 2}

    def about_average(power: int) -> float:
        return sum(count * (k - 62 / 24) ** power for k, count in sums.items()) / 24

    return {
        "autocorrelation": autocorrelation,
        "contrast": (6 * 1 + 2 * 4) / 24,
        "correlation": (autocorrelation - mean**2) / variance,
        "correlation_product": (autocorrelation - mean**2) / variance,
        "cluster_prominence": about_average(4),
        "cluster_shade": about_average(3),
        "dissimilarity": (6 * 1 + 2 * 2) / 24,
        "energy": sqrt(16 + 16 + 36 + 4 + 4 + 4 + 1 + 1 + 1 + 1) / 24,
        "entropy": hxy,
        "homogeneity": (16 + 6 / 2 + 2 / 5) / 24,
        "homogeneity_absolute": (16 + 6 / 2 + 2 / 3) / 24,
        "maximum_probability": 6 / 24,
        "sum_of_squares_variance": variance,
        "sum_average": 62 / 24,
        "sum_variance": about_average(2),
        "sum_entropy": bits(4, 4, 6, 6, 2, 2),
        "difference_variance": (6 * 1 + 2 * 4) / 24 - (10 / 24) ** 2,
        "difference_entropy": bits(16, 6, 2),
        "information_correlation_1": (hxy - 2 * hx) / hx,
        "information_correlation_2": sqrt(1 - exp(-2 * (2 * hx - hxy))),
        "inverse_difference_normalised": (16 + 6 / (1 + 1 / 4) + 2 / (1 + 2 / 4)) / 24,
        "inverse_difference_moment_normalised": (16 + 6 / (1 + 1 / 16) + 2 / (1 + 4 / 16)) / 24,
    }


def test_every_value_by_hand():
    photo = np.repeat((LEVELS * 64)[:, :, None], 3, axis=2)
    texture = GLCM("haralick", levels=4, angles=(0,))
    values = dict(zip(texture.value_names, texture.transform([photo])[0].tolist(), strict=True))
    assert values == pytest.approx({f"glcm_{name}": value for name, value in by_hand().items()}, rel=1e-6)
    assert len(values) == 22


def test_a_constant_image_has_the_documented_values():
    level = 77 * 32 // 256
    values = GLCM("haralick").transform([np.full((20, 30, 3), 77, dtype=np.uint8)])[0]
    ones = {"correlation", "correlation_product", "energy", "homogeneity", "homogeneity_absolute",
            "maximum_probability", "inverse_difference_normalised",
            "inverse_difference_moment_normalised"}  # fmt: skip
    expected = dict.fromkeys(FORMULAS, 0.0) | dict.fromkeys(ones, 1.0)
    expected |= {"autocorrelation": level**2, "sum_average": 2 * level}
    assert dict(zip(FORMULAS, values.tolist(), strict=True)) == pytest.approx(expected)
    np.testing.assert_array_equal(GLCM().transform([np.full((20, 30, 3), 77, np.uint8)])[0], [0, 1, 1, 0, 1])
    without_pairs = GLCM("haralick", distances=(1, 9)).transform([np.zeros((1, 1, 3), np.uint8)])
    assert np.isfinite(without_pairs).all()


def test_the_five_are_among_the_22_and_keep_their_values():
    rgb = golden_image()
    both = dict(zip(FORMULAS, GLCM("haralick").transform([rgb])[0], strict=True))
    np.testing.assert_array_equal(GLCM().transform([rgb])[0], [both[name] for name in FIVE])


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
