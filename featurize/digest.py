"""What tells one table's content from another's, without holding its text in memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

ROWS_AT_ONCE = 4096


def table_digest(ids: pa.Table, vectors: Mapping[str, tuple[int, Iterable[np.ndarray]]]) -> str:
    """SHA-256 over ids and vectors, in hex.

    Parameters
    ----------
    ids : pyarrow.Table
        The id columns.
    vectors : mapping of str to (width, matrices)
        Per features how wide its vectors are, and the rows of its matrix in order, in any number of pieces.

    Returns
    -------
    str

    Examples
    --------
    >>> ids, X = pa.table({"image": ["a.jpg", "b.jpg"]}), np.eye(2, dtype=np.float32)
    >>> table_digest(ids, {"x": (2, [X])}) == table_digest(ids, {"x": (2, [X[:1], X[1:]])})
    True
    """
    digest = hashlib.sha256()
    for text in _as_json(ids):
        digest.update(text.encode())
    for name, (width, matrices) in sorted(vectors.items()):
        digest.update(f"{name}:{(ids.num_rows, width)}".encode())
        for matrix in matrices:
            digest.update(np.ascontiguousarray(matrix).data)
    return digest.hexdigest()


def _as_json(ids: pa.Table) -> Iterator[str]:
    """``json.dumps(ids.to_pydict(), sort_keys=True)``, piece by piece."""
    opening = "{"
    for name in sorted(ids.column_names):
        yield f"{opening}{json.dumps(name)}: ["
        for start in range(0, ids.num_rows, ROWS_AT_ONCE):
            values = ids[name].slice(start, ROWS_AT_ONCE).to_pylist()
            yield ", " * (start > 0) + json.dumps(values)[1:-1]
        yield "]"
        opening = ", "
    yield "}"
