"""The index of unchanged files: it saves reading, and never at the price of a wrong answer."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builders import flip_bit, write_photos

from featurize.errors import StoreError
from featurize.photos.fileindex import Content, FileIndex, _checksum
from featurize.photos.origin import OnDisk
from featurize.store.store import Store


@pytest.fixture
def photos(tmp_path):
    return [str(write_photos(tmp_path, [f"{i}.png"], 10 + i, 7, seed=i) / f"{i}.png") for i in range(5)]


@pytest.fixture
def index_file(tmp_path):
    return tmp_path / "files.sqlite"


def remembering(index_file, **options) -> FileIndex:
    """An index that remembers also what was written a moment ago."""
    return FileIndex(index_file, young_seconds=-1.0, **options)


def contents(index, paths, jobs=1):
    """What each file holds, remembered or read, and how many were read."""
    paths = [OnDisk(path) for path in paths]
    found = index.known(paths)
    unread = [row for row, content in enumerate(found) if content is None]
    for row, content in zip(unread, index.read([paths[row] for row in unread], jobs=jobs), strict=True):
        found[row] = content
    return found, len(unread)


def n_read(index_file, paths, **options) -> int:
    return contents(remembering(index_file, **options), paths)[1]


def test_contents_are_remembered_and_rehash_trusts_nothing_but_remembers(photos, index_file):
    def content(path, trust=True):
        (found,), n = contents(remembering(index_file, trust=trust), [path])
        return found, n

    for i, path in enumerate(photos):
        data = Path(path).read_bytes()
        right = Content(hashlib.sha256(data).hexdigest(), 10 + i, 7, len(data), "PNG")
        assert [content(path), content(path)] == [(right, 1), (right, 0)]
    with contextlib.closing(sqlite3.connect(index_file)) as database, database:
        row = list(database.execute("SELECT * FROM contents LIMIT 1").fetchone()[:-1])
        row[5] = "00" * 32  # a lie that only reading the photo finds out
        marks = (*row, _checksum(tuple(row)))
        database.execute("REPLACE INTO contents VALUES (?,?,?,?,?,?,?,?,?,?)", marks)
    path = os.fsdecode(row[0])
    right = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    told = [content(path), content(path, trust=False), content(path)]
    assert [(found.sha256, n) for found, n in told] == [("00" * 32, 0), (right, 1), (right, 0)]


def test_names_that_are_no_text_are_remembered_and_young_files_are_not(index_file, photos, tmp_path):
    assert [contents(FileIndex(index_file), photos[:1])[1] for _ in range(2)] == [1, 1]
    odd = os.fsencode(tmp_path) + b"/caf\xe9 '\n.png"
    shutil.copy(photos[0], odd)
    assert [n_read(index_file, [os.fsdecode(odd)]) for _ in range(2)] == [1, 0]


def test_any_file_has_a_digest_that_is_remembered(index_file, tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"numbers")
    right = hashlib.sha256(b"numbers").hexdigest()
    assert [remembering(index_file).digest(path) for _ in range(2)] == [right, right]
    path.write_bytes(b"numbers2")
    assert remembering(index_file).digest(path) == hashlib.sha256(b"numbers2").hexdigest()


def test_a_busy_index_is_neither_waited_for_nor_removed(photos, index_file, caplog):
    n_read(index_file, photos)
    other = sqlite3.connect(index_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    caplog.set_level("INFO")
    assert n_read(index_file, photos, busy_seconds=0.05) == 5
    assert "is not used while it is locked: database is locked" in caplog.text
    other.execute("COMMIT")
    other.close()
    assert n_read(index_file, photos) == 0


def test_a_locked_index_is_waited_for_once_per_run_and_used_when_it_is_free(photos, tmp_path, monkeypatch):
    """A run asks the store for its index anew for each batch, and the networks for the digests of their weights."""
    store = Store(tmp_path / "store", young_seconds=-1.0)
    index_file, waits = store.local_path("files.sqlite"), []
    connect = sqlite3.connect
    other = connect(index_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store.file_index().busy_seconds = 0.05
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, timeout: waits.append(timeout) or connect(path, timeout=timeout)
    )
    for batch in (photos[:2], photos[2:4], photos[4:]):
        assert contents(store.file_index(), batch)[1] == len(batch)
    store.file_index().digest(photos[0])
    assert [wait for wait in waits if wait] == [0.05] and len(waits) > 3
    other.execute("COMMIT")
    other.close()
    assert [contents(store.file_index(), photos)[1] for _ in range(2)] == [5, 0]
    assert contents(store.rehashing().file_index(), photos)[1] == 5


def test_a_journal_that_a_killed_writer_left_is_rolled_back(photos, index_file, tmp_path):
    """A copy taken in the middle of a transaction is what a kill leaves behind."""
    n_read(index_file, photos)
    with sqlite3.connect(index_file, isolation_level=None) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("PRAGMA cache_spill = 1")
        database.execute("BEGIN")
        keys = [(b"x" * 500 + b"%d" % i,) for i in range(2000)]
        database.executemany("INSERT INTO contents VALUES (?,0,0,0,0,'',0,0,'',0)", keys)
        database.execute("UPDATE contents SET size = -1")
        left = tmp_path / "left"
        left.mkdir()
        for path in tmp_path.glob("files.sqlite*"):
            shutil.copy(path, left)
        database.execute("ROLLBACK")
    database.close()
    assert (left / "files.sqlite-journal").stat().st_size > 0
    assert n_read(left / "files.sqlite", photos) == 0
    assert not (left / "files.sqlite-journal").exists()


def test_a_full_disk_is_an_error_that_says_so(index_file):
    index = FileIndex(index_file)
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(StoreError, match=r"no space left for .*files\.sqlite") as caught:
        index._failed(error)
    assert "free some space" in caught.value.hint


def test_two_runs_fill_one_index_at_once(photos, index_file):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: n_read(index_file, photos), range(4)))
    assert n_read(index_file, photos) == 0


def test_paths_of_finds_the_photos_of_contents_and_leaves_out_what_is_damaged(photos, index_file, caplog):
    def paths(index, wanted=lambda sha256: True):
        return list(index.paths_of(lambda several: [wanted(sha256) for sha256 in several]))

    right = [found.sha256 for found in contents(remembering(index_file), photos)[0]]
    found = paths(FileIndex(index_file), {right[1], right[4]}.__contains__)
    assert dict(found) == {photos[1]: right[1], photos[4]: right[4]} and paths(FileIndex(None)) == []
    flip_bit(index_file, index_file.read_bytes().index(right[3].encode()) + 5)
    assert [path for path, _ in paths(FileIndex(index_file))] == [*photos[:3], photos[4]]
    index_file.write_bytes(b"no database at all")
    assert paths(FileIndex(index_file)) == []
    assert "is damaged" in caplog.text and not index_file.exists()
