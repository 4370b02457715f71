"""A head that learns for a set number of steps, so that 1000, 2000 and 4000 steps can be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from classify.heads.spec import parse_head, with_params
from classify.heads.steps import Steps, step_head

OWN = ("steps", "learning_rate", "batch_size")


class Stepped(ClassifierMixin, BaseEstimator):
    """softmax or mlp after exactly `steps` steps of gradient descent, as retrain.py trains its last layer.

    Each photo of a step is drawn by first drawing a label, all with the same chance, and then one of its photos.
    All rows are learnt from and the last state is kept, so that numbers of steps can be compared; `train_model` and
    `classify train`, given the same spec, set photos aside and keep the best state on the way.

    Parameters
    ----------
    head : str
        The spec of a softmax or an mlp, without the parameters below.
    steps : int
    learning_rate : float, optional
        By default 0.01 for softmax, as in retrain.py, and 0.001 for mlp.
    batch_size : int
        Photos per step.
    widths : list of int, optional
        The widths of the blocks of features, which are scaled block by block.
    seed : int

    Attributes
    ----------
    pipeline_ : the scaling and the classifier, fitted
    classes_ : array of shape (n_labels,)

    Raises
    ------
    UsageError
        If the head cannot learn step by step, or a number is out of range.

    Examples
    --------
    >>> X, y = np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> Stepped(steps=200).fit(X, y).predict(X[[0, -1]]).tolist()
    ['fern', 'moss']
    """

    def __init__(
        self,
        head: str = "softmax",
        steps: int = 4000,
        learning_rate: float | None = None,
        batch_size: int = 100,
        widths: list[int] | None = None,
        seed: int = 0,
    ):
        self.head = head
        self.steps = steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.widths = widths
        self.seed = seed

    def fit(self, X, y):
        """Learn from `steps` batches drawn from the rows of X, shape (n_rows, n_features)."""
        self.pipeline_ = self.unfitted()
        y = np.asarray(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        scaled = self.pipeline_.named_steps["scaling"].fit(X).transform(X)
        classifier, rng = self.pipeline_.named_steps["classifier"], np.random.default_rng(self.seed)
        rows = [np.flatnonzero(codes == code) for code in range(len(self.classes_))]
        for _ in range(self.steps):
            drawn = np.bincount(rng.integers(len(rows), size=self.batch_size), minlength=len(rows))
            batch = np.concatenate([rng.choice(mine, count) for mine, count in zip(rows, drawn, strict=True)])
            classifier.partial_fit(scaled[batch], y[batch], classes=self.classes_)
            classifier.loss_curve_.clear()  # a number per step, which would swell the model
        self.n_features_in_ = scaled.shape[1]
        return self

    def unfitted(self):
        """The pipeline that `fit` fits; raises where the parameters make none."""
        plan = Steps(self.steps, self.learning_rate, self.batch_size)
        return step_head(self.head, plan, widths=self.widths, seed=self.seed)

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        check_is_fitted(self)
        return self.pipeline_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def stepped_head(name: str, given: Mapping[str, Any], widths: Sequence[int] | None, seed: int) -> Stepped:
    """The head of a spec with ``steps``, such as ``softmax:steps=1000,learning_rate=0.05``.

    >>> stepped_head("softmax", {"steps": 1000}, None, 0)
    Stepped(steps=1000)
    """
    rest, own = without_steps(with_params(name, {key: str(value) for key, value in given.items()}))
    head = Stepped(rest, widths=None if widths is None else list(widths), seed=seed, **own)
    head.unfitted()  # what cannot be made is refused now
    return head


def without_steps(head: Any) -> tuple[Any, dict[str, Any]]:
    """A head spec without its steps, and what it said of them: fields of `classify.heads.steps.Steps`.

    >>> without_steps("softmax:steps=1000,learning_rate=0.05")
    ('softmax', {'steps': 1000, 'learning_rate': 0.05})
    >>> without_steps("mlp:alpha=0.1")
    ('mlp:alpha=0.1', {})
    """
    name, given = parse_head(head) if isinstance(head, str) else ("", {})
    if "steps" not in given:
        return head, {}
    own: dict[str, Any] = {key: given[key] for key in OWN if key in given}
    return with_params(name, {key: str(value) for key, value in given.items() if key not in own}), own
