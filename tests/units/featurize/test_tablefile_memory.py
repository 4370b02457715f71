"""How much memory reading a table takes."""

import subprocess
import sys

import numpy as np
import pytest

from featurize import FeatureTable


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", [".parquet", ".npz"])
def test_reading_does_not_hold_the_table_twice(tmp_path, ending):
    for name, n_rows in {"small": 10, "large": 120_000}.items():
        vectors = np.random.default_rng(0).random((n_rows, 512), dtype=np.float32)
        FeatureTable.from_arrays({"x": vectors}).write(tmp_path / f"{name}{ending}")
    # The small one first, so that what the readers themselves need is in the first figure.
    code = (
        "import sys, re\n"
        "from featurize import FeatureTable\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "FeatureTable.read(sys.argv[1]); before = peak(); FeatureTable.read(sys.argv[2]); print(peak() - before)"
    )
    files = [str(tmp_path / f"{name}{ending}") for name in ("small", "large")]
    result = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 1.5 * vectors.nbytes
