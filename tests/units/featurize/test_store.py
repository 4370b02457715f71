"""The store as a run uses it: computed once per content, and quickly recognised."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize.extraction.run import run_extraction
from featurize.extractors.glcm import GLCM
from featurize.networks.network_extractor import load_frozen_graph, save_frozen_graph
from featurize.photos.source import list_source
from featurize.store.store import Store, section_name

computed: Counter = Counter()


class Counting(GLCM):
    """Texture that counts the images it is asked for."""

    def prepare(self, photo):
        computed["images"] += 1
        return super().prepare(photo)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Six photos in two class folders, all different."""
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for i in range(6):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return folder


def run(photos: Path, tmp_path: Path, **options):
    """The result, and how many images were really computed, without the golden one."""
    computed.clear()
    store = Store(tmp_path / "store", young_seconds=-1.0)  # which remembers photos written a moment ago
    result = run_extraction(list_source(photos), Counting(), store=store, **options)
    return result, computed["images"]


def test_renaming_moving_and_regrouping_compute_nothing(photos, tmp_path):
    first, n = run(photos, tmp_path)
    assert n == 7  # and the golden image
    os.rename(photos / "a" / "0.png", photos / "a" / "renamed.png")
    os.rename(photos / "b" / "1.png", photos / "a" / "moved.png")
    os.rename(photos / "b", photos / "c")
    os.rename(photos, tmp_path / "elsewhere")
    second, n = run(tmp_path / "elsewhere", tmp_path)
    assert n == 0 and second.n_computed == 0
    vector = dict(zip(first.table.sha256, first.table.vectors["glcm"], strict=True))
    for sha256, row in zip(second.table.sha256, second.table.vectors["glcm"], strict=True):
        assert (row == vector[sha256]).all()
    assert sorted(second.table.label) == ["a"] * 4 + ["c"] * 2


def test_duplicates_are_computed_once(photos, tmp_path):
    for i in range(4):
        shutil.copy(photos / "a" / "0.png", photos / "b" / f"copy-{i}.png")
    result, n = run(photos, tmp_path)
    assert n == 7 and len(result.table) == 10
    same = result.table.vectors["glcm"][result.table.sha256 == result.table.sha256[0]]
    assert len(same) == 5 and (same == same[0]).all()


def test_a_changed_photo_is_computed_again_also_with_its_size_and_mtime(photos, tmp_path):
    run(photos, tmp_path)
    path = photos / "a" / "0.png"
    old, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    result, n = run(photos, tmp_path)
    assert (n, result.n_read) == (1, 1)


def test_a_touched_photo_is_read_and_not_computed(photos, tmp_path):
    run(photos, tmp_path)
    os.utime(photos / "a" / "0.png")
    result, n = run(photos, tmp_path)
    assert (n, result.n_read) == (0, 1)


def test_rehash_reads_all_and_computes_nothing(photos, tmp_path):
    run(photos, tmp_path)
    assert run(photos, tmp_path)[0].n_read == 0
    result, n = run(photos, tmp_path, rehash=True)
    assert (n, result.n_read) == (0, 6)


def test_another_extractor_shares_nothing(photos, tmp_path):
    run(photos, tmp_path)
    result = run_extraction(list_source(photos), GLCM(levels=16), store=tmp_path / "store")
    assert result.n_computed == 6
    assert len(Store(tmp_path / "store").folder.folders()) == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "description", "stray"])
def test_a_damaged_store_gives_the_same_table(photos, tmp_path, damage, caplog):
    whole, _ = run(photos, tmp_path)
    section = next((tmp_path / "store").glob("glcm-*"))
    shard = max(section.glob("*.parquet"), key=lambda path: path.stat().st_size)
    data = bytearray(shard.read_bytes())
    if damage == "flip":
        data[-100] ^= 1
        shard.write_bytes(data)
    elif damage == "truncate":
        shard.write_bytes(data[:50])
    elif damage == "description":
        (section / "extractor.json").write_text("")
    else:
        (section / ".partial-00.parquet").write_bytes(data[:50])
    again, n = run(photos, tmp_path)
    assert again.table.digest() == whole.table.digest()
    assert n == (6 if damage in ("flip", "truncate") else 0)
    assert ("set aside" in caplog.text) == (damage != "stray")
    assert run(photos, tmp_path)[1] == 0


def test_extractor_json_says_how_to_make_the_extractor_again(photos, tmp_path):
    run(photos, tmp_path)
    about = json.loads(next((tmp_path / "store").glob("glcm-*/extractor.json")).read_text())
    assert about["fingerprint"] == GLCM().fingerprint() and about["width"] == 5
    assert about["description"] == json.loads(json.dumps(GLCM().description()))
    assert about["family"] == "glcm" and about["params"]["levels"] == 32 and about["versions"]["numpy"]


def test_unchanged_photos_are_recognised_without_reading_them_or_importing_what_computes(photos, tmp_path):
    """In a fresh interpreter: no photo is opened, and what computes is not imported."""
    run(photos, tmp_path)
    program = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from featurize.cli import main
status = main(sys.argv[1:])
assert status == 0
print([name for name in opened if name.endswith(".png")])
print(sorted({"tensorflow", "keras", "skimage"} & set(sys.modules)))
"""
    arguments = ["extract", str(photos), "--features", "glcm", "--quiet"]
    arguments += ["--store", str(tmp_path / "store"), "-o", str(tmp_path / "t.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_a_name_is_safe_on_every_file_system():
    name = section_name("C:\\x/ü*?.pb:pool_3:0" + "y" * 300, "ab" * 32)
    assert name.startswith("C__x____.pb_pool_3_0y") and name.endswith("-" + "ab" * 16) and len(name) == 93


def test_a_load_frozen_graph_is_used_until_one_bit_changes(tmp_path, caplog):
    store = Store(tmp_path)
    save_frozen_graph(store, "cd" * 32, b"a network")
    assert load_frozen_graph(store, "cd" * 32) == b"a network" and load_frozen_graph(store, "ef" * 32) is None
    path = next((tmp_path / "graphs").iterdir())
    path.write_bytes(b"a netwerk")
    assert load_frozen_graph(store, "cd" * 32) is None and not path.exists() and "damaged" in caplog.text
