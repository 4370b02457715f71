"""A study of corrosion again: six models of steel and aluminium from photos that were computed once.

The study photographed two metals before and after corroding them, and retrained Inception six times, each time
with the photos in other folders. Here the folders stay as they are: each model is a relabelling of the same
vectors, and classes that it maps to nothing are left out. Model 1 is tested on a fifth of the training photos, the
others on photos of another folder. The study found that four classes confuse the metals, and one model per metal
does not; what such a model makes of the other metal is the last table here.

    python examples/corrosion.py TRAINING_PHOTOS --test TEST_PHOTOS
    python examples/corrosion.py flower_photos

Both folders hold the folders aluminium_corroded, aluminium_uncorroded, steel_corroded and steel_uncorroded; give
other names, in this order, with --classes. Without --test, three in ten of the photos are set aside as the test
folder. Where you have no photos of corrosion, the five kinds of flowers stand in for them.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from classify import Model, save_model, train_model
from evaluate import TestResult, split_table, test
from featurize import BottleheadError, Extractor, FeatureTable, extract, make_extractor

CLASSES = ("aluminium_corroded", "aluminium_uncorroded", "steel_corroded", "steel_uncorroded")
FLOWERS = dict(
    zip(("tulips", "sunflowers", "roses", "dandelion", "daisy"), (*CLASSES, CLASSES[3]), strict=True)
)
MODELS = {  # what becomes of the four classes, and the study's accuracy in per cent
    "1 pilot": (("corroded", "uncorroded", "corroded", "uncorroded"), "96.50"),
    "2 all photos": (("corroded", "uncorroded", "corroded", "uncorroded"), "97.67"),
    "3 pitted": (("pitted", "uncorroded", "corroded", "uncorroded"), "95.67"),
    "4 four classes": (CLASSES, "80.00"),
    "5 steel": (("", "", "corroded", "uncorroded"), "99.38"),
    "6 aluminium": (("corroded", "uncorroded", "", ""), "100.00"),
}


def read(photos: str, extractor: Extractor, classes: Sequence[str], store: str | None) -> FeatureTable:
    """The vectors of a folder of photos, labelled with the four classes of the study."""
    table = extract(photos, [extractor], store=store)
    names, labels = dict(zip(classes, CLASSES, strict=True)), {label for label in table.label if label}
    if not set(names) <= labels and set(FLOWERS) <= labels:
        names = FLOWERS
        print(f"{photos}: flowers stand in, {', '.join(f'{a} for {b}' for a, b in names.items())}\n")
    if missing := sorted(set(names) - labels):
        raise BottleheadError(
            f"{photos} has no {', '.join(missing)}; its class folders are {', '.join(sorted(labels)) or 'none'}",
            "name those of corroded and uncorroded aluminium, corroded and uncorroded steel with --classes",
        )
    return table.relabel(dict.fromkeys(labels, "") | names)


def set_aside(table: FeatureTable, percentage: int) -> tuple[FeatureTable, FeatureTable]:
    """Training and test photos; identical photos and groups are not parted."""
    split = split_table(table, testing_percentage=percentage, validation_percentage=0)
    return split.filter(split.split == "training"), split.filter(split.split == "testing")


def seconds_per_photo(photos: str, table: FeatureTable, extractor: Extractor) -> float:
    """From a file to its vector, with the network loaded and an empty store."""
    files = [Path(photos) / image for image in table.image[:17]]
    with tempfile.TemporaryDirectory() as store:
        extract(files[:1], [extractor], store=store)
        start = time.perf_counter()
        extract(files[1:], [extractor], store=store)
        return (time.perf_counter() - start) / len(files[1:])


def summary(model: Model, tested: TestResult, seconds: float) -> dict[str, str]:
    """One column of the last table."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model")
        size = (Path(folder) / "model").stat().st_size
    scores, interval = tested.scores, tested.scores["accuracy_interval"]
    corroded = scores["per_label"].get("corroded") if len(model.labels) == 2 else None
    return {
        "Training set": str(model.training["photos"]),
        "Test set": str(tested.data["images"]),
        "Data size (MB)": f"{size / 1e6:.2f}",
        "Computing time (s)": f"{seconds + scores['predict_seconds_per_image']:.3f}",
        "Precision": f"{corroded['precision']:.2f}" if corroded else "",
        "Recall": f"{corroded['recall']:.2f}" if corroded else "",
        "F-measure": f"{corroded['f1']:.2f}" if corroded else "",
        "Accuracy (%)": f"{100 * scores['accuracy']:.2f}",
        "95 % interval": f"{100 * interval['low']:.1f}–{100 * interval['high']:.1f}",
    }


def print_crossover(tested: TestResult) -> None:
    """What model 4 took the photos for that it mislabelled, and how often it mistook the metal."""
    labels, matrix = (tested.details["confusion"][part] for part in ("labels", "matrix"))
    shown = [["" if i == j else count for j, count in enumerate(row)] for i, row in enumerate(matrix)]
    print(f"\nMislabelling crossover of model 4\n{pd.DataFrame(shown, labels, labels).to_string()}")
    wrong = tested.details["misclassified"]
    metals = sum(row["label"].split("_")[0] != row["predicted"].split("_")[0] for row in wrong)
    print(f"{len(wrong)} mislabelled, {metals} of them as the other metal")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="the training photos, one folder per class")
    parser.add_argument("--test", metavar="PHOTOS", help="the test photos, in folders of the same names")
    parser.add_argument("--classes", nargs=4, default=CLASSES, metavar="NAME", help="the four folders' names")
    parser.add_argument("--features", default="inception_v3", help="default: inception_v3")
    parser.add_argument("--weights", default="auto", help="of the network: auto (default), random, or a file")
    parser.add_argument("--head", default="softmax", help="default: softmax")
    parser.add_argument("--store", help="where vectors are kept (default: the user's cache)")
    args = parser.parse_args(argv)

    extractor = make_extractor(args.features, weights=args.weights)
    training = read(args.photos, extractor, args.classes, args.store)
    if args.test:
        testing = read(args.test, extractor, args.classes, args.store)
    else:
        training, testing = set_aside(training, 30)
    seconds = seconds_per_photo(args.test or args.photos, testing, extractor)

    models, tests, sizes, columns = {}, {}, {}, {}
    for name, (labels, study) in MODELS.items():
        relabel = dict(zip(CLASSES, labels, strict=True))
        learnt, tried = set_aside(training, 20) if name == "1 pilot" else (training, testing)
        models[name] = train_model(learnt, args.head, extractor.name, relabel=relabel)
        tests[name] = test(models[name], tried)
        tried_labels = pd.Series(tried.relabel(relabel).label).value_counts()
        learnt_labels = models[name].training["photos_per_label"]
        sizes[name] = {label: f"{n} + {tried_labels.get(label, 0)}" for label, n in learnt_labels.items()}
        columns[name] = summary(models[name], tests[name], seconds) | {"The study's accuracy (%)": study}

    print(f"Set splits (training + test)\n{pd.DataFrame(sizes).fillna('').T.to_string()}")
    print_crossover(tests["4 four classes"])
    print(f"\nModels summary ({args.head} on {extractor.name})\n{pd.DataFrame(columns).to_string()}")
    vectors = sum(table.select(extractor.name).nbytes for table in (training, testing))
    print(f"All six from {len(training) + len(testing)} vectors, {vectors / 1e6:.1f} MB, computed once.")
    for name, tested in tests.items():
        print("".join(f"warning: model {name}: {text}\n" for text in tested.warnings), end="")

    crossed = {}
    for metal in ("5 steel", "6 aluminium"):
        photos = testing.relabel(models[metal].relabel)
        crossed[f"tested on {metal[2:]}"] = {
            f"trained on {name[2:]}": round(100 * test(models[name], photos).scores["accuracy"], 2)
            for name in ("5 steel", "6 aluminium")
        }
    print(f"\nOne metal's model on the other's photos, accuracy (%)\n{pd.DataFrame(crossed).to_string()}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # messages and progress, on stderr
    try:
        main()
    except BottleheadError as error:
        sys.exit(f"error: {error}")
