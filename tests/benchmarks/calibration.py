"""Are the probabilities of each head worth their name, and does calibration help?

    python tests/benchmarks/calibration.py flowers.parquet [--features inception_v3:mixed8] [--heads svm knn]

Cross-validates every head on 5 folds (groups together) and prints accuracy, log loss and the expected calibration
error in 15 bins, of the head as it is and of what is inside its calibration: the classifier's own probabilities, or,
where it has none, the softmax (of two labels: the logistic function) of its scores.

Measured on 750 flower photos, Inception v3, layer mixed8:

    head                              accuracy  log loss    ECE
    softmax            by itself         0.889     0.308  0.037
    svm                before            0.899     0.532  0.216
                       after             0.896     0.284  0.023
    linear-svm         before            0.896     0.665  0.333
                       after             0.896     0.305  0.025
    knn                before            0.851     0.881  0.097
                       after             0.851     0.452  0.055
    naive-bayes        before            0.785     6.646  0.213
                       after             0.785     0.815  0.025
    lda                before            0.901     1.253  0.089
                       after             0.901     0.315  0.043

Not measured here: the heads that this list lacks; for earlier figures of them see `classify.heads.make_head`.
"""

import argparse
import warnings

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from classify.calibrate import Calibrated
from classify.folds import make_folds
from classify.heads import fit_head, head_names, make_head
from featurize.table import FeatureTable


class Raw(ClassifierMixin, BaseEstimator):
    """What is inside a calibration, its scores taken for logarithms of probabilities."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.classes_ = self.estimator.fit(X, y).classes_
        return self

    def predict_proba(self, X):
        if hasattr(self.estimator, "predict_proba"):
            return self.estimator.predict_proba(X)
        scores = self.estimator.decision_function(X)
        return softmax(scores if scores.ndim > 1 else np.column_stack([0 * scores, scores]), axis=1)


def calibration_error(probabilities: np.ndarray, right: np.ndarray, n_bins: int = 15) -> float:
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [abs((confidence - right)[bins == one].sum()) for one in range(n_bins)]
    return float(sum(gaps) / len(right))


def scores(head, X: np.ndarray, table: FeatureTable, folds: list) -> str:
    y, groups, variant = table.label.astype(str), table.groups, table.variant
    found = np.concatenate(
        [
            fit_head(
                head, X[f.training], y[f.training], groups[f.training], variant[f.training]
            ).predict_proba(X[f.testing])
            for f in folds
        ]
    )
    labels, truth = np.unique(y), y[np.concatenate([fold.testing for fold in folds])]
    right = labels[found.argmax(axis=1)] == truth
    chance = np.clip(found[np.arange(len(truth)), np.searchsorted(labels, truth)], np.finfo(float).eps, 1)
    return f"{right.mean():8.3f}  {-np.log(chance).mean():8.3f}  {calibration_error(found, right):5.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("--features", default="inception_v3:mixed8")
    parser.add_argument("--heads", nargs="+", default=head_names())
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    table = FeatureTable.read(args.table)
    X = table.select(args.features)
    folds = make_folds(table.label, table.groups, table.variant, n_folds=5)
    print(f"{'head':<18}                accuracy  log loss    ECE")
    for name in args.heads:
        head = make_head(name, widths=table.widths(args.features))
        calibrated = head.named_steps["classifier"]
        if isinstance(calibrated, Calibrated):
            inside = Pipeline(
                [("scaling", head.named_steps["scaling"]), ("classifier", Raw(calibrated.estimator))]
            )
            print(f"{name:<18} before         {scores(inside, X, table, folds)}", flush=True)
            print(f"{'':<18} after          {scores(head, X, table, folds)}", flush=True)
        else:
            print(f"{name:<18} by itself      {scores(head, X, table, folds)}", flush=True)


if __name__ == "__main__":
    main()
