"""Between Arrow and numpy by way of their buffers.

Arrow's own ``pa.array`` and ``to_numpy`` import pandas, which costs a run that computes nothing a third of its time.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

# Arrow's names where numpy has others. A type's own `to_pandas_dtype` imports pandas in pyarrow 17.
FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}


def numbers_to_arrow(values: np.ndarray) -> pa.Array:
    """A numeric array of one dimension as an Arrow array without nulls, sharing memory where it is contiguous.

    >>> numbers_to_arrow(np.array([1, 2])).to_pylist()
    [1, 2]
    """
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def arrow_to_numbers(values: pa.Array) -> np.ndarray:
    """A numeric Arrow array without nulls as a numpy array that shares its memory, read-only."""
    name = str(values.type)
    dtype = np.dtype(FLOATS.get(name, name))
    if not len(values):
        return np.empty(0, dtype=dtype)
    return np.frombuffer(values.buffers()[1], dtype=dtype)[values.offset : values.offset + len(values)]


def text_to_arrow(values: Sequence[str | None]) -> pa.Array:
    """Text as an Arrow array of strings; None is null.

    >>> text_to_arrow(["é", None, ""]).to_pylist()
    ['é', None, '']
    """
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    if ends[-1] >= 1 << 31:
        # Beyond two gigabytes Arrow wants several chunks; it may import what it likes.
        return pa.chunked_array([list(values)], pa.string()).combine_chunks()
    valid = np.array([value is not None for value in values], dtype=bool)
    bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    offsets = pa.py_buffer(ends.astype(np.int32))
    return pa.StringArray.from_buffers(len(encoded), offsets, pa.py_buffer(b"".join(encoded)), bitmap)


def matrix_to_lists(matrix: np.ndarray) -> pa.Array:
    """A float32 matrix as an Arrow array of fixed-size lists, sharing memory where it is contiguous."""
    return pa.FixedSizeListArray.from_arrays(numbers_to_arrow(matrix.reshape(-1)), matrix.shape[1])


def lists_to_matrix(column: pa.Array) -> np.ndarray:
    """The float32 matrix of an Arrow array of fixed-size lists.

    Raises
    ------
    ValueError
        If a vector, or a number in one, is null.
    """
    flat = column.flatten()
    if column.null_count or flat.null_count:
        raise ValueError("a vector is null, or holds a null")
    return arrow_to_numbers(flat).reshape(len(column), column.type.list_size)
