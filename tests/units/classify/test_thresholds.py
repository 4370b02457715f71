import json

import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.model.card import model_card
from classify.model.model import OperatingPoint
from classify.model.modelfile import load_model, save_model
from classify.prediction.predict import predict_table
from classify.rows import Sample
from classify.training.thresholds import (
    check_rule,
    choose_threshold,
    held_out_probabilities,
    parse_rule,
    read_costs,
)
from classify.training.train import train
from featurize.errors import UsageError
from featurize.table import FeatureTable

LABELS = ["fire", "fog", "none"]


@pytest.fixture
def judged():
    """Ten photos: true labels and the probability of fire, 5 fires at 0.9, 0.8, 0.5, 0.3, 0.2."""
    fire = np.array([0.9, 0.8, 0.5, 0.3, 0.2, 0.6, 0.4, 0.3, 0.1, 0.05])
    truth = ["fire"] * 5 + ["fog", "none"] * 2 + ["fog"]
    return truth, np.column_stack([fire, (1 - fire) * 0.6, (1 - fire) * 0.4])


@pytest.mark.parametrize(
    ("rule", "threshold", "sensitivity", "specificity", "precision"),
    [
        ("recall=0.6", 0.5, 3 / 5, 4 / 5, 3 / 4),
        ("recall=0.7", 0.3, 4 / 5, 2 / 5, 4 / 7),  # a fire and a none share 0.3
        ("recall=1", 0.2, 1, 2 / 5, 5 / 8),
        ("specificity=0.8", 0.5, 3 / 5, 4 / 5, 3 / 4),
        ("specificity=1", 0.8, 2 / 5, 1, 1),
        ("precision=0.7", 0.5, 3 / 5, 4 / 5, 3 / 4),
        ("precision=0.99", 0.8, 2 / 5, 1, 1),
    ],
)
def test_rules_by_hand(judged, rule, threshold, sensitivity, specificity, precision):
    point = choose_threshold(*judged, LABELS, "fire", rule)
    assert point.threshold == threshold
    assert point.sensitivity == pytest.approx(sensitivity)
    assert point.specificity == pytest.approx(specificity)
    assert point.precision == pytest.approx(precision)
    assert (point.n_positive, point.n_others, point.rule) == (5, 5, rule)


@pytest.mark.parametrize(("miss", "threshold"), [(0.1, 0.8), (1, 0.2), (4, 0.2)])
def test_dear_misses_lower_the_threshold(judged, miss, threshold):
    costs = {(a, b): 1.0 for a in LABELS for b in LABELS if a != b}
    costs |= {("fire", "fog"): miss, ("fire", "none"): miss}
    point = choose_threshold(*judged, LABELS, "fire", costs)

    def total(t):
        given = np.array(LABELS)[OperatingPoint("fire", t, "", 0.0, 0.0, 0.0, 0, 0).decide(judged[1], LABELS)]
        return sum(costs.get(pair, 0) for pair in zip(judged[0], given.tolist(), strict=True))

    assert total(point.threshold) == min(total(t) for t in np.linspace(0, 1, 101))
    assert point.threshold == threshold


def test_where_every_call_costs_too_much_none_is_made(judged):
    costs = {(a, b): 1.0 for a in LABELS for b in LABELS if a != b}
    truth, probabilities = judged
    probabilities[5, 0] = 0.95  # the surest is a false alarm
    point = choose_threshold(
        truth, probabilities, LABELS, "fire", costs | {("fog", "fire"): 1e6, ("none", "fire"): 1e6}
    )
    assert (point.threshold, point.sensitivity, point.specificity) == (np.nextafter(0.95, 1), 0, 1)
    assert "fire" not in np.array(LABELS)[point.decide(probabilities, LABELS)]


def test_costs_are_those_of_each_photo_also_where_photos_are_many_and_probabilities_equal():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1, 1, 1], 2000).round(2)
    truth = rng.choice(LABELS, 2000, p=[0.2, 0.3, 0.5])
    probabilities[truth == "fire", 0] += 0.2
    costs = {(a, b): 0.1 * (a != b) for a in LABELS for b in LABELS}
    costs |= {("fire", "fog"): 0.3, ("fire", "none"): 0.4, ("none", "fire"): 0.2}
    totals = {}
    for threshold in np.unique(np.append(probabilities[:, 0], 0.0)):
        given = np.where(
            probabilities[:, 0] >= threshold,
            "fire",
            np.where(probabilities[:, 1] >= probabilities[:, 2], "fog", "none"),
        )
        totals[threshold] = sum(costs[pair] for pair in zip(truth.tolist(), given.tolist(), strict=True))
    cheapest = max(t for t, total in totals.items() if total <= min(totals.values()) + 1e-9)
    assert 0.1 < cheapest < 0.9
    assert choose_threshold(truth, probabilities, LABELS, "fire", costs).threshold == cheapest


def test_a_rule_that_no_threshold_fulfils_is_refused(judged):
    truth, probabilities = judged
    probabilities[5, 0] = 0.95
    with pytest.raises(UsageError, match=r"has precision 0\.9: the best is 0\.750"):
        choose_threshold(truth, probabilities, LABELS, "fire", "precision=0.9")


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


@pytest.fixture
def overlapping():
    rng = np.random.default_rng(0)
    y = np.repeat(LABELS, 40)
    X = rng.normal(size=(120, 5)) + (y == "fire")[:, None] + 2 * (y == "fog")[:, None] * np.r_[1, 0, 0, 0, 1]
    return FeatureTable.from_arrays({"x": X}, label=y)


def test_a_model_decides_by_its_operating_point_and_keeps_it(overlapping, tmp_path):
    plain = train(overlapping, "softmax")
    model = train(overlapping, "softmax", positive="fire", threshold="recall=0.95")
    assert model.operating_point.sensitivity >= 0.95
    assert model.operating_point.threshold < 0.5
    probabilities = model.predict_proba(overlapping.select("x"))
    np.testing.assert_array_equal(probabilities, plain.predict_proba(overlapping.select("x")))
    expected = np.where(
        probabilities[:, 0] >= model.operating_point.threshold,
        "fire",
        np.where(probabilities[:, 1] >= probabilities[:, 2], "fog", "none"),
    )
    assert (model.predict(overlapping.select("x")) == expected).all()
    assert (expected != plain.predict(overlapping.select("x"))).any()
    save_model(model, tmp_path / "m.model")
    loaded = load_model(tmp_path / "m.model")
    assert loaded.operating_point == model.operating_point
    predictions = predict_table(loaded, overlapping)
    assert predictions.label == expected.tolist()
    for row in range(120):
        best = predictions.best(row)
        assert best[0] == (expected[row], predictions.confidence[row])
        assert sorted(label for label, _ in best) == LABELS
        assert best[1][1] >= best[2][1]
    assert "fire from probability" in model_card(loaded)


def test_one_without_the_other_is_refused(overlapping):
    with pytest.raises(UsageError, match="a positive label was given alone"):
        train(overlapping, positive="fire")
    with pytest.raises(UsageError, match="a threshold was given alone"):
        train(overlapping, threshold="recall=0.9")
    with pytest.raises(UsageError, match="no label smoke"):
        train(overlapping, positive="smoke", threshold="recall=0.9")


def test_a_damaged_operating_point_is_refused():
    good = json.loads(json.dumps(OperatingPoint("fire", 0.5, "recall=1", 1.0, 0.5, 0.5, 3, 4).to_dict()))
    assert OperatingPoint.from_dict(good, LABELS).threshold == 0.5
    for wrong in ({"threshold": "0.5"}, {"n_others": None}, {"extra": 1}, {"positive": "smoke"}):
        with pytest.raises(ValueError, match="operating point"):
            OperatingPoint.from_dict({**good, **wrong}, LABELS)
