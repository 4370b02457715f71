import json

import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.model.model import OperatingPoint
from classify.rows import Sample
from classify.training.thresholds import check_rule, held_out_probabilities, parse_rule, read_costs
from featurize.errors import UsageError

LABELS = ["fire", "fog", "none"]


@pytest.mark.parametrize("rule", ["recall", "recall=0", "recall=1.2", "recall=nan", "f1=0.9", "recall=high"])
def test_no_rule(rule):
    with pytest.raises(UsageError, match="is no rule for a threshold"):
        parse_rule(rule)


def test_unknown_labels_and_missing_costs_are_refused():
    with pytest.raises(UsageError, match=r"no label smoke.*the labels are fire, fog"):
        check_rule("smoke", ["fire", "fog"], "recall=0.9")
    with pytest.raises(UsageError, match="the costs lack fog,fire"):
        check_rule("fire", ["fire", "fog"], {("fire", "fog"): 1.0})
    with pytest.raises(UsageError, match="name the unknown smoke"):
        check_rule(
            "fire", ["fire", "fog"], {("fire", "fog"): 1.0, ("fog", "fire"): 2.0, ("smoke", "fog"): 1.0}
        )


def test_costs_are_read(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text("label,predicted,cost\nfire,none,50\n\nnone, fire ,1.5\n", encoding="utf-8")
    assert read_costs(path) == {("fire", "none"): 50, ("none", "fire"): 1.5}
    for text, message in (
        ("a,b,c\n", "first line must be label,predicted,cost"),
        ("label,predicted,cost\nfire,none\n", "line 2"),
        ("label,predicted,cost\nfire,none,-1\n", "hold the line 'fire,none,-1'"),
        ("label,predicted,cost\nfire,none,inf\n", "hold the line 'fire,none,inf'"),
        ("label,predicted,cost\nfire,none,dear\n", "hold the line 'fire,none,dear'"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            read_costs(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_costs(tmp_path / "none.csv")


def test_held_out_probabilities_come_from_heads_that_had_not_seen_the_group():
    """Labels are noise; only who has seen a twin of the photo knows its label."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 8)), 2, axis=0)
    y, groups = np.repeat(np.array(["a", "b"])[np.arange(60) % 2], 2), np.arange(120) // 2
    variant = np.tile([0, 3], 60)
    rows, probabilities = held_out_probabilities(
        make_head("knn:n_neighbors=1"), Sample(X, y, groups, variant)
    )
    assert sorted(rows) == list(range(0, 120, 2))
    assert (np.array(["a", "b"])[probabilities.argmax(axis=1)] == y[rows]).mean() < 0.75


def test_a_damaged_operating_point_is_refused():
    good = json.loads(json.dumps(OperatingPoint("fire", 0.5, "recall=1", 1.0, 0.5, 0.5, 3, 4).to_dict()))
    assert OperatingPoint.from_dict(good, LABELS).threshold == 0.5
    for wrong in ({"threshold": "0.5"}, {"n_others": None}, {"extra": 1}, {"positive": "smoke"}):
        with pytest.raises(ValueError, match="operating point"):
            OperatingPoint.from_dict({**good, **wrong}, LABELS)
