"""The texture pipeline of a skin study (melanoma or herpes) beside a network, on any two folders of photos.

Grey photos of 100 × 100 pixels; 22 co-occurrence values, each scaled to 0–1; a network with one linear hidden
layer of 13 units and a sigmoid output, trained by stochastic gradient descent with momentum for 500 epochs. The
study varied learning rate and momentum from 0.01 to 1 in steps of 0.01; here a coarse grid is searched, or with
--full all 100 × 100 pairs (a momentum of 1 never settles and is taken as 0.999). Its own figure, 84.6 %, came from
retrained Inception: --cnn puts that beside the texture values.

22 values of grey are a weak opponent for a network: a row of its own shows `texture`, the strong description by hand.

A linear hidden layer in front of a sigmoid can only draw the straight boundary that logistic regression (softmax)
draws; the table shows both. The pair is chosen within the training photos, the accuracy is that of photos never
seen, in the same folds for every row.

    python examples/skin.py PHOTOS --labels melanoma herpes --cnn
    python examples/skin.py flower_photos --labels roses tulips --cnn
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from evaluate import compare
from featurize import GLCM, BottleheadError, InceptionV3, Texture, extract

log = logging.getLogger("bottlehead")
STEPS = ("grayscale", "resize:100", "crop:100")
COARSE = (0.01, 0.1, 0.3, 0.6, 0.9)
FULL = tuple(np.round(np.arange(0.01, 1.005, 0.01), 2))


def study_head(epochs: int, seed: int = 0) -> Pipeline:
    """Scaling to 0–1, 13 linear hidden units, a sigmoid output, SGD with momentum."""
    network = MLPClassifier(
        hidden_layer_sizes=(13,),
        activation="identity",
        solver="sgd",
        nesterovs_momentum=False,
        alpha=0,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    return make_pipeline(MinMaxScaler(clip=True), network)


def searched(values: Sequence[float], epochs: int) -> GridSearchCV:
    """The head with learning rate and momentum chosen by three folds of the training photos."""
    grid = {
        "mlpclassifier__learning_rate_init": list(values),
        "mlpclassifier__momentum": [min(value, 0.999) for value in values],
    }
    return GridSearchCV(study_head(epochs), grid, cv=StratifiedKFold(3, shuffle=True, random_state=0))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder of class folders")
    parser.add_argument("--labels", nargs=2, required=True, help="the two classes to tell apart")
    parser.add_argument("--cnn", action="store_true", help="put Inception v3 beside it")
    parser.add_argument("--weights", default="auto", help="of Inception v3 (default: auto)")
    parser.add_argument("--layer", default="avg_pool", help="of Inception v3 (default: avg_pool)")
    parser.add_argument("--full", action="store_true", help="search all 100 × 100 pairs (hours)")
    parser.add_argument("--epochs", type=int, default=500, help="default: 500")
    parser.add_argument("--folds", type=int, default=5, help="default: 5")
    parser.add_argument("--store", help="where vectors are kept (default: the user's cache)")
    parser.add_argument("--jobs", type=int, help="processors to use (default: all)")
    args = parser.parse_args(argv)

    extractors: list = [GLCM("haralick", preprocess=STEPS), Texture()]
    if args.cnn:
        extractors.append(InceptionV3(args.weights, args.layer))
    table = extract(args.photos, extractors, store=args.store, jobs=args.jobs)
    if missing := sorted(set(args.labels) - set(table.label)):
        raise BottleheadError(f"{args.photos} has no folder {', '.join(missing)}", "name two of its folders")
    table = table.filter(np.isin(table.label.astype(str), args.labels))
    study_texture, *others = table.features

    head = searched(FULL if args.full else COARSE, args.epochs)
    same = {"cv": args.folds, "jobs": args.jobs}  # and the same seed: the same folds
    n_pairs = len(FULL if args.full else COARSE) ** 2
    log.info("searching %d pairs of learning rate and momentum in each of %d folds", n_pairs, args.folds)
    study = compare(table, [study_texture], [head], **same)
    plain = compare(table, [study_texture, *others], ["softmax"], **same)

    print(
        f"{len(table)} photos, {args.labels[0]} or {args.labels[1]}; {args.folds} folds, the same for all rows\n"
    )
    print(f"{'':46}{'accuracy':>9}  95 % interval   F1")
    names = {"GridSearchCV": "13 linear hidden units", "softmax": "logistic regression"}
    order = table.features.index
    for row in [*study.results, *sorted(plain.results, key=lambda row: order(row["features"]))]:
        what = "22 texture values" if row["features"] == study_texture else row["features"]
        accuracy = row["accuracy"]
        print(f"{what + ', ' + names[row['head']]:46}{accuracy['mean']:9.1%}", end="")
        print(f"  {accuracy['low']:.1%} to {accuracy['high']:.1%}  {row['macro_f1']:.3f}")
    for pair in plain.comparisons:
        print(f"\n{pair['words']}")

    log.info("searching %d pairs once more, on all photos", n_pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 500 epochs are the study's, settled or not
        best = head.fit(table.select(study_texture), table.label.astype(str)).best_params_
    rate, momentum = (best[f"mlpclassifier__{name}"] for name in ("learning_rate_init", "momentum"))
    print(f"\nOn all photos the search chooses learning rate {rate:.2f} and momentum {momentum:.2f}.")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # messages and progress, on stderr
    try:
        main()
    except BottleheadError as error:
        sys.exit(f"error: {error}")
