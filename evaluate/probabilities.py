"""Scores of the probabilities themselves: how far off, how honest, how well they rank.

As in `evaluate.metrics`, ``label`` is an array of text of shape (n_images,), and ``labels`` are the names of the
columns of ``probabilities``, shape (n_images, n_labels).
"""

from collections.abc import Sequence

import numpy as np

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
