"""Fire and smoke in photos: a model with a class for everything else labels a folder of photos.

A network that knows only fire and smoke calls a raccoon smoke: it has no other word. So a third class, miscellaneous,
is trained on photos that share much with the other two and burn nowhere (fireplaces without a fire, grey skies).
That helps with what it was shown; a photo like nothing in training is flagged as an outlier all the same, and its
scores mean little. A tenth of the labelled photos is set aside first, and says how often the model is right.

    python examples/fire_and_smoke.py PHOTOS CAMERA_FOLDER
    python examples/fire_and_smoke.py PHOTOS CAMERA_FOLDER campfire.jpg --misc normal --model fire.model

PHOTOS holds one folder of photos per class; which of them is everything else, --misc says. What follows are the
photos to label: files or folders.
"""

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from classify import predict_images, save_model, train_model
from evaluate import split_table, test
from featurize import BottleheadError, extract, make_extractor


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="the photos to learn from, one folder per class")
    parser.add_argument("unlabelled", nargs="+", help="photos to label: files or folders")
    parser.add_argument("--misc", default="misc", help="the class of everything else (default: misc)")
    parser.add_argument("--features", default="inception_v3", help="default: inception_v3")
    parser.add_argument("--weights", default="auto", help="of the network: auto (default), random, or a file")
    parser.add_argument("--head", default="softmax", help="default: softmax")
    parser.add_argument("--model", help="keep the model in this file")
    parser.add_argument("--store", help="where vectors are kept (default: the user's cache)")
    args = parser.parse_args(argv)

    extractor = make_extractor(args.features, weights=args.weights)
    table = split_table(extract(args.photos, [extractor], store=args.store), validation_percentage=0)
    if args.misc not in table.label:
        raise BottleheadError(
            f"{args.photos} has no class {args.misc}; its classes are {', '.join(sorted(set(table.label)))}",
            "say which of them is everything else with --misc",
        )
    model = train_model(table, args.head)
    tested = test(model, table)
    counts = Counter(table.label)
    print(f"{len(table)} photos: {', '.join(f'{counts[label]} {label}' for label in model.labels)}")
    interval = tested.scores["accuracy_interval"]
    print(
        f"Final test accuracy = {interval['mean']:.1%} (N={tested.data['images']}), "
        f"95 % interval {interval['low']:.1%} to {interval['high']:.1%}\n"
        + "".join(f"warning: {text}\n" for text in tested.warnings)
    )
    if args.model:
        save_model(model, args.model)

    found = predict_images(model, args.unlabelled, store=args.store)
    scores = pd.DataFrame(found.probabilities, columns=found.labels)
    shown = pd.DataFrame({"label": found.label, "score": found.confidence})
    shown["alarm"] = 1 - scores[args.misc]  # fire or smoke, whichever: either is enough to look
    shown = pd.concat([shown, scores], axis=1).map(lambda one: one if isinstance(one, str) else f"{one:.5f}")
    shown["outlier"] = ["like nothing in training" if one else "" for one in found.outlier]
    shown.index = found.image
    print(shown.to_string())

    given = Counter(found.label)
    print(f"\n{len(found)} photos labelled: {', '.join(f'{given[label]} {label}' for label in model.labels)}")
    print(
        f"{sum(map(bool, found.outlier))} outliers: look at them yourself, or add such photos to {args.misc}"
    )
    for image, reason in found.rejects:
        print(f"left out {image}: {reason}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # messages and progress, on stderr
    try:
        main()
    except BottleheadError as error:
        sys.exit(f"error: {error}")
