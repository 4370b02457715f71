"""Does a store of a million vectors fit into memory while it becomes a table?

    python tests/benchmarks/store_growth.py [--rows 1000000] [--width 256] [--folder DIR]

Writes synthetic vectors into a store, in shards of the size that compaction makes. A fresh process then opens the
store, looks up every content in another order than it was stored in, and makes a `FeatureTable`. Printed is the
peak memory of that process beside the size of the table; the limit is the table and 500 MB.

Measured (2 cores, Python 3.11, numpy 2.4, pyarrow 26, one run each):

         rows  width  table MB  peak MB  beyond the table MB  on disk MB  seconds
    1,000,000    256     1,161    1,592                  431         605       24

What lies beyond the table does not grow with the width, for shards have a size in bytes: at width 2,048 the table
has 8,329 MB, in 512 shards instead of 64 (reckoned, not run). What `featurize extract` itself remembers of a million
files, their names and labels, is not measured here.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import figure, parser, report

ALLOWANCE = 500 << 20
FINGERPRINT = "5a" * 32


def content(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def write(folder: str, n_rows: int, width: int) -> None:
    """Fill a store with vectors whose first two values tell their row."""
    from featurize.store.shard import image_keys
    from featurize.store.store import COMPACTED_BYTES, Store

    section = Store(folder).section("synthetic", FINGERPRINT, width)
    rng = np.random.default_rng(0)
    at_once = COMPACTED_BYTES // (4 * width)
    for start in range(0, n_rows, at_once):
        numbers = np.arange(start, min(start + at_once, n_rows))
        # Like pooled activations: never negative, many of them zero.
        matrix = np.maximum(rng.standard_normal((len(numbers), width), dtype=np.float32), 0)
        matrix[:, 0], matrix[:, 1] = numbers % 4096, numbers // 4096
        section.write(image_keys([content(n) for n in numbers]), matrix)


def read(folder: str, n_rows: int, width: int) -> dict[str, float]:
    """Make the table; peak memory and table in bytes, seconds, and whether every vector is in its row."""
    import pyarrow as pa

    from featurize.store.shard import image_keys
    from featurize.store.store import Store
    from featurize.table import FeatureTable

    numbers = np.random.default_rng(1).permutation(n_rows)
    parts = [numbers[i : i + 4096].tolist() for i in range(0, n_rows, 4096)]
    contents = pa.chunked_array([[content(n) for n in part] for part in parts], pa.string())
    images = pa.chunked_array([[f"class/{n}.jpg" for n in part] for part in parts], pa.string())
    start = time.perf_counter()
    section = Store(folder).section("synthetic", FINGERPRINT, width)
    matrix = np.empty((n_rows, width), dtype=np.float32)
    keys = np.concatenate([image_keys(chunk.to_pylist()) for chunk in contents.chunks])
    found = section.load(keys, matrix)
    table = FeatureTable(pa.table({"image": images, "sha256": contents}), {"synthetic": matrix})
    seconds = time.perf_counter() - start
    right = bool(found.all() and (matrix[:, 0] + matrix[:, 1] * 4096 == numbers).all())
    scale = 1 if sys.platform == "darwin" else 1024
    return {
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
        "table": matrix.nbytes + table.ids.nbytes,
        "seconds": seconds,
        "right": right,
    }


def main(argv: list[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=1_000_000)
    made.add_argument("--width", type=int, default=256)
    made.add_argument("--folder", help="an empty folder with room for the store (default: a temporary one)")
    made.add_argument("--part", choices=["write", "read"], help=argparse.SUPPRESS)
    args = made.parse_args(argv)
    if args.part == "write":
        write(args.folder, args.rows, args.width)
        return 0
    if args.part == "read":
        print(json.dumps(read(args.folder, args.rows, args.width)))
        return 0
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        # Each part in a process of its own: the peak of one must not hide that of the other.
        def run(part: str) -> str:
            command = [sys.executable, __file__, "--part", part, "--folder", folder]
            command += ["--rows", str(args.rows), "--width", str(args.width)]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        run("write")
        n_bytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        result = json.loads(run("read"))
    beyond = result["peak"] - result["table"]
    size = f"{args.rows:,} rows of {args.width}"
    rows = [
        figure(f"{size}: table", result["table"] / 1e6, "MB"),
        figure("  peak memory beyond the table", beyond / 1e6, "MB", at_most=ALLOWANCE / 1e6),
        figure("  store on disk", n_bytes / 1e6, "MB"),
        figure("  from the store to the table", result["seconds"], "s"),
    ]
    report("store_growth", rows, args.json)
    if not result["right"]:
        print("error: vectors are in the wrong rows", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
