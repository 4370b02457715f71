"""Test photos that a model knows already: by their bytes, as near-duplicates, or from others of their group."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from classify.similar import highest_similarity
from evaluate.checks.duplicates import LEAST_WIDTH, THRESHOLD, tells_apart
from featurize.errors import UsageError
from featurize.table import FeatureTable

if TYPE_CHECKING:
    from classify.model.model import Model


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
    grouped : array of bool, shape (n_images,), or None
        Neither of the two, but of one group with a training photo. None where that could not be looked at: the test
        photos have no groups, or those of the training photos are not known.
    """

    seen: np.ndarray
    near: np.ndarray | None
    compared: int = 0
    photos: int = 0
    grouped: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Any of the three, shape (n_images,)."""
        return np.any([one for one in (self.seen, self.near, self.grouped) if one is not None], axis=0)

    def warnings(self) -> list[str]:
        """One sentence with the counts; none when no photo is known."""
        n_images, n_seen = len(self.seen), int(self.seen.sum())
        n_near, n_grouped = (0 if one is None else int(one.sum()) for one in (self.near, self.grouped))
        if not self.known.any():
            return []
        of_all = f" of the {n_images} test photos"
        parts = []
        if n_seen:
            which = "all" if n_seen == n_images else str(n_seen)
            parts.append(f"{which}{of_all} {_be(n_seen)} in the model's training set")
        if n_near:
            parts.append(
                f"{n_near}{' more' if parts else of_all} "
                f"{'is a near-duplicate' if n_near == 1 else 'are near-duplicates'} of one of the "
                f"{self.compared} training photos compared ({THRESHOLD:g} or more alike)"
            )
        if n_grouped:
            parts.append(
                f"{n_grouped}{' more' if parts else of_all} {'shares' if n_grouped == 1 else 'share'} a group with a "
                "training photo"
            )
        if self.known.all():
            advice = "nothing here says how it does on new photos"
        else:
            advice = "believe the unseen ones"
        return [f"{' and '.join(filter(None, [', '.join(parts[:-1]), parts[-1]]))}; {advice}"]


def find_contamination(
    model: "Model",
    tested: FeatureTable,
    training: FeatureTable | None = None,
    table: FeatureTable | None = None,
) -> Contamination:
    """Which of the tested photos the model knows from its training.

    Same bytes are found by the hashes that every model keeps. Near-duplicates are found by the cosine similarity
    of the widest of the model's features (0.97 or more; `evaluate.checks.duplicates.find_duplicates` says what that
    means), compared with the training photos in `training`, or else with the training vectors that the model
    keeps to tell outliers: all of them, or as many as fit into 8 MiB. A model keeps no groups: those of its training
    photos are known from the rows that trained it in `training` and in `table`.

    Parameters
    ----------
    model : Model
    tested : FeatureTable
        With the model's features.
    training : FeatureTable, optional
        The table that the model was trained on. Only the photos that were in the training set count.
    table : FeatureTable, optional
        The table that the tested photos are rows of. Rows whose bytes are known trained the model if it has seen
        these; the others if the split says so.

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
    known = _near(model, tested, training)
    groups = {
        *_trained_groups(model, table),
        *(training.group[trained_on(model, training)] if training is not None else ()),
    }
    if not any(groups) or not any(tested.group):
        return known
    shared = np.array([one is not None and one in groups for one in tested.group], dtype=bool)
    return replace(known, grouped=shared & ~known.known)


def _trained_groups(model: "Model", table: FeatureTable | None) -> np.ndarray:
    """The groups of the rows of a table to test that trained the model, as far as that can be known."""
    if table is None:
        return np.array([], dtype=object)
    unknown = np.array([one is None for one in table.sha256]) | (len(model.hashes) == 0)
    by_split = unknown & np.isin(table.split.astype(str), ["training", "validation"])
    return table.group[np.asarray(model.seen(table.sha256), dtype=bool) | by_split]


def _near(model: "Model", tested: FeatureTable, training: FeatureTable | None) -> Contamination:
    """What bytes and vectors tell."""
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
