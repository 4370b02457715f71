"""The file system, in one place: whole-file writes, file names as text, and "is it still the same file?".

Everything here works on Linux, macOS and Windows; no other module calls an ``os`` function whose
meaning differs between them.
"""

import csv
import errno
import os
import re
import secrets
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from featurize.errors import StoreError, UsageError

PARTIAL = ".partial-"


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends well.

    Readers see the old file or the new one, never a part; a crash leaves the old one.

    Raises
    ------
    UsageError
        If `path` is something else than a file: a folder, or a device, which a rename would replace.
    """
    path = Path(path)
    _refuse_what_is_no_file(path)
    partial = path.parent / f"{PARTIAL}{secrets.token_hex(8)}{path.suffix}"
    try:
        yield partial
        with open(partial, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _refuse_what_is_no_file(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is a device or a pipe, not a file", "name a file to write")


def check_outputs(
    outputs: Iterable[str | os.PathLike | None], inputs: Iterable[str | os.PathLike | None] = ()
) -> None:
    """Refuse, before any work is done, files that cannot be written or would overwrite one another or an input.

    Parameters
    ----------
    outputs, inputs : paths
        What a command will write and what it reads; None and what is not there yet are passed over as inputs.

    Raises
    ------
    UsageError
        If the folder of an output is missing, an output is no file, or two of the paths are the same file.
    """
    taken = {_place(one): "an input" for one in inputs if one is not None}
    for one in outputs:
        if one is None:
            continue
        path = Path(one)
        if not path.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", "make it first, or write elsewhere")
        _refuse_what_is_no_file(path)
        if _place(one) in taken:
            raise UsageError(
                f"{path} is {taken[_place(one)]} and would be overwritten",
                "give each output a name of its own",
            )
        taken[_place(one)] = "another output"


def _place(path: str | os.PathLike) -> str:
    return os.path.normcase(os.path.realpath(path))


def read_csv(
    path: str | os.PathLike, columns: Sequence[str], what: str, optional: Collection[str] | None = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file in UTF-8 below its first: the number of each, and its cells by column, as they stand.

    Parameters
    ----------
    path : path
    columns : sequence of str
        Names that the first line must hold, in any order.
    what : str
        What the file is, for messages: ``"relabelling"``.
    optional : collection of str or None
        Names that it may hold besides; None allows any.

    Raises
    ------
    UsageError
        If the file cannot be read, its columns are others, or a line has more or fewer cells than the first.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            strange = set(header) - set(columns) - set(header if optional is None else optional)
            if strange or not set(columns) <= set(header) or len(set(header)) < len(header):
                more = f", and may hold {', '.join(sorted(optional))}" if optional else ""
                raise UsageError(
                    f"the {what} {path} {'have' if what.endswith('s') else 'has'} the columns "
                    f"{', '.join(header)[:80] or 'none'}",
                    f"its first line must be {','.join(columns)}{more}",
                )
            for cells in reader:
                if len(cells) not in (0, len(header)):
                    raise UsageError(
                        f"line {reader.line_num} of {path} is {','.join(cells)[:100]!r}",
                        f"each line holds {len(header)} cells, {','.join(header)}",
                    )
                if cells:
                    yield reader.line_num, dict(zip(header, cells, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the {what} {path} cannot be read: {error}", "give a CSV file in UTF-8") from error


def csv_writer(stream: TextIO) -> Any:
    r"""A `csv.writer` whose lines end in ``\n`` alone, and that quotes every value with a ``\r``, as names may have.

    Asked for such lines, `csv.writer` leaves ``\r`` bare before Python 3.13, and readers see two lines.

    >>> import io
    >>> stream = io.StringIO()
    >>> _ = csv_writer(stream).writerow(["a\rb.jpg", "rose"])
    >>> stream.getvalue()
    '"a\rb.jpg",rose\n'
    """
    return csv.writer(_Lines(stream))


class _Lines:
    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, line: str) -> int:
        return self.stream.write(line.removesuffix("\r\n") + "\n")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can say so (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some mounts (vboxsf, old CIFS) know this for files alone: the file stands, and nothing more can be done.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def identity(stat: os.stat_result) -> tuple[int, int, int, int]:
    """Size, mtime, ctime and inode: what changes when a file's content does."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def name_as_text(name: str) -> str:
    r"""A file name as clean UTF-8 text with ``/`` between folders.

    Bytes that are not UTF-8 become ``\xE9``, a backslash becomes ``\\``; `text_as_name` turns it back.

    >>> name_as_text("daisy/caf\udce9 1.jpg")
    'daisy/caf\\xE9 1.jpg'
    """
    if os.name == "nt":
        name = name.replace("\\", "/")
    elif sys.getfilesystemencoding() != "utf-8":
        # The bytes on disk count, not the language settings that Python read them with.
        name = os.fsencode(name).decode("utf-8", "surrogateescape")
    name = name.replace("\\", "\\\\")
    return re.sub("[\ud800-\udfff]", _escape_surrogate, name)


def _escape_surrogate(match: re.Match) -> str:
    code = ord(match.group())
    return f"\\x{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04X}"


def text_as_name(text: str) -> str:
    r"""The file name that `name_as_text` wrote as `text`.

    >>> text_as_name("a\\\\b") == "a\\b"
    True
    """

    def unescape(match: re.Match) -> str:
        kind = match.group(1)
        if kind == "\\":
            return "\\"
        return chr(0xDC00 + int(kind[1:], 16)) if kind[0] == "x" else chr(int(kind[1:], 16))

    name = re.sub(r"\\(\\|x[89A-F][0-9A-F]|uD[89A-F][0-9A-F]{2})", unescape, text)
    if os.name != "nt" and sys.getfilesystemencoding() != "utf-8":
        name = os.fsdecode(name.encode("utf-8", "surrogateescape"))
    return name


# -- A folder of whole files, on this machine or on object storage: all that the store needs of either ---


WRITTEN = ("LastModified", "last_modified", "mtime", "created")  # as fsspec's protocols call it


class Folder(Protocol):
    """Names below one root, with ``/``; files are written whole, never changed, and may vanish."""

    url: str

    def names(self, below: str) -> list[tuple[str, int, float]]:
        """Name, bytes and time of last writing of each file directly in the folder `below`, sorted.

        The time is now where nothing tells it: what is of unknown age is never taken for old.
        """

    def folders(self) -> list[str]:
        """Names of the folders directly below the root, sorted."""

    def read(self, name: str) -> bytes:
        """The whole file; FileNotFoundError when it is gone, StoreError when it cannot be read."""

    def open(self, name: str) -> Any:
        """The file as a seekable binary stream, for reading a part."""

    def write(self, name: str, data: bytes) -> None:
        """Write the whole file, so that readers see all of it or nothing, and it survives a power cut."""

    def move(self, name: str, to: str) -> None:
        """Rename; nothing happens when it is gone, StoreError when it cannot be."""

    def remove(self, name: str) -> None:
        """Delete; nothing happens when it is gone, StoreError when it cannot be."""

    def remove_folder(self, below: str) -> None:
        """Delete a folder if it is empty; nothing happens when it is not, or is gone."""


def open_folder(url: str | os.PathLike) -> Folder:
    """The folder at a local path or an fsspec URL such as ``s3://bucket/store``.

    Raises
    ------
    StoreError
        If it cannot be made or reached, or the URL's protocol is unknown.
    """
    text = os.fspath(url)
    if "://" not in text:
        return LocalFolder(Path(text))
    if text.startswith("file://"):
        return LocalFolder(Path(text.removeprefix("file://")))
    return RemoteFolder(text)


class LocalFolder:
    """A folder on a disk of this machine."""

    def __init__(self, root: Path):
        try:
            self.root = root.expanduser().resolve()
        except RuntimeError as error:
            raise StoreError(
                f"the store {root} cannot be made: {str(error).rstrip('.').lower()}",
                "give the whole path of a folder with --store",
            ) from error
        self.url = str(self.root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store {self.root} cannot be made: {error.strerror}", "give another folder with --store"
            ) from error

    def names(self, below: str) -> list[tuple[str, int, float]]:
        try:
            with os.scandir(self.root / below) as entries:
                found = [(entry.name, entry) for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        result = []
        for name, entry in sorted(found, key=lambda item: item[0]):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            result.append((name, status.st_size, status.st_mtime))
        return result

    def folders(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def open(self, name: str) -> Any:
        try:
            return open(self.root / name, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(
                f"{self.root / name} cannot be read: {error.strerror}",
                "check the rights, or give another --store",
            ) from error

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        try:
            try:
                self._write(path, data)
            except FileNotFoundError:
                # Someone pruned the folder, which was still empty, between its making and its use.
                self._write(path, data)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror}",
                "free some space or give another --store; what was stored before is intact",
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent.parent)
        with whole_file(path) as partial:
            partial.write_bytes(data)

    def move(self, name: str, to: str) -> None:
        with _changing(f"{self.root / name}", "moved", OSError, "check the rights"):
            (self.root / to).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.root / name, self.root / to)

    def remove(self, name: str) -> None:
        with _changing(f"{self.root / name}", "removed", OSError, "check the rights"):
            (self.root / name).unlink()

    def remove_folder(self, below: str) -> None:
        with suppress(OSError):
            os.rmdir(self.root / below)


class RemoteFolder:
    """A folder on anything that fsspec reaches; a put of a whole object is atomic there."""

    def __init__(self, url: str):
        import fsspec

        self.url = url.rstrip("/")
        protocol = url.partition("://")[0]
        try:
            self.system, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"the store {url} cannot be reached: {error}",
                f"install what fsspec needs for {protocol}:// (for s3://, pip install s3fs), or give a folder",
            ) from error
        self.root = root.rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def names(self, below: str) -> list[tuple[str, int, float]]:
        result = []
        for entry in self._list(below):
            if entry["type"] == "file":
                name, size = entry["name"].rsplit("/", 1)[-1], int(entry["size"])
                result.append((name, size, self._written(entry)))
        return sorted(result)

    def _written(self, entry: dict) -> float:
        # Each protocol has its own name for it, and some tell only when asked for the one file, or not at all.
        told = [entry[name] for name in WRITTEN if entry.get(name)]
        if not told:
            with suppress(Exception):
                told = [self.system.modified(entry["name"])]
        for when in told:
            if isinstance(when, datetime):
                return when.timestamp()
            if isinstance(when, int | float):
                return float(when)
        return time.time()

    def folders(self) -> list[str]:
        names = [e["name"].rstrip("/").rsplit("/", 1)[-1] for e in self._list("") if e["type"] == "directory"]
        return sorted(names)

    def _list(self, below: str) -> list[dict]:
        try:
            return self.system.ls(self._path(below), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            # Each protocol has its own exceptions for "no such host" and "not allowed".
            raise StoreError(
                f"the store {self.url} cannot be listed: {error}",
                "check the address, the network and the rights",
            ) from error

    def read(self, name: str) -> bytes:
        with self._reading(name):
            return self.system.cat_file(self._path(name))

    def open(self, name: str) -> Any:
        with self._reading(name):
            return self.system.open(self._path(name), "rb")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise StoreError(
                f"{self.url}/{name} cannot be read: {error}", "check the network and the rights"
            ) from error

    def write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            self.system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            if self._put_is_atomic():
                self.system.pipe_file(path, data)
            else:
                partial = f"{path.rsplit('/', 1)[0]}/{PARTIAL}{secrets.token_hex(8)}"
                self.system.pipe_file(partial, data)
                self.system.mv(partial, path)
        except Exception as error:
            raise StoreError(
                f"{self.url}/{name} cannot be written: {error}", "what was stored before is intact; run again"
            ) from error

    def _put_is_atomic(self) -> bool:
        protocols = (
            {self.system.protocol} if isinstance(self.system.protocol, str) else set(self.system.protocol)
        )
        return bool(protocols & {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory", "oss", "r2"})

    def move(self, name: str, to: str) -> None:
        with _changing(f"{self.url}/{name}", "moved", Exception, "check the network and the rights"):
            self.system.mv(self._path(name), self._path(to))

    def remove(self, name: str) -> None:
        with _changing(f"{self.url}/{name}", "removed", Exception, "check the network and the rights"):
            self.system.rm_file(self._path(name))

    def remove_folder(self, below: str) -> None:
        # Object storage has no folders of its own: one without files is gone already.
        with suppress(OSError):
            self.system.rmdir(self._path(below))


@contextmanager
def _changing(place: str, how: str, trouble: type[Exception], check: str) -> Iterator[None]:
    """Nothing happens when the file is gone; what else goes wrong is a StoreError."""
    try:
        yield
    except FileNotFoundError:
        return
    except trouble as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{place} cannot be {how}: {reason}", f"{check} and run it again") from error


# -- How much memory this machine has, for decisions that cost time where it is short --------------------

ASSUMED = 8 << 30  # bytes, where the system does not say
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory(limits: Iterable[str | os.PathLike] = LIMITS) -> int:
    """Bytes of memory, or fewer where a container may not use all of them: a file of `limits` says how many.

    >>> total_memory() > 1 << 20
    True
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # such as Windows
        total = ASSUMED
    for path in limits:
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total
