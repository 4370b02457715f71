"""Editors and mypy see through the lazy face of the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import featurize

USER = """\
import io
import numpy as np
import pandas as pd
from PIL import Image
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
array = np.zeros((4, 4, 3), np.uint8)
extract([("a.jpg", "rose"), (array, 3), (b"", None)], ["glcm"])
extract(pd.DataFrame({"image": ["a.jpg"]}), ["glcm"])
extract(["a.jpg", b"", io.BytesIO(), open("a.jpg", "rb"), Image.open("a.jpg"), array, {"bytes": b"", "path": "a"}])
extract((array for _ in range(3)), ["glcm"])
GLCM().transform([array, "a.jpg"])
extract([42], ["glcm"])
extract([("a.jpg", 2.5)], ["glcm"])
GLCM().transform(42)
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
    assert errors == {9, 10, 11, 12, 13, 14, 21, 22, 23}, said
