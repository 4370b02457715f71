"""Tables are written and read under any name that the system allows."""

from pathlib import Path

import numpy as np
import pytest

from featurize.table import FeatureTable


@pytest.mark.parametrize("ending", [".parquet", ".npz"])
@pytest.mark.parametrize("place", ["jos\udce9/t", "exp:1/t", "run:3"])
def test_a_table_is_written_and_read_wherever_the_system_has_files(tmp_path, monkeypatch, ending, place):
    """A path that is no UTF-8, or that looks like a URL; also as a place that the table's metadata tells."""
    monkeypatch.chdir(tmp_path)
    path = Path(place + ending)
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError:
        pytest.skip("this system has no such names")
    table = FeatureTable.from_arrays({"x": np.ones((2, 3), dtype=np.float32)}, image=["a", "b"])
    table.metadata["source"] = {"path": str(path)}
    table.metadata["features"] = {"x": {"weights": {"file": str(path)}}}
    table.write(path)
    back = FeatureTable.read(path)
    assert back.digest() == table.digest()
    assert back.metadata["features"]["x"]["weights"]["file"] == str(path)
    assert sum(len(part) for part in FeatureTable.read_batches(path)) == 2
