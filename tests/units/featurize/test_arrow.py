"""Matrices and Arrow's lists: one into the other, without a copy."""

import numpy as np
import pyarrow as pa
import pytest

from featurize.tableformat import lists_to_matrix, matrix_to_lists


def test_lists_and_matrices_turn_into_each_other_without_a_copy():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    lists = matrix_to_lists(matrix)
    assert lists.to_pylist() == matrix.tolist()
    back = lists_to_matrix(lists)
    assert np.shares_memory(back, matrix) and back.tolist() == matrix.tolist()
    assert lists_to_matrix(lists.slice(1, 2)).tolist() == matrix[1:3].tolist()
    assert lists_to_matrix(matrix_to_lists(np.asfortranarray(matrix))).tolist() == matrix.tolist()


@pytest.mark.parametrize("vectors", [[[1.0, None]], [[1.0, 2.0], None]])
def test_nulls_in_vectors_are_refused(vectors):
    with pytest.raises(ValueError, match="null"):
        lists_to_matrix(pa.array(vectors, pa.list_(pa.float32(), 2)))
