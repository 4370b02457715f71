"""`compare` with heads by name, in pairs, from a generator, and with several objects of one class."""

import numpy as np
import pytest
from builders import made_table
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from classify import make_head
from evaluate import compare
from featurize import BottleheadError

STRONG, WEAK = LogisticRegression(C=10), LogisticRegression(C=1e-6)


def names_of(heads, **options) -> set[str]:
    found = compare(made_table(24), ["good"], heads, cv=2, jobs=1, **options)
    return {row.head for row in found.results}


def test_no_heads_given_are_the_usual_ones():
    assert names_of(None) == {"softmax", "svm", "mlp"}


@pytest.mark.parametrize(
    "heads",
    [
        {"strong": STRONG, "weak": WEAK},
        [("strong", STRONG), ("weak", WEAK)],
        (pair for pair in [("strong", STRONG), ("weak", WEAK)]),
    ],
    ids=["mapping", "pairs", "generator"],
)
def test_heads_are_called_by_their_given_names_and_keep_their_own_numbers(heads):
    table = made_table(30)
    found = compare(table, ["good"], heads, cv=2, jobs=1)
    X, y = table.select("good"), table.label.astype(str)
    for name, head in (("strong", STRONG), ("weak", WEAK)):
        own = found.predictions.of("good", name)
        for fold, tested in own.rows.groupby("fold"):
            rows = tested["row"].to_numpy()
            training = np.delete(np.arange(len(X)), rows)
            expected = clone(head).fit(X[training], y[training]).predict_proba(X[rows])
            np.testing.assert_allclose(own.probabilities[tested.index], expected, atol=1e-6, err_msg=fold)
    assert "strong" in str(found) and "strong" in found.comparisons[0].words


@pytest.mark.parametrize(
    ("heads", "names"),
    [
        ([LogisticRegression(C=1), STRONG], {"LogisticRegression:C=1", "LogisticRegression:C=10"}),
        ([make_pipeline(PCA(2), GaussianNB()), GaussianNB()], {"PCA+GaussianNB", "GaussianNB"}),
        (
            [make_pipeline(PCA(n), GaussianNB()) for n in (2, 3)],
            {"GaussianNB:n_components=2", "GaussianNB:n_components=3"},
        ),
        ([make_head("svm:C=1"), make_head("svm:C=10")], {"SVC:C=1", "SVC:C=10"}),
        ([SVC(kernel="linear"), SVC(C=3)], {"SVC:C=1.0,kernel=linear", "SVC:C=3,kernel=rbf"}),
        ((head for head in ["softmax", "naive-bayes"]), {"softmax", "naive-bayes"}),
        ([GaussianNB(), ("chance", DummyClassifier())], {"GaussianNB", "chance"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else None,
)
def test_what_has_no_name_is_called_by_what_differs(heads, names):
    assert names_of(heads) == names


def test_a_search_knows_given_names():
    found = compare(made_table(30), ["good"], {"mine": "naive-bayes"}, cv=2, jobs=1, tune="accuracy")
    (row,) = found.results
    assert row.head == found.to_dict()["results"][0]["head"] == "mine"
    assert row.tuned[0].startswith("naive-bayes:var_smoothing=")


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([GaussianNB(), GaussianNB()], "the head GaussianNB is given twice"),
        ([("a", GaussianNB()), ("a", "softmax")], "the head a is given twice"),
        ([("", GaussianNB())], "a head is named ''"),
        ({3: GaussianNB()}, "a head is named 3"),
        ({"a": SVC}, "SVC is no head, it is a class"),
        ({}, "0 heads"),
    ],
    ids=str,
)
def test_names_that_tell_nothing_apart_are_refused(heads, message):
    with pytest.raises(BottleheadError, match=message):
        names_of(heads)


def test_a_dummy_is_one_whatever_it_is_called():
    """Nothing but the name changes, on folds of one label too, where dummies know all labels."""
    table = made_table(24, labels=("ant", "bee"), group=[f"g{n // 2 % 6 * 2 + n % 2}" for n in range(24)])
    found = [
        compare(table, ["good", "noise"], heads, folds="leave-one-group-out", jobs=1).to_dict()
        for heads in (["dummy", "softmax"], {"mine": DummyClassifier(), "softmax": "softmax"})
    ]
    plain, named = ([(pair["one"], pair["other"]) for pair in one["comparisons"]] for one in found)
    assert [[side | {"head": side["head"].replace("mine", "dummy")} for side in pair] for pair in named] == [
        list(pair) for pair in plain
    ]
    assert found[0]["best"] == found[1]["best"]
    assert [row["log_loss"] for row in found[0]["results"]] == [
        row["log_loss"] for row in found[1]["results"]
    ]
    assert {row["head"]: row["classifier"] for row in found[1]["results"]} == {
        "mine": "DummyClassifier",
        "softmax": "softmax",
    }


def test_the_methods_paragraph_tells_what_stands_behind_a_name():
    heads = {"svm": GaussianNB(), "softmax": DummyClassifier(), "mine": "naive-bayes:var_smoothing=0.1"}
    text = compare(made_table(24), ["good"], heads, cv=2, jobs=1).to_dict()["methods_paragraph"]["text"]
    assert "svm (GaussianNB)" in text and "softmax (DummyClassifier)" in text
    assert "mine (independent normal distributions per label, var_smoothing=0.1)" in text
    assert "Before mine every block" in text and "support vector" not in text
