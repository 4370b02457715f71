"""Simulates which label `evaluate curve` says to photograph more of, and what doubling each label alone really brings.

Run ``python tests/benchmarks/curve_advice.py`` (five minutes; ``--simulations 4`` for a look).

Each of three labels has one number of its own raised among twenty; the head is softmax. The truth is how much more of a
label's new photos are found when it, and no other, has twice as many training photos, the mean over all tables. Advice
is right where the named label gains at most a point less than the one that gains most. Aim: right in 9 of 10 cases in
which a label is named at all.
"""

import warnings

import numpy as np
from figures import figure, parser, report
from sklearn.metrics import recall_score
from threadpoolctl import threadpool_limits

from classify.folds import make_folds
from classify.heads.registry import make_head
from evaluate.scores.crossval import cross_validate
from evaluate.studies.curve import _advice
from featurize.table import FeatureTable

LABELS = np.array(["a", "b", "c"])
CASES = [
    ("all alike", (60, 60, 60), (1.6, 1.6, 1.6)),
    ("unequal counts", (90, 60, 30), (1.6, 1.6, 1.6)),
    ("unequal counts", (200, 20, 8), (1.6, 1.6, 1.6)),
    ("unequal counts", (200, 200, 40), (2.0, 2.0, 2.0)),
    ("unequal difficulty", (60, 60, 60), (2.4, 1.6, 0.8)),
    ("unequal difficulty", (60, 60, 60), (3.0, 3.0, 1.2)),
    ("unequal difficulty", (150, 150, 150), (3.0, 3.0, 1.2)),
]


def draw(sizes, raised, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    codes = np.repeat(np.arange(3), sizes)
    X = rng.normal(size=(len(codes), 20))
    X[np.arange(len(codes)), codes] += np.array(raised)[codes]
    return X.astype(np.float32), LABELS[codes]


def advised(X: np.ndarray, y: np.ndarray, seed: int) -> str | None:
    """The label that is named for this table."""
    table = FeatureTable.from_arrays({"x": X}, label=y)
    folds = make_folds(table.label, table.groups, seed=seed)
    found = cross_validate(table, ["x"], ["softmax"], folds, jobs=1)
    return _advice(found, table, folds, "x", "softmax", seed=0, jobs=1).label


def gains(X: np.ndarray, y: np.ndarray, sizes, raised, rng: np.random.Generator) -> list[float]:
    """By label, the points of its recall on 3,000 new photos that doubling it alone brings."""
    new, truth = draw((1000,) * 3, raised, rng)

    def recall(X: np.ndarray, y: np.ndarray) -> np.ndarray:
        return recall_score(truth, make_head("softmax").fit(X, y).predict(new), average=None)

    before, found = recall(X, y), []
    for label in range(3):
        more, names = draw([size * (label == other) for other, size in enumerate(sizes)], raised, rng)
        found.append(100 * (recall(np.r_[X, more], np.r_[y, names])[label] - before[label]))
    return found


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--simulations", type=int, default=20)
    args, rows, n_named, n_right = made.parse_args(argv), [], 0, 0
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, sizes, raised in CASES:
            said, truth = [], []
            for seed in range(args.simulations):
                rng = np.random.default_rng(seed)
                X, y = draw(sizes, raised, rng)
                said.append(advised(X, y, seed))
                truth.append(gains(X, y, sizes, raised, rng))
            mean = dict(zip(LABELS, np.mean(truth, axis=0), strict=True))
            named = [label for label in said if label]
            right = [label for label in named if mean[label] >= max(mean.values()) - 1]
            n_named, n_right = n_named + len(named), n_right + len(right)
            told = ", ".join(f"{label} {gain:+.1f}" for label, gain in mean.items())
            print(f"{name}, {sizes}, {raised}: {told}; named {len(named)}: {' '.join(named)}", flush=True)
    if n_named:
        rows.append(figure("advice that names a label: right", 100 * n_right / n_named, "%", at_least=90.0))
    rows.append(
        figure("tables in which a label is named", 100 * n_named / len(CASES) / args.simulations, "%")
    )
    report("curve_advice", rows, args.json)


if __name__ == "__main__":
    main()
