"""How much faster is an SVM search than with scikit-learn's own parts?

    python tests/benchmarks/tune_svm.py [--rows 3670] [--width 2048] [--plain 2]

Searches 16 settings of the head svm on 5 folds of made-up vectors (those of retrain.py): with our heads, which compute
the distances once per fold, and with every fit of scikit-learn's SVC on the vectors. The plain search would take more
than an hour, so it is made on the first fold only, for ``--plain`` settings out of the 16, evenly spread, and so is
ours; the ratio is of the times of the same fits. Both use one processor. Compared are all decisions.

Both search calibrated heads, which fit six times where a bare SVC fits once. The last row is a search of bare SVCs,
without probabilities, from the same settings: it finds out less, in a sixth of the plain time.
"""

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
from figures import figure, parser, report
from retrain import vectors
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from classify.folds import make_folds
from classify.heads import calibrate
from classify.heads.fitting import fit_head
from classify.heads.registry import make_head

SETTINGS = [f"svm:C={C},gamma={gamma}" for C in (0.1, 1, 10, 100) for gamma in ("scale", 0.002, 0.007, 0.1)]


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=3670)
    made.add_argument("--width", type=int, default=2048)
    made.add_argument("--plain", type=int, default=2, help="settings that are searched")
    args = made.parse_args(argv)
    table = vectors(args.rows, args.width)
    X, y = table.select("inception_v3"), table.label.astype(str)
    fold = make_folds(y, np.arange(len(y)), n_folds=5)[0]
    chosen = np.linspace(0, len(SETTINGS) - 1, args.plain + 2).round().astype(int)[1:-1]
    heads = [make_head(SETTINGS[i]) for i in chosen]

    with threadpool_limits(1):
        quick, ours = timed(lambda: [probabilities(head, X, y, fold) for head in heads])
        with patch.object(calibrate, "_is_rbf", lambda estimator: False):
            slow, plain = timed(lambda: [probabilities(head, X, y, fold) for head in heads])
        bare, _ = timed(lambda: [fit_bare(head, X, y, fold) for head in heads])
    apart = sum(int((a.argmax(axis=1) != b.argmax(axis=1)).sum()) for a, b in zip(ours, plain, strict=True))
    what = f"{len(heads)} settings on one fold, {args.rows:,} x {args.width}"
    rows = [
        figure(f"{what}: ours", quick, "s"),
        figure("  plainly", slow, "s"),
        figure("  plainly / ours", slow / quick, "", at_least=6),
        figure(f"  decisions that differ, of {len(heads) * len(fold.testing):,}", apart, "", at_most=0),
        figure("  plainly and without probabilities / ours", bare / quick, ""),
    ]
    report("tune_svm", rows, args.json)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def probabilities(head, X, y, fold) -> np.ndarray:
    return fit_head(head, X[fold.training], y[fold.training]).predict_proba(X[fold.testing])


def fit_bare(head, X, y, fold) -> np.ndarray:
    bare = Pipeline([("scaling", clone(head[0])), ("classifier", clone(head[-1].estimator))])
    return bare.fit(X[fold.training], y[fold.training]).predict(X[fold.testing])


if __name__ == "__main__":
    main()
