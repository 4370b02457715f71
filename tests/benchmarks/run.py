"""All benchmarks one after the other: one table, one JSON.

    python tests/benchmarks/run.py [--json FILE] [--only NAME ...] [--assets DIR] [--quick]

Each benchmark runs in a process of its own, and nothing else should run on the machine. ASSETS holds ``data/flowers``,
``data/fire`` and ``weights`` (default: the environment variable TEST_ASSETS); without them, the benchmarks that need
photos are left out, and said to be. ``--quick`` takes the least amount of data, to see that all of them run; its
figures mean nothing. A missed target does not change the exit status; a benchmark that breaks does.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from figures import as_text

HERE = Path(__file__).parent
LIBRARIES = (
    "bottlehead",
    "tensorflow",
    "openvino",
    "nncf",
    "scikit-learn",
    "scikit-image",
    "mahotas",
    "numpy",
    "scipy",
    "pyarrow",
    "pandas",
    "pillow",
)

# What each is called with, and with --quick; what stands in braces is made from the assets.
BENCHMARKS: dict[str, tuple[list[str], list[str]]] = {
    "featurize_flowers": (
        ["--assets", "{assets}", "--photos", "750"],
        ["--assets", "{assets}", "--photos", "8", "--repeats", "1"],
    ),
    "int8_accuracy": (["--assets", "{assets}"], ["--assets", "{assets}", "--every", "15"]),
    "large_photos": (["--assets", "{assets}"], ["--assets", "{assets}", "--photos", "2", "--repeats", "1"]),
    "one_photo": (["{model}", "{photo}"], ["{model}", "{photo}"]),
    "serving": (
        ["--assets", "{assets}"],
        ["--assets", "{assets}", "--photos", "20", "--requests", "200", "--repeats", "1"],
    ),
    "textures": (["--assets", "{assets}"], ["--assets", "{assets}", "--photos", "2", "--every", "10"]),
    "glcm": (["--assets", "{assets}"], ["--assets", "{assets}", "--photos", "2", "--repeats", "1"]),
    "startup": ([], ["--repeats", "1", "--photos", "40"]),
    "retrain": ([], ["--rows", "200", "--width", "64", "--repeats", "1", "--steps", "10"]),
    "heads": (
        ["--limit", "600"],
        ["--sizes", "100x4", "--width", "8", "--tested", "20", "--heads", "softmax", "dummy"],
    ),
    "tune_svm": ([], ["--rows", "200", "--width", "64", "--plain", "1"]),
    "growth": ([], ["--rows", "200", "400", "--width", "16", "--duplicates", "400"]),
    "store_growth": ([], ["--rows", "2000", "--width", "16"]),
    "duplicates_recall": ([], ["--rows", "600", "--width", "64"]),
    "outlier_detection": (["{assets}", "--store", "{store}"], ["{assets}", "--store", "{store}"]),
    # Without gradient-boosting, whose 30 fits take an hour.
    "calibration": (
        ["{flowers}", "--without", "gradient-boosting"],
        ["{flowers}", "--heads", "softmax", "knn"],
    ),
    "report_size": (["--assets", "{assets}"], ["--assets", "{assets}", "--rows", "300"]),
    "map_frames": (["--assets", "{assets}"], ["--assets", "{assets}", "--rows", "200"]),
    "statistics_simulation": (["--simulations", "60"], ["--simulations", "5"]),
    "verdicts_by_folds": (["--simulations", "60"], ["--simulations", "6"]),
    "operating_points": (["--simulations", "100"], ["--simulations", "10"]),
    "answers": (["--simulations", "50"], ["--simulations", "3", "--only", "300 photos"]),
    "trees": ([], []),
    "curve_advice": (["--simulations", "8"], ["--simulations", "1"]),
    "suspects": (["{flowers}"], ["{flowers}", "--repeats", "2"]),
    "suggest": (["{flowers}", "--rows", "100000"], ["--rows", "2000"]),
    "watch": (
        ["{assets}", "--store", "{store}"],
        ["{assets}", "--store", "{store}", "--splits", "2", "--months", "1"],
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write all figures there, and the machine")
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--assets", default=os.environ.get("TEST_ASSETS"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="the least amount of data")
    args = parser.parse_args(argv)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        known: dict[str, str] = {}
        for name in args.only:
            options = BENCHMARKS[name][args.quick]
            needs_assets = any("{" in option for option in options)
            if needs_assets and not args.assets:
                print(f"{name}: left out, it needs --assets", file=sys.stderr)
                continue
            try:
                if needs_assets and not known:
                    known = prepared(Path(args.assets).resolve(), Path(folder))
                results.append(run(name, [option.format(**known) for option in options], Path(folder)))
            except (OSError, subprocess.CalledProcessError) as error:
                results.append({"name": name, "seconds": 0.0, "rows": [], "error": str(error)})
            if args.json:  # after each, so that an interrupted run leaves what it has
                text = json.dumps({"machine": machine(), "benchmarks": results}, indent=1, ensure_ascii=False)
                Path(args.json).write_text(text + "\n")
    for result in results:
        print(f"\n{result['name']} ({result['seconds']:.0f} s)")
        print(result["error"] if "error" in result else as_text(result["rows"]))
    described = machine()
    print(f"\n{described['processor']}, {described['cores']} cores, {described['memory_gb']} GB", end=", ")
    print(", ".join(f"{name} {version}" for name, version in described["versions"].items()))
    return int(any("error" in result for result in results))


def run(name: str, options: list[str], folder: Path) -> dict[str, Any]:
    """What one benchmark found, or the last line of what it complained of."""
    found = folder / f"{name}.json"
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    start = time.perf_counter()
    command = [sys.executable, str(HERE / f"{name}.py"), *options, "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = round(time.perf_counter() - start, 1)
    print(f"{seconds:.0f} s", file=sys.stderr)
    if done.returncode or not found.exists():
        error = (done.stderr.strip() or done.stdout.strip() or "it wrote no figures").splitlines()[-1]
        return {"name": name, "seconds": seconds, "rows": [], "error": error}
    return {**json.loads(found.read_text()), "seconds": seconds}


def prepared(assets: Path, folder: Path) -> dict[str, str]:
    """The table of the flower photos, a model of them and one photo; made once."""
    table, model = folder / "flowers.parquet", folder / "flowers.model"
    if not model.exists():
        weights = _first(assets / "weights", "inception_v3*.h5")
        extract = [str(assets / "data" / "flowers"), "-o", str(table), "--store", str(folder / "store")]
        extract += ["--features", "inception_v3:mixed8", "glcm", "--weights", str(weights)]
        for command in (
            ["featurize", "extract", *extract],
            ["classify", "train", str(table), "-o", str(model)],
        ):
            if "classify" in command:
                command += ["--features", "inception_v3:mixed8", "--head", "svm"]
            subprocess.run([sys.executable, "-m", *command, "--quiet"], check=True)
    photo = _first(assets / "data" / "flowers", "*/*.jpg")
    found = {"assets": assets, "store": folder / "store", "flowers": table, "model": model, "photo": photo}
    return {name: str(path) for name, path in found.items()}


def _first(folder: Path, pattern: str) -> Path:
    for path in sorted(folder.glob(pattern)):
        return path
    raise FileNotFoundError(f"there is no {pattern} in {folder}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(int(memory[0]) / 2**20) if memory else None,
        "system": platform.platform(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    sys.exit(main())
