"""From predictions to numbers: pure functions, scikit-learn's own wherever it has one.

Everywhere ``label`` is the true label and ``predicted`` the most probable one, both arrays of text of shape
(n_images,); ``labels`` are the names of the columns of ``probabilities``, shape (n_images, n_labels).
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


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
