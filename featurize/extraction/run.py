"""The whole way: source → contents → what the store lacks is computed → table."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from featurize.assemble import assemble, keep_rows
from featurize.errors import SourceError, UsageError
from featurize.extraction.plan import Filling
from featurize.extractors.base import Extractor
from featurize.extractors.batches import Task
from featurize.files import name_as_text
from featurize.golden import golden_vectors
from featurize.ids import check_name
from featurize.photos.distort import Distortion
from featurize.photos.source import Source, SourceImage, list_source
from featurize.reading import Reading
from featurize.registry import make_extractor
from featurize.store.store import Store
from featurize.table import FeatureTable
from featurize.terminal import log, progress


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
    reading = Reading(source, store.file_index(), distort, jobs)
    with closing(reading.parts()) as parts:
        begun = next((shown for part in parts if (shown := reading.shows(part))[0]), None)
        if begun is None:
            raise NothingReadable(source, reading.rejects({}))
        # First, because an extractor that fails here fails everywhere.
        golden = golden_vectors(chosen, sections)
        filling = Filling(chosen, sections, reading.places, distort, jobs)
        tasks = filling.add(*begun)
        with _late_progress(len(tasks) + reading.n_unread(), "featurizing") as advance:

            def further_tasks() -> Iterator[Task]:
                for part in parts:
                    found = filling.add(*reading.shows(part))
                    advance(reading.n_rows(part) - len(found))
                    yield from found

            filling.compute(chain(tasks, further_tasks()), advance)
    again = filling.load()
    with _late_progress(len(again), "featurizing again") as advance:
        filling.compute(again, advance)
    filling.finish()

    rows, numbers = reading.rows(filling.failed)
    rejects = reading.rejects(filling.failed)
    if not rows:
        raise NothingReadable(source, rejects)
    matrices = filling.matrices
    if len(rows) < len(reading.places):
        matrices = [keep_rows(matrix, numbers) for matrix in matrices]
    table = assemble(source, rows, chosen, matrices, golden, distort)
    n_computed = len(filling.computed.difference(filling.failed))
    n_reused = filling.n_contents - len(filling.failed) - n_computed
    return Extraction(table, sorted(rejects), source.ignored, n_computed, n_reused, reading.n_read)


@contextmanager
def _late_progress(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """A progress bar that begins with the first result: a rate that counts loading the network frightens people."""
    with ExitStack() as stack:
        bar = None

        def advance(n_done: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(progress(total, description, n_before=n_done))
            else:
                bar.update(n_done)

        yield advance


def stored_vectors(paths: list, extractor: Extractor) -> np.ndarray:
    """The vectors of files through the extractor's own store, one row per path; for `Extractor.transform`."""
    names = map(os.fsdecode, paths)
    source = Source(os.getcwd(), "files", [SourceImage(name, name_as_text(name)) for name in names])
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
    for extractor in chosen:
        check_name(extractor.name)  # now, and not when the table is made, hours later
    if twice or not chosen:
        raise UsageError(
            f"the features {', '.join(twice)} are asked for twice" if twice else "no features are asked for",
            "name each features once; its name is its column in the table",
        )
    return chosen
