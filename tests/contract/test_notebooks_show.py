"""What a prompt and a notebook show of our objects, and the DataFrames that they give."""

import numpy as np
import pytest
from builders import described, made_table

import evaluate
from classify import Predictor, predict_table, train_model
from evaluate import compare, find_duplicates, learning_curve, map_photos
from featurize import FeatureTable

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    """One of each, of a table whose labels and names are HTML."""
    table = made_table(labels=("ant", HOSTILE, "cat"), separation=1.0)
    model = train_model(table, "softmax", "good")
    one = compare(table, features="good", heads="naive-bayes", cv=3, jobs=1)  # one name is a list of one
    assert [(row.features, row.head) for row in one.results] == [("good", "naive-bayes")]
    comparison = compare(table, heads=["softmax", "naive-bayes"], features=["good", "noise"], cv=3, jobs=1)
    return {
        "table": table,
        "model": model,
        "predictions": predict_table(model, table),
        "comparison": comparison,
        "differences": comparison.differences,
        "out of fold": comparison.predictions,
        "test": evaluate.test(model, table),
        "curve": learning_curve(table, "good", sizes=[5, 10], cv=3, jobs=1),
        "duplicates": find_duplicates(table, "good", threshold=0.99),
        "map": map_photos(table, "good"),
    }


def test_a_prompt_shows_one_short_line(shown):
    for name in shown:
        assert len(repr(shown[name])) < 250 and "\n" not in repr(shown[name]), name
    assert repr(shown["model"]).startswith(
        f"Model: softmax on good (4); 3 labels {HOSTILE}, ant, cat; trained on 60"
    )
    best = shown["comparison"].results[0]
    accuracy = f"{100 * best.accuracy.mean:.1f} % ("
    assert f"Comparison: 4 pairs on 60 photos; best {best.head} on good, {accuracy}" in repr(
        shown["comparison"]
    )
    assert repr(shown["differences"]).startswith("Differences: ")
    pair = repr(shown["differences"][0])
    assert pair.startswith("PairComparison: ") and len(pair) < 250 and " points (" in pair
    assert repr(Predictor(shown["model"])) == f"Predictor: {shown['model']!r}"
    assert repr(shown["table"].filter(shown["table"].label == "ant")).endswith("; 1 label ant")
    assert repr(shown["predictions"]).startswith("Predictions: 60 photos; ")
    assert repr(shown["test"]).startswith("TestResult: softmax on good, ")


def test_a_notebook_shows_a_table_and_escapes_what_it_shows(shown):
    for name in set(shown) - {"map"}:
        page = shown[name]._repr_html_()
        assert "<table" in page or name == "differences", name
        assert "<script" not in page, name
    assert "&lt;script&gt;" in shown["table"]._repr_html_()
    assert "&lt;script&gt;" in shown["model"]._repr_html_()


def test_results_are_frames(shown):
    comparison, frame = shown["comparison"], shown["comparison"].to_frame()
    assert frame[["features", "head"]].values.tolist() == [
        [row.features, row.head] for row in comparison.results
    ]
    assert (frame["accuracy_low"] <= frame["accuracy"]).all() and frame["accuracy"].is_monotonic_decreasing
    differences = comparison.differences.to_frame()
    assert len(differences) == len(comparison.comparisons) > 1
    chances = differences[["probability_better", "probability_same", "probability_worse"]].sum(axis=1)
    np.testing.assert_allclose(chances, 1)
    first = differences.iloc[0]
    by_pair = frame.set_index(["features", "head"])["accuracy"]
    one, other = (first["features"], first["head"]), (first["other_features"], first["other_head"])
    assert first["difference"] == pytest.approx(by_pair[one] - by_pair[other])

    predictions = shown["predictions"]
    frame = predictions.to_frame()
    columns = [f"probability:{label}" for label in predictions.labels]
    assert frame.columns.tolist() == ["image", "label", "confidence", "outlier", *columns]
    assert frame["label"].tolist() == predictions.label
    np.testing.assert_allclose(frame[columns].max(axis=1), frame["confidence"])
    recall = shown["test"].to_frame().set_index("label")["recall"]
    assert recall["ant"] == shown["test"].scores.per_label["ant"].recall
    assert shown["curve"].to_frame()["images_per_label"].tolist() == [5, 10]
    assert len(shown["duplicates"].to_frame()) == len(shown["duplicates"].pairs)


def test_a_table_of_many_labels_and_a_model_with_a_long_description_stay_short():
    labels = [f"label {number}" for number in range(500)]
    table = FeatureTable.from_arrays({"x": np.zeros((500, 3))}, label=labels)
    assert len(repr(table)) < 200
    model = train_model(described(made_table()), "softmax", "good")
    model.described["good"]["value_names"] = [f"value {number}" for number in range(10_000)]
    assert len(repr(model)) < 200
