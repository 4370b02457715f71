"""Vectors that someone else made: columns of a data frame or a file, as matrices of features of unknown origin."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurize.errors import TableError, UsageError
from featurize.id_columns import PHASH, TEXTS, check_new_name, ids_from_columns, split_of
from featurize.tableformat import ROWS_AT_ONCE, TableContent

IMPORTED = "imported"  # family and fingerprint of features that nobody knows how to make from a photo
FROM_FRAMES = (*TEXTS, "variant", PHASH)
NOT_FINITE = "numbers that are not finite, or too large for 32 bits"
NAMED = 20  # columns that a message names


def imported_entry(name: str, value_names: Sequence[str], about: Mapping[str, Any]) -> dict[str, Any]:
    """What a table says of imported features; `about` is where they came from, for the description."""
    return {
        "spec": name,
        "family": IMPORTED,
        "params": {},
        "description": {"family": IMPORTED, **about},
        "fingerprint": IMPORTED,
        "width": len(value_names),
        "value_names": list(value_names),
        "weights": None,
        "versions": {},
        "golden": [],
    }


def is_imported(entry: Mapping[str, Any] | None) -> bool:
    """Whether features are imported, by what a table or a model says of them."""
    return bool(entry) and entry.get("fingerprint") == IMPORTED  # type: ignore[union-attr]


def listed_columns(names: Iterable[str]) -> str:
    """The columns that there are, for a hint; of many the first.

    >>> listed_columns(["image", "emb"])
    'the columns are image, emb'
    """
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"the columns are {', '.join(names[:NAMED]) or 'none'}{more}"


# -- which columns hold vectors, and what their numbers are ---


def vector_columns(names: Sequence[str], wanted: str | Sequence[str]) -> list[str]:
    """The columns that make one features: the one of that name, those that begin so by ``"emb_*"``, or a list.

    Those by prefix stand in the order of the numbers that they end in, where all do, else as in the frame.
    UsageError that names the columns there are, if one is missing.

    >>> vector_columns(["image", "e1", "e10", "e2"], "e*")
    ['e1', 'e2', 'e10']
    """
    if isinstance(wanted, str) and wanted.endswith("*") and wanted not in names:
        start = wanted[:-1]
        found = [name for name in names if name.startswith(start)]
        ends = [name.removeprefix(start) for name in found]
        if all(end.isascii() and end.isdigit() for end in ends):
            found.sort(key=lambda name: int(name.removeprefix(start)))
        what = f"no column begins with {start!r}"
    else:
        found = [wanted] if isinstance(wanted, str) else list(wanted)
        missing = [name for name in found if name not in names]
        what = f"there is no column {missing[0]!r}" if missing else "no column of vectors is named"
        found = [] if missing else found
    if not found:
        raise UsageError(what, listed_columns(names))
    twice = [name for name, count in Counter(names).items() if count > 1 and name in found]
    if twice or len(set(found)) < len(found):
        raise UsageError(f"the column {(twice or found)[0]!r} is there twice", "drop or rename one of them")
    return found


def holds_lists(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and _is_number(kind.value_type)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def check_kinds(kinds: Mapping[str, pa.DataType]) -> bool:
    """Whether these columns are one of lists, or else columns of numbers; UsageError if they can be no vectors."""
    if len(kinds) == 1 and holds_lists(next(iter(kinds.values()))):
        return True
    for name, kind in kinds.items():
        if not _is_number(kind):
            hint = "a vector is a list of numbers, or one column of numbers for each value"
            raise UsageError(f"the column {name} holds {kind}, which are no vectors", hint)
    return False


def list_lengths(column: pa.Array) -> np.ndarray:
    """How many numbers each list of a column holds; -1 for a null."""
    return pc.fill_null(pc.list_value_length(column).cast(pa.int64()), -1).to_numpy(zero_copy_only=False)


def usual_width(parts: Iterable[np.ndarray]) -> int:
    """The commonest length of lists but 0, of the lengths in `parts`; 0 if all are empty or null."""
    counts: Counter[int] = Counter()
    for lengths in parts:
        counts.update(
            dict(zip(*(one.tolist() for one in np.unique(lengths, return_counts=True)), strict=True))
        )
    return max((n for n in counts if n > 0), key=lambda n: (counts[n], -n), default=0)


def vectors_of(columns: Sequence[pa.Array], width: int) -> tuple[np.ndarray, dict[int, str]]:
    """The vectors of some rows as float32 (n_rows, width), and the rows that have none, with the reason.

    >>> vectors_of([pa.array([[1, 2], None, [3], [4, None]])], 2)[1]
    {1: 'no vector (null)', 2: '1 numbers, where the others have 2', 3: 'a number is missing (null)'}
    """
    n_rows, reasons = len(columns[0]), dict[int, str]()
    matrix = np.zeros((n_rows, width), dtype=np.float32)
    right = np.ones(n_rows, dtype=bool)
    if _is_number(columns[0].type):
        missing = np.stack([one.is_null().to_numpy(zero_copy_only=False) for one in columns], axis=1)
        numbers = [_as_float32(one) for one in columns]
        values = np.stack(numbers, axis=1)
    else:
        lengths = list_lengths(columns[0])
        right = lengths == width
        for row in np.flatnonzero(~right):
            n = int(lengths[row])
            reasons[int(row)] = "no vector (null)" if n < 0 else f"{n} numbers, where the others have {width}"
        flat = columns[0].filter(pa.array(right)).flatten()
        missing = flat.is_null().to_numpy(zero_copy_only=False).reshape(-1, width)
        values = _as_float32(flat).reshape(-1, width)
    matrix[right] = values
    places, lost = np.flatnonzero(right), missing.any(axis=1)
    for row in places[lost]:
        reasons[int(row)] = "a number is missing (null)"
    for row in places[~np.isfinite(values).all(axis=1) & ~lost]:
        reasons[int(row)] = NOT_FINITE
    return matrix, dict(sorted(reasons.items()))


def fill_vectors(
    batches: Iterable[pa.RecordBatch], width: int, n_rows: int
) -> tuple[np.ndarray, dict[int, str]]:
    """The vectors in batches of rows, which hold nothing else, as one matrix; and which rows have none, and why."""
    if not width:
        raise UsageError(
            "the column of vectors holds empty lists or nulls alone", "give one list of numbers per row"
        )
    matrix, reasons, start = np.empty((n_rows, width), dtype=np.float32), dict[int, str](), 0
    for batch in batches:
        rows = slice(start, start + batch.num_rows)
        matrix[rows], bad = vectors_of(batch.columns, width)
        reasons |= {start + row: reason for row, reason in bad.items()}
        start += batch.num_rows
    return matrix, reasons


def _as_float32(column: pa.Array) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return column.to_numpy(zero_copy_only=False).astype(np.float32)


# -- data frames ---


def table_of_frame(
    frame: Any,
    features: Mapping[str, str | Sequence[str]],
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
) -> TableContent:
    """What `FeatureTable.from_frame` makes a table of."""
    given, keep = _Frame(frame), [keep] if isinstance(keep, str) else keep
    if not isinstance(features, Mapping) or not features:
        hint = 'name them, as features={"clip": "embedding"} or {"clip": "emb_*"}'
        raise UsageError("no columns of vectors are named", hint)
    ids = _ids_of_frame(given, columns or {}, keep)
    images = ids["image"].to_pylist()
    vectors, entries = {}, {}
    for name, wanted in features.items():
        check_new_name(name)
        if name in keep:
            raise TableError(f"{name} is a kept column and features at once", "give one another name")
        found = vector_columns(given.names, wanted)
        table = pa.table({one: given.column(one) for one in found})
        lists = check_kinds({one.name: one.type for one in table.schema})
        batches = table.to_batches(max_chunksize=ROWS_AT_ONCE)
        width = usual_width(list_lengths(batch.column(0)) for batch in batches) if lists else len(found)
        vectors[name], reasons = fill_vectors(batches, width, given.n_rows)
        if reasons:
            row, reason = next(iter(reasons.items()))
            who = f"; the first is row {row} ({images[row]})"
            problem = f"{len(reasons)} of {len(images)} rows have no vector of {name}{who}: {reason}"
            raise TableError(problem, "drop these rows, or make their vectors again")
        value_names = [f"{name}_{i:04d}" for i in range(width)] if lists else found
        about = {"from": "a data frame", "column": wanted if isinstance(wanted, str) else list(wanted)}
        entries[name] = imported_entry(name, value_names, about)
    return TableContent(ids, vectors, {"source": None, "features": entries})


def _ids_of_frame(given: "_Frame", columns: Mapping[str, str], keep: Sequence[str]) -> pa.Table:
    for wanted, name in columns.items():
        if wanted not in FROM_FRAMES:
            raise UsageError(f"{wanted!r} is no column of a table", f"they are {', '.join(FROM_FRAMES)}")
        given.check(name)
    chosen = {name: name for name in FROM_FRAMES if name in given.names} | dict(columns)
    ids: dict[str, Sequence] = {wanted: given.values(name) for wanted, name in chosen.items() if name}
    if "split" in ids:
        words = {one: split_of(str(one)) for one in set(ids["split"]) if one is not None and str(one).strip()}
        if strange := sorted(str(one) for one, split in words.items() if split is None):
            hint = "a split is training, validation or testing (or train, val, test), or empty"
            raise TableError(f"a split is called {strange[0]}", hint)
        ids["split"] = [words.get(one) for one in ids["split"]]
    ids.setdefault("image", [f"image-{row}" for row in range(given.n_rows)])
    return ids_from_columns(ids, {name: given.values(name) for name in keep})


@dataclass
class _Frame:
    """The columns of a data frame by name, in Arrow, each converted when it is asked for."""

    frame: Any
    names: list[str] = field(init=False)
    n_rows: int = field(init=False)

    def __post_init__(self) -> None:
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(self.frame, pandas.DataFrame):
            self.frame = _arrow_table(self.frame)
            self.names, self.n_rows = list(self.frame.column_names), self.frame.num_rows
        else:
            self.names, self.n_rows = [str(name) for name in self.frame.columns], len(self.frame)
        if not self.n_rows:
            raise TableError("the data frame has no rows", "give one row per photo")

    def check(self, name: str) -> None:
        """UsageError if there is no such column, or two; an empty name stands for none."""
        if name and self.names.count(name) != 1:
            found = "two columns" if name in self.names else "no column"
            raise UsageError(f"the data frame has {found} named {name!r}", listed_columns(self.names))

    def column(self, name: str) -> pa.ChunkedArray:
        self.check(name)
        number = self.names.index(name)
        try:
            if isinstance(self.frame, pa.Table):
                found = self.frame.column(number)
            else:
                found = pa.array(self.frame.iloc[:, number], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            problem = f"the column {name} of the data frame cannot be read: {error}".splitlines()[0]
            raise TableError(problem, "give each row of it the same kind of value") from None
        found = found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
        return found.cast(found.type.value_type) if pa.types.is_dictionary(found.type) else found

    def values(self, name: str) -> list:
        """Plain values; whole numbers that gaps have made floats are whole again, and NaN is None."""
        column = self.column(name)
        values = [None if one is None or one != one else one for one in column.to_pylist()]
        whole = all(one is None or (isinstance(one, float) and one.is_integer()) for one in values)
        return [None if one is None else int(one) for one in values] if whole else values


def _arrow_table(frame: Any) -> pa.Table:
    try:
        if not hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "__dataframe__"):
            from pyarrow.interchange import from_dataframe

            return from_dataframe(frame)
        return pa.table(frame)
    except Exception as error:  # of whatever library made the frame
        hint = "give a DataFrame of pandas or polars, a pyarrow.Table, or what offers __arrow_c_stream__"
        what = f"{type(frame).__name__} is no data frame that can be read: {error}".splitlines()[0]
        is_frame = hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__dataframe__")
        raise UsageError(what, hint) from (error if is_frame else None)
