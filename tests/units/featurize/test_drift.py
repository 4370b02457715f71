"""How far a vector computed now is from the stored one."""

import numpy as np
import pytest

from featurize.extractors.base import relative_drift


def test_drift_is_relative_and_never_hides_a_nan():
    zero = np.zeros(2)
    assert relative_drift(zero, zero) == 0 and relative_drift(np.ones(2), zero) == np.inf
    assert relative_drift(np.array([np.nan, 1]), np.ones(2)) == np.inf
    assert relative_drift(np.array([0.0, 1.1]), np.array([0.0, 1.0])) == pytest.approx(0.1)
