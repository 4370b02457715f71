"""How good texture and colour are without a network, and what a photo costs.

    python tests/benchmarks/textures.py [--assets DIR] [--store DIR] [--photos 100] [--every N]

Each features name on the flowers and on fire/normal: softmax and svm over five folds, as `evaluate compare` has them;
the target is for the better of the two. Then the processor time of one photo of the flowers from its bytes to its
vector, decoding included, one thread, median. `--every N` takes every Nth photo of each label.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import figure, parser, report

from evaluate import compare
from featurize import FeatureTable, extract, make_extractor
from featurize.photos.photo import Photo

# To be reached by texture: on the flowers, and on fire/normal.
TARGETS = {"flowers": 0.71, "fire": 0.91}
BEFORE = ("glcm", "glcm:haralick", "lbp", "color")
MILLISECONDS = 80


def main(argv: list[str] | None = None) -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--assets", default=os.environ.get("TEST_ASSETS", "shared"))
    arguments.add_argument("--store", help="where vectors are kept (default: nowhere)")
    arguments.add_argument("--photos", type=int, default=100)
    arguments.add_argument("--every", type=int, default=1)
    args = arguments.parse_args(argv)
    data = Path(args.assets) / "data"
    rows: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        with tempfile.TemporaryDirectory() as nowhere:
            table = extract(data / name, [*BEFORE, "texture:grey", "texture"], store=args.store or nowhere)
        rows += accuracies(name, table.filter(rows_of_each_label(table, args.every)), target)
    paths = sorted((data / "flowers").rglob("*.jpg"))
    photos = [path.read_bytes() for path in paths[:: max(1, len(paths) // args.photos)]][: args.photos]
    for spec in (*BEFORE, "texture:grey", "texture"):
        most = MILLISECONDS if spec == "texture" else None
        rows.append(figure(f"{spec}, per photo", milliseconds(spec, photos), "ms", at_most=most))
    report("textures", rows, args.json)


def rows_of_each_label(table: FeatureTable, every: int) -> list[int]:
    places = [
        [row for row, label in enumerate(table.label) if label == one] for one in sorted(set(table.label))
    ]
    return [row for rows in places for row in rows[::every]]


def accuracies(name: str, table: FeatureTable, target: float) -> list[dict[str, Any]]:
    found = compare(table, [*BEFORE, "+".join(BEFORE[1:]), "texture:grey", "texture"], ["softmax", "svm"])
    best = next(row for row in found.results if row.features == "texture")  # the best rows come first
    return [
        figure(
            f"{row.features} ({row.head}) on {name}",
            row.accuracy.mean,
            "",
            at_least=target if row is best else None,
        )
        for row in found.results
    ]


def milliseconds(spec: str, photos: list[bytes]) -> float:
    extractor, spent = make_extractor(spec), []
    for data in photos:
        start = time.process_time()
        extractor.prepare(Photo(data))
        spent.append(1e3 * (time.process_time() - start))
    return statistics.median(spent)


if __name__ == "__main__":
    main()
