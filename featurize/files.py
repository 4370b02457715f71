"""The file system, the same on Linux, macOS and Windows: CSV files, file names as text, folders of whole files."""

import csv
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from featurize.errors import BottleheadError, StoreError, UsageError
from featurize.outputs import PARTIAL, sync_folder, whole_file
from featurize.remote import ATOMIC, Location, RemotePath, local_part, path_at, shown, system_of
from featurize.remote_errors import RemoteError, fault_of


def is_readable(path: Location, kind: type[BottleheadError]) -> bool:
    """Whether `path` is a file; where the permission to read it, or to enter its folder, is missing, a `kind` says so.

    Asked before anything else looks at it, so that what is closed, or cannot be reached, is called neither missing nor
    damaged.
    """
    place = path_at(path)
    if isinstance(place, RemotePath):
        try:
            return place.is_file()
        except RemoteError as error:
            raise kind(f"{place} cannot be read: {error.strerror}", error.hint) from error
    path = str(local_part(path))
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            os.scandir(os.fspath(path)).close()
        elif stat.S_ISREG(mode):
            open(path, "rb").close()
    except PermissionError as error:
        hint = "give yourself the right to read it and to enter its folder, or ask its owner"
        raise kind(f"{os.fspath(path)} may not be read: permission is missing", hint) from error
    except (OSError, ValueError):  # whoever reads it will say what is wrong
        pass
    return os.path.isfile(path)


SEPARATORS = ",;\t"  # of CSV files: Excel writes semicolons where a comma is the decimal point


def own_separator(first: str) -> str:
    """The separator that the first line of a CSV file names in Excel's own way; "" where it does not.

    >>> own_separator("sep=;\\n"), own_separator("label,new_label\\n")
    (';', '')
    """
    if first[:4].lower() != "sep=":
        return ""
    if first[4:5] in "\r\n":
        raise csv.Error("its first line, sep=, names no separator")
    return first[4]


def separator_of(header: str, known: Collection[str]) -> str:
    """What separates the cells of a CSV file, by its first line: most names in it are `known` then, or there are most.

    >>> separator_of("label;new_label", ["label", "new_label"])
    ';'
    """

    def n_names(separator: str) -> tuple[int, int]:
        with suppress(csv.Error):
            names = next(csv.reader([header], delimiter=separator, skipinitialspace=True), [])
            return sum(name.strip().casefold() in known for name in names), len(names)
        return 0, 0

    return max(SEPARATORS, key=n_names)


def foreign_separator(names: Sequence[str], known: Collection[str]) -> str:
    """What a hint adds where the one name of a header is several, with a separator that is not read; "" else.

    >>> foreign_separator(["image|label"], ["image", "label"])
    "; its columns seem to be separated by '|': write commas, semicolons or tabs instead"
    """
    for separator in "|:^~" if len(names) == 1 else "":
        parts = [part.strip().casefold() for part in names[0].split(separator)]
        if len(parts) > 1 and not set(parts).isdisjoint(known):
            return f"; its columns seem to be separated by {separator!r}: write commas, semicolons or tabs instead"
    return ""


def read_csv(
    path: Location,
    columns: Sequence[str],
    what: str,
    optional: Collection[str] | None = (),
    *,
    key: Callable[[dict[str, str]], Sequence[str]] = lambda line: (),
    hint: str = "",
) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file in UTF-8 below its first: the number of each, and its cells by column, as they stand.

    Cells are separated by commas, semicolons or tabs, as the first line shows. Of a file that begins with a byte-order
    mark, what `csv_writer` did for a spreadsheet is undone.

    The first line must hold `columns`, in any order, and may hold `optional` ones (None: any), which `hint` says where
    these words do not; `what` the file is, for messages; `key` gives what of a line no other line may have, if
    anything. UsageError if the file cannot be read, has other columns, a line has more or fewer cells than the first,
    or two lines have one key: the second would contradict the first.
    """
    lines: dict[Sequence[str], int] = {}
    is_readable(path, UsageError)
    try:
        with path_at(path).open(encoding="utf-8", newline="") as stream:
            first = stream.readline()  # a pipe cannot be read twice
            as_meant = unguarded if first.startswith(MARK) else str
            first = first.removeprefix(MARK)
            own = own_separator(first)
            if own:
                first = stream.readline()
            separator = own or separator_of(first, [*columns, *(optional or ())])
            reader = csv.reader(chain([first], stream), delimiter=separator)
            header = [as_meant(name).strip() for name in next(reader, [])]
            strange = set(header) - set(columns) - set(header if optional is None else optional)
            if strange or not set(columns) <= set(header) or len(set(header)) < len(header):
                more = f", and may hold {', '.join(sorted(optional))}" if optional else ""
                hint = hint or f"its first line must be {','.join(columns)}{more}"
                hint += foreign_separator(header, columns)
                has, found = "have" if what.endswith("s") else "has", ", ".join(header)[:80] or "none"
                raise UsageError(f"the {what} {path} {has} the columns {found}", hint)
            for cells in reader:
                number = reader.line_num + bool(own)
                if len(cells) not in (0, len(header)):
                    hint = f"each line holds {len(header)} cells, {separator.join(header)}"
                    raise UsageError(f"line {number} of {path} is {separator.join(cells)[:100]!r}", hint)
                if cells:
                    line = dict(zip(header, map(as_meant, cells), strict=True))
                    one_of = key(line)
                    if one_of in lines:
                        twice = f"{path} names {', '.join(one_of)[:80]} twice, in line {lines[one_of]}"
                        raise UsageError(f"{twice} and again in line {number}", "keep one of the lines")
                    if one_of:
                        lines[one_of] = number
                    yield number, line
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        made = hint or f"its first line must be {','.join(columns)}"
        why, hint = str(error), "give a CSV file in UTF-8"
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            why, hint = "there is no such file", f"check the path, or make it as a CSV file in UTF-8; {made}"
        elif isinstance(error, IsADirectoryError):
            why, hint = "it is a folder", "give the path of a file"
        elif isinstance(error, UnicodeDecodeError):
            why = "it is no text in UTF-8"
        elif isinstance(error, OSError):
            why = error.strerror or why
        says_all = not isinstance(error, OSError) or why != (error.strerror or str(error))
        raise UsageError(f"the {what} {path} cannot be read: {why}", hint) from (None if says_all else error)


SMALL = 64 << 20  # bytes that any file may unpack to
MOST_UNPACKED = 64  # times its size that a larger one may; real tables stay below 20


def check_unpacked(n_bytes: int, size: int) -> None:
    """ValueError where a file of `size` bytes says that it unpacks to `n_bytes`, and no honest one would."""
    if n_bytes > max(SMALL, MOST_UNPACKED * size):
        raise ValueError(f"it would unpack to {n_bytes / 1e6:,.0f} MB, and takes {size / 1e6:,.2f} MB")


MARK = "\ufeff"  # the byte-order mark, without which Excel takes UTF-8 for the encoding of Windows
FORMULA = re.compile("'*[=+@-]")


def guarded(cell: Any) -> Any:
    """Text that a spreadsheet would compute, with a ``'`` before it; so is text that has one already.

    >>> [guarded(cell) for cell in ("=1+1", "'=1+1", "a=1", -1)]
    ["'=1+1", "''=1+1", 'a=1', -1]
    """
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """The opposite of `guarded`.

    >>> [unguarded(cell) for cell in ("'=1+1", "''=1+1", "=1+1", "'a'")]
    ['=1+1', "'=1+1", '=1+1', "'a'"]
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def csv_writer(stream: TextIO, excel: bool = False) -> Any:
    r"""A `csv.writer` whose lines end in ``\n`` alone, and that quotes every value with a ``\r``, as names may have.

    Asked for such lines, `csv.writer` leaves ``\r`` bare before Python 3.13, and readers see two lines. For a
    spreadsheet (`excel`) a byte-order mark is written at once, and text is `guarded`.

    >>> import io
    >>> stream = io.StringIO()
    >>> _ = csv_writer(stream).writerow(["a\rb.jpg", "rose"])
    >>> stream.getvalue()
    '"a\rb.jpg",rose\n'
    """
    if not excel:
        return csv.writer(_Lines(stream))
    stream.write(MARK)
    return _GuardedWriter(csv.writer(_Lines(stream)))


class _GuardedWriter:
    def __init__(self, writer: Any):
        self.writer = writer

    def writerow(self, cells: Iterable[Any]) -> None:
        self.writer.writerow(map(guarded, cells))

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        self.writer.writerows(map(guarded, cells) for cells in rows)


class _Lines:
    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, line: str) -> int:
        return self.stream.write(line.removesuffix("\r\n") + "\n")


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

    def escape(match: re.Match) -> str:
        code = ord(match.group())
        return f"\\x{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04X}"

    return re.sub("[\ud800-\udfff]", escape, name.replace("\\", "\\\\"))


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


class Folder:
    """Names below one root, with ``/``, at a path or on whatever fsspec reaches.

    Files are written whole, never changed, and may vanish. Reading what is gone is a FileNotFoundError, moving and
    removing it does nothing; every other trouble is a StoreError.
    """

    def __init__(self, url: str | os.PathLike):
        import fsspec

        path = local_part(url)
        self.is_local = path is not None
        self._check = "check the rights" if self.is_local else "check the network and the rights"
        if path is not None:
            self.url = self.root = _made(Path(path))
            self.system = fsspec.filesystem("file")
            return
        given = os.fspath(url).rstrip("/")
        self.url, self._protocol = shown(given), RemotePath(given).protocol
        try:
            self.system, root = system_of(given)
        except RemoteError as error:
            hint = f"{error.hint}; or give a folder"
            raise StoreError(f"the store {self.url} cannot be reached: {error.strerror}", hint) from error
        self.root = root.rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def names(self, below: str) -> list[tuple[str, int, float]]:
        """Name, bytes and time of last writing of each file directly in the folder `below`, sorted.

        The time is now where nothing tells it: what is of unknown age is never taken for old.
        """
        files = [entry for entry in self._list(below) if entry["type"] == "file"]
        return sorted((_last(entry), int(entry["size"]), self._written(entry)) for entry in files)

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

    def folders(self, below: str = "") -> list[str]:
        """Names of the folders directly below the root, or below another folder, sorted."""
        return sorted(_last(entry) for entry in self._list(below) if entry["type"] == "directory")

    def exists(self) -> bool:
        """Whether anything is there; on object storage, a folder is what lies in it."""
        try:
            with self._trouble("", "reached", self._check):
                return bool(self.system.info(self.root))
        except FileNotFoundError:
            return False

    def _list(self, below: str) -> list[dict]:
        try:
            with self._trouble(below, "listed", self._check):
                return self.system.ls(self._path(below), detail=True)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """The whole file."""
        with self._trouble(name, "read", f"{self._check}, or give another --store"):
            return self.system.cat_file(self._path(name))

    def open(self, name: str) -> Any:
        """The file as a seekable binary stream, for reading a part."""
        with self._trouble(name, "read", f"{self._check}, or give another --store"):
            return self.system.open(self._path(name), "rb")

    def write(self, name: str, data: bytes) -> None:
        """Write the whole file, so that readers see all of it or nothing, and it survives a power cut."""
        path = self._path(name)
        hint = "free some space or give another --store" if self.is_local else "run again"
        try:
            with self._trouble(name, "written", f"{hint}; what was stored before is intact"):
                try:
                    self._write(path, data)
                except FileNotFoundError:
                    # Someone pruned the folder, which was still empty, between its making and its use.
                    self._write(path, data)
        except FileNotFoundError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}", hint) from error

    def _write(self, path: str, data: bytes) -> None:
        parent = path.rpartition("/")[0]
        if self.is_local:
            if not os.path.isdir(parent):
                os.makedirs(parent, exist_ok=True)
                sync_folder(Path(parent).parent)
            with whole_file(path) as partial:
                partial.write_bytes(data)
            return
        self.system.makedirs(parent, exist_ok=True)
        protocol = self.system.protocol
        if ATOMIC.isdisjoint([protocol] if isinstance(protocol, str) else protocol):
            beside = f"{parent}/{PARTIAL}{secrets.token_hex(8)}"
            self.system.pipe_file(beside, data)
            self.system.mv(beside, path)
        else:
            self.system.pipe_file(path, data)

    def move(self, name: str, to: str) -> None:
        """Rename a file."""
        with suppress(FileNotFoundError), self._trouble(name, "moved", f"{self._check} and run it again"):
            self.system.makedirs(self._path(to).rpartition("/")[0], exist_ok=True)
            self.system.mv(self._path(name), self._path(to))

    def remove(self, name: str) -> None:
        """Delete a file."""
        with suppress(FileNotFoundError), self._trouble(name, "removed", f"{self._check} and run it again"):
            self.system.rm_file(self._path(name))

    def remove_folder(self, below: str) -> None:
        """Delete a folder if it is empty; object storage has none of its own."""
        with suppress(OSError):
            self.system.rmdir(self._path(below))

    @contextmanager
    def _trouble(self, name: str, how: str, hint: str) -> Iterator[None]:
        """Each protocol has exceptions of its own for "no such host" and "not allowed"."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            place = f"{self.url}/{name}" if name else f"the store {self.url}"
            reason = getattr(error, "strerror", None) or error
            if not self.is_local:
                reason, remedy = fault_of(error, self._protocol)
                hint = f"{remedy}; {hint}"
            raise StoreError(f"{place} cannot be {how}: {reason}", hint) from error


def _made(path: Path) -> str:
    """The whole path of a folder, which is made where it is not there."""
    try:
        path = path.expanduser().resolve()
        path.mkdir(parents=True, exist_ok=True)
        return path.as_posix()
    except (OSError, RuntimeError) as error:  # the latter where "~" is nobody's home
        reason = getattr(error, "strerror", None) or str(error).rstrip(".").lower()
        hint = "give the whole path of another folder with --store, or in the environment variable FEATURIZE_STORE"
        raise StoreError(f"the store {path} cannot be made: {reason}", hint) from error


def _last(entry: dict) -> str:
    return entry["name"].rstrip("/").rpartition("/")[2]


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
