"""Split what is given to predict on into batches: photos from anywhere, and tables."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

from featurize.errors import SourceError, UsageError
from featurize.files import is_readable
from featurize.photos.archives import is_archive
from featurize.photos.manifest import is_manifest
from featurize.photos.rows import parquet_files
from featurize.photos.source import Source, list_source
from featurize.remote import AnyPath, path_at
from featurize.table import FeatureTable
from featurize.terminal import log

STDIN = "-"
# The first results come soon; later batches are large, because each one looks into the store.
BATCH_SIZES = 64, 2048


Paths = str | os.PathLike | Iterable[str | os.PathLike]


def input_batches(
    sources: Paths,
    *,
    batch_sizes: tuple[int, int] = BATCH_SIZES,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
) -> Iterator[Source | FeatureTable]:
    """Photos and table rows, some at a time, in the order of the sources (see `Predictor.predict`).

    `columns` and `root` say how manifests are to be read, as in `list_source`. `batch_sizes` is how many photos come
    first, and at most at a time (each batch is twice the one before); of a Parquet table come 4,096 rows, and an
    ``.npz`` table whole.
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not named:
        raise UsageError("there is nothing to predict on", "give photos, folders, a manifest or a table")
    if [os.fspath(one) for one in named].count(STDIN) > 1:
        raise UsageError("standard input (-) is named twice", "name it once")
    if (columns or root is not None) and not any(_kind(one) == "manifest" for one in named):
        raise UsageError("columns and a root are for manifests alone", "give a manifest among the photos")
    sizes = _sizes(*batch_sizes)
    for kind, paths in groupby(named, key=_kind):
        if kind == "photos":  # those that follow each other travel together
            yield from _divided(list_source(list(paths)), sizes)
            continue
        for path in paths:
            if kind == "table":
                yield from FeatureTable.read_batches(os.fspath(path))
            elif kind == "manifest":
                yield from _divided(_manifest(path, columns, root), sizes)
            else:
                lines = _lines()
                while some := list(islice(lines, next(sizes))):
                    yield _listed(some)


def source_batches(
    source: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
) -> Iterator[Source | FeatureTable]:
    """The photos of one source some at a time, called as `featurize.extract` calls them, or the rows of a table."""
    kind = _kind(source)
    if kind == "table":
        if columns or root is not None:
            raise UsageError(
                "columns and a root are for manifests alone", f"{source} is a table; leave them out"
            )
        yield from FeatureTable.read_batches(os.fspath(source))
        return
    path = path_at(source)
    alone = kind == "stdin" or (kind == "photos" and not path.is_dir() and not is_archive(str(path)))
    given: Any = [source] if alone else source
    if kind == "stdin":
        given = list(_lines())
    found = list_source(given, columns=columns, root=root)
    for message in found.notes + found.warnings:
        log.info("%s", message)
    yield from _divided(found, _sizes(*BATCH_SIZES))


def row_batches(
    rows: Any,
    *,
    batch_sizes: tuple[int, int] = BATCH_SIZES,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
) -> Iterator[Source]:
    """The photos of a DataFrame or a dataset, some at a time, row by row; further arguments as of `input_batches`."""
    yield from _divided(_manifest(rows, columns, root), _sizes(*batch_sizes))


def _manifest(given: Any, columns: Mapping[str, str] | None, root: str | os.PathLike | None) -> Source:
    manifest = list_source(given, columns=columns, root=root, each_line=True)
    for message in manifest.notes + manifest.warnings:
        log.info("%s", message)
    return manifest


def nothing_read(n_rejects: int, image: str, reason: str) -> SourceError:
    """The error to raise when not one photo could be read; the first is named."""
    if n_rejects == 1 and reason == "no such file":
        hint = "give photos, folders, glob patterns in quotes, manifests or tables"
        return SourceError(f"there is no {image}", hint)
    what = f"no image can be read (rejected: {n_rejects}); the first is {image}: {reason}"
    what = what if n_rejects > 1 else f"{image} cannot be used: {reason}"
    return SourceError(what, "inspect them with `featurize scan`")


def _sizes(size: int, most: int) -> Iterator[int]:
    while True:
        yield size
        size = min(2 * size, most)


def _divided(source: Source, sizes: Iterator[int]) -> Iterator[Source]:
    start, rejects = 0, source.rejects
    while start < len(source.images) or rejects:
        stop = start + next(sizes)
        yield replace(source, images=source.images[start:stop], rejects=rejects)
        start, rejects = stop, []


def _listed(paths: list[str]) -> Source:
    """One row a line, even where a path comes again; a line that leads nowhere stops nothing."""
    found = Source(os.getcwd(), "files")
    for path in paths:
        try:
            one = list_source([path])
        except SourceError as error:
            found.rejects.append((path, error.args[0]))
            continue
        found.images += one.images
        found.rejects += one.rejects
    return found


def _lines() -> Iterator[str]:
    if sys.stdin is None:
        raise UsageError(
            "stdin is closed, and - reads the names of photos from there", "give it a pipe or a file"
        )
    for line in sys.stdin.buffer:
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)


def _kind(given: str | os.PathLike) -> str:
    path = path_at(given)
    suffix = path.suffix.lower()
    if os.fspath(given) == STDIN:
        return "stdin"
    if suffix == ".npz":
        return "table"
    if suffix == ".parquet":
        if not is_readable(path, SourceError):
            return "manifest" if parquet_files(path, {}) else "table"  # of a glob pattern
        return "table" if _has_vectors(path) else "manifest"
    return "manifest" if is_manifest(path) else "photos"


def _has_vectors(path: AnyPath) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Opened here: Arrow takes a path for UTF-8, and one with a colon for a URL.
        with path.open("rb") as stream:
            return b"featurize" in (pq.read_schema(stream).metadata or {})
    except (pa.ArrowException, OSError):
        return True  # reading it as a table says what is wrong with it
