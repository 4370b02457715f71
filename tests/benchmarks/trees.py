"""How right and how well calibrated a flat head is on each level of a tree, its probabilities added up.

    python tests/benchmarks/trees.py [--table TABLE.parquet --features SPEC]

Softmax over five folds, as `evaluate compare --taxonomy` has it: 300 made labels in three levels, the digits of
scikit-learn (64 grey values each) by the shape of their strokes, and, with `--table`, the flowers in a tree. A minute;
the figures stand in evaluate/README.md.
"""

from typing import Any

import numpy as np
from figures import figure, parser, report
from sklearn.datasets import load_digits

from evaluate import compare
from evaluate.report.score_sentences import tree_in_words
from featurize import FeatureTable

FLOWERS = {
    "daisy": "composites", "dandelion": "composites", "sunflowers": "composites",
    "roses": "bouquet flowers", "tulips": "bouquet flowers",
}  # fmt: skip
DIGITS = {str(n): "with a loop" for n in (0, 6, 8, 9)} | {str(n): "straight" for n in (1, 4, 7)}
DIGITS |= {str(n): "with an open bow" for n in (2, 3, 5)}
WIDTH, PER_LABEL = 64, 20


def made(seed: int = 0) -> tuple[FeatureTable, dict[str, str]]:
    """300 labels, ten to each of 30 parents, five of these to each of six: those of one parent lie nearer together."""
    rng, place = np.random.default_rng(seed), np.arange(300)
    centres = 1.1 * rng.normal(size=(6, WIDTH))[place // 50] + 0.8 * rng.normal(size=(30, WIDTH))[place // 10]
    centres += 0.45 * rng.normal(size=(300, WIDTH))
    truth = np.repeat(place, PER_LABEL)
    labels = np.array([f"label {n:03}" for n in place])
    parents = {f"label {n:03}": f"parent {n // 10:02}" for n in place}
    parents |= {f"parent {n:02}": f"top {n // 5}" for n in range(30)}
    X = 1.6 * rng.normal(size=(len(truth), WIDTH)) + centres[truth]
    return FeatureTable.from_arrays({"x": X}, label=labels[truth]), parents


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", help="of the flowers")
    arguments.add_argument("--features", default="inception_v3:mixed8")
    args = arguments.parse_args(argv)
    digits = load_digits()
    tables: dict[str, tuple[FeatureTable, dict[str, str], str]] = {
        "made": (*made(), "x"),
        "digits": (
            FeatureTable.from_arrays({"x": digits.data}, label=digits.target.astype(str)),
            DIGITS,
            "x",
        ),
    }
    if args.table:
        tables["flowers"] = FeatureTable.read(args.table), FLOWERS, args.features
    rows: list[dict[str, Any]] = []
    for name, (table, parents, features) in tables.items():
        found = compare(table, [features], ["softmax"], taxonomy=parents, jobs=1).best.taxonomy
        print(name, *tree_in_words(found), sep="\n  ", flush=True)
        for one in found.levels:
            level = f"{name}, level {one.level} of {one.names} names"
            rows.append(figure(f"{level}: right", 100 * one.accuracy.mean, "%"))
            rows.append(figure(f"{level}: calibration error", 100 * one.calibration_error, "points"))
        right = found.answers.right
        rows.append(
            figure(f"{name}: answers that are right", 100 * right.mean if right else 0.0, "%", at_least=95)
        )
    report("trees", rows, args.json)


if __name__ == "__main__":
    main()
