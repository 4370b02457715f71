import json

import numpy as np
import pytest

from classify.model.modelfile import save_model
from classify.training.train import train
from evaluate.cli import main
from evaluate.studies.testing import test as try_model
from featurize.table import FeatureTable


@pytest.fixture
def divided():
    rng = np.random.default_rng(0)
    y = np.repeat(["fire", "fog", "none"], 60)
    X = rng.normal(size=(180, 5)) + (y == "fire")[:, None] + 2 * (y == "fog")[:, None] * np.r_[1, 0, 0, 0, 1]
    return FeatureTable.from_arrays({"x": X}, label=y, split=["training", "training", "testing"] * 60)


def test_the_operating_point_decides(divided):
    model = train(divided, "softmax", positive="fire", threshold="recall=0.95")
    found = try_model(model, divided)
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
    found = try_model(train(divided, "softmax"), divided)
    assert found.scores["operating_point"] is None
    assert "is predicted at probability" not in str(found)


def test_the_command(divided, tmp_path):
    divided.write(tmp_path / "t.parquet")
    save_model(train(divided, positive="fire", threshold="specificity=0.9"), tmp_path / "m.model")
    argv = [
        "test",
        str(tmp_path / "m.model"),
        str(tmp_path / "t.parquet"),
        "--json",
        str(tmp_path / "r.json"),
    ]
    assert main([*argv, "--report", str(tmp_path / "r.html")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["operating_point"]["rule"] == "specificity=0.9"
