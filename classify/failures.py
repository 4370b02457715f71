"""Heads that fail: what scikit-learn says of it, as one error and a hint that fits."""

from typing import Any

import numpy as np

from classify.heads.registry import head_name
from featurize.errors import BottleheadError, UsageError

CHECKED = 100  # rows are enough to see whether a head gives numbers


def fit_failed(head: Any, error: Exception, how: str = "cannot be fitted") -> UsageError:
    """The error to raise when `head` (a spec or a classifier) could not be fitted, or not predict.

    >>> print(fit_failed("knn", ValueError("Expected n_neighbors <= n_samples_fit")))
    the head knn cannot be fitted: Expected n_neighbors <= n_samples_fit (add photos, or let ... knn:n_neighbors=3)
    """
    name = head_name(head)
    if isinstance(error, BottleheadError):
        return UsageError(f"the head {name} {how}: {error.args[0]}", error.hint)
    kind = (
        ""
        if type(error) in (ValueError, NotImplementedError, AttributeError)
        else f"{type(error).__name__}: "
    )
    reason = " ".join((str(error).strip().splitlines() or ["no reason given"])[0].split())
    return UsageError(f"the head {name} {how}: {kind}{reason}", _hint(name, reason))


def _hint(name: str, reason: str) -> str:
    given = name.partition(":")[2]
    if "n_neighbors" in reason:
        return f"add photos, or let fewer neighbours vote: {name.partition(':')[0]}:n_neighbors=3"
    if "number of samples" in reason:
        return "add photos of each label, or use head softmax, which does with few"
    if given:
        return f"leave out {given}, or give it another value; `classify heads` lists the defaults"
    return "use another head, such as softmax, or give it other parameters; `classify heads` lists them"


def check_probabilities(fitted: Any, X: np.ndarray) -> None:
    """Refuse a fitted head that gives no numbers on the vectors it was trained on (a sample of them).

    Raises
    ------
    ValueError
        For `fit_failed` to explain.
    """
    with np.errstate(all="ignore"):
        probabilities = fitted.predict_proba(X[:: max(1, len(X) // CHECKED)])
    if not np.isfinite(probabilities).all():
        raise ValueError("it gives probabilities that are not numbers")
