"""Rows that hold photos themselves: Parquet files as Hugging Face writes them, its datasets, and DataFrames."""

import glob
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurize.errors import SourceError, UsageError
from featurize.files import check_unpacked, identity, name_as_text
from featurize.photos.layout import add_notes, listed, split_of
from featurize.photos.manifest import Manifest, checked_rows, choose_columns, manifest_row, parquet_rows
from featurize.photos.memory import checked_origin, is_path
from featurize.photos.origin import OnDisk, Origin
from featurize.photos.parquet_photo import ParquetPhoto, ParquetReader, bytes_in
from featurize.tableformat import record_batches

PARQUET = ".parquet"
ROWS_AT_ONCE = 4096
PATHS_AT_ONCE = 64  # rows of a dataset whose paths are looked at
LONGEST_PATH = 4096
BATCH_BYTES = 1 << 24  # decoded at once, where the photos of a file are as large as its others
INTEGERS = "labels are whole numbers, which are taken as text"


class Named(NamedTuple):
    """A photo that a row holds, and its name."""

    origin: Origin
    name: str


@dataclass
class PhotoRows(Manifest):
    """A manifest whose rows hold the photos: in place of a file name, the image of a row is a `Named` photo.

    `kind` is ``parquet``, ``dataset`` or ``frame``; `files` are the Parquet files.
    """

    kind: str = "parquet"
    files: list[str] = field(default_factory=list)


def holds_rows(given: object) -> bool:
    """Whether an object is a DataFrame, a dataset, or datasets by split."""
    if isinstance(given, Mapping):
        return bool(given) and all(map(is_dataset, given.values()))
    return is_frame(given) or is_dataset(given)


def photo_rows(source: Any, columns: Mapping[str, str] | None, keep: Sequence[str] = ()) -> PhotoRows | None:
    """The rows of a source that holds photos in rows; None for any other source."""
    columns = columns or {}
    if is_frame(source):
        return _read_frame(source, columns, keep)
    if is_dataset(source):
        return _read_datasets({"": source}, columns, keep)
    if isinstance(source, Mapping) and holds_rows(source):
        return _read_datasets(source, columns, keep)
    files = parquet_files(source, columns)
    return _read_parquets(files, columns, keep) if files else None


def _class_names(features: Any) -> dict[str, list[str]]:
    """The names of the classes by column, of the features that a dataset describes."""
    names = {}
    for column, feature in (features or {}).items():
        given = feature.get("names") if isinstance(feature, Mapping) else getattr(feature, "names", None)
        if (
            isinstance(given, Sequence)
            and not isinstance(given, str)
            and all(isinstance(n, str) for n in given)
        ):
            names[column] = list(given)
    return names


class _Labels:
    """Labels as text: class names of numbers where they are known, else the numbers, said once."""

    def __init__(self, manifest: Manifest, names: Sequence[str] | None = None):
        self.manifest, self.names = manifest, names

    def row(self, values: dict[str, Any], name: object) -> dict[str, Any] | str:
        """The row of a manifest with these values, its label as text; what is wrong with it, if anything is."""
        label = values.get("label")
        if isinstance(label, float | np.floating) and label == label and float(label).is_integer():
            label = int(label)  # a column of integers with gaps
        if isinstance(label, int | np.integer) and not isinstance(label, bool):
            if self.names is None:
                if INTEGERS not in self.manifest.notes:
                    self.manifest.notes.append(INTEGERS)
            elif label == -1:  # as Hugging Face writes that there is none
                label = None
            elif not 0 <= label < len(self.names):
                return f"its label is {label}, and {len(self.names)} classes have a name"
            else:
                label = self.names[int(label)]
        row = manifest_row({**values, "label": label, "image": ""})
        return row if isinstance(row, str) else {**row, "image": name}


def _choose(
    manifest: Manifest,
    names: Sequence[str],
    columns: Mapping[str, str],
    keep: Sequence[str],
    classes: Mapping[str, list[str]],
    image: str,
) -> dict[str, str]:
    """The names of the columns that are the image (`image`, or empty), label, group and split."""
    wanted = {**({"image": image} if image else {}), **columns}
    only = [name for name in names if name in classes]
    chosen = choose_columns(manifest, names, wanted, keep)
    if "label" not in wanted and "label" not in chosen and len(only) == 1:
        manifest.notes.clear()
        chosen = choose_columns(manifest, names, {**wanted, "label": only[0]}, keep)
    return {name: names[number] for name, number in chosen.items()}


# -- Parquet files ---


def parquet_files(source: Any, columns: Mapping[str, str]) -> list[Path]:
    """The Parquet files with photos that a source is: a file, a glob pattern, or a list of these; else none."""
    given = list(source) if isinstance(source, list | tuple) else [source]
    files: list[Path] = []
    for one in given:
        if not (is_path(one) and os.fsdecode(one).lower().endswith(PARQUET)):
            return []
        path = Path(os.fsdecode(one))
        matches = [path] if path.is_file() else sorted(map(Path, glob.glob(str(path), recursive=True)))
        if not matches or not all(file.is_file() and photo_column(file, columns) for file in matches):
            return []
        files += matches
    return files


def folder_rows(
    folder: Path, columns: Mapping[str, str] | None, keep: Sequence[str] = ()
) -> PhotoRows | None:
    """The rows of the Parquet files with photos in a folder and those below it; None where there are none."""
    files = sorted(file for file in folder.rglob(f"*{PARQUET}") if not _is_hidden(file, folder))
    files = [file for file in files if file.is_file() and photo_column(file, columns or {})]
    return _read_parquets(files, columns or {}, keep, folder) if files else None


def _is_hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds encoded photos: bytes, or as Hugging Face a struct of bytes and path."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def photo_column(path: Path, columns: Mapping[str, str]) -> str:
    """The column of a Parquet file that holds photos; empty where it holds none, or only their file names."""
    try:
        with open(path, "rb") as stream:
            schema = pq.read_schema(stream)
    except (pa.ArrowException, OSError, ValueError):
        return ""  # reading it as a manifest says what is wrong
    if b"featurize" in (schema.metadata or {}):
        return ""
    return _photo_column(schema, columns)


def _photo_column(schema: pa.Schema, columns: Mapping[str, str]) -> str:
    holding = [field.name for field in schema if _holds_bytes(field.type)]
    if "image" in columns:
        wanted = columns["image"].strip().casefold()
        return next((name for name in holding if name.strip().casefold() == wanted), "")
    own = [name for name in schema.names if name.strip().casefold() == "image"]
    if own:
        return own[0] if own[0] in holding else ""
    with suppress(SourceError, UsageError):  # a manifest by the name of its column, as before
        choose_columns(Manifest(Path(), iter(())), schema.names, columns)
        return ""
    return holding[0] if len(holding) == 1 else ""


def _read_parquets(
    paths: list[Path], columns: Mapping[str, str], keep: Sequence[str] = (), folder: Path | None = None
) -> PhotoRows:
    """The rows of some files, whose names are relative to `folder`, or to the one around them."""
    paths = [path.resolve() for path in dict.fromkeys(paths)]
    is_alone = len(paths) == 1 and folder is None
    above = Path(os.path.commonpath([path.parent for path in paths])) if folder is None else folder.resolve()
    found = PhotoRows(paths[0] if is_alone else above, iter(()), files=[str(path) for path in paths])
    splits = [_split_of_file(path, above, not is_alone) for path in paths]
    files = [_ParquetFile.open(path, columns, keep, found, number) for number, path in enumerate(paths)]
    known = Counter(name for file in files for name in file.paths if name)

    def rows() -> Iterator[tuple[str, Any]]:
        for path, file, split in zip(paths, files, splits, strict=True):
            short = path.relative_to(above).as_posix()
            for number, values in enumerate(file.rows()):
                given = file.paths[number] or ""
                name = given if known[given] == 1 else f"{short}/{number}"
                origin = ParquetPhoto(f"{path}/{number}", file.reader, number, file.number)
                values = {"split": split, **values, "image": Named(origin, name_as_text(name))}
                yield f"row {number} of {short}", file.labels.row(values, values["image"])

    if any(split and "split" not in file.chosen for split, file in zip(splits, files, strict=True)):
        counts = Counter(split or "no split" for split in splits)
        said = ", ".join(f"{count} {split}" for split, count in sorted(counts.items()))
        found.notes.append(f"splits by the names of the Parquet files: {said}")
    found.rows = checked_rows(found.path, rows())
    return found


def _split_of_file(path: Path, above: Path, is_one_of_several: bool) -> str | None:
    """The split in the name of a shard, such as train-00000-of-00002.parquet, or of the folder around it.

    >>> _split_of_file(Path("a/test-00000-of-00001.parquet"), Path("a"), False)
    'testing'
    >>> _split_of_file(Path("a/val/0000.parquet"), Path("a"), True)
    'validation'
    """
    if not is_one_of_several and not re.search(r"-\d{5}-of-\d{5}$", path.stem):
        return None
    *folders, _ = path.relative_to(above).parts
    words = [*re.split(r"[-_. ]", path.stem), *reversed(folders)]
    return next((split for word in words if (split := split_of(word))), None)


@dataclass
class _ParquetFile:
    """What is known of a Parquet file before its photos are read: their paths, and the columns beside them."""

    path: Path
    number: int
    chosen: dict[str, str]
    labels: _Labels
    paths: list[str | None]
    reader: "ParquetReader"

    @classmethod
    def open(
        cls, path: Path, columns: Mapping[str, str], keep: Sequence[str], found: PhotoRows, number: int
    ) -> "_ParquetFile":
        own = PhotoRows(path, iter(()))
        with parquet_rows(path) as (file, stream):
            before = os.fstat(stream.fileno())
            schema, about = file.schema_arrow, file.metadata
            size = before.st_size
            check_unpacked(sum(about.row_group(n).total_byte_size for n in range(about.num_row_groups)), size)
            image = _photo_column(schema, columns)
            if not image:
                raise SourceError(f"{path} holds no photos", f"its columns are {', '.join(schema.names)}")
            described = _described(schema)
            classes = _class_names(described)
            chosen = _choose(own, schema.names, columns, keep, classes, image)
            kind = schema.field(image).type
            has_paths = pa.types.is_struct(kind) and kind.get_field_index("path") >= 0
            paths: list[str | None] = [None] * about.num_rows
            if has_paths:
                paths = list(_paths(file, image))
            mean = about_size(about, image) // max(1, about.num_rows)
            starts = np.cumsum(
                [0, *(about.row_group(n).num_rows for n in range(about.num_row_groups))]
            ).tolist()
        add_notes(found, own)
        changed = max(before.st_mtime, before.st_ctime)
        reader = ParquetReader(
            str(path), image, identity(before), changed, starts, max(1, BATCH_BYTES // max(1, mean))
        )
        return cls(path, number, chosen, _Labels(found, classes.get(chosen.get("label", ""))), paths, reader)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The label, group and split of each row."""
        names = {what: column for what, column in self.chosen.items() if what != "image"}
        if not names:
            yield from ({} for _ in self.paths)
            return
        with parquet_rows(self.path) as (file, stream):
            for batch in record_batches(file, stream, list(dict.fromkeys(names.values()))):
                for row in batch.to_pylist():
                    yield {what: row[column] for what, column in names.items()}


def about_size(about: pq.FileMetaData, image: str) -> int:
    """How many bytes all photos of a file take."""
    total = 0
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        total += sum(
            group.column(n).total_uncompressed_size
            for n in range(group.num_columns)
            if group.column(n).path_in_schema.split(".")[0] == image
        )
    return total


def _described(schema: pa.Schema) -> dict[str, Any]:
    """The features that Hugging Face describes in the metadata of a Parquet file."""
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return described if isinstance(described, dict) else {}


def _paths(file: pq.ParquetFile, image: str) -> Iterator[str | None]:
    """The path of each photo of a struct column, without its bytes; None where it is none that can be a name."""
    column = f"{image}.path"
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, row_groups=[group], columns=[column]):
            paths = pa.compute.struct_field(batch.column(0), "path")
            if not (pa.types.is_string(paths.type) or pa.types.is_large_string(paths.type)):
                yield from [None] * len(paths)
                continue
            long = pa.compute.greater(pa.compute.binary_length(paths), LONGEST_PATH)
            for path in pa.compute.if_else(long, None, paths).to_pylist():
                yield path if path and "\0" not in path else None


def row_at(place: str | os.PathLike) -> Origin | None:
    """The photo at a place such as ``/data/photos.parquet/12``; None where none is."""
    path, row = os.path.split(os.path.abspath(place))
    if not (path.lower().endswith(PARQUET) and row.isascii() and row.isdecimal() and os.path.isfile(path)):
        return None
    return next((one.origin for one in _photos_of(path, _stamp(path))[int(row) : int(row) + 1]), None)


def photo_finder(files: Iterable[str]) -> Callable[[str], Origin | None]:
    """Finds the photos of Parquet files by their names in a table."""
    named: dict[str, Origin] = {}
    with suppress(SourceError, UsageError, OSError, ValueError):
        rows = _read_parquets([Path(file) for file in files if os.path.isfile(file)], {})
        held = [row["image"] for _, row in rows if isinstance(row, dict)]
        named = {one.name: one.origin for one in held if isinstance(one, Named)}
    return named.get


def _stamp(path: str) -> tuple[int, ...]:
    return identity(os.stat(path))


@lru_cache(maxsize=4)
def _photos_of(path: str, _: tuple[int, ...]) -> list[Named]:
    try:
        file = _ParquetFile.open(Path(path), {}, (), PhotoRows(Path(path), iter(())), 0)
    except (SourceError, UsageError, OSError, ValueError):
        return []
    return [Named(ParquetPhoto(f"{path}/{n}", file.reader, n, 0), "") for n in range(len(file.paths))]


# -- datasets of Hugging Face ---


def is_dataset(given: object) -> bool:
    """Whether an object is a Hugging Face dataset, without importing its library."""
    return all(hasattr(given, name) for name in ("features", "column_names", "with_format"))


def _read_datasets(datasets: Mapping[Any, Any], columns: Mapping[str, str], keep: Sequence[str]) -> PhotoRows:
    found = PhotoRows(Path("the dataset"), iter(()), kind="dataset")
    parts: list[tuple[str, Any, dict[str, str], _Labels]] = []
    for key, dataset in datasets.items():
        if not hasattr(dataset, "__len__"):
            hint = "load it without streaming, or give a list of (row['image'], label) pairs"
            raise UsageError("a streaming dataset is read once only, and photos are read twice", hint)
        own, names = PhotoRows(found.path, iter(())), list(dataset.column_names)
        arrow, classes = dataset.with_format("arrow"), _class_names(dataset.features)
        schema = arrow[:0].schema
        chosen = _choose(own, names, columns, keep, classes, _photo_column(schema, columns))
        add_notes(found, own)
        kind = schema.field(chosen["image"]).type
        if not (_holds_bytes(kind) or pa.types.is_string(kind)):
            hint = "it is an Image feature, bytes, or the path of a file"
            raise SourceError(f"the image column of the dataset, {chosen['image']}, holds {kind}", hint)
        parts.append((str(key), arrow, chosen, _Labels(found, classes.get(chosen.get("label", "")))))
    paths = [list(_dataset_paths(arrow, chosen["image"])) for _, arrow, chosen, _ in parts]
    known = Counter(path for some in paths for path in some if path)

    def rows() -> Iterator[tuple[str, Any]]:
        for (key, arrow, chosen, labels), own in zip(parts, paths, strict=True):
            others = {what: column for what, column in chosen.items() if what != "image"}
            beside, lock = _dataset_values(arrow, others), threading.Lock()
            for number, (path, values) in enumerate(zip(own, beside, strict=True)):
                plain = f"{key}/{number}" if key else str(number)
                origin = DatasetPhoto(plain, arrow, chosen["image"], number, lock)
                image = Named(origin, name_as_text(path) if path and known[path] == 1 else plain)
                values = {"split": split_of(key), **values, "image": image}
                yield f"row {plain}", labels.row(values, image)

    if unknown := [key for key, *_ in parts if key and not split_of(key)]:
        found.notes.append(f"parts of the dataset that are no split: {listed(unknown)}")
    found.rows = checked_rows(found.path, rows())
    return found


def _dataset_paths(arrow: Any, image: str) -> Iterator[str | None]:
    alone = arrow.select_columns([image])
    for start in range(0, len(alone), PATHS_AT_ONCE):
        column = alone[start : start + PATHS_AT_ONCE].column(image)
        if not (pa.types.is_struct(column.type) and column.type.get_field_index("path") >= 0):
            yield from [None] * len(column)
            continue
        for path in pa.compute.struct_field(column, "path").to_pylist():
            yield path if path and len(path) <= LONGEST_PATH and "\0" not in path else None


def _dataset_values(arrow: Any, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    if not names:
        yield from ({} for _ in range(len(arrow)))
        return
    some = arrow.select_columns(list(dict.fromkeys(names.values())))
    for start in range(0, len(some), ROWS_AT_ONCE):
        for row in some[start : start + ROWS_AT_ONCE].to_pylist():
            yield {what: row[column] for what, column in names.items()}


@dataclass(frozen=True, slots=True, eq=False)
class DatasetPhoto(Origin):
    """A photo in a row of a dataset, as it is encoded there."""

    place: str
    arrow: Any
    column: str
    row: int
    lock: Any

    @property
    def order(self) -> int:
        return self.row

    def read(self) -> bytes:
        with self.lock:
            value = self.arrow[self.row : self.row + 1].column(self.column)[0].as_py()
        return bytes_in(value)


# -- DataFrames ---


def is_frame(given: object) -> bool:
    """Whether an object is a DataFrame of pandas or polars, without importing either."""
    return all(hasattr(given, name) for name in ("columns", "shape", "dtypes")) and not is_dataset(given)


def _read_frame(frame: Any, columns: Mapping[str, str], keep: Sequence[str]) -> PhotoRows:
    found = PhotoRows(Path("the DataFrame"), iter(()), kind="frame")
    names = [str(name) for name in frame.columns]
    chosen = choose_columns(found, names, columns, keep)
    values = {name: _values(frame[frame.columns[number]]) for name, number in chosen.items()}
    # A table holds no NUL, which would show only after all vectors were computed.
    called = [str(name).replace("\0", r"\x00") for name in frame.index] if hasattr(frame, "index") else []
    if len(set(called)) < len(frame):
        if called:
            found.notes.append("its index is not unique: photos in memory are named by their position")
        called = [str(number) for number in range(len(frame))]
    labels = _Labels(found)

    def rows() -> Iterator[tuple[str, Any]]:
        for number, name in enumerate(called):
            row = {what: column[number] for what, column in values.items()}
            image, where = row["image"], f"row {name}"
            if is_path(image):
                image = os.fsdecode(image)
            elif image is None or (isinstance(image, float) and image != image):
                image = None
            else:
                origin = checked_origin(image, f"{where} of the DataFrame")
                image = os.fsdecode(origin.place) if isinstance(origin, OnDisk) else Named(origin, name)
            yield where, labels.row({**row, "image": image}, image)

    found.rows = checked_rows(found.path, rows())
    return found


def _values(column: Any) -> list[Any]:
    """The values of a column, None where pandas says in one of its ways (NA, NaN, NaT) that there is none."""
    missing = column.isna() if hasattr(column, "isna") else [False] * len(column)
    return [None if gone else value for value, gone in zip(column, missing, strict=True)]


def frame_photos(frame: Any) -> list[Any]:
    """The photos of a DataFrame for which only they count: of its one column, or of its image column."""
    names = [str(name) for name in frame.columns]
    number = (
        0
        if len(names) == 1
        else choose_columns(Manifest(Path("the DataFrame"), iter(())), names, {})["image"]
    )
    return list(frame[frame.columns[number]])
