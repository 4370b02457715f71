"""Which photos go wrong: by the best head, by every head, and which are the hardest."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate import metrics
from evaluate.scores.crossval import Predictions

HARDEST = 20


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


def by_image(mine: Predictions) -> ByImage:
    """The predictions of one pair or of several, averaged to one row per image, in the order of the table."""
    rows, first, places = np.unique(mine.rows["row"].to_numpy(), return_index=True, return_inverse=True)
    total = np.zeros((len(rows), len(mine.labels)))
    np.add.at(total, places, mine.probabilities)
    mean = total / np.bincount(places)[:, None]
    return ByImage(mine.rows["image"].to_numpy()[first], mine.label[first], mean, mine.labels)


def misclassified(mine: Predictions) -> list[dict[str, Any]]:
    """The images that were predicted wrong, the surest first; with repeats by the mean of the probabilities.

    Returns
    -------
    list of dict
        ``image``, ``label``, ``predicted`` and ``confidence`` (probability of the predicted label).
    """
    found = by_image(mine)
    return wrong_rows(found.image, found.label, found.probabilities, found.labels)


def wrong_rows(
    image: np.ndarray,
    label: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    given: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """``image, label, predicted, confidence`` of the wrong ones, the surest first, then by name.

    `given` are the columns of the labels given, by default those of the highest probability.
    """
    given = probabilities.argmax(axis=1) if given is None else given
    predicted, confidence = (
        np.asarray(labels, dtype=object)[given],
        probabilities[np.arange(len(given)), given],
    )
    wrong = [
        {"image": str(i), "label": str(t), "predicted": str(p), "confidence": float(c)}
        for i, t, p, c in zip(image, label, predicted, confidence, strict=True)
        if t != p
    ]
    return sorted(wrong, key=lambda row: (-row["confidence"], row["image"]))


def looking(heads: Iterable[str]) -> list[str]:
    """Those of the heads that look at the vectors: a dummy, which does not, only where there is no other.

    >>> looking(["svm", "dummy:strategy=prior", "svm"]), looking(["dummy"])
    (['svm'], ['dummy'])
    """
    given = list(dict.fromkeys(heads))
    return [head for head in given if not is_dummy(head)] or given


def is_dummy(head: str) -> bool:
    """Whether a head answers without looking, by its name."""
    return head.partition(":")[0].rpartition(".")[2] in ("dummy", "DummyClassifier")


def wrong_every_time(predictions: Predictions, features: str) -> list[dict[str, Any]]:
    """The images that every head, in every repeat, predicted wrong on `features`.

    Such an image is unlike the others of its label, or carries a wrong label: look at it. A dummy is not asked, for it
    would pardon every image of the label that it always answers.

    Parameters
    ----------
    predictions : Predictions
    features : str
        One of the features that were compared. Others would let a weak one pardon an image by luck.

    Returns
    -------
    list of dict
        ``image``, ``label``, ``predicted`` (what it was taken for most often) and ``times``, how often it
        was predicted; sorted by name.
    """
    mine = _on(predictions, features)
    predicted, label = mine.predicted, mine.label
    image, row = mine.rows["image"].to_numpy(), mine.rows["row"].to_numpy()
    taken: dict[int, list[str]] = {}
    for number, name in zip(row.tolist(), predicted, strict=True):
        taken.setdefault(number, []).append(str(name))
    pardoned = set(row[predicted == label].tolist())
    first = dict(zip(row.tolist(), zip(image, label, strict=True), strict=True))
    found = [
        {
            "image": str(first[number][0]),
            "label": str(first[number][1]),
            "predicted": Counter(names).most_common(1)[0][0],
            "times": len(names),
        }
        for number, names in taken.items()
        if number not in pardoned
    ]
    return sorted(found, key=lambda one: one["image"])


def hardest(predictions: Predictions, features: str) -> list[dict[str, Any]]:
    """The twenty images whose true label all heads but a dummy, in all repeats, hold least probable on `features`.

    Returns
    -------
    list of dict
        ``image``, ``label``, ``predicted`` (most probable on average) and ``probability`` (mean probability of
        the true label), the smallest first.
    """
    found = by_image(_on(predictions, features))
    names = list(found.labels)
    own = found.probabilities[np.arange(len(found.label)), [names.index(str(one)) for one in found.label]]
    predicted = metrics.most_probable(found.probabilities, names)
    order = sorted(range(len(own)), key=lambda i: (own[i], str(found.image[i])))[:HARDEST]
    return [
        {
            "image": str(found.image[i]),
            "label": str(found.label[i]),
            "predicted": str(predicted[i]),
            "probability": float(own[i]),
        }
        for i in order
    ]


def _on(predictions: Predictions, features: str) -> Predictions:
    """The predictions on `features` by the heads that look."""
    times, rows = predictions.times, predictions.rows
    heads = looking(times["head"][times["features"] == features])
    chosen = ((rows["features"] == features) & rows["head"].isin(heads)).to_numpy()
    timed = ((times["features"] == features) & times["head"].isin(heads)).to_numpy()
    return Predictions(
        rows[chosen].reset_index(drop=True),
        predictions.probabilities[chosen],
        predictions.labels,
        times[timed].reset_index(drop=True),
    )
