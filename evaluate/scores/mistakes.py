"""Which photos go wrong, by the best head or by all; whose labels are worth a look; what the mistakes resemble."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classify.folds import Fold
from classify.rows import block_weights
from classify.similar import most_similar
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from evaluate.scores.record import Record
from featurize.errors import UsageError
from featurize.files import read_csv
from featurize.table import FeatureTable

N_HARDEST = 20
N_NEAREST = 3
N_WITH_NEAREST = 60  # mistakes whose nearest training photos are looked up: those that a report shows
ROWS_TO_SCALE = 5000


@dataclass(eq=False)
class NearestPhoto(Record):
    """A training photo, and the cosine similarity of its scaled features to those of a tested one."""

    image: str
    label: str
    similarity: float


@dataclass(eq=False)
class Mistake(Record):
    """A misclassified photo; `confidence` is the probability of the predicted label.

    `nearest` are the training photos that it resembles most; None where they were not looked up.
    """

    image: str
    label: str
    predicted: str
    confidence: float
    nearest: list[NearestPhoto] | None = None


@dataclass(eq=False)
class MisclassifiedByAll(Record):
    """A photo that every head predicted wrong, what it was taken for most often, and how often it was predicted."""

    image: str
    label: str
    predicted: str
    times: int


@dataclass(eq=False)
class HardPhoto(Record):
    """A photo, its most probable label on average, and the mean probability of its true one."""

    image: str
    label: str
    predicted: str
    probability: float


@dataclass(eq=False)
class Suspect(Record):
    """A photo whose given label is contradicted with confidence, and the probabilities of both labels."""

    image: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float


@dataclass(eq=False)
class SuperclassErrors(Record):
    """How many errors stay inside a super-class, and how many cross to another.

    `accuracy` is the share of images put into the right super-class, `confusion` that between the super-classes.
    """

    errors: int
    inside: int
    crossing: int
    accuracy: float
    confusion: metrics.Confusion


@dataclass(frozen=True)
class ByImage:
    """One row per image: its name, its true label, and its probabilities, the mean over repeats."""

    image: np.ndarray
    label: np.ndarray
    probabilities: np.ndarray
    labels: list[str]

    @property
    def right(self) -> np.ndarray:
        """Where the most probable label is the true one."""
        return metrics.most_probable(self.probabilities, self.labels) == self.label


def mean_over_repeats(predictions: Predictions) -> ByImage:
    """The predictions of one pair or of several, averaged to one row per image, in the order of the table."""
    rows, first, places = np.unique(
        predictions.rows["row"].to_numpy(), return_index=True, return_inverse=True
    )
    total = np.zeros((len(rows), len(predictions.labels)))
    np.add.at(total, places, predictions.probabilities)
    mean = total / np.bincount(places)[:, None]
    image = predictions.rows["image"].to_numpy()[first]
    return ByImage(image, predictions.label[first], mean, predictions.labels)


def misclassified(predictions: Predictions) -> list[Mistake]:
    """The images that one pair predicted wrong, most confident first; with repeats by the mean of the probabilities."""
    photos = mean_over_repeats(predictions)
    return wrong_rows(photos.image, photos.label, photos.probabilities, photos.labels)


def wrong_rows(
    image: np.ndarray,
    label: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    given: np.ndarray | None = None,
) -> list[Mistake]:
    """The wrong ones, most confident first; `given` are the columns of the labels given, by default the likeliest."""
    given = probabilities.argmax(axis=1) if given is None else given
    confidence = probabilities[np.arange(len(given)), given]
    wrong = [
        Mistake(str(name), str(true), str(labels[column]), float(sure))
        for name, true, column, sure in zip(image, label, given, confidence, strict=True)
        if true != labels[column]
    ]
    return sorted(wrong, key=lambda one: (-one.confidence, one.image))


def non_dummy_heads(heads: Iterable[tuple[str, str]]) -> list[str]:
    """The heads without `DummyClassifier`, which ignores the vectors; where there is no other, that one.

    `heads` are names and what they stand for, as `classify.heads.fitting.classifier_of` has it.
    """
    given = dict(heads)
    return [head for head, classifier in given.items() if not is_dummy(classifier)] or list(given)


def is_dummy(classifier: str) -> bool:
    """Whether a head answers without looking, by what it is."""
    return classifier.partition(":")[0].rpartition(".")[2] in ("dummy", "DummyClassifier")


def misclassified_by_all(predictions: Predictions, features: str) -> list[MisclassifiedByAll]:
    """The images that every head but a dummy, in every repeat, predicted wrong on `features`; sorted by name."""
    some = _on(predictions, features)
    row, image, label, predicted = some.rows["row"], some.rows["image"], some.label, some.predicted
    taken: dict[tuple[int, str, str], list[str]] = {}
    for number, name, true, other in zip(row, image, label, predicted, strict=True):
        taken.setdefault((number, str(name), str(true)), []).append(str(other))
    found = [
        MisclassifiedByAll(name, true, Counter(others).most_common(1)[0][0], len(others))
        for (_, name, true), others in taken.items()
        if true not in others
    ]
    return sorted(found, key=lambda one: one.image)


def hardest(predictions: Predictions, features: str) -> list[HardPhoto]:
    """The twenty images whose true label all heads but a dummy, in all repeats, hold least probable on `features`."""
    photos = mean_over_repeats(_on(predictions, features))
    names = list(photos.labels)
    own = photos.probabilities[np.arange(len(photos.label)), [names.index(str(one)) for one in photos.label]]
    predicted = metrics.most_probable(photos.probabilities, names)
    order = sorted(range(len(own)), key=lambda i: (own[i], str(photos.image[i])))[:N_HARDEST]
    return [
        HardPhoto(str(photos.image[i]), str(photos.label[i]), str(predicted[i]), float(own[i])) for i in order
    ]


def _on(predictions: Predictions, features: str) -> Predictions:
    """The predictions on `features` by the heads that look."""
    times = predictions.times[predictions.times["features"] == features]
    return predictions.of(features, *non_dummy_heads(zip(times["head"], times["classifier"], strict=True)))


def label_suspects(photos: ByImage) -> list[Suspect]:
    """The images whose label a head, trained on other images, contradicts with confidence; widest gap first [1]_.

    Each label has its own threshold, the mean probability that its own images get for it. An image is a suspect where
    another label reaches its threshold and is the most probable of those that do: the same as cleanlab's
    ``find_label_issues`` with ``filter_by="confident_learning"``.

    .. [1] C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident learning: estimating uncertainty in dataset
       labels", J. Artif. Intell. Res. 70 (2021), https://doi.org/10.1613/jair.1.12125
    """
    chances, labels = photos.probabilities, np.asarray(photos.labels, dtype=str)
    given = np.searchsorted(labels, photos.label.astype(str))
    present = np.unique(given)
    thresholds = np.full(len(labels), np.inf)
    thresholds[present] = [chances[given == place, place].mean() for place in present]
    confident = np.where(chances >= thresholds, chances, -1.0)
    suggested = confident.argmax(axis=1)
    suspected = (confident.max(axis=1) >= 0) & (suggested != given)
    suspects = []
    for i in np.flatnonzero(suspected):
        names = (str(photos.image[i]), str(labels[given[i]]), str(labels[suggested[i]]))
        suspects.append(Suspect(*names, float(chances[i, given[i]]), float(chances[i, suggested[i]])))
    return sorted(suspects, key=lambda one: (one.probability - one.suggested_probability, one.image))


def superclass_errors(
    label: np.ndarray, predicted: np.ndarray, superclasses: Mapping[str, str]
) -> SuperclassErrors:
    """How many errors stay inside a super-class, and how many cross; `superclasses` holds all labels of both arrays."""
    label, predicted = np.asarray(label, dtype=str), np.asarray(predicted, dtype=str)
    above, found = (np.array([superclasses[name] for name in names.tolist()]) for names in (label, predicted))
    errors, crossing = int((label != predicted).sum()), int((above != found).sum())
    confusion = metrics.confusion(above, found, sorted(set(superclasses.values())))
    return SuperclassErrors(errors, errors - crossing, crossing, metrics.accuracy(above, found), confusion)


def check_superclasses(superclasses: Mapping[str, str], labels: Sequence[str]) -> dict[str, str]:
    """The super-classes of `labels` alone; refused where a label has none, or all have the same one."""
    missing = [name for name in labels if not superclasses.get(name)]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(labels)} labels have no super-class: {', '.join(missing)}",
            "give each label a line label,superclass",
        )
    asked = {name: superclasses[name] for name in labels}
    if len(set(asked.values())) < 2:
        raise UsageError(
            f"all {len(labels)} labels have the super-class {asked[labels[0]]}: no error could cross",
            "name two super-classes or more",
        )
    return asked


def read_superclasses(path: str | Path) -> dict[str, str]:
    """Super-class by label, from a CSV file with the columns ``label,superclass``."""
    found: dict[str, str] = {}
    columns = "label", "superclass"
    for number, line in read_csv(path, columns, "super-classes", key=lambda line: (line["label"].strip(),)):
        label, superclass = line["label"].strip(), line["superclass"].strip()
        if not (label and superclass):
            raise UsageError(
                f"line {number} of {path} is {f'{label},{superclass}'!r}",
                "give each label one line: the label, a comma, its super-class",
            )
        found[label] = superclass
    return found


def nearest_rows(
    X: np.ndarray,
    training: np.ndarray,
    widths: Sequence[int],
    top: int = N_NEAREST,
    rows_at_once: int = 4096,
    block_weights: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `X` the `top` rows of `training` that point most nearly the same way, and their cosine.

    Both are scaled block by block as heads scale them, so that a few texture numbers are heard beside a network's
    thousand; `widths` are those of the blocks, from left to right, and `block_weights` what each counts.
    """
    from classify.heads.scaling import BlockScaler

    scaler = BlockScaler(list(widths), block_weights=block_weights)
    scaler = scaler.fit(training[:: -(-len(training) // ROWS_TO_SCALE)]).plain()
    return most_similar(scaler.transform(X), training, top, prepare=scaler.transform, block=rows_at_once)


def nearest_in_folds(
    table: FeatureTable, features: str, folds: Sequence[Fold], wrong: Sequence[Mistake]
) -> list[Mistake]:
    """`wrong` with ``nearest``: for the first 60, the training photos that each image resembles most.

    The training side is that of the first fold that tests the image, without distorted copies.
    """
    photos = np.flatnonzero(table.variant == 0)
    row_of = dict(zip(table.image[photos], photos, strict=True))
    asked = {int(row_of[one.image]) for one in wrong[:N_WITH_NEAREST]}
    found: dict[str, list[NearestPhoto]] = {}
    for fold in folds:
        tested = np.array([row for row in fold.testing if int(row) in asked], dtype=np.int64)
        if len(tested):
            training = fold.training[table.variant[fold.training] == 0]
            found |= _nearest(table.filter(tested), table.filter(training), features)
            asked -= set(tested.tolist())
    return [replace(one, nearest=found.get(one.image)) for one in wrong]


def nearest_in_table(
    tested: FeatureTable, training: FeatureTable | None, features: str, wrong: Sequence[Mistake]
) -> list[Mistake]:
    """The same for a model: `training` is the table that it was trained on; None where that was not given."""
    found = {}
    if training is not None and wrong:
        photos = [one.image for one in wrong[:N_WITH_NEAREST]]
        shown = tested.filter(np.isin(tested.image, photos) & (tested.variant == 0))
        found = _nearest(shown, training.filter(training.variant == 0), features)
    return [replace(one, nearest=found.get(one.image)) for one in wrong]


def _nearest(tested: FeatureTable, training: FeatureTable, features: str) -> dict[str, list[NearestPhoto]]:
    vectors = tested.select(features), training.select(features)
    weights = block_weights(training, features)
    rows, similarity = nearest_rows(*vectors, training.blocks(features), block_weights=weights)
    return {
        str(image): [
            NearestPhoto(str(training.image[row]), str(training.label[row]), float(min(1.0, how)))
            for row, how in zip(near, cosines, strict=True)
        ]
        for image, near, cosines in zip(tested.image, rows, similarity, strict=True)
    }
