"""TensorFlow for Poets again: Inception against MobileNet on photos of flowers, or of whatever you have.

The photos are divided by name as retrain.py did it, a softmax layer is trained step by step on what each network
makes of them, and the test photos, which nothing has seen, say how good it is. On the 3,670 flowers of the
tutorial retrain.py ended with 90.4 % (Inception v3) and 87.8 % (MobileNet 0.50, 224), of 353 test photos. Whether
one network is really better than the other is a question for more than one division: the last line answers it.

    python examples/flowers.py flower_photos
    python examples/flowers.py MY_PHOTOS --networks resnet50 my_frozen_graph.pb

MY_PHOTOS holds one folder per class. A network is a name that `featurize backbones` lists, with or without
`:LAYER`, or a frozen graph. Its vectors (the bottlenecks) are made once; the second run takes seconds.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from classify import Model, Steps, save_model, train_in_steps
from evaluate import compare, split_table, test
from featurize import BottleheadError, Extractor, FeatureTable, extract, make_extractor


def bottlenecks(
    photos: str, extractors: list[Extractor], store: str | None
) -> tuple[FeatureTable, dict[str, float]]:
    """The table of all networks' vectors, and the seconds that those of each took."""
    seconds = {}
    for extractor in extractors:
        start = time.perf_counter()
        extract(photos, [extractor], store=store)
        seconds[extractor.name] = time.perf_counter() - start
    return extract(photos, extractors, store=store), seconds  # together now, from the store


def megabytes(model: Model) -> float:
    """What the model takes as a file."""
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model")
        return (Path(folder) / "model").stat().st_size / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder with one folder of photos per class")
    parser.add_argument(
        "--networks", nargs="+", default=["inception_v3", "mobilenet_0.50_224"], metavar="NAME"
    )
    parser.add_argument(
        "--weights", default="auto", help="auto (default) or random, for an untrained network"
    )
    parser.add_argument("--steps", type=int, default=4000, help="training steps (default: 4000)")
    parser.add_argument("--split", choices=["hash", "stratified"], default="hash", help="default: hash")
    parser.add_argument("--store", help="where vectors are kept (default: the user's cache)")
    args = parser.parse_args(argv)

    extractors = [make_extractor(network, weights=args.weights) for network in args.networks]
    table, seconds = bottlenecks(args.photos, extractors, args.store)
    # One photo under two names must not be on two sides; retrain.py did not look.
    together = {"keep_together": True} if args.split == "hash" else {}
    table = split_table(table, args.split, **together)
    results = {}
    for network in table.features:
        model = train_in_steps(table, "softmax", network, Steps(args.steps, eval_interval=100))
        results[network] = model, test(model, table)

    sides = [f"{(table.split == side).sum()} for {side}" for side in ("training", "validation", "testing")]
    print(f"{len(table)} photos of {', '.join(model.labels)}: {', '.join(sides)}\n")
    print(f"{'network':24}{'values':>7}{'seconds':>9}{'model MB':>10}", end="")
    print(f"{'validation':>12}{'cross entropy':>15}{'final test accuracy':>21}  95 % interval")
    for network, (model, tested) in results.items():
        validated, interval = model.training["steps"]["accuracy"], tested.scores["accuracy_interval"]
        print(f"{network:24}{model.widths[0]:7}{seconds[network]:9.1f}{megabytes(model):10.2f}", end="")
        print(f"{100 * validated:10.1f} %{tested.scores['log_loss']:15.3f}", end="")
        print(f"{100 * tested.scores['accuracy']:13.1f} % (N={tested.data['images']})", end="")
        print(f"  {100 * interval['low']:.1f} to {100 * interval['high']:.1f} %")

    for network, (_, tested) in results.items():
        print("".join(f"\nwarning: {text}" for text in tested.warnings))
        print(f"=== MISCLASSIFIED TEST IMAGES === {network}")
        for wrong in tested.details["misclassified"]:
            print(f"{wrong['image']:>60} {wrong['predicted']:12} (score = {wrong['confidence']:.5f})")

    if len(results) > 1:
        found = compare(table, list(results), ["softmax"])
        print(f"\nHead to head, cross-validated on the {len(found.table)} photos that are not for testing:")
        print("\n".join(pair["words"] for pair in found.comparisons))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # messages and progress, on stderr
    try:
        main()
    except BottleheadError as error:
        sys.exit(f"error: {error}")
