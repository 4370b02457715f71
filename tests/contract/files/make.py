"""Makes ``kept.zip`` and ``kept-oldest.zip``, which no test does: their files are those of the program of that day.

    mkdir /tmp/kept && cp tests/contract/files/make.py /tmp/kept && cd /tmp/kept
    PYTHONPATH=FOLDER-OF-THE-PROJECT/tests python make.py

That folder, new each time, also stands in the files, as the place where the photos were. In the archive:

- ``photos/``, ``photos.csv``: 30 photos with labels, groups and splits; ``new/``: 9 that no model has seen;
- ``store/``: the vectors of ``photos/``, kept by the digests of the files;
- ``kept.parquet``, ``kept.npz``: the same table twice, with one distorted copy of each training photo;
- ``bottlenecks/``, ``imported.parquet``: a folder as retrain.py leaves it, and the table of it;
- ``NAME.model`` for each of ``MODELS``, with ``NAME.table.csv`` and ``NAME.new.csv``: what it said of both;
- ``compare.json``, ``test.json``: results of ``evaluate compare`` and ``evaluate test``;
- ``made.json``: versions of the libraries, the table's digest, and a few of its rows.

``kept-oldest.zip`` holds models and predictions alone, made from the table and the photos in ``kept.zip`` with the
oldest libraries that are supported (scikit-learn 1.7.0, skops 0.13.0, numpy 1.26.0): there, after unpacking,

    PYTHONPATH=FOLDER-OF-THE-PROJECT:FOLDER-OF-THE-PROJECT/tests python make.py models

``kept-plain.zip`` holds models of ``PLAIN_MODELS``, which stand in the file as plain arrays, too, made from the same
table with scikit-learn 1.9.1: likewise, with ``python make.py plain``. ``probabilities.npz`` holds what scikit-learn's
own heads said of that table then.

``kept-folds.csv`` holds the folds of ``compare.json``, as ``evaluate split --cv 3`` of that day wrote them.

Do not make them anew because a test fails: people have such files. Where a format grows, add a second archive.
"""

import csv
import importlib.metadata
import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
from builders import run
from PIL import Image

from classify import load_model
from featurize import FeatureTable

HERE = Path(__file__).resolve().parent
LABELS = ("bark", "moss", "sand")
FEATURES = "glcm glcm:haralick color lbp"
DISTORTION = "--distort 1 --flip-left-right --random-brightness 20"
# The words that follow `classify train kept.parquet -o NAME.model`.
MODELS = {
    "softmax": "--head softmax --features color+lbp",
    "svm-tuned": "--head svm --tune --features glcm:haralick",
    "naive-bayes": "--head naive-bayes --balanced --features lbp",
    "mlp": "--head mlp --set hidden_layer_sizes=4 max_iter=30 --features color",
    "knn": "--head knn --set n_neighbors=5 --features glcm+lbp",
    "steps": "--head softmax --steps 40 --features glcm",
    "threshold": "--head softmax --relabel moss-or-not.csv --positive moss --threshold recall=0.9 --features glcm",
}
# Those of ``kept-plain.zip``.
PLAIN_MODELS = {
    "softmax": "--head softmax --tune --features color+glcm",
    "linear-svm": "--head linear-svm --features glcm",
    "svm": "--head svm --features glcm",
    "svm-of-two": "--head svm --relabel moss-or-not.csv --positive moss --threshold recall=0.9 --features glcm",
    "mlp": "--head mlp --set hidden_layer_sizes=4 max_iter=30 --features glcm",
    "lda": "--head lda --features glcm",
    "steps": "--head softmax --steps 40 --features glcm",
}
COMPARE = "--features glcm color --heads softmax naive-bayes --cv 3 --superclass superclass.csv"
TEST = "mlp.model"


def photo(label: str, number: int) -> Image.Image:
    """A picture of 32 x 24 pixels; labels differ in colour and grain, and overlap a little."""
    rng = np.random.default_rng([LABELS.index(label), number])
    colour = {"bark": (120, 96, 70), "moss": (100, 116, 66), "sand": (138, 118, 84)}[label]
    grain = {"bark": 18, "moss": 12, "sand": 9}[label] * rng.uniform(0.6, 1.6)
    coarse = rng.normal(size=(6, 8)).repeat(4, axis=0).repeat(4, axis=1)
    grey = grain * (coarse + rng.normal(size=(24, 32)))
    tint = np.array(colour) + rng.normal(size=3) * 18
    # Steps of 8 grey levels make the file small.
    pixels = np.clip(tint + grey[:, :, None], 0, 255) // 8 * 8
    return Image.fromarray(pixels.astype(np.uint8))


def write_photos() -> None:
    (HERE / "photos").mkdir()
    (HERE / "new").mkdir()
    rows = []
    for label in LABELS:
        for number in range(10):
            # Two photos of each place, and whole places in validation and testing.
            split = {3: "validation", 4: "testing"}.get(number // 2, "training")
            name = f"photos/{label}{number:02}.png"
            photo(label, number).save(HERE / name, optimize=True)
            rows.append([name, label, f"{label} {number // 2}", split])
        for number in range(10, 13):
            photo(label, number).save(HERE / "new" / f"{label}{number}.png", optimize=True)
    with open(HERE / "photos.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([["image", "label", "group", "split"], *rows])
    (HERE / "moss-or-not.csv").write_text("label,new_label\nmoss,moss\nbark,other\nsand,other\n")
    (HERE / "superclass.csv").write_text("label,superclass\nmoss,living\nbark,living\nsand,dead\n")


def write_bottlenecks() -> None:
    for label, numbers in {"bark": "0.5,0.25,-1", "moss": "0.125,3,0"}.items():
        (HERE / "bottlenecks" / label).mkdir(parents=True)
        for photo_number in range(2):
            name = f"{label}{photo_number}_nohash_1.jpg_inception_v3.txt"
            (HERE / "bottlenecks" / label / name).write_text(f"{numbers},{photo_number}.0625")


def do(words: str) -> None:
    outcome = run(words)
    print(outcome.out, outcome.err)
    if outcome.status:
        sys.exit(f"failed: {words}")


def some(table: FeatureTable, row: int) -> dict:
    numbers = {name: table.select(name)[row].tolist() for name in ("glcm", "lbp")}
    return {name: table.column(name)[row] for name in table.ids.column_names} | numbers


def write_models() -> None:
    for name, words in MODELS.items():
        do(f"classify train kept.parquet -o {name}.model {words} --jobs 1")
        do(f"classify predict {name}.model kept.parquet --top 0 -o {name}.table.csv")
        do(f"classify predict {name}.model new --top 0 --store store-of-new -o {name}.new.csv")
    shutil.rmtree(HERE / "store-of-new")


def pack(name: str, paths: list[Path]) -> None:
    with zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(paths):
            archive.write(path, path.relative_to(HERE))


def main() -> None:
    write_photos()
    write_bottlenecks()
    extract = f"featurize extract photos.csv --store store --features {FEATURES} {DISTORTION}"
    do(f"{extract} -o kept.parquet")
    do(f"{extract} -o kept.npz")
    do("featurize import-bottlenecks bottlenecks -o imported.parquet")
    write_models()
    do(f"evaluate compare kept.parquet {COMPARE} --json compare.json --jobs 1")
    do(f"evaluate test {TEST} kept.parquet --json test.json --jobs 1")
    (HERE / "store" / "files.sqlite").unlink()  # what stands where on the machine that made the store
    table = FeatureTable.read("kept.parquet")
    libraries = ("numpy", "scipy", "scikit-learn", "skops", "pandas", "pyarrow", "pillow", "bottlehead")
    made = {
        "python": sys.version.split()[0],
        "libraries": {name: importlib.metadata.version(name) for name in libraries},
        "digest": table.digest(),
        "rows": len(table),
        "some": {str(row): some(table, row) for row in (0, 7, 41)},
    }
    (HERE / "made.json").write_text(json.dumps(made, indent=1, default=int) + "\n")
    pack("kept.zip", [path for path in HERE.rglob("*") if path.is_file() and path.name != "make.py"])


def main_of_older_libraries() -> None:
    write_models()
    models = [HERE / f"{name}{ending}" for name in MODELS for ending in (".model", ".table.csv", ".new.csv")]
    pack("kept-oldest.zip", models)


def main_of_plain_models() -> None:
    table, said = FeatureTable.read("kept.parquet"), {}
    for name, words in PLAIN_MODELS.items():
        do(f"classify train kept.parquet -o {name}.model {words} --jobs 1")
        model = load_model(f"{name}.model")
        said[name] = model.head.predict_proba(table.select(model.features).astype(np.float64))
    np.savez_compressed("probabilities.npz", **said)
    pack("kept-plain.zip", [HERE / "probabilities.npz", *(HERE / f"{name}.model" for name in PLAIN_MODELS)])


if __name__ == "__main__":
    {"models": main_of_older_libraries, "plain": main_of_plain_models}.get("".join(sys.argv[1:]), main)()
