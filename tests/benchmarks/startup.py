"""How long the commands take before they do anything, and when there is next to nothing to do.

    python tests/benchmarks/startup.py [--repeats 5] [--photos 3670]

Measured are ``--help`` of the three commands and of all their subcommands, ``featurize extract`` of a folder whose
vectors are all in the store, and ``evaluate compare`` with its three heads on a table of 60 rows of 32 numbers. Each
figure is the median of the wall-clock seconds of whole processes, after one that is not counted. The vectors of the
folder are made up: what is measured is to see that nothing has changed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from figures import command_seconds, figure, parser, report
from PIL import Image

COMMANDS = ("featurize", "classify", "evaluate")


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    rows = [help_row(args.repeats)]
    with tempfile.TemporaryDirectory() as folder:
        extract, compare = unchanged(Path(folder), args.photos), small(Path(folder))
        for what, command, limit in (
            (f"extract of {args.photos:,} unchanged photos", extract, 2.5),
            ("compare, 60 rows of 32 numbers, 3 heads, 5 folds", compare, 3.0),
        ):
            cpu, wall = medians(command, args.repeats)
            rows.append(figure(what, wall, "s", at_most=limit))
            rows.append(figure("  processor time of that", cpu, "s"))
    report("startup", rows, args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--photos", type=int, default=3670)
    return made.parse_args(argv)


def medians(command: list[str], repeats: int) -> tuple[float, float]:
    """Median processor and wall-clock seconds of a command of ours."""
    found = [command_seconds([sys.executable, "-m", *command]) for _ in range(repeats + 1)][1:]
    cpu, wall = zip(*found, strict=True)
    return statistics.median(cpu), statistics.median(wall)


def help_row(repeats: int) -> dict:
    """The slowest of all help texts."""
    slowest, seconds = "", 0.0
    for name in COMMANDS:
        text = subprocess.run(
            [sys.executable, "-m", name, "--help"], check=True, capture_output=True, text=True
        )
        listed = re.findall(r"^    ([a-z][a-z-]+)  ", text.stdout, re.MULTILINE)
        for subcommand in ([], *([one] for one in listed)):
            _, wall = medians([name, *subcommand, "--help"], repeats)
            if wall > seconds:
                slowest, seconds = " ".join([name, *subcommand]), wall
    return figure(f"--help, the slowest ({slowest})", seconds, "s", at_most=0.3)


def unchanged(folder: Path, n_photos: int) -> list[str]:
    """The command that extracts small photos again, after their vectors have been put into the store."""
    from featurize import FeatureTable, InceptionV3, Store
    from featurize.extractors.base import GOLDEN_SHA256
    from featurize.store.shard import image_keys

    photos, store, table = folder / "photos", folder / "store", folder / "photos.parquet"
    for number in range(n_photos):
        path = photos / f"class{number % 5}" / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(path)
    command = ["featurize", "extract", str(photos), "-o", str(table), "--store", str(store)]
    command_seconds([sys.executable, "-m", *command, "--features", "glcm"])
    network = InceptionV3(weights="random:0")
    network.attach(Store(store))
    section = Store(store).section_of(network)
    contents = [*sorted(set(FeatureTable.read(table).sha256)), GOLDEN_SHA256]
    vectors = np.abs(np.random.default_rng(0).normal(size=(len(contents), 2048))).astype(np.float32)
    section.write(image_keys(contents), vectors)
    section.compact()
    return [*command, "--features", "inception_v3", "--weights", "random"]


def small(folder: Path) -> list[str]:
    """The command that compares the three heads on a small table."""
    from featurize import FeatureTable

    label = np.repeat(["ash", "fern", "moss"], 20)
    X = np.random.default_rng(0).normal(size=(60, 32)) + 0.5 * (
        np.arange(32) % 3 == np.repeat(range(3), 20)[:, None]
    )
    FeatureTable.from_arrays({"x": X}, label=label).write(folder / "small.parquet")
    return ["evaluate", "compare", str(folder / "small.parquet")]


if __name__ == "__main__":
    main()
