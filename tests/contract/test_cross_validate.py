"""Cross-validation: what must not change the numbers, and heads that fail."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from builders import made_table
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from classify import Fold, make_folds
from evaluate import cross_validate
from featurize import BottleheadError, FeatureTable


def folds_of(table, **options):
    return make_folds(table.label, table.groups, table.variant, **options)


def test_every_pair_predicts_every_image_once_per_repeat(confused):
    folds, features = folds_of(confused, n_folds=3, repeats=2), ["good", "noise", "good+noise"]
    found = cross_validate(confused, features, [LogisticRegression(), GaussianNB()], folds, jobs=1)
    assert found.pairs() == [(one, head) for one in features for head in ("LogisticRegression", "GaussianNB")]
    counts = found.rows.groupby(["features", "head", "repeat", "row"]).size()
    assert len(counts) == 3 * 2 * 2 * 60 and set(counts) == {1}
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, atol=1e-5)
    mine = found.of("noise", "LogisticRegression")
    assert len(mine) == 120 and len(mine.times) == 6 and set(mine.rows["features"]) == {"noise"}
    np.testing.assert_array_equal(mine.probabilities, found.probabilities[240:360])


def test_processes_and_quiet_change_neither_numbers_nor_complaints(capsys, recwarn):
    y = np.repeat(["a", "b"], 20)
    wide = np.random.default_rng(0).random((40, 9000)) + 0.02 * (y == "b")[:, None]
    table = FeatureTable.from_arrays({"wide": wide}, label=y)
    assert table.vectors["wide"].nbytes > 2**20  # so large that processes map them from a file
    heads, log = ["softmax", "svm", "mlp:max_iter=1,hidden_layer_sizes=(4,)"], logging.getLogger("bottlehead")
    before = log.level
    log.setLevel(logging.ERROR)  # as --quiet does
    try:
        folds = folds_of(table, n_folds=2)
        one, two = (cross_validate(table, ["wide"], heads, folds, jobs=jobs) for jobs in (1, 2))
        assert log.level == logging.ERROR
    finally:
        log.setLevel(before)
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert one.rows.equals(two.rows)
    for found in (one, two):
        complaints = found.times["complaints"][found.times["head"] == heads[2]]
        assert all(len(texts) == 1 and "converge" in texts[0] for texts in complaints)
    assert capsys.readouterr().err == "" and not recwarn.list


NO_PROCESSES = """
import multiprocessing, sys
import numpy as np
from classify import make_folds
from evaluate import cross_validate
from featurize import FeatureTable
X, y = np.random.default_rng(0).random((150, 1000)), np.arange(150) % 3
table = FeatureTable.from_arrays({"x": X}, label=y)
folds = make_folds(table.label, table.groups, n_folds=5)
cross_validate(table, ["x"], sys.argv[1:], folds, jobs=2)
print(len(multiprocessing.active_children()))
"""


@pytest.mark.parametrize(("head", "expected"), [("softmax", "0"), ("mlp:max_iter=1", "2")])
def test_a_few_short_fits_start_no_processes_and_those_of_unknown_length_do(head, expected):
    done = subprocess.run([sys.executable, "-c", NO_PROCESSES, head], capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr


def test_a_perfect_problem_scores_perfect_and_shuffled_labels_score_chance(separable):
    shuffled = separable.with_column("label", np.random.default_rng(0).permutation(separable.label))
    for table, low, high in ((separable, 1, 1), (shuffled, 0.15, 0.55)):
        found = cross_validate(table, ["wide"], [LogisticRegression()], folds_of(table, n_folds=5), jobs=1)
        assert low <= np.mean(found.predicted == found.label) <= high


def test_variants_train_but_are_never_tested(confused):
    ids = {name: list(confused.column(name)) * 2 for name in ("image", "sha256", "label")}
    vectors = {name: np.vstack([matrix, matrix + 0.1]) for name, matrix in confused.vectors.items()}
    both = FeatureTable.from_arrays(vectors, variant=[0] * 60 + [5] * 60, **ids)
    found = cross_validate(both, ["good"], [GaussianNB()], folds_of(both, n_folds=4), jobs=1)
    assert sorted(found.rows["row"]) == list(range(60))
    assert found.times["n_training"].tolist() == [45] * 4


def test_a_label_that_training_lacks_gets_probability_0_and_the_frame_holds_odd_labels(confused):
    fold = Fold(0, 0, np.arange(40), np.arange(40, 60))
    found = cross_validate(confused, ["good"], ["softmax"], [fold], jobs=1)
    assert found.labels == ["ant", "bee", "cat"] and (found.probabilities[:, 2] == 0).all()
    odd = made_table(60, ("fold", "row", "image"))
    found = cross_validate(odd, ["good"], [GaussianNB()], folds_of(odd, n_folds=3), jobs=1).to_frame()
    assert found.columns.is_unique
    best = found[["probability:fold", "probability:image", "probability:row"]].idxmax(axis=1)
    assert (best.str.removeprefix("probability:") == found["predicted"]).all()


class Moody(ClassifierMixin, BaseEstimator):
    """Fails, or gives no numbers, whatever it is told."""

    def __init__(self, mood="fails"):
        self.mood = mood

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.mood == "fails":
            raise RuntimeError("not today\nand not tomorrow")
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


@pytest.mark.parametrize(("mood", "reason"), [("fails", "RuntimeError: not today"), ("nan", "not numbers")])
def test_a_head_that_fails_is_named_with_features_fold_and_reason(confused, mood, reason):
    where = "the head Moody failed on good in fold 0 of repeat 0: "
    with pytest.raises(BottleheadError, match=where + ".*" + reason):
        cross_validate(confused, ["good"], [clone(Moody(mood))], folds_of(confused, n_folds=3), jobs=1)


@pytest.mark.parametrize(
    ("features", "heads", "message"),
    [
        (["good", "good"], ["softmax"], "the features good is given twice"),
        (["good"], ["svm", "svm"], "the head svm is given twice"),
        ([], ["svm"], "0 features, 1 heads"),
        (["glcm"], ["svm"], "no features named glcm"),
        (["good"], ["suport"], "no head named 'suport'"),
        (["gaps"], ["svm"], r"the features gaps of ant/5\.jpg hold NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(confused, features, heads, message):
    gaps = confused.vectors["good"].copy()
    gaps[5, 1] = np.nan
    table = FeatureTable(confused.ids, {**confused.vectors, "gaps": gaps})
    with pytest.raises(BottleheadError, match=message):
        cross_validate(table, features, heads, folds_of(confused, n_folds=3), jobs=1)
