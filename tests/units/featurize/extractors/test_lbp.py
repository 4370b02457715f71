"""Local binary patterns: by hand, against scikit-image, and the invariances of the method."""

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from featurize import LBP
from featurize.extractors.lbp import uniform_patterns

NOISE = np.repeat(np.random.default_rng(0).integers(1, 200, (40, 50, 1), dtype=np.uint8), 3, axis=2)


def test_a_constant_photo_has_one_pattern_and_a_step_two():
    names = LBP((1,)).value_names
    constant = dict(zip(names, LBP((1,)).transform([NOISE * 0 + 9])[0].tolist(), strict=True))
    assert {name: share for name, share in constant.items() if share} == {"lbp_r1_uniform08": 1}
    step = np.zeros((10, 10, 3), np.uint8)
    step[:, 5:] = 100
    values = dict(zip(names, LBP((1,)).transform([step])[0].tolist(), strict=True))
    # In the first light column the three neighbours to the left are darker; nowhere else is any.
    expected = {"lbp_r1_uniform08": 0.9, "lbp_r1_uniform05": 0.1}
    assert {name: share for name, share in values.items() if share} == pytest.approx(expected)


def test_turning_by_a_right_angle_and_lightening_change_nothing():
    straight, turned, lighter = LBP((1,)).transform([NOISE, np.rot90(NOISE).copy(), NOISE + 50])
    np.testing.assert_allclose(turned, straight, atol=1e-6)
    np.testing.assert_allclose(lighter, straight, atol=1e-6)


@pytest.mark.parametrize("radius", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("shape", [(1, 1), (45, 70), (33, 200)])
def test_counts_are_those_of_scikit_image_on_the_image_with_its_edge_repeated(radius, shape):
    rng = np.random.default_rng(radius)
    # Few levels: many neighbours that are as light as the centre, or nearly.
    for grey in (rng.integers(0, 4, shape, dtype=np.uint8), rng.integers(0, 256, shape, dtype=np.uint8)):
        wide = np.pad(grey, radius, mode="edge")
        patterns = local_binary_pattern(wide, 8 * radius, radius, method="uniform")
        inner = patterns[radius:-radius, radius:-radius].astype(int)
        expected = np.bincount(inner.ravel(), minlength=8 * radius + 2)
        np.testing.assert_array_equal(uniform_patterns(grey, radius), expected)
