"""A map of the photos of a table, with what a model says of them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.rows import all_features, select_vectors
from classify.similar import TooManyPairs
from evaluate.checks.duplicates import compared_features, find_duplicates
from evaluate.report.html import render_map
from evaluate.report.map import MOST, MapRecord, make_map, map_in_words
from evaluate.results import DuplicatePair
from featurize.errors import UsageError
from featurize.id_columns import PHASH
from featurize.outputs import PAGE, whole_file
from featurize.table import FeatureTable
from featurize.terminal import log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from classify.model.model import Model


class PhotoMap(MapRecord):
    """What `map_photos` made; print it, draw it with `plot`, or write a page with `write`.

    Attributes
    ----------
    features, method : str
        Whose vectors were laid out, and how.
    places : array of shape (n_photos, 2)
        From 0 to 1, of the photos shown; `total` is how many there are.
    image, label, predicted : list of str
        Of each photo shown; None where there is no label, or no model.
    wrong, outlier : array of bool
    pairs : list of tuple of int
        Near-duplicates, as numbers of photos shown.
    """

    def __str__(self) -> str:
        return "\n".join(map_in_words(self))

    def __repr__(self) -> str:
        return f"PhotoMap: {len(self.image)} of {self.total} photos by {self.features}, {self.method}"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the map on the axes given, or make them; returns them."""
        from evaluate.report.figures import map_drawing

        return map_drawing(self).on(ax)

    def to_html(self, images: str | Path | None = None) -> str:
        """One self-contained page; `images` is the folder of the photos, when they have moved."""
        return render_map(self, images)

    def write(self, path: str | os.PathLike, images: str | Path | None = None) -> None:
        """Write the page to `path`, whole or not at all."""
        page = self.to_html(images)
        with whole_file(path, PAGE) as partial:
            partial.write_text(page, encoding="utf-8", errors="replace")


def map_photos(
    table: FeatureTable,
    features: str | None = None,
    model: "Model | None" = None,
    *,
    most: int = MOST,
    seed: int = 0,
) -> PhotoMap:
    """Lay the photos of a table out in the plane by their vectors, photos with similar ones near each other.

    Parameters
    ----------
    table : FeatureTable
        Labels may be missing; distorted copies are left out.
    features : str, optional
        A column, or several joined with ``+``; by default those of the model, else the widest column of a trained
        network, else all together.
    model : Model, optional
        What it predicts is shown, and what it gets wrong is marked.
    most : int
        Of more photos a sample is shown, with the same share of every label.
    seed : int

    Returns
    -------
    PhotoMap

    Raises
    ------
    UsageError
        If the table has no photo or no such features, or other features than the model's are asked for.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0, 0], [0, 1], [1, 0], [9, 9]]}, label=["a", "a", "a", "b"])
    >>> found = map_photos(table)
    >>> found.labels, found.places.shape, found.method
    ({'a': 3, 'b': 1}, (4, 2), 'principal components (PCA)')
    """
    if model is not None:
        table = model.check_table(table)
        if features not in (None, model.features):
            raise UsageError(
                f"the model was trained on {model.features}, and --features {features} was asked for",
                "leave one of the two out",
            )
        features = model.features
        table = _with_labels_of(model, table)
    rows = np.flatnonzero(table.variant == 0)
    if not len(rows):
        raise UsageError(
            "the table has no photo to lay out", "give a table with rows that are no distorted copies"
        )
    compared = compared_features(table)
    if features is None:
        features = compared if compared not in (None, PHASH) else all_features(table)
    predicted = {}
    if model is not None:
        given = model.decide(
            np.asarray(model.predict_proba(select_vectors(table, features)[rows]), np.float64)
        )
        predicted = dict(zip(table.image[rows], (str(model.labels[one]) for one in given), strict=True))
    near = _near_duplicates(table) if compared else []
    by = "" if model is None else f"the model ({model.training.get('head') or 'a head'} on {features})"
    found = make_map(
        table,
        features,
        rows,
        most=most,
        seed=seed,
        predicted=predicted,
        by=by,
        pairs=[(one.image, one.other) for one in near],
    )
    return PhotoMap(**vars(found))


def _with_labels_of(model: "Model", table: FeatureTable) -> FeatureTable:
    """The table with the model's own labels; rows of a label that it drops are gone."""
    relabel = dict(model.relabel or {})
    label = [relabel.get(one, one) if one is not None else None for one in table.label]
    return table.with_column("label", label).filter(np.array([one != "" for one in label], dtype=bool))


def _near_duplicates(table: FeatureTable) -> list[DuplicatePair]:
    try:
        return find_duplicates(table).pairs
    except TooManyPairs as error:
        log.warning("near-duplicates are not shown: %s", error)
        return []
