"""Files that commands write: what they may replace, and how they are written whole."""

import codecs
import csv
import datetime
import errno
import io
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from featurize.errors import UsageError
from featurize.remote import Location, RemotePath, path_at, shown
from featurize.remote_errors import RemoteError

PARTIAL = ".partial-"
# What an output is, and what may stand in its place before: an output replaces a file of its own kind alone.
TABLE, PREDICTIONS, MODEL = "a table of features", "a table of predictions", "a model"
GRAPH, LITERT, ONNX = "a frozen graph", "a TensorFlow Lite model", "an ONNX model"
OPENVINO, SAVED_MODEL, EXPORTED_HEAD = "a model of OpenVINO", "an exported saved_model", "an exported head"
OPENVINO_WEIGHTS, UNKNOWN = "weights of OpenVINO", "a file of an unknown kind"
PAGE, JSON, JSON_LINES, CSV, TEXT = "an HTML page", "JSON", "JSON lines", "CSV", "plain text"
PHOTO, FIGURE = "a photo", "a figure"
MAKER = "bottlehead"  # what a figure of ours names as its maker, so that it is told from others
PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
LOOKED_AT = 1 << 16  # bytes of a text, from its start
# What protobuf messages begin with: a node with a name and an operation; the version of ONNX and its next field; of a
# saved_model, its version, 1, which ONNX has left behind.
MESSAGES = {
    GRAPH: re.compile(rb"\n[\x80-\xff]{0,4}[\0-\x7f]\n[\x80-\xff]?[\x01-\x7f][\w./-]+\x12.[A-Z]\w+"),
    SAVED_MODEL: re.compile(rb"\x08\x01\x12"),
    ONNX: re.compile(rb"\x08[\x02-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]"),
}

# A path of Linux that stands for a stream which is open already.
STREAM = re.compile(r"/(?:dev|proc/self)/fd/(\d+)|/proc/\d+/fd/(\d+)")
STDOUT = "-"  # also of options that write a file
STANDARD_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def check_page_name(path: str | None, option: str) -> None:
    """Refuse a page whose name no browser takes for one; what is no file, such as ``/dev/stdout``, has no name."""
    if path and not path.lower().endswith((".html", ".htm")) and not is_streamed(path):
        raise UsageError(
            f"{option} {path} is not the name of a page",
            f"let it end in .html or .htm, such as {option} {Path(path).stem or 'report'}.html",
        )


def check_outputs(
    outputs: Iterable[tuple[Location | None, str]], inputs: Iterable[Location | None] = ()
) -> None:
    """Refuse, before any work is done, outputs that cannot be written or would replace what they must not.

    `outputs` are paths, each with the kind that is written to it; None, and inputs that are not there yet, are passed
    over. UsageError if the folder of an output is missing, an output is a folder, two paths are the same file (links
    followed), an output would replace an input or a file of another kind, or a URL cannot be reached.
    """
    taken = {_place(path): "an input" for path in inputs if path is not None}
    for path, kind in outputs:
        if path is None or _descriptor(path) is not None:
            continue
        if (what := taken.get(_place(path))) and str(path) != os.devnull:
            raise UsageError(
                f"{path} is {what} and would be overwritten", "give each output a name of its own"
            )
        _check_one(path_at(path), kind)
        if kind == MODEL:
            check_clock()
        if kind in (MODEL, PAGE, JSON):
            given_date()
        taken[_place(path)] = "another output"


def check_clock() -> None:
    """UsageError if the clock is so wrong that a model, a zip file, cannot hold its date."""
    year = time.localtime().tm_year
    if not 1980 <= year < 2108:
        problem = (
            f"this machine's clock says that it is the year {year}; a model holds dates from 1980 to 2107"
        )
        raise UsageError(problem, "set the clock and run it again")


def given_date() -> str | None:
    """The date that the environment variable SOURCE_DATE_EPOCH gives, if it is set; UsageError if it is none."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if not given:
        return None
    try:
        return datetime.datetime.fromtimestamp(int(given), datetime.UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        what = f"the environment variable SOURCE_DATE_EPOCH is {given!r}"
        raise UsageError(what, "give the seconds since 1970, or unset it") from error


def check_folder(path: Location, names: Iterable[str], kind: str) -> None:
    """Refuse, before any work is done, a folder that cannot take files of these `names`, or holds others under them.

    It need not be there yet, but the folder that it will lie in must.
    """
    place = path_at(path)
    if isinstance(place, Path) and not place.is_dir():
        if place.exists():
            raise UsageError(
                f"{path} is a file, not a folder", "name a folder, which is made if it is missing"
            )
        if not place.parent.is_dir():
            raise UsageError(f"there is no folder {place.parent}", "make it first, or write elsewhere")
        return
    for name in names:
        _check_one(place / name, kind)


@contextmanager
def whole_file(path: Location, kind: str | None = None) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends well.

    Readers see the old file or the new one, never a part; a crash leaves the old one. What is replaced hands on its
    mode and, where that is allowed, its owner. A link is followed. To a URL, a pipe, a device or an open stream such as
    ``/dev/stdout``, the bytes are written once they are whole.

    UsageError if `path` is a folder, or a file of another kind than `kind` (None: any file is replaced).
    """
    place = path_at(path)
    if kind is not None and _descriptor(place) is None:
        _check_one(place, kind)
    if isinstance(place, RemotePath) or is_streamed(place):
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / f"whole{place.suffix}"
            yield partial
            if isinstance(place, RemotePath):
                place.put(partial)
            else:
                _pour(partial, place)
        return
    target = Path(os.path.realpath(place))
    partial = target.parent / f"{PARTIAL}{secrets.token_hex(8)}{target.suffix}"
    with _named(place, partial):
        before = _make_empty(partial, target)
        try:
            yield partial
            with open(partial, "rb+") as stream:
                os.fsync(stream.fileno())
            if before is not None:
                _hand_on(before, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


# What other programs, and outputs of ours that are no model, are known by.
OTHER_ENDINGS = (
    ".h5 .hdf5 .keras .pb .onnx .tflite .pt .pth .pkl .pickle .joblib .html .htm .csv .tsv .json .jsonl .xlsx .parquet "
    ".npz .npy"
).split()


def check_model_name(path: Location) -> None:
    """UsageError for a model under the ending of another format, which every other program would trip over."""
    ending = path_at(path).suffix.lower()
    if ending in OTHER_ENDINGS:
        hint = "give it another ending, such as .model; `classify export MODEL -o FILE` writes other formats"
        raise UsageError(f"{path} would be a model of ours, a zip file, under the ending {ending}", hint)


def where_written(path: Location) -> str:
    """The path as it was given, and where it leads if it is a link: what a message may call written."""
    place = path_at(path)
    if str(place) == STDOUT:
        return "to stdout"
    if isinstance(place, Path) and _descriptor(place) is None and os.path.islink(place):
        return f"{os.path.realpath(place)} (to which {path} links)"
    return shown(path)


def print_unless(outputs: Iterable[Location | None], text: str) -> None:
    """Print a result for people, unless one of the files is ``-``: what reads that gets the file alone."""
    if STDOUT not in outputs:
        print(text)


def _make_empty(partial: Path, target: Path) -> os.stat_result | None:
    """Make the temporary file; it is never open to more people than the file that it replaces (the result)."""
    before = target.stat() if target.exists() else None
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode) | stat.S_IWUSR
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return before


def _hand_on(before: os.stat_result, partial: Path) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give a file away
            os.chown(partial, before.st_uid, before.st_gid)
    with suppress(OSError):  # a mount without modes
        os.chmod(partial, stat.S_IMODE(before.st_mode))


@contextmanager
def _named(path: Path, partial: Path) -> Iterator[None]:
    """An error of the disk names the file that was to be written, not the temporary one or none."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
        if error.filename == os.fspath(partial) or (full and error.filename is None):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


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


# -- Links, pipes and devices ---


def _descriptor(path: Location) -> int | None:
    """The number of the open stream that ``-`` or a path such as ``/dev/stdout`` stands for, links to it followed."""
    place = path_at(path)
    if isinstance(place, RemotePath):
        return None
    if str(place) == STDOUT:
        return 1
    text = os.path.abspath(place)
    for _ in range(40):  # as many links as Linux follows
        if text in STANDARD_STREAMS:
            return STANDARD_STREAMS[text]
        if match := STREAM.fullmatch(text):
            return int(match[1] or match[2])
        if not os.path.islink(text):
            break
        text = os.path.normpath(os.path.join(os.path.dirname(text), os.readlink(text)))
    return None


def is_streamed(path: Location) -> bool:
    """Whether bytes run through it and do not stay: a pipe, a device, or an open stream such as ``-``, stdout."""
    place = path_at(path)
    if isinstance(place, RemotePath):
        return False
    if _descriptor(place) is not None:
        return True
    with suppress(OSError):
        mode = os.stat(place).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


def _pour(partial: Path, path: Path) -> None:
    """Write the whole file to a pipe, a device or an open stream."""
    number = _descriptor(path)
    sys.stdout.flush()
    try:
        # An open stream keeps its own place in the file that it leads to; opened anew, it would begin at 0.
        with open(partial, "rb") as source, open(path if number is None else os.dup(number), "wb") as stream:
            shutil.copyfileobj(source, stream)
    except BrokenPipeError as error:
        raise UsageError(f"the reader of {path} has gone before all was written", "run it again") from error


# -- What may be replaced ---


def same_file(one: Location, other: Location) -> bool:
    """Whether two paths name one file, links followed."""
    return _place(one) == _place(other)


def _place(path: Location) -> tuple[int | str, ...]:
    """The same for all names of one file: links are followed, and hard links are one file."""
    place = path_at(path)
    if isinstance(place, RemotePath):
        return (str(place),)
    with suppress(OSError):
        found = os.stat(place)
        return found.st_dev, found.st_ino
    return (os.path.normcase(os.path.realpath(place)),)


def _check_one(path: Path | RemotePath, kind: str) -> None:
    if isinstance(path, RemotePath):
        _check_remote(path, kind)
        return
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        folder = target.parent if path.is_symlink() else path.parent
        raise UsageError(f"there is no folder {folder}", "make it first, or write elsewhere")
    if target.is_dir():
        raise UsageError(f"{path} is a folder", "name a file in it")
    if not target.exists() or is_streamed(target):
        return
    if not target.is_file():
        raise UsageError(f"{path} is a disk or a socket, not a file", "name a file to write")
    try:
        kinds = kinds_of(target)
    except PermissionError as error:
        raise UsageError(
            f"{path} may not be read, so nobody can say what would be replaced", "give another name"
        ) from error
    _refuse_other_kind(path, kind, kinds)


def _check_remote(path: RemotePath, kind: str) -> None:
    """Object storage has no folders, so that none can be missing; its bucket can."""
    if str(path).endswith("/"):
        raise UsageError(f"{path} is a folder", "name a file in it")
    try:
        path.check_writable()
        kinds = kinds_of(path) if path.is_file() else set()
    except RemoteError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", error.hint) from error
    _refuse_other_kind(path, kind, kinds)


def _refuse_other_kind(path: Path | RemotePath, kind: str, kinds: set[str]) -> None:
    if kinds and kind not in kinds:
        raise UsageError(
            f"{path} is {' or '.join(sorted(kinds))}, and {kind} would replace it",
            "give the output another name, or remove that file first",
        )


def is_table(path: Location) -> bool:
    """Whether a file is a table of features by its content."""
    place = path_at(path)
    with suppress(OSError):
        return place.is_file() and TABLE in kinds_of(place)
    return False


def kinds_of(path: Path | RemotePath) -> set[str]:
    """What a file is by its content; two kinds where both could be meant, none if it is empty."""
    with path.open("rb") as stream:
        start = stream.read(LOOKED_AT)
        if not start:
            return set()
        if start.startswith(b"PAR1"):
            return {_kind_of_parquet(stream)}
        if start.startswith(b"PK"):
            return {_kind_of_zip(stream)}
        if _is_figure(start, stream):
            return {FIGURE}
    if start.startswith(PHOTO_STARTS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return {PHOTO}
    if start[4:8] == b"TFL3":
        return {LITERT}
    if kinds := {kind for kind, begin in MESSAGES.items() if begin.match(start)}:
        return kinds
    cut = len(start) == LOOKED_AT
    try:
        # The last character of what was read may be cut in the middle.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start, final=not cut)
    except UnicodeDecodeError:
        text = "\0"
    return {UNKNOWN} if "\0" in text else _kinds_of_text(text, cut)


def _kind_of_parquet(stream: IO[bytes]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(stream)
    except pa.ArrowException:
        return "a damaged Parquet file"
    if b"featurize" in (schema.metadata or {}):
        return TABLE
    of_ours = (
        {"image", "label", "confidence", "outlier"},
        {"image", "label", "predicted", "features", "head"},
    )
    predictions = any(names.issubset(schema.names) for names in of_ours)
    return PREDICTIONS if predictions else "a Parquet file of another maker"


def _kind_of_zip(stream: IO[bytes]) -> str:
    with suppress(zipfile.BadZipFile, NotImplementedError), zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        if "model.json" in names:
            return MODEL
        if "featurize.npy" in names:
            return TABLE
        if {"format.npy", "slope.npy", "root.npy"}.issubset(names):
            return EXPORTED_HEAD
    return "an archive"


def _is_figure(start: bytes, stream: IO[bytes]) -> bool:
    """Whether PNG, SVG or PDF names us as its maker, which a PDF does at its end."""
    if start.startswith(b"\x89PNG"):
        return f"Software\0{MAKER}".encode() in start
    if start.startswith(b"%PDF"):
        stream.seek(-min(LOOKED_AT, stream.seek(0, os.SEEK_END)), os.SEEK_END)
        return f"/Creator ({MAKER})".encode() in stream.read()
    return b"<svg" in start and f"<dc:title>{MAKER}</dc:title>".encode() in start


def _kinds_of_text(text: str, cut: bool) -> set[str]:
    first = text.strip().partition("\n")[0]
    if re.match(r"<!doctype html|<html", first, re.IGNORECASE):
        return {PAGE}
    if first.startswith("<?xml") and re.search(r"<net\s", text[:1000]):
        return {OPENVINO}
    if first[:1] in ("{", "["):
        kinds = set()
        with suppress(ValueError, RecursionError):
            kinds |= {JSON_LINES} if isinstance(json.loads(first), dict) else set()
        with suppress(ValueError, RecursionError):
            json.loads(text)
            kinds.add(JSON)
        return kinds or ({JSON} if cut else {TEXT})
    with suppress(csv.Error):
        rows = [cells for cells in csv.reader(io.StringIO(text, newline="")) if cells]
        widths = {len(cells) for cells in (rows[:-1] if cut else rows)}
        # A first line of numbers is no header: a bottleneck file of retrain.py, say.
        if len(widths) == 1 and widths != {1} and not re.match(r"[-+.\d]+,", first):
            return {CSV}
    return {TEXT}
