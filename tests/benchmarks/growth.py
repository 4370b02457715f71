"""Time and memory against the number of vectors: to load a table, train softmax, predict, and find duplicates.

    python tests/benchmarks/growth.py [--rows 1000 10000 100000 1000000] [--width 256] [--duplicates 10000 30000 100000]
                                      [--out-of-core 100000] [--folder DIR]

Vectors are made up like a pooled network's: never negative, five labels that overlap, one label after the other.
Every part runs in a process of its own; its peak memory is given beyond that of the bare imports. "Linear" is said
from the two largest tables: the exponent e in time ~ rows ** e, at most 1.1. The exact search for near-duplicates
compares every pair, so it grows with the square; at equal width it is told how long each million pairs takes.

Peak memory beyond the imports, in MB, where a million vectors of 256 numbers have 1,024 (2 cores, Python 3.11,
scikit-learn 1.9, one run; others used the machine, so the seconds of that run mean nothing):

    rows         load  train  train out of core  predict, from the file
      100,000     202    814                457                      74
    1,000,000   1,282  6,736                                         58
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from figures import figure, parser, report

LABELS = 5
TESTED = 10_000  # rows, beside those that are trained on


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    if args.part:
        print(json.dumps(PART[args.part](Path(args.folder), args.rows[0], args.width)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for part in ("load", "train", "predict"):
            sizes = sorted(args.rows)
            found = [run(part, folder, n, args.width) for n in sizes]
            for n, one in zip(sizes, found, strict=True):
                rows += of_size(part, n, one)
            if len(sizes) > 1:
                exponent = math.log(found[-1]["seconds"] / found[-2]["seconds"]) / math.log(
                    sizes[-1] / sizes[-2]
                )
                rows.append(figure(f"{part}: exponent of time by rows", exponent, "", at_most=1.1))
        n = min(args.out_of_core, max(args.rows))
        known, found_there = (run(part, folder, n, args.width) for part in ("train", "train out of core"))
        rows += of_size("train out of core", n, found_there)
        points = 100 * abs(known["accuracy"] - found_there["accuracy"])
        rows.append(figure("  accuracy, difference from training in memory", points, "points", at_most=1.0))
        for n in args.duplicates:
            one = run("duplicates", folder, n, args.width)
            rows += of_size("duplicates", n, one)
            rows.append(figure("  planted pairs found", one["found"], "share", at_least=1.0))
            rows.append(figure("  per million pairs", 1e6 * one["seconds"] / (n * (n - 1) / 2), "s"))
    report("growth", rows, args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    made.add_argument("--width", type=int, default=256)
    made.add_argument("--duplicates", type=int, nargs="*", default=[10_000, 30_000, 100_000])
    made.add_argument("--out-of-core", type=int, default=100_000)
    made.add_argument("--folder", help="with room for the tables, one at a time (default: a temporary one)")
    made.add_argument("--part", choices=list(PART), help=argparse.SUPPRESS)
    return made.parse_args(argv)


def of_size(part: str, n: int, found: dict[str, float]) -> list[dict[str, Any]]:
    return [
        figure(f"{part}, {n:,} rows", found["seconds"], "s"),
        figure("  peak memory beyond the imports", found["peak"] / 1e6, "MB"),
    ]


def run(part: str, folder: str, n: int, width: int) -> dict[str, float]:
    """One part in a process of its own, on a table that is written if it is not there."""
    table = Path(folder) / f"{n}.parquet"
    for which in ["write"] * (not table.exists() and part != "duplicates") + [part]:
        command = [sys.executable, __file__, "--part", which, "--folder", folder]
        command += ["--rows", str(n), "--width", str(width)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{which} of {n} rows failed:\n{done.stderr}")
    return json.loads(done.stdout)


def vectors(n: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of overlapping labels, and the labels."""
    centres = np.random.default_rng(0).random((LABELS, width), dtype=np.float32)
    rng, codes = np.random.default_rng(seed), np.sort(np.arange(n) % LABELS)
    X = np.empty((n, width), dtype=np.float32)
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        rng.standard_exponential(out=part, dtype=np.float32)
        part *= 0.7 + 0.6 * centres[codes[start : start + len(part)]]
    return X, np.array([f"label{code}" for code in range(LABELS)])[codes]


def write(folder: Path, n: int, width: int) -> dict[str, float]:
    from featurize.table import FeatureTable

    X, label = vectors(n, width, 1)
    sha256 = [f"{i * 0x9E3779B97F4A7C15 % 2**64:064x}" for i in range(n)]
    FeatureTable.from_arrays({"x": X}, label=label, sha256=sha256).write(folder / f"{n}.parquet")
    return {}


def load(folder: Path, n: int, width: int) -> dict[str, float]:
    import pyarrow.parquet  # noqa: F401

    from featurize.table import FeatureTable

    return measured(lambda: FeatureTable.read(folder / f"{n}.parquet"))[0]


def train(folder: Path, n: int, width: int) -> dict[str, float]:
    from classify.model.modelfile import save_model
    from classify.training.train import train
    from featurize.table import FeatureTable

    found, model = measured(lambda: train(FeatureTable.read(folder / f"{n}.parquet")))
    save_model(model, folder / f"{n}.model")
    return found | {"accuracy": accuracy(model, width)}


def train_out_of_core(folder: Path, n: int, width: int) -> dict[str, float]:
    from classify.training.out_of_core import train_out_of_core

    found, model = measured(lambda: train_out_of_core(folder / f"{n}.parquet"))
    return found | {"accuracy": accuracy(model, width)}


def predict(folder: Path, n: int, width: int) -> dict[str, float]:
    from classify.model.modelfile import load_model
    from featurize.table import FeatureTable

    model = load_model(folder / f"{n}.model")
    batches = FeatureTable.read_batches(folder / f"{n}.parquet")
    return measured(lambda: sum(len(model.predict_proba(batch.select("x"))) for batch in batches))[0]


def duplicates(folder: Path, n: int, width: int) -> dict[str, float]:
    from classify.similar import similar_pairs

    X = vectors(n, width, 2)[0]
    planted = np.arange(0, n - 1, max(2, n // 500))
    X[planted + 1] = X[planted] * np.random.default_rng(3).normal(1, 0.05, (len(planted), width)).astype(
        np.float32
    )
    found, (pairs, _) = measured(lambda: similar_pairs(X, 0.98, exact_up_to=n))
    known = {tuple(pair) for pair in np.column_stack([planted, planted + 1]).tolist()}
    return found | {"found": len(known & set(map(tuple, pairs.tolist()))) / len(known)}


def accuracy(model: Any, width: int) -> float:
    X, label = vectors(TESTED, width, 4)
    return float((model.predict(X) == label).mean())


def measured(work: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds, and how much the peak memory rose."""
    before, start = peak(), time.perf_counter()
    result = work()
    return {"seconds": time.perf_counter() - start, "peak": float(peak() - before)}, result


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


PART: dict[str, Callable[[Path, int, int], dict[str, float]]] = {
    "write": write,
    "load": load,
    "train": train,
    "train out of core": train_out_of_core,
    "predict": predict,
    "duplicates": duplicates,
}

if __name__ == "__main__":
    main()
