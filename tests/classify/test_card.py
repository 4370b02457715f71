from classify.card import model_card
from classify.train import train


def test_the_card_says_what_the_model_is_and_needs(described):
    relabel = {"ant": "insect", "bee": "", "cat": "mammal"}
    card = model_card(train(described, "svm:C=2", "wide", seed=7, relabel=relabel), size=2_340_000)
    for text in (
        "head      svm:C=2",
        "wide, 40 numbers per photo",
        f"fingerprint  {described.metadata['features']['wide']['fingerprint']}",
        "sha256 " + "ab" * 32,
        "insect  20 training photos",
        "bee → (dropped)",
        "40 photos; digest",
        "seed      7",
        "scikit-learn 1.",
        "size      2.3 MB",
    ):
        assert text in card, text


def test_the_card_says_what_is_not_known(separable):
    assert "predicts on tables only" in model_card(train(separable, features="noise"))


def test_the_card_says_when_a_photo_is_an_outlier(described):
    model = train(described, features="wide")
    card = model_card(model)
    distances = model.outliers.percentiles
    assert (
        f"beyond    {model.outliers.threshold:.4g} from the fifth nearest training photo, as 5 % of" in card
    )
    assert f"usual     {distances[50]:.4g}; nine in ten {distances[5]:.4g} to {distances[95]:.4g}" in card
    assert "kept      60 of 60 training vectors" in card
    model.outliers = None
    assert "outliers  not told" in model_card(model)
