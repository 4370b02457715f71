"""Numbers that are not finite are never a vector."""

import numpy as np

NOT_FINITE = "numbers that are not finite (NaN or infinity)"


def finite_rows(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors as float32 of shape (n, width), and which of them hold finite numbers alone, as booleans.

    >>> finite_rows(np.array([[1.0, 2.0], [1.0, 1e300]]))[1]
    array([ True, False])
    """
    with np.errstate(over="ignore"):
        matrix = np.asarray(vectors, dtype=np.float32)
    return matrix, np.all(np.isfinite(matrix), axis=1)
