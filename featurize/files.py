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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from featurize.errors import UsageError

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
