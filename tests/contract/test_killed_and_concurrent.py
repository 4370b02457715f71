"""Runs that are killed, that meet, and that fill the disk: nothing stored is lost, nothing wrong is stored."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import n_stored, run, write_photos

from featurize import FeatureTable, extract

N_PHOTOS = 400
N_KILLS = 9
LOST = 256  # images that a kill may cost at most


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(N_PHOTOS)]
    return write_photos(tmp_path_factory.mktemp("photos"), names)


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory) -> FeatureTable:
    return extract(photos, "glcm", store=tmp_path_factory.mktemp("fresh"))


def start(photos: Path, store: Path, output: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "featurize", "extract", str(photos), "--features", "glcm", "--quiet"]
    command += ["--store", str(store), "-o", str(output), "--jobs", "1"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


# A process with everything imported, which makes copies of itself to be killed: a run begins in no time.
ZYGOTE = """
import os, sys
from featurize import GLCM, extract
import skimage.feature

photos = sys.argv[1]

class Counting(GLCM):
    batch_size = 16

    def prepare(self, photo):
        vector = super().prepare(photo)
        with open(counter, "ab", buffering=0) as stream:
            stream.write(b".")
        return vector

for line in sys.stdin:
    store, counter = line.rstrip().split("|")
    child = os.fork()
    if child == 0:
        extract(photos, Counting(), store=store, jobs=1)
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="many runs are quick only where processes can be copied")
def test_killed_many_times_at_random_moments(photos, whole, tmp_path):
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
            enough, deadline = min(int(rng.integers(150, 400)), N_PHOTOS - n_before), time.monotonic() + 60
            while counter.stat().st_size < enough and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(float(rng.uniform(0, 0.02)))
            os.kill(child, signal.SIGKILL)
            answer(zygote, "")
            n_now, n_computed = n_stored(store), counter.stat().st_size
            assert n_now >= n_before + n_computed - LOST
            n_interrupted += 0 < n_now < N_PHOTOS
            n_before = n_now
            if n_now >= N_PHOTOS:
                complete(photos, store, whole)
                n_stores, n_before = n_stores + 1, 0
    complete(photos, store, whole)
    assert n_interrupted >= 3


def answer(zygote: subprocess.Popen, line: str) -> str:
    zygote.stdin.write(line + "\n")
    zygote.stdin.flush()
    return zygote.stdout.readline()


def complete(photos: Path, store: Path, whole: FeatureTable) -> None:
    output = store.parent / "completed.npz"
    words = ["featurize", "extract", photos, "--features", "glcm", "--store", store, "-o", output]
    n_before = n_stored(store)
    said = run(*words).err
    if 0 < n_before < N_PHOTOS:
        assert f"{N_PHOTOS - n_before} computed, {n_before} from the store" in said
    assert FeatureTable.read(output).digest() == whole.digest()
    assert "nothing was computed" in run(*words).err
    assert not list(store.rglob("*lock*"))


def test_a_killed_command_is_completed_by_the_next(photos, whole, tmp_path):
    store, output = tmp_path / "store", tmp_path / "t.parquet"
    process = start(photos, store, output)
    while len(list(store.glob("glcm-*/[0-9a-f]*.parquet"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not output.exists() and n_stored(store) > 0
    complete(photos, store, whole)


def test_two_at_once_on_overlapping_folders(photos, whole, tmp_path):
    store, half = tmp_path / "store", tmp_path / "half"
    (half / "a").mkdir(parents=True)
    for path in (photos / "a").iterdir():
        os.link(path, half / "a" / path.name)
    processes = [start(photos, store, tmp_path / "1.parquet"), start(half, store, tmp_path / "2.parquet")]
    for process in processes:
        messages = process.communicate(timeout=300)[1].decode()
        assert process.returncode == 0, messages
    first, second = (FeatureTable.read(tmp_path / f"{n}.parquet") for n in (1, 2))
    assert first.digest() == whole.digest()
    assert second.digest() == whole.filter(whole.label == "a").digest()
    left = {path.name for path in store.iterdir() if path.is_file()}
    assert left == {"files.sqlite"} and not list(store.rglob(".partial-*"))
    complete(photos, store, whole)


@pytest.fixture
def small_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    command = [*"mount -t tmpfs -o size=300k tmpfs".split(), str(tmp_path / "disk")]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.parametrize("free", [4096, 12_288, 40_960, 131_072])
def test_a_full_disk_ends_in_a_clear_error_and_an_intact_store(photos, whole, small_disk, tmp_path, free):
    store, output = small_disk / "store", tmp_path / "t.parquet"
    ballast = small_disk / "ballast"
    status = os.statvfs(small_disk)
    ballast.write_bytes(b"x" * (status.f_bavail * status.f_frsize - free))
    words = ["featurize", "extract", photos, "--features", "glcm", "--store", store, "-o", output, "--quiet"]
    done = run(*words, "--jobs", "1")
    if done.status == 0:  # the last one: it was enough
        assert free > 100_000
    else:
        assert done.status == 1 and "space" in done.err and not output.exists()
        assert [line.split(":")[0] for line in done.err.splitlines()[-2:]] == ["error", "hint"]
    assert not list(store.rglob(".partial-*"))
    ballast.unlink()
    n_before = n_stored(store)
    done = run(*words)
    assert done.status == 0 and "damaged" not in done.err
    assert FeatureTable.read(output).digest() == whole.digest() and n_stored(store) >= n_before
