"""The store as runs use it: computed once per content, quickly recognised, whole after damage, also elsewhere."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders import run, write_photos

from featurize import GLCM, Store, extract

NAMES = [f"{'ab'[i % 2]}/{i}.png" for i in range(6)]
calls: Counter = Counter()
opened: set[str] = set()


def note_open(event: str, arguments: tuple) -> None:
    if event == "open" and str(arguments[0]).endswith(".png"):
        opened.add(str(arguments[0]))


sys.addaudithook(note_open)


class Counting(GLCM):
    def prepare(self, photo):
        calls["computed"] += (photo.width, photo.height) == (20, 20)
        return super().prepare(photo)


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_photos(tmp_path / "photos", NAMES, 20, 20)


def counted(photos, store, **options):
    calls.clear()
    opened.clear()
    # Also photos that were written a moment ago.
    remembering = store if isinstance(store, Store) else Store(store, young_seconds=-1.0)
    table = extract(photos, Counting(), store=remembering, **options)
    return table, calls["computed"], len(opened)


def test_renaming_moving_and_regrouping_compute_nothing(photos, tmp_path):
    first, n_computed, _ = counted(photos, tmp_path / "store")
    assert n_computed == 6
    os.rename(photos / "a" / "0.png", photos / "a" / "renamed.png")
    os.rename(photos / "b" / "1.png", photos / "a" / "moved.png")
    os.rename(photos / "b", photos / "c")
    os.rename(photos, tmp_path / "elsewhere")
    second, n_computed, _ = counted(tmp_path / "elsewhere", tmp_path / "store")
    assert n_computed == 0
    vector = dict(zip(first.sha256, first.select("glcm"), strict=True))
    for sha256, row in zip(second.sha256, second.select("glcm"), strict=True):
        assert (row == vector[sha256]).all()
    assert sorted(second.label) == ["a"] * 4 + ["c"] * 2


def test_an_unchanged_file_is_not_read_a_touched_one_is_and_a_changed_one_is_computed(photos, tmp_path):
    store = tmp_path / "store"
    assert counted(photos, store)[1:] == (6, 6)
    assert counted(photos, store)[1:] == (0, 0)
    os.utime(photos / "a" / "0.png")
    assert counted(photos, store)[1:] == (0, 1)
    # As cp -p and rsync -t do: other bytes with the size and the time of the old; the change shows in ctime.
    path = photos / "b" / "1.png"
    old, data = path.stat(), path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    table, n_computed, n_read = counted(photos, store)
    assert (n_computed, n_read) == (1, 1)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in table.sha256
    assert counted(photos, store, rehash=True)[1:] == (0, 6)
    words = ["--features", "glcm", "--store", store, "-o", tmp_path / "t.npz"]
    opened.clear()
    assert "nothing was computed" in run("featurize", "extract", photos, *words, "--rehash").err
    assert len(opened) == 6


@pytest.mark.parametrize("damage", ["empty", "no database", "half", "flip"])
def test_a_damaged_index_costs_reading_and_nothing_else(photos, tmp_path, damage):
    store, index = tmp_path / "store", tmp_path / "store" / "files.sqlite"
    table, _, _ = counted(photos, store)
    data = index.read_bytes()
    digest = table.sha256[3].encode()
    other = {"empty": b"", "no database": b"no database at all", "half": data[: len(data) // 2]}
    index.write_bytes(other.get(damage, data.replace(digest, digest[::-1])))
    again, n_computed, n_read = counted(photos, store)
    assert again.digest() == table.digest() and n_computed == 0
    assert n_read == (1 if damage == "flip" else 6)
    assert counted(photos, store)[1:] == (0, 0)


def test_a_section_describes_its_extractor_and_a_shard_is_parquet_named_by_its_digest(photos, tmp_path):
    table, *_ = counted(photos, tmp_path / "store")
    (section,) = (tmp_path / "store").glob("glcm-*")
    assert section.name == f"glcm-{GLCM().fingerprint()[:32]}"
    about = json.loads((section / "extractor.json").read_text())
    assert about["fingerprint"] == GLCM().fingerprint() and about["width"] == 5
    assert about["description"] == json.loads(json.dumps(GLCM().description()))
    assert about["family"] == "glcm" and about["params"]["levels"] == 32 and about["versions"]["numpy"]
    stored = {}
    for path in section.glob("*.parquet"):
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
        rows = pq.read_table(path).to_pydict()
        stored |= dict(zip(zip(rows["sha256"], rows["variant"], strict=True), rows["vector"], strict=True))
    # Also the image that tells later whether this machine still makes the same numbers.
    assert len(stored) == 7
    for sha256, vector in zip(table.sha256, table.select("glcm"), strict=True):
        assert stored[sha256, 0] == vector.tolist()


def test_unchanged_photos_are_recognised_without_opening_them_or_importing_what_computes(photos, tmp_path):
    program = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from featurize.cli import main
assert main(sys.argv[1:]) == 0
print([name for name in opened if name.endswith(".png")], {"tensorflow", "keras", "skimage"} & set(sys.modules))
"""
    extract(photos, "glcm", store=Store(tmp_path / "store", young_seconds=-1.0))
    words = ["extract", photos, "--features", "glcm", "-q", "-o", tmp_path / "t.npz"]
    words += ["--store", tmp_path / "store"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[] set()\n", "")


@pytest.fixture(params=["file", "memory", "s3"])
def url(request, tmp_path):
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/store"
    return f"file://{tmp_path}/store" if request.param == "file" else f"memory://{tmp_path.name}/store"


def test_a_store_works_the_same_everywhere(url, photos, tmp_path):
    import fsspec

    table, n_computed, _ = counted(photos, url)
    assert n_computed == 6 and counted(photos, Store(url))[1] == 0
    assert table.digest() == extract(photos, "glcm", store=tmp_path / "here").digest()
    system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    shards = [path for path in system.find(root) if path.endswith(".parquet")]
    largest = max(shards, key=lambda path: system.info(path)["size"])
    data = bytearray(system.cat_file(largest))
    data[-20] ^= 1
    system.pipe_file(largest, bytes(data))
    done = run("featurize", "store", "verify", "--store", url)
    assert done.status == 1 and "1 damaged files were set aside" in done.err
    again, n_computed, _ = counted(photos, url)
    assert n_computed == 6 and again.digest() == table.digest()
    assert run("featurize", "store", "list", "--store", url).out.splitlines()[1].split()[3] == "6"
    assert run("featurize", "store", "prune", "--store", url, "--extractor", "glcm", "--yes").status == 0
    store = Store(url, compact_above=2)
    for path in sorted(photos.rglob("*.png")):
        extract([path], "color", store=store)
    assert len([path for path in system.find(root) if "/color-" in path and path.endswith(".parquet")]) < 4
    here = extract(photos, "color", store=tmp_path / "here")
    assert extract(photos, "color", store=store).digest() == here.digest()


def test_the_store_is_where_the_command_says_or_else_the_variable(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATURIZE_STORE", str(tmp_path / "variable"))
    words = ["featurize", "extract", photos, "--features", "color", "-o", tmp_path / "t.parquet"]
    assert run(*words).status == 0
    assert [path.name[:5] for path in (tmp_path / "variable").glob("color-*")] == ["color"]
    assert run(*words, "--store", tmp_path / "option").status == 0
    assert list((tmp_path / "option").glob("color-*"))
    monkeypatch.setenv("FEATURIZE_STORE", f"file://{tmp_path}/variable")
    assert "nothing was computed" in run(*words).err


def test_a_home_that_cannot_be_written_is_no_error_where_the_variable_names_the_store(
    photos, tmp_path, monkeypatch
):
    (tmp_path / "home").write_text("a file, in which no cache folder can be made")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    words = ["featurize", "extract", photos, "--features", "color", "-o", tmp_path / "t.parquet"]
    done = run(*words)
    assert done.status == 1 and "home/bottlehead/store cannot be made" in done.error
    assert "--store" in done.hint and "FEATURIZE_STORE" in done.hint
    for store in (str(tmp_path / "variable"), f"memory://{tmp_path}/elsewhere"):
        monkeypatch.setenv("FEATURIZE_STORE", store)
        assert "all were computed" in run(*words).err
        assert "nothing was computed" in run(*words).err
        assert len(extract(photos, "color")) == 6
        assert "color" in run("featurize store list").out
        assert run("featurize store verify").status == run("featurize store prune").status == 0
        assert Store().folder.url.endswith(store.removeprefix("memory:/"))
