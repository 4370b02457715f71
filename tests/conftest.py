"""Fixtures that all rooms share: where the real weights and photos are, small made-up tables, a browser."""

import hashlib
import os
import shutil
from pathlib import Path

import builders
import numpy as np
import pytest
from chromium import Chromium
from PIL import Image

import evaluate
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
    """`compare` on `confused`: two features and both together, two heads."""
    return evaluate.compare(confused, heads=["softmax", "sklearn.naive_bayes.GaussianNB"], cv=4, jobs=1)


@pytest.fixture
def photos(tmp_path, confused) -> FeatureTable:
    """`confused` with a real photo behind each row, 40 wide and 20 high, in ``tmp_path/photos``."""
    folder, digests = tmp_path / "photos", []
    for number, name in enumerate(confused.image):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), (4 * number, 120, 90)).save(path)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    table = confused.with_column("sha256", digests)
    table.metadata["source"] = {"path": str(folder), "kind": "folder"}
    return table


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser for the whole session; without one, tests are skipped, or fail where nothing may be missing."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None or os.name != "posix":
        if os.environ.get("REQUIRE_TEST_ASSETS"):
            pytest.fail("there is no chromium; on Debian: apt-get install chromium")
        pytest.skip("chromium is not installed")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def described(separable) -> FeatureTable:
    """The separable table, with a description of how its vectors were made."""
    return builders.described(separable)
