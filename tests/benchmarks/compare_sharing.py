"""How much `evaluate compare` gains by sharing work between heads: 3 features, 5 heads, 5 folds.

    python tests/benchmarks/compare_sharing.py [--rows 500] [--width 1280] [--repeats 5] [--heads SPEC ...]

Against each cell by itself: scikit-learn's own `cross_validate` on the same folds and the same pipelines, one cell
after the other, with one process per processor for the folds. Vectors are made up, sparse like a network's, beside
five texture values, of five labels that overlap. The probabilities of both are compared, too: they must be the same,
but for an RBF SVM's last digits.

What there is to gain depends on the heads. Those by default share both: all five the scaling, and three SVMs, as
somebody compares who looks for a good C, all distances. With ``--heads softmax svm mlp knn lda`` it is little, for
these spend their time on what nobody shares.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from figures import alternating, figure, parser, ratio, report
from joblib import cpu_count
from sklearn.model_selection import cross_validate as plainly

from classify.folds import Fold, make_folds
from classify.heads.registry import make_head
from evaluate.scores.crossval import cross_validate
from featurize.table import FeatureTable

FEATURES = ("network", "texture", "network+texture")
HEADS = ("softmax", "linear-svm", "svm:C=1", "svm:C=10", "svm:C=100")


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    table = made_up(args.rows, args.width)
    folds = make_folds(table.label, table.groups, table.variant, n_folds=5)
    kept: dict[str, np.ndarray] = {}

    def shared() -> None:
        kept["shared"] = cross_validate(table, FEATURES, args.heads, folds).probabilities

    def cells() -> None:
        kept["cells"] = each_by_itself(table, args.heads, folds)

    seconds = alternating({"shared": shared, "cells": cells}, args.repeats)
    apart = float(np.abs(kept["shared"] - kept["cells"]).max())
    rows = [
        figure(
            "each cell by itself / compare", ratio(seconds["cells"], seconds["shared"]), "times", at_least=1.0
        ),
        figure("compare", float(np.median(seconds["shared"])), "s"),
        figure("each cell by itself", float(np.median(seconds["cells"])), "s"),
        figure("largest difference of a probability", apart, "", at_most=1e-6),
    ]
    report("compare_sharing", rows, args.json)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=500)
    made.add_argument("--width", type=int, default=1280)
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--heads", nargs="+", default=HEADS)
    return made.parse_args(argv)


def made_up(n: int, width: int) -> FeatureTable:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 5
    latent = rng.exponential(size=(n, 30)) + 0.6 * rng.exponential(size=(5, 30))[y]
    network = np.maximum(latent @ rng.random((30, width)) + 3 * rng.normal(size=(n, width)) - 20, 0)
    texture = rng.normal(size=(n, 5)) * [1, 10, 100, 1, 1] + (y == 0)[:, None]
    return FeatureTable.from_arrays(
        {"network": network, "texture": texture}, label=np.array(list("abcde"))[y]
    )


def each_by_itself(table: FeatureTable, heads: Sequence[str], folds: Sequence[Fold]) -> np.ndarray:
    """The probabilities of the tested rows, cell by cell in the order of `cross_validate`."""
    y, sides = table.label.astype(str), [(fold.training, fold.testing) for fold in folds]
    found = []
    for features in FEATURES:
        X = table.select(features)
        for head in heads:
            done = plainly(
                make_head(head, widths=table.widths(features)),
                X,
                y,
                cv=sides,
                n_jobs=cpu_count(),
                scoring="accuracy",
                return_estimator=True,
            )
            found += [
                fitted.predict_proba(X[fold.testing])
                for fitted, fold in zip(done["estimator"], folds, strict=True)
            ]
    return np.concatenate(found)


if __name__ == "__main__":
    main()
