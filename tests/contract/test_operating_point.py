"""A model with an operating point: which label it gives, and what `test` says of it."""

import json

import numpy as np
import pytest
from builders import run

import evaluate
from classify import train_model
from featurize import FeatureTable


@pytest.fixture
def divided():
    rng = np.random.default_rng(0)
    y = np.repeat(["fire", "fog", "none"], 60)
    X = rng.normal(size=(180, 5)) + (y == "fire")[:, None] + 2 * (y == "fog")[:, None] * np.r_[1, 0, 0, 0, 1]
    return FeatureTable.from_arrays({"x": X}, label=y, split=["training", "training", "testing"] * 60)


def test_the_operating_point_decides(divided):
    model = train_model(divided, "softmax", positive="fire", threshold="recall=0.95")
    found = evaluate.test(model, divided)
    tested = divided.filter(divided.split == "testing")
    chances, y = model.predict_proba(tested.select("x")), tested.label
    called = chances[:, 0] >= model.operating_point.threshold
    point = found.scores["operating_point"]
    assert point["sensitivity"] == called[y == "fire"].mean()
    assert point["specificity"] == (~called[y != "fire"]).mean()
    assert point["precision"] == (y[called] == "fire").mean()
    given = np.where(called, "fire", np.where(chances[:, 1] >= chances[:, 2], "fog", "none"))
    assert found.scores["accuracy"] == (given == y).mean()
    assert (given != np.array(model.labels)[chances.argmax(axis=1)]).any()
    assert found.scores["per_label"]["fire"]["recall"] == point["sensitivity"]
    assert found.details["confusion"]["matrix"][0][0] == called[y == "fire"].sum()
    wrong = {row["image"]: row["predicted"] for row in found.details["misclassified"]}
    assert wrong == {i: g for i, g, t in zip(tested.image, given, y, strict=True) if g != t}
    assert f"(recall=0.95): sensitivity {100 * point['sensitivity']:.1f} %" in str(found)


def test_without_one_the_most_probable_label_is_given(divided):
    found = evaluate.test(train_model(divided, "softmax"), divided)
    assert found.scores["operating_point"] is None
    assert "is predicted at probability" not in str(found)


@pytest.mark.parametrize(
    ("option", "rule"), [("--threshold specificity=0.9", "specificity=0.9"), ("--costs costs.csv", "costs")]
)
def test_the_commands_pass_the_operating_point_on(divided, tmp_path, monkeypatch, option, rule):
    monkeypatch.chdir(tmp_path)
    divided.write("t.parquet")
    pairs = [
        (one, other) for one in ("fire", "fog", "none") for other in ("fire", "fog", "none") if one != other
    ]
    costs = [f"{one},{other},{20 if one == 'fire' else 1}" for one, other in pairs]  # a fire missed costs 20
    (tmp_path / "costs.csv").write_text("\n".join(["label,predicted,cost", *costs]))
    assert (
        run(f"classify train t.parquet --head softmax --positive fire {option} -j 1 -o m.model").status == 0
    )
    done = run("evaluate test m.model t.parquet --json r.json --report r.html")
    content = json.loads((tmp_path / "r.json").read_text())
    point, matrix = content["operating_point"], np.array(content["confusion"]["matrix"])
    assert point["rule"] == rule and content["confusion"]["labels"][0] == "fire"
    assert point["sensitivity"] == pytest.approx(matrix[0, 0] / matrix[0].sum())
    assert point["specificity"] == pytest.approx(1 - matrix[1:, 0].sum() / matrix[1:].sum())
    assert point["precision"] == pytest.approx(matrix[0, 0] / matrix[:, 0].sum())
    if rule == "costs":  # so dear that no fire may be missed for want of certainty
        assert point["threshold"] < 1 / 3 and point["sensitivity"] > 0.9
    assert f"({rule}): sensitivity {100 * point['sensitivity']:.1f} %" in done.out
    assert f"{100 * point['sensitivity']:.1f}" in (tmp_path / "r.html").read_text()
