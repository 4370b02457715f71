"""The methods paragraph says what the result holds, nothing else, and its references are those it cites."""

import re

import numpy as np
import pytest

import evaluate
from classify import train_model
from evaluate import compare, find_duplicates
from featurize import FeatureTable

CITATION = re.compile(r"\b([A-Z][A-Za-z]+(?: and [A-Z][A-Za-z]+| et al\.)? (?:19|20)\d\d)\b")


def paragraph(result):
    found = result.to_dict()["methods_paragraph"]
    return found["text"], found["references"]


def test_a_comparison_is_told_whole(comparison):
    text, references = paragraph(comparison)
    best = comparison.results[0]
    for words in (
        "60 photos with 3 labels (ant 20, bee 20, cat 20)",
        comparison.data["digest"][:12],
        "4 folds (stratified; groups and identical images kept together; seed 0)",
        "softmax (multinomial logistic regression",
        "max_iter=1000",
        "sklearn.naive_bayes.GaussianNB",
        "Before softmax every block",
        f"Best was {best['head']} on {best['features']}, with {100 * best['accuracy']['mean']:.1f} %",
        comparison.to_dict()["methods"]["interval"],
        "good (origin not recorded)",
        f"scikit-learn {comparison.to_dict()['versions']['scikit-learn']}",
    ):
        assert words in text
    assert "groups of the" not in text and "distorted" not in text and "searched anew" not in text
    assert any("10.1023/A:1024068626366" in one for one in references)
    assert [one for one in references if "Haralick" in one] == []


def described(**entry):
    table = FeatureTable.from_arrays(
        {"net": np.random.default_rng(0).random((24, 80))},
        label=["a", "b"] * 12,
        group=[f"leaf {i // 4}" for i in range(24)],
    )
    table.metadata["features"] = {"net": {"width": 80, "fingerprint": "f" * 64, **entry}}
    return table


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"family": "inception_v3", "weights": {"source": "file", "sha256": "ab" * 32}},
            "net (80 numbers; a frozen network, SHA-256 of the weights abababababab; fingerprint of all settings "
            "ffffffffffff; Szegedy et al. 2016)",
        ),
        ({"weights": {"source": "random", "seed": 3}}, "an untrained network with random weights, seed 3"),
        ({"fingerprint": "imported"}, "imported, its making unknown"),
    ],
)
def test_where_the_vectors_come_from_and_which_photos_stay_together(entry, words):
    table = described(**entry)
    text, _ = paragraph(compare(table, heads=["knn"], cv=3, repeats=2, jobs=1))
    assert words in text and "make 6 groups of the 24" in text and "divided 2 times" in text


def test_a_test_says_what_the_model_knew(confused):
    even = np.arange(60) % 2 == 0
    model = train_model(confused.filter(even), "svm:C=2", "good", jobs=1)
    fresh, _ = paragraph(evaluate.test(model, confused.filter(~even)))
    assert "None of the photos was in its training set." in fresh and "C=2" in fresh
    mixed, references = paragraph(evaluate.test(model, confused))
    assert "30 of them were in its training set; on the 30 that it did not know" in mixed
    assert any("Wilson" in one for one in references)
    known, _ = paragraph(evaluate.test(model, confused.filter(even)))
    assert "All of the photos, or nearly the same ones, were in its training set." in known


def test_photos_that_all_nearly_were_in_the_training_set_are_not_called_new():
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays(
        {"net": rng.normal(size=(40, 80))}, label=["a", "b"] * 20, sha256=[f"{i:064x}" for i in range(40)]
    )
    model = train_model(table, "softmax", "net", jobs=1)
    copies = FeatureTable.from_arrays(
        {"net": table.vectors["net"] + rng.normal(size=(40, 80)) * 0.05},
        label=table.label,
        sha256=[f"{i:064x}" for i in range(40, 80)],
    )
    found = evaluate.test(model, copies)
    assert (found.scores["seen"], found.scores["near"]) == (0, 40)
    assert "All of the photos, or nearly the same ones, were in its training set." in paragraph(found)[0]


def test_what_a_model_knew_is_not_claimed_where_no_bytes_are_known(confused):
    even = np.arange(60) % 2 == 0
    unknown = confused.with_column("sha256", [None] * 60)
    half = confused.with_column("sha256", [None] * 30 + list(confused.sha256[30:]))
    for training, tested, words in (
        (confused, unknown, "Whether any of the photos was in its training set is not known."),
        (unknown, confused, "Whether any of the photos was in its training set is not known."),
        (confused, half, "None of the photos whose bytes are known was in its training set."),
    ):
        model = train_model(training.filter(even), "softmax", "good", jobs=1)
        assert words in paragraph(evaluate.test(model, tested.filter(~even)))[0]


def test_a_tuned_head_is_described_without_parameters_of_its_own(confused):
    text, _ = paragraph(compare(confused, ["good"], ["knn"], cv=3, tune="accuracy", jobs=1))
    assert (
        "the head knn tuned (the ten nearest training photos vote, the nearer the more) was trained" in text
    )
    assert "n_neighbors" not in text and "Before each head" in text and "searched anew" in text


def test_duplicates_of_photos_without_labels_have_a_paragraph(confused):
    table = confused.with_column("label", [None] * 60)
    found = find_duplicates(table, "good", threshold=0.999)
    text, _ = paragraph(found)
    assert text.startswith("The data are 60 photos; SHA-256") and "all pairs were compared" in text
    assert found.to_dict()["data"]["labels"] == {}
