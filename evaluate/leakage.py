"""Near-duplicates in the folds of a comparison: how many are parted, and what that does to the accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classify.folds import Fold
from evaluate.crossval import cross_validate
from evaluate.duplicates import (
    THRESHOLD,
    Duplicates,
    compared_features,
    find_duplicates,
    group_duplicates,
)
from evaluate.folds import folds_for
from evaluate.text import percent
from featurize.table import FeatureTable
from featurize.terminal import log

LOOKED_AT_UNASKED = 20_000
LISTED = 100


def duplicates_of(
    table: FeatureTable, group: bool, threshold: float = THRESHOLD
) -> tuple[Duplicates | None, FeatureTable]:
    """The duplicates of a comparison's photos, None where none were looked for; and the table, if asked with groups.

    Unasked, tables of more than 20,000 photos and tables without a column of 64 numbers are passed over.
    """
    if not group:
        if compared_features(table) is None:
            return None, table
        if len(table) > LOOKED_AT_UNASKED:
            log.info("%d rows are not searched for near-duplicates; --group-duplicates does", len(table))
            return None, table
    found = find_duplicates(table, threshold=threshold)
    return found, group_duplicates(table, found.rows) if group else table


def parted(rows: np.ndarray, folds: Sequence[Fold]) -> int:
    """How many photos are tested, in any fold, by heads trained on their near-duplicate.

    >>> parted(np.array([[0, 1], [1, 2]]), [Fold(0, 0, np.array([1, 3]), np.array([0, 2]))])
    2
    """
    both = np.concatenate([rows, rows[:, ::-1]])
    found = [
        both[np.isin(both[:, 0], fold.testing) & np.isin(both[:, 1], fold.training), 0] for fold in folds
    ]
    return len(np.unique(np.concatenate(found))) if found else 0


def describe_duplicates(
    found: Duplicates, folds: Sequence[Fold], at_random: float | None, interval: Mapping[str, float]
) -> dict[str, Any]:
    """What a comparison says about near-duplicates, JSON content.

    Parameters
    ----------
    found : Duplicates
    folds : sequence of Fold
        Those that were used.
    at_random : float or None
        The accuracy of the best features and head without keeping near-duplicates together; None where it was
        not measured.
    interval : mapping
        Its accuracy on the folds that were used: ``mean``, ``low``, ``high``.

    Returns
    -------
    dict
        ``features``, ``threshold``, ``images`` (photos in any pair), ``counts`` and the first 100 ``pairs`` (as in
        `evaluate.duplicates.Duplicates`), ``parted`` (photos tested by heads that were
        trained on their near-duplicate), ``accuracy_at_random`` and ``accuracy_together`` (None where only one was
        measured), ``words`` (empty when there is nothing to say).
    """
    crossing, together, words = parted(found.rows, folds), interval["mean"], ""
    if at_random is not None and percent(at_random) != percent(together):
        has_groups = any(one is not None for one in found.table.group)
        how = "by the given groups alone" if has_groups else "at random"
        words = (
            f"{percent(at_random)} % as split {how}, {percent(together)} % with near-duplicates kept together "
            f"({found.counts['images']} photos at {found.threshold:g} or more alike by {found.features})"
        )
        if interval["low"] <= at_random <= interval["high"]:
            words += "; the folds differ too, and that alone may make such a difference"
    elif crossing:
        words = (
            f"{crossing} photos were tested by heads trained on a near-duplicate of them "
            f"({found.threshold:g} or more alike by {found.features}); `evaluate duplicates` lists them, "
            "--group-duplicates keeps them together and prints both accuracies"
        )
    return {
        "features": found.features,
        "threshold": found.threshold,
        "images": found.counts["images"],
        "counts": found.counts,
        "pairs": found.pairs[:LISTED],
        "parted": crossing,
        "accuracy_at_random": at_random,
        "accuracy_together": together if at_random is not None else None,
        "words": words,
    }


def accuracy_again(
    table: FeatureTable,
    best: Mapping[str, Any],
    heads: Sequence[Any],
    folds: Any,
    division: Mapping[str, int],
    jobs: int | None,
) -> float | None:
    """The accuracy of the best features and head on folds of `table` as it is, near-duplicates wherever they fall.

    None for folds that are not ours to divide anew.
    """
    from classify.heads import head_name

    if not (isinstance(folds, str) and folds == "stratified"):
        return None
    (head,) = (one for one in heads if head_name(one) == best["head"])
    made, _ = folds_for(table, **division)
    again = cross_validate(table, [best["features"]], [head], made, seed=division["seed"], jobs=jobs)
    return float((again.label == again.predicted).mean())
