"""How large a report of many photos becomes, and how long it takes.

    python tests/benchmarks/report_size.py FOLDER_OF_PHOTOS [IMAGES] [WIDTH]

The numbers are made up: 5 labels, `WIDTH` values of which a head gets about four in five photos right. The photos are
real: each image is a link to one of those in the folder, so that thumbnails cost what they cost.
"""

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from evaluate.comparison import compare
from evaluate.report import write_report
from featurize.table import FeatureTable


def main(photos: str, n_images: int = 10_000, width: int = 64) -> None:
    files = sorted(path for path in Path(photos).rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        image = [f"{i % 5}/{i:06}.jpg" for i in range(n_images)]
        for i, name in enumerate(image):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(files[i % len(files)].resolve())
        rng, label = np.random.default_rng(0), np.arange(n_images) % 5
        X = rng.normal(size=(n_images, width)) + 2.2 * np.eye(width)[label]
        table = FeatureTable.from_arrays({"made-up": X}, label=[f"kind {i}" for i in label], image=image)
        found = compare(table, heads=["softmax", "sklearn.naive_bayes.GaussianNB"])
        # Given now: the same bytes under other names would otherwise count as one photo.
        found.table = found.table.with_column("sha256", [digests[i % len(files)] for i in range(n_images)])
        found.table.metadata["source"] = {"kind": "folder", "path": str(folder)}
        start, spent = time.perf_counter(), time.process_time()
        write_report(found, folder / "report.html")
        seconds, used = time.perf_counter() - start, time.process_time() - spent
        text = json.dumps(found.to_dict())
        page = (folder / "report.html").read_text(encoding="utf-8")
        wrong = len(found.best["misclassified"])
        print(f"{n_images} images, {wrong} misclassified, {page.count('data:image/jpeg')} thumbnails")
        print(f"report {len(page.encode()) / 1e6:.2f} MB in {seconds:.1f} s ({used:.1f} s of a processor)")
        print(f"JSON {len(text.encode()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
