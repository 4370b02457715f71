"""What a model says of images: the public `Predictions`, and how they are made of a table's vectors."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from classify.model.answers import AnswerRule, Answers
from classify.model.model import Model, OperatingPoint
from classify.rows import select_vectors
from featurize.errors import UsageError
from featurize.table import FeatureTable


@dataclass(eq=False, repr=False)
class Predictions:
    """What a model says about some images; `rejects` are files that could not be read, each with the reason."""

    image: list[str]  # relative to the source of the table, or as the files were given
    labels: list[str]  # what the model tells apart: the columns of the probabilities
    probabilities: np.ndarray  # (n_images, n_labels), float64
    outlier: list[bool | None]  # looks like nothing in the training; None where the model cannot say
    rejects: list[tuple[str, str]] = field(default_factory=list)
    # From the training photos, (n_images,), float32; NaN where the model cannot say.
    distance: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    operating_point: OperatingPoint | None = None  # what decides, instead of the highest probability
    n_seen: int = 0  # how many of the images were among those of the training
    rule: AnswerRule | None = None  # what answers where no label is probable enough
    threshold: float | None = None  # how probable an answer must be, instead of what the rule says

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        counts = Counter(self.label).most_common()
        shown = ", ".join(f"{label} {n}" for label, n in counts[:6]) + (", …" if len(counts) > 6 else "")
        n_outliers = sum(map(bool, self.outlier))
        outliers = f"; {n_outliers} look like nothing in the training" if n_outliers else ""
        left_out = f"; {len(self.rejects)} left out" if self.rejects else ""
        return f"Predictions: {len(self)} photos; {shown or 'none'}{outliers}{left_out}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.to_frame().head(10).to_html(float_format='{:.4f}'.format)}"

    def to_frame(self) -> Any:
        """A pandas DataFrame: ``image, label, confidence, outlier``, and one ``probability:LABEL`` per label.

        Where the labels form a tree, ``answer, answer_level, answer_confidence`` come before the probabilities.
        """
        import pandas as pd

        about = {"image": self.image, "label": self.label, "confidence": self.confidence}
        outlier = pd.array(self.outlier, dtype="boolean")
        columns = [f"probability:{label}" for label in self.labels]
        frame = pd.DataFrame(about).assign(outlier=outlier)
        if (told := self.answers) is not None:
            frame = frame.assign(answer=told.name, answer_level=told.level, answer_confidence=told.confidence)
        return pd.concat([frame, pd.DataFrame(self.probabilities, columns=columns)], axis=1)

    @property
    def label(self) -> list[str]:
        """The label that each image is given: the most probable one, or by the operating point."""
        return [self.labels[column] for column in self._given]

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that label, shape (n_images,)."""
        return self.probabilities[np.arange(len(self)), self._given]

    @property
    def answers(self) -> Answers | None:
        """Of a model whose labels form a tree: the deepest node that is probable enough, for each image."""
        return None if self.rule is None else self.rule.answers(self.probabilities, self.threshold)

    @property
    def _given(self) -> np.ndarray:
        if self.operating_point is None:
            return self.probabilities.argmax(axis=1)
        return self.operating_point.decide(self.probabilities, self.labels)

    def best(self, row: int, top: int = 0) -> list[tuple[str, float]]:
        """The `top` labels of one image, 0 for all, with probabilities: the given one, then the most probable ones."""
        mine = self.probabilities[row]
        order = np.argsort(-mine, kind="stable").tolist()
        if self.operating_point is not None:
            given = int(self.operating_point.decide(mine[None], self.labels)[0])
            order = [given, *[column for column in order if column != given]]
        return [(self.labels[column], float(mine[column])) for column in order[: top or None]]


def check_min_confidence(model: Model, min_confidence: float | None) -> None:
    """Refuse a probability that is none, or where the model has no tree to answer from."""
    if min_confidence is None:
        return
    if model.answers is None:
        hint = "train it with --taxonomy MAP.csv; each prediction tells its confidence anyway"
        raise UsageError("the model knows no tree of its labels, and always answers with a label", hint)
    if not 0 <= min_confidence <= 1:
        raise UsageError(f"the least confidence is {min_confidence:g}", "give a probability from 0 to 1")


def predict_table(model: Model, table: FeatureTable, *, min_confidence: float | None = None) -> Predictions:
    """Predict the labels of the images of a table; distorted copies (variants) are left out.

    `min_confidence` is as in `Predictor`. A ModelError where the table lacks the model's features, or they were made
    otherwise.

    >>> from classify.training.train import train
    >>> table = FeatureTable.from_arrays(
    ...     {"x": [[0.0], [0.1], [5.0], [5.1]]}, label=["fern", "fern", "moss", "moss"])
    >>> predict_table(train(table), table).label
    ['fern', 'fern', 'moss', 'moss']
    """
    check_min_confidence(model, min_confidence)
    table = model.check_table(table)
    photos = table if (table.variant == 0).all() else table.filter(table.variant == 0)
    X = select_vectors(photos, model.features)
    probabilities = model.predict_proba(X)
    distance = np.full(len(X), np.nan, dtype=np.float32)
    outlier: list[bool | None] = [None] * len(X)
    if model.outliers is not None and len(X):
        distance = model.outliers.distances(X)
        outlier = (distance > model.outliers.threshold).tolist()
    image, n_seen = list(photos.image), int(model.seen(photos.sha256).sum())
    decided = model.operating_point, n_seen, model.answers, min_confidence
    return Predictions(image, model.labels, probabilities, outlier, [], distance, *decided)


def no_predictions(model: Model, rejects: list[tuple[str, str]], min_confidence: float | None) -> Predictions:
    """What is said where no image could be read: the reasons alone."""
    empty = np.empty((0, len(model.labels)))
    no_distance = np.empty(0, dtype=np.float32)
    decided = model.operating_point, 0, model.answers, min_confidence
    return Predictions([], model.labels, empty, [], list(rejects), no_distance, *decided)
