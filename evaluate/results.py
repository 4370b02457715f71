"""What comparisons, tests, learning curves and searches for duplicates found: records, without text or HTML.

The report reads nothing else. The public classes are these records, with methods that call the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from evaluate.provenance import (
    CorrectedLabels,
    DataFacts,
    Features,
    FoldFacts,
    describe_data,
    describe_features,
    run_date,
)
from evaluate.scores.crossval import Predictions
from evaluate.scores.metrics import Confusion, LabelScores, OperatingScores, Scores
from evaluate.scores.mistakes import HardPhoto, MisclassifiedByAll, Mistake, SuperclassErrors, Suspect
from evaluate.scores.record import Record
from evaluate.statistics.differences import PairComparison, PairName
from evaluate.statistics.hierarchy import TreeScores
from evaluate.statistics.intervals import Difference, Interval, ScoreIntervals, ShareIntervals
from evaluate.statistics.per_group import PerGroup
from evaluate.statistics.power_law import Extrapolation, PowerLaw
from featurize.id_columns import PHASH
from featurize.table import FeatureTable

# Of the JSON, by kind. README says what changed.
FORMAT_VERSIONS = {"comparison": 3, "test": 2, "curve": 2, "duplicates": 2}
# What is measured by the clock, and so differs from run to run; in JSON it stands under "run".
TIMES = ("fit_seconds", "predict_seconds_per_image")


@dataclass(frozen=True)
class BeforeRelabelling:
    """The labels of a table that was relabelled: `label` by photo, as its file has it, and the new one by label.

    Corrections are of these, for they come before the relabelling.
    """

    label: Mapping[str, str | None]
    relabel: Mapping[str, str | None]

    @property
    def labels(self) -> list[str]:
        """All that there are, sorted."""
        return sorted({one for one in (*self.label.values(), *self.relabel) if one is not None})

    def only_one_of(self, new: str) -> str | None:
        """The label that became `new`; None where several did."""
        found = [label for label in self.labels if self.relabel.get(label, label) == new]
        return found[0] if len(found) == 1 else None


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


@dataclass(kw_only=True)
class Byline:
    """Which command made a result, and when; title and author of its report."""

    command: str = ""
    title: str = ""
    author: str = ""
    date: str = field(default_factory=run_date)


@dataclass
class ComparisonRecord(Byline):
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
    before_relabelling: BeforeRelabelling | None = field(repr=False, default=None)

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
class TestRecord(Byline):
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
    before_relabelling: BeforeRelabelling | None = field(repr=False, default=None)

    kind: ClassVar[str] = "test"


@dataclass
class CurveRecord(Byline):
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

    kind: ClassVar[str] = "curve"


@dataclass
class DuplicatesRecord(Byline):
    """The fields of `evaluate.checks.duplicates.Duplicates`."""

    pairs: list[DuplicatePair]
    rows: np.ndarray = field(repr=False)
    features: str | None
    threshold: float | None
    exact: bool
    images: int
    table: FeatureTable = field(repr=False)

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
