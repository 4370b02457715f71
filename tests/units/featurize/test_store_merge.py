"""``featurize store merge``: what was computed on several machines, in one store."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import flip_bit, n_stored, run, write_photos

from featurize import FeatureTable, Store, extract
from featurize.store.shard import image_keys


@pytest.fixture
def stores(tmp_path) -> list[Path]:
    """Of twelve photos, two stores with eight each, four of them the same."""
    photos = write_photos(tmp_path / "photos", [f"{n}.png" for n in range(12)])
    stores = [tmp_path / "a", tmp_path / "b"]
    for store, numbers in zip(stores, (range(8), range(4, 12)), strict=True):
        extract([photos / f"{n}.png" for n in numbers], "color", store=store)
    extract([photos / "0.png"], "glcm", store=stores[1])
    return stores


def content(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def merge(*stores: Path, into: Path):
    return run("featurize", "store", "merge", *stores, "-o", into)


@pytest.mark.parametrize("place", ["c", "a", "b"])
def test_a_merged_store_has_all_vectors_once_and_the_others_stay_as_they_were(stores, tmp_path, place):
    target, others = tmp_path / place, [store for store in stores if store.name != place]
    before = [content(store) for store in others]
    done = merge(*stores, into=target)
    assert done.status == 0, done.err
    assert [content(store) for store in others] == before
    assert n_stored(target) == 12 + 1
    copied = {"c": {"color": 12 + 1, "glcm": 2}, "a": {"color": 4, "glcm": 2}, "b": {"color": 4}}[place]
    lines = [line.split() for line in done.out.splitlines()[1:] if "phash" not in line]
    assert {name: int(count) for name, count in lines} == copied
    said = run(
        "featurize",
        "extract",
        tmp_path / "photos",
        "--features",
        "color",
        "--store",
        target,
        "-o",
        tmp_path / "t.parquet",
    )
    assert "nothing was computed" in said.err
    before = content(target)
    assert "copied 0 vectors" in merge(*stores, into=target).err and content(target) == before


def test_parts_that_were_carried_are_assembled(stores, tmp_path):
    words = ["featurize", "extract", tmp_path / "photos", "--features", "color"]
    for number, store in enumerate(stores, 1):
        run(*words, "--store", store, "--part", f"{number}/2")
    assert "and the rows of 2 parts" in merge(*stores, into=tmp_path / "c").err
    done = run(*words, "--store", tmp_path / "c", "-o", tmp_path / "t.parquet")
    assert done.status == 0 and "12 images" in done.err
    assert len(FeatureTable.read(tmp_path / "t.parquet")) == 12


def test_what_is_damaged_is_not_copied_and_what_is_damaged_at_the_target_is_healed(stores, tmp_path):
    a, b = stores
    shutil.copytree(a, tmp_path / "c")
    flip_bit(max((tmp_path / "c").glob("color-*/[0-9a-f]*.parquet"), key=lambda path: path.stat().st_size))
    assert merge(a, b, into=tmp_path / "c").status == 0 and n_stored(tmp_path / "c") == 13
    for hurt in b.glob("glcm-*/[0-9a-f]*.parquet"):
        flip_bit(hurt)
    before = content(b)
    done = merge(b, into=tmp_path / "d")
    assert (
        done.status == 1 and "2 files are damaged and were not copied" in done.error and content(b) == before
    )
    assert n_stored(tmp_path / "d") == 8


@pytest.mark.parametrize(("words", "says"), [
    (["none", "-o", "c"], "there is no store"),
    (["a", "-o", "a"], "nothing to merge"),
    (["a", "-o", "file"], "cannot be made"),
    (["a", "-o", "none://c"], "cannot be reached"),
])  # fmt: skip
def test_what_cannot_be_merged(stores, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    assert says in run("featurize", "store", "merge", *words).error


def test_a_merge_that_was_killed_loses_nothing_and_is_completed_by_the_next(tmp_path):
    section, n_shards = Store(tmp_path / "a").section("demo", "ab" * 32, width=4), 120
    for number in range(n_shards):
        section.write(image_keys([f"{number:064x}"]), np.full((1, 4), number, np.float32))
    (own := Store(tmp_path / "c").section("demo", "ab" * 32, width=4)).write(
        image_keys([f"{n_shards:064x}"]), np.full((1, 4), n_shards, np.float32)
    )
    command = [
        sys.executable,
        "-m",
        "featurize",
        "store",
        "merge",
        str(tmp_path / "a"),
        "-o",
        str(tmp_path / "c"),
    ]
    process = subprocess.Popen(command, start_new_session=True)
    folder = tmp_path / "c" / own.name
    deadline = time.monotonic() + 60
    while len(os.listdir(folder)) < 20 and time.monotonic() < deadline:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    n_there = len(Store(tmp_path / "c").section("demo", "ab" * 32, width=4).keys())
    assert 1 < n_there < n_shards
    assert merge(tmp_path / "a", into=tmp_path / "c").status == 0
    matrix = np.zeros((n_shards + 1, 4), np.float32)
    merged = Store(tmp_path / "c").section("demo", "ab" * 32, width=4)
    assert merged.load(image_keys([f"{n:064x}" for n in range(n_shards + 1)]), matrix).all()
    assert (matrix == np.arange(n_shards + 1)[:, None]).all()
    names = [path.name for path in folder.glob("[0-9a-f]*.parquet")]
    assert len(names) == n_shards + 1, "a vector was copied twice"
