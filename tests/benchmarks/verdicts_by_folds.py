"""Simulates what `evaluate compare` says of heads that are alike and of heads that are not, for every kind of folds.

Run ``python tests/benchmarks/verdicts_by_folds.py`` (ten minutes; ``--simulations 40`` for a look).

Aim: of 100 tables of pure noise, at most 5 say that something *beats* something else, whatever makes the folds and
whatever the groups are like. Each table has two features that know nothing of the labels, unless groups do: photos of
a group share half of what varies. On each, three heads are compared: a ridge regression, one with a penalty so large
that it hardly knows more than how common the labels are, and a dummy.

Then the ridge on one of the features really is about ten points better, and how often that is found is counted.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from figures import figure, parser, report
from sklearn.model_selection import GroupKFold, LeaveOneOut, RepeatedStratifiedKFold
from threadpoolctl import threadpool_limits

from classify.folds import Fold
from evaluate.scores.crossval import Predictions
from evaluate.splits.checked_folds import folds_for
from evaluate.statistics.differences import PairComparison, base_rate_of, compare_pairs
from evaluate.statistics.intervals import Interval
from featurize.errors import UsageError
from featurize.table import FeatureTable

WIDTH = 10
LABELS = ["ill", "well"]
PENALTIES = {"ridge": 3.0, "shy ridge": 3000.0}  # and a dummy
Groups = tuple[np.ndarray, np.ndarray]  # the group and the label of each photo


def alone(rng: np.random.Generator, n: int = 100) -> Groups:
    return np.arange(n), rng.permutation(np.arange(n) % 2)


def of_both_labels(rng: np.random.Generator, n_groups: int = 16, size: int = 6) -> Groups:
    group = np.repeat(np.arange(n_groups), size)
    return group, np.arange(len(group)) % 2


def of_one_label(rng: np.random.Generator, n_groups: int = 20, size: int = 5) -> Groups:
    group = np.repeat(np.arange(n_groups), size)
    return group, group % 2


def of_one_label_and_unequal(rng: np.random.Generator, n_groups: int = 24) -> Groups:
    group = np.repeat(np.arange(n_groups), np.clip(rng.geometric(0.2, n_groups), 1, 25))
    return group, group % 2


def unequal_and_uneven(rng: np.random.Generator, n_groups: int = 16) -> Groups:
    """Groups of any size in which either label is common or rare."""
    group = np.repeat(np.arange(n_groups), np.clip(rng.geometric(0.15, n_groups), 2, 30))
    return group, (rng.random(len(group)) < rng.random(n_groups)[group]).astype(int)


def one_label_is_rare(rng: np.random.Generator, n_groups: int = 30) -> Groups:
    group = np.repeat(np.arange(n_groups), np.clip(rng.geometric(0.25, n_groups), 1, 20))
    return group, (group % 5 == 0).astype(int)


FOLDS: dict[str, Any] = {
    "stratified": "stratified",
    "stratified, 3 repeats": "repeats",
    "leave one group out": "leave-one-group-out",
    "GroupKFold": GroupKFold(5),
    "predefined": "predefined",
}
CASES: list[tuple[str, Callable[[np.random.Generator], Groups], dict[str, Any]]] = [
    ("photos alone", alone, {
        "stratified": "stratified", "stratified, 3 repeats": "repeats", "LeaveOneOut": LeaveOneOut(),
        "RepeatedStratifiedKFold": RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=0),
        "predefined": "predefined",
    }),
    ("groups of both labels", of_both_labels, FOLDS),
    ("groups of one label", of_one_label, FOLDS),
    ("unequal groups of one label", of_one_label_and_unequal, FOLDS),
    ("unequal, uneven groups", unequal_and_uneven, FOLDS),
    ("groups of one label, one of them rare", one_label_is_rare, FOLDS),
]  # fmt: skip


def vectors(rng: np.random.Generator, group: np.ndarray, label: np.ndarray, effect: float) -> np.ndarray:
    """Numbers of variance 1, of which photos of a group share half, and the label so much."""
    noise = rng.normal(size=(len(group), WIDTH))
    if len(np.unique(group)) < len(group):
        shared = rng.normal(size=(int(group.max()) + 1, WIDTH))[group]
        noise = 0.5**0.5 * noise + 0.5**0.5 * shared
    return noise + effect * (label - 0.5)[:, None]


def ridge(X: np.ndarray, y: np.ndarray, penalty: float) -> Callable[[np.ndarray], np.ndarray]:
    """The probability of the second label, from a regression on -1 and 1."""
    centre, Z = X.mean(axis=0), X - X.mean(axis=0)
    w = np.linalg.solve(Z.T @ Z + penalty * np.eye(WIDTH), Z.T @ (2 * y - 2 * y.mean()))
    return lambda new: 1 / (1 + np.exp(-2 * ((new - centre) @ w + 2 * y.mean() - 1)))


class Simulated:
    """What every head says of every tested photo: as much of `Predictions` as the comparison asks for."""

    def __init__(
        self, X: dict[str, np.ndarray], y: np.ndarray, group: np.ndarray, folds: list[Fold], fair: bool
    ):
        tested = np.concatenate([fold.testing for fold in folds])
        label = np.array(LABELS, dtype=object)[y[tested]]
        self.times = pd.DataFrame(
            {
                "repeat": [fold.repeat for fold in folds],
                "fold": [fold.fold for fold in folds],
                "n_training": [len(fold.training) for fold in folds],
                "n_testing": [len(fold.testing) for fold in folds],
            }
        )
        rows = pd.DataFrame(
            {"row": tested, "image": tested.astype(str), "label": label, "group": group[tested]}
        )
        self.of_pair = {}
        for features, numbers in X.items():
            for head in (*PENALTIES, "dummy"):
                chances = []
                for fold in folds:
                    known, new = y[fold.training], numbers[fold.testing]
                    if head == "dummy":  # as `with_pooled_dummies` has it
                        chances.append(np.full(len(new), (known if fair else y).mean()))
                    else:
                        chances.append(ridge(numbers[fold.training], known, PENALTIES[head])(new))
                chance = np.concatenate(chances)
                both = np.stack([1 - chance, chance], axis=1)
                self.of_pair[features, head] = Predictions(rows, both, LABELS, self.times)

    def of(self, features: str, head: str) -> Predictions:
        return self.of_pair[features, head]


class Row:
    """What `compare_pairs` wants to know of a result."""

    def __init__(self, features: str, head: str, own: Predictions):
        right = own.label == own.predicted
        share, chance = float(right.mean()), own.probabilities.max(axis=1)
        self.features, self.head, self.classifier = features, head, head
        self.accuracy = Interval(share, share, share)
        self.log_loss = float(-np.log(np.where(right, chance, 1 - chance).clip(1e-15)).mean())


def said_of(
    seed: int, make: Callable[[np.random.Generator], Groups], folds: Any, effects: tuple[float, float]
) -> tuple[list[PairComparison], dict[tuple[str, str], float]] | None:
    """The comparisons of one table, and the accuracies; None where these folds cannot be made."""
    rng = np.random.default_rng(seed)
    group, y = make(rng)
    if len(np.unique(y)) < 2:
        return None
    X = {name: vectors(rng, group, y, effect) for name, effect in zip("xz", effects, strict=True)}
    together = len(np.unique(group)) < len(group)
    split = np.where(rng.permutation(int(group.max()) + 1)[group] % 3 == 0, "validation", "training")
    table = FeatureTable.from_arrays(
        X, label=np.array(LABELS)[y], group=[f"g{one}" if together else None for one in group], split=split
    )
    how = {"repeats": 3, "folds": "stratified"} if folds == "repeats" else {"folds": folds}
    try:
        made, _ = folds_for(table, seed=seed, **how)
    except UsageError:  # too few groups of a label
        return None
    base = base_rate_of(made, table.label)
    predictions = Simulated(X, y, table.groups, made, base.fair)
    rows = [Row(*pair, own) for pair, own in predictions.of_pair.items()]
    rows.sort(key=lambda row: (-row.accuracy.mean, row.log_loss))
    accuracy = {(row.features, row.head): row.accuracy.mean for row in rows}
    return compare_pairs(rows, predictions, 1.0, base), accuracy


def false_verdicts(make: Callable, folds: Any, seeds: range) -> tuple[float, float, int]:
    """The shares of tables of noise that say *beats*, and *beats* or *is ahead*, and of how many."""
    found = [one for seed in seeds if (one := said_of(seed, make, folds, (0.0, 0.0)))]
    verdicts = [{pair.verdict for pair in pairs} for pairs, _ in found]
    beats = float(np.mean(["beats" in one for one in verdicts])) if found else 0.0
    ahead = float(np.mean([one != {"undecided"} for one in verdicts])) if found else 0.0
    return beats, ahead, len(found)


def found_differences(make: Callable, folds: Any, seeds: range) -> tuple[float, float, float]:
    """Of tables in which one feature is better: how often that is said (and called settled), and the difference."""
    said, settled, gaps = [], [], []
    for seed in seeds:
        one = said_of(seed, make, folds, (0.75, 0.45))
        if one is None:
            continue
        pairs, accuracy = one
        gaps.append(
            max(accuracy["x", head] for head in PENALTIES) - max(accuracy["z", head] for head in PENALTIES)
        )
        right = [p.verdict for p in pairs if p.compares == "features" and p.one.features == "x"]
        said.append(right in (["ahead"], ["beats"]))
        settled.append(right == ["beats"])
    return float(np.mean(said)), float(np.mean(settled)), float(np.mean(gaps))


LARGER: list[tuple[str, Callable[[np.random.Generator], Groups], str, Any]] = [
    ("400 photos alone", lambda rng: alone(rng, 400), "stratified", "stratified"),
    ("80 groups of 5, both labels", lambda rng: of_both_labels(rng, 80, 5), "stratified", "stratified"),
    ("80 groups of 5, both labels", lambda rng: of_both_labels(rng, 80, 5), "one group out", "leave-one-group-out"),
    ("80 groups of 5, one label", lambda rng: of_one_label(rng, 80, 5), "stratified", "stratified"),
    ("80 groups of 5, one label", lambda rng: of_one_label(rng, 80, 5), "one group out", "leave-one-group-out"),
    ("80 unequal groups, one label", lambda rng: of_one_label_and_unequal(rng, 80), "stratified", "stratified"),
]  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--simulations", type=int, default=300)
    seeds = range((args := made.parse_args(argv)).simulations)
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for groups, make, kinds in CASES:
            for name, folds in kinds.items():
                beats, ahead, n = false_verdicts(make, folds, seeds)
                what = f"noise, {groups}, {name}"
                print(
                    f"{what:70} beats {100 * beats:5.1f}   or is ahead {100 * ahead:5.1f}   of {n}",
                    flush=True,
                )
                rows.append(figure(f"{what}: says beats", 100 * beats, "%", at_most=5.0))
        for groups, make, name, folds in LARGER:
            said, settled, gap = found_differences(make, folds, range(len(seeds) // 3))
            what = f"{100 * gap:.0f} points apart, {groups}, {name}"
            print(f"{what:70} said {100 * said:5.1f}   called settled {100 * settled:5.1f}", flush=True)
            rows.append(figure(f"{what}: said", 100 * said, "%"))
    report("verdicts_by_folds", rows, args.json)


if __name__ == "__main__":
    main()
