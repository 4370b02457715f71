"""A network that is compared with weak texture alone: which opponent is named, and where."""

import json
import re

import numpy as np
import pytest
from builders import run

from evaluate.report.difference_sentences import weak_opponent_in_words
from featurize import FeatureTable

NETWORK = {"family": "inception_v3", "weights": {"source": "imagenet"}}
GLCM, LBP, TEXTURE, SHAPE = (
    {"family": name, "weights": None} for name in ("glcm", "lbp", "texture", "shape")
)
BORDER = {**TEXTURE, "params": {"region": "border"}}
MAKE = "`featurize extract SOURCE --features … texture` makes it"


@pytest.mark.parametrize("features, held, words", [
    ({"net": NETWORK, "glcm": GLCM}, {}, f"net is compared with glcm alone; .*{MAKE}"),
    ({"net": NETWORK, "two": NETWORK, "glcm": GLCM, "lbp:radii=1": LBP}, {},
     "net and two are compared with glcm and lbp:radii=1 alone"),
    ({"net": NETWORK, "glcm": GLCM}, {"texture:grey": TEXTURE}, "add texture:grey to --features"),
    ({"clip": {"family": "imported", "fingerprint": "imported"}, "lbp": LBP}, {}, "clip is compared with lbp alone"),
    ({"net": NETWORK, "glcm": GLCM}, {"texture:region=border": BORDER}, MAKE),
    ({"net": NETWORK, "glcm": GLCM, "texture:region=border": BORDER}, {}, f"net is compared with glcm alone; .*{MAKE}"),
    ({"net": NETWORK, "glcm": GLCM, "texture": TEXTURE}, {}, ""),
    ({"net": NETWORK, "shape": SHAPE}, {}, ""), ({"net": NETWORK}, {}, ""), ({"glcm": GLCM}, {}, ""),
    ({"net": NETWORK, "x": None}, {}, ""),
])  # fmt: skip
def test_a_network_beside_weak_texture_alone_is_told_the_stronger_opponent(features, held, words):
    said = weak_opponent_in_words(features, {**features, **held})
    assert re.search(words, said) if words else said == ""


def test_the_opponent_is_named_in_text_json_and_report(tmp_path):
    X, label = np.random.default_rng(0).random((20, 3)), ["a", "b"] * 10
    table = FeatureTable.from_arrays({"net": X, "glcm": X[:, ::-1]}, label=label)
    metadata = {**table.metadata, "features": {"net": NETWORK, "glcm": GLCM}}
    FeatureTable(table.ids, table.vectors, metadata).write(tmp_path / "t.npz")
    done = run("evaluate", "compare", tmp_path / "t.npz", "--heads", "softmax", "--cv", "2",
               "--json", tmp_path / "r.json", "--report", tmp_path / "r.html")  # fmt: skip
    words = "net is compared with glcm alone; `texture` is the stronger opponent"
    assert done.status == 0 and f"warning: {words}" in done.out
    assert any(words in text for text in json.loads((tmp_path / "r.json").read_text())["warnings"])
    assert words in (tmp_path / "r.html").read_text()
