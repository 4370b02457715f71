"""Manifests: a table of images that someone else wrote, as CSV, Excel or Parquet."""

import codecs
import csv
import os
import posixpath
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurize.commands import OptionsError
from featurize.errors import BottleheadError, SourceError, UsageError, installing
from featurize.files import (
    check_unpacked,
    foreign_separator,
    own_separator,
    separator_of,
    text_as_name,
    unguarded,
)
from featurize.id_columns import check_kept_names
from featurize.photos.layout import SPLITS, listed, split_of
from featurize.remote import AnyPath, RemotePath, is_url, path_at
from featurize.tableformat import record_batches

COLUMNS = ("image", "label", "group", "split")
ENDINGS = (".csv", ".tsv", ".xlsx", ".xlsm", ".parquet")
# What others call our columns: taken where there is exactly one of them.
OTHER_NAMES = {
    "image": ("path", "file", "filename", "file_name", "filepath", "file_path", "image_path"),
    "label": ("class", "category"),
    "group": ("patient", "subject"),
    "split": (),
}
KNOWN = {*COLUMNS, *(name for others in OTHER_NAMES.values() for name in others)}

Row = dict[str, Any]  # text or None; the image may be what the row itself holds
Cells = Sequence[Any]


@dataclass
class Manifest:
    """The rows of a manifest, and what a user should know about how it was read.

    `rows` gives where each stands ("line 7"), and its values by column, or what is wrong with it.
    """

    path: AnyPath
    rows: Iterator[tuple[str, Row | str]]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, Row | str]]:
        return self.rows


def is_manifest(path: AnyPath) -> bool:
    """Whether a file is a manifest by the ending of its name."""
    return path.suffix.lower() in ENDINGS


def read_manifest(
    path: AnyPath,
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    used: Sequence[str] = (),
) -> Manifest:
    """Read a manifest; blanks around names and values do not count, and empty values are None.

    `columns` says which column is the image, label, group or split, where they are not called so (an empty name: none
    is). The values of the columns `keep` stand in each row too, under their names; those in `used` are somebody else's.
    SourceError, here or while the rows are read, if the file cannot be read, has no column of images or two of a
    kind, or names a split that does not exist.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _read_parquet(path, columns or {}, keep, used)
    manifest = Manifest(path, iter(()))
    is_excel = ending in (".xlsx", ".xlsm")
    lines = _excel_lines(manifest) if is_excel else _csv_lines(path)
    _, names = next(lines, ("", []))
    chosen = choose_columns(manifest, [_as_text(name) or "" for name in names], columns or {}, keep, used)
    if is_excel:
        lines = _with_days(lines, [chosen[name] for name in ("label", "group") if name in chosen])
    manifest.rows = checked_rows(path, _rows(lines, len(names), chosen))
    return manifest


# -- the cells of CSV, Excel and Parquet files ---


def _csv_lines(path: AnyPath) -> Iterator[tuple[str, Cells]]:
    """Where each line stands, and its cells; the first is the header."""
    encoding, as_meant = _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as stream:
            first = stream.readline()
            own = own_separator(first)
            separator = own or separator_of(first, KNOWN)
            if not own:
                stream.seek(0)
            reader = csv.reader(stream, delimiter=separator, strict=True, skipinitialspace=True)
            for values in reader:
                if values:
                    yield f"line {reader.line_num + bool(own)}", list(map(as_meant, values))
    except UnicodeDecodeError as error:
        raise _not_text(path, encoding, error) from None
    except csv.Error as error:
        hint = "quote names that hold commas or quotes"
        raise SourceError(f"{path} is no readable CSV: {error}", hint) from None
    except OSError as error:
        hint = "check the path and its permissions"
        raise SourceError(f"{path} cannot be read: {error.strerror or error}", hint) from None


def _encoding(path: AnyPath) -> tuple[str, Callable[[str], str]]:
    """The encoding, and what gives a cell as it was meant: a byte-order mark is that of a spreadsheet."""
    try:
        with path.open("rb") as stream:
            start = stream.read(3)
    except OSError:
        start = b""
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16", unguarded
    if b"\0" in start[:2]:  # the first letter of a name, in UTF-16 without a mark
        return ("utf-16-be" if start[:1] == b"\0" else "utf-16-le"), str
    return "utf-8-sig", unguarded if start == codecs.BOM_UTF8 else str


def _not_text(path: AnyPath, encoding: str, error: UnicodeDecodeError) -> SourceError:
    """Which line cannot be read, and how it would read in the encoding of Windows: never guessed, but proposed."""
    if encoding != "utf-8-sig":
        return SourceError(f"{path} is not UTF-16 text: {error.reason}", "save the manifest as UTF-8")
    hint = "save it as UTF-8 (in Excel: 'CSV UTF-8')"
    with path.open("rb") as stream:
        number, line = next((n, line) for n, line in enumerate(stream, start=1) if not _is_utf8(line))
    with suppress(UnicodeDecodeError):
        shown = line.decode("cp1252").strip()[:80]
        hint += f"; if this line means {shown}, convert it with: iconv -f CP1252 -t UTF-8 {path} > NEW.csv"
    return SourceError(f"{path} is not UTF-8 text: line {number} holds bytes of another encoding", hint)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _excel_lines(manifest: Manifest) -> Iterator[tuple[str, Cells]]:
    import pandas as pd

    path = manifest.path
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            with zipfile.ZipFile(stream) as archive:
                check_unpacked(sum(one.file_size for one in archive.infolist()), size)
            with pd.ExcelFile(stream, engine="openpyxl") as book:
                sheets = book.sheet_names
                plain: Any = {"dtype": object, "keep_default_na": False, "na_filter": False}
                frame = pd.read_excel(book, sheet_name=0, header=None, **plain)
    except ImportError:
        hint = f"{installing('excel')}, or save it as 'CSV UTF-8'"
        raise SourceError(
            f"{path} is an Excel file, and openpyxl, which reads them, is missing", hint
        ) from None
    except Exception as error:  # of zip files, XML and openpyxl, of many kinds
        raise SourceError(
            f"{path} is no readable Excel file: {error}", "save it again, or as 'CSV UTF-8'"
        ) from None
    if len(sheets) > 1:
        manifest.notes.append(f"of the {len(sheets)} sheets of {path.name} the first is read, {sheets[0]}")
    for number, values in enumerate(frame.itertuples(index=False, name=None), start=1):
        yield f"line {number}", list(map(_cell, values))


def _cell(value: Any) -> Any:
    """A value of an Excel file as it was meant: whole numbers may be kept as 3.0, and text as it stood in CSV."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return unguarded(value) if isinstance(value, str) else value


def _with_days(lines: Iterator[tuple[str, Cells]], columns: Sequence[int]) -> Iterator[tuple[str, Cells]]:
    """Dates instead of midnights, in columns that know no other time: Excel keeps a day as its midnight."""
    read = [(place, list(cells)) for place, cells in lines]
    for column in columns:
        times = [cells[column].time() for _, cells in read if isinstance(cells[column], datetime)]
        if times and set(times) == {time()}:
            for _, cells in read:
                if isinstance(cells[column], datetime):
                    cells[column] = cells[column].date()
    yield from read


def _rows(
    lines: Iterator[tuple[str, Cells]], n_columns: int, chosen: Mapping[str, int]
) -> Iterator[tuple[str, Row | str]]:
    for place, values in lines:
        if not any(map(_as_text, values[n_columns:])):
            values = values[:n_columns]  # separators at the end of a line
        if n_columns > 1 and not any(map(_as_text, values)):
            continue
        if len(values) != n_columns:
            # An unquoted comma in a file name would shift the label by one column.
            yield place, f"{len(values)} values for {n_columns} columns; quote what holds commas"
            continue
        yield place, manifest_row({name: values[number] for name, number in chosen.items()})


def _read_parquet(
    path: AnyPath, columns: Mapping[str, str], keep: Sequence[str], used: Sequence[str]
) -> Manifest:
    manifest = Manifest(path, iter(()))
    with parquet_rows(path) as (file, _):
        schema = file.schema_arrow
    chosen = choose_columns(manifest, schema.names, columns, keep, used)
    for name in ("label", "group"):
        if name in chosen and pa.types.is_integer(schema.field(chosen[name]).type):
            manifest.notes.append(f"the {name}s of {path.name} are whole numbers, which are taken as text")
    kind = schema.field(chosen["image"]).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        hint = "it holds file names, as text, or photos, which are read from files of this machine"
        raise SourceError(f"the image column of {path} holds {kind}", hint)
    names = {name: schema.names[number] for name, number in chosen.items()}

    def rows() -> Iterator[tuple[str, Row | str]]:
        with parquet_rows(path) as (file, stream):
            batches = record_batches(file, stream, list(dict.fromkeys(names.values())))
            lines = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(lines, start=1):
                yield f"row {number}", manifest_row({name: row[column] for name, column in names.items()})

    manifest.rows = checked_rows(path, rows())
    return manifest


@contextmanager
def parquet_rows(path: AnyPath) -> Iterator[tuple[pq.ParquetFile, IO[bytes]]]:
    """A Parquet file that is open; what is wrong with it becomes a SourceError."""
    try:
        # As an open file: a path as text Arrow would take for a URI, and cannot take if it is not UTF-8.
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            yield file, stream
    except BottleheadError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        hint = "write it again, or use .csv"
        raise SourceError(f"{path} is no readable Parquet file: {error}", hint) from None


def _as_text(value: object) -> str | None:
    if hasattr(value, "__len__"):  # an array is compared value by value
        return str(value).strip() or None
    # Not equal to itself: NaN, which some programs write for "none".
    return None if value is None or value != value else str(value).strip() or None


def manifest_row(values: Mapping[str, Any]) -> Row | str:
    """The row of a manifest with these values, as text; what is wrong where a value is several.

    >>> manifest_row({"image": "a.jpg", "label": ["rust", "steel"]})
    'its label is of type list; a photo has one label, as text or a whole number'
    """
    for name in ("label", "group", "split"):
        if hasattr(value := values.get(name), "__len__") and not isinstance(value, str | bytes):
            kind = type(value).__name__
            return f"its {name} is of type {kind}; a photo has one {name}, as text or a whole number"
    row = {name: _as_text(value) for name, value in values.items()}
    if row["image"]:
        row["image"] = str(values["image"])  # a file's name may begin or end with a blank
    return row


# -- which column is which, and what its values may be ---


def columns_of(text: str, known: Sequence[str] = COLUMNS) -> dict[str, str]:
    """Which column is what of those `known`, by the option ``--columns``; OptionsError if it cannot be read.

    >>> columns_of("image=filename,label=class")
    {'image': 'filename', 'label': 'class'}
    """
    columns: dict[str, str] = {}
    for pair in text.split(","):
        name, equals, column = pair.partition("=")
        if not equals or name.strip() not in known or name.strip() in columns:
            hint = f"give {', '.join(known)} a column each, as --columns image=filename,label=class"
            raise OptionsError(f"--columns {text} cannot be read at {pair!r}", hint)
        columns[name.strip()] = column.strip()
    return columns


def _meant(name: str) -> str:
    return name.strip().casefold()


def kept_of(text: str | None) -> list[str]:
    """The columns to keep, by the option ``--keep``.

    >>> kept_of("age, site")
    ['age', 'site']
    """
    names = [name.strip() for name in (text or "").split(",")]
    return [name for name in names if name]


def choose_columns(
    manifest: Manifest,
    names: Sequence[str],
    columns: Mapping[str, str],
    keep: Sequence[str] = (),
    used: Sequence[str] = (),
) -> dict[str, int]:
    """The number of the column that holds the image, label, group and split, and of those to keep.

    The manifest notes what is not plain.
    """
    path, chosen = manifest.path, dict[str, int]()
    check_kept_names(keep)
    for wanted, name in columns.items():
        if wanted not in COLUMNS:
            raise UsageError(
                f"{wanted!r} is no column of ours", f"give {', '.join(COLUMNS)} a column of the manifest"
            )
        found = [number for number, one in enumerate(names) if one == name]
        found = found or [number for number, one in enumerate(names) if _meant(one) == _meant(name)]
        if name and len(found) != 1:
            hint = f"its columns are {', '.join(map(repr, names)) or 'none'}"
            raise UsageError(f"{path} has {len(found) or 'no'} columns named {name!r}", hint)
        if name:
            chosen[wanted] = found[0]
    for wanted in COLUMNS:
        if wanted in columns:
            continue
        own = [number for number, name in enumerate(names) if _meant(name) == wanted]
        if len(own) > 1:
            raise SourceError(
                f"{path} has two columns named {wanted}", f"name the right one: --columns {wanted}=NAME"
            )
        others = [
            n
            for n, name in enumerate(names)
            if _meant(name) in OTHER_NAMES[wanted] and n not in chosen.values()
        ]
        if own or len(others) == 1:
            chosen[wanted] = (own or others)[0]
        elif others and wanted != "image":
            could = listed([names[number] for number in others])
            manifest.warnings.append(
                f"{path.name} has no column {wanted}, and {could} could both be it: neither is taken; "
                f"name one with --columns {wanted}=NAME"
            )
    if "image" not in chosen:
        shown = ", ".join(map(repr, names)) or "none"
        hint = (
            "the first line of a CSV file names the columns, image[,label][,group][,split]; "
            "--columns image=NAME takes another, in Python columns={'image': NAME}"
        )
        hint += foreign_separator(names, KNOWN)
        raise SourceError(f"{path} has the columns {shown}, and no column image", hint)
    taken = [
        f"{names[number]} as {wanted}" for wanted, number in chosen.items() if _meant(names[number]) != wanted
    ]
    if taken:
        manifest.notes.append(f"columns of {path.name}: {listed(taken)}")
    for name in keep:
        found = [number for number, one in enumerate(names) if one.strip() == name]
        found = found or [number for number, one in enumerate(names) if _meant(one) == _meant(name)]
        if len(found) != 1:
            hint = f"its columns are {', '.join(map(repr, names)) or 'none'}"
            raise UsageError(f"{path} has {len(found) or 'no'} columns named {name!r} to keep", hint)
        chosen[name] = found[0]
    free = [number for number, name in enumerate(names) if number not in chosen.values() and name not in used]
    left_out = [names[number] for number in free if names[number].strip()]
    if left_out:
        manifest.notes.append(f"columns of {path.name} that are left out: {listed(left_out, most=10)}")
    return chosen


def checked_rows(path: AnyPath, rows: Iterator[tuple[str, Row | str]]) -> Iterator[tuple[str, Row | str]]:
    for place, row in rows:
        if isinstance(row, dict):
            if (given := row.get("split")) is not None:
                row["split"] = split_of(given)
                if row["split"] is None:
                    hint = f"a split is {', '.join(SPLITS)} (or train, val, test), or empty"
                    raise SourceError(f"{path}, {place}: split is {given!r}", hint)
            # No table can hold it, which would show only after all vectors were computed.
            torn = [
                name
                for name, value in row.items()
                if name not in ("image", "split") and "\0" in (value or "")
            ]
            row = f"its {torn[0]} holds a NUL character" if torn else row
        yield place, row


# -- which file is meant ---


class FileFinder:
    """Finds the files that a manifest names, relative to a folder.

    A name is text of a table (with escapes), or has Windows separators. Where no file has it, the one file is taken
    whose name differs by blanks around it or its Unicode form, else by case; `differing` has those, as (written, name).
    """

    def __init__(self, folder: AnyPath):
        self.folder = folder
        self.differing: list[tuple[str, str]] = []
        self._alike: dict[Path, tuple[dict[str, list[str]], dict[str, list[str]]]] = {}

    def find(self, written: str) -> AnyPath | None:
        """The file, or where it would be if there were one; None if no file can have this name.

        URLs, and names below a folder that is one, are taken as they are written.
        """
        if "\0" in written:
            return None
        if is_url(written.strip()):
            return path_at(written.strip())
        if isinstance(self.folder, RemotePath):
            return self._below_url(self.folder, text_as_name(written.strip()))
        spellings = [text_as_name(written), text_as_name(written.strip())]
        spellings += [written.strip().replace("\\", "/")] if "\\" in written else []
        if not all(map(_can_be, spellings)):
            return None
        names = [os.path.normpath(name) for name in dict.fromkeys(spellings)]
        for name in names:
            if os.path.lexists(self.folder / name):
                return self.folder / name
        for name in names:
            if (near := self._near(name)) is not None:
                self.differing.append((written, near.name))
                return near
        return self.folder / names[-1 if written != written.strip() else 0]

    @staticmethod
    def _below_url(folder: RemotePath, name: str) -> RemotePath | None:
        name = posixpath.normpath(name)
        while name.startswith("../"):
            folder, name = folder.parent, name[3:]
        return None if name.startswith("/") or name in (".", "..") else folder / name

    def _near(self, name: str) -> Path | None:
        """The one file below the folder whose name, and those of its folders, are alike."""
        assert isinstance(self.folder, Path)
        path = self.folder
        with suppress(OSError, ValueError):
            for part in Path(name).parts:
                following = path / part
                if not os.path.lexists(following):
                    alike = self._in(path, part)
                    if len(alike) != 1:
                        return None
                    following = path / alike[0]
                path = following
            return path
        return None

    def _in(self, folder: Path, name: str) -> list[str]:
        if folder not in self._alike:
            composed: dict[str, list[str]] = {}
            folded: dict[str, list[str]] = {}
            for other in os.listdir(folder):
                composed.setdefault(_composed(other), []).append(other)
                folded.setdefault(_composed(other).casefold(), []).append(other)
            self._alike[folder] = composed, folded
        composed, folded = self._alike[folder]
        return composed.get(_composed(name)) or folded.get(_composed(name).casefold(), [])


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip()


def _can_be(name: str) -> bool:
    """Whether the file system can have such a name."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
