"""The whole way: source → contents → store → what is missing is computed → table."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from featurize.assemble import Row, assemble, keep_rows
from featurize.contents import Content, FileIndex
from featurize.errors import SourceError, UsageError
from featurize.extractors import make_extractor
from featurize.extractors.base import Extractor
from featurize.extractors.distort import Distortion
from featurize.golden import golden_vectors
from featurize.pipeline import Batch, Task, compute, in_hand
from featurize.section import Section, ShardWriter
from featurize.shard import image_keys
from featurize.source import Source, SourceImage, list_source
from featurize.store import Store
from featurize.table import FeatureTable
from featurize.terminal import log, progress

Key = tuple[str, int]  # content and variant


@dataclass
class Extraction:
    """A table, and an account of every file of the source.

    Attributes
    ----------
    table : FeatureTable
        One row per image that could be read, each followed by its distorted copies.
    rejects : list of (image, reason)
        One entry per image that could not.
    ignored : Counter
        Other files of the source, counted by what they are.
    n_computed, n_reused, n_read : int
        Distinct images that an extractor ran on, that came wholly from the store, and files that were read.
    """

    table: FeatureTable
    rejects: list[tuple[str, str]]
    ignored: Counter[str] = field(default_factory=Counter)
    n_computed: int = 0
    n_reused: int = 0
    n_read: int = 0


class NothingReadable(SourceError):
    """Not one image of a source can be read; ``rejects`` says why, image by image."""

    def __init__(self, source: Source, rejects: list[tuple[str, str]]):
        image, reason = rejects[0]
        super().__init__(
            f"not one of the {len(source.images)} images in {source.path} can be read; the first is "
            f"{image}: {reason}",
            "look at them with `featurize scan`",
        )
        self.source, self.rejects = source, rejects

    def __reduce__(self):
        return type(self), (self.source, self.rejects)


def extract(
    source: str | os.PathLike | Iterable[str | os.PathLike],
    extractors: Sequence[str | Extractor] | str | Extractor | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    group_by: str | None = None,
    rehash: bool = False,
    jobs: int | None = None,
) -> FeatureTable:
    """Turn photos into a table of vectors; what the store already holds is not computed again.

    Parameters
    ----------
    source : path or iterable of paths
        A folder of class folders, a flat folder, a ``.csv`` or ``.parquet`` manifest, or a list of files.
    extractors : list of extractors or specs, default ``["inception_v3"]``
        Such as ``[InceptionV3(), GLCM()]`` or ``["inception_v3", "glcm"]``.
    store : path, fsspec URL or Store, optional
        Where vectors are kept; by default a folder in the user's cache.
    distort : Distortion, optional
        Distorted copies for training, as further rows with another `variant`; images whose split is validation
        or testing get none.
    group_by : str, optional
        A regular expression; its first capture group, searched in the image's name, is the group.
    rehash : bool, default False
        Read every file again, also those that look unchanged.
    jobs : int, optional
        Threads that read and decode; by default one per processor.

    Returns
    -------
    FeatureTable
        One row per image (and copy), sorted by name. Images that cannot be read, or for which an extractor gives
        numbers that are not finite, have no row; each is logged with its
        reason. See `run_extraction` for the full account.

    Raises
    ------
    SourceError
        If the source does not exist or holds no readable image.
    WeightsError
        If a network's weights are missing.
    StoreError
        If the store cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for label in ["blue", "red"]:
    ...     (folder / "photos" / label).mkdir(parents=True)
    ...     Image.new("RGB", (60, 40), label).save(folder / "photos" / label / "1.png")
    >>> extract(folder / "photos", ["glcm"], store=folder / "store")
    FeatureTable: 2 rows; features glcm (5); 2 labels blue, red
    """
    found = list_source(source, group_by=group_by)
    result = run_extraction(found, extractors, store=store, distort=distort, rehash=rehash, jobs=jobs)
    for image, reason in result.rejects:
        log.warning("left out %s: %s", image, reason)
    return result.table


def run_extraction(
    source: Source,
    extractors: Sequence[str | Extractor] | str | Extractor | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    rehash: bool = False,
    jobs: int | None = None,
) -> Extraction:
    """What `extract` does, for a source that was listed before, with an account of every file.

    Every image of the source is a row of the table or one of the rejects, never both, never neither.

    Raises
    ------
    SourceError
        If not one image can be read.
    """
    chosen = _chosen(extractors)
    store = store if isinstance(store, Store) else Store(store)
    if rehash:
        store = store.rehashing()
    jobs = jobs or os.cpu_count() or 1
    for extractor in chosen:
        extractor.attach(store)
    sections = [store.section_of(extractor) for extractor in chosen]

    contents, n_read = _contents(store.file_index(), source.images, jobs)
    rejects = list(source.rejects)
    rows: list[Row] = []
    for image, content in zip(source.images, contents, strict=True):
        if isinstance(content, Content):
            rows += [(image, content, variant) for variant in _variants(image, distort)]
        else:
            rejects.append((image.image, str(content)))
    if not rows:
        raise NothingReadable(source, rejects)

    # First, because an extractor that fails here fails everywhere.
    golden = golden_vectors(chosen, sections)
    places: dict[Key, list[int]] = {}
    for row, (_, content, variant) in enumerate(rows):
        places.setdefault((content.sha256, variant), []).append(row)
    matrices = [np.empty((len(rows), extractor.width), dtype=np.float32) for extractor in chosen]
    missing = [_load(section, places, matrix) for section, matrix in zip(sections, matrices, strict=True)]
    failed, n_computed = _compute_missing(
        chosen, sections, missing, places, matrices, [image.path for image, _, _ in rows], distort, jobs
    )

    rejects += [
        (image.image, failed[content.sha256])
        for image, content, variant in rows
        if content.sha256 in failed and variant == 0
    ]
    kept = [content.sha256 not in failed for _, content, _ in rows]
    rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
    if not rows:
        raise NothingReadable(source, rejects)
    if failed:
        matrices = [keep_rows(matrix, np.flatnonzero(kept)) for matrix in matrices]
    table = assemble(source, rows, chosen, matrices, golden, distort)
    n_unique = len({sha256 for sha256, _ in places}) - len(failed)
    return Extraction(table, sorted(rejects), source.ignored, n_computed, n_unique - n_computed, n_read)


def stored_vectors(paths: list, extractor: Extractor) -> np.ndarray:
    """The vectors of files through the extractor's own store, one row per path; for `Extractor.transform`."""
    source = Source(os.getcwd(), "files", [SourceImage(os.fspath(p), str(p)) for p in map(os.fspath, paths)])
    result = run_extraction(source, extractor, store=extractor.store)
    if result.rejects:
        image, reason = result.rejects[0]
        raise SourceError(
            f"{image}: {reason}", "leave it out, or use featurize.extract, which sets such images aside"
        )
    return result.table.vectors[extractor.name]


def _chosen(extractors: Sequence[str | Extractor] | str | Extractor | None) -> list[Extractor]:
    if extractors is None:
        extractors = ["inception_v3"]
    if isinstance(extractors, str | Extractor):
        extractors = [extractors]
    chosen = [make_extractor(spec) for spec in extractors]
    twice = [name for name, count in Counter(e.name for e in chosen).items() if count > 1]
    if twice or not chosen:
        raise UsageError(
            f"the features {', '.join(twice)} are asked for twice" if twice else "no features are asked for",
            "name each features once; its name is its column in the table",
        )
    return chosen


def _contents(index: FileIndex, images: list[SourceImage], jobs: int) -> tuple[list, int]:
    with progress(len(images), "reading") as bar:
        return index.contents([image.path for image in images], jobs=jobs, advance=bar.update)


def _variants(image: SourceImage, distort: Distortion | None) -> tuple[int, ...]:
    """The photo itself, and its copies where it may be trained on: nothing is ever tested on a copy."""
    return (0, *distort.variants) if distort and image.split in (None, "training") else (0,)


def _load(section: Section, places: dict[Key, list[int]], matrix: np.ndarray) -> list[Key]:
    """Fill in what the store holds; the keys that it does not hold, in the order of `places`."""
    keys = {row: key for key, rows in places.items() for row in rows}
    ordered = [keys[row] for row in range(len(matrix))]
    found = section.load(image_keys([sha256 for sha256, _ in ordered], [v for _, v in ordered]), matrix)
    return [key for key, rows in places.items() if not found[rows[0]]]


def _compute_missing(
    extractors: list[Extractor],
    sections: list[Section],
    missing: list[list[Key]],
    places: dict[Key, list[int]],
    matrices: list[np.ndarray],
    paths: list[str],
    distort: Distortion | None,
    jobs: int,
) -> tuple[dict[str, str], int]:
    """Compute, store and fill in what is missing; the reasons of those that failed, and how many were computed."""
    needed: dict[Key, list[int]] = {}
    for number, keys in enumerate(missing):
        for key in keys:
            needed.setdefault(key, []).append(number)
    tasks = []
    for (sha256, variant), numbers in needed.items():
        path, *twins = (paths[row] for row in places[sha256, variant])
        distortion = distort if variant else None
        tasks.append(Task(sha256, path, tuple(numbers), variant, distortion, tuple(twins)))
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(ShardWriter(section, begun=in_hand(extractors))) for section in sections
        ]
        bar = None
        for result in compute(tasks, extractors, jobs=jobs):
            if isinstance(result, Batch):
                n_done = 0
                writers[result.extractor].add(image_keys(result.sha256, result.variants), result.matrix)
                computed = zip(result.sha256, result.variants, strict=True)
                for key, vector in zip(computed, result.matrix, strict=True):
                    matrices[result.extractor][places[key]] = vector
                    needed[key].remove(result.extractor)
                    n_done += not needed[key]
            else:
                failed[result.sha256] = result.reason
                n_done = 1
            if bar is None:
                # What came before was loading the network; a rate that counts it frightens people.
                bar = stack.enter_context(progress(len(tasks), "featurizing", n_before=n_done))
            else:
                bar.update(n_done)
    for section, keys in zip(sections, missing, strict=True):
        if keys:
            section.compact()
    return failed, len({sha256 for sha256, _ in needed} - set(failed))
