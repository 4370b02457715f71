"""What int8 costs: accuracy and log loss of heads on the flowers, on the same folds as with float32.

    python tests/benchmarks/int8_accuracy.py [--assets DIR] [--every 1] [--store DIR] [--json FILE]

Inception v3 at mixed8, once in float32 and once in int8, softmax and svm, 5 folds. The interval is of the paired
difference of accuracy. A store that holds the vectors already makes it quick.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from figures import figure, parser, report

from evaluate import compare
from featurize import FeatureTable, InceptionV3, extract

LAYER = "mixed8"
HEADS = ["softmax", "svm"]
LOG_LOSS = 0.01  # at most so much more


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    assets = Path(args.assets)
    weights = str(next((assets / "weights").glob("inception_v3*.h5")))
    photos = [
        (one, one.parent.name) for one in sorted((assets / "data" / "flowers").rglob("*.jpg"))[:: args.every]
    ]
    made = {
        precision: extract(
            photos, InceptionV3(weights, LAYER, precision, engine="openvino"), store=args.store
        )
        for precision in ("float32", "int8")
    }
    report("int8_accuracy", rows(made), args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--assets", default=os.environ.get("TEST_ASSETS"), metavar="DIR")
    made.add_argument("--every", type=int, default=1, help="every Nth photo (default: all)")
    made.add_argument("--store", metavar="DIR")
    args = made.parse_args(argv)
    if not args.assets:
        made.error("give --assets or set TEST_ASSETS")
    return args


def rows(tables: dict[str, FeatureTable]) -> list[dict[str, Any]]:
    first = tables["float32"]
    vectors = {precision: next(iter(table.vectors.values())) for precision, table in tables.items()}
    both = FeatureTable.from_arrays(vectors, label=first.label, image=first.image, sha256=first.sha256)
    exact, rounded = vectors["float32"], vectors["int8"]
    moved = np.linalg.norm(rounded - exact, axis=1) / np.linalg.norm(exact, axis=1)
    made = [figure("vectors move by", 100 * float(moved.mean()), "%")]
    for head in HEADS:
        # By itself: of several heads, features are compared by the best of each, which may be two.
        found = compare(both, features=list(vectors), heads=[head], seed=0).to_dict()
        scores = {one["features"]: one for one in found["results"]}
        for precision in vectors:
            accuracy = scores[precision]["accuracy"]["mean"]
            made.append(figure(f"{head}, {precision}: accuracy", 100 * accuracy, "%"))
        more = scores["int8"]["log_loss"] - scores["float32"]["log_loss"]
        made.append(figure(f"{head}: log loss, int8 - float32", more, "", at_most=LOG_LOSS))
        (pair,) = found["comparisons"]
        turned = pair["one"]["features"] == "float32"
        low, high = (-pair["high"], -pair["low"]) if turned else (pair["low"], pair["high"])
        made.append(figure(f"{head}: accuracy, int8 - float32, low", 100 * low, "points", at_most=0))
        made.append(figure(f"{head}: accuracy, int8 - float32, high", 100 * high, "points", at_least=0))
    return made


if __name__ == "__main__":
    main()
