"""The digest of a table: of the same text as ever, and the same whatever its pieces."""

import hashlib
import json

import numpy as np
import pytest

from featurize.table import FeatureTable, table_digest


@pytest.mark.parametrize("n_rows", [0, 1, 9000])
def test_it_is_that_of_the_json_of_all_ids_and_the_bytes_of_all_vectors(n_rows):
    rng = np.random.default_rng(0)
    vectors = {"b": rng.random((n_rows, 2)).astype("f4"), "a": rng.random((n_rows, 3)).astype("f4")}
    labels = ['né"', None, "\\"] * (n_rows // 3) + ["x"] * (n_rows % 3)
    table = FeatureTable.from_arrays(vectors, label=labels)
    expected = hashlib.sha256(json.dumps(table.ids.to_pydict(), sort_keys=True).encode())
    for name in ("a", "b"):
        expected.update(f"{name}:{vectors[name].shape}".encode() + vectors[name].tobytes())
    assert table.digest() == expected.hexdigest()
    pieces = {name: (m.shape[1], np.array_split(m, 7)) for name, m in vectors.items()}
    assert table_digest(table.ids, pieces) == expected.hexdigest()
