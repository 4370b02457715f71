"""`test`: a trained model on a test set, and what it says about photos it has seen."""

import numpy as np
import pytest
from scipy import stats

import evaluate
from classify import train_model
from featurize import BottleheadError, FeatureTable


@pytest.fixture(scope="module")
def halves(confused):
    """Every other row to train on, and the others to test on."""
    even = np.arange(60) % 2 == 0
    return confused.filter(even), confused.filter(~even)


@pytest.fixture(scope="module")
def model(halves):
    return train_model(halves[0], "softmax", "good", jobs=1)


def test_scores_follow_from_the_models_predictions(model, halves):
    found = evaluate.test(model, halves[1]).to_dict()
    predicted, label = model.predict(halves[1].select("good")), halves[1].label
    n_right = int((predicted == label).sum())
    assert 15 < n_right < 30
    assert found["accuracy"] == pytest.approx(n_right / 30)
    wilson = stats.binomtest(n_right, 30).proportion_ci(method="wilson")
    interval = found["accuracy_interval"]
    assert (interval["low"], interval["high"]) == pytest.approx((wilson.low, wilson.high))
    assert np.trace(found["confusion"]["matrix"]) == n_right
    assert found["confusion"]["labels"] == ["ant", "bee", "cat"]
    assert {row["image"] for row in found["misclassified"]} == set(halves[1].image[predicted != label])
    assert (found["seen"], found["unseen"]) == (0, None)
    # When all were seen nothing is left to believe.
    seen = evaluate.test(model, halves[0]).to_dict()
    assert seen["unseen"] is None and seen["warnings"][0].startswith("all of the 30 test photos")


def test_the_relabelling_of_the_model_is_applied(halves):
    insects = {"ant": "insect", "bee": "insect", "cat": "cat"}
    merging = train_model(halves[0], "softmax", "good", relabel=insects, jobs=1)
    found = evaluate.test(merging, halves[1])
    assert found.data["labels"] == {"cat": 10, "insect": 20}
    renamed = evaluate.test(merging, halves[1].relabel(insects))
    assert renamed.scores["accuracy"] == found.scores["accuracy"]


def test_a_class_that_the_relabelling_drops_is_not_tested_but_counted(halves, caplog):
    no_cats = {"ant": "ant", "bee": "bee", "cat": ""}
    dropping = train_model(halves[0], "softmax", "good", relabel=no_cats, jobs=1)
    split = ["testing"] * 27 + ["training"] * 3  # three cats
    with caplog.at_level("INFO", logger="bottlehead"):
        found = evaluate.test(dropping, halves[1].with_column("split", split))
    assert found.data["labels"] == {"ant": 10, "bee": 10}
    assert caplog.messages[0] == "the model's relabelling drops 7 photos of cat"
    assert caplog.messages[1].endswith("20 photos, 2 labels")
    with pytest.raises(BottleheadError, match="drops every row"):
        evaluate.test(dropping, halves[1].filter(halves[1].label == "cat"))


def test_a_test_set_of_one_label_is_fine_and_what_the_model_cannot_be_tested_on_is_refused(model, halves):
    table = halves[1]
    found = evaluate.test(model, table.filter(table.label == "ant")).to_dict()
    assert found["per_label"]["bee"]["support"] == 0 and found["balanced_accuracy"] == found["accuracy"]
    wasps = table.relabel({"ant": "ant", "bee": "wasp", "cat": "cat"})
    for wrong, message in (
        (wasps, "does not know: wasp; the model knows ant, bee, cat"),
        (FeatureTable(table.ids, {"noise": table.vectors["noise"]}), "needs the features good"),
        (table.filter(np.zeros(30, dtype=bool)), "no row is left to test: of 0 rows"),
    ):
        with pytest.raises(BottleheadError, match=message):
            evaluate.test(model, wrong)
