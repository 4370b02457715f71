"""All scores of a set of predictions, by name: what a row of `compare` and a result of `test` hold."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from classify.model.model import OperatingPoint
from featurize.errors import UsageError

# -- From predictions to numbers: pure functions, scikit-learn's own wherever it has one -----------------

# Everywhere ``label`` is the true label and ``predicted`` the most probable one, both arrays of text of shape
# (n_images,); ``labels`` are the names of the columns of ``probabilities``, shape (n_images, n_labels).


def most_probable(probabilities: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """The label with the highest probability in each row; of equals the first, shape (n_images,).

    >>> most_probable(np.array([[0.2, 0.8], [0.5, 0.5]]), ["cat", "dog"]).tolist()
    ['dog', 'cat']
    """
    return np.asarray(labels, dtype=object)[np.argmax(probabilities, axis=1)]


def accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """The share of images whose predicted label is the true one, 0 to 1."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(*_text(label, predicted)))


def balanced_accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """The mean, over the labels that occur, of the share of their images found again (macro recall).

    >>> balanced_accuracy(["cat", "cat", "cat", "dog"], ["cat", "cat", "cat", "cat"])
    0.5
    """
    from sklearn.metrics import recall_score

    true, found = _text(label, predicted)
    return float(recall_score(true, found, labels=np.unique(true), average="macro", zero_division=0.0))


def macro_f1(label: np.ndarray, predicted: np.ndarray) -> float:
    """The mean of the F1 of all labels that occur or were predicted; every label counts the same."""
    from sklearn.metrics import f1_score

    true, found = _text(label, predicted)
    return float(f1_score(true, found, average="macro", zero_division=0.0))


def log_loss(label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> float:
    """The mean of ``-ln(probability of the true label)``: 0 is perfect, ln(n_labels) is guessing.

    It punishes a head that is sure and wrong; accuracy does not. A probability of 0 counts as the smallest
    one that the number format tells from 0, so one such image costs about 36, not infinity.
    """
    from sklearn.metrics import log_loss as score

    # scikit-learn wants the labels in its own sorted order, and more than one of them.
    order = np.argsort(np.asarray(labels, dtype=str))
    names = np.asarray(labels, dtype=str)[order]
    columns = np.asarray(probabilities, dtype=np.float64)[:, order]
    true, columns = np.asarray(label, dtype=str), columns / columns.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        # scikit-learn 1.7 takes more than 20 names for targets, and wonders that all of them differ.
        warnings.filterwarnings("ignore", "The number of unique classes")
        return float(score(true, columns, labels=names))


def per_label(label: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Per label: precision, recall and F1 (0 where undefined), and support, the number of its images.

    Returns
    -------
    dict of str to dict
        ``{"cat": {"precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 2}, ...}``, in the order of `labels`.
    """
    from sklearn.metrics import precision_recall_fscore_support as scores

    names = [str(name) for name in labels]
    columns = scores(*_text(label, predicted), labels=names, zero_division=0.0)
    return {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(names, *columns, strict=True)
    }


def averages(label: np.ndarray, predicted: np.ndarray) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 over all labels that occur or were predicted.

    Returns
    -------
    dict
        ``macro``, where every label counts the same, and ``weighted``, where every image does; each holds
        ``precision``, ``recall`` and ``f1``.

    Examples
    --------
    >>> averages(["cat", "cat", "cat", "dog"], ["cat", "cat", "cat", "cat"])["weighted"]["recall"]
    0.75
    """
    from sklearn.metrics import precision_recall_fscore_support as scores

    true, found = _text(label, predicted)
    rows = {}
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = scores(true, found, average=average, zero_division=0.0)
        rows[average] = {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
    return rows


def confusion(label: np.ndarray, predicted: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """How often each true label (row) was given each predicted label (column).

    Returns
    -------
    dict
        ``labels``, a list of text, and ``matrix``, a list of rows of counts.

    Examples
    --------
    >>> confusion(["cat", "cat", "dog"], ["cat", "dog", "dog"], ["cat", "dog"])
    {'labels': ['cat', 'dog'], 'matrix': [[1, 1], [0, 1]]}
    """
    from sklearn.metrics import confusion_matrix

    names = [str(name) for name in labels]
    matrix = confusion_matrix(*_text(label, predicted), labels=names)
    return {"labels": names, "matrix": matrix.tolist()}


def percent_of_rows(matrix: Sequence[Sequence[int]]) -> list[list[float]]:
    """The counts of `confusion` in per cent of their row; a row without images is all 0.

    >>> percent_of_rows([[3, 1], [0, 0]])
    [[75.0, 25.0], [0.0, 0.0]]
    """
    counts = np.asarray(matrix, dtype=np.float64)
    return (100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).tolist()


def _text(*columns: Any) -> list[np.ndarray]:
    return [np.asarray(column, dtype=str) for column in columns]


# -- Scores of the probabilities themselves: how far off, how honest, how well they rank -----------------

# As in `evaluate.scores.metrics`, ``label`` is an array of text of shape (n_images,), and ``labels`` are the names of the
# columns of ``probabilities``, shape (n_images, n_labels).

BINS = 15
TOP = (2, 3, 5)


def brier_score(label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> float:
    """The mean squared distance between the probabilities and the truth (1 for the true label, 0 for others) [1]_.

    0 is perfect. As in scikit-learn it reaches 2 with three labels or more, and 1 with two, where it is halved.

    References
    ----------
    .. [1] G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
       (1950), https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    Examples
    --------
    >>> round(brier_score(["cat", "dog"], np.array([[0.9, 0.1], [0.4, 0.6]]), ["cat", "dog"]), 3)
    0.085
    """
    truth = _truth(label, labels)
    distance = np.mean(np.sum((np.asarray(probabilities, dtype=np.float64) - truth) ** 2, axis=1))
    return float(distance / (2 if len(labels) == 2 else 1))


def calibration_error(label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> float:
    """The expected calibration error: how far confidence and accuracy lie apart, 0 to 1.

    Images are put into 15 bins of equal width by the probability of the predicted label; the mean, weighted
    by images, of the distance between the mean confidence and the accuracy of each bin [1]_. It is biased
    upward where bins hold few images: below 0.03 it says little of a few hundred photos.

    References
    ----------
    .. [1] C. Guo et al., "On calibration of modern neural networks", ICML 2017,
       https://proceedings.mlr.press/v70/guo17a.html

    Examples
    --------
    Two photos, each predicted with 0.75, one of them wrong:

    >>> calibration_error(["cat", "dog"], np.array([[0.75, 0.25], [0.75, 0.25]]), ["cat", "dog"])
    0.25
    """
    bins = reliability(label, probabilities, labels)
    gaps = sum(one["images"] * abs(one["confidence"] - one["accuracy"]) for one in bins)
    return float(gaps / sum(one["images"] for one in bins))


def reliability(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> list[dict[str, float]]:
    """The bins behind `calibration_error`: is what is said with 80 % right 80 times in 100?

    Returns
    -------
    list of dict
        By bin that holds an image, in ascending order: ``low`` and ``high``, its ends (the upper one belongs to it);
        ``images``; ``confidence``, the mean probability of the predicted label; ``accuracy``, the share that is right.

    Examples
    --------
    >>> (only,) = reliability(["cat", "dog"], np.array([[0.75, 0.25], [0.75, 0.25]]), ["cat", "dog"])
    >>> only["images"], only["confidence"], only["accuracy"]
    (2, 0.75, 0.5)
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    confidence, place = chances.max(axis=1), chances.argmax(axis=1)
    right = np.asarray(labels, dtype=str)[place] == np.asarray(label, dtype=str)
    # Bins are open below and closed above, so that a probability of 1 lies in the last one.
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        {
            "low": one / BINS,
            "high": (one + 1) / BINS,
            "images": int((bins == one).sum()),
            "confidence": float(confidence[bins == one].mean()),
            "accuracy": float(right[bins == one].mean()),
        }
        for one in np.unique(bins).tolist()
    ]


def top_k(label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """By k (2, 3, 5; fewer than all labels): the share of images whose true label is among the k most probable.

    Of equal probabilities the first column counts as more probable, as for the predicted label.

    >>> top_k(["c"], np.array([[0.5, 0.2, 0.3]]), ["a", "b", "c"])
    {'2': 1.0}
    """
    order = np.argsort(-np.asarray(probabilities, dtype=np.float64), axis=1, kind="stable")
    hits = np.asarray(labels, dtype=str)[order] == np.asarray(label, dtype=str)[:, None]
    return {str(k): float(hits[:, :k].any(axis=1).mean()) for k in TOP if k < len(labels)}


def one_vs_rest(
    label: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """By label, how well its probability ranks its own images before all others.

    Returns
    -------
    dict of str to dict
        ``roc_auc``, the chance that an image of the label gets a higher probability for it than another
        image (0.5 is guessing), and ``average_precision``, the mean precision over the ranks of its images.
        Both None where the label, or all other labels, have no image.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, chances = _truth(label, labels), np.asarray(probabilities, dtype=np.float64)
    found: dict[str, dict[str, float | None]] = {}
    for column, name in enumerate(labels):
        mine, chance = truth[:, column], chances[:, column]
        if mine.all() or not mine.any():
            found[str(name)] = {"roc_auc": None, "average_precision": None}
        else:
            found[str(name)] = {
                "roc_auc": float(roc_auc_score(mine, chance)),
                "average_precision": float(average_precision_score(mine, chance)),
            }
    return found


def mean_over_labels(ranks: dict[str, dict[str, float | None]], score: str) -> float | None:
    """The macro average of a score of `one_vs_rest`, over the labels that have one; None where none has."""
    known = [value for value in (row[score] for row in ranks.values()) if value is not None]
    return float(np.mean(known)) if known else None


def _truth(label: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    return np.asarray(label, dtype=str)[:, None] == np.asarray(labels, dtype=str)


def all_scores(
    label: np.ndarray,
    chances: np.ndarray,
    labels: Sequence[str],
    positive: str | None = None,
    predicted: np.ndarray | None = None,
) -> dict[str, Any]:
    """Everything that follows from the true labels and the probabilities, ready for JSON.

    Parameters
    ----------
    label : array of str, shape (n_images,)
        True labels.
    chances : array of shape (n_images, n_labels)
        Probabilities.
    labels : sequence of str
        The names of their columns.
    positive : str, optional
        Of two labels, the one to be found; see `two_class_scores`.
    predicted : array of str, optional
        The labels given, where something else than the highest probability decides.

    Returns
    -------
    dict
        ``balanced_accuracy, macro_f1, averages, log_loss, brier, calibration_error, reliability, top_k, roc_auc,
        average_precision`` (the last two are means over `one_vs_rest`, which is there as well), ``per_label``
        and, with `positive`, ``positive``. Probabilities of several folds are pooled as they are.

    Examples
    --------
    >>> found = all_scores(np.array(["cat", "dog"]), np.array([[0.9, 0.1], [0.2, 0.8]]), ["cat", "dog"], "dog")
    >>> found["roc_auc"], found["positive"]["sensitivity"]
    (1.0, 1.0)
    """
    if predicted is None:
        predicted = most_probable(chances, labels)
    ranks = one_vs_rest(label, chances, labels)
    scores = {
        "balanced_accuracy": balanced_accuracy(label, predicted),
        "macro_f1": macro_f1(label, predicted),
        "averages": averages(label, predicted),
        "log_loss": log_loss(label, chances, labels),
        "brier": brier_score(label, chances, labels),
        "calibration_error": calibration_error(label, chances, labels),
        "reliability": reliability(label, chances, labels),
        "top_k": top_k(label, chances, labels),
        "roc_auc": mean_over_labels(ranks, "roc_auc"),
        "average_precision": mean_over_labels(ranks, "average_precision"),
        "one_vs_rest": ranks,
        "per_label": per_label(label, predicted, labels),
    }
    if positive is not None:
        scores["positive"] = two_class_scores(label, predicted, labels, positive, ranks)
    return scores


def two_class_scores(
    label: np.ndarray,
    predicted: np.ndarray,
    labels: Sequence[str],
    positive: str,
    ranks: dict[str, dict[str, float | None]],
) -> dict[str, Any]:
    """Sensitivity and specificity of a question with two answers, as medicine asks it.

    Returns
    -------
    dict
        ``label``, the positive one; ``sensitivity``, the share of its images that are found; ``specificity``,
        the share of the others that are left alone; ``precision``, the share of the images so called that are
        so; ``roc_auc`` and ``average_precision`` of its probability. A share of nothing is None.

    Raises
    ------
    UsageError
        From `check_positive`.
    """
    check_positive(labels, positive)
    is_so, called_so = np.asarray(label) == positive, np.asarray(predicted) == positive
    return {
        "label": positive,
        "sensitivity": _share(called_so[is_so]),
        "specificity": _share(~called_so[~is_so]),
        "precision": _share(is_so[called_so]),
        **ranks[positive],
    }


def scores_at(label: np.ndarray, predicted: np.ndarray, point: OperatingPoint) -> dict[str, Any]:
    """What an operating point does on these images: its ``positive, threshold, rule``, and the shares found here.

    >>> point = OperatingPoint("ill", 0.2, "recall=0.9", 0.9, 0.8, 0.7, 50, 50)
    >>> found = scores_at(np.array(["ill", "ill", "well"]), np.array(["ill", "well", "well"]), point)
    >>> found["sensitivity"], found["specificity"], found["precision"]
    (0.5, 1.0, 1.0)
    """
    is_so, called_so = np.asarray(label) == point.positive, np.asarray(predicted) == point.positive
    return {
        "positive": point.positive,
        "threshold": point.threshold,
        "rule": point.rule,
        "sensitivity": _share(called_so[is_so]),
        "specificity": _share(~called_so[~is_so]),
        "precision": _share(is_so[called_so]),
    }


def check_positive(labels: Sequence[str], positive: str | None) -> None:
    """Refuse a positive label that is unknown, or that is one of more than two.

    Raises
    ------
    UsageError
        With the labels that there are.
    """
    if positive is None:
        return
    if positive not in labels:
        raise UsageError(
            f"the positive label {positive!r} is none of the {len(labels)} labels",
            f"the labels are {', '.join(labels)}",
        )
    if len(labels) != 2:
        raise UsageError(
            f"sensitivity and specificity are of two labels, and here are {len(labels)}",
            "merge the others into one with a relabelling (--relabel), or read the recall of each label",
        )


def _share(which: np.ndarray) -> float | None:
    return float(which.mean()) if len(which) else None
