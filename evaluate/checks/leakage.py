"""Near-duplicates in the folds of a comparison: how many are parted, and what that does to the accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.folds import Fold
from classify.similar import TooManyPairs, highest_similarity
from evaluate.checks.duplicates import (
    LEAST_WIDTH,
    THRESHOLD,
    Duplicates,
    compared_features,
    find_duplicates,
    group_duplicates,
    tells_apart,
)
from evaluate.report.text import percent
from evaluate.scores.crossval import cross_validate
from evaluate.splits.checked_folds import folds_for
from featurize.errors import UsageError
from featurize.table import FeatureTable
from featurize.terminal import log

if TYPE_CHECKING:
    from classify.model.model import Model

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
    from classify.heads.fitting import head_name

    if not (isinstance(folds, str) and folds == "stratified"):
        return None
    (head,) = (one for one in heads if head_name(one) == best["head"])
    try:
        made, _ = folds_for(table, **division)
    except UsageError:
        return None
    again = cross_validate(table, [best["features"]], [head], made, seed=division["seed"], jobs=jobs)
    return float((again.label == again.predicted).mean())


# -- Test photos that a model knows already: by their bytes, as near-duplicates, or from others of their group ---


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
