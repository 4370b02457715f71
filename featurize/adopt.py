"""A table that another program wrote back gets its provenance back, where its vectors and keys are unchanged."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurize.errors import TableError
from featurize.files import check_unpacked, is_readable
from featurize.id_columns import ALL_IDS
from featurize.photos.layout import SPLITS
from featurize.remote import AnyPath, Location, path_at
from featurize.remote_errors import RemoteError
from featurize.table import FeatureTable

KEYS = ("image", "sha256", "variant")
EDITABLE = ("label", "group", "split")
INDEX = r"__index_level_\d+__"  # in which pandas keeps the index of rows that were chosen
Lists = pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray


@dataclass(frozen=True)
class Adopted:
    """The table, the vector columns that it no longer has, and the columns of the file that no table has."""

    table: FeatureTable
    without: list[str]
    unknown: list[str]


def adopt(edited: Location, like: FeatureTable) -> Adopted:
    """The rows and the labels, groups and splits of an edited Parquet file, with everything else as in `like`.

    pandas, polars, DuckDB and others write a table's vectors as lists of any length, and lose what it says of itself.
    Rows may be dropped and moved, whole columns of vectors dropped, and ``label``, ``group``, ``split`` and kept
    columns changed; columns that are no table's are passed over. TableError if the file cannot be read, holds a photo
    that is not in `like` or one twice, or if a vector is not, number for number, that of `like`.
    """
    path = path_at(edited)
    if not is_readable(path, TableError):
        raise TableError(f"there is no file {path}", "give the Parquet file that the other program wrote")
    try:
        with path.open("rb") as stream:
            return _adopted(stream, path, like)
    except (TableError, MemoryError):
        raise
    except RemoteError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}", error.hint) from error
    except Exception as error:
        # Readers of damaged files raise almost anything: ArrowInvalid, OSError, ValueError.
        problem = f"{path} cannot be read as Parquet: {error}".splitlines()[0]
        raise TableError(problem, "write it again with the other program, as Parquet") from error


def _adopted(stream: IO[bytes], path: AnyPath, like: FeatureTable) -> Adopted:
    file = pq.ParquetFile(stream)
    about, names = file.metadata, file.schema_arrow.names
    groups = [about.row_group(number).total_byte_size for number in range(about.num_row_groups)]
    check_unpacked(sum(groups), stream.seek(0, os.SEEK_END))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(f"{path} has two columns named {twice[0]}", "drop one of them")
    if "image" not in names:
        raise TableError(f"{path} has no column image", "keep it: it says which photo a row is of")
    kept = [name for name in like.features if name in names]
    if not kept:
        hint = f"keep one of {', '.join(like.features)}"
        raise TableError(f"{path} has no vectors of the table that it is like", hint)
    wanted = [name for name in [*ALL_IDS.names, *like.kept] if name in names]
    ids = {name: _plain(file.read([name])[name], name) for name in wanted}
    rows = _rows_of(ids, like, path)
    for name in kept:
        _check_vectors(file.read([name])[name], name, like.vectors[name][rows], like.image[rows])
    table = like.filter(rows)
    described = {name: entry for name, entry in like.metadata["features"].items() if name in kept}
    metadata = {**like.metadata, "features": described}
    table = FeatureTable(table.ids, {name: table.vectors[name] for name in kept}, metadata)
    for name in (*EDITABLE, *like.kept):
        if name in ids:
            table = table.with_column(name, ids[name])
    strange = sorted({str(one) for one in table.split if one not in (None, "", *SPLITS)})
    if strange:
        raise TableError(f"a split is called {strange[0]}", f"a split is {', '.join(SPLITS)}, or empty")
    known = {*ALL_IDS.names, *like.kept, *like.features}
    without = [name for name in like.features if name not in kept]
    unknown = [name for name in names if name not in known and not re.fullmatch(INDEX, name)]
    return Adopted(table, without, unknown)


def _plain(column: pa.ChunkedArray, name: str) -> list:
    """The values of an id column: text, as which whole numbers of a group or label are taken too, or integers."""
    kind = ALL_IDS.field(name).type if name in ALL_IDS.names else pa.string()
    if pa.types.is_dictionary(column.type):  # a categorical column
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return [None] * len(column)
    try:
        if pa.types.is_floating(column.type):  # pandas turns integers with gaps into these, gaps into NaN
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column).cast(pa.int64())
        return column.cast(kind).to_pylist()
    except pa.ArrowException as error:
        problem = f"the column {name} holds {column.type}: {error}"
        raise TableError(problem, "give text, whole numbers or nothing") from None


def _rows_of(ids: dict[str, list], like: FeatureTable, path: AnyPath) -> np.ndarray:
    """The row of `like` that each row is, by image, content and variant as far as the file has them."""
    names = [name for name in KEYS if name in ids]
    places: dict[tuple, int] = {}
    for row, key in enumerate(zip(*(like.column(name).tolist() for name in names), strict=True)):
        if places.setdefault(key, row) != row:
            hint = f"keep the columns {', '.join(KEYS)}"
            raise TableError(f"{path} does not say which row of {key[0]} is meant", hint)
    keys = list(zip(*(ids[name] for name in names), strict=True))
    strange = [key for key in keys if key not in places]
    if strange:
        rows = f"1 row of {path} is" if len(strange) == 1 else f"{len(strange)} rows of {path} are"
        problem = f"{rows} not in the table that it is like, the first is {strange[0][0]}"
        hint = "image, sha256 and variant must be as they were; new photos need `featurize extract`"
        raise TableError(problem, hint)
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        rows = "1 row comes" if len(repeated) == 1 else f"{len(repeated)} rows come"
        problem = f"{rows} more than once in {path}, the first is {repeated[0][0]}"
        raise TableError(problem, "drop the copies (a join makes them)")
    return np.array([places[key] for key in keys], dtype=np.int64)


def _check_vectors(column: pa.ChunkedArray, name: str, expected: np.ndarray, images: np.ndarray) -> None:
    start = 0
    for chunk in column.chunks:
        rows = slice(start, start + len(chunk))
        start += len(chunk)
        numbers = _numbers(chunk)
        if numbers is None or len(numbers) != expected[rows].size:
            hint = f"write its lists of {expected.shape[1]} numbers as they were"
            raise TableError(
                f"the column {name} does not hold the vectors of the table that it is like", hint
            )
        changed = (numbers.reshape(len(chunk), -1) != expected[rows]).any(axis=1) if len(chunk) else []
        if np.any(changed):
            first = images[rows][np.flatnonzero(changed)[0]]
            vectors = (
                f"1 vector of {name} was"
                if np.sum(changed) == 1
                else f"{np.sum(changed)} vectors of {name} were"
            )
            problem = f"{vectors} changed, the first is that of {first}"
            raise TableError(problem, "no provenance holds for changed vectors; take those of the table")


def _numbers(chunk: pa.Array) -> np.ndarray | None:
    """The numbers of an array of lists, one after the other, as they are; None where it is something else."""
    if not isinstance(chunk, Lists) or chunk.null_count:
        return None
    lengths = (
        set() if isinstance(chunk, pa.FixedSizeListArray) else set(pc.unique(pc.list_value_length(chunk)))
    )
    flat = chunk.flatten()
    if flat.null_count or len(lengths) > 1 or not pa.types.is_floating(flat.type):
        return None
    return flat.to_numpy(zero_copy_only=False)
