"""How much faster is an SVM search that multiplies its vectors once?

    python tests/benchmarks/tune_svm.py [--rows 3670] [--width 2048] [--plain 2]

Searches 16 settings of the head svm on 5 folds of made-up vectors (those of retrain.py): with distances that all fits
share, and plainly, every fit of scikit-learn's SVC on the vectors. The plain search would take more than an hour, so
it is made on the first fold only, for ``--plain`` settings out of the 16, evenly spread, and its time is multiplied up
(folds have equal sizes). Both use one processor. Compared are all decisions that both have made.

Both search calibrated heads, which fit six times where a bare SVC fits once. The last row is a search of bare SVCs,
without probabilities, from the same settings: it finds out less, in a sixth of the plain time.

Measured once, on two processors that a dozen other programs wanted too, with ``--plain 1`` (believe the ratios only
roughly): plainly 65.6 times as long, without probabilities 16.7 times; none of 734 decisions differed.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from figures import figure, parser, report
from retrain import vectors
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from classify.folds import make_folds
from classify.heads import tuning
from classify.heads.registry import make_head

SETTINGS = [f"svm:C={C},gamma={gamma}" for C in (0.1, 1, 10, 100) for gamma in ("scale", 0.002, 0.007, 0.1)]


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=3670)
    made.add_argument("--width", type=int, default=2048)
    made.add_argument("--plain", type=int, default=2, help="settings that are searched plainly")
    args = made.parse_args(argv)
    table = vectors(args.rows, args.width)
    X, y = table.select("inception_v3"), table.label.astype(str)
    alone = np.arange(len(y)), np.zeros(len(y), dtype=np.int64)
    folds = make_folds(y, alone[0], n_folds=5)
    heads = [make_head(spec) for spec in SETTINGS]
    chosen = np.linspace(0, len(heads) - 1, args.plain + 2).round().astype(int)[1:-1]
    few = [heads[i] for i in chosen]
    scale = len(folds) * len(heads) / len(few)

    with threadpool_limits(1):
        quick, shared = timed(lambda: search(heads, X, y, alone, folds, share=True))
        slow, plain = timed(lambda: search(few, X, y, alone, folds[:1], share=False))
        bare, _ = timed(lambda: [fit_bare(head, X, y, folds[0]) for head in few])
    apart = sum(
        int((shared[0][i].argmax(axis=1) != mine.argmax(axis=1)).sum())
        for i, mine in zip(chosen, plain[0], strict=True)
    )
    what = f"{len(heads)} settings x {len(folds)} folds, {args.rows:,} x {args.width}"
    rows = [
        figure(f"{what}: shared distances", quick, "s"),
        figure(f"  plainly, from {len(few)} settings on one fold", slow * scale, "s"),
        figure("  plainly / shared", slow * scale / quick, "", at_least=8),
        figure(f"  decisions that differ, of {len(few) * len(folds[0].testing):,}", apart, "", at_most=0),
        figure("  plainly and without probabilities / shared", bare * scale / quick, ""),
    ]
    report("tune_svm", rows, args.json)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def search(heads, X, y, alone, folds, *, share: bool) -> list[list[np.ndarray]]:
    fits = tuning._fits(heads, X, y, *alone, None, share=share)
    return [list(fits(fold)) for fold in folds]


def fit_bare(head, X, y, fold) -> np.ndarray:
    bare = Pipeline([("scaling", clone(head[0])), ("classifier", clone(head[-1].estimator))])
    return bare.fit(X[fold.training], y[fold.training]).predict(X[fold.testing])


if __name__ == "__main__":
    main()
