"""Runs that are killed, that meet, and that fill the disk: nothing stored is lost, nothing wrong is stored."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurize.extraction.run import run_extraction
from featurize.extractors.base import GOLDEN_SHA256
from featurize.photos.source import list_source
from featurize.store.shard import image_keys
from featurize.store.store import Store
from featurize.table import FeatureTable
from featurize.upkeep import open_sections

N_PHOTOS = 400
N_KILLS = 25


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """400 small photos, all different, in two class folders."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(N_PHOTOS):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory) -> FeatureTable:
    """The table made in one go."""
    return run_extraction(list_source(photos), "glcm", store=tmp_path_factory.mktemp("fresh")).table


def start(photos: Path, store: Path, output: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "featurize", "extract", str(photos), "--features", "glcm", "--quiet"]
    command += ["--store", str(store), "-o", str(output), "--jobs", "1", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def finish(process: subprocess.Popen) -> str:
    messages = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0, messages
    return messages


def n_stored(store: Path) -> int:
    """How many photos are stored; the synthetic image, which comes first, is none."""
    golden = image_keys([GOLDEN_SHA256])
    return sum(int((section.keys() != golden).sum()) for section in open_sections(Store(store)))


# A process with everything imported, which makes copies of itself to be killed: a run begins in no time.
ZYGOTE = """
import os, sys, time
from featurize.store import store as section
from featurize.extraction.run import run_extraction
from featurize.photos.source import list_source
from featurize.extractors.glcm import GLCM
import skimage.feature

section.UNSAVED_ROWS = 100  # many small shards, so that many kills fall into the writing of one
photos = sys.argv[1]

class Counting(GLCM):
    batch_size = 16  # two batches and 64 decoded ahead are fewer than 100

    def prepare(self, photo):
        vector = super().prepare(photo)
        with open(counter, "ab", buffering=0) as stream:
            stream.write(b".")
        return vector

for line in sys.stdin:
    store, counter = line.rstrip().split("|")
    child = os.fork()
    if child == 0:
        run_extraction(list_source(photos), Counting(), store=store, jobs=1)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="25 runs are quick only where processes can be copied")
def test_killed_25_times_at_random_moments(photos, whole, tmp_path):
    """Each run is killed while it computes and writes; none loses what an earlier one stored."""
    command = [sys.executable, "-c", ZYGOTE, str(photos)]
    rng = np.random.default_rng(1)
    n_stores, n_before, n_interrupted = 0, 0, 0
    counter = tmp_path / "counter"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as zygote:
        for _ in range(N_KILLS):
            store = tmp_path / f"store{n_stores}"
            counter.write_bytes(b"")
            child = int(answer(zygote, f"{store}|{counter}"))
            # The moment counts in images, so that a busy machine changes nothing, and falls anywhere in the next ones.
            enough, deadline = min(int(rng.integers(1, 180)), N_PHOTOS - n_before), time.monotonic() + 30
            while counter.stat().st_size < enough and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(float(rng.uniform(0, 0.02)))
            os.kill(child, signal.SIGKILL)
            answer(zygote, "")
            n_now, n_computed = n_stored(store), counter.stat().st_size
            assert n_now >= n_before + n_computed - 100
            n_interrupted += 0 < n_now < N_PHOTOS
            n_before = n_now
            if n_now >= N_PHOTOS:
                complete(photos, store, whole)
                n_stores, n_before = n_stores + 1, 0
    complete(photos, store, whole)
    assert n_interrupted >= 10


def answer(zygote: subprocess.Popen, line: str) -> str:
    zygote.stdin.write(line + "\n")
    zygote.stdin.flush()
    return zygote.stdout.readline()


def complete(photos: Path, store: Path, whole: FeatureTable) -> None:
    """What is missing is computed, the table is that made in one go, and nothing but the store is left."""
    n_before = n_stored(store)
    result = run_extraction(list_source(photos), "glcm", store=store)
    assert result.n_computed == max(0, N_PHOTOS - n_before) and result.table.digest() == whole.digest()
    assert run_extraction(list_source(photos), "glcm", store=store).n_computed == 0
    assert not list(store.rglob("*lock*"))


def test_a_killed_command_is_completed_by_the_next(photos, whole, tmp_path):
    """The real command: killed as soon as a shard stands beside that of the synthetic image, then run again."""
    store, output = tmp_path / "store", tmp_path / "t.parquet"
    process = start(photos, store, output)
    while len(list(store.glob("glcm-*/[0-9a-f]*.parquet"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not output.exists() and n_stored(store) > 0
    finish(start(photos, store, output))
    assert FeatureTable.read(output).digest() == whole.digest()


NETWORK = """
import sys, time
from featurize.networks.keras_network import InceptionV3
from featurize.extraction.run import run_extraction
from featurize.photos.source import list_source

photos, store, counter, *tables = sys.argv[1:]

class Counting(InceptionV3):
    def run_together(self, team, prepared):
        result = super().run_together(team, prepared)
        with open(counter, "ab", buffering=0) as stream:
            stream.write(b"." * len(prepared))
        if not tables:
            time.sleep(0.2)  # for the kill to come before the next batch
        return result

extractor = Counting(weights="random", layer="mixed0")
for place, table in zip([store, store + "-fresh"], tables or [None, None]):
    result = run_extraction(list_source(photos), extractor, store=place)
    if not tables:
        break
    result.table.write(table)
"""


@pytest.mark.tensorflow
def test_a_network_killed_twice_loses_at_most_256_images(photos, tmp_path):
    """Killed at two moments of its computing; then completed, bit by bit what one go in a fresh store gives."""
    store, counter, tables = (
        tmp_path / "store",
        tmp_path / "counter",
        [tmp_path / "1.npz", tmp_path / "2.npz"],
    )
    few = tmp_path / "few"
    few.mkdir()
    for path in photos.rglob("*.png"):
        os.link(path, few / path.name)
    command = [sys.executable, "-c", NETWORK, str(few), str(store), str(counter)]
    n_kept = 0
    # By the first kill more is computed than may be lost, and two batches are still to come.
    for at_least in (320, 32):
        counter.write_bytes(b"")
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        while counter.stat().st_size < at_least and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        messages = process.communicate()[1].decode()
        assert process.returncode == -signal.SIGKILL, messages
        n_before, n_kept = n_kept, n_stored(store)
        assert n_kept >= n_before + counter.stat().st_size - 256
    counter.write_bytes(b"")
    subprocess.run([*command, *map(str, tables)], check=True, capture_output=True, timeout=120)
    interrupted, alone = (FeatureTable.read(table) for table in tables)
    assert interrupted.digest() == alone.digest() and len(alone) == N_PHOTOS
    # The first found what the killed runs had kept, also the golden vector; the other makes that too.
    assert counter.stat().st_size == 2 * N_PHOTOS - n_kept + 1


def test_two_at_once_on_overlapping_folders(photos, whole, tmp_path):
    store = tmp_path / "store"
    half = tmp_path / "half"
    (half / "a").mkdir(parents=True)
    for path in (photos / "a").iterdir():
        os.link(path, half / "a" / path.name)
    processes = [start(photos, store, tmp_path / "1.parquet"), start(half, store, tmp_path / "2.parquet")]
    for process in processes:
        finish(process)
    first, second = (FeatureTable.read(tmp_path / f"{n}.parquet") for n in (1, 2))
    assert first.digest() == whole.digest()
    expected = whole.filter(whole.label == "a")
    assert second.digest() == expected.digest()
    left = {path.name for path in store.iterdir() if path.is_file()}
    assert left == {"files.sqlite"} and not list(store.rglob(".partial-*"))
    assert run_extraction(list_source(photos), "glcm", store=store).n_computed == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, text=True
        )
        if sys.platform == "linux"
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip(
            f"no small disk can be mounted here: {mounted.stderr.strip() if mounted else sys.platform}"
        )
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("free", [4096, 12_288, 40_960, 131_072])
def test_a_full_disk_ends_in_a_clear_error_and_an_intact_store(photos, whole, small_disk, tmp_path, free):
    """However much room is left: nothing half-written stays, and the next run goes on from there."""
    store, output = small_disk / "store", tmp_path / "t.parquet"
    ballast = small_disk / "ballast"
    status = os.statvfs(small_disk)
    ballast.write_bytes(b"x" * (status.f_bavail * status.f_frsize - free))
    process = start(photos, store, output)
    messages = process.communicate(timeout=120)[1].decode()
    if process.returncode == 0:  # the last one: it was enough
        assert free > 100_000
    else:
        lines = messages.strip().splitlines()
        assert process.returncode == 1 and "Traceback" not in messages
        assert [line.split(":")[0] for line in lines[-2:]] == ["error", "hint"], messages
        assert "space" in messages and not output.exists()
    assert not list(store.rglob(".partial-*"))
    ballast.unlink()
    n_before = n_stored(store)
    messages = finish(start(photos, store, output))
    assert "damaged" not in messages
    assert FeatureTable.read(output).digest() == whole.digest() and n_stored(store) >= n_before
