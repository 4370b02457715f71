"""How large the report of a comparison of many photos becomes, and how long it takes to write.

    python tests/benchmarks/report_size.py --assets ASSETS [--rows 10000] [--width 64]

The numbers are made up: 5 labels, and a head gets about four in five photos right. The photos are real: each image is
a link to one of ``ASSETS/data/flowers``, so that thumbnails cost what they cost.
"""

import hashlib
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import figure, parser, report

from evaluate.report.html import write_report
from evaluate.studies.compare import compare
from featurize.table import FeatureTable


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("--assets", type=Path, required=True, help="the folder that holds data/flowers")
    made.add_argument("--rows", type=int, default=10_000)
    made.add_argument("--width", type=int, default=64)
    args = made.parse_args(argv)
    files = sorted((args.assets / "data" / "flowers").rglob("*.jpg"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = _compared(files, folder, args.rows, args.width)
        start, spent = time.perf_counter(), time.process_time()
        write_report(found, folder / "report.html")
        wall, used = time.perf_counter() - start, time.process_time() - spent
        page = (folder / "report.html").read_text(encoding="utf-8")
    rows = [
        figure("misclassified photos", len(found.best["misclassified"]), ""),
        figure("thumbnails in the report", page.count("data:image/jpeg"), ""),
        figure("report", len(page.encode()) / 1e6, "MB", at_most=5),
        figure("writing it, wall-clock", wall, "s", at_most=20),
        figure("writing it, processor", used, "s"),
        figure("JSON", len(json.dumps(found.to_dict()).encode()) / 1e6, "MB"),
    ]
    report("report_size", rows, args.json)


def _compared(files: list[Path], folder: Path, n_rows: int, width: int):
    image = [f"{i % 5}/{i:06}.jpg" for i in range(n_rows)]
    for i, name in enumerate(image):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(files[i % len(files)].resolve())
    rng, label = np.random.default_rng(0), np.arange(n_rows) % 5
    X = rng.normal(size=(n_rows, width)) + 2.2 * np.eye(width)[label]
    table = FeatureTable.from_arrays({"made-up": X}, label=[f"kind {i}" for i in label], image=image)
    found = compare(table, heads=["softmax", "sklearn.naive_bayes.GaussianNB"])
    # Not before: the same bytes under many names would count as one photo.
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    found.table = found.table.with_column("sha256", [digests[i % len(files)] for i in range(n_rows)])
    found.table.metadata["source"] = {"kind": "folder", "path": str(folder)}
    return found


if __name__ == "__main__":
    main()
