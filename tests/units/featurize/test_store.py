"""The store as a run uses it: computed once per content, and quickly recognised."""

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
