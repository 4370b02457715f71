"""The methods paragraph says what the result holds, nothing else, and its references are those it cites."""

import numpy as np
import pytest

import evaluate
from classify import train_model
from evaluate import compare, find_duplicates
from featurize import FeatureTable

EVEN = np.arange(60) % 2 == 0


def paragraph(result):
    found = result.to_dict()["methods_paragraph"]
    return found["text"], found["references"]


def test_a_comparison_is_told_whole(comparison):
    text, references = paragraph(comparison)
    best, content = comparison.results[0], comparison.to_dict()
    for words in (
        "60 photos with 3 labels (ant 20, bee 20, cat 20)",
        comparison.data["digest"][:12],
        "4 folds (stratified; groups and identical images kept together; seed 8, SHA-256 of the folds "
        f"{content['folds']['digest'][:12]})",
        "softmax (multinomial logistic regression",
        "max_iter=1000",
        "sklearn.naive_bayes.GaussianNB",
        "Before softmax every block",
        f"Best was {best['head']} on {best['features']}, with {100 * best['accuracy']['mean']:.1f} %",
        content["methods"]["interval"],
        "good (origin not recorded)",
        f"scikit-learn {content['versions']['scikit-learn']}",
    ):
        assert words in text
    assert "groups of the" not in text and "distorted" not in text and "searched anew" not in text
    assert any("10.1023/A:1024068626366" in one for one in references)
    assert [one for one in references if "Haralick" in one] == []


FILE = {"family": "inception_v3", "weights": {"source": "file", "sha256": "ab" * 32}}
TOLD = "SHA-256 of the weights abababababab; fingerprint of all settings ffffffffffff; Szegedy et al. 2016)"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (FILE, TOLD),
        ({"weights": {"source": "random", "seed": 3}}, "an untrained network with random weights, seed 3"),
        ({"fingerprint": "imported"}, "imported, its making unknown"),
    ],
)
def test_where_the_vectors_come_from_and_which_photos_stay_together(entry, words):
    net, leaf = np.random.default_rng(0).random((24, 80)), [f"leaf {i // 4}" for i in range(24)]
    table = FeatureTable.from_arrays({"net": net}, label=["a", "b"] * 12, group=leaf)
    table.metadata["features"] = {"net": {"width": 80, "fingerprint": "f" * 64, **entry}}
    text, _ = paragraph(compare(table, heads=["dummy"], cv=3, repeats=2, jobs=1))
    assert words in text and "make 6 groups of the 24" in text and "divided 2 times" in text


def test_a_test_says_what_the_model_knew(confused):
    model = train_model(confused.filter(EVEN), "svm:C=2", "good", jobs=1)
    fresh, _ = paragraph(evaluate.test(model, confused.filter(~EVEN)))
    assert "None of the photos was in its training set." in fresh and "C=2" in fresh
    mixed, references = paragraph(evaluate.test(model, confused))
    assert "30 of them were in its training set; on the 30 that it did not know" in mixed
    assert any("Wilson" in one for one in references)
    known, _ = paragraph(evaluate.test(model, confused.filter(EVEN)))
    assert "All of the photos, or nearly the same ones, were in its training set." in known


def test_what_a_model_knew_is_not_claimed_where_no_bytes_are_known(confused):
    unknown = confused.with_column("sha256", [None] * 60)
    half = confused.with_column("sha256", [None] * 30 + list(confused.sha256[30:]))
    doubt = "Whether any of the photos was in its training set is not known."
    for training, tested, words in (
        (confused, unknown, doubt),
        (unknown, confused, doubt),
        (confused, half, "None of the photos whose bytes are known was in its training set."),
    ):
        model = train_model(training.filter(EVEN), "dummy", "good", jobs=1)
        assert words in paragraph(evaluate.test(model, tested.filter(~EVEN)))[0]


def test_a_tuned_head_is_described_without_parameters_of_its_own_and_duplicates_without_labels(confused):
    text, _ = paragraph(compare(confused, ["good"], ["knn"], cv=2, tune="accuracy", jobs=1))
    assert (
        "the head knn tuned (the ten nearest training photos vote, the nearer the more) was trained" in text
    )
    assert "n_neighbors" not in text and "Before each head" in text and "searched anew" in text
    found = find_duplicates(confused.with_column("label", [None] * 60), "good", threshold=0.999)
    text, _ = paragraph(found)
    assert text.startswith("The data are 60 photos; SHA-256") and "all pairs were compared" in text
    assert found.to_dict()["data"]["labels"] == {}
