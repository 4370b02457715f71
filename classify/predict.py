"""Predictions for photos and tables, batch by batch."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from classify.inputs import BATCH_SIZES, input_batches, nothing_read
from classify.model import Model
from classify.rows import select_vectors
from classify.thresholds import OperatingPoint
from classify.timing import Timing
from featurize.errors import ModelError
from featurize.run import Extraction, NothingReadable, run_extraction
from featurize.source import Source, list_source
from featurize.store import Store
from featurize.table import FeatureTable
from featurize.terminal import log


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
    >>> from classify.train import train
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
    from featurize.extractors import extractor_from_metadata

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
        from classify.golden import check_golden

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
