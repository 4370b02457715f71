"""How many near-duplicates the approximate search finds, and how long both searches take.

    python tests/benchmarks/duplicates_recall.py [--rows 40000] [--width 256]

Rows are made up like a network's: non-negative, most of their length in common (two unrelated ones reach a
cosine of about 0.8), half of them with a twin at 0.97 to 0.99.
"""

import time

import numpy as np
from figures import figure, parser, report

from classify.similar import similar_pairs


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=40_000)
    made.add_argument("--width", type=int, default=256)
    args = made.parse_args(argv)
    n_rows, width = args.rows, args.width
    rng = np.random.default_rng(0)
    style = rng.gamma(1.0, 1.0, size=width)
    alone = (style * rng.gamma(2.0, 0.5, size=(n_rows // 3 * 2, width))).astype(np.float32)
    twins = alone[: n_rows // 3] * rng.normal(1.0, 0.2, size=(n_rows // 3, width)).astype(np.float32)
    X = np.concatenate([alone, twins])
    start = time.perf_counter()
    exact = set(map(tuple, similar_pairs(X, 0.97)[0].tolist()))
    middle = time.perf_counter()
    found = set(map(tuple, similar_pairs(X, 0.97, exact_up_to=1)[0].tolist()))
    end = time.perf_counter()
    size = f"{len(X):,} rows of {width}, {len(exact):,} pairs at 0.97 or more"
    rows = [
        figure(f"{size}: share of twins", len(exact) / (n_rows // 3), ""),
        figure("  found by the approximate search", len(found & exact) / len(exact), "share", at_least=0.98),
        figure("  invented by it", len(found - exact), "pairs", at_most=0),
        figure("  exact search", middle - start, "s"),
        figure("  approximate search", end - middle, "s"),
    ]
    report("duplicates_recall", rows, args.json)


if __name__ == "__main__":
    main()
