"""Vectors that another program wrote, as Parquet or ``.npy``, as a table."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurize.errors import BottleheadError, SourceError, UsageError
from featurize.extraction.run import keep_rows
from featurize.files import is_readable
from featurize.id_columns import METADATA, check_new_name, ids_from_columns
from featurize.imported import (
    NOT_FINITE,
    check_kinds,
    fill_vectors,
    holds_lists,
    imported_entry,
    list_lengths,
    listed_columns,
    usual_width,
    vector_columns,
)
from featurize.photos.manifest import COLUMNS, read_manifest
from featurize.photos.source import NOHASH
from featurize.remote import path_here
from featurize.table import FeatureTable
from featurize.tableformat import ROWS_AT_ONCE, check_array, record_batches

VECTOR = "vector"  # the word of --columns for the column of vectors
ENDINGS = (".parquet", ".npy")


@dataclass
class ImportedVectors:
    """The table, the rows that gave none with the reason, and what a user should know of how the files were read."""

    table: FeatureTable
    rejects: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def import_vectors(
    path: str | os.PathLike,
    manifest: str | os.PathLike | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    name: str | None = None,
    keep: Sequence[str] = (),
) -> ImportedVectors:
    """Read vectors that were made elsewhere, and say of each which photo it is of.

    Parameters
    ----------
    path : path
        A ``.parquet`` file with a column of lists of numbers, or with one column for each number; or a ``.npy`` file of
        shape (n_rows, width), which is never unpickled.
    manifest : path, optional
        Which photo, label, group and split each row is of, in the same order (``.csv``, ``.tsv``, ``.xlsx``,
        ``.parquet``); a ``.npy`` needs one, and a Parquet file that has no images.
    columns : mapping, optional
        Which column is what, as ``{"image": "filename", "vector": "emb_*"}``; of image, label, group, split, vector.
    name : str, optional
        What the features are called; by default as their column, or as the ``.npy`` file.
    keep : sequence of str, optional
        Further columns that the table keeps, as text; never features.

    Returns
    -------
    ImportedVectors
        The content of the photos is unknown (``sha256`` is null), and the fingerprint of the features ``imported``.
        Text before ``_nohash_`` is the group where none is given. In memory are the vectors, as the table holds them,
        and a part of the file. SourceError or UsageError if the files cannot be read, or no row can be used.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "clip.npy", np.eye(2))
    >>> _ = (folder / "photos.csv").write_text("image,label\\na.jpg,rose\\nb.jpg,tulip\\n")
    >>> import_vectors(folder / "clip.npy", folder / "photos.csv").table
    FeatureTable: 2 rows; features clip (2, imported); 2 labels rose, tulip
    """
    place, given = path_here(path, "vectors are read from"), dict(columns or {})
    kind = place.suffix.lower()
    if kind not in ENDINGS:
        hint = "write them as one of these (numpy.save), or use FeatureTable.from_frame in Python"
        raise UsageError(f"{path} is no file of vectors: it ends in neither .parquet nor .npy", hint)
    if not is_readable(path, SourceError):
        raise SourceError(f"there is no file {path}", "give the file that holds the vectors")
    wanted = given.pop(VECTOR, None)
    try:
        read = _from_parquet if kind == ".parquet" else _from_npy
        return read(
            place,
            None if manifest is None else path_here(manifest, "manifests of vectors are read from"),
            given,
            wanted,
            name,
            keep,
        )
    except (BottleheadError, MemoryError):
        raise
    except Exception as error:
        # Readers of damaged files raise almost anything: ArrowInvalid, OSError, ValueError.
        problem = f"{path} cannot be read: {error}".splitlines()[0]
        raise SourceError(problem, "the file is damaged or something else; write it again") from error


def _from_parquet(
    path: Path,
    manifest: Path | None,
    given: dict[str, str],
    wanted: str | None,
    name: str | None,
    keep: Sequence[str],
) -> ImportedVectors:
    with open(path, "rb") as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        if METADATA.encode() in (schema.metadata or {}):
            hint = "use it as it is; `featurize adopt` helps where another program changed it"
            raise UsageError(f"{path} is a table of featurize already", hint)
        if manifest is not None and "image" in schema.names:
            hint = "leave --manifest out, or take the column image out of the file"
            raise UsageError(f"{path} names its images itself, and {manifest} names them too", hint)
        found = vector_columns(schema.names, wanted or _only_lists(schema))
        lists = check_kinds({one: schema.field(one).type for one in found})
        name = name or (
            found[0] if len(found) == 1 else (wanted or "").rstrip("*").rstrip("_.-") or path.stem
        )
        check_new_name(name)
        rows = _Rows(manifest or path, given, keep, found)
        rows.check_length(path, n_rows)

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in record_batches(file, stream, found):
                yield batch.select(found)

        width = usual_width(list_lengths(batch.column(0)) for batch in batches()) if lists else len(found)
        matrix, reasons = fill_vectors(batches(), width, n_rows)
    value_names = [f"{name}_{i:04d}" for i in range(width)] if lists else found
    return rows.table(
        path, matrix, reasons, imported_entry(name, value_names, {"column": wanted or found[0]})
    )


def _only_lists(schema: pa.Schema) -> str:
    """The one column of lists of numbers."""
    found = [one.name for one in schema if holds_lists(one.type)]
    if len(found) == 1:
        return found[0]
    what = f"{' and '.join(found)} are all columns of vectors" if found else "there is no column of vectors"
    hint = f"name it: --columns {VECTOR}=NAME, or {VECTOR}='emb_*' where each number has a column"
    raise UsageError(what, f"{hint}; {listed_columns(schema.names)}")


def _from_npy(
    path: Path,
    manifest: Path | None,
    given: dict[str, str],
    wanted: str | None,
    name: str | None,
    keep: Sequence[str],
) -> ImportedVectors:
    if wanted is not None:
        raise UsageError(
            f"{path} has no columns, and {wanted} is to hold its vectors", "leave the vector out"
        )
    if manifest is None:
        hint = "add --manifest FILE.csv with one line per vector, in the same order: image[,label][,group][,split]"
        raise UsageError(f"{path} does not say which photos its vectors are of", hint)
    name = name or path.stem
    check_new_name(name)
    with open(path, "rb") as stream:
        check_array(stream, path.stat().st_size)
    vectors = _mapped(path)
    n_rows, width = vectors.shape
    rows = _Rows(manifest, given, keep, ())
    rows.check_length(path, n_rows)
    matrix, reasons = np.empty((n_rows, width), dtype=np.float32), dict[int, str]()
    for start in range(0, n_rows, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        with np.errstate(over="ignore"):
            matrix[part] = vectors[part]
        finite = np.isfinite(matrix[part]).all(axis=1)
        reasons |= {start + int(row): NOT_FINITE for row in np.flatnonzero(~finite)}
    entry = imported_entry(name, [f"{name}_{i:04d}" for i in range(width)], {"dtype": str(vectors.dtype)})
    return rows.table(path, matrix, reasons, entry)


def _mapped(path: Path) -> np.ndarray:
    """The array in an ``.npy`` file, which is not read yet; UsageError unless it is a matrix of numbers."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        hint = "save numbers alone, as numpy.save(FILE, X.astype('float32'))"
        raise UsageError(f"{path} holds no array of numbers: {error}", hint) from None
    if vectors.dtype.kind not in "fiu":
        hint = "save real numbers, as numpy.save(FILE, X.astype('float32'))"
        raise UsageError(
            f"{path} holds values of type {vectors.dtype}, which are no numbers of a vector", hint
        )
    if vectors.ndim != 2 or not vectors.size:
        hint = "save one vector per row: shape (n_rows, width)"
        raise UsageError(f"{path} holds an array of shape {vectors.shape}", hint)
    return vectors


class _Rows:
    """Who the rows are: the lines of a manifest, or of the file of vectors itself."""

    def __init__(self, path: Path, columns: Mapping[str, str], keep: Sequence[str], used: Sequence[str]):
        self.path, self.keep = path, [keep] if isinstance(keep, str) else list(keep)
        if not is_readable(path, SourceError):
            raise SourceError(
                f"there is no manifest {path}", "give the file that says which photo each row is of"
            )
        found = read_manifest(path, columns, self.keep, used)
        self.notes, self.warnings = found.notes, found.warnings
        self.lines = list(found)

    def check_length(self, path: Path, n_rows: int) -> None:
        """UsageError unless there is one line for each of the vectors, and any."""
        if len(self.lines) != n_rows:
            hint = "give one line per vector, in the order of the vectors, below a first line with the columns' names"
            raise UsageError(
                f"{path} has {n_rows} vectors, and {self.path} has {len(self.lines)} lines", hint
            )
        if not n_rows:
            raise SourceError(f"{path} has no rows", "write one row per photo")

    def table(
        self, path: Path, matrix: np.ndarray, reasons: Mapping[int, str], entry: dict[str, Any]
    ) -> ImportedVectors:
        """The rows that have an image of their own and a vector; the others are rejects."""
        rejects: list[tuple[str, str]] = []
        first: dict[str, str] = {}
        used: list[int] = []
        ids: dict[str, list[str | None]] = {one: [] for one in (*COLUMNS, *self.keep)}
        for number, (place, line) in enumerate(self.lines):
            if isinstance(line, str) or not line["image"]:
                rejects.append((place, line if isinstance(line, str) else "the image column is empty"))
                continue
            image = line["image"].strip()
            if image in first:
                rejects.append((image, f"listed in {first[image]}, and again in {place}"))
            elif number in reasons:
                rejects.append((image, reasons[number]))
            else:
                first[image] = place
                used.append(number)
                for one, values in ids.items():
                    values.append(image if one == "image" else line.get(one))
        if not used:
            problem = f"no row of {path} can be used; the first, {rejects[0][0]}: {rejects[0][1]}"
            raise SourceError(problem, "write one row per photo, with its name and its numbers")
        ids["group"] = [
            group or ((match := re.search(NOHASH, image or "")) and match.group(1))
            for image, group in zip(ids["image"], ids["group"], strict=True)
        ]
        known = ids_from_columns({one: ids[one] for one in COLUMNS}, {one: ids[one] for one in self.keep})
        entry["description"]["from"] = path.name
        # So that reports find the photos that lie beside the manifest.
        source = {
            "path": os.fsencode(self.path.resolve()).decode("utf-8", "backslashreplace"),
            "kind": "manifest",
        }
        vectors = {entry["spec"]: keep_rows(matrix, np.array(used, dtype=np.int64))}
        table = FeatureTable(known, vectors, {"source": source, "features": {entry["spec"]: entry}})
        return ImportedVectors(table, rejects, self.notes, self.warnings)
