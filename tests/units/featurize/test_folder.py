"""Folders of whole files, and the protocols that tell or allow less than a disk does."""

import io
import os
import time
from datetime import UTC, datetime

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from featurize.errors import StoreError
from featurize.files import Folder
from featurize.store.shard import image_keys
from featurize.store.store import Store
from featurize.upkeep import DAY, plan_prune


class ClientError(Exception):
    """As botocore's: an error of the network or the server that is no OSError."""


@pytest.fixture(params=["local", "memory"])
def url(request, tmp_path):
    """The contract runs a whole store also on an S3 server."""
    return str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path.name}/store"


def test_files_are_written_read_moved_and_removed(url):
    folder = Folder(url)
    assert folder.names("a") == [] and folder.folders() == []
    folder.write("a/2", b"two")
    folder.write("a/1", b"")
    folder.write("b/1", b"other")
    assert [(name, size) for name, size, _ in folder.names("a")] == [("1", 0), ("2", 3)]
    assert folder.folders() == ["a", "b"] and folder.read("a/2") == b"two"
    assert all(written > 1_600_000_000 for _, _, written in folder.names("a"))
    with folder.open("a/2") as stream:
        stream.seek(1)
        assert stream.read() == b"wo"
    folder.write("a/2", b"new")
    folder.move("a/2", "a/damaged/2")
    assert Folder(url).read("a/damaged/2") == b"new"
    assert [name for name, _, _ in folder.names("a")] == ["1"]
    folder.remove("a/1")
    folder.remove("a/damaged/2")
    folder.remove_folder("a/damaged")
    folder.remove_folder("a")
    folder.remove_folder("b")  # it holds a file
    assert Folder(url).folders() == ["b"]


def test_what_is_gone_is_file_not_found_or_nothing(url):
    folder = Folder(url)
    with pytest.raises(FileNotFoundError):
        folder.read("a/1")
    with pytest.raises(FileNotFoundError), folder.open("a/1") as stream:
        stream.read()
    folder.move("a/1", "a/2")
    folder.remove("a/1")
    folder.remove_folder("a")
    assert folder.names("a") == []


def test_a_folder_pruned_between_making_and_writing_is_made_again(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    made, mkdir = [], os.mkdir

    def made_and_pruned(path, *args, **kwargs):
        mkdir(path, *args, **kwargs)
        if not made:
            made.append(path)
            os.rmdir(path)

    monkeypatch.setattr(os, "mkdir", made_and_pruned)
    folder.write("a/1", b"x")
    assert folder.read("a/1") == b"x" and len(made) == 1


def served(name: str, **methods) -> str:
    """The URL of a folder in memory that is reached by a protocol of its own, which differs in `methods`."""
    different = {"protocol": (name, "memory"), "store": {}, "pseudo_dirs": [""], **methods}
    fsspec.register_implementation(name, type(name, (MemoryFileSystem,), different), clobber=True)
    return f"{name}://store"


@pytest.mark.parametrize(
    ("facts", "modified", "written"),
    [
        ({"last_modified": datetime(2020, 1, 1, tzinfo=UTC)}, None, 1_577_836_800),
        ({"modify": "20200101000000"}, None, None),
        ({}, datetime(2020, 1, 1, tzinfo=UTC), 1_577_836_800),
        ({}, None, None),
    ],
)
def test_what_does_not_tell_its_age_is_new_and_never_pruned_as_old(facts, modified, written):
    """The names that Azure and FTP give; a file that was written in 1970 would be the first to go."""

    def listing(self, path, detail=True, **options):
        found = MemoryFileSystem.ls(self, path, detail=True, **options)
        return [{k: v for k, v in entry.items() if k != "created"} | facts for entry in found]

    def asked(self, path):
        if modified is None:
            raise NotImplementedError
        return modified

    url = served("timeless", ls=listing, modified=asked)
    store, before = Store(url), time.time()
    section = store.section("demo", "ab" * 32, 2)
    section.write(image_keys(["00" * 32]), np.ones((1, 2), dtype=np.float32))
    store.folder.write(f"{section.name}/.partial-1", b"being written")
    ((_, _, seen),) = section.shards()
    assert seen == written if written else before <= seen <= time.time()
    assert bool(plan_prune(store, older_than=90 * DAY)) == bool(written)


def refused(self, *paths, **options):
    raise ClientError("AccessDenied")


def test_what_cannot_be_removed_or_moved_is_a_known_error(tmp_path):
    here, there = Folder(tmp_path), Folder(served("frozen", rm_file=refused, mv=refused))
    for folder in (here, there):
        folder.write("a/1", b"x")
        folder.write("b/1", b"x")
    with pytest.raises(StoreError, match=r"a cannot be removed"):
        here.remove("a")
    with pytest.raises(StoreError, match=r"b/1 cannot be moved"):
        here.move("b/1", "a/1/below a file")
    with pytest.raises(StoreError, match=r"frozen://store/a/1 cannot be removed: AccessDenied"):
        there.remove("a/1")
    with pytest.raises(StoreError, match=r"frozen://store/a/1 cannot be moved: AccessDenied"):
        there.move("a/1", "a/2")


def test_a_table_is_made_though_nothing_may_be_removed_from_the_store():
    """As with rights to put and to get objects, but not to delete them."""
    url = served("keeping", rm_file=refused)
    keys, matrix = image_keys([f"{i:064x}" for i in range(40)]), np.ones((40, 2), dtype=np.float32)
    section = Store(url).section("demo", "ab" * 32, 2)
    for i in range(40):
        section.write(keys[i : i + 1], matrix[i : i + 1])
    assert section.compact() == 0
    assert Store(url).section("demo", "ab" * 32, 2).load(keys, np.zeros((40, 2), dtype=np.float32)).all()


class Dropped(io.BytesIO):
    def read(self, *size):
        raise ClientError("connection closed")


@pytest.mark.parametrize("for_good", [False, True])
def test_a_network_that_drops_while_keys_are_read_is_no_damage(for_good):
    def opened(self, path, mode="rb", **options):
        stream = MemoryFileSystem._open(self, path, mode, **options)
        return Dropped(stream.getvalue()) if mode == "rb" else stream

    def read(self, path, **options):
        if for_good and path.endswith(".parquet"):
            raise ClientError("connection closed")
        return MemoryFileSystem.cat_file(self, path, **options)

    url = served("dropping", _open=opened, cat_file=read)
    keys, matrix = image_keys(["00" * 32]), np.zeros((1, 2), dtype=np.float32)
    Store(url).section("demo", "ab" * 32, 2).write(keys, np.ones((1, 2), dtype=np.float32))
    section = Store(url).section("demo", "ab" * 32, 2)
    if for_good:
        with pytest.raises(StoreError, match="cannot be read: connection closed"):
            section.load(keys, matrix)
    else:
        assert section.load(keys, matrix).all() and matrix.tolist() == [[1, 1]]
    assert len(section.shards()) == 1
