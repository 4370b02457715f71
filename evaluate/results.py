"""What comparisons, tests, learning curves and searches for duplicates found: records, without text or HTML.

The report reads nothing else. The public classes are these records, with methods that call the report.
"""

import datetime
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import Any, ClassVar

import numpy as np

from classify.folds import Fold
from classify.labels import count_corrections, labels_before
from classify.rows import conflicting_images
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import Confusion, LabelScores, OperatingScores, Scores, all_scores
from evaluate.scores.mistakes import (
    HardPhoto,
    MisclassifiedByAll,
    Mistake,
    SuperclassErrors,
    Suspect,
    mean_over_repeats,
    wrong_rows,
)
from evaluate.scores.record import Record
from evaluate.splits.checked_folds import folds_digest
from evaluate.statistics.differences import BaseRate, PairComparison, PairName, base_rate_of
from evaluate.statistics.hierarchy import TreeScores
from evaluate.statistics.intervals import (
    Difference,
    Interval,
    ScoreIntervals,
    ShareIntervals,
    score_intervals,
)
from evaluate.statistics.power_law import Extrapolation, PowerLaw
from featurize.outputs import given_date
from featurize.table import FeatureTable
from featurize.tableformat import PHASH

PACKAGES = ("bottlehead", "scikit-learn", "numpy", "scipy", "pandas", "pyarrow")
# Of the JSON, by kind. README says what changed.
FORMAT_VERSIONS = {"comparison": 3, "test": 2, "curve": 2, "duplicates": 2}
# What is measured by the clock, and so differs from run to run; in JSON it stands under "run".
TIMES = ("fit_seconds", "predict_seconds_per_image")

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


def versions() -> dict[str, str]:
    """Python and the packages that a number may depend on, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
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


@dataclass(eq=False, kw_only=True)
class ResultRow(Scores):
    """One pair of features and head; `tuned` is what a search chose per fold, `intervals` are of other scores.

    `classifier` is what `head` stands for, which may be a name of one's own: a spec, or the class of an object.
    """

    features: str
    head: str
    classifier: str
    accuracy: Interval
    intervals: ScoreIntervals
    tuned: list[str] | None
    fit_seconds: float
    predict_seconds_per_image: float
    model_bytes: int | None
    accuracy_per_fold: list[float]

    _first = ("features", "head", "classifier", "accuracy")

    @property
    def name(self) -> str:
        """``svm on glcm``."""
        return f"{self.head} on {self.features}"


@dataclass(eq=False, kw_only=True)
class BestPair(Record):
    """What is told of the best pair alone; `wrong_every_time` and `hardest` are of all heads on its features."""

    confusion: Confusion
    confusion_percent: list[list[float]]
    per_label: dict[str, LabelScores]
    misclassified: list[Mistake]
    wrong_every_time: list[MisclassifiedByAll]
    hardest: list[HardPhoto]
    label_suspects: list[Suspect]
    superclasses: SuperclassErrors | None
    taxonomy: TreeScores | None = None

    _if_known = ("taxonomy",)


@dataclass(eq=False)
class MisclassifiedGroup(Record):
    """A group that was predicted wrong, from so many photos; `confidence` is the probability of the predicted label."""

    group: str
    photos: int
    label: str
    predicted: str
    confidence: float


@dataclass(eq=False, kw_only=True)
class GroupRow(Scores):
    """The scores of one pair of features and head, where each group is predicted once."""

    features: str
    head: str
    accuracy: Interval
    intervals: ScoreIntervals

    _first = ("features", "head", "accuracy")


@dataclass(eq=False, kw_only=True)
class PerGroup(Record):
    """Scores per group: `rule` makes one prediction of those of its photos, `words` says how.

    `groups` were tested, of which `alone` are photos without a group. `results` are in the order of those per photo;
    the confusion and the misclassified groups are of the first.
    """

    rule: str
    words: str
    groups: int
    alone: int
    results: list[GroupRow]
    confusion: Confusion
    confusion_percent: list[list[float]]
    misclassified: list[MisclassifiedGroup]


def describe_groups(
    groups: Sequence[Predictions],
    rule: str,
    words: str,
    positive: str | None,
    interval_of: Callable[[Predictions], Interval],
    n_folds: int = 0,
    decided: str | None = None,
) -> PerGroup:
    """Scores per group, of the predictions of one pair each from `evaluate.scores.groups.predict_groups`.

    `n_folds` heads made them (0: a model), which decides by a threshold on the probability of `decided`, if any.
    """
    results = []
    for one in groups:
        fold = one.rows.groupby(["repeat", "fold"]).ngroup().to_numpy()
        given = (one.label, one.probabilities, one.labels, positive, one.predicted, fold, one.weight)
        ((features, head),) = one.pairs()
        intervals = intervals_of(one, positive, n_folds, decided)
        named: Any = {"features": features, "head": head, "accuracy": interval_of(one)}
        row = GroupRow(**named, intervals=intervals, **vars(all_scores(*given)))
        results.append(row)
    best = groups[0]
    confusion = metrics.confusion(best.label, best.predicted, best.labels, best.weight)
    each = best.rows.drop_duplicates("row")
    return PerGroup(
        rule=rule,
        words=words,
        groups=len(each),
        alone=int(each["given_group"].isna().sum()),
        results=results,
        confusion=confusion,
        confusion_percent=metrics.percent_of_rows(confusion.matrix),
        misclassified=_misclassified_groups(best),
    )


def intervals_of(
    found: Predictions, positive: str | None, n_folds: int, decided: str | None = None
) -> ScoreIntervals:
    """The intervals of the scores of one pair; arguments as in `evaluate.statistics.intervals.score_intervals`."""
    rows = found.rows
    return score_intervals(
        found.label,
        found.predicted,
        found.probabilities,
        found.labels,
        rows["row"].to_numpy(),
        rows["group"].to_numpy(),
        n_folds=n_folds,
        fold=rows.groupby(["repeat", "fold"]).ngroup().to_numpy(),
        weight=found.weight,
        positive=positive,
        decided=decided,
    )


def _misclassified_groups(found: Predictions) -> list[MisclassifiedGroup]:
    """Most confident first; with repeats by the mean of the probabilities, as for photos."""
    groups = mean_over_repeats(found)
    photos = dict(zip(found.rows["image"], found.rows["photos"], strict=True))
    given = None
    if len(groups.image) == len(found):  # in whose order they are: one row of the pair per group
        place = np.argsort(found.rows["row"].to_numpy(), kind="stable")
        given = np.array([found.labels.index(name) for name in found.predicted[place]])
    wrong = wrong_rows(groups.image, groups.label, groups.probabilities, groups.labels, given)
    return [
        MisclassifiedGroup(one.image, int(photos[one.image]), one.label, one.predicted, one.confidence)
        for one in wrong
    ]


@dataclass(eq=False)
class DuplicatePair(Record):
    """Two photos that are the same picture; `conflict` where both labels are known, and different."""

    image: str
    label: str | None
    other: str
    other_label: str | None
    similarity: float
    identical: bool
    conflict: bool


@dataclass(eq=False)
class DuplicateCounts(Record):
    """How many pairs are byte-identical, near-identical, and in conflict, and how many images are in any pair."""

    identical: int
    near: int
    conflict: int
    images: int


@dataclass(eq=False, kw_only=True)
class NearDuplicates(Record):
    """What near-duplicates do to the accuracy of the best pair: without, and with, keeping them together.

    `images` are in any pair, `parted` of them were tested by heads trained on their near-duplicate. Both accuracies
    are None where only one was measured.
    """

    features: str | None
    threshold: float | None
    images: int
    counts: DuplicateCounts
    pairs: list[DuplicatePair]
    parted: int
    accuracy_at_random: float | None
    accuracy_together: float | None
    words: str = ""


@dataclass(eq=False, kw_only=True)
class Shortcuts(Record):
    """How well camera, file and mean colours alone predict the labels.

    `best` is the balanced accuracy of the best features, `kinds` that by each kind of value alone, the strongest
    first.
    """

    accuracy: Interval
    balanced_accuracy: float
    chance: float
    best: float
    found: bool
    criterion: str
    kinds: dict[str, float]
    words: str = ""


@dataclass(eq=False)
class BorderScores(Record):
    """How often one head is right who sees the border of the photos alone, and who sees all, or the centre alone.

    `border`, `whole` and `centre` are the features, `difference` is whole minus border on the same photos, with a 95 %
    interval.
    """

    border: str
    whole: str
    centre: str | None
    head: str
    border_accuracy: Interval
    whole_accuracy: Interval
    centre_accuracy: Interval | None
    difference: Difference
    found: bool
    criterion: str
    words: str = ""


@dataclass(eq=False)
class CurvePoint(Record):
    """The measurement at one size, the mean over labels and folds; `recall` is the share found by label."""

    images_per_label: int
    n_training: float
    accuracy: Interval
    recall: dict[str, float]


@dataclass(eq=False, kw_only=True)
class Guess(Extrapolation):
    """An accuracy beyond the largest size; a guess, not a measurement."""

    images_per_label: int

    _first = ("images_per_label",)


@dataclass(eq=False)
class Gain(Record):
    """Of one label, the recall at the largest size, the guess with twice as many images, and the rise until then."""

    recall: float
    guess: float
    gain: float


@dataclass(eq=False)
class Rise(Record):
    """By how much the probability of a label rises for its own photos when it counts twice, and its standard error."""

    mean: float
    error: float


@dataclass(eq=False)
class Advice(Record):
    """The label to photograph more of, None where the `rises` of the labels do not tell."""

    label: str | None
    rises: dict[str, Rise]


@dataclass(eq=False)
class CurveMeasurements(Record):
    """A learning curve of one pair; `fit`, `guesses`, the `gains` and the `advice` need four sizes."""

    model: PairName
    points: list[CurvePoint]
    fit: PowerLaw | None
    guesses: list[Guess]
    gains: dict[str, Gain | None]
    advice: Advice | None = None


@dataclass
class ComparisonRecord:
    """The fields of `evaluate.studies.compare.Comparison`."""

    results: list[ResultRow]
    comparisons: list[PairComparison]
    best: BestPair
    warnings: list[str]
    data: DataFacts
    features: Features
    folds: FoldFacts
    seed: int
    predictions: Predictions = field(repr=False)
    table: FeatureTable = field(repr=False)
    duplicates: NearDuplicates | None = None
    shortcuts: Shortcuts | None = None
    borders: list[BorderScores] = field(default_factory=list)
    learning_curve: CurveMeasurements | None = None
    per_group: PerGroup | None = None
    corrections: CorrectedLabels | None = None
    command: str = ""
    title: str = ""
    author: str = ""
    date: str = field(default_factory=run_date)

    kind: ClassVar[str] = "comparison"


@dataclass(eq=False)
class UnseenScores(Record):
    """The accuracy on the photos that a model did not know."""

    images: int
    accuracy: float
    accuracy_interval: Interval


@dataclass(eq=False, kw_only=True)
class TestScores(Scores):
    """The scores of a model on a test set.

    `seen` photos were in the training set, of the `comparable` ones, whose bytes are known; `near` others nearly are
    one of it, `grouped` others share a group with one of it (None where that could not be looked at). `unseen` are
    none of these. `intervals` are of other scores; `expected` is what the operating point promised of new photos when
    the model was trained (None without one, or where an older program trained it).
    """

    accuracy: float
    accuracy_interval: Interval
    intervals: ScoreIntervals
    operating_point: OperatingScores | None
    expected: ShareIntervals | None
    predict_seconds_per_image: float
    seen: int
    comparable: int
    near: int | None
    grouped: int | None
    unseen: UnseenScores | None

    _first = ("accuracy", "accuracy_interval")
    __test__: ClassVar[bool] = False  # pytest collects classes by their name


@dataclass(eq=False)
class TestDetails(Record):
    """What a model took for what, its mistakes, and its errors across super-classes and in a tree, where given."""

    confusion: Confusion
    confusion_percent: list[list[float]]
    misclassified: list[Mistake]
    superclasses: SuperclassErrors | None
    taxonomy: TreeScores | None = None

    _if_known = ("taxonomy",)
    __test__: ClassVar[bool] = False


@dataclass(eq=False)
class ModelFacts(Record):
    """The model that was tested; `corrections` counts the labels of its training that were made by hand, if any."""

    head: str
    features: str
    labels: list[str]
    corrections: dict[str, int] | None = None

    _if_known = ("corrections",)


@dataclass
class TestRecord:
    """The fields of `evaluate.studies.testing.TestResult`."""

    __test__: ClassVar[bool] = False

    scores: TestScores
    details: TestDetails
    warnings: list[str]
    data: DataFacts
    features: Features
    model: ModelFacts
    table: FeatureTable = field(repr=False)
    predictions: Predictions = field(repr=False)
    training: FeatureTable | None = field(repr=False, default=None)
    per_group: PerGroup | None = None
    corrections: CorrectedLabels | None = None
    command: str = ""
    title: str = ""
    author: str = ""
    date: str = field(default_factory=run_date)

    kind: ClassVar[str] = "test"


@dataclass
class CurveRecord:
    """The fields of `evaluate.studies.curve.LearningCurve`."""

    points: list[CurvePoint]
    fit: PowerLaw | None
    guesses: list[Guess]
    gains: dict[str, Gain | None]
    warnings: list[str]
    data: DataFacts
    features: Features
    model: PairName
    folds: FoldFacts
    seed: int
    table: FeatureTable = field(repr=False)
    advice: Advice | None = None
    corrections: CorrectedLabels | None = None
    command: str = ""
    title: str = ""
    author: str = ""
    date: str = field(default_factory=run_date)

    kind: ClassVar[str] = "curve"


@dataclass
class DuplicatesRecord:
    """The fields of `evaluate.checks.duplicates.Duplicates`."""

    pairs: list[DuplicatePair]
    rows: np.ndarray = field(repr=False)
    features: str | None
    threshold: float | None
    exact: bool
    images: int
    table: FeatureTable = field(repr=False)
    command: str = ""
    title: str = ""
    author: str = ""
    date: str = field(default_factory=run_date)

    kind: ClassVar[str] = "duplicates"

    @property
    def counts(self) -> DuplicateCounts:
        """``identical`` and ``near`` pairs, those in ``conflict``, and ``images`` in any pair."""
        return DuplicateCounts(
            identical=sum(pair.identical for pair in self.pairs),
            near=sum(not pair.identical for pair in self.pairs),
            conflict=sum(pair.conflict for pair in self.pairs),
            images=len(np.unique(self.rows)),
        )

    @cached_property
    def data(self) -> DataFacts:
        """The rows of the table in numbers."""
        return describe_data(self.table)

    @cached_property
    def described(self) -> Features:
        """How the vectors that were compared were made."""
        return describe_features(self.table, [self.features] if self.features not in (None, PHASH) else [])


Result = ComparisonRecord | TestRecord | CurveRecord | DuplicatesRecord
