"""Choose the operating point: the probability at which a photo counts as the label that must not be missed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classify.folds import fewest_groups, make_folds
from classify.heads.fitting import fit_head
from classify.model.model import Expectation, ExpectedShare, OperatingPoint
from classify.rows import Sample
from classify.shares import expected_share
from featurize.errors import UsageError
from featurize.files import read_csv

RULES = ("recall", "specificity", "precision")
DECIMAL_COMMA = re.compile(r"^(\d*),(\d+)$")
THOUSAND = re.compile(r"[1-9]\d{0,2},\d{3}")  # or with a decimal comma


def choose_threshold(
    label: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str],
    positive: str,
    rule: str | Mapping[tuple[str, str], float],
    groups: np.ndarray | None = None,
) -> OperatingPoint:
    """The operating point that a rule asks for, and what to expect of it on new photos.

    What these photos show of the threshold that they chose flatters: 38 of 40 found promise no 0.95, and new photos are
    found in 0.93 of cases. ``expected`` is that, with an interval that allows for another head judging new photos; see
    `classify.shares.expected_share`.

    Parameters
    ----------
    label : sequence of str, shape (n_photos,)
        The true labels.
    probabilities : array of shape (n_photos, n_labels)
        From heads that had not seen the photo.
    labels : sequence of str
        The names of the columns.
    positive : str
    rule : str or mapping
        ``"recall=0.95"`` takes the highest threshold that still finds 95 % of the positive photos;
        ``"specificity=0.95"`` and ``"precision=0.95"`` the lowest that keeps that share. A mapping of (true label,
        given label) to cost takes the threshold with the lowest total cost, the highest of equals; where every call
        would cost more than it saves, one just above all these probabilities.
    groups : array of int, optional
        Photos with equal numbers belong together and tell less than as many others; by default each stands alone.

    Raises
    ------
    UsageError
        If the label or the rule is unknown, or no threshold fulfils it.

    Examples
    --------
    >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    >>> truth = ["fire", "fire", "fire", "none", "none", "none"]
    >>> point = choose_threshold(truth, probabilities, ["fire", "none"], "fire", "recall=1")
    >>> point.threshold, point.sensitivity, round(point.specificity, 3), point.expected.sensitivity.mean
    (0.3, 1.0, 0.667, 0.75)
    """
    labels = [str(name) for name in labels]
    check_rule(positive, labels, rule)
    truth = np.asarray(label).astype(str) == positive
    scores = np.asarray(probabilities, dtype=np.float64)[:, labels.index(positive)]
    thresholds = np.append(np.unique(scores)[::-1], 0.0)  # ever more photos are called positive
    if not isinstance(rule, str):  # to call none may cost least; as a share to reach it makes no sense
        thresholds = np.append(thresholds, np.nextafter(scores.max(), np.inf))
    found = _reaching(scores[truth], thresholds) / truth.sum()
    false = _reaching(scores[~truth], thresholds)
    specificity = 1 - false / (~truth).sum()
    precision = found * truth.sum() / np.maximum(found * truth.sum() + false, 1)
    if isinstance(rule, str):
        name, wanted = parse_rule(rule)
        values = {"recall": found, "specificity": specificity, "precision": precision}[name]
        good = np.flatnonzero(values >= wanted - 1e-12)
        if len(good) == 0:
            what = f"no threshold for {positive} has {name} {wanted:g}: the best is {values.max():.3f}"
            raise UsageError(what, "ask for less, add photos, or use another head")
        chosen = good[0] if name == "recall" else good[found[good].argmax()]
    else:
        totals = _costs(label, np.asarray(probabilities), labels, positive, thresholds, rule)
        # Sums that are equal may differ in their last digit.
        chosen = int(np.isclose(totals, totals.min(), rtol=1e-12, atol=0).argmax())
    name = rule if isinstance(rule, str) else "costs"
    sensitivity, specific, precise = (float(one[chosen]) for one in (found, specificity, precision))
    counts = int(truth.sum()), int((~truth).sum())
    together = np.arange(len(truth)) if groups is None else np.asarray(groups)
    called = scores >= thresholds[chosen]
    expected = Expectation(
        ExpectedShare(*expected_share(called[truth], together[truth])),
        ExpectedShare(*expected_share(~called[~truth], together[~truth])),
    )
    shares = sensitivity, specific, precise
    return OperatingPoint(positive, float(thresholds[chosen]), name, *shares, *counts, expected)


def check_rule(positive: str, labels: Sequence[str], rule: str | Mapping[tuple[str, str], float]) -> None:
    """Refuse an unknown label, an unknown rule, or costs that lack a pair of labels."""
    if positive not in labels:
        hint = f"the labels are {', '.join(labels)}"
        raise UsageError(f"there is no label {positive} to be positive", hint)
    if isinstance(rule, str):
        parse_rule(rule)
        return
    wrong = [f"{','.join(map(str, pair))}: {cost}" for pair, cost in rule.items() if not 0 <= cost < np.inf]
    if wrong:
        raise UsageError(f"the costs hold {'; '.join(wrong[:6])}", "a cost is a number from 0")
    missing = [f"{a},{b}" for a in labels for b in labels if a != b and (a, b) not in rule]
    unknown = sorted({name for pair in rule for name in pair} - set(labels))
    if missing or unknown:
        what = f"lack {'; '.join(missing[:6])}" if missing else f"name the unknown {', '.join(unknown)}"
        hint = "give a cost for every pair of different labels: label,predicted,cost"
        raise UsageError(f"the costs {what}", hint)


def parse_rule(rule: str) -> tuple[str, float]:
    """``"recall=0.95"`` as its name and its number."""
    name, _, text = rule.partition("=")
    try:
        wanted = float(text)
    except ValueError:
        wanted = -1.0
    if name not in RULES or not 0 < wanted <= 1:
        hint = f"give {', '.join(RULES)} and a share, for example recall=0.95"
        raise UsageError(f"{rule!r} is no rule for a threshold", hint)
    return name, wanted


def read_costs(path: str | Path) -> dict[tuple[str, str], float]:
    """What each mistake costs, by (label, predicted), from a CSV file with the columns ``label,predicted,cost``.

    A cost may have a decimal comma, as spreadsheets of many languages write it.
    """
    costs: dict[tuple[str, str], float] = {}

    def mistake(line: Mapping[str, str]) -> tuple[str, str]:
        return line["label"].strip(), line["predicted"].strip()

    for number, line in read_csv(path, ("label", "predicted", "cost"), "costs", key=mistake):
        cell = line["cost"].strip()
        if THOUSAND.fullmatch(cell):
            what = f"line {number} of the costs {path} has the cost {cell}, which can be read in two ways"
            raise UsageError(what, f"write {cell.replace(',', '')} or {cell.replace(',', '.')}")
        try:
            cost = float(DECIMAL_COMMA.sub(r"\1.\2", cell))
        except ValueError:
            cost = -1.0
        if not 0 <= cost < np.inf:
            what = f"line {number} of the costs {path} has the cost {cell[:80]!r}"
            hint = (
                "the first line must be label,predicted,cost, and each other one two labels and a number from 0, such "
                "as 0.5 or 0,5"
            )
            raise UsageError(what, hint)
        costs[mistake(line)] = cost
    return costs


def held_out_folds(sample: Sample) -> int:
    """How many folds `held_out_probabilities` makes by default: five, or fewer where a label has fewer groups."""
    return min(5, max(2, fewest_groups(sample.y, sample.groups, sample.variant)[1]))


def held_out_probabilities(
    head: Any, sample: Sample, *, n_folds: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of photos, and the probabilities of each, by sorted label, from a `head` fitted without its group."""
    n_folds = n_folds or held_out_folds(sample)
    folds = make_folds(sample.y, sample.groups, sample.variant, n_folds=n_folds, seed=seed)
    found = []
    for fold in folds:
        train = sample.rows(fold.training)
        fitted = fit_head(head, train.X, train.y, train.groups, train.variant)
        found.append(fitted.predict_proba(sample.X[fold.testing]))
    return np.concatenate([fold.testing for fold in folds]), np.concatenate(found)


def _reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the scores reach each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds)


def _costs(label, probabilities, labels, positive, thresholds, costs) -> np.ndarray:
    """The total cost at each threshold: of the photos below it as others, and of the rest as positive."""
    nothing_is = OperatingPoint(positive, np.inf, "costs", 0.0, 0.0, 0.0, 0, 0)
    others = np.asarray(labels)[nothing_is.decide(probabilities, labels)].tolist()
    as_other = np.array([costs.get((str(a), b), 0.0) for a, b in zip(label, others, strict=True)])
    as_positive = np.array([costs.get((str(a), positive), 0.0) for a in label])
    # By a power of two, which changes no digit: sums of the largest numbers there are would overflow.
    exponent = np.frexp(max(costs.values()))[1]
    as_other, as_positive = np.ldexp(as_other, -exponent), np.ldexp(as_positive, -exponent)
    scores = probabilities[:, labels.index(positive)].astype(np.float64)
    order = np.argsort(scores)
    below = np.concatenate([[0.0], as_other[order].cumsum()])
    above = np.append(as_positive[order][::-1].cumsum()[::-1], 0.0)
    n_below = np.searchsorted(scores[order], thresholds)
    return below[n_below] + above[n_below]
