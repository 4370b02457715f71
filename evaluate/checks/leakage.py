"""Near-duplicates on both sides: of the folds of a comparison, or of the training of a model and its test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.folds import Fold
from classify.similar import TooManyPairs, most_similar
from evaluate.checks.duplicates import (
    LEAST_WIDTH,
    THRESHOLD,
    Duplicates,
    compared_features,
    find_duplicates,
    group_duplicates,
    tells_apart,
)
from evaluate.report.sentences import contamination_in_words, near_duplicates_in_words
from evaluate.results import NearDuplicates, ResultRow
from evaluate.scores.crossval import cross_validate
from evaluate.splits.checked_folds import folds_for
from evaluate.statistics.intervals import Interval
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


def find_near_duplicates(
    table: FeatureTable, group: bool, threshold: float = THRESHOLD
) -> tuple[Duplicates | None, FeatureTable, list[str]]:
    """The duplicates of a comparison's photos; the table, if asked with groups; and what there is to warn of.

    The first is None where none were looked for: unasked, tables of more than 20,000 photos and tables without a
    column of 64 numbers are passed over, and the search ends where there are too many to list.
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


def n_split_across_folds(rows: np.ndarray, folds: Sequence[Fold]) -> int:
    """How many photos are tested, in any fold, by heads trained on their near-duplicate."""
    both = np.concatenate([rows, rows[:, ::-1]])
    found = [
        both[np.isin(both[:, 0], fold.testing) & np.isin(both[:, 1], fold.training), 0] for fold in folds
    ]
    return len(np.unique(np.concatenate(found))) if found else 0


def describe_duplicates(
    found: Duplicates,
    folds: Sequence[Fold],
    interval: Interval,
    *,
    at_random: float | None = None,
    together: float | None = None,
) -> NearDuplicates:
    """What a comparison says about near-duplicates, with `interval`, the accuracy of the best pair on the `folds` used.

    `at_random` or `together` is its accuracy without, or with, keeping them together, whichever was measured again.
    """
    measured_again, counts = (at_random, together) != (None, None), found.counts
    record = NearDuplicates(
        features=found.features,
        threshold=found.threshold,
        images=counts.images,
        counts=counts,
        pairs=found.pairs[:LISTED],
        parted=n_split_across_folds(found.rows, folds),
        accuracy_at_random=interval.mean if at_random is None and measured_again else at_random,
        accuracy_together=interval.mean if together is None and measured_again else together,
    )
    by_groups = any(one is not None for one in found.table.group)
    return replace(record, words=near_duplicates_in_words(record, interval, by_groups))


def accuracy_with_and_without_grouping(
    found: Duplicates,
    given: FeatureTable,
    used: FeatureTable,
    made: Sequence[Fold],
    best: ResultRow,
    head: Any,
    folds: Any,
    division: Mapping[str, int],
    jobs: int | None,
) -> NearDuplicates:
    """Measure the best pair a second time with (or without) near-duplicates grouped, and describe both.

    `given` is the table before near-duplicates were joined, if they were, and `used` the one that `made` divides. For
    folds that are not ours, or where none can be made, nothing is measured again.
    """

    def again(table: FeatureTable) -> float | None:
        if not (isinstance(folds, str) and folds == "stratified"):
            return None
        try:
            anew, _ = folds_for(table, **division)
        except UsageError:
            return None
        found = cross_validate(table, [best.features], [head], anew, seed=division["seed"], jobs=jobs)
        return float((found.label == found.predicted).mean())

    if len(set(used.groups)) < len(set(given.groups)):
        return describe_duplicates(found, made, best.accuracy, at_random=again(given))
    parted = n_split_across_folds(found.rows, made)
    together = again(group_duplicates(given, found.rows)) if parted else None
    return describe_duplicates(found, made, best.accuracy, together=together)


@dataclass(frozen=True)
class Contamination:
    """Which test photos a model knows, as arrays of bool of shape (n_images,).

    `seen`: the same bytes were in the training set. `near`: not these, but a vector almost like one of the training
    set's, `compared` of its `photos`. `grouped`: neither, but of one group with a training photo. None where that
    could not be looked at.
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
        if not self.known.any():
            return []
        found = [0 if one is None else int(one.sum()) for one in (self.seen, self.near, self.grouped)]
        words = contamination_in_words(len(self.seen), *found, compared=self.compared, threshold=THRESHOLD)
        return [words]


def find_contamination(
    model: "Model",
    tested: FeatureTable,
    training: FeatureTable | None = None,
    table: FeatureTable | None = None,
) -> Contamination:
    """Which of the tested photos the model knows from its training.

    Same bytes are found by the hashes that every model keeps. Near-duplicates are found by the cosine similarity of
    the widest of the model's features, compared with those photos of `training` that were in the training set, or else
    with the vectors that the model keeps to tell outliers. A model keeps no groups: those of its training photos are
    known from the rows that trained it in `training` and in `table`, which the tested photos are rows of.
    """
    known = _near(model, tested, training)
    groups = set(training.group[trained_on(model, training)] if training is not None else ())
    if table is not None:
        unknown = np.array([one is None for one in table.sha256]) | (len(model.hashes) == 0)
        by_split = unknown & np.isin(table.split.astype(str), ["training", "validation"])
        groups |= set(table.group[np.asarray(model.seen(table.sha256), dtype=bool) | by_split])
    if not any(groups) or not any(tested.group):
        return known
    shared = np.array([one is not None and one in groups for one in tested.group], dtype=bool)
    return replace(known, grouped=shared & ~known.known)


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
    _, similarity = most_similar(tested.vectors[name], vectors)
    return Contamination(seen, (similarity[:, 0] >= THRESHOLD) & ~seen, len(vectors), photos)


def trained_on(model: "Model", training: FeatureTable) -> np.ndarray:
    """The photos of the table that were in the training set, by content; where no content is known, by the split."""
    photos, by_split = training.variant == 0, training.split != "testing"
    rows = photos & (np.asarray(model.seen(training.sha256), dtype=bool) if len(model.hashes) else by_split)
    if not rows.any():
        raise UsageError(
            f"of the {photos.sum()} photos in the training table none was in the model's training set",
            "give the table that this model was trained on, or leave --training out",
        )
    return rows
