"""What a file holds: its SHA-256 and the facts of its header, remembered while the file is unchanged."""

import hashlib
import os
import sqlite3
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from featurize.errors import StoreError
from featurize.files import identity
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.origin import Origin, Stamp
from featurize.photos.photo import Photo, check_pixels, content_digest
from featurize.terminal import log

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    pool: Executor, items: Iterable[Item], work: Callable[[Item], Result], n_ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Map a function over items in threads; results keep their order, at most `n_ahead` are in flight.

    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(map_ahead(pool, "abc", str.upper, n_ahead=2))
    [('a', 'A'), ('b', 'B'), ('c', 'C')]
    """
    begun: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in items:
            begun.append((item, pool.submit(work, item)))
            if len(begun) >= n_ahead:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()
    finally:
        for _, future in begun:
            future.cancel()
        if isinstance(items, Generator):
            items.close()  # now: it may have work of its own ahead, for which its threads would be waited for


COLUMNS = (
    "path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, sha256 TEXT, width INTEGER, "
    "height INTEGER, format TEXT, checksum INTEGER"
)
YOUNG_SECONDS = 2.0
ROWS_AT_ONCE = 1000
READ_AHEAD = 128  # files whose content is known before it is asked for, and then still in the system's cache
BUSY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Content:
    """Who an image is, by its bytes. Sizes in pixels as shown, after the EXIF orientation."""

    sha256: str
    width: int
    height: int
    bytes: int
    format: str


def look(
    origin: Origin, *, decode: bool = False, max_pixels: int = MAX_PIXELS, remarks: set[str] | None = None
) -> Content | ImageRejected:
    """What a photo holds by its header, or by all of its pixels with `decode`, or why it is rejected.

    `remarks` takes what is worth a word about how it was decoded.
    """
    try:
        data = origin.read()
        photo = Photo.of(data, max_pixels)
        if decode:
            # The smallest scale still reads the whole file, so that a truncated one shows, in a quarter of the time.
            photo.rgb(shorter=1)
            if remarks is not None:
                remarks |= photo.remarks
    except ImageRejected as rejected:
        return rejected
    size = len(data) if isinstance(data, bytes) else data.nbytes
    return Content(content_digest(data), photo.width, photo.height, size, photo.format)


class FileIndex:
    """Remembers the content of files that have not changed, in a small SQLite file beside the store (None: nowhere).

    A file is the same while its size, mtime, ctime and inode are, any other photo while its `Stamp` is; one that was
    changed less than `young_seconds` before it was read is never remembered, because a second change could leave the
    same times. A damaged index is replaced; one that another process writes is waited for once, for `busy_seconds`.
    Without `trust` every file is read again (``--rehash``).
    """

    def __init__(
        self,
        path: Path | None,
        *,
        trust: bool = True,
        young_seconds: float = YOUNG_SECONDS,
        busy_seconds: float = BUSY_SECONDS,
    ):
        self.path = path
        self.trust = trust
        self.young_seconds = young_seconds
        self.busy_seconds = busy_seconds

    def known(
        self, origins: Sequence[Origin], max_pixels: int = MAX_PIXELS
    ) -> list[Content | ImageRejected | None]:
        """What each photo holds, or why it is rejected unread; None for those that must be read."""
        results: list[Content | ImageRejected | None] = []
        for start in range(0, len(origins), ROWS_AT_ONCE):
            part = origins[start : start + ROWS_AT_ONCE]
            keys = [origin.index_key for origin in part]
            known = self._known(keys) if self.trust else {}
            results += [
                _unless_changed(origin, known.get(key), max_pixels)
                for origin, key in zip(part, keys, strict=True)
            ]
        return results

    def read(
        self, origins: Iterable[Origin], *, jobs: int = 1, max_pixels: int = MAX_PIXELS
    ) -> Generator[Content | ImageRejected]:
        """What each photo holds, or why it is rejected, in order; `jobs` threads read some of them ahead.

        What was read is remembered every thousand files, and when the iterator ends or is closed.
        """
        fresh: list[tuple] = []
        work = partial(self._look, max_pixels=max_pixels)
        try:
            with ThreadPoolExecutor(jobs, thread_name_prefix="read") as pool:
                for origin, (result, seen) in map_ahead(pool, origins, work, READ_AHEAD):
                    if seen is not None and isinstance(result, Content):
                        facts = (result.sha256, result.width, result.height, result.format)
                        size = result.bytes if seen.identity[0] == -1 else seen.identity[0]
                        fresh.append((origin.index_key, size, *seen.identity[1:], *facts))
                    if len(fresh) == ROWS_AT_ONCE:
                        self._remember(fresh)
                        fresh = []
                    yield result
        finally:
            self._remember(fresh)

    def digest(self, path: str | Path) -> str:
        """SHA-256 of any file, such as a network's weights, remembered like an image."""
        place = os.path.abspath(path)
        entry = self._known([place]).get(place) if self.trust else None
        if entry is not None and entry[:4] == identity(os.stat(place)):
            return entry[4]
        now = time.time()
        with open(place, "rb") as stream:
            status = os.fstat(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if self._settled(max(status.st_mtime, status.st_ctime), now):
            self._remember([(place, *identity(status), digest, 0, 0, "")])
        return digest

    def paths_of(self, wanted: Callable[[list[str]], Sequence[bool]]) -> Iterator[tuple[str, str]]:
        """Path and SHA-256 of the remembered images whose digests `wanted` picks, from many at once."""
        rows = self._rows("format != '' ORDER BY path", [])
        while part := list(islice(rows, ROWS_AT_ONCE)):
            for row, picked in zip(part, wanted([row[5] for row in part]), strict=True):
                if picked:
                    yield row[0], row[5]

    def _look(self, origin: Origin, max_pixels: int) -> tuple[Content | ImageRejected, Stamp | None]:
        """What a photo holds, and its stamp if that may be remembered."""
        now = time.time()
        try:
            stamp = origin.stamp()
        except ImageRejected as rejected:
            return rejected, None
        if stamp is not None and not self._settled(stamp.changed, now):
            stamp = None
        return look(origin, max_pixels=max_pixels), stamp

    def _settled(self, changed: float, now: float) -> bool:
        """Whether a change after `now`, when the bytes were about to be read, must show in their stamp."""
        return now - changed > self.young_seconds

    # -- the SQLite file ---

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        assert self.path is not None
        database = sqlite3.connect(self.path, timeout=self.busy_seconds)
        try:
            database.execute(f"CREATE TABLE IF NOT EXISTS contents ({COLUMNS})")
            yield database
        finally:
            database.close()

    def _known(self, places: list[str]) -> dict[str, tuple]:
        keys = [os.fsencode(place) for place in places]
        return {row[0]: row[1:] for row in self._rows(f"path IN ({', '.join('?' * len(keys))})", keys)}

    def _rows(self, condition: str, values: list[bytes]) -> Iterator[tuple]:
        """What the index holds, without rows that are damaged: path, identity, SHA-256, width, height, format."""
        if self.path is None or not self.path.exists():
            return
        try:
            with self._database() as database:
                for *row, checksum in database.execute(f"SELECT * FROM contents WHERE {condition}", values):
                    if checksum == _checksum(tuple(row)):
                        yield (os.fsdecode(row[0]), *row[1:4], row[4] % (1 << 64), *row[5:])
        except (sqlite3.Error, OverflowError) as error:
            self._failed(error)

    def _remember(self, rows: list[tuple]) -> None:
        if self.path is None or not rows:
            return
        half = 1 << 63  # SQLite's integers are signed; inodes of some systems use all 64 bits
        stored = [(os.fsencode(r[0]), *r[1:4], (r[4] + half) % (2 * half) - half, *r[5:]) for r in rows]
        values = [(*row, _checksum(row)) for row in stored]
        insert = f"INSERT OR REPLACE INTO contents VALUES ({', '.join('?' * 10)})"
        try:
            with self._database() as database, database:
                database.executemany(insert, values)
        except (sqlite3.Error, OverflowError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Go on without the index; one that is damaged goes, so that the next run makes it anew."""
        assert self.path is not None
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise StoreError(f"no space left for {self.path}", "free some space and run again") from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            log.warning("the file index %s is damaged (%s); it is made anew", self.path, error)
            # The journal first: it must never be rolled back into the next index.
            for path in (Path(f"{self.path}-journal"), self.path):
                with suppress(OSError):
                    path.unlink()
            return
        # Busy or read-only: nothing is wrong with it, and all that is lost is time.
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if self.busy_seconds:
                log.info("the file index %s is not used while it is locked: %s", self.path, error)
            self.busy_seconds = 0
            return
        log.info("the file index %s is not used: %s", self.path, error)
        self.path = None


def _unless_changed(origin: Origin, entry: tuple | None, max_pixels: int) -> Content | ImageRejected | None:
    try:
        stamp = origin.stamp()
        if stamp is None or entry is None or not stamp.is_of(entry[:4]):
            return None
        check_pixels(entry[5], entry[6], max_pixels)
    except ImageRejected as rejected:
        return rejected
    return Content(entry[4], entry[5], entry[6], entry[0], entry[7])


def _checksum(row: tuple) -> int:
    """SQLite does not notice a flipped bit in a value."""
    return zlib.crc32(repr(row).encode())
