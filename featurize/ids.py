"""Who the rows of a table are: the id columns, and which rows may not be separated."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurize.arrow import arrow_to_numbers, numbers_to_arrow
from featurize.errors import TableError

IDS = pa.schema(
    [
        ("image", pa.string()),
        ("sha256", pa.string()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("variant", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("bytes", pa.int64()),
        ("format", pa.string()),
    ]
)


def check_name(name: str) -> None:
    """Refuse a name of features that no column can have, because an id column has it or a terminal cannot show it.

    Raises
    ------
    TableError
    """
    if name in IDS.names or not name.isprintable() or not name:
        raise TableError(f"features cannot be named {name!r}", "give them another name")


def ids_from_columns(columns: Mapping[str, Sequence]) -> pa.Table:
    """A table of id columns from plain sequences, by name.

    Raises
    ------
    TableError
        If the lengths differ, a column is not one of the table's, or a value does not fit its type.
    """
    unknown = sorted(set(columns) - set(IDS.names))
    if unknown:
        raise TableError(f"no such columns: {', '.join(unknown)}", f"the columns are {', '.join(IDS.names)}")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(f"columns of different lengths: {lengths}", "give one value per row")
    arrays = {}
    for name, values in columns.items():
        kind = IDS.field(name).type
        try:
            arrays[name] = pa.array(list(values), kind)
        except (pa.ArrowException, TypeError, OverflowError, UnicodeError) as error:
            raise TableError(
                f"the column {name} cannot be {kind}: {error}", f"give {kind}, or None"
            ) from None
    return pa.table(arrays)


def complete_ids(ids: pa.Table) -> pa.Table:
    """All id columns, in order and of the right type; empty text becomes null, a missing variant 0.

    Raises
    ------
    TableError
        If a column does not fit its type, or an image has no name or no variant.
    """
    n_rows = ids.num_rows
    columns = []
    for field in IDS:
        if field.name in ids.column_names:
            try:
                column = ids[field.name].cast(field.type)
            except pa.ArrowException as error:
                raise TableError(
                    f"the column {field.name} holds {ids[field.name].type}: {error}",
                    f"give values that fit {field.type}",
                ) from None
            if pa.types.is_string(field.type) and n_rows:
                if pc.any(pc.match_substring(column, "\0")).as_py():
                    raise TableError(
                        f"the column {field.name} holds a NUL character",
                        "numpy drops it, which would make two names one; take it out",
                    )
                # Rarely so; and comparing with a scalar would import pandas.
                if pc.min(pc.binary_length(column)).as_py() == 0:
                    empty = pc.equal(column, pa.scalar("", pa.string()))
                    column = pc.if_else(empty, pa.scalar(None, field.type), column)
        elif field.name == "variant":
            column = numbers_to_arrow(np.zeros(n_rows, dtype=np.int64))
        else:
            column = pa.nulls(n_rows, field.type)
        if field.name in ("image", "variant") and column.null_count:
            raise TableError(
                f"{column.null_count} rows have no {field.name}", f"give each row its {field.name}"
            )
        columns.append(column)
    return pa.table(columns, schema=IDS)


def column_as_array(column: pa.ChunkedArray) -> np.ndarray:
    """A column as an array; text and nullable columns hold objects, with None for null."""
    if column.null_count == 0 and pa.types.is_integer(column.type):
        return arrow_to_numbers(column.combine_chunks())
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]


def merged_groups(image: np.ndarray, sha256: np.ndarray, group: np.ndarray) -> np.ndarray:
    """One integer per row; rows with equal integers must stay on the same side of every split.

    Rows are merged, step by step, when they share a given group, or the bytes of the image, or, where the
    bytes are unknown, the image name. Shape (n_rows,), int64, numbered in order of first appearance.

    >>> merged_groups(*np.array([["a", "b", "c"], ["1", "2", "2"], ["x", "x", None]], dtype=object))
    array([0, 0, 0])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(image):
        return np.zeros(0, dtype=np.int64)
    # A graph of rows, contents and given groups: what hangs together stays together.
    rows = np.arange(len(image))
    contents = [sha or f"name:{name}" for sha, name in zip(sha256, image, strict=True)]
    nodes, codes = np.unique(np.array(contents, dtype=object), return_inverse=True)
    links = [(rows, len(rows) + codes)]
    given = np.array([g is not None for g in group], dtype=bool)
    n_nodes = len(rows) + len(nodes)
    if given.any():
        names, group_codes = np.unique(group[given], return_inverse=True)
        links.append((rows[given], n_nodes + group_codes))
        n_nodes += len(names)
    one, other = (np.concatenate(side) for side in zip(*links, strict=True))
    graph = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(n_nodes, n_nodes))
    components = connected_components(graph, directed=False)[1][: len(rows)]
    _, first, codes = np.unique(components, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes].astype(np.int64)
