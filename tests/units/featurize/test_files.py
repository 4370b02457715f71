"""Whole files and their names, and folders of them, also on protocols that tell or allow less than a disk does."""

import contextlib
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize import files
from featurize.errors import SourceError, StoreError, UsageError
from featurize.files import Folder, name_as_text, read_csv, text_as_name
from featurize.outputs import TABLE, check_outputs, sync_folder, whole_file
from featurize.photos.fileindex import map_ahead
from featurize.photos.manifest import read_manifest
from featurize.store.shard import image_keys
from featurize.store.store import Store
from featurize.upkeep import DAY, plan_prune


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_readers_see_the_old_file_until_the_new_one_is_whole_also_when_the_write_fails(tmp_path, error):
    path = tmp_path / "table.parquet"
    path.write_text("old")
    with pytest.raises(error) if error else contextlib.nullcontext(), whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent == path.parent and partial.suffix == ".parquet"
        if error:
            raise error
    assert path.read_text() == ("old" if error else "new") and os.listdir(tmp_path) == ["table.parquet"]


@pytest.mark.skipif(sys.platform != "linux", reason="where a folder is known that cannot be flushed")
def test_a_folder_that_cannot_be_flushed_is_no_error():
    handle = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(handle)
    os.close(handle)
    sync_folder(Path("/proc"))


NAMES = st.binary(max_size=30).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@settings(max_examples=300)
@given(NAMES | st.text(st.characters(exclude_characters="\0")), NAMES)
def test_every_file_name_becomes_clean_text_of_its_own_and_comes_back(name, other):
    text = name_as_text(name)
    text.encode()
    assert text_as_name(text) == name
    assert (text == name_as_text(other)) == (name == other)


def test_identity_changes_with_content_time_and_file(tmp_path):
    path, other, seen = tmp_path / "a", tmp_path / "b", set()
    for change in (
        lambda: path.write_text("1"),
        lambda: path.write_text("22"),
        lambda: os.utime(path, (1, 1)),
        lambda: (other.write_text("22"), os.utime(other, (1, 1)), os.replace(other, path)),
    ):
        change()
        seen.add(files.identity(path.stat()))
    assert len(seen) == 4


def test_outputs_that_would_cost_something_are_refused(tmp_path):
    table, link = tmp_path / "t.parquet", tmp_path / "link.parquet"
    table.write_text("")
    link.symlink_to(table)
    outputs = [(tmp_path / "new.csv", TABLE), (None, TABLE), (table, TABLE), ("/dev/null", TABLE)]
    check_outputs(outputs, [tmp_path / "photos", None])
    for outputs, inputs, message in (
        ([link], [table], "an input and would be overwritten"),
        ([table, tmp_path / "." / "t.parquet"], [], "another output and would be overwritten"),
        ([tmp_path / "missing" / "t.parquet"], [], "there is no folder"),
        ([tmp_path], [], "is a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            check_outputs([(path, TABLE) for path in outputs], inputs)


def test_names_are_the_bytes_on_disk_whatever_the_language():
    code = "import os; from featurize.files import *; t = name_as_text(os.fsdecode(b'caf\\xc3\\xa9\\xe9')); "
    code += "print(ascii(t), os.fsencode(text_as_name(t)))"
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=os.environ | posix, text=True)
    assert printed == ascii("café\\xE9") + " b'caf\\xc3\\xa9\\xe9'\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_small_csv_files_may_be_separated_as_excel_does_in_any_country(tmp_path, separator, mark):
    path = tmp_path / "map.csv"
    lines = [["label", "new_label"], ["Rose, wild", "flower"], ["a;b", "c\td"]]
    quoted = "\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines)
    path.write_text(mark + quoted, encoding="utf-8")
    expected = [(n, dict(zip(lines[0], line, strict=True))) for n, line in enumerate(lines[1:], start=2)]
    assert list(read_csv(path, ("label", "new_label"), "relabelling")) == expected
    path.write_text(f"{mark}sep={separator}\n{quoted}", encoding="utf-8")
    found = list(read_csv(path, ("label",), "taxonomy", optional=None))
    assert found == [(number + 1, line) for number, line in expected]


def test_a_separator_that_is_not_read_is_named(tmp_path):
    (tmp_path / "m.csv").write_text("image|label\na.jpg|rose\n")
    with pytest.raises(UsageError) as failed:
        list(read_csv(tmp_path / "m.csv", ("image", "label"), "corrections"))
    assert "separated by '|'" in failed.value.hint
    with pytest.raises(SourceError, match=r"'image\|label', and no column image") as failed:
        read_manifest(tmp_path / "m.csv")
    assert "separated by '|'" in failed.value.hint


def test_a_csv_file_is_read_by_column_and_its_lines_keep_their_numbers(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text('label, extra,new\n"roses, red",x, flower\n\n"two\nlines",,b\n', encoding="utf-8-sig")
    assert list(read_csv(path, ("new", "label"), "map", optional=None)) == [
        (2, {"label": "roses, red", "extra": "x", "new": " flower"}),
        (5, {"label": "two\nlines", "extra": "", "new": "b"}),
    ]
    message = r"the map .* has the columns label, extra, new \(.*label,new, and may"
    with pytest.raises(UsageError, match=message):
        list(read_csv(path, ("label", "new"), "map", optional=("note",)))
    path.write_text("label,new,new\na,b,c\n")
    with pytest.raises(UsageError, match="has the columns label, new, new"):
        list(read_csv(path, ("label", "new"), "map"))


def test_a_csv_file_that_cannot_be_read_is_told_plainly(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff")
    told = {}
    for name in ("gone", "folder", "photo", "photo/gone"):
        with pytest.raises(UsageError, match=r"^the map ") as error:
            list(read_csv(tmp_path / name, ("label", "new"), "map"))
        told[name] = str(error.value).split("cannot be read: ")[1].split(" (")[0], error.value.hint
    made = "check the path, or make it as a CSV file in UTF-8; its first line must be label,new"
    assert told == {
        "gone": ("there is no such file", made),
        "folder": ("it is a folder", "give the path of a file"),
        "photo": ("it is no text in UTF-8", "give a CSV file in UTF-8"),
        "photo/gone": ("there is no such file", made),
    }


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
    (first, second), now = folder.names("a"), time.time()
    assert (first[:2], second[:2]) == (("1", 0), ("2", 3)) and now - 60 < first[2] <= now + 60
    assert folder.folders() == ["a", "b"] and folder.read("a/2") == b"two"
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


@pytest.mark.parametrize(("facts", "modified", "written"), [
    ({"last_modified": datetime(2020, 1, 1, tzinfo=UTC)}, None, 1_577_836_800),
    ({"modify": "20200101000000"}, None, None),
    ({}, datetime(2020, 1, 1, tzinfo=UTC), 1_577_836_800),
    ({}, None, None),
])  # fmt: skip
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


def test_what_waits_in_a_pipeline_of_threads_is_dropped_when_it_is_interrupted():
    """One map in another one, as decoding is before a network: what was not begun must not be waited for."""
    begun = []

    def decode(number):
        begun.append(number)
        time.sleep(0.01)
        return number

    def interrupted(pair):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as decoders, ThreadPoolExecutor(1) as runner:
        batches = map_ahead(
            runner, (one for _, one in map_ahead(decoders, range(60), decode, 40)), interrupted, 1
        )
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    assert len(begun) < 30
