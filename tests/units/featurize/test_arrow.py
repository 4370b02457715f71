"""Arrow and numpy through their buffers: the same as Arrow's own way, which would import pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featurize.cli import main
from featurize.tableformat import (
    arrow_to_numbers,
    lists_to_matrix,
    matrix_to_lists,
    numbers_to_arrow,
    text_to_arrow,
)


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


@given(st.lists(st.none() | st.text(), max_size=20))
def test_text_is_what_arrow_makes_of_it(values):
    assert text_to_arrow(values).equals(pa.array(values, pa.string()))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.integers(0, 5))
def test_numbers_come_back_also_from_a_slice(values, start):
    column = numbers_to_arrow(np.array(values, dtype=np.int64))
    assert column.equals(pa.array(values, pa.int64()))
    assert arrow_to_numbers(column.slice(start)).tolist() == values[start:]


def test_an_unchanged_folder_is_recognised_without_pandas(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    command = [
        "extract",
        tmp_path,
        "-o",
        tmp_path / "t.parquet",
        "--features",
        "glcm",
        "--store",
        tmp_path / "s",
    ]
    command = [*map(str, command), "--quiet"]
    assert main(command) == 0
    code = f"""
import sys
from featurize.cli import main
assert main({command}) == 0
assert not {{"pandas", "sklearn", "skimage", "scipy", "tensorflow"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
