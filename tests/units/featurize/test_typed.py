"""Editors and mypy see through the lazy face of the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import featurize

USER = """\
from featurize import GLCM, FeatureTable, InceptionV3, Store, extract
network = InceptionV3(weights="random")
table: FeatureTable = extract(["a.jpg"], [GLCM(levels=16), network, "lbp"], store=Store("s"), jobs=2)
print(table.label.shape, table.select("glcm").mean(), GLCM().transform(["a.jpg"]))
extract(42)
GLCM(levelz=3)
table.no_such_method()
extract("photos", [3])
from featurize import NoSuchName
Store(7)
"""


def test_mistakes_of_a_user_are_errors_in_mypy_and_right_lines_are_none(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER)
    # An installed package is seen by itself, and mypy refuses site-packages as a path.
    home = Path(featurize.__file__).parent.parent
    path = {} if home.name == "site-packages" else {"MYPYPATH": str(home)}
    command = ["-m", "mypy", "--config-file", os.devnull, "--ignore-missing-imports", "user.py"]
    options = {"cwd": tmp_path, "env": os.environ | path, "capture_output": True, "text": True}
    said = subprocess.run([sys.executable, *command], **options).stdout
    errors = {int(number) for number in re.findall(r"^user\.py:(\d+):.* error:", said, re.MULTILINE)}
    assert errors == {5, 6, 7, 8, 9, 10}, said
