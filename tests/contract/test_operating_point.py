"""A model with an operating point: which label it gives, and what `test` says of it."""

import itertools
import json

import numpy as np
import pytest
from builders import run

import evaluate
from classify import load_model, train_model
from featurize import FeatureTable


@pytest.fixture
def divided():
    rng = np.random.default_rng(0)
    y = np.repeat(["fire", "fog", "none"], 60)
    X = rng.normal(size=(180, 5)) + (y == "fire")[:, None] + 2 * (y == "fog")[:, None] * np.r_[1, 0, 0, 0, 1]
    return FeatureTable.from_arrays({"x": X}, label=y, split=["training", "training", "testing"] * 60)


@pytest.mark.parametrize(
    ("option", "rule"), [("--threshold recall=0.95", "recall=0.95"), ("--costs costs.csv", "costs")]
)
def test_the_operating_point_decides_and_stands_in_every_result(divided, tmp_path, monkeypatch, option, rule):
    monkeypatch.chdir(tmp_path)
    divided.write("t.parquet")
    pairs = itertools.permutations(["fire", "fog", "none"], 2)
    costs = [f"{one},{other},{20 if one == 'fire' else 1}" for one, other in pairs]  # a fire missed costs 20
    (tmp_path / "costs.csv").write_text("\n".join(["label,predicted,cost", *costs]))
    assert run(f"classify train t.parquet --positive fire {option} -j 1 -o m.model").status == 0
    done = run("evaluate test m.model t.parquet --json r.json --report r.html")
    found, model = json.loads((tmp_path / "r.json").read_text()), load_model("m.model")
    tested = divided.filter(divided.split == "testing")
    chances, y = model.predict_proba(tested.select("x")), tested.label
    called = chances[:, 0] >= model.operating_point.threshold
    point = found["operating_point"]
    assert (point["rule"], point["threshold"]) == (rule, model.operating_point.threshold)
    assert point["sensitivity"] == pytest.approx(called[y == "fire"].mean())
    assert point["specificity"] == pytest.approx((~called[y != "fire"]).mean())
    assert point["precision"] == pytest.approx((y[called] == "fire").mean())
    given = np.where(called, "fire", np.where(chances[:, 1] >= chances[:, 2], "fog", "none"))
    assert (given != np.array(model.labels)[chances.argmax(axis=1)]).any()
    assert found["accuracy"] == pytest.approx((given == y).mean())
    assert found["confusion"]["matrix"][0][0] == called[y == "fire"].sum()
    wrong = {row["image"]: row["predicted"] for row in found["misclassified"]}
    assert wrong == {i: g for i, g, t in zip(tested.image, given, y, strict=True) if g != t}
    if rule == "costs":  # so dear that no fire may be missed for want of certainty
        assert point["threshold"] < 1 / 3 and point["sensitivity"] > 0.9
    assert f"({rule}): sensitivity {100 * point['sensitivity']:.1f} %" in done.out
    assert f"{100 * point['sensitivity']:.1f}" in (tmp_path / "r.html").read_text()


def test_without_one_nothing_is_said_of_it(divided):
    found = evaluate.test(train_model(divided, "softmax"), divided)
    assert found.scores["operating_point"] is None
    assert "is predicted at probability" not in str(found)
