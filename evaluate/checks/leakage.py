"""Near-duplicates on both sides: of the folds of a comparison, or of the training of a model and its test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.folds import Fold
from classify.similar import (
    HASH_THRESHOLD,
    LEAST_WIDTH,
    THRESHOLD,
    TooManyPairs,
    hashes_as_signs,
    is_network,
    most_similar,
    network_threshold,
    tells_apart,
)
from evaluate.checks.duplicates import Duplicates, compared_features, find_duplicates, group_duplicates
from evaluate.report.data_sentences import contamination_in_words, near_duplicates_in_words
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
    table: FeatureTable, group: bool, threshold: float | None = None
) -> tuple[Duplicates | None, FeatureTable, list[str]]:
    """The duplicates of a comparison's photos; the table, if asked with groups; and what there is to warn of.

    The first is None where none were looked for: unasked, tables of more than 20,000 photos and tables without vectors
    of a network or perceptual hashes are passed over, and the search ends where there are too many to list.
    """
    if compared_features(table) is None:
        if group:
            raise UsageError(
                "near-duplicates were to be kept together, and no features of the table tell photos apart",
                "leave --group-duplicates out (identical bytes are kept together without it), or add features of a "
                "trained network: `featurize extract --features inception_v3`",
            )
        log.info(
            "near-duplicates are known by their bytes alone: the table has neither vectors of a trained network nor "
            "perceptual hashes (column phash)"
        )
        return None, table, []
    if not group and len(table) > LOOKED_AT_UNASKED:
        log.info("%d rows are not searched for near-duplicates; --group-duplicates does", len(table))
        return None, table, []
    try:
        found = find_duplicates(table, threshold=threshold)
    except TooManyPairs as error:
        if group:
            raise UsageError(error.args[0], f"leave --group-duplicates out; {GROUP_THEM}") from None
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


def flatters(found: NearDuplicates, interval: Interval) -> bool:
    """Whether there is something to warn of: an accuracy that falls out of its interval, or was not measured again."""
    apart, together = found.accuracy_at_random, found.accuracy_together
    if apart is None or together is None:
        return bool(found.words)
    again = together if apart == interval.mean else apart
    return together < apart and not interval.low <= again <= interval.high


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
        found = cross_validate(
            table, [best.features], [head], anew, seed=division["seed"], jobs=jobs, sizes=False
        )
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
    threshold: float = THRESHOLD

    @property
    def known(self) -> np.ndarray:
        """Any of the three, shape (n_images,)."""
        return np.any([one for one in (self.seen, self.near, self.grouped) if one is not None], axis=0)

    def warnings(self) -> list[str]:
        """One sentence with the counts; none when no photo is known."""
        if not self.known.any():
            return []
        found = [0 if one is None else int(one.sum()) for one in (self.seen, self.near, self.grouped)]
        words = contamination_in_words(
            len(self.seen), *found, compared=self.compared, threshold=self.threshold
        )
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
    """What bytes and vectors tell: the widest features of a network, or else perceptual hashes."""
    seen = np.asarray(model.seen(tested.sha256), dtype=bool)
    wide = [
        number
        for number, (part, width) in enumerate(zip(model.parts, model.widths, strict=True))
        if width >= LEAST_WIDTH and is_network(model.described.get(part))
    ]
    widest = max(wide, key=lambda number: model.widths[number], default=None)
    if training is not None:
        training = model.check_table(training)
        kept = training.filter(trained_on(model, training))
        if widest is not None and tells_apart(kept.vectors[model.parts[widest]]):
            vectors, photos = kept.vectors[model.parts[widest]], len(kept)
        elif all(any(one is not None for one in some.phash) for some in (kept, tested)):
            return _near_by_hashes(seen, tested, kept)
        elif max(model.widths) < LEAST_WIDTH:
            raise UsageError(
                f"the model's features {model.features} have {max(model.widths)} numbers, too few to tell photos apart",
                "leave --training out; photos with the same bytes are found without it",
            )
        elif widest is not None:
            raise UsageError(
                f"the model's features {model.parts[widest]} have {model.widths[widest]} numbers that are almost the "
                "same for all photos",
                "leave --training out; photos with the same bytes are found without it",
            )
        else:
            log.info(
                "test photos that the model knows are looked for by their bytes alone: its features are no network's, "
                "and not both tables have perceptual hashes (column phash)"
            )
            return Contamination(seen, None)
    elif model.outliers is not None and widest is not None:
        start = sum(model.widths[:widest])
        unscaled = model.outliers.scaler.inverse_transform(model.outliers.vectors.astype(np.float32))
        vectors, photos = unscaled[:, start : start + model.widths[widest]], model.outliers.photos
        if not tells_apart(vectors):
            return Contamination(seen, None)
    else:
        return Contamination(seen, None)
    assert widest is not None
    name = model.parts[widest]
    threshold = network_threshold(vectors, [model.described.get(name)])
    _, similarity = most_similar(tested.vectors[name], vectors)
    near = (similarity[:, 0] >= threshold) & ~seen
    return Contamination(seen, near, len(vectors), photos, threshold=threshold)


def _near_by_hashes(seen: np.ndarray, tested: FeatureTable, kept: FeatureTable) -> Contamination:
    _, cosine = most_similar(hashes_as_signs(tested.phash), hashes_as_signs(kept.phash))
    near = ((1 + cosine[:, 0]) / 2 >= HASH_THRESHOLD) & ~seen
    return Contamination(seen, near, len(kept), len(kept), threshold=HASH_THRESHOLD)


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
