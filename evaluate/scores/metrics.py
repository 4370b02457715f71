"""All scores of a set of predictions, by name: what a row of `compare` and a result of `test` hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from classify.training.thresholds import OperatingPoint
from evaluate import metrics, probabilities
from featurize.errors import UsageError


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
        predicted = metrics.most_probable(chances, labels)
    ranks = probabilities.one_vs_rest(label, chances, labels)
    scores = {
        "balanced_accuracy": metrics.balanced_accuracy(label, predicted),
        "macro_f1": metrics.macro_f1(label, predicted),
        "averages": metrics.averages(label, predicted),
        "log_loss": metrics.log_loss(label, chances, labels),
        "brier": probabilities.brier_score(label, chances, labels),
        "calibration_error": probabilities.calibration_error(label, chances, labels),
        "reliability": probabilities.reliability(label, chances, labels),
        "top_k": probabilities.top_k(label, chances, labels),
        "roc_auc": probabilities.mean_over_labels(ranks, "roc_auc"),
        "average_precision": probabilities.mean_over_labels(ranks, "average_precision"),
        "one_vs_rest": ranks,
        "per_label": metrics.per_label(label, predicted, labels),
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
