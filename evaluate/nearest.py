"""The training photos that a tested photo resembles most: what its head may have gone by."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classify.folds import Fold
from evaluate.similar import directions
from featurize.table import FeatureTable

TOP = 3
LOOKED_AT = 60
ROWS_AT_ONCE = 4096
ROWS_TO_SCALE = 5000


def nearest_rows(
    X: np.ndarray,
    training: np.ndarray,
    widths: Sequence[int],
    top: int = TOP,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `X` the `top` rows of `training` that point most nearly the same way.

    Both are scaled block by block as registered heads scale them (`classify.scaling.BlockScaler`, fitted on at most
    5,000 rows of `training`), so that a few texture numbers are heard beside a network's thousand.

    Parameters
    ----------
    X, training : array of shape (n_rows, width) and (n_training, width), float32
    widths : sequence of int
        The widths of the blocks, from left to right.
    top : int
    rows_at_once : int
        So many training rows are compared at once.

    Returns
    -------
    rows : array of shape (n_rows, min(top, n_training)), int64
        Rows of `training`, the most similar first.
    similarity : array of the same shape, float32
        Cosine, -1 to 1.

    Examples
    --------
    >>> training = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    >>> nearest_rows(np.array([[0.9, 0.2]], dtype=np.float32), training, [2], top=2)[0]
    array([[0, 1]])
    """
    from classify.scaling import BlockScaler

    scaler = BlockScaler(list(widths)).fit(training[:: -(-len(training) // ROWS_TO_SCALE)])
    mine, top = directions(scaler.transform(X)), min(top, len(training))
    rows = np.zeros((len(X), 0), dtype=np.int64)
    similarity = np.zeros((len(X), 0), dtype=np.float32)
    for start in range(0, len(training), rows_at_once):
        some = mine @ directions(scaler.transform(training[start : start + rows_at_once])).T
        numbers = np.broadcast_to(np.arange(start, start + some.shape[1]), some.shape)
        rows, similarity = np.hstack([rows, numbers]), np.hstack([similarity, some])
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :top]
        rows, similarity = (
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(similarity, order, axis=1),
        )
    return rows, similarity


def nearest_in_folds(
    table: FeatureTable, features: str, folds: Sequence[Fold], wrong: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """`wrong` with ``nearest``: the training photos that each image resembles most, by the head that got it wrong.

    Parameters
    ----------
    table : FeatureTable
    features : str
    folds : sequence of Fold
        The training side is that of the first fold that tests the image; distorted copies are left out.
    wrong : sequence of dict
        From `evaluate.mistakes.misclassified`; only the first 60, which a report shows, are looked at.

    Returns
    -------
    list of dict
        The same rows; ``nearest`` is a list of ``image, label, similarity``, and None beyond the first 60.
    """
    photos = np.flatnonzero(table.variant == 0)
    row_of = dict(zip(table.image[photos], photos, strict=True))
    asked = {int(row_of[one["image"]]) for one in wrong[:LOOKED_AT]}
    found: dict[str, list[dict[str, Any]]] = {}
    for fold in folds:
        mine = np.array([row for row in fold.testing if int(row) in asked], dtype=np.int64)
        if len(mine):
            training = fold.training[table.variant[fold.training] == 0]
            found |= _nearest(table.filter(mine), table.filter(training), features)
            asked -= set(mine.tolist())
    return [{**one, "nearest": found.get(one["image"])} for one in wrong]


def nearest_in_table(
    tested: FeatureTable, training: FeatureTable | None, features: str, wrong: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The same for a model: `training` is the table that it was trained on; None where that was not given."""
    photos = {one["image"] for one in wrong[:LOOKED_AT]} if training is not None else set()
    found = {}
    if training is not None and photos:
        mine = tested.filter(np.isin(tested.image, list(photos)) & (tested.variant == 0))
        found = _nearest(mine, training.filter(training.variant == 0), features)
    return [{**one, "nearest": found.get(one["image"])} for one in wrong]


def _nearest(tested: FeatureTable, training: FeatureTable, features: str) -> dict[str, list[dict[str, Any]]]:
    rows, similarity = nearest_rows(
        tested.select(features), training.select(features), tested.widths(features)
    )
    return {
        str(image): [
            {
                "image": str(training.image[row]),
                "label": str(training.label[row]),
                "similarity": float(min(1.0, how)),
            }
            for row, how in zip(mine, alike, strict=True)
        ]
        for image, mine, alike in zip(tested.image, rows, similarity, strict=True)
    }
