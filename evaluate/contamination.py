"""Test photos that a model knows already: by their bytes, or because they nearly are photos of its training set."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evaluate.duplicates import LEAST_WIDTH, THRESHOLD, tells_apart
from evaluate.similar import highest_similarity
from featurize.errors import UsageError
from featurize.table import FeatureTable

if TYPE_CHECKING:
    from classify.model import Model


@dataclass(frozen=True)
class Contamination:
    """Which test photos a model knows.

    Attributes
    ----------
    seen : array of bool, shape (n_images,)
        The same bytes were in the training set.
    near : array of bool, shape (n_images,), or None
        Not the same bytes, but a vector almost like one of the training set's. None where that could not be
        looked at: nothing is kept of the training vectors, or they cannot tell photos apart.
    compared, photos : int
        With how many of how many training photos the test photos were compared.
    """

    seen: np.ndarray
    near: np.ndarray | None
    compared: int = 0
    photos: int = 0

    @property
    def known(self) -> np.ndarray:
        """Either of the two, shape (n_images,)."""
        return self.seen if self.near is None else self.seen | self.near

    def warnings(self) -> list[str]:
        """One sentence with the counts; none when no photo is known."""
        n_seen, n_near, n_images = (
            int(self.seen.sum()),
            int(self.known.sum() - self.seen.sum()),
            len(self.seen),
        )
        if not self.known.any():
            return []
        which = "all" if n_seen == n_images else str(n_seen)
        parts = (
            [f"{which} of the {n_images} test photos {_be(n_seen)} in the model's training set"]
            if n_seen
            else []
        )
        if n_near:
            begin = f"{n_near} more" if n_seen else f"{n_near} of the {n_images} test photos"
            parts.append(
                f"{begin} {'is a near-duplicate' if n_near == 1 else 'are near-duplicates'} of one of the "
                f"{self.compared} training photos compared ({THRESHOLD:g} or more alike)"
            )
        if self.known.all():
            advice = "nothing here says how it does on new photos"
        else:
            advice = "believe the unseen ones"
        return [f"{' and '.join(parts)}; {advice}"]


def find_contamination(
    model: "Model", tested: FeatureTable, training: FeatureTable | None = None
) -> Contamination:
    """Which of the tested photos the model knows from its training.

    Same bytes are found by the hashes that every model keeps. Near-duplicates are found by the cosine similarity
    of the widest of the model's features (0.97 or more; `evaluate.duplicates.find_duplicates` says what that
    means), compared with the training photos in `training`, or else with the training vectors that the model
    keeps to tell outliers: all of them, or as many as fit into 8 MiB.

    Parameters
    ----------
    model : Model
    tested : FeatureTable
        With the model's features.
    training : FeatureTable, optional
        The table that the model was trained on. Only the photos that were in the training set count.

    Returns
    -------
    Contamination

    Raises
    ------
    ModelError
        If `training` lacks the model's features, or they were made otherwise.
    UsageError
        If no photo of `training` was in the training set, or the features cannot tell photos apart.
    """
    seen = np.asarray(model.seen(tested.sha256), dtype=bool)
    widest = int(np.argmax(model.widths))
    name, width = model.parts[widest], model.widths[widest]
    if training is not None:
        model.check_table(training)
        if width < LEAST_WIDTH:
            raise UsageError(
                f"the model's features {model.features} have {width} numbers, too few to tell photos apart",
                "leave --training out; photos with the same bytes are found without it",
            )
        kept = training.filter(trained_on(model, training))
        vectors, photos = kept.vectors[name], len(kept)
        if not tells_apart(vectors):
            raise UsageError(
                f"the model's features {name} have {width} numbers that are almost the same for all photos",
                "leave --training out; photos with the same bytes are found without it",
            )
    elif model.outliers is not None and width >= LEAST_WIDTH:
        start = sum(model.widths[:widest])
        unscaled = model.outliers.scaler.inverse_transform(model.outliers.vectors.astype(np.float32))
        vectors, photos = unscaled[:, start : start + width], model.outliers.photos
        if not tells_apart(vectors):
            return Contamination(seen, None)
    else:
        return Contamination(seen, None)
    similarity, _ = highest_similarity(tested.vectors[name], vectors)
    return Contamination(seen, (similarity >= THRESHOLD) & ~seen, len(vectors), photos)


def trained_on(model: "Model", training: FeatureTable) -> np.ndarray:
    """The photos of the table that were in the training set, by content; where no content is known, by the split."""
    photos = training.variant == 0
    if len(model.hashes):
        rows = photos & np.asarray(model.seen(training.sha256), dtype=bool)
    else:
        rows = photos & (training.split != "testing")
    if not rows.any():
        raise UsageError(
            f"of the {photos.sum()} photos in the training table none was in the model's training set",
            "give the table that this model was trained on, or leave --training out",
        )
    return rows


def _be(count: int) -> str:
    return "was" if count == 1 else "were"
