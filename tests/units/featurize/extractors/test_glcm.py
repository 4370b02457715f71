"""Texture: 22 values by hand, counts of pairs, and the properties that any photo must show."""

from math import exp, log2, sqrt

import mahotas.features
import numpy as np
import pytest
from builders import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.feature import graycomatrix, graycoprops

from featurize import GLCM
from featurize.extractors.base import golden_image
from featurize.extractors.glcm import FIVE, FORMULAS, co_occurrences, haralick_offset
from featurize.registry import extractor_from_metadata

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


@settings(max_examples=25)
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
    # In the first two some offsets have no pair at all. scikit-image turns clockwise, and rounds along diagonals.
    image = np.random.default_rng(5).integers(0, 8, shape, dtype=np.uint8)
    turns = np.deg2rad([0, -45, -90, -135])
    near = graycomatrix(image, [1], turns, 8, symmetric=True, normed=True)
    far = graycomatrix(image, [2 * 2**0.5], turns[1::2], 8, symmetric=True, normed=True)
    offsets = [haralick_offset(1, angle) for angle in (0, 45, 90, 135)]
    diagonal = [haralick_offset(2, angle) for angle in (45, 135)]
    np.testing.assert_array_equal(co_occurrences(image, 8, offsets), near[:, :, 0])
    np.testing.assert_array_equal(co_occurrences(image, 8, diagonal), far[:, :, 0])


# Haralick, Shanmugam and Dinstein (1973), figure 3: the counts of the example by direction.
HARALICK = {
    0: [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]],
    45: [[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]],
    90: [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]],
    135: [[2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0]],
}


@pytest.mark.parametrize("angle", HARALICK)
def test_each_direction_has_the_counts_that_haralick_printed(angle):
    expected = np.array(HARALICK[angle])
    shares = co_occurrences(LEVELS, 4, [haralick_offset(1, angle)])[:, :, 0]
    np.testing.assert_allclose(shares * expected.sum(), expected, rtol=1e-12)


STRIPES = np.indices((12, 12))
RISING, FALLING = ((STRIPES[0] + sign * STRIPES[1]) % 4 < 2 for sign in (1, -1))  # //// and \\\\


@pytest.mark.parametrize(
    ("stripes", "distance", "angle", "contrast"),
    [
        # Across these stripes levels come as 0 0 1 1: one pixel further half of the pairs differ, two further all do;
        # a diagonal step across crosses two of them.
        (RISING, 1, 45, 0), (RISING, 1, 135, 1), (RISING, 1, 0, 0.5), (RISING, 2, 45, 0), (RISING, 2, 135, 0),
        (RISING, 2, 0, 1), (FALLING, 1, 45, 1), (FALLING, 1, 135, 0), (FALLING, 3, 45, 1), (FALLING, 3, 135, 0),
    ],
)  # fmt: skip
def test_stripes_show_no_contrast_along_themselves(stripes, distance, angle, contrast):
    texture = GLCM(levels=2, distances=(distance,), angles=(angle,), average=False)
    values = texture.transform([np.repeat(stripes[:, :, None] * np.uint8(255), 3, axis=2)])[0]
    assert values[0] == pytest.approx(contrast, abs=0.06)
    assert (values[0] == 0) == (contrast == 0)


def test_each_direction_is_that_of_mahotas():
    rgb = np.asarray(noise(31, 23, 5)) // 64 * 64
    grey = np.asarray(Image.fromarray(rgb).convert("L")).astype(np.uint16) * 32 // 256
    for distance in (1, 2, 5):
        # mahotas' directions are right, down and right, down, down and left: 0, 135, 90 and 45 degrees.
        theirs = mahotas.features.haralick(grey.astype(np.uint8), distance=distance)[[0, 3, 2, 1], 1]
        ours = GLCM(distances=(distance,), average=False).transform([rgb])[0][:4]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("texture", "shape", "alone"),
    [
        (GLCM(), (1, 9), GLCM(angles=(0,))),
        (GLCM("haralick"), (9, 1), GLCM("haralick", angles=(90,))),
        (GLCM(distances=(1, 4)), (4, 20), GLCM(distances=(1, 1, 1, 1, 4), angles=(0,), average=False)),
        (GLCM(angles=(0, 90), distances=(3,)), (3, 20), GLCM(angles=(0,), distances=(3,))),
    ],
)
def test_directions_without_a_pair_are_left_out_of_averages(texture, shape, alone):
    rgb = np.asarray(noise(shape[1], shape[0], 3))
    expected = alone.transform([rgb])[0]
    if not alone.average:
        near = GLCM(average=False).transform([rgb])[0].reshape(5, 4)
        far = GLCM(distances=(4,), angles=(0,)).transform([rgb])[0]
        expected = (near.sum(axis=1) + far) / 5
    np.testing.assert_allclose(texture.transform([rgb])[0], expected, rtol=1e-5)


# Settings whose values are those of version 2 for every photo that has a pair in every direction, and others.
UNCHANGED = [{}, {"levels": 8}, {"properties": "haralick"}, {"channels": "rgb"}, {"angles": (0, 90)},
             {"angles": (45, 135)},
             {"angles": (135, 90, 45, 0)}, {"angles": (180, 225, 315)}]  # fmt: skip
CHANGED = [{"average": False}, {"average": False, "angles": (0, 45)}, {"distances": (2,)}, {"distances": (1, 2)},
           {"angles": (45,)}, {"angles": (0, 45, 90)}, {"distances": (3,), "angles": (0, 90)}]  # fmt: skip


def as_version_2(**settings) -> GLCM:
    texture = GLCM(**settings)
    texture.decode_version = 1
    return texture


@pytest.mark.parametrize("settings", UNCHANGED, ids=str)
def test_settings_whose_values_never_changed_keep_version_and_values_to_the_bit(settings):
    texture = GLCM(**settings)
    assert texture.version == 2
    photos = [np.asarray(noise(30, 20, seed)) for seed in range(5)]
    np.testing.assert_array_equal(texture.transform(photos), as_version_2(**settings).transform(photos))


@pytest.mark.parametrize("settings", CHANGED, ids=str)
def test_settings_whose_values_changed_have_another_version_and_old_tables_keep_theirs(settings):
    texture, former = GLCM(**settings), as_version_2(**settings)
    assert (texture.version, former.version) == (3, 2) and texture.fingerprint() != former.fingerprint()
    described = former.record(former.transform([golden_image()])[0])
    again = extractor_from_metadata(described)
    assert again.version == 2
    rgb = np.asarray(noise(30, 2, 1))
    np.testing.assert_array_equal(again.transform([rgb]), former.transform([rgb]))
    assert not np.array_equal(texture.transform([rgb]), former.transform([rgb]))


def test_version_2_is_what_scikit_image_calls_45_degrees_and_counts_empty_directions():
    rgb = np.asarray(noise(30, 2, 1)) // 8 * 8
    levels = np.asarray(Image.fromarray(rgb).convert("L")) // 8
    offsets = graycomatrix(levels, [1, 2], np.deg2rad([0, 45, 90, 135]), 32, symmetric=True, normed=True)
    expected = graycoprops(offsets, "contrast")
    assert expected[1, 2] == 0  # no pair two rows apart
    each, mean = (
        as_version_2(distances=(1, 2), average=average).transform([rgb])[0] for average in (False, True)
    )
    np.testing.assert_allclose(each[:8], expected.ravel(), rtol=1e-6)
    np.testing.assert_allclose(mean[0], expected.mean(), rtol=1e-6)
