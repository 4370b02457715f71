"""What a file holds: its SHA-256 and the facts of its header, remembered while the file is unchanged."""

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurize.errors import StoreError
from featurize.files import identity
from featurize.pixels import MAX_BYTES, ImageRejected, Photo
from featurize.terminal import log

YOUNG_SECONDS = 2.0
ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Content:
    """Who an image is, by its bytes. Sizes in pixels as shown, after the EXIF orientation."""

    sha256: str
    width: int
    height: int
    bytes: int
    format: str


def read_image(path: str) -> bytes:
    """The bytes of an image file.

    Raises
    ------
    ImageRejected
        If it cannot be read, is no regular file, or is larger than `MAX_BYTES`.
    """
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_size > MAX_BYTES:
                raise ImageRejected(f"{status.st_size:,} bytes; at most {MAX_BYTES:,} are read")
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageRejected(f"cannot be read: {error.strerror or error}") from error


class FileIndex:
    """Remembers the content of files that have not changed, in a small SQLite file beside the store.

    A file is the same while its size, mtime, ctime and inode are; one that was changed less than two seconds
    before it was read is never remembered, because a second change could leave the same times. Losing the
    index costs time, never a result: a damaged one is replaced.

    Parameters
    ----------
    path : path or None
        The SQLite file; None remembers nothing.
    trust : bool
        False reads every file again (``--rehash``), and remembers what it found.
    """

    def __init__(self, path: Path | None, *, trust: bool = True):
        self.path = path
        self.trust = trust

    def contents(
        self, paths: list[str], *, jobs: int = 1, advance=lambda n: None
    ) -> tuple[list[Content | ImageRejected], int]:
        """What each file holds, or why it is rejected, in order; and how many files were read for it."""
        known = self._known() if self.trust else {}
        results: list[Any] = [None] * len(paths)
        unknown: list[tuple[int, str]] = []
        for row, path in enumerate(paths):
            try:
                status = os.stat(path)
            except OSError as error:
                results[row] = ImageRejected(f"cannot be read: {error.strerror or error}")
                continue
            if not stat.S_ISREG(status.st_mode):
                results[row] = ImageRejected("not a regular file")
                continue
            entry = known.get(os.path.abspath(path))
            if entry is not None and entry[:4] == identity(status):
                results[row] = Content(entry[4], entry[5], entry[6], status.st_size, entry[7])
            else:
                unknown.append((row, path))
        advance(len(paths) - len(unknown))
        fresh: list[tuple] = []
        with ThreadPoolExecutor(jobs) as pool:
            for (row, path), (result, status) in zip(
                unknown, pool.map(lambda item: _look(item[1]), unknown), strict=True
            ):
                results[row] = result
                advance(1)
                if isinstance(result, Content) and _settled(status):
                    facts = (result.sha256, result.width, result.height, result.format)
                    fresh.append((os.path.abspath(path), *identity(status), *facts))
                if len(fresh) >= ROWS_AT_ONCE:
                    self._remember(fresh)
                    fresh = []
        self._remember(fresh)
        return results, len(unknown)

    def digest(self, path: str | Path) -> str:
        """SHA-256 of any file, such as a network's weights, remembered like an image."""
        place = os.path.abspath(path)
        status = os.stat(place)
        entry = self._known(place).get(place) if self.trust else None
        if entry is not None and entry[:4] == identity(status):
            return entry[4]
        with open(place, "rb") as stream:
            status = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if _settled(status):
            self._remember([(place, *identity(status), digest, 0, 0, "")])
        return digest

    # -- the SQLite file ------------------------------------------------------------------------

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        assert self.path is not None
        database = sqlite3.connect(self.path, timeout=30)
        try:
            database.execute(
                "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, "
                "ctime INTEGER, inode INTEGER, sha256 TEXT, width INTEGER, height INTEGER, format TEXT)"
            )
            yield database
        finally:
            database.close()

    def _known(self, only: str | None = None) -> dict[str, tuple]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            with self._database() as database:
                if only is None:
                    rows = database.execute("SELECT * FROM files")
                else:
                    rows = database.execute("SELECT * FROM files WHERE path = ?", (os.fsencode(only),))
                return {os.fsdecode(row[0]): _as_stat(row[1:]) for row in rows}
        except (sqlite3.Error, ValueError, TypeError) as error:
            log.warning("the file index %s is damaged (%s); it is made anew", self.path, error)
            self.path.unlink(missing_ok=True)
            return {}

    def _remember(self, rows: list[tuple]) -> None:
        if self.path is None or not rows:
            return
        try:
            with self._database() as database, database:
                database.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (os.fsencode(row[0]), row[1], row[2], row[3], _signed(row[4]), *row[5:])
                        for row in rows
                    ],
                )
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise StoreError(f"no space left for {self.path}", "free some space and run again") from error
            # A read-only or busy index only costs reading the files again next time.
            log.debug("the file index %s was not updated: %s", self.path, error)


def _signed(inode: int) -> int:
    """SQLite's integers are signed; inodes of some systems use all 64 bits."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _as_stat(row: tuple) -> tuple:
    size, mtime, ctime, inode, *facts = row
    return (size, mtime, ctime, inode % (1 << 64), *facts)


def _settled(status: os.stat_result) -> bool:
    return time.time() - max(status.st_mtime, status.st_ctime) > YOUNG_SECONDS


def _look(path: str) -> tuple[Content | ImageRejected, os.stat_result]:
    status = os.stat_result((0,) * 10)
    try:
        status = os.stat(path)
        data = read_image(path)
        photo = Photo(data)
        sha256 = hashlib.sha256(data).hexdigest()
        return Content(sha256, photo.width, photo.height, len(data), photo.format), status
    except ImageRejected as rejected:
        return rejected, status
    except OSError as error:
        return ImageRejected(f"cannot be read: {error.strerror or error}"), status
