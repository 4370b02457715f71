"""Are the probabilities of each head worth their name, and does calibration help?

    python tests/benchmarks/calibration.py flowers.parquet [--features inception_v3:mixed8] [--heads svm knn]
        [--without gradient-boosting]

Cross-validates every head on 5 folds (groups together) and prints accuracy, log loss and the expected calibration
error in 15 bins, before and after calibration. Before: the classifier's own probabilities, or, where it has none,
the softmax (of two labels: the logistic function) of its scores. The star marks which of the two the head uses.

Measured on 750 flower photos (Inception v3, layer mixed8; 5 folds, groups together). Before are the classifier's own
probabilities, or, where it has none, the softmax of its scores. The star marks what the head uses: calibration where
its error is far from the truth without, and the classifier itself where calibration would gain nothing.

=================  ========  ================  ================
head               accuracy  log loss          calibration error
=================  ========  ================  ================
softmax            0.889     0.308* to 0.310   0.037* to 0.035
svm                0.896     0.532 to 0.284*   0.216 to 0.023*
linear-svm         0.896     0.665 to 0.305*   0.333 to 0.025*
mlp                0.896     0.300* to 0.310   0.024* to 0.036
knn                0.851     0.881 to 0.452*   0.097 to 0.055*
naive-bayes        0.785     6.646 to 0.815*   0.213 to 0.025*
lda                0.901     1.253 to 0.315*   0.089 to 0.043*
random-forest      0.859     0.777 to 0.395*   0.349 to 0.035*
gradient-boosting  0.861     0.364*            0.024*
dummy              0.200     1.609* to 1.609   0.000* to 0.000
=================  ========  ================  ================

Gradient boosting was not measured calibrated, which takes it six times as long: by itself it is among the best.
"""

import warnings

import numpy as np
from figures import figure, parser, report
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from classify.folds import make_folds
from classify.heads.calibrate import Calibrated
from classify.heads.fitting import fit_head
from classify.heads.registry import head_names, make_head
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


def scores(head, X: np.ndarray, table: FeatureTable, folds: list) -> tuple[float, float, float]:
    """Accuracy, log loss and calibration error."""
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
    return float(right.mean()), float(-np.log(chance).mean()), calibration_error(found, right)


def before_and_after(head) -> tuple[Pipeline, Pipeline, bool]:
    """The head without calibration and with it, and whether it has it by itself."""
    scaling, classifier = head.named_steps["scaling"], head.named_steps["classifier"]
    has_it = isinstance(classifier, Calibrated)
    inside = classifier.estimator if has_it else classifier
    return (
        Pipeline([("scaling", scaling), ("classifier", Raw(inside))]),
        Pipeline([("scaling", scaling), ("classifier", Calibrated(inside))]),
        has_it,
    )


def main(argv: list[str] | None = None) -> None:
    made = parser(__doc__)
    made.add_argument("table")
    made.add_argument("--features", default="inception_v3:mixed8")
    made.add_argument("--heads", nargs="+", default=head_names())
    made.add_argument("--without", nargs="+", default=[], metavar="HEAD", help="heads to leave out")
    args = made.parse_args(argv)
    warnings.simplefilter("ignore")
    table = FeatureTable.read(args.table)
    X = table.select(args.features)
    folds = make_folds(table.label, table.groups, table.variant, n_folds=5)
    print(f"{'head':<18}          accuracy  log loss    ECE")
    rows = []
    for name in (head for head in args.heads if head not in args.without):
        before, after, has_it = before_and_after(make_head(name, widths=table.widths(args.features)))
        for when, head, used in (("before", before, not has_it), ("after", after, has_it)):
            accuracy, loss, error = scores(head, X, table, folds)
            print(
                f"{name:<18} {when:<6} {'*' * used:1}  {accuracy:8.3f}  {loss:8.3f}  {error:5.3f}", flush=True
            )
            rows.append(figure(f"{name} {when}{', as used' * used}: calibration error", error, ""))
    report("calibration", rows, args.json)


if __name__ == "__main__":
    main()
