"""How many processes fit at once, and that a search within cross-validation sees the training side only."""

import numpy as np
import pytest
from builders import twin_table

from classify.folds import Fold, make_folds
from classify.heads.fitting import fit_head
from classify.heads.registry import make_head
from classify.heads.tuning import TunedHead, tune_head
from classify.rows import Sample
from evaluate.scores import crossval


@pytest.mark.parametrize(
    ("head", "n_training", "expected"),
    # Half of 8 GiB is twice 3 * 8 * 9,000²; of 40,000 rows 10,000 have distances.
    [("svm", 9000, 2), ("svm", 40000, 1), ("svm:kernel=linear", 9000, 100), (TunedHead("svm"), 9000, 2)],
)
def test_few_processes_hold_large_distances_at_once(monkeypatch, head, n_training, expected):
    monkeypatch.setattr(crossval, "total_memory", lambda: 8 << 30)
    fold = Fold(0, 0, np.arange(n_training), np.arange(10))
    estimator = head if isinstance(head, TunedHead) else make_head(head)
    samples = {"x": Sample(np.zeros((4, 1)), np.array(["a", "b"] * 2))}
    task = crossval.Task("x", "head", estimator, fold, "head")
    assert min(100, crossval._most_processes([task], samples)) == expected


def test_the_search_sees_the_training_side_only():
    twins = twin_table()
    X, y, groups = twins.select("x"), twins.label.astype(str), twins.groups
    folds = make_folds(y, groups, n_folds=2, seed=2)
    found = crossval.cross_validate(twins, ["x"], [TunedHead("softmax")], folds, seed=2, jobs=1)
    for number, fold in enumerate(folds):
        rows = fold.training
        spec = tune_head("softmax", X[rows], y[rows], groups[rows], widths=[6], seed=2).head
        assert found.times["tuned"][number] == spec
        fitted = fit_head(make_head(spec, widths=[6], seed=2), X[rows], y[rows], groups[rows])
        mine = (found.rows["fold"] == number).to_numpy()
        expected = fitted.predict_proba(X[fold.testing])
        np.testing.assert_allclose(found.probabilities[mine], expected, rtol=1e-6)
