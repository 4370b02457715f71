"""A head that is tuned within each training side: the search sees nothing else."""

import numpy as np
import pytest
from builders import twin_table

from classify.folds import make_folds
from classify.heads.fitting import fit_head
from classify.heads.registry import make_head
from classify.heads.tuning import TunedHead, tune_head
from evaluate.scores.crossval import cross_validate
from featurize.table import FeatureTable


@pytest.fixture
def twins() -> FeatureTable:
    return twin_table()


def test_the_search_sees_the_training_side_only(twins):
    X, y, groups = twins.select("x"), twins.label.astype(str), twins.groups
    folds = make_folds(y, groups, n_folds=2, seed=2)
    found = cross_validate(twins, ["x"], [TunedHead("softmax")], folds, seed=2, jobs=1)
    for number, fold in enumerate(folds):
        rows = fold.training
        spec = tune_head("softmax", X[rows], y[rows], groups[rows], widths=[6], seed=2).head
        assert found.times["tuned"][number] == spec
        fitted = fit_head(make_head(spec, widths=[6], seed=2), X[rows], y[rows], groups[rows])
        mine = (found.rows["fold"] == number).to_numpy()
        np.testing.assert_allclose(
            found.probabilities[mine], fitted.predict_proba(X[fold.testing]), rtol=1e-6
        )
