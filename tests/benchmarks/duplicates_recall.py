"""How many near-duplicates the approximate search finds, and how long both searches take.

    python tests/benchmarks/duplicates_recall.py [ROWS] [WIDTH]

Rows are made up like a network's: non-negative, most of their length in common (two unrelated ones reach a
cosine of about 0.8), half of them with a twin at 0.97 to 0.99.
"""

import sys
import time

import numpy as np

from evaluate.similar import similar_pairs


def main(n_rows: int = 40_000, width: int = 256) -> None:
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
    print(
        f"{len(X)} rows of {width}: {len(exact)} pairs at 0.97 or more, {len(exact) / (n_rows // 3):.2f} of twins"
    )
    print(
        f"approximate search finds {len(found & exact) / len(exact):.4f} of them, invents {len(found - exact)}"
    )
    print(f"seconds: exact {middle - start:.1f}, approximate {end - middle:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
