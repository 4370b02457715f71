"""A model: what it says of vectors, which tables it takes, and which photos it knows."""

import copy

import numpy as np
import pytest

from classify import train_model
from featurize import GLCM, BottleheadError, FeatureTable


@pytest.fixture
def model(described):
    return train_model(described, "softmax", "wide", jobs=1)


def test_probabilities_are_the_heads_own(model, separable):
    X = separable.select("wide")
    np.testing.assert_array_equal(model.predict_proba(X), model.head.predict_proba(X))
    assert model.predict(X).tolist() == separable.label.tolist()
    assert model.predict_proba(X[:0]).shape == (0, 3)


def test_vectors_of_another_width_are_refused_with_both_shapes(model):
    with pytest.raises(BottleheadError, match=r"\(n, 40\), and was given shape \(2, 39\)"):
        model.predict_proba(np.zeros((2, 39)))


def test_parts_of_joined_features_and_of_a_name_that_holds_a_plus(described):
    model = train_model(described, "softmax", "wide+noise")
    assert (model.parts, model.widths) == (["wide", "noise"], [40, 3])
    assert sorted(model.described) == ["noise", "wide"]
    model.check_table(described)
    table = FeatureTable.from_arrays({"a+b": [[0.0], [0.1], [5.0], [5.1]]}, label=["x", "x", "y", "y"])
    model = train_model(table)
    assert model.parts == ["a+b"]
    model.check_table(table)
    with pytest.raises(BottleheadError, match="width 1 in the model, 2 in the table"):
        model.check_table(FeatureTable.from_arrays({"a+b": [[0.0, 1.0]]}))


def test_other_vectors_are_refused_with_the_differences(model, described):
    entry = copy.deepcopy(described.metadata["features"]["wide"])
    entry["fingerprint"] = "f" * 64
    entry["description"]["layer"] = "mixed7"
    entry["description"]["resize"]["size"] = 224
    changed = FeatureTable(described.ids, described.vectors, {"features": {"wide": entry}})
    unknown = FeatureTable(described.ids, described.vectors)
    for table, message in (
        (changed, r"layer was mixed8, is now mixed7; resize\.size was 299, is now 224"),
        (unknown, "layer was mixed8, is now not set"),
        (
            FeatureTable.from_arrays({"tall": [[0.0]]}),
            r"needs the features wide; the table has tall \(extract",
        ),
    ):
        with pytest.raises(BottleheadError, match=message):
            model.check_table(table)


@pytest.mark.parametrize("levels", ["x", None])
def test_an_extractor_whose_parameters_were_edited_is_refused(levels):
    table = FeatureTable.from_arrays({"glcm": np.eye(4, 5)}, label=["x", "x", "y", "y"])
    model = train_model(table, "softmax")
    with pytest.raises(BottleheadError, match="glcm cannot be made as the model describes them"):
        model.check_extractor("glcm", GLCM(levels=levels))


def test_seen_knows_the_training_images_and_no_others(separable):
    table = separable.with_column("split", ["training", "testing"] * 30)
    model = train_model(table, "softmax", "wide")
    assert model.seen(table.sha256).tolist() == [True, False] * 30
    assert model.seen([None, "f" * 64, "not a hash"]).tolist() == [False] * 3
