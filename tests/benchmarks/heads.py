"""Time and memory of every head against plain scikit-learn, and of every head on 1,000 labels.

    python tests/benchmarks/heads.py [--sizes 3670x5 50000x5 20000x1000] [--width 1280] [--heads softmax svm ...]
                                     [--limit 600] [--memory GB] [--tested 500]

A size is ROWSxLABELS. Vectors are made up like a pooled network's: sums of forty patterns and noise, cut off at zero,
so that most are zero; labels differ in how much of each pattern they have (`made`). Every cell, a fit and the
probabilities of ``--tested`` other rows, runs in a process of its own. It is stopped after ``--limit`` seconds of the
processor and gets no more than ``--memory`` (half of what there is); the table says so. "plain" is the same classifier
of scikit-learn with the same parameters behind a StandardScaler, in the same run. Times are of the processor, which
other programs hardly change, with one thread for linear algebra. Memory is the peak beyond the imports, the vectors
included. A head that is refused beforehand says what it would need.

What calibration costs stands in the ratios: plain classifiers give scores, or probabilities far from the truth, while
a calibrated head is fitted once more for each of its folds (five; above 100 labels or 20,000 rows one).
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from figures import figure, parser, report, shown

SIDES = ("ours", "plain")
TARGET = 1.2
ROWS_AT_ONCE = 2_000


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    if args.cell:
        most = int(args.memory * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (args.limit, args.limit + 5))
        print(json.dumps(cell(args.cell[0], args.cell[1], Path(args.cell[2]), args.tested)))
        return
    figures, lines = [], [LINE.format("head", "s", "plain", "times", "MB", "plain", "times", "accuracy")]
    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            n_rows, n_labels = map(int, size.split("x"))
            n_heads = f"{n_rows:,} x {args.width}, {n_labels:,} labels"
            lines.append(n_heads)
            path = Path(folder) / f"{size}.npz"
            X, y = made(n_rows + args.tested, args.width, n_labels)
            np.savez(path, X=X, y=y)
            for head in args.heads:
                found = {side: run(side, head, path, args) for side in SIDES}
                lines.append(line(head, found))
                print(lines[-1], file=sys.stderr, flush=True)
                figures += rows(f"{head}, {n_heads}", found)
            path.unlink()
    print("\n".join(lines), end="\n\n")
    report("heads", figures, args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    from classify import head_names
    from featurize.files import total_memory

    made = parser(__doc__)
    made.add_argument("--sizes", nargs="+", default=["3670x5", "50000x5", "20000x1000"])
    made.add_argument("--width", type=int, default=1280)
    made.add_argument("--heads", nargs="+", default=head_names(), choices=head_names())
    made.add_argument(
        "--limit", type=int, default=600, help="seconds of the processor for a cell (default: 600)"
    )
    made.add_argument(
        "--memory", type=float, default=total_memory() / 2e9, help="GB for a cell (default: half)"
    )
    made.add_argument("--tested", type=int, default=500, help="rows to predict (default: 500)")
    made.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    return made.parse_args(argv)


def made(n_rows: int, width: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, float32, and labels in turn; the more labels, the more they differ, for the patterns are as many."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % n_labels
    patterns = rng.random((40, width)) ** 3
    centres = rng.normal(size=(n_labels, 40)) * (0.5 if n_labels < 100 else 2.0)
    X = np.empty((n_rows, width), dtype=np.float32)
    for start in range(0, n_rows, ROWS_AT_ONCE):
        part = y[start : start + ROWS_AT_ONCE]
        amounts = centres[part] + rng.normal(size=(len(part), 40))
        X[start : start + ROWS_AT_ONCE] = (
            0.6 * amounts @ patterns + 2 * rng.normal(size=(len(part), width)) - 1
        )
    return np.maximum(X, 0, out=X), np.array([f"label {code:04}" for code in range(n_labels)])[y]


def run(side: str, head: str, path: Path, args: argparse.Namespace) -> dict[str, Any]:
    """What one cell found, or ``stopped`` or ``refused`` with the reason."""
    command = [sys.executable, __file__, "--cell", side, head, str(path), "--tested", str(args.tested)]
    command += ["--memory", str(args.memory), "--limit", str(args.limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == -signal.SIGXCPU:
        return {"stopped": f"stopped after {args.limit} s"}
    if done.returncode:
        if "MemoryError" in done.stderr or "not enough memory" in done.stderr:
            return {"stopped": f"needs more than {args.memory:.0f} GB"}
        return {"stopped": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]}
    return json.loads(done.stdout)


def cell(side: str, head: str, path: Path, n_tested: int) -> dict[str, Any]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    from classify import make_head
    from classify.heads.fitting import fit_head
    from classify.heads.registry import HEADS, _import_class
    from featurize.errors import BottleheadError

    registered = HEADS[head]
    classifier = _import_class(registered.classifier)(**registered.defaults)
    if "random_state" in classifier.get_params():
        classifier.set_params(random_state=0)
    before, data = peak(), np.load(path)
    X, y = data["X"], data["y"]
    training, testing = slice(n_tested, None), slice(0, n_tested)
    with threadpool_limits(1, "blas"):
        start = time.process_time()
        try:
            if side == "plain":
                fitted = make_pipeline(StandardScaler(), classifier).fit(X[training], y[training])
            else:
                fitted = fit_head(make_head(head), X[training], y[training])
        except BottleheadError as error:
            return {"stopped": f"refused: {error.args[0]}"}
        middle = time.process_time()
        predicted = fitted.predict(X[testing])
        end = time.process_time()
    return {
        "seconds": middle - start,
        "predict": end - middle,
        "bytes": peak() - before,
        "accuracy": float((predicted == y[testing]).mean()),
    }


def peak() -> int:
    """Of this process; what Linux gives for ``ru_maxrss`` may be that of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


LINE = "  {:<18} {:>8} {:>8} {:>6}   {:>8} {:>8} {:>6}   {}"


def line(head: str, found: dict[str, dict[str, Any]]) -> str:
    """A row of the table; what did not end is a dash, with the reason at the end."""
    cells = []
    for key, unit in (("seconds", 1), ("bytes", 1e6)):
        values = [found[side][key] / unit if key in found[side] else None for side in SIDES]
        cells += ["-" if value is None else shown(value) for value in values]
        cells.append("-" if None in values or not values[1] else shown(values[0] / values[1]))
    told = [found[side].get("stopped") or f"{found[side]['accuracy']:.3f}" for side in SIDES]
    return LINE.format(head, *cells, ", plain ".join(told))


def rows(what: str, found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for side in SIDES:
        name = what if side == "ours" else "  plainly"
        if "stopped" in found[side]:
            made.append(figure(f"{name}: {found[side]['stopped']}", 0.0, ""))
            continue
        made.append(figure(f"{name}: to fit", found[side]["seconds"], "s"))
        made.append(figure("  to predict", found[side]["predict"], "s"))
        made.append(figure("  peak memory", found[side]["bytes"] / 1e6, "MB"))
    if not any("stopped" in one for one in found.values()):
        for key in ("seconds", "bytes"):
            ratio = found["ours"][key] / max(found["plain"][key], 1e-9)
            made.append(figure(f"  {key} / plainly", ratio, "", at_most=TARGET))
    return made


if __name__ == "__main__":
    main()
