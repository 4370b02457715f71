"""How fast a model learns from the photos that `classify suggest` names; the figures of ``classify/README.md``.

    python tests/benchmarks/suggest.py FLOWERS.parquet FIRE.parquet [--features inception_v3:mixed8] [--repeats 10]
    python tests/benchmarks/suggest.py --rows 100000

The first takes tables of ``data/flowers`` and ``data/fire``. A third of the photos is held out; from 5 labels of each
label on, softmax is trained, and the photos that each strategy names are labelled, 25 of flowers and 14 of fire at a
time. Printed are mean accuracies, and differences from random photos with 95 % intervals over the repeats. The second
tells seconds and memory of one run over so many made-up photos.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from figures import figure, parser, report
from scipy.stats import t
from threadpoolctl import threadpool_limits

from classify import save_model, suggest_photos, train_model
from featurize import FeatureTable

STRATEGIES = ("both", "uncertain", "diverse")
PER_LABEL = 5
DRAWS = 4  # of random photos, whose mean is compared with
# What is read of each table: labels more at a time, the most labels, and the labels that should be enough.
PLANS = {"flowers": (25, 200, 130), "fire": (14, 80, 52)}


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("tables", type=Path, nargs="*", metavar="TABLE", help="of flowers, and of fire")
    made.add_argument("--features", default="inception_v3:mixed8")
    made.add_argument("--repeats", type=int, default=10)
    made.add_argument("--rows", type=int, help="measure the time for so many made-up photos")
    made.add_argument(
        "--make", type=Path, metavar="FOLDER", help="only make these photos, as the benchmark does"
    )
    args = made.parse_args(argv)
    if args.make:
        make_files(args.make, args.rows)
        return
    rows = of_many(args.rows) if args.rows else []
    for path, name in zip(args.tables, PLANS, strict=False):
        with threadpool_limits(1):
            rows += of_photos(FeatureTable.read(path), args.features, name, args.repeats)
    report("suggest", rows, args.json)


def of_photos(table: FeatureTable, features: str, name: str, repeats: int) -> list[dict]:
    step, most, enough = PLANS[name]
    sizes = [*list(range(PER_LABEL * len(set(table.label)), most, step)), most]
    curves: dict[str, list[list[float]]] = {one: [] for one in ("random", *STRATEGIES)}
    for repeat in range(repeats):
        for strategy, found in curves.items():
            n_draws = DRAWS if strategy == "random" else 1
            drawn = [curve(table, features, strategy, sizes, repeat, draw) for draw in range(n_draws)]
            found.append(np.mean(drawn, axis=0).tolist())
    means = {one: np.mean(found, axis=0) for one, found in curves.items()}
    rows = []
    for one, mean in means.items():
        rows += [figure(f"{name}, {one}, {n} labels", 100 * v, "%") for n, v in zip(sizes, mean, strict=True)]
        if one == "random":
            continue
        difference = 100 * (np.array(curves[one]) - np.array(curves["random"]))
        half = t.ppf(0.975, repeats - 1) * difference.std(axis=0, ddof=1) / np.sqrt(repeats)
        for n, gain, width in zip(sizes[1:], difference.mean(axis=0)[1:], half[1:], strict=True):
            rows.append(figure(f"{name}, {one}, {n} labels: above random, +- {width:.1f}", gain, "points"))
        needed = labels_needed(sizes, mean, means["random"][-1])
        what = f"{name}, {one}: labels for the accuracy of {most} random ones"
        rows.append(figure(what, needed, "labels", at_most=enough if one == "both" else None))
    return rows


def curve(
    table: FeatureTable, features: str, strategy: str, sizes: list[int], repeat: int, draw: int
) -> list[float]:
    """The accuracy on the held-out third, at each number of labels."""
    chance = np.random.default_rng([repeat, draw])
    order = np.random.default_rng(repeat).permutation(len(table))
    test, pool = order[: len(table) // 3], order[len(table) // 3 :]
    names = np.unique(table.label.astype(str))
    known = np.concatenate([pool[table.label[pool] == name][:PER_LABEL] for name in names])
    place = {image: row for row, image in enumerate(table.image)}
    held_out, found = table.filter(test), []
    for n, following in zip(sizes, [*sizes[1:], None], strict=True):
        assert n == len(known)
        model = train_model(table.filter(known), features=features, jobs=1)
        found.append(float((model.predict(held_out.select(features)) == held_out.label).mean()))
        if following is None:
            break
        left = pool[~np.isin(pool, known)]
        if strategy == "random":
            new = chance.permutation(left)[: following - n]
        else:
            photos = table.filter(left).with_column("label", [None] * len(left))
            chosen = suggest_photos(model, photos, following - n, strategy=strategy, seed=repeat)
            new = np.array([place[one.image] for one in chosen.ordered])
        known = np.concatenate([known, new])
    return found


def labels_needed(sizes: list[int], accuracy: np.ndarray, wanted: float) -> float:
    """Where the curve first reaches an accuracy, between two sizes on the line; infinite where it never does."""
    for place, value in enumerate(accuracy):
        if value >= wanted:
            if place == 0:
                return float(sizes[0])
            share = (wanted - accuracy[place - 1]) / (value - accuracy[place - 1])
            return sizes[place - 1] + share * (sizes[place] - sizes[place - 1])
    return float("inf")


def of_many(n_rows: int) -> list[dict]:
    """Seconds and memory of `classify suggest` over a table in a file."""
    with tempfile.TemporaryDirectory() as folder:
        # Made by another process: what a process once took is counted for those that it starts.
        made = [sys.executable, __file__, "--rows", str(n_rows), "--make", folder]
        subprocess.run(made, check=True, stderr=subprocess.DEVNULL)
        start = time.perf_counter()
        words = ["suggest", "m.model", "pool.parquet", "-o", "next.csv", "--quiet"]
        suggesting = subprocess.Popen([sys.executable, "-m", "classify", *words], cwd=folder)
        _, status, used = os.wait4(suggesting.pid, 0)
        seconds = time.perf_counter() - start
    assert status == 0
    return [
        figure(f"{n_rows} photos: seconds of the command", seconds, "s", at_most=60),
        figure("of the processor", used.ru_utime + used.ru_stime, "s"),
        figure("memory at the most", used.ru_maxrss / 1024, "MB"),
    ]


def make_files(folder: Path, n_rows: int, width: int = 1280, n_labels: int = 5) -> None:
    """A model, and a table of so many photos without labels."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_labels, width)).astype(np.float32)

    def made(n: int, start: int) -> FeatureTable:
        code = rng.integers(n_labels, size=n)
        X = rng.standard_normal((n, width), dtype=np.float32) + 0.1 * centres[code]
        image = [f"{start + row}.jpg" for row in range(n)]
        sha256 = [f"{start + row:064x}" for row in range(n)]
        return FeatureTable.from_arrays(
            {"net": X}, label=[f"l{one}" for one in code], image=image, sha256=sha256
        )

    save_model(train_model(made(2000, 10**9)), folder / "m.model")
    made(n_rows, 0).with_column("label", [None] * n_rows).write(folder / "pool.parquet")


if __name__ == "__main__":
    main()
