"""Manifests: a table of images that someone else wrote, as CSV or Parquet."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from featurize.errors import SourceError
from featurize.tableformat import record_batches

COLUMNS = ("image", "label", "group", "split")
SPLITS = ("training", "validation", "testing")

Row = dict[str, str | None]


def read_manifest(path: Path) -> Iterator[tuple[str, Row | str]]:
    """The rows of a manifest: where each stands ("line 7"), and its values by column, or what is wrong with it.

    Empty values are None. Columns other than ``image, label, group, split`` are left out.

    SourceError if the file cannot be read, has no column ``image`` or one of the four in another spelling, or
    names a split that does not exist.
    """
    rows = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    for place, row in rows:
        split = row.get("split") if isinstance(row, dict) else None
        if split is not None and split not in SPLITS:
            hint = f"a split is {', '.join(SPLITS)}, or empty"
            raise SourceError(f"{path}, {place}: split is {split!r}", hint)
        if isinstance(row, dict):
            # No table can hold it, which would show only after all vectors were computed.
            torn = [name for name in ("label", "group") if "\0" in (row.get(name) or "")]
            row = f"its {torn[0]} holds a NUL character" if torn else row
        yield place, row


def _read_csv(path: Path) -> Iterator[tuple[str, Row | str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            names = next(reader, [])
            _check_columns(path, names)
            for values in reader:
                if not values:
                    continue
                if len(values) != len(names):
                    # An unquoted comma in a file name would shift the label by one column.
                    fault = f"{len(values)} values for {len(names)} columns; quote what holds commas"
                    yield f"line {reader.line_num}", fault
                    continue
                row = {name: value or None for name, value in zip(names, values, strict=True)}
                yield f"line {reader.line_num}", {name: row[name] for name in COLUMNS if name in row}
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error.reason}", "save the manifest as UTF-8") from None
    except csv.Error as error:
        hint = "quote names that hold commas or quotes"
        raise SourceError(f"{path} is no readable CSV: {error}", hint) from None


def _read_parquet(path: Path) -> Iterator[tuple[str, Row | str]]:
    try:
        # As an open file: a path as text Arrow would take for a URI, and cannot take if it is not UTF-8.
        with open(path, "rb") as stream, pq.ParquetFile(stream) as file:
            schema = file.schema_arrow
            _check_columns(path, schema.names)
            kind = schema.field("image").type
            if not (
                pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
            ):
                raise SourceError(f"the image column of {path} holds {kind}", "it holds file names, as text")
            batches = record_batches(file, stream, [name for name in COLUMNS if name in schema.names])
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"row {number}", {name: _as_text(value) for name, value in row.items()}
    except SourceError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        hint = "write it again, or use .csv"
        raise SourceError(f"{path} is no readable Parquet file: {error}", hint) from None


def _as_text(value: object) -> str | None:
    # Not equal to itself: NaN, which some programs write for "none".
    return None if value is None or value == "" or value != value else str(value)


def _check_columns(path: Path, names: Sequence[str]) -> None:
    hint = "a manifest has the columns image[,label][,group][,split]"
    for name in names:
        # Left out as a column that we do not know, it would take the labels or the groups with it, unsaid.
        meant = name.strip().casefold()
        if meant in COLUMNS and name not in COLUMNS:
            raise SourceError(f"{path} has a column {name!r}", f"write {meant}, without spaces or capitals")
    if "image" not in names:
        shown = ", ".join(map(repr, names)) or "none"
        raise SourceError(f"{path} has the columns {shown}, and no column image", hint)
    twice = [name for name in COLUMNS if list(names).count(name) > 1]
    if twice:
        raise SourceError(f"{path} has two columns named {twice[0]}", hint)
