"""Near-duplicates in the folds of a comparison: how many are parted, and what that does to the accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classify.folds import Fold
from classify.similar import TooManyPairs
from evaluate.checks.duplicates import (
    THRESHOLD,
    Duplicates,
    compared_features,
    find_duplicates,
    group_duplicates,
)
from evaluate.report.text import percent
from evaluate.scores.crossval import cross_validate
from evaluate.splits.checked_folds import folds_for
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.terminal import log

LOOKED_AT_UNASKED = 20_000
LISTED = 100
GROUP_THEM = (
    "say which photos show one scene by groups (`featurize extract --group-by`, or a column of a manifest)"
)


def duplicates_of(
    table: FeatureTable, group: bool, threshold: float = THRESHOLD
) -> tuple[Duplicates | None, FeatureTable, list[str]]:
    """The duplicates of a comparison's photos; the table, if asked with groups; and what there is to warn of.

    The first is None where none were looked for: unasked, tables of more than 20,000 photos and tables without a column
    of 64 numbers are passed over, and the search ends where there are too many to list.

    Raises
    ------
    UsageError
        If `group` is asked for and there are too many, or the table cannot tell photos apart.
    """
    if compared_features(table) is None:
        if group:
            raise UsageError(
                "near-duplicates were to be kept together, and no features of the table tell photos apart",
                "leave --group-duplicates out (identical bytes are kept together without it), or add features of a "
                "trained network: `featurize extract --features inception_v3`",
            )
        return None, table, []
    if not group and len(table) > LOOKED_AT_UNASKED:
        log.info("%d rows are not searched for near-duplicates; --group-duplicates does", len(table))
        return None, table, []
    try:
        found = find_duplicates(table, threshold=threshold)
    except TooManyPairs as error:
        if group:
            raise UsageError(error.args[0], f"leave --group-duplicates out; {GROUP_THEM}") from error
        return None, table, [f"{error.args[0]}, too many to be looked at one by one; {GROUP_THEM}"]
    return found, group_duplicates(table, found.rows) if group else table, []


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
    found: Duplicates,
    folds: Sequence[Fold],
    interval: Mapping[str, float],
    *,
    at_random: float | None = None,
    together: float | None = None,
) -> dict[str, Any]:
    """What a comparison says about near-duplicates, JSON content.

    Parameters
    ----------
    found : Duplicates
    folds : sequence of Fold
        Those that were used.
    interval : mapping
        The accuracy of the best features and head on the folds that were used: ``mean``, ``low``, ``high``.
    at_random, together : float, optional
        Their accuracy without, and with, keeping near-duplicates together, whichever of the two was measured again.

    Returns
    -------
    dict
        ``features``, ``threshold``, ``images`` (photos in any pair), ``counts`` and the first 100 ``pairs`` (as in
        `evaluate.checks.duplicates.Duplicates`), ``parted`` (photos tested by heads that were
        trained on their near-duplicate), ``accuracy_at_random`` and ``accuracy_together`` (None where only one was
        measured), ``words`` (empty when there is nothing to say).
    """
    crossing, words, both = parted(found.rows, folds), "", (at_random, together) != (None, None)
    again = at_random if together is None else together
    at_random, together = (interval["mean"] if one is None and both else one for one in (at_random, together))
    alike = f"{found.threshold:g} or more alike by {found.features}"
    if at_random is not None and together is not None and percent(at_random) != percent(together):
        has_groups = any(one is not None for one in found.table.group)
        how = "by the given groups alone" if has_groups else "at random"
        words = (
            f"{percent(at_random)} % as split {how}, {percent(together)} % with near-duplicates kept together "
            f"({found.counts['images']} photos at {alike})"
        )
        if again is not None and interval["low"] <= again <= interval["high"]:
            words += "; the folds differ too, and that alone may make such a difference"
        if crossing:
            words += "; --group-duplicates keeps them together in all figures"
    elif crossing:
        words = (
            f"{'1 photo was' if crossing == 1 else f'{crossing} photos were'} tested by heads trained on a "
            f"near-duplicate ({alike}); `evaluate duplicates` lists them, --group-duplicates keeps them together"
        ) + f" ({percent(interval['mean'])} % either way)" * both
    return {
        "features": found.features,
        "threshold": found.threshold,
        "images": found.counts["images"],
        "counts": found.counts,
        "pairs": found.pairs[:LISTED],
        "parted": crossing,
        "accuracy_at_random": at_random,
        "accuracy_together": together,
        "words": words,
    }


def measured_both_ways(
    found: Duplicates,
    given: FeatureTable,
    used: FeatureTable,
    made: Sequence[Fold],
    best: Mapping[str, Any],
    heads: Sequence[Any],
    folds: Any,
    division: Mapping[str, int],
    jobs: int | None,
) -> dict[str, Any]:
    """`describe_duplicates` with the accuracy of the best features and head the other way too, where it may differ.

    `given` is the table before near-duplicates were joined, if they were, and `used` the one that `made` divides.
    """
    how, other = "", given
    if len(set(used.groups)) < len(set(given.groups)):
        how = "at_random"
    elif parted(found.rows, made):
        how, other = "together", group_duplicates(given, found.rows)
    again = accuracy_again(other, best, heads, folds, division, jobs) if how else None
    return describe_duplicates(found, made, best["accuracy"], **({how: again} if again is not None else {}))


def accuracy_again(
    table: FeatureTable,
    best: Mapping[str, Any],
    heads: Sequence[Any],
    folds: Any,
    division: Mapping[str, int],
    jobs: int | None,
) -> float | None:
    """The accuracy of the best features and head on folds of `table` as it is, near-duplicates wherever they fall.

    None for folds that are not ours to divide anew, and where they cannot be made.
    """
    from classify.heads.registry import head_name

    if not (isinstance(folds, str) and folds == "stratified"):
        return None
    (head,) = (one for one in heads if head_name(one) == best["head"])
    try:
        made, _ = folds_for(table, **division)
    except UsageError:
        return None
    again = cross_validate(table, [best["features"]], [head], made, seed=division["seed"], jobs=jobs)
    return float((again.label == again.predicted).mean())
