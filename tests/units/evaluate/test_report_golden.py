"""A small report as it was last looked at: whoever changes what it says sees the difference, and decides.

Numbers are kept to three digits, times and versions are left out, pictures are told by their size, and the style and
the script, which say nothing, by their names.
"""

import base64
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluate.studies.compare import compare
from featurize.table import FeatureTable

KEPT = Path(__file__).parent / "golden"
LEFT_OUT = ("versions", "model_bytes", "run")
UPDATE = "UPDATE_GOLDEN=1 pytest tests/units/evaluate/test_report_golden.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Four kinds of leaves, of which one photo is there twice under two labels, and one label says the file's size."""
    rng = np.random.default_rng(5)
    label = np.repeat(["ash", "beech", "<i>elm</i>", "oak"], 12)
    place = np.arange(48) // 12
    network = np.abs(rng.normal(size=(48, 64))).round(2) + 1.5 * np.equal(np.arange(64) % 4, place[:, None])
    network[1] = network[0]
    network[25] = network[37] * 1.01
    texture = (rng.normal(size=(48, 2)) + place[:, None] // 2).round(2)
    nuisance = np.stack([np.where(place == 3, 400, 300), rng.integers(0, 9, 48)], axis=1).astype(float)
    # But for two, the photos are known by their place alone, as with an imported table.
    sha256 = [f"{25:064x}" if number in (25, 37) else None for number in range(48)]
    image = [f"{name}/{i}.jpg" for i, name in enumerate(label)]
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(image[::2]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30 + number, 20), (5 * number, 120, 60)).save(path)
    table = FeatureTable.from_arrays(
        {"net": network, "glcm": texture, "nuisance": nuisance}, label=label, image=image, sha256=sha256
    )
    table.metadata["source"] = {"kind": "folder", "path": str(folder)}
    net = {"family": "inception_v3", "width": 64, "fingerprint": "ab" * 32, "spec": "net"}
    weights = {"source": "file", "file": "net.h5", "sha256": "cd" * 32}
    table.metadata["features"] = {"net": {**net, "weights": weights, "description": {"layer": "last"}}}
    kinds = {"ash": "soft", "beech": "hard", "<i>elm</i>": "soft", "oak": "hard"}
    result = compare(table, heads=["softmax", "knn"], cv=3, repeats=2, superclasses=kinds, jobs=1)
    result.command = "evaluate compare leaves.parquet --heads softmax knn"
    result.data.source = {"kind": "folder", "path": "leaves"}
    return result, folder


def rounded(value, key=""):
    """The content without what differs from run to run or from machine to machine."""
    if key in LEFT_OUT:
        return "left out"
    if isinstance(value, dict):
        return {name: rounded(one, name) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.3g}")
    if isinstance(value, str):
        return re.sub(r"The work was done with .*", "The work was done with ...", value)
    return value


def picture(match):
    size = Image.open(io.BytesIO(base64.b64decode(match[1]))).size
    return "data:{}x{}".format(*size)


def plain(page):
    """The page without what differs from run to run or from machine to machine."""
    page = re.sub(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", picture, page)
    page = re.sub(r"<style>.*?</style>", "<style>style.css</style>", page, flags=re.DOTALL)
    page = re.sub(r"<svg .*?</svg>", "<svg>drawing</svg>", page, flags=re.DOTALL)
    page = re.sub(r"<template .*?</template>", "<template>points</template>", page, flags=re.DOTALL)
    page = re.sub(r"<script>.*?</script>", "<script>report.js</script>", page, flags=re.DOTALL)
    page = re.sub(r"'sha256-[^']*'", "'sha256-...'", page)
    page = re.sub(r"The work was done with [^<]*", "The work was done with ...", page)
    page = re.sub(r"(<dt>Versions</dt>\s*<dd>)[^<]*", r"\1...", page)
    page = re.sub(r"\d+\.\d{4,}(e-\d+)?", lambda number: f"{float(number[0]):.3g}", page)
    page = re.sub(r'(<p class="byline"><span class="name">)[^<]*', r"\1...", page)
    page = re.sub(r"(<dt>Date</dt>)<dd>[^<]*", r"\1<dd>...", page)
    # The last column of the comparison is the size of the model.
    last = r'\s*<td class="number">[\d.,?]+</td>(\s*</tr>)'
    head, table, rest = re.split(r'(<table class="comparison sortable">.*?</table>)', page, flags=re.DOTALL)
    rest, run = rest.split('<section id="run">')
    run = re.sub(r'(?:\s*<td class="number">[\d.]+</td>){2}(\s*</tr>)', r" ...\1", run)
    return head + re.sub(last, r" ...\1", table) + rest + '<section id="run">' + run


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_the_report_is_as_it_was_last_looked_at(found, name):
    result, folder = found
    if name.endswith(".json"):
        text = json.dumps(rounded(result.to_dict()), indent=1, ensure_ascii=False) + "\n"
    else:
        text = plain(result.to_html(images=folder)).replace(str(folder), "FOLDER")
    if os.environ.get("UPDATE_GOLDEN"):
        KEPT.mkdir(exist_ok=True)
        (KEPT / name).write_text(text, encoding="utf-8")
    kept = (KEPT / name).read_text(encoding="utf-8")
    assert text == kept, f"the report says something else; if it should, run {UPDATE}, look at the difference"
