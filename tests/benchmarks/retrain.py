"""How long retraining takes once the vectors are there: `classify train`, whole processes.

    python tests/benchmarks/retrain.py [--rows 3670] [--width 2048] [--repeats 5] [--steps 4000]

Makes a table as long and as wide as the 3,670 flower photos of TensorFlow's tutorial with Inception's 2048 numbers:
non-negative, two thirds zero, five labels that a softmax tells apart about as well as those flowers. Then it runs
``classify train`` with the plain softmax, its start and its end included; the model holds all that models hold (the
outliers' reference, digests, the card). The file is read once before, so that it lies in the page cache.

The last row is retrain.py's own way, 4,000 steps of 100 photos, evaluated every 100 steps. (The original took 124 s
for the steps alone, on vectors in text files.)
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import command_seconds, figure, parser, report

from classify.heads.registry import make_head
from featurize.table import FeatureTable

LABELS = np.array(["daisy", "dandelion", "roses", "sunflowers", "tulips"])
LOADED = """
import sys
from classify.cli import main
main(sys.argv[1:])
sys.exit("TensorFlow was imported" if "tensorflow" in sys.modules else 0)
"""


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=3670)
    made.add_argument("--width", type=int, default=2048)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--steps", type=int, default=4000)
    args = made.parse_args(argv)
    table = vectors(args.rows, args.width)
    rows = [figure("accuracy of softmax on a fifth held out", held_out(table), "")]
    with tempfile.TemporaryDirectory() as folder:
        table.write(Path(folder) / "t.parquet")
        train = ["train", str(Path(folder) / "t.parquet"), "-o", str(Path(folder) / "m.model")]
        command_seconds([sys.executable, "-c", LOADED, *train])  # fails if TensorFlow was imported
        command = [sys.executable, "-m", "classify", *train]
        cpu, wall = zip(*[command_seconds(command) for _ in range(args.repeats)], strict=True)
        what = f"classify train, {args.rows:,} x {args.width}, softmax"
        rows.append(figure(what, statistics.median(wall), "s", at_most=2.5))
        rows.append(figure("  processor time of that", statistics.median(cpu), "s"))
        steps = ["--steps", str(args.steps), "--eval-interval", "100"]
        rows.append(
            figure(f"  the same in {args.steps:,} steps", command_seconds([*command, *steps])[1], "s")
        )
    report("retrain", rows, args.json)


def vectors(n_rows: int, width: int) -> FeatureTable:
    """Sums of forty patterns, cut off at zero; the labels differ in how much of each pattern they have."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % len(LABELS)
    patterns, centres = rng.random((40, width)) ** 3, rng.normal(size=(len(LABELS), 40))
    amounts = 0.5 * centres[y] + rng.normal(size=(n_rows, 40))
    X = 0.6 * amounts @ patterns + 2 * rng.normal(size=(n_rows, width)) - 1
    label = LABELS[y]
    return FeatureTable.from_arrays(
        {"inception_v3": np.maximum(X, 0).astype(np.float32)},
        label=label,
        image=[f"{name}/{i}.jpg" for i, name in enumerate(label)],
        sha256=[f"{i:064x}" for i in range(n_rows)],
    )


def held_out(table: FeatureTable) -> float:
    X, y = table.select("inception_v3"), table.label.astype(str)
    tested = np.arange(len(y)) // len(LABELS) % 5 == 0
    return float(make_head("softmax").fit(X[~tested], y[~tested]).score(X[tested], y[tested]))


if __name__ == "__main__":
    main()
