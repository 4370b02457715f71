"""The table: one row per image and variant; who it is, its label, and its vectors, in one object."""

import hashlib
import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from featurize.errors import TableError, UsageError
from featurize.id_columns import (
    ALL_IDS,
    PHASH,
    check_name,
    column_as_array,
    columns_as_text,
    complete_ids,
    ids_from_columns,
    merged_groups,
    own_columns,
)
from featurize.imported import is_imported, table_of_frame
from featurize.remote import Location
from featurize.tableformat import TableContent, as_arrow, read_batches, read_table, write_table
from featurize.terminal import log

# -- The digest: it stands in papers, JSON and model cards, so its algorithm stays ---

ROWS_AT_ONCE = 4096
ROWS_SHOWN = 5  # in a notebook


def table_digest(ids: pa.Table, vectors: Mapping[str, tuple[int, Iterable[np.ndarray]]]) -> str:
    """SHA-256 of a table, in hex, computed in constant memory; kept columns, which change no number, do not count.

    `vectors` says per features how wide they are, and has the rows of the matrix in order, in any number of pieces.

    >>> ids, X = pa.table({"image": ["a.jpg", "b.jpg"]}), np.eye(2, dtype=np.float32)
    >>> table_digest(ids, {"x": (2, [X])}) == table_digest(ids, {"x": (2, [X[:1], X[1:]])})
    True
    """
    digest = hashlib.sha256()
    for text in _as_json(own_columns(ids)):
        digest.update(text.encode())
    for name, (width, matrices) in sorted(vectors.items()):
        digest.update(f"{name}:{(ids.num_rows, width)}".encode())
        for matrix in matrices:
            digest.update(np.ascontiguousarray(matrix).data)
    return digest.hexdigest()


def _as_json(ids: pa.Table) -> Iterator[str]:
    """``json.dumps(ids.to_pydict(), sort_keys=True)``, piece by piece."""
    opening = "{"
    for name in sorted(ids.column_names):
        yield f"{opening}{json.dumps(name)}: ["
        for start in range(0, ids.num_rows, ROWS_AT_ONCE):
            values = ids[name].slice(start, ROWS_AT_ONCE).to_pylist()
            yield ", " * (start > 0) + json.dumps(values)[1:-1]
        yield "]"
        opening = ", "
    yield "}"


BEFORE, CORRECTIONS = (
    "label_before",
    "corrections",
)  # a kept column and a key of the metadata: `classify.labels`
FEW = 4  # readings that are kept of what follows; two are too many already


def readings(features: str, known: Collection[str]) -> list[list[str]]:
    """The ways, at most a few, to read `features` as different names of `known`, joined with ``+``.

    >>> readings("my+net+z", ["my+net", "z"]), readings("a+b", ["a+b", "a", "b"])
    ([['my+net', 'z']], [['a', 'b'], ['a+b']])
    """
    words = features.split("+")
    longest = 1 + max((name.count("+") for name in known), default=0)
    if longest == 1:
        return [words] if len(set(words)) == len(words) and all(word in known for word in words) else []
    # From the last word to the first: how to read what follows the first word of a name, the first two, and so on.
    following: deque[list[list[str]]] = deque([[[]]], maxlen=longest)
    for start in reversed(range(len(words))):
        names = ["+".join(words[start : start + n]) for n in range(1, len(following) + 1)]
        pairs = [(name, rest) for name, rests in zip(names, following, strict=True) for rest in rests]
        found = [[name, *rest] for name, rest in pairs if name in known and name not in rest]
        following.appendleft(found[:FEW])
    return following[0]


@cache
def _tell_of_column(features: str, others: str) -> None:
    if others:
        log.warning(
            "the column %s is used, not %s side by side: name these in another order for that",
            features,
            others,
        )


class FeatureTable:
    """Images and their vectors, one row per image and variant.

    Made by `featurize.extract` or `FeatureTable.read`; the methods return new tables and change none.

    Parameters
    ----------
    ids : pyarrow.Table
        The columns ``image, sha256, label, group, split, variant, width, height, bytes, format, phash``.
        Columns left out are null, except ``variant``, which is 0. Empty text is null. ``phash`` is there only where
        it is known of a row. Any other columns, such as age and site, are kept as text and never used as features.
    vectors : mapping of str to array of shape (n_rows, width), float32
        One matrix per features, named by its spec.
    metadata : mapping, optional
        ``source`` (where the photos are) and ``features`` (per features, how the vectors were made).

    Examples
    --------
    >>> table = FeatureTable.from_arrays(
    ...     {"x": [[0.0, 1.0], [1.0, 0.0]]}, label=["cat", "dog"], image=["a.jpg", "b.jpg"])
    >>> table.select("x").shape, list(table["label"]), len(table[table["label"] == "cat"])
    ((2, 2), ['cat', 'dog'], 1)
    """

    def __init__(
        self, ids: pa.Table, vectors: Mapping[str, np.ndarray], metadata: Mapping[str, Any] | None = None
    ):
        self.ids = complete_ids(ids)
        self.vectors = dict(vectors)
        self.metadata: dict[str, Any] = {"source": None, "features": {}, **(metadata or {})}
        for name, matrix in self.vectors.items():
            check_name(name)
            if name in self.kept:
                raise TableError(f"{name} is a kept column and features at once", "give one another name")
            if matrix.ndim != 2 or matrix.dtype != np.float32:
                problem = f"the vectors of {name} are {matrix.dtype} of shape {matrix.shape}"
                raise TableError(problem, "give float32 of shape (n_rows, width)")
            if len(matrix) != len(self):
                problem = f"{name} has {len(matrix)} vectors for {len(self)} rows"
                raise TableError(problem, "give one vector per row")

    @classmethod
    def from_arrays(cls, vectors: Mapping[str, Any], **columns: Any) -> "FeatureTable":
        """A table from plain arrays: ``vectors`` by features, and id columns by name; None is a column not given.

        Labels and groups may be numbers, truth values, or a Series with gaps; a table holds them as text. TableError
        if the lengths differ, a column is not one of the table's, or vectors are no numbers or of several lengths.
        """
        matrices = {}
        for name, given in vectors.items():
            try:
                matrices[name] = np.ascontiguousarray(given, dtype=np.float32)
            except (ValueError, TypeError) as error:
                what = f"the vectors of {name} are no numbers, or of several lengths: {error}"
                raise TableError(what, "give numbers of shape (n_rows, width)") from None
        columns = {name: values for name, values in columns.items() if values is not None}
        n_rows = max([len(m) for m in matrices.values()] + [len(c) for c in columns.values()], default=0)
        columns.setdefault("image", [f"image-{i}" for i in range(n_rows)])
        return cls(ids_from_columns(columns), matrices)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        features: Mapping[str, str | Sequence[str]],
        *,
        columns: Mapping[str, str] | None = None,
        keep: Sequence[str] = (),
    ) -> "FeatureTable":
        """A table of vectors that were made elsewhere; how, nobody knows, which tables and reports say (`imported`).

        Heads, comparisons and the search for duplicates work on them. A model of them predicts tables that were made
        the same way; for new photos it says that their vectors are missing.

        Parameters
        ----------
        frame : pandas.DataFrame, or what offers ``__arrow_c_stream__`` or ``__dataframe__`` (polars, pyarrow, DuckDB)
            One row per photo. Its columns image, sha256, label, group, split, variant and phash are those of the
            table, where it has them; image may have the same name in several rows, which then belong together.
        features : mapping of str to str, or to a list of str
            Per features, the column that holds its vectors as lists of numbers, all of one length; or the columns
            that hold one number each, by the start of their names and a ``*``, or as a list. ``emb_10`` comes after
            ``emb_9``, where all names end in numbers.
        columns : mapping, optional
            Columns that are called otherwise, as ``{"image": "filename", "label": "class"}``; an empty name: none is.
        keep : sequence of str, optional
            Further columns that the table keeps, as text, such as age and site; never features.

        Raises
        ------
        UsageError
            If there is no such column (the message lists those there are), or it holds no numbers.
        TableError
            If a row has no vector, one of another length, or numbers that are not finite in 32 bits.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "label": [0, 1], "e": [[1.0, 0.5], [0.0, 2.0]]})
        >>> FeatureTable.from_frame(frame, features={"clip": "e"})
        FeatureTable: 2 rows; features clip (2, imported); 2 labels 0, 1
        """
        return cls(*table_of_frame(frame, features, columns, keep))

    def __len__(self) -> int:
        return self.ids.num_rows

    def __getitem__(self, key: Any) -> Any:
        """``table["label"]``: a column, or the vectors of features; ``table[:5]``, ``table[mask]``: the rows, a table.

        UsageError if there is no such column, or `key` picks no rows.
        """
        if isinstance(key, str):
            if key in ALL_IDS.names or key in self.kept:
                return self.column(key)
            try:
                return self.select(key)
            except UsageError:
                columns = ", ".join([*self.ids.column_names, *self.features])
                raise UsageError(f"the table has no column {key!r}", f"its columns are {columns}") from None
        rows = np.arange(len(self))[key] if isinstance(key, slice | int | np.integer) else np.asarray(key)
        if rows.size and rows.dtype.kind not in "biu":
            hint = "give a slice, a mask, row numbers, or the name of one column"
            raise UsageError(f"{key!r} picks no rows of the table", hint)
        return self.filter(np.atleast_1d(rows))

    __iter__ = None  # numpy and others would take the table for a list of tables of one row

    def __repr__(self) -> str:
        described = self.metadata["features"]
        origin = {name: ", imported" * is_imported(described.get(name)) for name in self.vectors}
        widths = ", ".join(f"{name} ({m.shape[1]}{origin[name]})" for name, m in self.vectors.items())
        kept = f"; kept {', '.join(self.kept)}" if self.kept else ""
        labels = sorted({label for label in self.label if label is not None})
        shown = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
        named = f"{len(labels)} label{'s' * (len(labels) != 1)} {shown}"
        found = f"FeatureTable: {len(self)} rows; features {widths or 'none'}; {named}"
        return found.rstrip() + kept

    def _repr_html_(self) -> str:
        """For notebooks: what it holds, and its first rows."""
        from html import escape

        names = ["image", *(one for one in ("label", "group", "split") if any(self.column(one)[:ROWS_SHOWN]))]
        rows = self.ids.select([*names, *self.kept]).slice(0, ROWS_SHOWN).to_pandas()
        return f"<p>{escape(repr(self))}</p>{rows.to_html(na_rep='')}"

    def column(self, name: str) -> np.ndarray:
        """One id column, or kept one, as an array; text and nullable columns hold objects, with None for null."""
        if name == PHASH and PHASH not in self.ids.column_names:
            return np.full(len(self), None, dtype=object)
        return column_as_array(self.ids[name])

    @property
    def image(self) -> np.ndarray:
        """Names of the images, relative to the source, shape (n_rows,)."""
        return self.column("image")

    @property
    def sha256(self) -> np.ndarray:
        """SHA-256 of the bytes of each image, in hex; None for imported vectors."""
        return self.column("sha256")

    @property
    def content(self) -> np.ndarray:
        """What each image is, shape (n_rows,): the SHA-256 of its bytes or, where these are unknown, its name."""
        names = np.array([f"name {image}" for image in self.image], dtype=object)
        return np.where([one is None for one in self.sha256], names, self.sha256)

    @property
    def label(self) -> np.ndarray:
        """Class names, shape (n_rows,); None when unknown."""
        return self.column("label")

    @property
    def group(self) -> np.ndarray:
        """The given groups; None where none was given. See `groups` for what may not be separated."""
        return self.column("group")

    @property
    def split(self) -> np.ndarray:
        """``training``, ``validation``, ``testing`` or None."""
        return self.column("split")

    @property
    def variant(self) -> np.ndarray:
        """0 for photos as they are, other numbers for distorted ones, int64."""
        return self.column("variant")

    @property
    def phash(self) -> np.ndarray:
        """A perceptual hash of each photo, 16 hex digits; None where it is unknown."""
        return self.column(PHASH)

    @property
    def features(self) -> list[str]:
        """The names of the vector columns."""
        return list(self.vectors)

    @property
    def kept(self) -> list[str]:
        """The names of the columns that are kept beside the id columns, such as age and site; no features."""
        return [name for name in self.ids.column_names if name not in ALL_IDS.names]

    @cached_property
    def groups(self) -> np.ndarray:
        """One integer per row; rows with equal integers must stay on the same side of every split.

        Rows are merged when they share a given group, or the bytes of the image (so all variants of an image are
        together), or, where the bytes are unknown, its name. Shape (n_rows,), int64, in order of first appearance.
        """
        return merged_groups(self.image, self.sha256, self.group)

    def digest(self) -> str:
        """SHA-256 over ids and vectors: two tables with the same digest hold the same data, but for kept columns."""
        vectors = {name: (matrix.shape[1], [matrix]) for name, matrix in self.vectors.items()}
        return table_digest(self.ids, vectors)

    def parts(self, features: str) -> list[str]:
        """The vector columns that `features` names: ``"a+b"`` is ``["a", "b"]``, unless a column has that name.

        Where both can be meant, the column is taken, which is logged once.

        UsageError if the table has no such column (the message lists those it has), one is named twice, or names with
        ``+`` in them allow two readings.
        """
        found = readings(features, self.vectors)
        if features in self.vectors:
            _tell_of_column(features, next((" and ".join(names) for names in found if len(names) > 1), ""))
            return [features]
        if len(found) > 1:
            either = " or as ".join(" and ".join(map(repr, names)) for names in found[:2])
            hint = "name fewer features or another order, or give the columns other names, without +"
            raise UsageError(f"{features} can be read as {either}", hint)
        if found:
            return found[0]
        names = features.split("+")
        if len(set(names)) < len(names):
            raise UsageError(f"{features} names the same features twice", "join different features with +")
        missing = [name for name in names if name not in self.vectors]
        if missing:
            has = ", ".join(self.features) or "none"
            hint = f"it has {has}; join several with +, or run `featurize extract` with the --features wanted"
            named = ", ".join(name or repr(name) for name in missing)
            raise UsageError(f"the table has no features named {named}", hint)
        return names

    def select(self, features: str) -> np.ndarray:
        """The vectors of a column, or of several side by side: ``"inception_v3+glcm"``; float32 (n_rows, width).

        For a single column this is the table's own memory, read-only; copy it before changing it. UsageError if the
        table has no such column.
        """
        names = self.parts(features)
        if len(names) == 1:
            view = self.vectors[names[0]].view()
            view.flags.writeable = False
            return view
        return np.hstack([self.vectors[name] for name in names])

    def widths(self, features: str) -> list[int]:
        """The width of each part of `features`, in the order of `select`."""
        return [self.vectors[name].shape[1] for name in self.parts(features)]

    def blocks(self, features: str) -> list[int]:
        """The width of each block of `features`: of each part, or of each layer in a part that holds several.

        Heads scale block by block: ``make_head("svm", widths=table.blocks(features))``.
        """
        return block_widths(self.parts(features), self.widths(features), self.metadata["features"])

    def value_names(self, features: str) -> list[str]:
        """A name for each number of `select(features)`."""
        names: list[str] = []
        for part, width in zip(self.parts(features), self.widths(features), strict=True):
            known = self.metadata["features"].get(part, {}).get("value_names")
            names += known or [f"{part}_{i:04d}" for i in range(width)]
        return names

    def filter(self, rows: np.ndarray) -> "FeatureTable":
        """The rows that a boolean mask or an array of row numbers picks, in that order."""
        rows = np.asarray(rows)
        if rows.dtype == bool and len(rows) != len(self):
            raise UsageError(f"the mask has {len(rows)} values for {len(self)} rows", "give one per row")
        # Through numpy's own indexing, so that negative numbers and numbers out of range mean the usual.
        rows = np.arange(len(self))[rows if rows.size else np.zeros(0, dtype=np.int64)]
        vectors = {name: matrix[rows] for name, matrix in self.vectors.items()}
        return FeatureTable(self.ids.take(pa.array(rows, pa.int64())), vectors, self.metadata)

    def named_as(self, described: Mapping[str, Mapping[str, Any]]) -> "FeatureTable":
        """The table with the names of `described` for the features of the same fingerprint, however they were spelled.

        Others that have such a name are left out.
        """
        entries = {name: self.metadata["features"].get(name, {}) for name in self.features}
        by_fingerprint = {entry.get("fingerprint"): name for name, entry in reversed(entries.items())}
        names: dict[str, str] = {}
        for name, entry in described.items():
            wanted = entry.get("fingerprint")
            known = wanted in by_fingerprint and wanted not in (None, "imported")  # which tells nothing apart
            if known and entries.get(name, {}).get("fingerprint") != wanted:
                names[by_fingerprint[wanted]] = name
        if not names:
            return self
        kept = [name for name in self.features if name in names or name not in names.values()]
        vectors = {names.get(name, name): self.vectors[name] for name in kept}
        features = {names.get(name, name): entries[name] for name in kept if entries[name]}
        return FeatureTable(self.ids, vectors, {**self.metadata, "features": features})

    def with_column(self, name: str, values: Sequence) -> "FeatureTable":
        """A table whose id column `name`, or kept one, holds `values`, one per row."""
        if name not in ALL_IDS.names and name not in self.kept:
            has = ", ".join([*ALL_IDS.names, *self.kept])
            raise UsageError(f"no id column is called {name}", f"the id columns are {has}")
        kind = ALL_IDS.field(name).type if name in ALL_IDS.names else pa.string()
        values = columns_as_text({name: values})[name] if pa.types.is_string(kind) else list(values)
        column, position = pa.array(values, kind), self.ids.schema.get_field_index(name)
        if position < 0:
            return FeatureTable(self.ids.append_column(name, column), self.vectors, self.metadata)
        return FeatureTable(self.ids.set_column(position, name, column), self.vectors, self.metadata)

    def relabel(self, mapping: Mapping[str, str | None]) -> "FeatureTable":
        """Other class names; a label mapped to None or to empty text loses its rows.

        Labels from before a correction are renamed as well, but keep their names where the mapping drops them.
        UsageError if the table has labels that `mapping` does not name.
        """
        mapping = {str(label): new for label, new in mapping.items()}
        missing = sorted({str(label) for label in self.label if label is not None and label not in mapping})
        if missing:
            hint = "add a line for each; an empty new_label drops the class"
            raise UsageError(f"the relabelling names no new label for {', '.join(missing)}", hint)
        new = [mapping[label] or None if label is not None else None for label in self.label]
        kept = [before is None or after is not None for before, after in zip(self.label, new, strict=True)]
        renamed = self.with_column("label", new).filter(np.array(kept, dtype=bool))
        if CORRECTIONS in self.metadata and BEFORE in self.kept:
            before = [mapping.get(label) or label for label in renamed.column(BEFORE)]
            renamed = renamed.with_column(BEFORE, before)
        return renamed

    def join(self, other: "FeatureTable") -> "FeatureTable":
        """This table with the features of `other` beside its own, matched by content and variant.

        TableError if `other` lacks an image of this table, or a features name stands in both.
        """
        twice = ", ".join(sorted(set(self.vectors) & set(other.vectors)))
        if twice:
            raise TableError(f"both tables have features named {twice}", "drop them from one table")
        place = {key: row for row, key in enumerate(other._keys())}
        rows = [place.get(key, -1) for key in self._keys()]
        lost = [str(self.image[i]) for i, row in enumerate(rows) if row < 0]
        if lost:
            problem = f"{len(lost)} of {len(self)} images are not in the other table, the first is {lost[0]}"
            raise TableError(problem, "extract both tables from the same photos")
        vectors = self.vectors | {name: matrix[rows] for name, matrix in other.vectors.items()}
        described = self.metadata["features"] | other.metadata["features"]
        return FeatureTable(self.ids, vectors, {**self.metadata, "features": described})

    def _keys(self) -> list[tuple]:
        contents = [sha or name for sha, name in zip(self.sha256, self.image, strict=True)]
        return list(zip(contents, self.variant.tolist(), strict=True))

    def to_frame(self):
        """The table as a pandas DataFrame: the id columns and kept ones, then one float32 column per value."""
        import pandas as pd

        vectors = [pd.DataFrame(m, columns=self.value_names(name)) for name, m in self.vectors.items()]
        return pd.concat([self.ids.to_pandas(), *vectors], axis=1)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The table for ``pyarrow.table``, ``polars.DataFrame``, DuckDB and others, with the columns of its Parquet.

        >>> table = FeatureTable.from_arrays({"x": [[0.0, 1.0]]}, label=["cat"])
        >>> pa.table(table)["x"].to_pylist()
        [[0.0, 1.0]]
        """
        content = TableContent(self.ids, self.vectors, self.metadata)
        return as_arrow(content).__arrow_c_stream__(requested_schema)

    @classmethod
    def read(cls, path: Location) -> "FeatureTable":
        """The table in a ``.parquet`` or ``.npz`` file; see `featurize.tableformat.read_table`."""
        return cls(*read_table(path))

    @classmethod
    def read_batches(cls, path: Location, features: Sequence[str] | None = None) -> Iterator["FeatureTable"]:
        """The rows of a table file in order, at most 4,096 at a time; with `features`, only these columns."""
        for content in read_batches(path, features):
            yield cls(*content)

    def write(self, path: Location) -> None:
        """Write ``.parquet`` or ``.npz``, whole or not at all; see `featurize.tableformat.write_table`."""
        write_table(TableContent(self.ids, self.vectors, self.metadata), path)


def block_widths(
    parts: Sequence[str], widths: Sequence[int], described: Mapping[str, Mapping[str, Any]]
) -> list[int]:
    """The widths of the blocks in features of these widths, of which some are described as several blocks.

    >>> block_widths(["two_layers", "glcm"], [5, 2], {"two_layers": {"blocks": [2, 3]}})
    [2, 3, 2]
    """
    found: list[int] = []
    for part, width in zip(parts, widths, strict=True):
        blocks = described.get(part, {}).get("blocks") or [width]
        found += blocks if sum(blocks) == width else [width]
    return found
