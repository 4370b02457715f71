"""A source in parts, each extracted on any machine, and the table that is assembled of what they give back.

`source_parts` and `extract_part` know nothing of what runs them: Dask, Ray, Spark, joblib, Slurm or a loop. A part is
small and can be pickled, and so are its rows; the vectors stay in the store, by content.
"""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from featurize.errors import StoreError, UsageError
from featurize.extraction.run import (
    Extraction,
    NothingReadable,
    attach_all,
    choose_extractors,
    golden_vectors,
    hashes_beside,
    run_extraction,
    table_metadata,
)
from featurize.extractors.base import Extractor
from featurize.id_columns import complete_ids
from featurize.outputs import TABLE, whole_file
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.distort import Distortion
from featurize.photos.memory import PhotoSource
from featurize.photos.origin import OnDisk, Source, SourceImage
from featurize.photos.source import list_source, source_warnings
from featurize.remote import Location, is_url
from featurize.store.shard import contains, image_keys, short_keys
from featurize.store.store import Section, Store
from featurize.table import FeatureTable
from featurize.tableformat import ROWS_AT_ONCE, TableContent, write_parquet_pieces
from featurize.terminal import progress

PART_SIZE = 512  # photos
WINDOW_BYTES = 256 << 20  # of vectors that are in memory while a table is assembled into a file


@dataclass(frozen=True)
class Part:
    """Some photos of a source, next to each other in its order; parts are counted from 1.

    `source` is as the whole one, with these photos alone.
    """

    number: int
    n_parts: int
    source: Source

    def __len__(self) -> int:
        return len(self.source.images)

    def stamp(self) -> str:
        """A digest that changes when one of the photos does, without reading them."""
        digest = hashlib.sha256()
        for image in self.source.images:
            digest.update(repr((image.image, _stamp(image))).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _stamp(image: SourceImage) -> Any:
    try:
        stamp = image.origin.stamp()
    except ImageRejected as rejected:
        return str(rejected)
    if stamp is None:
        return None
    # A copy on another disk keeps size and time of a file, not the rest.
    return stamp.identity[:2] if isinstance(image.origin, OnDisk) else stamp.identity


@dataclass(frozen=True)
class PartRows:
    """What a part gives back: `rows` are those of the table but for the vectors, which are in the store.

    `rejects` are the photos without a row, with the reasons; `stamp` is that of the part before it was read. The other
    fields are the account of `Extraction`.
    """

    number: int
    n_parts: int
    rows: pa.Table
    rejects: list[tuple[str, str]]
    stamp: str
    n_computed: int = 0
    n_reused: int = 0
    n_read: int = 0
    n_hashed: int = 0
    n_earlier: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)


def source_parts(
    source: PhotoSource,
    n_parts: int | None = None,
    *,
    size: int = PART_SIZE,
    group_by: str | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
    keep: Sequence[str] = (),
) -> list[Part]:
    """List a source and divide it into parts for `extract_part`.

    The same listing gives the same parts, on every machine.

    Parameters
    ----------
    source, group_by, columns, root, keep
        As of `featurize.extract`.
    n_parts : int, optional
        How many parts, which are equal to a photo; of more parts than photos, some are empty.
    size : int, default 512
        Photos of each part, where `n_parts` is not given.

    Returns
    -------
    list of Part
        Each can be pickled.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for number in range(5):
    ...     Image.new("RGB", (60, 40), (50 * number, 90, 0)).save(folder / f"{number}.png")
    >>> parts = source_parts(folder, size=2)
    >>> results = [extract_part(part, ["color"], store=folder / "store") for part in parts]  # on any machines
    >>> [len(result.rows) for result in results]
    [1, 2, 2]
    >>> assemble_parts(folder, results, ["color"], store=folder / "store")
    FeatureTable: 5 rows; features color (87); 0 labels
    """
    found = list_source(absolute(source), group_by=group_by, columns=columns, root=root, keep=keep)
    return divided(found, n_parts_of(found, size) if n_parts is None else n_parts)


def absolute(source: Any) -> Any:
    """The same source, whatever the current folder of who reads it."""
    return os.path.abspath(source) if isinstance(source, str) and not is_url(source) else source


def n_parts_of(source: Source, size: int = PART_SIZE) -> int:
    """Into how many parts of at most `size` photos a source is divided."""
    if size < 1:
        raise UsageError(f"parts of {size} photos", "give 1 photo or more")
    return max(1, -(-len(source.images) // size))


def divided(source: Source, n_parts: int) -> list[Part]:
    """All parts of a source that was listed."""
    if n_parts < 1:
        raise UsageError(f"{n_parts} parts of a source", "give 1 part or more")
    return [part_of(source, number, n_parts) for number in range(1, n_parts + 1)]


def part_of(source: Source, number: int, n_parts: int) -> Part:
    """One part of a source that was listed."""
    images = source.images[_places(source, number, n_parts)]
    return Part(
        number, n_parts, Source(source.path, source.kind, list(map(_placed, images)), kept=source.kept)
    )


def _places(source: Source, number: int, n_parts: int) -> slice:
    n_images = len(source.images)
    return slice((number - 1) * n_images // n_parts, number * n_images // n_parts)


def numbers_with_photos(source: Source, n_parts: int) -> list[int]:
    """The parts of a source that are not empty."""
    places = ((number, _places(source, number, n_parts)) for number in range(1, n_parts + 1))
    return [number for number, place in places if place.stop > place.start]


def _placed(image: SourceImage) -> SourceImage:
    origin = image.origin
    if not isinstance(origin, OnDisk) or os.path.isabs(origin.place):
        return image
    return replace(image, origin=OnDisk(os.path.abspath(origin.place)))


def extract_part(
    part: Part,
    extractors: Sequence[str | Extractor] | str | Extractor | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    rehash: bool = False,
    jobs: int | None = None,
    max_megapixels: float = MAX_PIXELS / 1e6,
    advance: Callable[[int], object] | None = None,
) -> PartRows:
    """Compute what the store lacks of a part, and give back its rows.

    A process keeps its networks from one part to the next, and does one part at a time.

    Parameters
    ----------
    part : Part
        From `source_parts`.
    extractors, store, distort, rehash, jobs, max_megapixels
        As of `featurize.extract`; the store is one that all machines reach.
    advance : callable, optional
        Told how many more rows are done, as they are.

    Returns
    -------
    PartRows
        Small, and can be pickled. Of a part that runs twice, either will do.
    """
    chosen = choose_extractors(extractors)
    with _ONE_AT_A_TIME:
        chosen, opened = _kept(chosen, store if isinstance(store, Store) else Store(store))
        stamp = part.stamp()
        options: dict[str, Any] = {"distort": distort, "rehash": rehash, "jobs": jobs, "hashes": True}
        options |= {"max_megapixels": max_megapixels, "compact": False, "advance": advance}
        if not part.source.images:
            return PartRows(part.number, part.n_parts, _no_rows(), [], stamp)
        try:
            found = run_extraction(part.source, chosen, store=opened, **options)
        except NothingReadable as nothing:
            return PartRows(part.number, part.n_parts, _no_rows(), nothing.rejects, stamp)
    account = found.n_computed, found.n_reused, found.n_read, found.n_hashed, found.n_earlier, found.remarks
    return PartRows(part.number, part.n_parts, found.table.ids, found.rejects, stamp, *account)


def _no_rows() -> pa.Table:
    return complete_ids(pa.table({"image": pa.array([], pa.string())}))


class _RememberingStore(Store):
    """A store that reads the keys of each shard once, for all parts that a process does."""

    def __init__(self, store: Store):
        vars(self).update(vars(store))
        self._made: dict[str, Section] = {}

    def section_of(self, extractor: Any) -> Section:
        key = extractor.fingerprint()
        if key not in self._made:
            self._made[key] = super().section_of(extractor)
        return self._made[key]


_ONE_AT_A_TIME = threading.Lock()
_in_this_process: dict[str, tuple[list[Extractor], Store]] = {}


def _kept(chosen: list[Extractor], store: Store) -> tuple[list[Extractor], Store]:
    """These extractors and their store, or those like them that this process used for the part before."""
    described = [(type(one).__qualname__, one.name, one.decode_version, one.get_params()) for one in chosen]
    key = repr((described, store.folder.url))
    if key not in _in_this_process:
        _in_this_process.clear()  # two networks take twice the memory
        _in_this_process[key] = chosen, _RememberingStore(store)
    return _in_this_process[key]


# -- The table ---


class VectorsMissing(StoreError):
    """The store has no vectors for some rows of a table that is assembled; `numbers` are their parts."""

    def __init__(self, numbers: Sequence[int], n_missing: int, store: str):
        self.given = numbers, n_missing, store
        self.numbers = sorted(numbers)
        rows = "1 row" if n_missing == 1 else f"{n_missing} rows"
        super().__init__(
            f"the store {store} lacks the vectors of {rows}, of the parts {number_ranges(self.numbers)}",
            "run these parts again with this store, or add --compute-missing",
        )

    def __reduce__(self):
        return type(self), self.given


def number_ranges(numbers: Iterable[int]) -> str:
    """Numbers in few words, as Slurm's ``--array`` takes them.

    >>> number_ranges([7, 1, 2, 3, 9, 10])
    '1-3,7,9-10'
    """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def assemble_parts(
    source: PhotoSource,
    results: Iterable[PartRows],
    extractors: Sequence[str | Extractor] | str | Extractor | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    group_by: str | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
    keep: Sequence[str] = (),
) -> FeatureTable:
    """The table of a source, all parts of which were extracted; no photo is opened.

    Parameters
    ----------
    source, extractors, store, distort, group_by, columns, root, keep
        As for `source_parts` and `extract_part`.
    results : iterable of PartRows
        In any order; of a part that is there twice, the first counts.

    Returns
    -------
    FeatureTable
        The one that `featurize.extract` makes.

    Raises
    ------
    UsageError
        If parts are missing, are of several divisions, or of another source.
    StoreError
        If the store lacks vectors, such as those of a part that ran with another store.
    """
    found = list_source(absolute(source), group_by=group_by, columns=columns, root=root, keep=keep)
    assembly = Assembly(found, results, extractors, store=store, distort=distort)
    return assembly.in_memory().table


class Assembly:
    """The rows of a table, from its parts, and the vectors that the store has for them."""

    def __init__(
        self,
        source: Source,
        results: Iterable[PartRows],
        extractors: Sequence[str | Extractor] | str | Extractor | None = None,
        *,
        store: str | os.PathLike | Store | None = None,
        distort: Distortion | None = None,
    ):
        self.source, self.distort = source, distort
        self.store = store if isinstance(store, Store) else Store(store)
        self.extractors = choose_extractors(extractors)
        attach_all(self.extractors, self.store, source.kept)
        self.results = _in_order(source, results)
        rejects = [reject for result in self.results for reject in result.rejects]
        tables = [result.rows for result in self.results if len(result.rows)]
        if not tables:
            raise NothingReadable(source, sorted([*source.rejects, *rejects]))
        self.ids = complete_ids(pa.concat_tables(tables, promote_options="default"))
        self.rejects = sorted([*source.rejects, *rejects])
        rejected = {image for image, _ in rejects}
        self._used = [image for image in source.images if image.image not in rejected]
        self.sections = [self.store.section_of(extractor) for extractor in self.extractors]
        self.golden = golden_vectors(self.extractors, self.sections)
        self.metadata = table_metadata(source, self.extractors, self.golden, distort)

    def in_memory(self) -> Extraction:
        """The whole table."""
        matrices = {e.name: np.empty((len(self.ids), e.width), np.float32) for e in self.extractors}
        for extractor, section in zip(self.extractors, self.sections, strict=True):
            self._load(section, slice(None), matrices[extractor.name])
        return self._extraction(FeatureTable(self.ids, matrices, self.metadata))

    def write(self, path: Location, *, window_bytes: int = WINDOW_BYTES) -> Extraction:
        """Write the table to a ``.parquet`` file with `window_bytes` of vectors in memory; that given back has none."""
        self._check_stored()
        row_bytes = 4 * sum(extractor.width for extractor in self.extractors)
        n_rows = max(ROWS_AT_ONCE, window_bytes // row_bytes // ROWS_AT_ONCE * ROWS_AT_ONCE)
        with whole_file(path, TABLE) as partial:
            write_parquet_pieces(self._pieces(n_rows), partial)
        return self._extraction(FeatureTable(self.ids, {}, self.metadata))

    def compact(self) -> None:
        """Merge the small shards that parts have left."""
        for section in [*self.sections, self.store.section_of(hashes_beside(self.extractors))]:
            section.compact()

    def _pieces(self, n_rows: int) -> Iterator[TableContent]:
        with progress(len(self.ids), "assembling", "row") as bar:
            for start in range(0, len(self.ids), n_rows):
                rows = slice(start, start + n_rows)
                ids, vectors = self.ids.slice(start, n_rows), {}
                for extractor, section in zip(self.extractors, self.sections, strict=True):
                    matrix = np.empty((len(ids), extractor.width), np.float32)
                    self._load(section, rows, matrix)
                    vectors[extractor.name] = matrix
                yield TableContent(ids, vectors, self.metadata)
                bar.update(len(ids))

    def _keys(self, rows: slice) -> np.ndarray:
        ids = self.ids.slice(*_start_and_length(rows, len(self.ids)))
        return image_keys(ids["sha256"].to_pylist(), ids["variant"].to_numpy())

    def _load(self, section: Section, rows: slice, matrix: np.ndarray) -> None:
        found = section.load(self._keys(rows), matrix)
        if not found.all():
            self._fail(np.arange(len(self.ids))[rows][~found])

    def _check_stored(self) -> None:
        """Before anything is written; a shard that turns out to be damaged fails later."""
        lacking = np.zeros(len(self.ids), dtype=bool)
        for section in self.sections:
            stored = section.short_keys()
            for start in range(0, len(self.ids), 1 << 16):
                rows = slice(start, start + (1 << 16))
                lacking[rows] |= ~contains(stored, short_keys(self._keys(rows)))
        if lacking.any():
            self._fail(np.flatnonzero(lacking))

    def _fail(self, rows: np.ndarray) -> None:
        ends = np.cumsum([len(result.rows) for result in self.results])
        places = np.unique(np.searchsorted(ends, rows, side="right"))
        numbers = [self.results[place].number for place in places]
        raise VectorsMissing(numbers, len(rows), self.store.folder.url)

    def _extraction(self, table: FeatureTable) -> Extraction:
        n_distinct = len(self.ids["sha256"].unique())
        # Of a content in two parts, each has computed it, or found it.
        n_computed = min(n_distinct, sum(result.n_computed for result in self.results))
        earlier, remarks = Counter[str](), Counter[str]()
        for result in self.results:
            earlier.update(result.n_earlier)
            remarks.update(result.remarks)
        return Extraction(
            table,
            self.rejects,
            self.source.ignored,
            self.source.notes,
            source_warnings(self.source, self._used),
            n_computed,
            n_distinct - n_computed,
            sum(result.n_read for result in self.results),
            sum(result.n_hashed for result in self.results),
            dict(earlier),
            dict(sorted(remarks.items())),
        )


def _start_and_length(rows: slice, n_rows: int) -> tuple[int, int]:
    start, stop, _ = rows.indices(n_rows)
    return start, stop - start


def _in_order(source: Source, results: Iterable[PartRows]) -> list[PartRows]:
    """One result per part that is not empty; UsageError if that is not all of the source."""
    first: dict[int, PartRows] = {}
    divisions = set()
    for result in results:
        divisions.add(result.n_parts)
        first.setdefault(result.number, result)
    if len(divisions) != 1:
        hint = "assemble all parts of one division"
        raise UsageError(f"the parts are of {len(divisions)} divisions of the source", hint)
    (n_parts,) = divisions
    missing = [number for number in numbers_with_photos(source, n_parts) if number not in first]
    if missing:
        what = f"of {n_parts} parts these are missing: {number_ranges(missing)}"
        raise UsageError(what, "extract them, with the same options")
    for number in sorted(first):
        names = set(first[number].rows["image"].to_pylist()) | {name for name, _ in first[number].rejects}
        if names != {image.image for image in source.images[_places(source, number, n_parts)]}:
            what = f"part {number} of {n_parts} is of another source: its photos have other names"
            raise UsageError(what, "list the source again, and extract all its parts")
    return [first[number] for number in sorted(first)]
