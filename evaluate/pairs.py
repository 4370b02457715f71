"""The results of `compare` against each other: who is better by how much, and how sure that is."""

from typing import Any

import numpy as np

from evaluate.crossval import Predictions
from evaluate.mistakes import by_image
from evaluate.significance import bayesian_comparison, holm, mcnemar
from evaluate.statistics import paired_difference
from evaluate.text import difference_in_words


def compare_pairs(
    results: list[dict[str, Any]], predictions: Predictions, rope: float
) -> list[dict[str, Any]]:
    """The best of each features against the best of all, and on the best features each head against the best.

    Parameters
    ----------
    results : list of dict
        Rows with ``features`` and ``head``, best first.
    predictions : Predictions
        On the same folds for all.
    rope : float
        Region of practical equivalence in accuracy points: a difference up to this is practically none.

    Returns
    -------
    list of dict
        ``compares`` (``features`` or ``head``), ``one``, ``other``, ``difference, low, high, p_value``; ``p_holm``,
        corrected for the number of comparisons (``family``); ``probability`` (``worse, same, better``) and
        ``rope``; ``mcnemar`` (``only_one_right, only_other_right, p_value, p_holm, family``); ``words``.
    """
    found = [_pair(kind, results[0], other, predictions, rope) for kind, other in _opponents(results)]
    for tests in (found, [pair["mcnemar"] for pair in found]):
        for test, p_value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
            test.update(p_holm=p_value, family=len(found))
    return [{**pair, "words": difference_in_words(pair)} for pair in found]


def fold_numbers(mine: Predictions) -> np.ndarray:
    """Per prediction, the position of its fold in ``mine.times``."""
    return np.repeat(np.arange(len(mine.times)), mine.times["n_testing"].to_numpy())


def fold_accuracies(mine: Predictions) -> np.ndarray:
    """The share of right predictions per fold, in the order of ``mine.times``."""
    return np.bincount(fold_numbers(mine), mine.label == mine.predicted) / mine.times["n_testing"].to_numpy()


def _opponents(results: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    best = results[0]
    others = []
    for name in dict.fromkeys(row["features"] for row in results):
        if name != best["features"]:
            others.append(("features", next(row for row in results if row["features"] == name)))
    return others + [("head", row) for row in results[1:] if row["features"] == best["features"]]


def _pair(kind: str, one: dict, other: dict, predictions: Predictions, rope: float) -> dict[str, Any]:
    mine, its = (predictions.of(row["features"], row["head"]) for row in (one, other))
    (one_accuracies, n_testing, n_training), (other_accuracies, _, _) = _samples(mine), _samples(its)
    accuracies, sizes = (one_accuracies, other_accuracies), (n_testing, n_training)
    names = [{"features": row["features"], "head": row["head"]} for row in (one, other)]
    return {
        "compares": kind,
        "one": names[0],
        "other": names[1],
        **paired_difference(*accuracies, *sizes).to_dict(),
        "probability": bayesian_comparison(*accuracies, *sizes, same_within=rope / 100).to_dict(),
        "rope": rope,
        "mcnemar": mcnemar(by_image(mine).right, by_image(its).right),
    }


def _samples(mine: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracies, testing and training photos per fold; with a single fold per group that it tests.

    One fold has no spread. Its groups are independent samples for heads taken as they were trained, so nothing is
    added for another training: as if the training set were without end.
    """
    if len(mine.times) > 1:
        return fold_accuracies(mine), mine.times["n_testing"].to_numpy(), mine.times["n_training"].to_numpy()
    codes = np.unique(mine.rows["group"].to_numpy(), return_inverse=True)[1]
    sizes = np.bincount(codes)
    return np.bincount(codes, mine.label == mine.predicted) / sizes, sizes, np.full(len(sizes), np.inf)
