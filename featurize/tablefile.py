"""Tables as files: Parquet for sharing and npz for numpy, the same content under the same names."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featurize.errors import TableError
from featurize.files import whole_file
from featurize.table import FORMAT_VERSION, IDS, FeatureTable

KEY = b"featurize"
ROWS_AT_ONCE = 4096
UNKNOWN = -1  # a null number in an npz file, which has no nulls


def table_kind(path: str | Path) -> str:
    """``.parquet`` or ``.npz``, by the ending of `path`.

    Raises
    ------
    TableError
        For any other ending.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".parquet", ".npz"):
        raise TableError(f"{path} is no table by its name", "a table ends in .parquet or .npz")
    return suffix


def write_table(table: FeatureTable, path: str | Path) -> None:
    """Write `table` to `path`, whole or not at all.

    Parquet: the id columns, then one ``fixed_size_list<float>[width]`` column per features; the schema
    metadata key ``featurize`` holds JSON. npz: the same arrays under the same names, nulls as empty text
    (numbers as -1), and the JSON as the array ``featurize``.

    Raises
    ------
    TableError
        If the ending is neither, or the folder does not exist.
    """
    kind, path = table_kind(path), Path(path)
    if not path.parent.is_dir():
        raise TableError(f"there is no folder {path.parent}", "make it first, or write elsewhere")
    with whole_file(path) as partial:
        if kind == ".parquet":
            _write_parquet(table, partial)
        else:
            _write_npz(table, partial)


def read_table(path: str | Path) -> FeatureTable:
    """Read a table that `write_table` wrote.

    Raises
    ------
    TableError
        If there is no such file, it is no table, it is damaged, or its format is newer than this package.
    """
    kind, path = table_kind(path), Path(path)
    if not path.is_file():
        raise TableError(
            f"there is no table {path}", "make one with `featurize extract PHOTOS -o TABLE.parquet`"
        )
    try:
        return _read_parquet(path) if kind == ".parquet" else _read_npz(path)
    except TableError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TableError(
            f"{path} cannot be read as a table: {error}".splitlines()[0],
            "the file is damaged or something else; make it again with `featurize extract`",
        ) from error


def _metadata_json(table: FeatureTable) -> str:
    return json.dumps(
        {"format_version": FORMAT_VERSION, **table.metadata}, sort_keys=True, ensure_ascii=False
    )


def _check_metadata(text: str | bytes | None, path: Path) -> dict[str, Any]:
    if text is None:
        raise TableError(
            f"{path} was not written by featurize: it carries no featurize metadata",
            "make a table with `featurize extract PHOTOS -o TABLE.parquet`",
        )
    metadata = json.loads(text)
    version = metadata.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise TableError(
            f"{path} has table format {version}; this version of bottlehead reads format {FORMAT_VERSION}",
            "install the version of bottlehead that wrote it (pip install --upgrade bottlehead for a newer "
            "one), or extract the table again: vectors in the store are reused",
        )
    return metadata


def _write_parquet(table: FeatureTable, path: Path) -> None:
    import pyarrow.parquet as pq

    fields = [pa.field(name, pa.list_(pa.float32(), m.shape[1])) for name, m in table.vectors.items()]
    schema = pa.schema([*IDS, *fields], metadata={KEY: _metadata_json(table).encode()})
    # Vectors hardly ever repeat a value: a dictionary costs time and gains nothing.
    options = {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": ["label", "group", "split", "format"],
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for start in range(0, len(table), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            columns = table.ids.slice(start, ROWS_AT_ONCE).columns
            columns += [matrix_as_lists(matrix[rows]) for matrix in table.vectors.values()]
            writer.write_table(pa.table(columns, schema=schema))


def matrix_as_lists(matrix: np.ndarray) -> pa.Array:
    """A float32 matrix as an Arrow array of fixed-size lists, sharing memory where it is contiguous."""
    flat = pa.array(np.ascontiguousarray(matrix).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def lists_as_matrix(column: pa.Array) -> np.ndarray:
    """The float32 matrix of an Arrow array of fixed-size lists."""
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)


def _read_parquet(path: Path) -> FeatureTable:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        metadata = _check_metadata((schema.metadata or {}).get(KEY), path)
        lists = [f for f in schema if pa.types.is_fixed_size_list(f.type)]
        vectors = {f.name: np.empty((n_rows, f.type.list_size), dtype=np.float32) for f in lists}
        ids, start = [], 0
        # One row group at a time into ready memory: the peak is the table and one group, not the table twice.
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for name, matrix in vectors.items():
                matrix[start : start + batch.num_rows] = lists_as_matrix(batch[name])
            ids.append(batch.select([name for name in IDS.names if name in batch.schema.names]))
            start += batch.num_rows
    known = [schema.field(name) for name in IDS.names if name in schema.names]
    return FeatureTable(pa.Table.from_batches(ids, pa.schema(known)), vectors, metadata)


def _write_npz(table: FeatureTable, path: Path) -> None:
    arrays: dict[str, np.ndarray] = {"featurize": np.array(_metadata_json(table))}
    for field in IDS:
        values = table.column(field.name)
        if pa.types.is_string(field.type):
            arrays[field.name] = np.array(["" if v is None else v for v in values], dtype=np.str_)
        else:
            arrays[field.name] = np.array([UNKNOWN if v is None else v for v in values], dtype=np.int64)
    taken = sorted(set(arrays) & set(table.vectors))
    if taken:
        raise TableError(
            f"features named {', '.join(taken)} cannot be written as npz", "use .parquet, or rename them"
        )
    with open(path, "wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays, **table.vectors)


def _read_npz(path: Path) -> FeatureTable:
    with np.load(path, allow_pickle=False) as file:
        text = str(file["featurize"]) if "featurize" in file.files else None
        metadata = _check_metadata(text, path)
        columns = {}
        for field in IDS:
            values = file[field.name].tolist()
            if not pa.types.is_string(field.type) and field.name != "variant":
                values = [None if v == UNKNOWN else v for v in values]
            columns[field.name] = pa.array(values, field.type)
        names = [name for name in file.files if name not in columns and name != "featurize"]
        vectors = {name: file[name] for name in names}
    return FeatureTable(pa.table(columns), vectors, metadata)
