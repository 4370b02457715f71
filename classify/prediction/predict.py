"""Predictions for photos from anywhere: the public `Predictor`."""

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, groupby, islice
from typing import Any

import numpy as np

from classify.model.model import Model
from classify.prediction.extractors import Place, Weights, model_extractors, ready_extractors, refuse_drift
from classify.prediction.inputs import BATCH_SIZES, input_batches, nothing_read, row_batches, source_batches
from classify.prediction.predictions import Predictions, check_min_confidence, no_predictions, predict_table
from featurize.errors import ModelError, UsageError, WeightsError
from featurize.extraction.run import NothingReadable, NotStored, run_extraction, say_remarks
from featurize.extractors.base import Extractor, golden_image
from featurize.extractors.batches import Failed, Task, compute
from featurize.photos.decode import MAX_PIXELS
from featurize.photos.memory import PhotoLike, PhotoSource, is_path, origin_of, photo_and_label, several
from featurize.photos.photo import Photo, content_digest
from featurize.photos.rows import holds_rows
from featurize.photos.source import Source, list_source
from featurize.store.store import Store
from featurize.table import FeatureTable
from featurize.terminal import log

Unfiled = list[tuple[str, Any]]  # photos that have no path, each with what it is called


class Predictor:
    """A model, ready to predict photos from anywhere: networks are loaded once, at the first photo.

    It is safe to use in several threads at once; one of them computes vectors at a time, on all processors.

    Parameters
    ----------
    model : Model
    weights : path, or mapping of features to path, optional
        Where the networks' weights are now; by default where they were in training, or the same file is found.
    store : path or Store, optional
        Where the vectors of files are kept; by default the user's cache.
    jobs : int, optional
        Processors to use; by default all.
    max_megapixels : float, default 200
        Larger photos are rejected.
    extractors : sequence of Extractor, optional
        Those that made the training vectors, where only you have them: a `FunctionExtractor`, or one of another package
        that no entry point registers. One that makes other vectors is refused. The others are found by themselves.
    engine : {"tensorflow", "openvino"}, optional
        What runs the networks; by default OpenVINO where it is installed (it starts quicker than TensorFlow, and is
        quicker), else the engine of the training. Another one than that of the training has to make the same vectors,
        to 0.1 % of their length, which is checked before its first use; what the store has of the training counts.
    min_confidence : float, optional
        Of a model whose labels form a tree: how probable an answer must be, instead of what its training found.

    Examples
    --------
    >>> import tempfile
    >>> from classify import train_model
    >>> from featurize import extract
    >>> from PIL import Image
    >>> folder = tempfile.mkdtemp()
    >>> for label, grey in [("dark", 40), ("light", 200)]:
    ...     os.makedirs(f"{folder}/photos/{label}")
    ...     for number in range(3):
    ...         Image.new("RGB", (64, 64), (grey + number,) * 3).save(f"{folder}/photos/{label}/{number}.png")
    >>> model = train_model(extract(f"{folder}/photos", ["color"], store=folder))
    >>> predictor = Predictor(model, store=folder)
    >>> predictor.predict([f"{folder}/photos/dark/0.png", np.full((9, 9, 3), 210, dtype=np.uint8)]).label
    ['dark', 'light']
    """

    def __init__(
        self,
        model: Model,
        *,
        weights: Weights = None,
        store: Place | Store = None,
        jobs: int | None = None,
        max_megapixels: float = MAX_PIXELS / 1e6,
        extractors: Sequence[Extractor] = (),
        engine: str | None = None,
        min_confidence: float | None = None,
    ):
        check_min_confidence(model, min_confidence)
        self.min_confidence = min_confidence
        self.given = list(extractors)
        self.model, self.weights, self.store, self.jobs = model, weights, store, jobs
        self.max_megapixels, self.engine = max_megapixels, engine
        self._remarks: Counter[str] = Counter()
        self._n_reused = 0
        self.seconds: dict[str, float] = defaultdict(float)  # by part of the work, for --verbose
        self._lock = threading.Lock()
        self._extractors: list[Extractor] = []

    def __repr__(self) -> str:
        return f"Predictor: {self.model!r}"

    def predict(
        self,
        photos: PhotoSource,
        *,
        columns: Mapping[str, str] | None = None,
        root: Place = None,
    ) -> "Predictions":
        """Predict the labels of photos.

        Parameters
        ----------
        photos : photo, iterable of photos, DataFrame, or Hugging Face dataset
            Everything that `featurize.extract` takes, in any mixture: the bytes of an image file, open files, Pillow
            images, RGB arrays (uint8, (height, width, 3)), and paths, also of folders, archives (``.zip``, ``.tar``,
            ``.tar.gz``), glob patterns, manifests (``.csv``, ``.tsv``, ``.xlsx``, ``.parquet``, also Parquet files
            with encoded photos) and tables, and ``-`` for standard input with one path a line. Labels do not count.
        columns, root
            How the manifests are to be read, as in `featurize.extract`.

        Returns
        -------
        Predictions
            In the order given, folders sorted by name, manifests line by line; what cannot be read is in ``rejects``.
            What has no path is called by its number, "photo 1", in a DataFrame by its index. A generator is consumed
            as it goes, 64 photos in memory at a time. A file named twice among paths in a row is predicted
            once, one that stands in two lines of a manifest twice.

        Raises
        ------
        SourceError
            If no photo can be read.
        ModelError
            If the vectors of the photos or of a table would not be those of the training.
        """
        together = no_predictions(self.model, [], self.min_confidence)
        batches = list(self.predict_batches(photos, columns=columns, root=root))
        for batch in batches:
            together.image += batch.image
            together.outlier += batch.outlier
            together.rejects += batch.rejects
            together.n_seen += batch.n_seen
        together.probabilities = np.concatenate([one.probabilities for one in (together, *batches)])
        together.distance = np.concatenate([one.distance for one in (together, *batches)])
        return together

    def predict_batches(
        self,
        photos: PhotoSource,
        *,
        batch_sizes: tuple[int, int] = BATCH_SIZES,
        columns: Mapping[str, str] | None = None,
        root: Place = None,
    ) -> "Iterator[Predictions]":
        """What `predict` returns, as it comes: the memory that it takes does not grow with the photos.

        What cannot be read is among the ``rejects`` of its batch and stops nothing. At the end one warning is logged
        when photos were among those of the training, and one when they as a whole do not look like those.
        `batch_sizes` is how many photos of files come first, and at most at a time.
        """
        n_predicted = n_rejects = n_seen = 0
        first_rejects: list[tuple[str, str]] = []
        distances = []
        for batch in self._batches(photos, {"batch_sizes": batch_sizes, "columns": columns, "root": root}):
            predictions = self._predict(batch)
            n_predicted += len(predictions)
            n_seen += predictions.n_seen
            n_rejects += len(predictions.rejects)
            first_rejects = first_rejects or predictions.rejects[:1]
            distances.append(predictions.distance)
            yield predictions
        for part, seconds in self.seconds.items():
            log.debug("%s took %.2f s", part, seconds)
        if first_rejects and not n_predicted:
            raise nothing_read(n_rejects, *first_rejects[0])
        self._say_remarks()
        if n_seen:
            which = f"{n_seen} of the {n_predicted} photos were" if n_predicted > 1 else "this photo was"
            log.warning("%s in the model's training set; confidences flatter there", which)
        if self.model.outliers is not None and distances:
            drift = self.model.outliers.describe_drift(np.concatenate(distances))
            if drift:
                log.warning("%s", drift)

    def tables(
        self, source: str | os.PathLike, *, columns: Mapping[str, str] | None = None, root: Place = None
    ) -> Iterator[FeatureTable]:
        """The vectors of the photos of one source, or the rows of a table, some at a time, without distorted copies.

        Names, labels and groups are those that `featurize.extract` would give the photos of `source`: a folder, an
        archive, a manifest, a photo or a glob pattern. What cannot be read is logged. Errors as of `predict`.
        """
        n_rows, rejects = 0, []
        for part in source_batches(source, columns=columns, root=root):
            table, left_out = (part, []) if isinstance(part, FeatureTable) else self._extract(part)
            rejects += left_out
            for image, reason in left_out:
                log.warning("left out %s: %s", image, reason)
            if table is not None:
                table = self.model.check_table(table)
                table = table if (table.variant == 0).all() else table.filter(table.variant == 0)
                n_rows += len(table)
                yield table
        if not n_rows and rejects:
            raise nothing_read(len(rejects), *rejects[0])
        self._say_remarks()

    def vectors(self, photo: PhotoLike) -> FeatureTable:
        """The vectors of one photo, or of those of a folder, as the model takes them; errors as of `predict`."""
        table, rejects = self._extract(list_source([photo]) if is_path(photo) else [("photo", photo)])
        if table is None:
            raise nothing_read(len(rejects), *rejects[0])
        return table

    def prepare(self) -> None:
        """Load the networks, check them and run each once; otherwise the first photo waits for that."""
        self._extract([("the test image", golden_image())])

    def vectors_of(
        self, photos: Iterable[tuple[str, PhotoLike]]
    ) -> tuple[FeatureTable | None, list[tuple[str, str]]]:
        """The vectors of photos that have no path, each given with what it is called, computed together.

        The table has a row per photo that can be read, in their order, and is None where none can; then come the
        others, each with the reason. Nothing is logged, and nothing is kept in the store.
        """
        return self._extract(list(photos))

    def _say_remarks(self) -> None:
        say_remarks(self._remarks, self._n_reused)
        self._remarks.clear()
        self._n_reused = 0

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start

    def _batches(self, photos: Any, how: Mapping[str, Any]) -> Iterator[Source | FeatureTable | Unfiled]:
        """Sources and tables from paths, and (name, photo) of what has none, in the order given."""
        if holds_rows(photos):
            yield from row_batches(photos, **how)
            return
        names = (f"photo {number}" for number in count(1))
        numbered = (
            (name, photo_and_label(one, name)[0]) for one, name in zip(several(photos), names, strict=False)
        )
        for are_paths, some in groupby(numbered, key=lambda one: is_path(one[1])):
            if are_paths:
                yield from input_batches([path for _, path in some], **how)
            while not are_paths and (together := list(islice(some, how["batch_sizes"][0]))):
                yield together
        if next(names) == "photo 1":
            yield from input_batches([])

    def _predict(self, batch: Source | FeatureTable | Unfiled) -> "Predictions":
        table, rejects = (batch, []) if isinstance(batch, FeatureTable) else self._extract(batch)
        if table is None:
            return no_predictions(self.model, rejects, self.min_confidence)
        with self._timed("the head"):
            predictions = predict_table(self.model, table, min_confidence=self.min_confidence)
        predictions.rejects = rejects
        return predictions

    def _extract(self, batch: Source | Unfiled) -> tuple[FeatureTable | None, list[tuple[str, str]]]:
        """The table of what can be read, None where nothing can, and the rejects."""
        if isinstance(batch, Source) and not batch.images:
            return None, batch.rejects
        with self._lock:
            store = self.store = self.store if isinstance(self.store, Store) else Store(self.store)
            if not self._extractors:
                if isinstance(batch, Source) and (found := self._stored(batch, store)) is not None:
                    return found
                with self._timed("preparing the extractors"):
                    self._extractors = ready_extractors(
                        self.model, store, self.weights, self.given, self.engine
                    )
            with self._timed("the vectors"):
                if isinstance(batch, list):
                    return self._computed(batch)
                try:
                    done = run_extraction(
                        batch,
                        self._extractors,
                        store=self.store,
                        jobs=self.jobs,
                        max_megapixels=self.max_megapixels,
                    )
                except NothingReadable as error:
                    return None, error.rejects
                self._remarks.update(done.remarks)
                self._n_reused += done.n_reused
                log.debug("%d images computed, %d from the store", done.n_computed, done.n_reused)
                # Another engine, or a network in int8 that was made again, has another fingerprint; its vectors
                # were looked at.
                done.table.metadata["features"] = self._described
                return done.table, list(done.rejects)

    def _stored(
        self, batch: Source, store: Store
    ) -> tuple[FeatureTable | None, list[tuple[str, str]]] | None:
        """What `_extract` returns where the store has every vector, as those of the training were made.

        None where one has to be computed: only then are networks loaded and checked.
        """
        how: dict[str, Any] = {"jobs": self.jobs, "max_megapixels": self.max_megapixels}
        how |= {"only_stored": True, "advance": lambda n_done: None}
        try:
            with self._timed("looking into the store"):
                extractors = model_extractors(self.model, store, self.weights, self.given)
                done = run_extraction(batch, extractors, store=store, **how)
                for part, one in zip(self.model.parts, extractors, strict=True):
                    entry, made = self.model.described[part], done.table.metadata["features"][one.name]
                    if entry.get("golden"):
                        refuse_drift(one, entry, np.array(made["golden"], dtype=np.float32))
        except NothingReadable as error:
            return None, error.rejects
        except (
            NotStored,
            ModelError,
            UsageError,
            WeightsError,
        ):  # errors are told when they stand in the way
            return None
        log.debug("%d images from the store", done.n_reused)
        self._n_reused += done.n_reused
        done.table.metadata["features"] = self._described
        return done.table, list(done.rejects)

    @property
    def _described(self) -> dict[str, Any]:
        return {part: self.model.described[part] for part in self.model.parts}

    def _computed(self, given: Unfiled) -> tuple[FeatureTable | None, list[tuple[str, str]]]:
        """As `_extract`, of photos that have no path, which are not kept in the store."""
        digests: dict[int, str] = {}

        def read(number: int) -> Photo:
            name, one = given[number]
            content = origin_of(one, name).read()
            digests[number] = content_digest(content)
            return Photo.of(content, int(self.max_megapixels * 1e6))

        extractors = self._extractors
        needed = tuple(range(len(extractors)))
        tasks = [Task(number, partial(read, number), needed, name) for number, (name, _) in enumerate(given)]
        matrices = [np.empty((len(given), one.width), np.float32) for one in extractors]
        reasons: dict[int, str] = {}
        jobs = min(len(given), self.jobs or os.cpu_count() or 1) if len(given) > 1 else 0
        for done in compute(tasks, extractors, jobs=jobs):
            if isinstance(done, Failed):
                reasons.setdefault(done.key, done.reason)
            else:
                matrices[done.extractor][done.keys] = done.matrix
        rejects = [(given[number][0], reasons[number]) for number in sorted(reasons)]
        kept = [number for number in range(len(given)) if number not in reasons]
        if not kept:
            return None, rejects
        vectors = {part: matrix[kept] for part, matrix in zip(self.model.parts, matrices, strict=True)}
        names = [given[number][0] for number in kept]
        table = FeatureTable.from_arrays(vectors, image=names, sha256=[digests[number] for number in kept])
        table.metadata["features"] = self._described
        return table, rejects


def predict(
    model: Model,
    sources: PhotoSource,
    *,
    weights: Weights = None,
    store: Place = None,
    jobs: int | None = None,
    extractors: Sequence[Extractor] = (),
) -> Predictions:
    """Predict the labels of photos, or of the images of a table.

    Parameters
    ----------
    model : Model
    sources : photos
        From anywhere, also folders, archives, glob patterns, manifests, tables, DataFrames and datasets: see
        `Predictor.predict`.
    weights, store, jobs, extractors
        As in `Predictor`.

    Returns
    -------
    Predictions
        And errors, as of `Predictor.predict`.
    """
    predictor = Predictor(model, weights=weights, store=store, jobs=jobs, extractors=extractors)
    return predictor.predict(sources)


predict_images = predict  # its public name


def predict_batches(
    model: Model,
    sources: PhotoSource,
    *,
    weights: Weights = None,
    store: Place = None,
    jobs: int | None = None,
    batch_sizes: tuple[int, int] = BATCH_SIZES,
    extractors: Sequence[Extractor] = (),
) -> Iterator[Predictions]:
    """What `predict_images` returns, as it comes, from the same arguments; see `Predictor.predict_batches`."""
    predictor = Predictor(model, weights=weights, store=store, jobs=jobs, extractors=extractors)
    return predictor.predict_batches(sources, batch_sizes=batch_sizes)
