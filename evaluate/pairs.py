"""The results of `compare` against each other: who is better by how much, and how sure that is."""

from typing import Any

import numpy as np

from evaluate.counted import counted_difference, counted_verdict
from evaluate.report.text import difference_in_words
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import by_image, is_dummy
from evaluate.statistics.differences import bayesian_comparison, holm, mcnemar
from evaluate.statistics.intervals import paired_difference


def compare_pairs(
    results: list[dict[str, Any]], predictions: Predictions, rope: float
) -> list[dict[str, Any]]:
    """The best of each features against the best of all, and on the best features each head against the best.

    A dummy, which ignores the vectors, stands for no features while there is another head.

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
        ``compares`` (``features`` or ``head``), ``one``, ``other``, ``difference, low, high`` (by photos, see
        `evaluate.counted`), ``p_value`` (over folds); ``p_holm``, corrected for the number of comparisons
        (``family``); ``probability`` (``worse, same, better``) and ``rope``; ``same_in_every_fold``, whether p value
        and probability come from counting photos for want of a spread over folds (of one fold, over the groups that it
        tests); ``mcnemar`` (``only_one_right,
        only_other_right, p_value, p_holm, family``); ``verdict``, see `verdict_of`; ``words``.
    """
    found = [_pair(*opponents, predictions, rope) for opponents in _opponents(results)]
    for tests in (found, [pair["mcnemar"] for pair in found]):
        for test, p_value in zip(tests, holm([test["p_value"] for test in tests]), strict=True):
            test.update(p_holm=p_value, family=len(found))
    one_fold = len(predictions.times.groupby(["repeat", "fold"])) == 1
    found = [{**pair, "verdict": verdict_of(pair, one_fold)} for pair in found]
    return [{**pair, "words": _words(pair, one_fold)} for pair in found]


def verdict_of(pair: dict[str, Any], one_fold: bool = False) -> str:
    """``beats``, ``ahead`` or ``undecided``: what may be said of the first against the second.

    One rule, so that the words, the interval and the test never contradict each other. *Undecided*: the 95 % interval
    holds 0. *Ahead*: it does not, on these photos and with these heads; but heads trained on other photos may differ,
    or among so many comparisons one like it is to be expected. *Beats*: the test over the folds, corrected for
    shared training photos and for the number of comparisons, says so too (p < 0.05). One fold trains each head once and
    says nothing of another training, so there *ahead* is the most.

    >>> verdict_of({"low": 0.01, "high": 0.05, "p_holm": 0.03}), verdict_of({"low": 0.01, "high": 0.05, "p_holm": 0.2})
    ('beats', 'ahead')
    """
    if pair["low"] <= 0 <= pair["high"]:
        return "undecided"
    return "beats" if pair["p_holm"] < 0.05 and not one_fold else "ahead"


def _words(pair: dict[str, Any], one_fold: bool) -> str:
    counted = f" (the same in every {'group tested' if one_fold else 'fold'}, so photos were counted)"
    return difference_in_words(pair) + counted * pair["same_in_every_fold"]


def fold_numbers(mine: Predictions) -> np.ndarray:
    """Per prediction, the position of its fold in ``mine.times``."""
    return np.repeat(np.arange(len(mine.times)), mine.times["n_testing"].to_numpy())


def fold_accuracies(mine: Predictions) -> np.ndarray:
    """The share of right predictions per fold, in the order of ``mine.times``."""
    return np.bincount(fold_numbers(mine), mine.label == mine.predicted) / mine.times["n_testing"].to_numpy()


def _opponents(results: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    best = _representative(results)
    others = []
    for name in dict.fromkeys(row["features"] for row in results):
        if name != best["features"]:
            others.append(("features", _representative([row for row in results if row["features"] == name])))
    others += [("head", row) for row in results if row["features"] == best["features"] and row is not best]
    # Only a dummy can stand before that one; whoever is better is named first.
    pairs = [(kind, sorted((best, row), key=results.index)) for kind, row in others]
    return [(kind, first, second) for kind, (first, second) in pairs]


def _representative(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The best row that says something of its features: a dummy ignores them, and stands for none but itself."""
    return next((row for row in results if not is_dummy(row["head"])), results[0])


def _pair(kind: str, one: dict, other: dict, predictions: Predictions, rope: float) -> dict[str, Any]:
    mine, its = (predictions.of(row["features"], row["head"]) for row in (one, other))
    (one_accuracies, n_testing, n_training), (other_accuracies, _, _) = _samples(mine), _samples(its)
    accuracies, sizes = (one_accuracies, other_accuracies), (n_testing, n_training)
    right, groups = (mine.label == mine.predicted, its.label == its.predicted), mine.rows["group"].to_numpy()
    photos = counted_difference(*right, mine.rows["row"].to_numpy(), groups, n_folds=len(mine.times))
    # A single sample, such as one patient in one fold, has no spread either.
    over_folds = paired_difference(*accuracies, *sizes) if len(n_testing) > 1 else photos
    constant = over_folds is photos or over_folds.low == over_folds.high
    if constant:
        verdict = counted_verdict(*right, groups, rope / 100)
    else:
        verdict = bayesian_comparison(*accuracies, *sizes, same_within=rope / 100)
    return {
        "compares": kind,
        "one": {"features": one["features"], "head": one["head"]},
        "other": {"features": other["features"], "head": other["head"]},
        **photos.to_dict(),
        "p_value": photos.p_value if constant else over_folds.p_value,
        "same_in_every_fold": constant,
        "probability": verdict.to_dict(),
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
