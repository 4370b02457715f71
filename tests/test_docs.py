"""The examples in docstrings and in README do what they say."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest


def modules() -> list[str]:
    names = []
    for package in ("featurize", "classify", "evaluate"):
        path = importlib.import_module(package).__path__
        names += [
            m.name for m in pkgutil.walk_packages(path, f"{package}.") if not m.name.endswith("__main__")
        ]
    return names


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    result = doctest.testmod(
        module, extraglobs={"np": np}, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert result.failed == 0
