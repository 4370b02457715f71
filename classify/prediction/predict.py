"""Predictions for photos and tables, batch by batch."""

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classify.model.model import Model, OperatingPoint
from classify.prediction.inputs import BATCH_SIZES, input_batches, nothing_read
from classify.rows import select_vectors
from featurize.errors import ModelError
from featurize.extraction.run import Extraction, NothingReadable, golden_batch, run_extraction
from featurize.extractors.base import Extractor, relative_drift
from featurize.files import whole_file
from featurize.photos.source import Source, list_source
from featurize.store.store import Store
from featurize.table import FeatureTable
from featurize.terminal import log

# -- How long each part of a run took, for ``--verbose`` -------------------------------------------------


class Timing:
    """Seconds by part; parts may come back, and their times add up.

    Examples
    --------
    >>> timing = Timing()
    >>> with timing.part("the head"):
    ...     pass
    >>> list(timing.seconds)
    ['the head']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of this block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self) -> None:
        """Log one line per part."""
        for name, seconds in self.seconds.items():
            log.debug("%s took %.2f s", name, seconds)


# -- Whether an extractor still makes the vectors of the training, on this machine and with these libraries ---

# A fingerprint says what an extractor means to do. That it really does so can only be seen in a vector: every table
# and model keeps the vector of one small synthetic image, which the package can make again anywhere. An image
# library that resizes in another way, a network whose input is scaled otherwise, weights that were mixed up: they
# all change it, and without it they show as a model that is a little worse than it was.

# Relative: ‖here − training‖ / ‖training‖. Room for another processor, which costs 1e-5, and far from any fault:
# of MobileNet 0.25 128 a bicubic filter moves the vector by 0.08, nearest pixels by 0.27, pixels of 0 to 1 by 0.25.
TOLERANCE = 1e-3
# In bfloat16 each number has three digits, and processors round in their own ways.
TOLERANCE_BFLOAT16 = 1e-2


def check_golden(extractors: Sequence[Extractor], entries: Sequence[Mapping[str, Any]], store: Store) -> None:
    """Refuse extractors of which one does not reproduce its vector of the synthetic image.

    Computed at the first use on a machine, and several layers of one network in one run, for which it is loaded
    once; a note beside the store remembers the outcome until the libraries, this package or the model's vector are
    others.

    Parameters
    ----------
    extractors : sequence of Extractor
    entries : sequence of mapping
        How the model describes the features of each: ``model.described[name]``. Without a golden vector
        (imported features) nothing is checked.
    store : Store

    Raises
    ------
    ModelError
        With the drift ‖here − training‖ / ‖training‖, and the versions that differ.
    """
    teams: dict[object, list[_Check]] = {}
    for number, (extractor, entry) in enumerate(zip(extractors, entries, strict=True)):
        team = extractor.team()
        teams.setdefault(number if team is None else team, []).append(_Check(extractor, entry, store))
    for checks in teams.values():
        if not all(check.passed() for check in checks):
            members = [check.extractor for check in checks]
            made = members[0].vectors_of(members, golden_batch(members[0]))
            for check, (now,) in zip(checks, made, strict=True):
                check.compare(now)


class _Check:
    """One extractor, the vector that it must make, and the note of whether it did."""

    def __init__(self, extractor: Extractor, entry: Mapping[str, Any], store: Store):
        self.extractor, self.entry = extractor, entry
        self.golden = np.array(entry.get("golden") or [], dtype=np.float32)
        known = len(self.golden) > 0
        self.note = store.beside(f"golden/{_circumstances(extractor, self.golden)}") if known else None

    def passed(self) -> bool:
        """Whether there is nothing to compare, or it has been compared before."""
        return not len(self.golden) or (self.note is not None and self.note.exists())

    def compare(self, now: np.ndarray) -> None:
        """Refuse the vector that was made here if it is not that of the training; else note that it is."""
        if self.passed():
            return
        extractor, golden = self.extractor, self.golden
        drift = relative_drift(now, golden) if now.shape == golden.shape else float("inf")
        bfloat16 = self.entry["description"].get("precision") == "bfloat16"
        tolerance = TOLERANCE_BFLOAT16 if bfloat16 else TOLERANCE
        if drift > tolerance:
            raise ModelError(
                f"{extractor.name} does not make the vectors of the training here: that of the test image is "
                f"{_percent(drift)} off, and {_percent(tolerance)} is allowed{_other_versions(extractor, self.entry)}",
                "use the versions and weights of the training (`classify show MODEL` lists them), or extract and "
                "train again here",
            )
        log.debug("%s reproduces the vector of the training to %.1e", extractor.name, drift)
        if self.note is not None:
            try:
                with whole_file(self.note) as partial:
                    partial.write_text(f"{drift}\n")
            except OSError as error:
                log.debug("the check of %s was not noted: %s", extractor.name, error)


def _circumstances(extractor: Extractor, golden: np.ndarray) -> str:
    """A digest of all that decides the outcome: change any of it, and the check is made again."""
    versions = {name: importlib.metadata.version(name) for name in ("bottlehead", *extractor.libraries())}
    about = [extractor.fingerprint(), golden.tobytes().hex(), versions, platform.node(), platform.machine()]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _other_versions(extractor: Extractor, entry: Mapping[str, Any]) -> str:
    trained = entry.get("versions") or {}
    here = {name: importlib.metadata.version(name) for name in extractor.libraries()}
    other = [
        f"{name} was {trained.get(name)}, is {here[name]}" for name in here if trained.get(name) != here[name]
    ]
    return f" ({', '.join(other)})" if other else " (the versions of the libraries are the same)"


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.1 else 0}f} %" if np.isfinite(share) else "entirely"


@dataclass(eq=False)
class Predictions:
    """What a model says about some images.

    Attributes
    ----------
    image : list of str
        Their names: relative to the source of the table, or as the files were given.
    labels : list of str
        The labels that the model tells apart.
    probabilities : array of shape (n_images, n_labels), float64
    outlier : list of bool or None
        Whether an image looks like nothing in the training; None where the model cannot say.
    rejects : list of (image, reason)
        Files that could not be read.
    distance : array of shape (n_images,), float32
        From the training photos, see `Outliers`; NaN where the model cannot say.
    operating_point : OperatingPoint or None
        What decides, instead of the highest probability.
    n_seen : int
        How many of the images were among those of the training.
    """

    image: list[str]
    labels: list[str]
    probabilities: np.ndarray
    outlier: list[bool | None]
    rejects: list[tuple[str, str]] = field(default_factory=list)
    distance: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    operating_point: OperatingPoint | None = None
    n_seen: int = 0

    def __len__(self) -> int:
        return len(self.image)

    @property
    def label(self) -> list[str]:
        """The label that each image is given: the most probable one, or by the operating point."""
        return [self.labels[column] for column in self._given]

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that label, shape (n_images,)."""
        return self.probabilities[np.arange(len(self)), self._given]

    @property
    def _given(self) -> np.ndarray:
        if self.operating_point is None:
            return self.probabilities.argmax(axis=1)
        return self.operating_point.decide(self.probabilities, self.labels)

    def best(self, row: int, top: int = 0) -> list[tuple[str, float]]:
        """Labels and probabilities of one image, the given label first, then the most probable ones.

        The `top` best, or all when `top` is 0.
        """
        mine = self.probabilities[row]
        order = np.argsort(-mine, kind="stable").tolist()
        if self.operating_point is not None:
            given = int(self.operating_point.decide(mine[None], self.labels)[0])
            order.remove(given)
            order.insert(0, given)
        return [(self.labels[column], float(mine[column])) for column in order[: top or None]]


def predict(
    model: Model,
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    weights: str | os.PathLike | Mapping[str, str] | None = None,
    store: str | os.PathLike | None = None,
    jobs: int | None = None,
) -> Predictions:
    """Predict the labels of photos, or of the images of a table.

    Parameters
    ----------
    model : Model
    sources : path or iterable of paths
        Photos, folders, glob patterns, manifests (``.csv``, ``.parquet``), tables, and ``-`` for standard
        input with one path a line, in any mixture.
    weights : path, or mapping of features to path, optional
        Where the networks' weights are now; by default where they were in training, or wherever the same
        file is found.
    store : path, optional
        Where vectors are kept; by default the user's cache.
    jobs : int, optional
        Processors to use; by default all.

    Returns
    -------
    Predictions
        In the order of the sources, folders sorted by name. Files that cannot be read are in ``rejects``.

    Raises
    ------
    SourceError
        If no photo can be read.
    ModelError
        If the vectors of the photos or of the table would not be those of the training.
    """
    found = list(predict_batches(model, sources, weights=weights, store=store, jobs=jobs))
    return _together([_nothing(model, []), *found])


def predict_batches(
    model: Model,
    sources: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    weights: str | os.PathLike | Mapping[str, str] | None = None,
    store: str | os.PathLike | None = None,
    jobs: int | None = None,
    timing: Timing | None = None,
    batch_sizes: tuple[int, int] = BATCH_SIZES,
) -> Iterator[Predictions]:
    """What `predict` returns, as it comes: the memory that it takes does not grow with the photos.

    A file that cannot be read is among the ``rejects`` of its batch and stops nothing. At the end one warning
    is logged when photos were among those of the training, one when they as a whole do not look like those, and
    `timing` is reported. `batch_sizes` is how many photos come first, and at most at a time.
    """
    timing = timing or Timing()
    photos = _Photos(model, weights, store, jobs, timing)
    n_predicted = n_rejects = n_seen = 0
    rejects: list[tuple[str, str]] = []
    distances = []
    for batch in input_batches(sources, batch_sizes=batch_sizes):
        if isinstance(batch, FeatureTable):
            with timing.part("the head"):
                predictions = predict_table(model, batch)
        else:
            predictions = photos.predict(batch)
        n_predicted += len(predictions)
        n_seen += predictions.n_seen
        rejects += predictions.rejects[: not rejects]  # the first is named, should it come to that
        n_rejects += len(predictions.rejects)
        distances.append(predictions.distance)
        yield predictions
    timing.report()
    if n_rejects and not n_predicted:
        raise nothing_read(n_rejects, *rejects[0])
    if n_seen:
        which = f"{n_seen} of the {n_predicted} photos were" if n_predicted > 1 else "this photo was"
        log.warning("%s in the model's training set; confidences flatter there", which)
    if model.outliers is not None and distances:
        drift = model.outliers.describe_drift(np.concatenate(distances))
        if drift:
            log.warning("%s", drift)


def predict_table(model: Model, table: FeatureTable) -> Predictions:
    """Predict the labels of the images of a table; distorted copies (variants) are left out.

    Raises
    ------
    ModelError
        If the table lacks the model's features, or they were made otherwise.

    Examples
    --------
    >>> from classify.training.train import train
    >>> table = FeatureTable.from_arrays(
    ...     {"x": [[0.0], [0.1], [5.0], [5.1]]}, label=["fern", "fern", "moss", "moss"])
    >>> predict_table(train(table), table).label
    ['fern', 'fern', 'moss', 'moss']
    """
    model.check_table(table)
    photos = table if (table.variant == 0).all() else table.filter(table.variant == 0)
    X = select_vectors(photos, model.features)
    probabilities = model.predict_proba(X)
    if model.outliers is None or not len(X):
        distance = np.full(len(X), np.nan, dtype=np.float32)
        outlier: list[bool | None] = [None] * len(X)
    else:
        distance = model.outliers.distances(X)
        outlier = (distance > model.outliers.threshold).tolist()
    return Predictions(
        list(photos.image),
        model.labels,
        probabilities,
        outlier,
        distance=distance,
        operating_point=model.operating_point,
        n_seen=int(model.seen(photos.sha256).sum()),
    )


def model_extractors(
    model: Model, store: Store, weights: str | os.PathLike | Mapping[str, str] | None
) -> list:
    """The extractors that made the training vectors, checked before they start to work; `store` keeps networks.

    Raises
    ------
    ModelError
        If one cannot be made from what the model knows, or would make other vectors.
    """
    from featurize.registry import extractor_from_metadata

    extractors = []
    for part in model.parts:
        entry = model.described.get(part)
        if entry is None or "family" not in entry:
            raise ModelError(
                f"the model does not know how the features {part} are made from photos",
                "predict on a table that holds them, or train on a table that `featurize extract` made",
            )
        file = weights.get(part) if isinstance(weights, Mapping) else weights
        extractor = extractor_from_metadata(entry, file)
        extractor.attach(store)  # a kept network tells its width without being built again
        model.check_extractor(part, extractor)
        extractors.append(extractor)
    return extractors


def photo_table(
    model: Model,
    image: str | os.PathLike,
    *,
    weights: str | os.PathLike | Mapping[str, str] | None = None,
    store: str | os.PathLike | None = None,
    jobs: int | None = None,
) -> FeatureTable:
    """The vectors of one photo, or of the photos of a folder, as the model takes them; errors as of `predict`."""
    return _Photos(model, weights, store, jobs, Timing()).extract(list_source([image])).table


class _Photos:
    """Photos to predictions: extractors and store, made at the first photo and kept for all."""

    def __init__(self, model: Model, weights, store, jobs: int | None, timing: Timing):
        self.model, self.weights, self.where, self.jobs = model, weights, store, jobs
        self.timing = timing
        self.extractors: list = []

    def extract(self, source: Source) -> Extraction:
        if not self.extractors:
            with self.timing.part("preparing the extractors"):
                self._prepare()
        if not source.images:
            raise NothingReadable(source, source.rejects)
        with self.timing.part("the vectors"):
            return run_extraction(source, self.extractors, store=self.store, jobs=self.jobs)

    def predict(self, source: Source) -> Predictions:
        try:
            extraction = self.extract(source)
        except NothingReadable as error:
            return _nothing(self.model, error.rejects)
        log.debug("%d images computed, %d from the store", extraction.n_computed, extraction.n_reused)
        with self.timing.part("the head"):
            result = predict_table(self.model, extraction.table)
        result.rejects = list(extraction.rejects)
        return result

    def _prepare(self) -> None:

        self.store = self.where if isinstance(self.where, Store) else Store(self.where)
        extractors = model_extractors(self.model, self.store, self.weights)
        check_golden(extractors, [self.model.described[part] for part in self.model.parts], self.store)
        self.extractors = extractors


def _nothing(model: Model, rejects: list[tuple[str, str]]) -> Predictions:
    empty = np.empty((0, len(model.labels)))
    return Predictions([], model.labels, empty, [], list(rejects), operating_point=model.operating_point)


def _together(found: list[Predictions]) -> Predictions:
    return Predictions(
        image=[image for one in found for image in one.image],
        labels=found[0].labels,
        probabilities=np.concatenate([one.probabilities for one in found]),
        outlier=[flag for one in found for flag in one.outlier],
        rejects=[reject for one in found for reject in one.rejects],
        distance=np.concatenate([one.distance for one in found]),
        operating_point=found[0].operating_point,
        n_seen=sum(one.n_seen for one in found),
    )
