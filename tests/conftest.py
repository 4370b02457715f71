"""Fixtures that all rooms share: where the real weights and photos are, and small made-up tables."""

import os
from pathlib import Path

import builders
import numpy as np
import pytest

from featurize import FeatureTable


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real weights and photos, from TEST_ASSETS; see README, "Develop"."""
    folder = os.environ.get("TEST_ASSETS")
    if folder and (Path(folder) / "weights").is_dir():
        return Path(folder)
    if os.environ.get("REQUIRE_TEST_ASSETS"):
        pytest.fail(f"TEST_ASSETS is {folder!r}, which holds no weights/ folder")
    pytest.skip("set TEST_ASSETS to the folder of real weights and photos")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep tests out of the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def separable() -> FeatureTable:
    """60 rows, three labels that any head tells apart, features ``wide`` (40) and ``noise`` (3)."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["ant", "bee", "cat"], 20)
    # Each label has its own third of the numbers, so that neither length nor scale matters.
    strong = np.equal(np.arange(40) % 3, (np.arange(60) // 20)[:, None])
    wide = np.abs(rng.normal(size=(60, 40))) * 0.3 + 3.0 * strong
    return FeatureTable.from_arrays(
        {"wide": wide, "noise": rng.normal(size=(60, 3))},
        label=labels,
        image=[f"{label}/{i}.jpg" for i, label in enumerate(labels)],
        sha256=[f"{i:064x}" for i in range(60)],
    )


@pytest.fixture
def described(separable) -> FeatureTable:
    """The separable table, with a description of how its vectors were made."""
    return builders.described(separable)
