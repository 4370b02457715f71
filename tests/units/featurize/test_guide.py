"""The package's README names files and functions that are there."""

import importlib
import re
from pathlib import Path

import pytest

import featurize

HOME = Path(featurize.__file__).parent
CHECKOUT = Path(__file__).parents[3]
GUIDE = (CHECKOUT / "featurize" / "README.md").read_text(encoding="utf-8")
ANSWERS = re.findall(r"`([\w/]+)\.py`: ((?:`[\w.]+`(?:, )?)+)", GUIDE)


def test_every_file_that_the_guide_names_is_there():
    named = set(re.findall(r"`([\w/]+\.(?:py|csv))`", GUIDE)) - {"retrain.py"}
    assert len(named) > 20
    everywhere = {path.name for path in HOME.rglob("*.*")}
    for name in named:
        assert name in everywhere or (HOME / name).is_file() or (CHECKOUT / name).is_file(), name


@pytest.mark.parametrize(("module", "names"), ANSWERS)
def test_every_function_that_the_guide_names_is_there(module, names):
    found = importlib.import_module(f"featurize.{module}".replace("/", "."))
    for name in re.findall("`([\\w.]+)`", names):
        thing = found
        for part in name.split("."):
            thing = getattr(thing, part)
