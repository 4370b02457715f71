"""How much faster is an SVM search that multiplies its vectors once?

    python tests/benchmarks/tune_svm.py [--rows 3670] [--width 2048] [--plain 12]

Makes non-negative, sparse vectors of five overlapping labels, as a pooled network gives them, and searches the grid
of the head svm on 5 folds, twice: with distances that all fits share, and plainly, every fit on the vectors. The
plain search is run on the first fold only, for as many candidates as ``--plain`` says, and its time multiplied up
(folds have equal sizes). Compared are all decisions that both have made.

Measured (one of 2 cores that others kept busy, Python 3.11, scikit-learn 1.9, one run, ``--plain 2``; take the
ratio as 50 give or take 20):

    shared distances: 124 s for 12 candidates on 5 folds
    plain: 6188 s, from 2 candidates on one fold in 206 s
    49.8 times as long
    every decision the same: True; log losses at most 4.3e-06 apart
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from classify import tuning
from classify.folds import make_folds
from classify.heads import make_head
from classify.spec import with_params


def vectors(n_rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 5
    centres = rng.exponential(size=(5, 30)) @ rng.random((30, width))
    latent = rng.exponential(size=(n_rows, 30)) @ rng.random((30, width))
    X = 0.45 * centres[y] + latent + 4 * rng.normal(size=(n_rows, width))
    return np.maximum(X - X.mean(), 0).astype(np.float32), np.array(list("abcde"))[y]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3670)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--plain", type=int, default=12, help="candidates for the plain search")
    args = parser.parse_args()
    X, y = vectors(args.rows, args.width)
    candidates = list(tuning.candidate_params("svm"))
    heads = [make_head(with_params("svm", {k: str(v) for k, v in one.items()})) for one in candidates]
    folds = make_folds(y, np.arange(len(y)), n_folds=5)
    alone = np.arange(len(y)), np.zeros(len(y), dtype=np.int64)

    with threadpool_limits(1):
        start = time.perf_counter()
        fits = tuning._fits(heads, X, y, *alone, None, share=True)
        every = [list(fits(fold)) for fold in folds]
        quick = time.perf_counter() - start
        print(
            f"shared distances: {quick:.0f} s for {len(heads)} candidates on {len(folds)} folds", flush=True
        )
        start = time.perf_counter()
        plain = list(tuning._fits(heads[: args.plain], X, y, *alone, None, share=False)(folds[0]))
        seconds = time.perf_counter() - start
    slow = seconds * len(folds) * len(heads) / len(plain)
    print(f"plain: {slow:.0f} s, from {len(plain)} candidates on one fold in {seconds:.0f} s")
    print(f"{slow / quick:.1f} times as long")
    shared, truth = every[0], y[folds[0].testing]
    trails = [[tuning._scores(truth, p) for p in side] for side in (shared, plain)]
    same = all(
        np.array_equal(a.argmax(axis=1), b.argmax(axis=1)) for a, b in zip(shared, plain, strict=False)
    )
    apart = max(abs(a["log_loss"] - b["log_loss"]) for a, b in zip(*trails, strict=False))
    print(f"every decision the same: {same}; log losses at most {apart:.1e} apart")
    for params, one in zip(candidates, trails[0], strict=True):
        print(f"  {params}: log loss {one['log_loss']:.3f}, accuracy {one['accuracy']:.3f}")


if __name__ == "__main__":
    main()
