"""The training images that a photo resembles most, as the model sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from classify.heads.plain import Scaling
from classify.model.model import Model
from classify.prediction.extractors import Place, Weights
from classify.prediction.predict import Predictor
from classify.rows import block_weights
from featurize.errors import SourceError, UsageError
from featurize.extractors.base import Extractor
from featurize.photos.memory import PhotoLike, is_path
from featurize.photos.source import list_source
from featurize.table import FeatureTable

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Neighbour:
    """An image of a table, and how far it is from the photo asked about."""

    image: str
    label: str | None
    distance: float


def nearest_images(
    model: Model,
    image: PhotoLike,
    table: FeatureTable,
    *,
    top: int = 10,
    weights: Weights = None,
    store: Place = None,
    jobs: int | None = None,
    extractors: Sequence[Extractor] = (),
) -> list[Neighbour]:
    """The images of a table that are nearest to a photo.

    Parameters
    ----------
    model : Model
        Which features are compared, and how they are scaled.
    image : photo
        One: a path, the bytes of a file, an open file, a Pillow image or an RGB array.
    table : FeatureTable
        Usually the one that the model was trained on; distorted copies are left out.
    top : int
    weights, store, jobs, extractors
        As in `Predictor`.

    Returns
    -------
    list of Neighbour
        At most `top`, nearest first. The distance is Euclidean, between scaled vectors; the model card says what is
        usual between training photos. Labels are those of the table, relabelled as in training.

    Raises
    ------
    SourceError, ModelError
        If the photo cannot be read; if photo or table have other vectors than those of the training.
    """
    if top < 1:
        raise UsageError(f"the {top} nearest images were asked for", "ask for 1 or more")
    known = TrainingPhotos(model, table)
    if is_path(image):
        n_photos = len(list_source([image]).images)
        if n_photos > 1:  # before a network is loaded for them
            raise SourceError(f"{image} is {n_photos} photos", "give one photo")
    places: dict[str, Any] = {"weights": weights, "store": store, "jobs": jobs, "extractors": extractors}
    found = Predictor(model, **places).vectors(image)
    return [neighbour for _, neighbour in known.nearest(found.select(model.features), top)]


class TrainingPhotos:
    """The photos of a table as the model sees them, ready to be compared with others.

    `table` lacks its distorted copies; a row number is one of its rows.
    """

    def __init__(self, model: Model, table: FeatureTable):
        table = model.check_table(table)
        self.table = photos = table.filter(table.variant == 0)
        if not len(photos):
            raise UsageError("the table holds no photo", "give the table that the model was trained on")
        X = photos.select(model.features)
        known = model.outliers
        self._scaler = _fitted_scaling(X, photos, model.features) if known is None else known.scaler
        parts = (X[start : start + ROWS_AT_ONCE] for start in range(0, len(X), ROWS_AT_ONCE))
        self._scaled = [self._scaler.transform(part) for part in parts]
        relabel = model.relabel or {}
        self._labels = [None if one is None else relabel.get(one, one) for one in photos.label]

    def nearest(self, vector: np.ndarray, top: int) -> list[tuple[int, Neighbour]]:
        """The `top` photos nearest to a vector of shape (1, width), nearest first, each with its row number."""
        photo = self._scaler.transform(vector)
        # Differences first, then squares: a photo has distance 0 from itself, which products would miss.
        distances = np.concatenate([np.linalg.norm(part - photo, axis=1) for part in self._scaled])
        order = np.argsort(distances, kind="stable")[:top].tolist()
        image = self.table.image
        return [(row, Neighbour(image[row], self._labels[row], float(distances[row]))) for row in order]


def _fitted_scaling(X: np.ndarray, table: FeatureTable, features: str) -> Scaling:
    from classify.heads.scaling import BlockScaler

    scaler = BlockScaler(table.blocks(features), block_weights=block_weights(table, features))
    return scaler.fit(X).plain()
