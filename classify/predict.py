"""Predictions for photos and tables."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from classify.model import Model
from featurize.errors import ModelError, UsageError
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
    """

    image: list[str]
    labels: list[str]
    probabilities: np.ndarray
    outlier: list[bool | None]
    rejects: list[tuple[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.image)

    @property
    def label(self) -> list[str]:
        """The most probable label of each image."""
        return [self.labels[column] for column in self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that label, shape (n_images,)."""
        return self.probabilities.max(axis=1)

    def best(self, row: int, top: int = 0) -> list[tuple[str, float]]:
        """Labels and probabilities of one image, best first; the `top` best, or all when `top` is 0."""
        order = np.argsort(-self.probabilities[row], kind="stable")[: top or None]
        return [(self.labels[column], float(self.probabilities[row, column])) for column in order]


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
        Photos, folders, glob patterns, manifests (``.csv``, ``.parquet``) and tables, in any mixture.
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
        In the order of the sources. Files that cannot be read are in ``rejects``.

    Raises
    ------
    SourceError
        If no photo can be read.
    ModelError
        If the vectors of the photos or of the table would not be those of the training.
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not named:
        raise UsageError("there is nothing to predict on", "give photos, folders, a manifest or a table")
    found = []
    for kind, paths in _runs(named):
        if kind == "table":
            found.append(predict_table(model, FeatureTable.read(paths[0])))
        else:
            source = paths[0] if kind == "manifest" else paths
            found.append(_predict_photos(model, source, weights, store, jobs))
    return _together(model, found)


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
    start = time.perf_counter()
    probabilities = model.predict_proba(photos.select(model.features))
    log.debug("the head took %.2f s for %d images", time.perf_counter() - start, len(photos))
    return Predictions(list(photos.image), model.labels, probabilities, [None] * len(photos))


def _predict_photos(model, source, weights, store, jobs) -> Predictions:
    from featurize.run import run_extraction
    from featurize.source import list_source

    start = time.perf_counter()
    extraction = run_extraction(list_source(source), _extractors(model, weights), store=store, jobs=jobs)
    log.debug(
        "the vectors took %.2f s: %d images computed, %d from the store",
        time.perf_counter() - start,
        extraction.n_computed,
        extraction.n_reused,
    )
    result = predict_table(model, extraction.table)
    result.rejects = list(extraction.rejects)
    return result


def _extractors(model: Model, weights: str | os.PathLike | Mapping[str, str] | None) -> list:
    """The extractors that made the training vectors, checked before they start to work."""
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
        model.check_extractor(part, extractor)
        extractors.append(extractor)
    return extractors


def _runs(paths: Sequence[str | os.PathLike]) -> list[tuple[str, list]]:
    """The sources by kind; photos that follow each other travel together."""
    runs: list[tuple[str, list]] = []
    for path in paths:
        kind = _kind(Path(path))
        if kind == "photos" and runs and runs[-1][0] == "photos":
            runs[-1][1].append(path)
        else:
            runs.append((kind, [path]))
    return runs


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return "table"
    if suffix == ".csv":
        return "manifest"
    if suffix == ".parquet":
        return "table" if not path.is_file() or _has_vectors(path) else "manifest"
    return "photos"


def _has_vectors(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return b"featurize" in (pq.read_schema(path).metadata or {})
    except pa.ArrowException:
        return True  # reading it as a table says what is wrong with it


def _together(model: Model, found: list[Predictions]) -> Predictions:
    return Predictions(
        image=[image for one in found for image in one.image],
        labels=model.labels,
        probabilities=np.concatenate([one.probabilities for one in found]),
        outlier=[flag for one in found for flag in one.outlier],
        rejects=[reject for one in found for reject in one.rejects],
    )
