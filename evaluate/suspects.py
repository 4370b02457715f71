"""Labels worth a second look, by confident learning."""

from typing import Any

import numpy as np

from evaluate.scores.mistakes import ByImage


def label_suspects(found: ByImage) -> list[dict[str, Any]]:
    """The images whose given label a head, trained on other images, contradicts with confidence [1]_.

    Each label has its own threshold, the mean probability that its own images get for it, so that a label of
    which heads are never sure is not suspected throughout. An image is a suspect where another label reaches its
    threshold and is the most probable of those that do. Unusual photos are suspects as well as wrong labels: look
    at them, and never drop them unseen.

    Parameters
    ----------
    found : ByImage
        Out-of-fold probabilities, from `evaluate.scores.mistakes.by_image`.

    Returns
    -------
    list of dict
        ``image``, ``label`` (given), ``suggested``, and ``probability`` and ``suggested_probability`` of the two;
        the widest gap first.

    Notes
    -----
    On 750 photos of five flowers, with the labels of 37 (5 %) changed at random, three times: an svm on Inception
    v3 (mixed8) suspected 35 to 43 photos, and 21 to 29 of the 37 were among them; softmax suspected 49 to 60, with
    27 to 34 of the 37. On the photos as they are the svm suspects 8. On twenty random sets of 300 the suspects were
    exactly those of cleanlab 2.9 (``find_label_issues`` with ``filter_by="confident_learning"``).

    References
    ----------
    .. [1] C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident learning: estimating uncertainty in dataset
       labels", J. Artif. Intell. Res. 70 (2021), https://doi.org/10.1613/jair.1.12125

    Examples
    --------
    >>> chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> image, label = np.array(list("abcde")), np.array(["cat", "cat", "cat", "dog", "dog"])
    >>> [one["image"] for one in label_suspects(ByImage(image, label, chances, ["cat", "dog"]))]
    ['c']
    """
    chances, labels = found.probabilities, np.asarray(found.labels, dtype=str)
    given = np.searchsorted(labels, found.label.astype(str))
    present = np.unique(given)
    thresholds = np.full(len(labels), np.inf)
    thresholds[present] = [chances[given == place, place].mean() for place in present]
    confident = np.where(chances >= thresholds, chances, -1.0)
    suggested = confident.argmax(axis=1)
    suspected = (confident.max(axis=1) >= 0) & (suggested != given)
    rows = [
        {
            "image": str(found.image[i]),
            "label": str(labels[given[i]]),
            "suggested": str(labels[suggested[i]]),
            "probability": float(chances[i, given[i]]),
            "suggested_probability": float(chances[i, suggested[i]]),
        }
        for i in np.flatnonzero(suspected)
    ]
    return sorted(rows, key=lambda row: (row["probability"] - row["suggested_probability"], row["image"]))
