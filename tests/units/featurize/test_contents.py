"""The index of unchanged files: it saves reading, and never at the price of a wrong answer."""

import hashlib
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from PIL import Image

from featurize.errors import StoreError
from featurize.photos.decode import ImageRejected, read_image
from featurize.photos.fileindex import Content, FileIndex, _checksum


@pytest.fixture
def photos(tmp_path):
    paths = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (10 + i, 7), (i, 0, 0)).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def index_file(tmp_path):
    return tmp_path / "files.sqlite"


def remembering(index_file, **options) -> FileIndex:
    """An index that remembers also what was written a moment ago."""
    return FileIndex(index_file, young_seconds=-1.0, **options)


def contents(index, paths, jobs=1):
    """What each file holds, remembered or read, and how many were read."""
    found = index.known(paths)
    unread = [row for row, content in enumerate(found) if content is None]
    for row, content in zip(unread, index.read([paths[row] for row in unread], jobs=jobs), strict=True):
        found[row] = content
    return found, len(unread)


def n_read(index_file, paths, **options) -> int:
    return contents(remembering(index_file, **options), paths)[1]


def test_contents_are_the_digest_and_the_facts_of_the_header(photos, index_file):
    for _ in range(2):  # read, then remembered: the same
        found, _ = contents(remembering(index_file), photos)
        for i, path in enumerate(photos):
            data = Path(path).read_bytes()
            assert found[i] == Content(hashlib.sha256(data).hexdigest(), 10 + i, 7, len(data), "PNG")


def tell_a_lie(index_file) -> str:
    """Change the digest of a photo in the index, which only reading the photo finds out; back comes its path."""
    with sqlite3.connect(index_file) as database:
        row = list(database.execute("SELECT * FROM contents LIMIT 1").fetchone()[:-1])
        row[5] = "00" * 32
        marks = (*row, _checksum(tuple(row)))
        database.execute("REPLACE INTO contents VALUES (?,?,?,?,?,?,?,?,?,?)", marks)
    database.close()
    return os.fsdecode(row[0])


def test_unchanged_files_are_not_read_again(photos, index_file):
    assert n_read(index_file, photos) == 5
    path = tell_a_lie(index_file)
    (found,), n = contents(remembering(index_file), [path])
    assert (found.sha256, n) == ("00" * 32, 0)
    assert n_read(index_file, photos) == 0


def test_a_touched_file_is_read_again(photos, index_file):
    n_read(index_file, photos)
    os.utime(photos[2])
    assert n_read(index_file, photos) == 1
    assert n_read(index_file, photos) == 0


@pytest.mark.parametrize("how", ["in place", "renamed over"])
def test_a_change_that_keeps_size_and_mtime_is_seen(photos, index_file, how):
    """As ``cp -p`` and ``rsync -t`` do; ctime and inode tell."""
    before = contents(remembering(index_file), photos)[0]
    old = os.stat(photos[0])
    data = bytearray(Path(photos[0]).read_bytes())
    data[-1] ^= 1  # within the end chunk, which changes no pixel
    target = photos[0] if how == "in place" else photos[0] + ".new"
    with open(target, "r+b" if how == "in place" else "wb") as stream:
        stream.write(data)
    os.utime(target, ns=(old.st_atime_ns, old.st_mtime_ns))
    os.replace(target, photos[0])
    assert (os.stat(photos[0]).st_size, os.stat(photos[0]).st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    after, n = contents(remembering(index_file), photos)
    assert n == 1 and after[0].sha256 == hashlib.sha256(data).hexdigest() != before[0].sha256


def test_rehash_trusts_nothing_and_remembers_what_it_found(photos, index_file):
    n_read(index_file, photos)
    path = tell_a_lie(index_file)
    right = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    for trust, n in [(False, 1), (True, 0)]:
        found, n_files = contents(remembering(index_file, trust=trust), [path])
        assert (found[0].sha256, n_files) == (right, n)


def test_a_file_changed_a_moment_ago_is_not_remembered(tmp_path, index_file):
    path = tmp_path / "new.png"
    Image.new("RGB", (5, 5)).save(path)
    assert [contents(FileIndex(index_file), [str(path)])[1] for _ in range(2)] == [1, 1]


def test_rejects_say_why_and_cost_no_other_file(photos, index_file, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe.jpg")
    wanted = [photos[0], *(str(tmp_path / name) for name in ("empty.jpg", "pipe.jpg", "gone.jpg")), photos[1]]
    found, _ = contents(FileIndex(index_file), wanted, jobs=2)
    assert [type(result) for result in found] == [Content, *[ImageRejected] * 3, Content]
    reasons = [str(result) for result in found[1:4]]
    assert reasons == ["the file is empty", "not a regular file", "cannot be read: No such file or directory"]


def test_names_that_are_no_text_are_remembered(index_file, photos, tmp_path):
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


# -- the SQLite file ----------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"no database at all", None])
def test_a_damaged_index_is_made_anew(photos, index_file, damage):
    n_read(index_file, photos)
    data = index_file.read_bytes()
    index_file.write_bytes(data[: len(data) // 2] if damage is None else damage)
    for _ in range(3):
        found, n = contents(remembering(index_file), photos)
        assert all(isinstance(result, Content) for result in found)
    assert n == 0


def test_a_flipped_bit_in_the_index_is_noticed(photos, index_file):
    right, _ = contents(remembering(index_file), photos)
    data = bytearray(index_file.read_bytes())
    data[data.index(right[3].sha256.encode()) + 5] ^= 1
    index_file.write_bytes(data)
    assert contents(remembering(index_file), photos) == (right, 1)


def test_a_busy_index_is_neither_waited_for_nor_removed(photos, index_file, caplog):
    n_read(index_file, photos)
    other = sqlite3.connect(index_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    caplog.set_level("INFO")
    assert n_read(index_file, photos, busy_seconds=0.05) == 5
    assert "is not used: database is locked" in caplog.text
    other.execute("COMMIT")
    other.close()
    assert n_read(index_file, photos) == 0


def test_a_journal_that_a_killed_writer_left_is_rolled_back(photos, index_file, tmp_path):
    """A copy taken in the middle of a transaction is what a kill leaves behind."""
    n_read(index_file, photos)
    with sqlite3.connect(index_file, isolation_level=None) as database:
        database.execute("PRAGMA cache_size = 1")
        database.execute("PRAGMA cache_spill = 1")
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO contents VALUES (?,0,0,0,0,'',0,0,'',0)",
            [(b"x" * 500 + b"%d" % i,) for i in range(2000)],
        )
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
    threads = [threading.Thread(target=n_read, args=(index_file, photos)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert n_read(index_file, photos) == 0


def test_paths_of_finds_the_photos_of_contents(photos, index_file):
    found, _ = contents(remembering(index_file), photos)
    wanted = {found[1].sha256, found[4].sha256}
    picked = FileIndex(index_file).paths_of(lambda several: [sha256 in wanted for sha256 in several])
    assert dict(picked) == {photos[1]: found[1].sha256, photos[4]: found[4].sha256}
    assert list(FileIndex(None).paths_of(lambda several: [True] * len(several))) == []


def test_paths_of_leaves_out_what_is_damaged_and_an_index_that_is_none(photos, index_file, caplog):
    right, _ = contents(remembering(index_file), photos)
    data = bytearray(index_file.read_bytes())
    data[data.index(right[3].sha256.encode()) + 5] ^= 1
    index_file.write_bytes(data)
    picked = FileIndex(index_file).paths_of(lambda several: [True] * len(several))
    assert [path for path, _ in picked] == [*photos[:3], photos[4]]
    index_file.write_bytes(b"no database at all")
    assert list(FileIndex(index_file).paths_of(lambda several: [True] * len(several))) == []
    assert "is damaged" in caplog.text and not index_file.exists()


def test_a_pipe_in_the_place_of_a_photo_does_not_wait_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageRejected, match="not a regular file"):
        read_image(str(tmp_path / "a.jpg"))
