"""All scores of a set of predictions, by name: what a row of `compare` and a result of `test` hold."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.metrics as scikit

from evaluate.scores.record import Record
from featurize.errors import UsageError

if TYPE_CHECKING:
    from classify.model.model import OperatingPoint

BINS = 15
TOP = (2, 3, 5)


@dataclass(eq=False)
class AverageScores(Record):
    """Precision, recall and F1 over labels."""

    precision: float
    recall: float
    f1: float


@dataclass(eq=False)
class LabelScores(AverageScores):
    """Precision, recall and F1 of one label (0 where undefined), and `support`, the number of its images."""

    support: float


@dataclass(eq=False)
class Confusion(Record):
    """How many images of each true label (row of `matrix`) were given each predicted label (column).

    With repeats an image counts once: taken for two labels, it counts in parts.
    """

    labels: list[str]
    matrix: list[list[float]]


@dataclass(eq=False)
class ReliabilityBin(Record):
    """The images whose confidence lies above `low` and up to `high`: their mean confidence, and the share right."""

    low: float
    high: float
    images: float
    confidence: float
    accuracy: float


@dataclass(eq=False)
class Ranking(Record):
    """How well the probability of a label ranks its own images before all others; None where nothing can be ranked."""

    roc_auc: float | None
    average_precision: float | None


@dataclass(eq=False)
class PositiveScores(Record):
    """Of two labels, how the one to be found is found; a share of nothing is None.

    Sensitivity is the share of its images that are found, specificity that of the others that are left alone.
    """

    label: str
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    roc_auc: float | None
    average_precision: float | None


@dataclass(eq=False)
class OperatingScores(Record):
    """What an operating point does on these images."""

    positive: str
    threshold: float
    rule: str
    sensitivity: float | None
    specificity: float | None
    precision: float | None


@dataclass(eq=False, kw_only=True)
class Scores(Record):
    """Everything that follows from true labels and probabilities; see `all_scores`."""

    balanced_accuracy: float
    macro_f1: float
    averages: dict[str, AverageScores]
    log_loss: float
    brier: float
    calibration_error: float
    reliability: list[ReliabilityBin]
    top_k: dict[str, float]
    roc_auc: float | None
    average_precision: float | None
    one_vs_rest: dict[str, Ranking]
    per_label: dict[str, LabelScores]
    positive: PositiveScores | None = None

    _if_known = ("positive",)


# Pure functions, scikit-learn's own wherever it has one. Everywhere ``label`` is the true label and ``predicted`` the
# most probable one, both arrays of text of shape (n_images,); ``labels`` name the columns of ``probabilities``.
# ``weight`` says as how much of an image each row counts, where an image has several; None: each row is an image.


def most_probable(probabilities: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """The label with the highest probability in each row; of equals the first, shape (n_images,)."""
    return np.asarray(labels, dtype=object)[np.argmax(probabilities, axis=1)]


def accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """The share of images whose predicted label is the true one, 0 to 1."""
    return float(scikit.accuracy_score(*_text(label, predicted)))


def balanced_accuracy(label: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The mean, over the labels that occur, of the share of their images found again (macro recall)."""
    true, found = _text(label, predicted)
    how: dict[str, Any] = {"average": "macro", "zero_division": 0.0, "sample_weight": weight}
    return float(scikit.recall_score(true, found, labels=np.unique(true), **how))


def log_loss(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> float:
    """The mean of ``-ln(probability of the true label)``: 0 is perfect, ln(n_labels) is guessing.

    A probability of 0 counts as the smallest one that the number format tells from 0: one such image costs about 36.
    """
    # scikit-learn wants the labels in its own sorted order, and more than one of them.
    order = np.argsort(np.asarray(labels, dtype=str))
    names = np.asarray(labels, dtype=str)[order]
    columns = np.asarray(probabilities, dtype=np.float64)[:, order]
    true, columns = np.asarray(label, dtype=str), columns / columns.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        # scikit-learn 1.7 takes more than 20 names for targets, and wonders that all of them differ.
        warnings.filterwarnings("ignore", "The number of unique classes")
        return float(scikit.log_loss(true, columns, labels=names, sample_weight=weight))


def per_label(
    label: np.ndarray, predicted: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> dict[str, LabelScores]:
    """The scores of each label, in the order of `labels`."""
    names = [str(name) for name in labels]
    columns = scikit.precision_recall_fscore_support(
        *_text(label, predicted), labels=names, zero_division=0.0, sample_weight=weight
    )
    *scores, support = (column.tolist() for column in columns)
    rows = zip(*scores, map(_whole, support), strict=True)
    return {name: LabelScores(*row) for name, row in zip(names, rows, strict=True)}


def _whole(number: float) -> float:
    """An int, but for what the adding up of parts of images leaves."""
    return round(number) if abs(number - round(number)) < 1e-6 else float(number)


def averages(
    label: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None = None
) -> dict[str, AverageScores]:
    """Over all labels that occur or were predicted: ``macro`` (labels count the same), ``weighted`` (images do)."""
    rows = {}
    for average in ("macro", "weighted"):
        *scores, _ = scikit.precision_recall_fscore_support(
            *_text(label, predicted), average=average, zero_division=0.0, sample_weight=weight
        )
        rows[average] = AverageScores(*map(float, scores))
    return rows


def confusion(
    label: np.ndarray, predicted: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> Confusion:
    """How many images of each true label were given each predicted label."""
    names = [str(name) for name in labels]
    counts = scikit.confusion_matrix(*_text(label, predicted), labels=names, sample_weight=weight)
    return Confusion(names, [[_whole(count) for count in row] for row in counts.tolist()])


def percent_of_rows(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """The counts of `confusion` in per cent of their row; a row without images is all 0."""
    counts = np.asarray(matrix, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return (100 * counts / np.where(totals > 0, totals, 1)).tolist()


def _text(*columns: Any) -> list[np.ndarray]:
    return [np.asarray(column, dtype=str) for column in columns]


def brier_score(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> float:
    """The mean squared distance between the probabilities and the truth (Brier 1950): 0 is perfect.

    As in scikit-learn it reaches 2 with three labels or more, and 1 with two, where it is halved.
    """
    distance = np.sum((np.asarray(probabilities, dtype=np.float64) - _truth(label, labels)) ** 2, axis=1)
    return float(np.average(distance, weights=weight) / (2 if len(labels) == 2 else 1))


def calibration_error(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> float:
    """The expected calibration error (Guo et al. 2017): how far confidence and accuracy lie apart in 15 bins, 0 to 1.

    It is biased upward where bins hold few images: below 0.03 it says little of a few hundred photos.
    """
    bins = reliability(label, probabilities, labels, weight)
    gaps = sum(one.images * abs(one.confidence - one.accuracy) for one in bins)
    return float(gaps / sum(one.images for one in bins))


def reliability(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> list[ReliabilityBin]:
    """The bins behind `calibration_error` that hold an image, ascending."""
    confidence = np.asarray(probabilities, dtype=np.float64).max(axis=1)
    right = most_probable(probabilities, labels).astype(str) == np.asarray(label, dtype=str)
    # Bins are open below and closed above, so that a probability of 1 lies in the last one.
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    images, found = np.ones(len(place)) if weight is None else weight, []
    for number in np.unique(place).tolist():
        inside = place == number
        means = (float(np.average(of[inside], weights=images[inside])) for of in (confidence, right))
        n_images = _whole(float(images[inside].sum()))
        found.append(ReliabilityBin(number / BINS, (number + 1) / BINS, n_images, *means))
    return found


def top_k(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], weight: np.ndarray | None = None
) -> dict[str, float]:
    """By k (2, 3, 5; fewer than all labels): the share of images whose true label is among the k most probable.

    Of equal probabilities the first column counts as more probable, as for the predicted label.
    """
    order = np.argsort(-np.asarray(probabilities, dtype=np.float64), axis=1, kind="stable")
    hits = np.asarray(labels, dtype=str)[order] == np.asarray(label, dtype=str)[:, None]
    found = {k: hits[:, :k].any(axis=1) for k in TOP if k < len(labels)}
    return {str(k): float(np.average(hit, weights=weight)) for k, hit in found.items()}


def one_vs_rest(
    label: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    fold: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> dict[str, Ranking]:
    """By label, how well its probability ranks its own images before all others; None where nothing can be ranked.

    A `fold` (of each image) that tests nothing but a label, or nothing of it, is left out for that label: its images
    could only be ranked against those of other heads, which were trained on more or less of the label.
    """
    rankings = {}
    chances = np.asarray(probabilities, dtype=np.float64).T
    for name, is_so, chance in zip(labels, _truth(label, labels).T, chances, strict=True):
        ranked = rows_that_rank(is_so, chance, fold)
        is_so, chance, known = is_so[ranked], chance[ranked], bool(ranked.any())
        how = {"sample_weight": None if weight is None else weight[ranked]}
        rankings[str(name)] = Ranking(
            float(scikit.roc_auc_score(is_so, chance, **how)) if known else None,
            float(scikit.average_precision_score(is_so, chance, **how)) if known else None,
        )
    return rankings


def rows_that_rank(is_so: np.ndarray, chance: np.ndarray, fold: np.ndarray | None = None) -> np.ndarray:
    """Which rows lie in a `fold` with images of a label (`is_so`) and with others; all rows are one fold without it.

    Nor do folds matter where the `chance` is the same for all rows: no head ranks anything.
    """
    folds = np.zeros(len(is_so), dtype=np.int64)
    if fold is not None and (chance != chance[0]).any():
        folds = np.unique(fold, return_inverse=True)[1]
    share = np.bincount(folds, is_so) / np.bincount(folds)
    return ((share > 0) & (share < 1))[folds]


def mean_over_labels(rankings: dict[str, Ranking], score: str) -> float | None:
    """The macro average of a score of `one_vs_rest`, over the labels that have one; None where none has."""
    known = [row[score] for row in rankings.values() if row[score] is not None]
    return float(np.mean(known)) if known else None


def _truth(label: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    return np.asarray(label, dtype=str)[:, None] == np.asarray(labels, dtype=str)


def all_scores(
    label: np.ndarray,
    chances: np.ndarray,
    labels: Sequence[str],
    positive: str | None = None,
    predicted: np.ndarray | None = None,
    fold: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Scores:
    """Everything that follows from the true labels and the probabilities `chances`, whose columns are `labels`.

    With `positive`, one of two labels, also how that one is found; `predicted` are the labels given, where something
    else than the highest probability decides. Probabilities of several folds are pooled as they are; `fold`, of each
    image, tells which of them can rank a label (`one_vs_rest`). `weight` is as how much of an image each row counts.
    """
    predicted = most_probable(chances, labels) if predicted is None else predicted
    rankings = one_vs_rest(label, chances, labels, fold, weight)
    means = averages(label, predicted, weight)
    check_positive(labels, positive)
    return Scores(
        balanced_accuracy=balanced_accuracy(label, predicted, weight),
        macro_f1=means["macro"].f1,
        averages=means,
        log_loss=log_loss(label, chances, labels, weight),
        brier=brier_score(label, chances, labels, weight),
        calibration_error=calibration_error(label, chances, labels, weight),
        reliability=reliability(label, chances, labels, weight),
        top_k=top_k(label, chances, labels, weight),
        roc_auc=mean_over_labels(rankings, "roc_auc"),
        average_precision=mean_over_labels(rankings, "average_precision"),
        one_vs_rest=rankings,
        per_label=per_label(label, predicted, labels, weight),
        positive=None
        if positive is None
        else PositiveScores(positive, *_shares(label, predicted, positive, weight), **rankings[positive]),
    )


def scores_at(label: np.ndarray, predicted: np.ndarray, point: "OperatingPoint") -> OperatingScores:
    """What an operating point does on these images."""
    shares = _shares(label, predicted, point.positive)
    return OperatingScores(point.positive, point.threshold, point.rule, *shares)


def _shares(
    label: np.ndarray, predicted: np.ndarray, positive: str, weight: np.ndarray | None = None
) -> list[float | None]:
    """Sensitivity, specificity and precision; a share of nothing is None."""
    is_so, called_so = np.asarray(label) == positive, np.asarray(predicted) == positive
    images = np.ones(len(is_so)) if weight is None else weight
    shares = ((called_so, is_so), (~called_so, ~is_so), (is_so, called_so))
    return [float(np.average(so[of], weights=images[of])) if of.any() else None for so, of in shares]


def check_positive(labels: Sequence[str], positive: str | None) -> None:
    """Refuse a positive label that is unknown, or that is one of more than two."""
    if positive is not None and positive not in labels:
        raise UsageError(
            f"the positive label {positive!r} is none of the {len(labels)} labels",
            f"the labels are {', '.join(labels)}",
        )
    if positive is not None and len(labels) != 2:
        raise UsageError(
            f"sensitivity and specificity are of two labels, and here are {len(labels)}",
            "merge the others into one with a relabelling (--relabel), or read the recall of each label",
        )
