"""Tables as files: Parquet for sharing and npz for numpy, the same content under the same names."""

import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurize.errors import TableError
from featurize.files import check_unpacked, is_readable
from featurize.id_columns import ALL_IDS, IDS, METADATA, PHASH, column_as_array
from featurize.outputs import MODEL, TABLE, kinds_of, whole_file
from featurize.remote import AnyPath, Location, path_at
from featurize.remote_errors import RemoteError


def matrix_to_lists(matrix: np.ndarray) -> pa.Array:
    """A float32 matrix as an Arrow array of fixed-size lists, sharing memory where it is contiguous."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])


def lists_to_matrix(column: pa.Array) -> np.ndarray:
    """The float32 matrix of an Arrow array of fixed-size lists; ValueError if a vector, or a number in one, is null."""
    flat = column.flatten()
    if column.null_count or flat.null_count:
        raise ValueError("a vector is null, or holds a null")
    return flat.to_numpy().reshape(len(column), column.type.list_size)


FORMAT_VERSION = 1
# Of an npz with kept columns, which older programs would take for vectors; in Parquet they pass over them.
KEPT_VERSION = "1 with kept columns"
KEPT = "kept"  # in the metadata of a file, the names of the columns that are kept beside the id columns
ROWS_AT_ONCE = 4096  # of a row group
UNKNOWN = -1  # a null number in an npz file, which has no nulls


class TableContent(NamedTuple):
    """What a table file holds: id columns and kept ones, one float32 matrix per features, and the metadata."""

    ids: pa.Table
    vectors: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any]


def _no_table_name(path: Any, suffix: str) -> TableError:
    """What is wrong with a name that is not one of a table; of a file that is there, what it is."""
    if suffix in (".csv", ".tsv", ".xlsx"):
        hint = (
            "name it .parquet, and for a CSV of it, in Python: "
            "FeatureTable.read('TABLE.parquet').to_frame().to_csv('TABLE.csv', index=False); a CSV of photos becomes "
            "a table by `featurize extract`"
        )
        return TableError(f"{path} cannot be a table: tables are .parquet or .npz, not {suffix[1:]}", hint)
    kinds: set[str] = set()
    with suppress(OSError):
        kinds = kinds_of(path) if path.is_file() else kinds
    if MODEL in kinds:
        hint = "give a table (.parquet, .npz), such as that of its training; `classify show` is for models"
        return TableError(f"{path} is {MODEL}, and a table is wanted", hint)
    if kinds - {TABLE}:
        hint = "give a table: its name ends in .parquet or .npz, and `featurize extract` makes it of photos"
        return TableError(f"{path} is {' or '.join(sorted(kinds))}, and a table is wanted", hint)
    problem = f"cannot tell the format of {path}: the name must end in .parquet or .npz"
    return TableError(problem, "give the table another name")


def table_kind(path: Location) -> str:
    """``.parquet`` or ``.npz``, by the ending of `path`; TableError if it ends otherwise."""
    path = path_at(path)
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".npz"):
        if isinstance(path, Path) and path.is_dir():
            hint = "make a table of its photos with `featurize extract FOLDER -o TABLE.parquet`"
            raise TableError(f"{path} is a folder, and a table is wanted", hint)
        raise _no_table_name(path, suffix)
    return suffix


def write_table(table: TableContent, path: Location) -> None:
    """Write `table` to `path`, whole or not at all.

    Parquet: the id columns and kept ones, then one ``fixed_size_list<float>[width]`` column per features; the schema
    metadata key ``featurize`` holds JSON. npz: the same arrays under the same names, nulls as empty text (numbers as
    -1), and the JSON as the array ``featurize``.
    """
    kind, path = table_kind(path), path_at(path)
    if isinstance(path, Path) and not path.parent.is_dir():
        raise TableError(f"there is no folder {path.parent}", "make it first, or write elsewhere")
    with whole_file(path, TABLE) as partial:
        (_write_parquet if kind == ".parquet" else _write_npz)(table, partial)


def read_table(path: Location) -> TableContent:
    """Read a table that `write_table` wrote.

    TableError if there is no such file, it is no table, it is damaged, or its format is newer than this package.
    """
    kind, path = table_kind(path), path_at(path)
    with _table_errors(path):
        return _read_parquet(path) if kind == ".parquet" else _read_npz(path)


def read_metadata(path: Location) -> dict[str, Any]:
    """What a table says about itself, its features in the order of its columns; TableError as in `read_table`."""
    kind, path = table_kind(path), path_at(path)
    with _table_errors(path):
        if kind == ".npz":
            table = _read_npz(path)
            metadata, names = dict(table.metadata), list(table.vectors)
        else:
            with path.open("rb") as stream:
                metadata, lists = _check_schema(pq.read_schema(stream), path)
            names = [field.name for field in lists]
    described = metadata["features"]
    metadata.pop(KEPT, None)
    return {**metadata, "features": {name: described[name] for name in names if name in described}}


def read_batches(path: Location, features: Sequence[str] | None = None) -> Iterator[TableContent]:
    """The rows of a table in order, at most 4,096 at a time; an ``.npz`` comes whole.

    With `features`, names of vector columns, the others are not read.

    TableError as in `read_table`; where a file is damaged in its middle, after the rows before.
    """
    kind, path = table_kind(path), path_at(path)
    with _table_errors(path):
        if kind == ".parquet":
            yield from _parquet_batches(path, features)
            return
        table = _read_npz(path)
        names = table.vectors if features is None else features
        yield table._replace(vectors={name: table.vectors[name] for name in names})


@contextmanager
def _table_errors(path: AnyPath) -> Iterator[None]:
    if not is_readable(path, TableError):
        hint = "make one with `featurize extract PHOTOS -o TABLE.parquet`"
        raise TableError(f"there is no table {path}", hint)
    try:
        yield
    except (TableError, MemoryError):
        raise
    except RemoteError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}", error.hint) from error
    except Exception as error:
        # Readers of damaged files raise almost anything: ArrowInvalid, BadZipFile, zlib.error, KeyError.
        problem = f"{path} cannot be read as a table: {error}".splitlines()[0]
        hint = "the file is damaged or something else; make it again with `featurize extract`"
        says_all = isinstance(error, pa.ArrowInvalid | zipfile.BadZipFile)
        raise TableError(problem, hint) from (None if says_all else error)


def _metadata_json(table: TableContent, as_npz: bool = False) -> str:
    kept = [name for name in table.ids.column_names if name not in ALL_IDS.names]
    about: dict[str, Any] = {"format_version": FORMAT_VERSION, "written_by": version("bottlehead")}
    if kept:
        about |= {KEPT: kept, "format_version": KEPT_VERSION if as_npz else FORMAT_VERSION}
    # In ASCII: the path of weights may hold bytes that are no UTF-8.
    return json.dumps({**about, **table.metadata}, sort_keys=True)


def _check_metadata(text: str | bytes | None, path: AnyPath) -> dict[str, Any]:
    if text is None:
        problem = f"{path} was not written by featurize: it carries no featurize metadata"
        hint = "make a table with `featurize extract PHOTOS -o TABLE.parquet`"
        raise TableError(problem, f"{_adoption(path)}; else {hint}" if path.suffix == ".parquet" else hint)
    metadata = json.loads(text)
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is no JSON object")
    found, writer = metadata.pop("format_version", None), metadata.pop("written_by", "another version")
    if found not in (FORMAT_VERSION, *[KEPT_VERSION] * (path.suffix.lower() == ".npz")):
        raise TableError(
            f"{path} has table format {found}, written by bottlehead {writer}; "
            f"this is bottlehead {version('bottlehead')}, which reads format {FORMAT_VERSION}",
            f"install bottlehead {writer} or newer, or extract the table again: vectors in the store are reused",
        )
    source, features = metadata.get("source"), metadata.get("features")
    known = isinstance(features, dict) and all(isinstance(entry, dict) for entry in features.values())
    kept = metadata.get(KEPT, [])
    known = known and isinstance(kept, list) and all(isinstance(name, str) for name in kept)
    known = known and len({*kept, METADATA, *ALL_IDS.names}) == len(kept) + 1 + len(ALL_IDS.names)
    placed = source is None or (isinstance(source, dict) and isinstance(source.get("path"), str))
    if not known or not placed:
        raise ValueError("its metadata does not say where its photos and vectors come from")
    return metadata


def arrow_schema(table: TableContent) -> pa.Schema:
    """The columns of a table in Arrow and in Parquet, with what it says of itself."""
    fields = [pa.field(name, pa.list_(pa.float32(), m.shape[1])) for name, m in table.vectors.items()]
    about = {METADATA.encode(): _metadata_json(table).encode()}
    return pa.schema([*table.ids.schema, *fields], metadata=about)


def as_arrow(table: TableContent) -> pa.Table:
    """The table in Arrow, as its Parquet file would be read; it shares the memory of the vectors."""
    columns = [*table.ids.columns, *map(matrix_to_lists, table.vectors.values())]
    return pa.table(columns, schema=arrow_schema(table))


def _write_parquet(table: TableContent, path: Path) -> None:
    write_parquet_pieces([table], path)


def write_parquet_pieces(pieces: Iterable[TableContent], path: Path) -> None:
    """Write a table whose rows come in several pieces, of 4,096 rows or a multiple of them, but for the last."""
    pieces = iter(pieces)
    first = next(pieces)
    schema = arrow_schema(first)
    # Vectors hardly ever repeat a value: a dictionary costs time and gains nothing.
    repeated = [name for name in first.ids.column_names if name not in ALL_IDS.names]
    repeated += ["label", "group", "split", "format"]
    options: dict[str, Any] = {"use_dictionary": repeated, "write_page_checksum": True}
    options |= {"compression": "zstd", "compression_level": 1}
    # Arrow gets open files: it takes a path for UTF-8, and one with a colon for a URL.
    with open(path, "wb") as stream, pq.ParquetWriter(stream, schema, **options) as writer:
        for table in chain([first], pieces):
            for start in range(0, table.ids.num_rows, ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                columns = table.ids.slice(start, ROWS_AT_ONCE).columns
                columns += [matrix_to_lists(matrix[rows]) for matrix in table.vectors.values()]
                writer.write_table(pa.table(columns, schema=schema))


def _read_parquet(path: AnyPath) -> TableContent:
    with path.open("rb") as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        metadata, lists = _check_schema(schema, path)
        known = [name for name in [*ALL_IDS.names, *metadata.pop(KEPT, [])] if name in schema.names]
        batches = record_batches(file, stream, [*known, *(field.name for field in lists)])
        first = next(batches)
        vectors = {f.name: np.empty((n_rows, f.type.list_size), dtype=np.float32) for f in lists}
        ids, start = [], 0
        for batch in chain([first], batches):
            for name, matrix in vectors.items():
                matrix[start : start + batch.num_rows] = lists_to_matrix(batch[name])
            ids.append(batch.select(known))
            start += batch.num_rows
    return TableContent(pa.Table.from_batches(ids), vectors, metadata)


def _parquet_batches(path: AnyPath, features: Sequence[str] | None) -> Iterator[TableContent]:
    with path.open("rb") as stream, pq.ParquetFile(stream, page_checksum_verification=True) as file:
        metadata, lists = _check_schema(file.schema_arrow, path)
        lists = [field for field in lists if features is None or field.name in features]
        wanted = [*ALL_IDS.names, *metadata.pop(KEPT, [])]
        known = [name for name in wanted if name in file.schema_arrow.names]
        for batch in record_batches(file, stream, [*known, *(field.name for field in lists)]):
            if not batch.num_rows:
                continue
            ids = batch.select(known)
            vectors = {field.name: lists_to_matrix(batch[field.name]) for field in lists}
            yield TableContent(pa.Table.from_batches([ids]), vectors, metadata)


def _check_schema(schema: pa.Schema, path: AnyPath) -> tuple[dict[str, Any], list[pa.Field]]:
    """What the table says about itself, and its vector columns."""
    metadata = _check_metadata((schema.metadata or {}).get(METADATA.encode()), path)
    lists = [f for f in schema if pa.types.is_fixed_size_list(f.type)]
    lost = set(metadata["features"]) - {f.name for f in lists}
    if not lists:  # their fixed size may be all that is damaged
        lost |= {f.name for f in schema if pa.types.is_list(f.type)}
    if lost:
        lists_of_any = "or another program wrote them as lists of any length"
        problem = f"{path} lost the vectors of {', '.join(sorted(lost))}, {lists_of_any}"
        raise TableError(problem, _adoption(path))
    return metadata, lists


def _adoption(path: AnyPath) -> str:
    adopt = f"`featurize adopt {path} --like TABLE.parquet -o NEW.parquet`"
    return f"if another program wrote back a TABLE.parquet of featurize, {adopt} gives it back what it lost"


TEXT = 32  # bytes that a text or a whole number takes, at least, on its way into a table


def _least_bytes(kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return 4 * kind.list_size
    return kind.bit_width // 8 if pa.types.is_floating(kind) else TEXT


def record_batches(file: pq.ParquetFile, stream: IO[bytes], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """These columns, 4,096 rows at a time; the first batch has no rows.

    ValueError, before anything is allocated, where the file says that it unpacks to more than an honest one does.
    """
    size, about, schema = stream.seek(0, os.SEEK_END), file.metadata, file.schema_arrow
    twice = sorted(name for name, count in Counter(schema.names).items() if count > 1 and name in columns)
    if twice:
        raise ValueError(f"it has two columns named {twice[0]}")
    fields = [schema.field(name) for name in columns]
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    n_rows = max(about.num_rows, sum(group.num_rows for group in groups))
    widths = [_least_bytes(field.type) for field in fields]
    check_unpacked((n_rows + 1) * sum(widths), size)
    check_unpacked(sum(group.total_byte_size for group in groups), size)
    # A long text that a dictionary holds once may stand in every row: its lengths are added up before it is copied.
    # (Whether a column has a dictionary nobody may ask: pyarrow ends the process where its statistics are damaged.)
    repeated = [field.name for field in fields if pa.types.is_string(field.type)]
    file = pq.ParquetFile(stream, metadata=about, page_checksum_verification=True, read_dictionary=repeated)
    plain = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in fields
    ]
    yield pa.RecordBatch.from_pylist([], pa.schema(plain, schema.metadata))
    unpacked = 0
    # Asked for all row groups at once, Arrow decodes ahead and holds the table twice.
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, row_groups=[group], columns=columns):
            arrays = [batch[field.name] for field in plain]
            for array in arrays:
                if pa.types.is_dictionary(array.type):
                    lengths = pc.take(pc.binary_length(array.dictionary), array.indices)
                    unpacked += pc.sum(lengths).as_py() or 0
            check_unpacked(unpacked, size)
            arrays = [
                a.cast(f.type) if pa.types.is_dictionary(a.type) else a
                for a, f in zip(arrays, plain, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(plain, schema.metadata))


def _write_npz(table: TableContent, path: Path) -> None:
    arrays: dict[str, np.ndarray] = {METADATA: np.array(_metadata_json(table, as_npz=True))}
    for field in table.ids.schema:
        values = column_as_array(table.ids[field.name]).tolist()
        null = "" if pa.types.is_string(field.type) else UNKNOWN
        values = [null if value is None else value for value in values]
        array = np.array(values, np.str_ if null == "" else np.int64)
        if array.tolist() != values:
            raise TableError(f"npz cannot hold a NUL character, as in {field.name}", "write .parquet")
        arrays[field.name] = array
    if METADATA in table.vectors:
        raise TableError(f"features named {METADATA} cannot be written as npz", "write .parquet")
    # What np.savez writes, for features of any name: one of its own arguments is called "file".
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in {**arrays, **table.vectors}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _read_npz(path: AnyPath) -> TableContent:
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        check_arrays(archive, stream.seek(0, os.SEEK_END))
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        metadata = _check_metadata(str(_member(archive, METADATA)) if METADATA in names else None, path)
        columns = {}
        kept = [pa.field(name, pa.string()) for name in metadata.pop(KEPT, []) if name in names]
        for field in [*(ALL_IDS if PHASH in names else IDS), *kept]:
            values = _member(archive, field.name).tolist()
            if not pa.types.is_string(field.type) and field.name != "variant":
                values = [None if v == UNKNOWN else v for v in values]
            columns[field.name] = pa.array(values, field.type)
        features = [name for name in names if name not in columns and name != METADATA]
        vectors = {name: _member(archive, name) for name in features}
    return TableContent(pa.table(columns), vectors, metadata)


def check_arrays(archive: zipfile.ZipFile, size: int) -> None:
    """ValueError where the arrays of a zip of `size` bytes are not as large as it says, or no honest file's are.

    Only the headers are read: nothing is allocated for what they say.
    """
    members = archive.infolist()
    if any(one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for one in members):
        raise ValueError("its arrays are neither stored nor deflated")
    # What is deflated may be smaller than what it unpacks to, what is stored only where members overlap.
    check_unpacked(sum(one.file_size for one in members), size)
    for one in members:
        with archive.open(one) as member:
            check_array(member, one.file_size)


def check_array(stream: IO[bytes], size: int) -> None:
    """ValueError where an ``.npy`` of `size` bytes says that it holds an array of another size."""
    kind = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if kind == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        return  # nobody reads it: it would be unpickled
    if not dtype.itemsize or stream.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"an array of {size:,} bytes says that it is {dtype} of shape {shape}")
    if not math.prod(shape) and max(shape) > size:
        raise ValueError(f"an array without numbers says that it has the shape {shape}")


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as member:
        return np.lib.format.read_array(member, allow_pickle=False)
