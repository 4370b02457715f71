"""What a result rests on: its rows, labels, features, folds and versions in numbers, without text or HTML."""

import datetime
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from classify.folds import Fold
from classify.labels import count_corrections, labels_before
from classify.rows import conflicting_images
from evaluate.scores.record import Record
from evaluate.splits.checked_folds import folds_digest
from evaluate.statistics.differences import BaseRate, base_rate_of
from evaluate.statistics.intervals import Interval
from featurize.outputs import given_date
from featurize.table import FeatureTable

PACKAGES = ("bottlehead", "scikit-learn", "numpy", "scipy", "pandas", "pyarrow")
Features = dict[str, dict[str, Any] | None]  # by column, the table's own record of how it was made


def run_date() -> str:
    """When a result was made, to the second, or what SOURCE_DATE_EPOCH says instead."""
    return given_date() or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclass(eq=False)
class LabelledImage(Record):
    """A photo and the label that it stands under."""

    image: str
    label: str


@dataclass(eq=False)
class DataFacts(Record):
    """The rows in numbers.

    `digest` is SHA-256 over ids and vectors, `labels` are images by label, `hashed_images` those whose bytes are
    known; `conflicting_labels` lists, per content, the images that stand under several labels.
    """

    digest: str
    source: dict[str, Any] | None
    rows: int
    images: int
    distorted: int
    labels: dict[str, int]
    groups: int
    hashed_images: int
    identical_images: int
    conflicting_labels: list[list[LabelledImage]]


@dataclass(eq=False)
class CorrectedLabels(Record):
    """Photos whose labels were corrected by hand, and how that may flatter the accuracy.

    Of all photos of the table `corrected` have another label than before, `confirmed` were named and kept theirs,
    `labelled` had none, and `dropped` are gone. Of the photos that were tested, `tested` have a corrected label;
    `disputed` of these have an old label that the prediction of a head that was not trained on them contradicts, and
    `agreed` are named photos, corrected or not, with an old label as predicted. `accuracy_before` is that of the same
    predictions under the old labels. The last four are None where nothing was tested.
    """

    corrected: int
    confirmed: int
    labelled: int
    dropped: int
    tested: int | None = None
    disputed: int | None = None
    agreed: int | None = None
    accuracy_before: Interval | None = None

    @property
    def changed(self) -> bool:
        """Whether photos have other labels than before, or are gone."""
        return self.corrected + self.dropped > 0


@dataclass(eq=False)
class FoldFacts(Record):
    """Folds per repeat, repeats, photos that any fold tests, and how the folds were made.

    `digest` is that of `evaluate.splits.checked_folds.folds_digest`: equal digests are equal folds. `base_rate` is what
    answers without a look reach on them.
    """

    cv: int
    repeats: int
    tested: int
    method: str
    digest: str
    base_rate: BaseRate

    @property
    def one(self) -> bool:
        """Whether there is a single fold: each head was then trained once."""
        return self.cv * self.repeats == 1


_version = cache(metadata.version)  # reads a file each time


def versions() -> dict[str, str]:
    """Python and the packages that a number may depend on, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = _version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def describe_data(table: FeatureTable) -> DataFacts:
    """The rows of a table in numbers."""
    photos = table.filter(table.variant == 0)
    copies = Counter(sha for sha in photos.sha256 if sha is not None)
    labels = Counter(str(label) for label in photos.label if label is not None)
    return DataFacts(
        digest=table.digest(),
        source=table.metadata.get("source"),
        rows=len(table),
        images=len(photos),
        distorted=len(table) - len(photos),
        labels=dict(sorted(labels.items())),
        groups=len(np.unique(photos.groups)),
        hashed_images=sum(sha is not None for sha in photos.sha256),
        identical_images=sum(count for count in copies.values() if count > 1),
        conflicting_labels=[
            [LabelledImage(image, label) for image, label in images] for images in conflicting_images(table)
        ],
    )


def describe_corrections(
    table: FeatureTable,
    tested: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
    interval_of: Callable[[np.ndarray], Interval] | None = None,
) -> CorrectedLabels | None:
    """The corrections of a table; None for one without.

    `tested` are rows, `predicted` the label that each was given, and `interval_of` makes the accuracy of the labels
    that the rows of the table had before.
    """
    counts = count_corrections(table)
    if counts is None:
        return None
    kinds = counts["corrected"], counts["confirmed"], counts["labelled"], counts["dropped"]
    found = CorrectedLabels(*kinds)
    if tested is None or interval_of is None:
        return found
    given = labels_before(table)
    named = np.array([one is not None for one in given], dtype=bool)
    before = np.where(named, given, table.label)
    changed, agrees = (before != table.label)[tested], before[tested] == predicted
    return replace(
        found,
        tested=int(changed.sum()),
        disputed=int((changed & ~agrees).sum()),
        agreed=int((named[tested] & agrees).sum()),
        accuracy_before=interval_of(before),
    )


def describe_features(table: FeatureTable, features: Sequence[str]) -> Features:
    """How the vectors behind `features` were made, by column; None where the table has no record of it."""
    parts = sorted({part for name in features for part in table.parts(name)})
    return {part: table.metadata["features"].get(part) for part in parts}


def describe_folds(folds: Sequence[Fold], method: str, table: FeatureTable) -> FoldFacts:
    """Checked folds of `table` in numbers; `method` says how they were made."""
    tested = np.unique(np.concatenate([fold.testing for fold in folds]))
    n_first = sum(fold.repeat == folds[0].repeat for fold in folds)
    n_repeats = len({fold.repeat for fold in folds})
    digest, base = folds_digest(folds, table), base_rate_of(folds, table.label)
    return FoldFacts(n_first, n_repeats, len(tested), method, digest, base)
