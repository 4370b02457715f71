"""How many label suspects of a report are wrong labels, and what correcting them brings; figures of the READMEs.

    python tests/benchmarks/suspects.py FLOWERS.parquet [--features inception_v3:mixed8] [--repeats 10]

Takes a table of ``data/flowers``, gives 5 or 10 % of the photos a wrong label, and reads the suspects off the held-out
predictions of softmax (5 folds). Beside them stand those of cleanlab on the same predictions, where it is installed
(``pip install cleanlab``). Then two thirds of the photos, with such wrong labels, train softmax: as they are, after the
first 50 suspects were corrected, after 50 random photos were, and without wrong labels. The last third tests them.
Means and 95 % intervals over the repeats.
"""

import importlib.util
from pathlib import Path

import numpy as np
from figures import figure, parser, report
from scipy.stats import t
from threadpoolctl import threadpool_limits

from classify import make_folds, make_head
from evaluate.scores.mistakes import ByImage, label_suspects
from featurize import FeatureTable

FIRST = 50


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("table", type=Path)
    made.add_argument("--features", default="inception_v3:mixed8")
    made.add_argument("--repeats", type=int, default=10)
    args = made.parse_args(argv)
    table = FeatureTable.read(args.table)
    X, y = table.select(args.features), table.label.astype(str)
    widths, rows = table.blocks(args.features), []
    with threadpool_limits(1):
        for rate in (0.05, 0.10):
            rows += shares(X, y, table.groups, widths, rate, args.repeats)
            rows += gains(X, y, table.groups, widths, rate, args.repeats)
    report("suspects", rows, args.json)


def flipped(y: np.ndarray, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The labels, of which so many are wrong, and which these are."""
    names, given = np.unique(y), y.copy()
    wrong = rng.choice(len(y), round(rate * len(y)), replace=False)
    for row in wrong:
        given[row] = rng.choice(names[names != y[row]])
    return given, np.isin(np.arange(len(y)), wrong)


def held_out(
    X: np.ndarray, given: np.ndarray, groups: np.ndarray, widths: list[int], seed: int
) -> np.ndarray:
    names, found = np.unique(given), np.zeros((len(given), len(np.unique(given))))
    for fold in make_folds(given, groups, n_folds=5, seed=seed):
        head = make_head("softmax", widths=widths, seed=0).fit(X[fold.training], given[fold.training])
        found[fold.testing] = head.predict_proba(X[fold.testing])
    assert list(names) == list(head.classes_)
    return found


def suspects(probabilities: np.ndarray, given: np.ndarray) -> dict[str, np.ndarray]:
    """Rows in the order in which they are suspected, by who says so."""
    names, codes = np.unique(given, return_inverse=True)
    numbers = np.arange(len(given)).astype(str)
    ours = label_suspects(ByImage(numbers, given, probabilities, names.tolist()))
    found = {"suspects": np.array([int(one.image) for one in ours], dtype=int)}
    if importlib.util.find_spec("cleanlab") is None:
        return found
    from cleanlab.filter import find_label_issues

    for order in ("self_confidence", "normalized_margin"):
        ranked = find_label_issues(codes, probabilities, return_indices_ranked_by=order, n_jobs=1)
        found[f"cleanlab, {order}"] = ranked
    return found


def shares(X, y, groups, widths, rate: float, repeats: int) -> list[dict]:
    right: dict[str, list[float]] = {}
    caught: dict[str, list[float]] = {}
    for repeat in range(repeats):
        given, wrong = flipped(y, rate, np.random.default_rng(repeat))
        for who, rows in suspects(held_out(X, given, groups, widths, repeat), given).items():
            first = rows[:FIRST]
            right.setdefault(who, []).append(100 * wrong[first].mean())
            caught.setdefault(who, []).append(100 * wrong[first].sum() / wrong.sum())
    said = f"{100 * rate:.0f} % wrong"
    return [
        *(row(f"{said}, {who}: wrong among the first {FIRST}", values) for who, values in right.items()),
        *(row(f"{said}, {who}: of all wrong labels, in these", values) for who, values in caught.items()),
    ]


def gains(X, y, groups, widths, rate: float, repeats: int) -> list[dict]:
    accuracy: dict[str, list[float]] = {}
    for repeat in range(repeats):
        rng = np.random.default_rng(100 + repeat)
        order = rng.permutation(len(y))
        test, train = order[: len(y) // 3], order[len(y) // 3 :]
        given, _ = flipped(y[train], rate, rng)
        found = suspects(held_out(X[train], given, groups[train], widths, repeat), given)
        looked_at = {name: rows[:FIRST] for name, rows in found.items()}
        looked_at |= {
            "random photos": rng.permutation(len(train))[:FIRST],
            "nothing": np.array([], dtype=int),
        }
        looked_at["all photos"] = np.arange(len(train))
        for name, rows in looked_at.items():
            corrected = given.copy()
            corrected[rows] = y[train][rows]
            head = make_head("softmax", widths=widths, seed=0).fit(X[train], corrected)
            accuracy.setdefault(name, []).append(100 * float((head.predict(X[test]) == y[test]).mean()))
    said = f"{100 * rate:.0f} % wrong"
    base, rows = np.array(accuracy["nothing"]), []
    for name, values in accuracy.items():
        rows.append(figure(f"{said}, {name} corrected: accuracy", float(np.mean(values)), "%"))
        if name != "nothing":
            rows.append(row(f"{said}, {name} corrected: gain", np.array(values) - base, "points"))
    return rows


def row(what: str, values, unit: str = "%") -> dict:
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return figure(f"{what}, +- {half:.1f}", float(np.mean(values)), unit)


if __name__ == "__main__":
    main()
