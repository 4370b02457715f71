"""Vectors with gaps."""

import numpy as np
import pytest

from classify.rows import select_vectors
from featurize.errors import TableError
from featurize.table import FeatureTable


def test_opposite_infinities_do_not_cancel_and_the_largest_numbers_pass():
    largest = np.finfo(np.float32).max
    table = FeatureTable.from_arrays({"x": [[largest, largest], [-largest, -largest]]})
    assert (select_vectors(table, "x") == table.vectors["x"]).all()
    table = FeatureTable.from_arrays({"x": [[np.inf, -np.inf]]})
    with pytest.raises(TableError, match="NaN or infinity"):
        select_vectors(table, "x")
