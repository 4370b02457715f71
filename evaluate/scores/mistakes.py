"""Which photos go wrong: by the best head, by every head, and which are the hardest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classify.folds import Fold
from classify.similar import directions
from evaluate.scores import metrics
from evaluate.scores.crossval import Predictions
from featurize.errors import UsageError
from featurize.files import read_csv
from featurize.table import FeatureTable

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


# -- Labels worth a second look, by confident learning ---------------------------------------------------


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


# -- Mistakes within a super-class and across: steel taken for rusty steel, or for aluminium -------------


def superclass_errors(
    label: np.ndarray, predicted: np.ndarray, superclasses: Mapping[str, str]
) -> dict[str, Any]:
    """How many errors stay inside a super-class, and how many cross to another.

    Parameters
    ----------
    label, predicted : array of str, shape (n_images,)
    superclasses : mapping of str to str
        Super-class by label, for every label of either array.

    Returns
    -------
    dict
        ``errors``, of which ``inside`` and ``crossing``; ``accuracy``, the share of images put into the right
        super-class; ``confusion`` between the super-classes.

    Examples
    --------
    >>> found = superclass_errors(["rusty steel", "steel", "copper"], ["steel", "copper", "copper"],
    ...     {"steel": "iron", "rusty steel": "iron", "copper": "copper"})
    >>> found["errors"], found["inside"], found["crossing"]
    (2, 1, 1)
    """
    label, predicted = np.asarray(label, dtype=str), np.asarray(predicted, dtype=str)
    above = np.array([superclasses[name] for name in label.tolist()])
    found = np.array([superclasses[name] for name in predicted.tolist()])
    errors, crossing = int((label != predicted).sum()), int((above != found).sum())
    return {
        "errors": errors,
        "inside": errors - crossing,
        "crossing": crossing,
        "accuracy": metrics.accuracy(above, found),
        "confusion": metrics.confusion(above, found, sorted(set(superclasses.values()))),
    }


def superclasses_in_words(found: Mapping[str, Any]) -> str:
    """``59 of 60 errors cross from one super-class to another, 1 stays inside``."""
    if not found["errors"]:
        return "there are no errors, neither inside a super-class nor across"
    stay = "stays" if found["inside"] == 1 else "stay"
    cross = "crosses" if found["errors"] == 1 else "cross"
    return (
        f"{found['crossing']} of {found['errors']} error{'s' * (found['errors'] != 1)} {cross} from one "
        f"super-class to another, {found['inside']} {stay} inside"
    )


def check_superclasses(superclasses: Mapping[str, str], labels: Sequence[str]) -> dict[str, str]:
    """The super-classes of `labels` alone.

    Raises
    ------
    UsageError
        If a label has none, or all labels have the same one.
    """
    missing = [name for name in labels if not superclasses.get(name)]
    if missing:
        raise UsageError(
            f"{len(missing)} of {len(labels)} labels have no super-class: {', '.join(missing)}",
            "give each label a line label,superclass",
        )
    mine = {name: superclasses[name] for name in labels}
    if len(set(mine.values())) < 2:
        raise UsageError(
            f"all {len(labels)} labels have the super-class {mine[labels[0]]}: no error could cross",
            "name two super-classes or more",
        )
    return mine


def read_superclasses(path: str | Path) -> dict[str, str]:
    """Super-class by label, from a CSV file in UTF-8 with the columns ``label,superclass``.

    Raises
    ------
    UsageError
        If the file cannot be read, its columns are others, a line is not whole, or a label has two lines.
    """
    found: dict[str, str] = {}
    for number, line in read_csv(path, ("label", "superclass"), "super-class map"):
        label, superclass = line["label"].strip(), line["superclass"].strip()
        if not (label and superclass) or label in found:
            raise UsageError(
                f"line {number} of {path} is {f'{label},{superclass}'!r}",
                "give each label one line: the label, a comma, its super-class",
            )
        found[label] = superclass
    return found


# -- The training photos that a tested photo resembles most: what its head may have gone by --------------

TOP = 3
LOOKED_AT = 60
ROWS_AT_ONCE = 4096
ROWS_TO_SCALE = 5000


def nearest_rows(
    X: np.ndarray,
    training: np.ndarray,
    widths: Sequence[int],
    top: int = TOP,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `X` the `top` rows of `training` that point most nearly the same way.

    Both are scaled block by block as registered heads scale them (`classify.scaling.BlockScaler`, fitted on at most
    5,000 rows of `training`), so that a few texture numbers are heard beside a network's thousand.

    Parameters
    ----------
    X, training : array of shape (n_rows, width) and (n_training, width), float32
    widths : sequence of int
        The widths of the blocks, from left to right.
    top : int
    rows_at_once : int
        So many training rows are compared at once.

    Returns
    -------
    rows : array of shape (n_rows, min(top, n_training)), int64
        Rows of `training`, the most similar first.
    similarity : array of the same shape, float32
        Cosine, -1 to 1.

    Examples
    --------
    >>> training = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    >>> nearest_rows(np.array([[0.9, 0.2]], dtype=np.float32), training, [2], top=2)[0]
    array([[0, 1]])
    """
    from classify.heads.scaling import BlockScaler

    scaler = BlockScaler(list(widths)).fit(training[:: -(-len(training) // ROWS_TO_SCALE)])
    mine, top = directions(scaler.transform(X)), min(top, len(training))
    rows = np.zeros((len(X), 0), dtype=np.int64)
    similarity = np.zeros((len(X), 0), dtype=np.float32)
    for start in range(0, len(training), rows_at_once):
        some = mine @ directions(scaler.transform(training[start : start + rows_at_once])).T
        numbers = np.broadcast_to(np.arange(start, start + some.shape[1]), some.shape)
        rows, similarity = np.hstack([rows, numbers]), np.hstack([similarity, some])
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :top]
        rows, similarity = (
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(similarity, order, axis=1),
        )
    return rows, similarity


def nearest_in_folds(
    table: FeatureTable, features: str, folds: Sequence[Fold], wrong: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """`wrong` with ``nearest``: the training photos that each image resembles most, by the head that got it wrong.

    Parameters
    ----------
    table : FeatureTable
    features : str
    folds : sequence of Fold
        The training side is that of the first fold that tests the image; distorted copies are left out.
    wrong : sequence of dict
        From `evaluate.scores.mistakes.misclassified`; only the first 60, which a report shows, are looked at.

    Returns
    -------
    list of dict
        The same rows; ``nearest`` is a list of ``image, label, similarity``, and None beyond the first 60.
    """
    photos = np.flatnonzero(table.variant == 0)
    row_of = dict(zip(table.image[photos], photos, strict=True))
    asked = {int(row_of[one["image"]]) for one in wrong[:LOOKED_AT]}
    found: dict[str, list[dict[str, Any]]] = {}
    for fold in folds:
        mine = np.array([row for row in fold.testing if int(row) in asked], dtype=np.int64)
        if len(mine):
            training = fold.training[table.variant[fold.training] == 0]
            found |= _nearest(table.filter(mine), table.filter(training), features)
            asked -= set(mine.tolist())
    return [{**one, "nearest": found.get(one["image"])} for one in wrong]


def nearest_in_table(
    tested: FeatureTable, training: FeatureTable | None, features: str, wrong: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The same for a model: `training` is the table that it was trained on; None where that was not given."""
    photos = {one["image"] for one in wrong[:LOOKED_AT]} if training is not None else set()
    found = {}
    if training is not None and photos:
        mine = tested.filter(np.isin(tested.image, list(photos)) & (tested.variant == 0))
        found = _nearest(mine, training.filter(training.variant == 0), features)
    return [{**one, "nearest": found.get(one["image"])} for one in wrong]


def _nearest(tested: FeatureTable, training: FeatureTable, features: str) -> dict[str, list[dict[str, Any]]]:
    rows, similarity = nearest_rows(
        tested.select(features), training.select(features), tested.widths(features)
    )
    return {
        str(image): [
            {
                "image": str(training.image[row]),
                "label": str(training.label[row]),
                "similarity": float(min(1.0, how)),
            }
            for row, how in zip(mine, alike, strict=True)
        ]
        for image, mine, alike in zip(tested.image, rows, similarity, strict=True)
    }
