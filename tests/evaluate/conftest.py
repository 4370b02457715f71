"""Tables and photos for the tests of evaluate."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from evaluate.comparison import compare
from featurize.table import FeatureTable


@pytest.fixture(scope="session")
def confused() -> FeatureTable:
    """60 rows, three labels; features ``good`` (4, right for most) and ``noise`` (2, right by chance)."""
    rng = np.random.default_rng(1)
    label = np.repeat(["ant", "bee", "cat"], 20)
    good = rng.normal(size=(60, 4)) + 2.0 * np.eye(4)[np.repeat([0, 1, 2], 20)]
    return FeatureTable.from_arrays(
        {"good": good, "noise": rng.normal(size=(60, 2))},
        label=label,
        image=[f"{name}/{i}.jpg" for i, name in enumerate(label)],
        sha256=[hashlib.sha256(bytes([i])).hexdigest() for i in range(60)],
    )


@pytest.fixture(scope="session")
def comparison(confused):
    """`compare` on that table: two features and both together, two heads."""
    return compare(confused, heads=["softmax", "sklearn.naive_bayes.GaussianNB"], cv=4, jobs=1)


@pytest.fixture
def photos(tmp_path, confused) -> FeatureTable:
    """The same table with a real photo behind each row, 40 wide and 20 high, in ``tmp_path/photos``."""
    folder, digests = tmp_path / "photos", []
    for number, name in enumerate(confused.image):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (4 * number, 120, 90)).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    table = confused.with_column("sha256", digests)
    table.metadata["source"] = {"path": str(folder), "kind": "folder"}
    return table
