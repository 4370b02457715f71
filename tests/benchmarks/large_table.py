"""A table of 500,000 × 1,280, assembled of parts, read in row groups, and trained on out of core, in stated memory.

    nice -n 10 python tests/benchmarks/large_table.py [--rows 500000] [--folder DIR]

The vectors are random numbers, written into the store as parts write them (256 rows a shard); photos are names alone.
Needs three times the table on the disk: 8 GB for 500,000 rows. Each step is a process of its own, whose peak memory is
what the system says of it.
"""

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDTH = 1280
PART = 512


def make_extractor():
    from featurize import Extractor

    class Wide(Extractor):
        family, version = "wide", 1
        value_names = tuple(f"wide_{n}" for n in range(WIDTH))

        def settings(self):
            return {}

        def prepare(self, photo):
            return np.resize(photo.rgb().mean(axis=(0, 1)), WIDTH).astype(np.float32)

    return Wide()


def listing(n_rows: int):
    from featurize.photos.origin import OnDisk, Source, SourceImage

    images = [SourceImage(OnDisk(f"/photos/{n:07d}.jpg"), f"{n:07d}.jpg", "ab"[n % 2]) for n in range(n_rows)]
    return Source("/photos", "folder", images)


def digests(start: int, stop: int) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, stop)]


def write(folder: Path, n_rows: int) -> None:
    """The shards of all parts."""
    from featurize import Store
    from featurize.store.shard import image_keys

    section = Store(folder / "store").section_of(make_extractor())
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, 256):
        stop = min(start + 256, n_rows)
        vectors = rng.normal(size=(stop - start, WIDTH)).astype(np.float32)
        vectors[:, :8] += np.arange(start, stop)[:, None] % 2
        section.write(image_keys(digests(start, stop)), vectors)


def results(n_rows: int):
    import pyarrow as pa

    from featurize.extraction.parts import PartRows
    from featurize.id_columns import complete_ids

    n_parts = -(-n_rows // PART)
    for number in range(1, n_parts + 1):
        start, stop = (number - 1) * n_rows // n_parts, number * n_rows // n_parts
        names = [f"{n:07d}.jpg" for n in range(start, stop)]
        ids = {
            "image": names,
            "sha256": digests(start, stop),
            "label": ["ab"[n % 2] for n in range(start, stop)],
        }
        yield PartRows(number, n_parts, complete_ids(pa.table(ids)), [], "")


def assemble(folder: Path, n_rows: int) -> None:
    from featurize import Store
    from featurize.extraction.parts import Assembly

    assembly = Assembly(listing(n_rows), results(n_rows), [make_extractor()], store=Store(folder / "store"))
    assembly.write(folder / "t.parquet")


def compact(folder: Path, n_rows: int) -> None:
    from featurize import Store

    Store(folder / "store").section_of(make_extractor()).compact()


def read(folder: Path, n_rows: int) -> None:
    from featurize.tableformat import read_batches

    assert sum(len(batch.ids) for batch in read_batches(folder / "t.parquet")) == n_rows


def train(folder: Path, n_rows: int) -> None:
    from classify.cli import main

    # Five steps of its solver tell the memory; each is a pass over the file or more.
    words = ["train", str(folder / "t.parquet"), "-o", str(folder / "m.model"), "--out-of-core", "--quiet"]
    words += ["--head", "softmax:max_iter=5"]
    assert main(words) == 0


STEPS = {
    "write": write,
    "assemble": assemble,
    "read": read,
    "train": train,
    "compact": compact,
    "again": assemble,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--step", choices=STEPS)
    args = parser.parse_args()
    if args.step:
        start = time.perf_counter()
        STEPS[args.step](args.folder, args.rows)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = {"seconds": time.perf_counter() - start, "cpu": usage.ru_utime + usage.ru_stime}
        print(json.dumps({**spent, "peak_mb": usage.ru_maxrss / 1024}))
        return
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        for step in STEPS:
            command = [
                sys.executable,
                __file__,
                "--step",
                step,
                "--rows",
                str(args.rows),
                "--folder",
                str(folder),
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(step, *(f"{name} {value:,.0f}" for name, value in found.items()), flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
