"""The texture pipeline of a skin study (melanoma or herpes) beside a network, on any two folders of photos.

Grey photos of 100 × 100 pixels; 22 co-occurrence values, each scaled to 0–1; a network with one linear hidden
layer of 13 units and a sigmoid output, trained by stochastic gradient descent with momentum for 500 epochs. The
study varied learning rate and momentum from 0.01 to 1 in steps of 0.01; here a coarse grid is searched, or with
--full all 100 × 100 pairs (a momentum of 1 never settles and is taken as 0.999).

A linear hidden layer in front of a sigmoid can only draw the straight boundary that logistic regression draws;
the table shows both. The pair is chosen within the training photos, the accuracy is that of photos never seen.

    python examples/skin.py PHOTOS --labels roses tulips [--cnn] [--full] [--store FOLDER]
"""

import argparse
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from classify.folds import make_folds
from classify.heads import make_head
from featurize import GLCM, InceptionV3, extract

STEPS = ("grayscale", "resize:100", "crop:100")
COARSE = (0.01, 0.1, 0.3, 0.6, 0.9)
FULL = tuple(np.round(np.arange(0.01, 1.005, 0.01), 2))


def study_head(epochs: int, seed: int = 0):
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


def searched(values: tuple[float, ...], epochs: int, jobs: int | None) -> GridSearchCV:
    """The head with learning rate and momentum chosen by three folds of the training photos."""
    grid = {
        "mlpclassifier__learning_rate_init": list(values),
        "mlpclassifier__momentum": [min(value, 0.999) for value in values],
    }
    return GridSearchCV(
        study_head(epochs), grid, cv=StratifiedKFold(3, shuffle=True, random_state=0), n_jobs=jobs
    )


def accuracy(head, X: np.ndarray, y: np.ndarray, folds: list) -> tuple[float, list]:
    """Mean accuracy in percent over the folds, and the fitted heads."""
    scores, fitted = [], []
    for fold in folds:
        head_of_fold = head().fit(X[fold.training], y[fold.training])
        scores.append(np.mean(head_of_fold.predict(X[fold.testing]) == y[fold.testing]))
        fitted.append(head_of_fold)
    return 100 * float(np.mean(scores)), fitted


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", help="a folder of class folders")
    parser.add_argument("--labels", nargs=2, required=True, help="the two classes to tell apart")
    parser.add_argument("--cnn", action="store_true", help="put Inception v3 beside it")
    parser.add_argument("--weights", default="auto", help="of Inception v3 (default: auto)")
    parser.add_argument("--layer", default="avg_pool", help="of Inception v3 (default: avg_pool)")
    parser.add_argument("--full", action="store_true", help="search all 100 × 100 pairs (hours)")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--store", help="where vectors are kept")
    parser.add_argument("--jobs", type=int)
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore", ConvergenceWarning)  # 500 epochs are the study's, settled or not

    texture = GLCM("haralick", preprocess=STEPS)
    extractors: list = [texture]
    if args.cnn:
        extractors.append(InceptionV3(args.weights, args.layer))
    table = extract(args.photos, extractors, store=args.store, jobs=args.jobs)
    table = table.filter(np.isin(table.label.astype(str), args.labels))
    y = table.label.astype(str)
    folds = make_folds(y, table.groups, n_folds=args.folds)
    X = table.select(texture.name)

    def study():
        return searched(FULL if args.full else COARSE, args.epochs, args.jobs)

    def logistic():
        return make_pipeline(MinMaxScaler(clip=True), LogisticRegression(max_iter=5000))

    score, fitted = accuracy(study, X, y, folds)
    print(f"{len(table)} photos, {args.labels[0]} or {args.labels[1]}; accuracy over {args.folds} folds")
    print(f"{'22 texture values, 13 linear hidden units':45} {score:5.1f} %")
    for search in fitted:
        rate, momentum = (
            search.best_params_[f"mlpclassifier__{n}"] for n in ("learning_rate_init", "momentum")
        )
        print(f"    learning rate {rate:4.2f}, momentum {momentum:4.2f}")
    print(f"{'22 texture values, logistic regression':45} {accuracy(logistic, X, y, folds)[0]:5.1f} %")
    if args.cnn:
        name = extractors[1].name
        score, _ = accuracy(lambda: make_head("softmax"), table.select(name), y, folds)
        print(f"{name + ', softmax':45} {score:5.1f} %")


if __name__ == "__main__":
    main()
