"""The scripts in examples/ as modules, and a few real photos for them to run on."""

import importlib.util
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(request):
    """A function from the name of a script to its module."""

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def flowers(assets, tmp_path_factory) -> Path:
    """Twelve photos of each of the five kinds."""
    folder = tmp_path_factory.mktemp("photos") / "flower photos"
    for label in ("daisy", "dandelion", "roses", "sunflowers", "tulips"):
        (folder / label).mkdir(parents=True)
        for photo in sorted((assets / "data" / "flowers" / label).iterdir())[:12]:
            shutil.copy(photo, folder / label)
    return folder


@pytest.fixture(scope="session")
def store(networks_store) -> Path:
    """One store for all scripts: what one has computed, the next ones find."""
    return networks_store


@pytest.fixture
def real_weights(assets, monkeypatch) -> Path:
    """Inception v3 finds its weights as a user's does."""
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(assets / "weights"))
    return assets / "weights"
