"""Heads that search their parameters whenever they are fitted, so that a comparison can be nested."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from classify.heads.registry import fit_head, head_name, make_head
from classify.heads.tuning import check_search, has_grid, tune_head
from featurize.terminal import log


class TunedHead(ClassifierMixin, BaseEstimator):
    """A head that searches its parameters whenever it is fitted, on the very rows that it is fitted on.

    So that a comparison is nested: what is tested has chosen nothing.

    Parameters
    ----------
    head : str
        A registered name with a grid, with or without parameters.
    by : {"log-loss", "accuracy"}
    widths : list of int, optional
    seed : int
        See `tune_head`.

    Attributes
    ----------
    tuning_ : Tuning
    head_ : classifier
        Fitted with the chosen parameters.
    classes_ : array of shape (n_labels,)

    Examples
    --------
    >>> X, y = np.repeat([[0.0], [1.0]], 10, axis=0), np.repeat(["fern", "moss"], 10)
    >>> TunedHead("knn").fit(X, y).tuning_.head
    'knn:n_neighbors=3'
    """

    def __init__(self, head: str, by: str = "log-loss", widths: Sequence[int] | None = None, seed: int = 0):
        self.head = head
        self.by = by
        self.widths = widths
        self.seed = seed

    @property
    def display_name(self) -> str:
        """What `classify.heads.registry.head_name` calls it."""
        return f"{self.head} tuned"

    def fit(self, X, y, groups=None, variant=None):
        """Search, then fit on all rows; see `fit_head`."""
        self.tuning_ = tune_head(
            self.head, X, y, groups, variant, widths=self.widths, seed=self.seed, by=self.by
        )
        chosen = make_head(self.tuning_.head, widths=self.widths, seed=self.seed)
        self.head_ = fit_head(chosen, X, y, groups, variant)
        self.classes_ = self.head_.classes_
        return self

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities, shape (n_rows, n_labels)."""
        return self.head_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row."""
        return self.head_.predict(X)


def tuned_heads(heads: Sequence[Any], by: str) -> list[Any]:
    """Each head that has a search grid as a `TunedHead`; the others as they are, which is logged.

    >>> [head_name(head) for head in tuned_heads(["svm", "dummy"], "accuracy")]
    ['svm tuned', 'dummy']

    Raises
    ------
    UsageError
        If `by` is no score.
    """
    found: list[Any] = []
    for head in heads:
        if has_grid(head):
            check_search(head, by)
            found.append(TunedHead(head, by))
        else:
            log.info("%s has nothing to search and is used as it is", head_name(head))
            found.append(head)
    return found
