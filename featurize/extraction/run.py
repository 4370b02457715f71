"""The whole way: source → contents → what the store lacks is computed → table."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from featurize.errors import SourceError, StoreError, UsageError, WeightsError
from featurize.extraction.plan import ExtractionPlan, Row, SourceContents
from featurize.extractors.base import GOLDEN_SHA256, Extractor, attach_checked, golden_image
from featurize.extractors.batches import NOT_FINITE, Task, Vectors, group_extractors, vectors_of_photo
from featurize.extractors.phash import PerceptualHash, hashes_as_text
from featurize.id_columns import IDS, PHASH, check_name, ids_from_columns
from featurize.photos.decode import DARK, MAX_PIXELS, NO_WINDOW, PROFILE_IGNORED, ImageRejected
from featurize.photos.distort import Distortion
from featurize.photos.memory import PhotoSource
from featurize.photos.photo import Photo
from featurize.photos.source import Source, list_source, source_warnings
from featurize.registry import ExtractorLike, make_extractor
from featurize.store.shard import image_keys
from featurize.store.store import Section, Store
from featurize.table import FeatureTable
from featurize.terminal import bars_are_drawn, log, progress


class NotStored(Exception):
    """The store lacks a vector, and only what it has was asked for."""


def golden_vectors(
    extractors: Sequence[Extractor],
    sections: Sequence[Section],
    names: Sequence[str] | None = None,
    *,
    only_stored: bool = False,
) -> list[np.ndarray]:
    """The vector of the synthetic image of each extractor, float32 of shape (width,), from the store or computed.

    It is stored like any other image's, or under digests of its own (`names`); NotStored if it would be computed, and
    `only_stored`.
    WeightsError if an extractor refuses it, or gives numbers that are not finite: it would do so for photos too.
    """
    keys = [image_keys([name]) for name in names or [GOLDEN_SHA256] * len(extractors)]
    vectors = [np.empty((1, extractor.width), dtype=np.float32) for extractor in extractors]
    stored = [one.load(key, vector)[0] for one, key, vector in zip(sections, keys, vectors, strict=True)]
    if only_stored and not all(stored):
        raise NotStored
    for group in group_extractors(extractors):
        missing = [number for number in group if not stored[number]]
        if not missing:
            continue
        members = [extractors[number] for number in missing]
        for number, (vector, finite) in zip(missing, _golden_vectors(members), strict=True):
            vectors[number] = vector
            if not finite.all():
                hint = "no vector of it can be trusted; correct the extractor, or leave it out"
                raise WeightsError(f"{extractors[number].name} gives {NOT_FINITE} for the test image", hint)
            try:
                sections[number].write(keys[number], vectors[number])
            except StoreError as error:
                log.debug("the golden vector was not stored: %s", error)
    return [vector[0] for vector in vectors]


def _golden_vectors(group: Sequence[Extractor]) -> list[Vectors]:
    try:
        return vectors_of_photo(group, Photo.from_array(golden_image()), "the test image")
    except ImageRejected as rejected:
        problem = f"{group[0].name} makes no vector of the test image: {rejected}"
        hint = "it must make one of any small photo; correct the extractor or its steps, or leave it out"
        raise WeightsError(problem, hint) from rejected


def build_table(
    source: Source,
    rows: list[Row],
    extractors: list[Extractor],
    matrices: list[np.ndarray],
    golden: list[np.ndarray],
    distort: Distortion | None,
    phash: Sequence[str | None] | None = None,
) -> FeatureTable:
    """The table of the given rows; `matrices` hold a vector for each, `golden` is one vector per extractor."""
    images, contents, variants = zip(*rows, strict=True)
    ids: dict[str, Any] = {"variant": variants}
    for name in set(IDS.names) - {"variant"}:
        ids[name] = [getattr(one, name) for one in (images if hasattr(images[0], name) else contents)]
    if phash is not None:
        ids[PHASH] = phash
    metadata = table_metadata(source, extractors, golden, distort)
    vectors = {e.name: matrix for e, matrix in zip(extractors, matrices, strict=True)}
    kept = {name: [image.kept[n] for image in images] for n, name in enumerate(source.kept)}
    return FeatureTable(ids_from_columns(ids, kept), vectors, metadata)


def table_metadata(
    source: Source, extractors: Sequence[Extractor], golden: Sequence[np.ndarray], distort: Distortion | None
) -> dict[str, Any]:
    """What a table says of itself; `golden` is one vector per extractor."""
    metadata: dict[str, Any] = {
        "source": {
            "path": _as_utf8(source.path),
            "kind": source.kind,
            **({"folder": _as_utf8(source.folder)} if source.folder else {}),
            **({"files": [_as_utf8(file) for file in source.files]} if source.files else {}),
        },
        "features": {e.name: e.record(vector) for e, vector in zip(extractors, golden, strict=True)},
        **({"distortion": distort.record()} if distort else {}),
    }
    # What is written must be what is in memory: through JSON once, so that tuples are lists in both.
    return json.loads(json.dumps(metadata))


def _as_utf8(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def keep_rows(matrix: np.ndarray, rows: np.ndarray, at_once: int = 4096) -> np.ndarray:
    """The given rows (ascending), moved up within the same memory, which holds the matrix once."""
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        matrix[start : start + len(part)] = matrix[part]
    return matrix[: len(rows)]


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
    notes, warnings : list of str
        What a user should know of how the source was read, and what looks wrong with its labels.
    n_computed, n_reused, n_read : int
        Distinct images that an extractor ran on, that came wholly from the store, and files that were read.
    n_hashed : int
        Those from the store of which only the perceptual hash was computed.
    n_earlier : dict of str to int
        Per features, distinct images of which the store had a vector by an earlier decode version only.
    remarks : dict of str to int
        What is worth a word about how images were read, and of how many distinct ones among the computed.
    """

    table: FeatureTable
    rejects: list[tuple[str, str]]
    ignored: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    n_computed: int = 0
    n_reused: int = 0
    n_read: int = 0
    n_hashed: int = 0
    n_earlier: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)


class NothingReadable(SourceError):
    """Not one image of a source can be read; ``rejects`` says why, image by image."""

    def __init__(self, source: Source, rejects: list[tuple[str, str]]):
        none = f"no image in {source.path} can be read (rejected: {len(rejects)})"
        problem = f"{none}; the first is {rejects[0][0]}: {rejects[0][1]}"
        super().__init__(problem, "inspect them with `featurize scan`")
        self.source, self.rejects = source, rejects

    def __reduce__(self):
        return type(self), (self.source, self.rejects)


def extract(
    source: PhotoSource,
    extractors: Sequence[ExtractorLike] | ExtractorLike | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    group_by: str | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
    rehash: bool = False,
    jobs: int | None = None,
    max_megapixels: float = MAX_PIXELS / 1e6,
    keep: Sequence[str] = (),
) -> FeatureTable:
    """Turn photos into a table of vectors; what the store already holds is not computed again.

    Parameters
    ----------
    source : path, iterable of photos, DataFrame, or Hugging Face dataset
        A folder of class folders, of split folders of these, or of photos alone; a ``.zip`` or ``.tar`` (``.tar.gz``,
        …) archive of one; a manifest (``.csv``, ``.tsv``, ``.xlsx``, ``.parquet``), also a Parquet file, a glob
        pattern of such files, or a folder of them, whose image column holds encoded photos; a DataFrame (pandas,
        polars) with the columns of a manifest, whose images are paths or photos in memory; a ``datasets.Dataset``, or a
        ``DatasetDict`` by split; or a list of photos, each alone or as ``(photo, label)``. A photo is a path, the bytes
        of an image file, a file opened with ``"rb"``, a Pillow image, or an RGB array (uint8 of shape
        (height, width, 3)). See Notes.
    extractors : list of extractors, specs, Keras models or functions, default ``["inception_v3"]``
        Such as ``[InceptionV3(), GLCM()]`` or ``["inception_v3", "glcm"]``; see `make_extractor`.
    store : path, fsspec URL or Store, optional
        Where vectors are kept; by default as the environment variable FEATURIZE_STORE says, else in the user's cache.
    distort : Distortion, optional
        Distorted copies for training, as further rows with another `variant`; images whose split is validation
        or testing get none.
    group_by : str, optional
        A regular expression; its first capture group, searched in the image's name, is the group.
    columns : mapping, optional
        Which column of a manifest is what, as ``{"image": "filename", "label": "class"}``; of image, label, group,
        split. By default those that are called so, or as others call them.
    root : path, optional
        The folder that the names of a manifest are relative to; by default its own.
    rehash : bool, default False
        Read every file again, also those that look unchanged.
    jobs : int, optional
        Threads that read and decode; by default one per processor.
    max_megapixels : float, default 200
        Larger images are left out.
    keep : sequence of str, optional
        Further columns of a manifest that the table keeps, as text, such as age and site; never features.

    Returns
    -------
    FeatureTable
        One row per image (and copy), sorted by name. Images that cannot be read, or for which an extractor gives
        numbers that are not finite, have no row; each is logged with its reason.

    Raises
    ------
    SourceError
        If the source does not exist or holds no readable image.
    WeightsError
        If a network's weights are missing.
    StoreError
        If the store cannot be written.

    UsageError
        If something is no photo; its position in the list is named, counted from 0.

    Notes
    -----
    Photos in memory are named by their position (``"0"``, ``"1"``, …), those of a DataFrame by its index where that is
    unique, those of Parquet files and datasets by their path where it is unique, else by file and row. Listed photos
    and rows keep their order.

    The key of a photo, by which vectors are kept, is the SHA-256 of its encoded bytes; of an array, that of its shape
    and pixels. A Pillow image that was opened and not loaded since is its file: it has the key and the vectors of that
    file, and is neither loaded nor closed. Any other one is the array of its upright RGB pixels.

    A generator is consumed once, and its photos are held until the end.

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

    >>> pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    >>> photos = [(pixels, "black"), ((folder / "photos/red/1.png").read_bytes(), "red")]
    >>> extract(photos, ["glcm"], store=folder / "store").image.tolist()
    ['0', '1']
    >>> import pandas as pd
    >>> images = [pixels, Image.new("RGB", (60, 40), "red")]
    >>> frame = pd.DataFrame({"image": images, "label": ["black", "red"]}, index=["a", "b"])
    >>> table = extract(frame, ["glcm"], store=folder / "store")
    >>> dict(zip(table.image.tolist(), table.label.tolist()))
    {'a': 'black', 'b': 'red'}
    """
    keep = [keep] if isinstance(keep, str) else keep
    found = list_source(source, group_by=group_by, columns=columns, root=root, keep=keep)
    options: dict[str, Any] = {
        "distort": distort,
        "rehash": rehash,
        "jobs": jobs,
        "max_megapixels": max_megapixels,
    }
    result = run_extraction(found, extractors, store=store, hashes=True, **options)
    for note in result.notes:
        log.info("%s", note)
    for warning in result.warnings:
        log.warning("%s", warning)
    for image, reason in result.rejects:
        log.warning("left out %s: %s", image, reason)
    say_remarks(result.remarks, result.n_reused)
    return result.table


def run_extraction(
    source: Source,
    extractors: Sequence[ExtractorLike] | ExtractorLike | None = None,
    *,
    store: str | os.PathLike | Store | None = None,
    distort: Distortion | None = None,
    rehash: bool = False,
    jobs: int | None = None,
    hashes: bool = False,
    max_megapixels: float = MAX_PIXELS / 1e6,
    compact: bool = True,
    only_stored: bool = False,
    advance: Callable[[int], object] | None = None,
) -> Extraction:
    """What `extract` does, for a source that was listed before, with an account of every file.

    With `hashes` the table has the perceptual hashes of its photos; the store keeps them beside the vectors, and those
    that it lacks are computed, also where it has all vectors. Every image of the source is either a row of
    the table or one of the rejects; NothingReadable if none is a row. Without `compact`, small shards of the store stay
    as they are; `only_stored` raises NotStored where a vector would have to be computed; `advance`, which is told how
    many more rows are done, takes the place of a progress bar.
    """
    chosen = choose_extractors(extractors)
    store = store if isinstance(store, Store) else Store(store)
    if rehash:
        store = store.rehashing()
    jobs = jobs or os.cpu_count() or 1
    attach_all(chosen, store, source.kept)
    everything = [*chosen, hashes_beside(chosen)] if hashes else chosen
    sections = [store.section_of(extractor) for extractor in everything]
    earlier = [[store.section(e.stored_as, one, e.width) for one in e.earlier_fingerprints()] for e in chosen]
    max_pixels = int(max_megapixels * 1e6)
    contents = SourceContents(source, store.file_index(), distort, jobs, max_pixels)
    with closing(contents.iter_known_then_read()) as parts:
        first = next((shown for part in parts if (shown := contents.rows_and_digests(part))[0]), None)
        if first is None:
            raise NothingReadable(source, contents.rejects({}))
        # First, because an extractor that fails here fails everywhere.
        golden = golden_vectors(chosen, sections[: len(chosen)], only_stored=only_stored)
        plan = ExtractionPlan(everything, sections, contents.places, distort, jobs, max_pixels)
        tasks = plan.register(*first)
        _refuse(tasks, only_stored)
        device = next(filter(None, (extractor.device for extractor in chosen)), "")
        doing = f"featurizing on {device}" if device else "featurizing"
        with _late_progress(len(tasks) + contents.n_unread(), doing, advance) as done:

            def further_tasks() -> Iterator[Task]:
                for part in parts:
                    further = plan.register(*contents.rows_and_digests(part))
                    _refuse(further, only_stored)
                    done(contents.n_rows(part) - len(further))
                    yield from further

            plan.compute(chain(tasks, further_tasks()), done)
    again = plan.load_stored()
    _refuse(again, only_stored)
    with _late_progress(len(again), "featurizing again", advance) as done:
        plan.compute(again, done)
    plan.copy_to_duplicates()
    for section in sections if compact and any(plan.computed) else ():
        section.compact()

    rows, numbers = contents.rows(plan.failed)
    rejects = contents.rejects(plan.failed)
    if not rows:
        raise NothingReadable(source, rejects)
    matrices = [keep_rows(matrix, numbers) for matrix in plan.matrices]
    phash = hashes_as_text(matrices[-1]) if hashes else None
    table = build_table(source, rows, chosen, matrices[: len(chosen)], golden, distort, phash)
    computed = set().union(*plan.computed[: len(chosen)]).difference(plan.failed)
    n_hashed = len(set().union(*plan.computed).difference(plan.failed, computed))
    n_reused = plan.n_contents - len(plan.failed) - len(computed)
    said = source.notes, source_warnings(source, [image for image, _, _ in rows])
    account = len(computed), n_reused, contents.n_read, n_hashed
    n_earlier = {e.name: plan.n_only_in(number, earlier[number]) for number, e in enumerate(chosen)}
    remarks = {remark: len(sha256) for remark, sha256 in sorted(plan.remarks.items())}
    return Extraction(table, sorted(rejects), source.ignored, *said, *account, n_earlier, remarks)


def _refuse(tasks: Sequence[Task], only_stored: bool) -> None:
    if tasks and only_stored:
        raise NotStored


def hashes_beside(chosen: Sequence[Extractor]) -> PerceptualHash:
    """Perceptual hashes of the pixels that the chosen extractors see, which are decoded for both at once."""
    hashes = PerceptualHash()
    hashes.decode_version = max(extractor.decode_version for extractor in chosen)
    return hashes


def say_remarks(remarks: Mapping[str, int], n_reused: int = 0) -> None:
    """Log what is worth a word about how photos were read, each with its count; as a warning what spoils vectors.

    The store keeps no remarks: where it had the vectors of `n_reused` photos, the counts are of the others.
    """
    of_which = " of those that were computed now" if n_reused else ""
    for remark, count in remarks.items():
        log.log(
            logging.WARNING if remark in (DARK, NO_WINDOW, PROFILE_IGNORED) else logging.INFO,
            "%s: %d %s%s",
            remark,
            count,
            "photo" if count == 1 else "photos",
            of_which,
        )


@contextmanager
def _late_progress(
    total: int, description: str, instead: Callable[[int], object] | None
) -> Iterator[Callable[[int], object]]:
    """A progress bar that begins with the first result: a rate that counts loading the network frightens people.

    Lines in a pipe, which tell no rate, begin at once. Where `instead` is told of progress, there is no bar.
    """
    if instead is not None:
        yield instead
        return
    with ExitStack() as stack:
        bar = None if bars_are_drawn() else stack.enter_context(progress(total, description))

        def advance(n_done: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(progress(total, description, n_before=n_done))
            else:
                bar.update(n_done)

        yield advance


def choose_extractors(
    extractors: Sequence[ExtractorLike] | ExtractorLike | None,
) -> list[Extractor]:
    """The extractors of a list of specs, each once; by default Inception v3."""
    if extractors is None:
        extractors = ["inception_v3"]
    if isinstance(extractors, str) or not isinstance(extractors, Sequence):
        extractors = [extractors]
    chosen = [make_extractor(spec) for spec in extractors]
    twice = ", ".join(name for name, count in Counter(e.name for e in chosen).items() if count > 1)
    for extractor in chosen:
        check_name(extractor.name)  # now, and not when the table is made, hours later
    if twice or not chosen:
        problem = f"the features {twice} are asked for twice" if twice else "no features are asked for"
        raise UsageError(problem, "name each features once; its name is its column in the table")
    return chosen


def attach_all(chosen: Sequence[Extractor], store: Store, kept: Sequence[str]) -> None:
    """Attach the store, and refuse now what would fail when the table is made, hours later; `kept` are its columns."""
    for extractor in chosen:
        if extractor.name in kept:
            what = f"{extractor.name} is a column to keep and features at once"
            raise UsageError(what, "leave one of them out, or rename the column of the manifest")
        attach_checked(extractor, store)
    _refuse_equal(chosen)


def _refuse_equal(chosen: Sequence[Extractor]) -> None:
    """A UsageError where two specs are spellings of the same features."""
    known: dict[str, str] = {}
    for extractor in chosen:
        other = known.setdefault(extractor.fingerprint(), extractor.name)
        if other != extractor.name:
            what = f"the features {other} and {extractor.name} are the same numbers"
            raise UsageError(what, "name each features once")
