"""The id columns of a table, which say who each row is: names and types, values as text, what belongs together."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featurize.errors import TableError
from featurize.terminal import log

TEXTS = ("image", "sha256", "label", "group", "split")
NUMBERS = ("variant", "width", "height", "bytes")
IDS = pa.schema(
    dict.fromkeys(TEXTS, pa.string()) | dict.fromkeys(NUMBERS, pa.int64()) | {"format": pa.string()}
)
PHASH = "phash"  # a table where it is known of no row has no such column, as tables before it
ALL_IDS = pa.schema([*IDS, pa.field(PHASH, pa.string())])
METADATA = "featurize"  # under which a file holds the metadata; in an npz no column can have the same name

SPLIT_WORDS = {
    **dict.fromkeys(("training", "train"), "training"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("testing", "test"), "testing"),
}
SPLITS = ("training", "validation", "testing")


def split_of(word: str) -> str | None:
    """The split that a word means, in any case.

    >>> split_of("Val"), split_of("rust")
    ('validation', None)
    """
    return SPLIT_WORDS.get(word.strip().casefold())


def check_name(name: str) -> None:
    """TableError for a name of features that no column can have: an id column's, or one that nothing can show."""
    if not isinstance(name, str) or name in ALL_IDS.names or not name.isprintable() or not name:
        raise TableError(f"features cannot be named {name!r:.80}", "give them another name, as text")


def check_new_name(name: str) -> None:
    """As `check_name`, for features that are named by a person: ``a+b`` would be the columns a and b side by side."""
    check_name(name)
    if "+" in name:
        raise TableError(f"features cannot be named {name!r}: + joins features", "give them a name without +")


def check_kept_names(names: Sequence[str]) -> None:
    """TableError for names that columns kept beside the id columns cannot have."""
    for name, count in Counter(names).items():
        if name in ALL_IDS.names or name == METADATA or not name.isprintable() or not name or count > 1:
            hint = f"keep other columns, each once; {', '.join(ALL_IDS.names)} are in every table"
            raise TableError(f"the column {name!r} cannot be kept beside the others", hint)


def own_columns(ids: pa.Table) -> pa.Table:
    """The id columns alone, without those that are kept beside them."""
    return ids.select([name for name in ids.column_names if name in ALL_IDS.names])


def is_missing(value: object) -> bool:
    """Whether a value stands for none: None, NaN, or what pandas puts into gaps.

    >>> is_missing(float("nan")), is_missing("")
    (True, False)
    """
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


NUMBER = bool | int | float | np.bool_ | np.integer | np.floating
DATE = date | np.datetime64


def columns_as_text(columns: Mapping[str, Iterable]) -> dict[str, list]:
    """Numbers, truth values and dates as text, which is said once for all columns; None for what is missing.

    Whole numbers that gaps have made floats are whole again, and dates that were given midnight are dates again. Any
    other values stay as they are.

    >>> columns_as_text({"group": [date(2026, 5, 1), np.datetime64("2026-05-02T00:00:00")]})
    {'group': ['2026-05-01', '2026-05-02']}
    >>> columns_as_text({"label": [3, None, 10], "group": [1.0, float("nan"), 2.0], "split": [True, "test", None]})
    {'label': ['3', None, '10'], 'group': ['1', None, '2'], 'split': ['True', 'test', None]}
    """
    made: dict[str, list] = {}
    changed: list[str] = []
    kinds: set[str] = set()
    for name, given in columns.items():
        values = [None if is_missing(one) else one for one in given]
        numbers = [one for one in values if isinstance(one, NUMBER)]
        if numbers:
            truths = [isinstance(one, bool | np.bool_) for one in numbers]
            whole = not any(truths) and all(float(one).is_integer() for one in numbers)
            kinds |= {"truth values"} if any(truths) else set()
            kinds |= set() if all(truths) else {"whole numbers" if whole else "numbers"}
            changed.append(name)
            values = [_as_text(one, whole) if isinstance(one, NUMBER) else one for one in values]
        dates = [_as_datetime(one) for one in values if isinstance(one, DATE)] if name in TEXTS else []
        if dates:  # columns that are kept beside those of ours hold them as they always did
            whole = all(one.time() == time() for one in dates)
            kinds.add("dates")
            changed += [] if numbers else [name]
            values = [_date_as_text(one, whole) if isinstance(one, DATE) else one for one in values]
        made[name] = values
    if changed:
        what = f"columns {', '.join(changed)} hold" if len(changed) > 1 else f"column {changed[0]} holds"
        log.info("the %s %s, which are taken as text", what, " and ".join(sorted(kinds)))
    return made


def _as_text(number: Any, whole: bool) -> str:
    return f"{number:.0f}" if whole and isinstance(number, float | np.floating) else str(number)


def _as_datetime(one: Any) -> datetime:
    """To the microsecond; what has no time has midnight."""
    if isinstance(one, np.datetime64):
        one = one.astype("datetime64[us]").item()
    return one if isinstance(one, datetime) else datetime.combine(one, time())


def _date_as_text(one: Any, whole: bool) -> str:
    made = _as_datetime(one)
    return made.date().isoformat() if whole else made.isoformat(" ")


def ids_from_columns(columns: Mapping[str, Sequence], kept: Mapping[str, Sequence] | None = None) -> pa.Table:
    """A table of id columns from plain sequences, by name, and of columns to keep behind them, as text.

    Numbers and truth values are taken as text, see `columns_as_text`. TableError if the lengths differ, a column is not
    one of the table's, or a value does not fit its type.
    """
    unknown = sorted(set(columns) - set(ALL_IDS.names))
    if unknown:
        raise TableError(
            f"no such columns: {', '.join(unknown)}", f"the columns are {', '.join(ALL_IDS.names)}"
        )
    kept = kept or {}
    check_kept_names(list(kept))
    lengths = {name: len(values) for name, values in [*columns.items(), *kept.items()]}
    if len(set(lengths.values())) > 1:
        raise TableError(f"columns of different lengths: {lengths}", "give one value per row")
    texts = columns_as_text({**{name: columns[name] for name in columns if name in TEXTS}, **kept})
    arrays = {}
    for name, values in columns.items():
        kind = ALL_IDS.field(name).type
        try:
            arrays[name] = pa.array(texts[name] if name in TEXTS else list(values), kind)
        except (pa.ArrowException, TypeError, OverflowError, UnicodeError) as error:
            problem = f"the column {name} cannot be {kind}: {error}"
            raise TableError(problem, f"give {kind}, or None") from None
    for name in kept:
        arrays[name] = pa.array([None if one is None else str(one) for one in texts[name]], pa.string())
    return pa.table(arrays)


def complete_ids(ids: pa.Table) -> pa.Table:
    """All id columns, in order and of the right type; empty text becomes null, a missing variant 0.

    The column ``phash`` is there where it is known of a row. Other columns are kept behind them, as text. TableError
    if a column does not fit its type, a hash is not 16 hex digits, or an image has no name or no variant.
    """
    n_rows = ids.num_rows
    columns = {}
    kept = [name for name in ids.column_names if name not in ALL_IDS.names]
    check_kept_names(kept)
    known = ALL_IDS if PHASH in ids.column_names else IDS
    for field in [*known, *(pa.field(name, pa.string()) for name in kept)]:
        if field.name in ids.column_names:
            try:
                column = ids[field.name].cast(field.type)
            except pa.ArrowException as error:
                problem = f"the column {field.name} holds {ids[field.name].type}: {error}"
                raise TableError(problem, f"give values that fit {field.type}") from None
            if pa.types.is_string(field.type) and n_rows:
                if pc.any(pc.match_substring(column, "\0")).as_py():
                    hint = "numpy drops it, which would make two names one; take it out"
                    raise TableError(f"the column {field.name} holds a NUL character", hint)
                column = pc.if_else(pc.equal(column, ""), pa.scalar(None, field.type), column)
        elif field.name == "variant":
            column = pa.array(np.zeros(n_rows, dtype=np.int64))
        else:
            column = pa.nulls(n_rows, field.type)
        if field.name in ("image", "variant") and column.null_count:
            problem = f"{column.null_count} rows have no {field.name}"
            raise TableError(problem, f"give each row its {field.name}")
        columns[field.name] = column
    if PHASH in columns and columns[PHASH].null_count == n_rows:
        del columns[PHASH]
    elif PHASH in columns and not pc.all(pc.match_substring_regex(columns[PHASH], "^[0-9a-f]{16}$")).as_py():
        raise TableError(f"the column {PHASH} holds something else than 16 hex digits", "give these, or None")
    return pa.table(columns)


def column_as_array(column: pa.ChunkedArray) -> np.ndarray:
    """A column as an array; text and nullable columns hold objects, with None for null."""
    if column.null_count == 0 and pa.types.is_integer(column.type):
        return column.to_numpy()
    return np.array([*column.to_pylist(), None], dtype=object)[:-1]


def merged_groups(image: np.ndarray, sha256: np.ndarray, group: np.ndarray) -> np.ndarray:
    """As `FeatureTable.groups`, step by step: a chain of shared groups and bytes is one group.

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


def similar_labels(labels: Iterable[str | None]) -> list[list[str]]:
    """Labels that differ by blanks, case or Unicode form only: most likely one class that was written in two ways.

    >>> similar_labels(["rose", " Rose", "oak", None])
    [[' Rose', 'rose']]
    """
    alike: dict[str, set[str]] = {}
    for label in set(labels) - {None}:
        assert label is not None
        plain = unicodedata.normalize("NFC", "".join(label.split())).casefold()
        alike.setdefault(unicodedata.normalize("NFC", plain), set()).add(label)
    return sorted(sorted(some) for some in alike.values() if len(some) > 1)


def describe_similar(labels: Sequence[str]) -> str:
    """Such labels in words; quotes show the blanks, and a second Unicode form, which looks the same, is named.

    >>> describe_similar([" Rose", "rose"])
    "' Rose', 'rose'"
    """
    decomposed = [label != unicodedata.normalize("NFC", label) for label in labels]
    shown = [f"{label!r}{' (decomposed)' * odd}" for label, odd in zip(labels, decomposed, strict=True)]
    return ", ".join(shown)
