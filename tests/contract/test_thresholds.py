"""Operating points: a threshold chosen by a rule or by costs, kept in the model, and decided by."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import described, members_of, run, words_of_page, write_members
from scipy.stats import binomtest

import evaluate
from classify import choose_threshold, fit_head, load_model, make_folds, make_head, predict_table, train_model
from featurize import BottleheadError, FeatureTable

LABELS = ["fire", "fog", "none"]


def decided(probabilities, threshold):
    """Fire from the threshold on, and otherwise the more probable of the others."""
    others = np.where(probabilities[:, 1] >= probabilities[:, 2], "fog", "none")
    return np.where(probabilities[:, 0] >= threshold, "fire", others)


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


def test_where_every_call_costs_too_much_none_is_made_and_not_every_rule_can_be_fulfilled(judged):
    costs = {(a, b): 1.0 for a in LABELS for b in LABELS if a != b}
    truth, probabilities = judged
    probabilities[5, 0] = 0.95  # the surest is a false alarm
    costs |= {("fog", "fire"): 1e6, ("none", "fire"): 1e6}
    point = choose_threshold(truth, probabilities, LABELS, "fire", costs)
    assert (point.threshold, point.sensitivity, point.specificity) == (np.nextafter(0.95, 1), 0, 1)
    assert "fire" not in np.array(LABELS)[point.decide(probabilities, LABELS)]
    with pytest.raises(BottleheadError, match=r"has precision 0\.9: the best is 0\.750"):
        choose_threshold(truth, probabilities, LABELS, "fire", "precision=0.9")


def test_a_photo_that_is_surely_positive_costs_what_its_best_other_label_costs_where_it_is_not_called():
    """By hand: both first photos called fire cost 5, or 3.25; both passing for fog cost 3 + 0.5."""
    probabilities = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.5, 0.3]])
    truth = ["none", "fire", "fog"]
    costs = {(a, b): 9.0 for a in LABELS for b in LABELS if a != b}
    costs |= {("none", "fire"): 5.0, ("none", "fog"): 3.0, ("fire", "fog"): 0.5}
    point = choose_threshold(truth, probabilities, LABELS, "fire", costs)
    assert point.threshold == np.nextafter(1, 2)  # 3.5 against 5
    cheap = costs | {("none", "fire"): 3.25}
    assert choose_threshold(truth, probabilities, LABELS, "fire", cheap).threshold == 1.0


def test_costs_are_those_of_each_photo_also_where_photos_are_many_and_probabilities_equal():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1, 1, 1], 2000).round(2)
    truth = rng.choice(LABELS, 2000, p=[0.2, 0.3, 0.5])
    probabilities[truth == "fire", 0] += 0.2
    costs = {(a, b): 0.1 * (a != b) for a in LABELS for b in LABELS}
    costs |= {("fire", "fog"): 0.3, ("fire", "none"): 0.4, ("none", "fire"): 0.2}
    totals = {}
    for threshold in np.unique(np.append(probabilities[:, 0], 0.0)):
        given = decided(probabilities, threshold)
        totals[threshold] = sum(costs[pair] for pair in zip(truth.tolist(), given.tolist(), strict=True))
    cheapest = max(t for t, total in totals.items() if total <= min(totals.values()) + 1e-9)
    assert 0.1 < cheapest < 0.9
    assert choose_threshold(truth, probabilities, LABELS, "fire", costs).threshold == cheapest


@pytest.fixture(scope="module")
def overlapping() -> FeatureTable:
    rng = np.random.default_rng(0)
    y = np.repeat(LABELS, 40)
    X = rng.normal(size=(120, 5)) + (y == "fire")[:, None] + 2 * (y == "fog")[:, None] * np.r_[1, 0, 0, 0, 1]
    return described(FeatureTable.from_arrays({"x": X}, label=y, image=[f"{i}.jpg" for i in range(120)]))


@pytest.fixture
def held_out(overlapping):
    """True labels and the probabilities that five folds give, each photo judged by a head that had not seen it."""
    X, y = overlapping.select("x"), overlapping.label.astype(str)
    truth, probabilities = [], []
    for fold in make_folds(y, overlapping.groups, n_folds=5, seed=0):
        fitted = fit_head(make_head("softmax", widths=[5]), X[fold.training], y[fold.training])
        truth += y[fold.testing].tolist()
        probabilities.append(fitted.predict_proba(X[fold.testing]))
    return truth, np.concatenate(probabilities)


COSTS = {("fire", "fog"): 9, ("fire", "none"): 20, ("fog", "fire"): 1, ("fog", "none"): 1}
COSTS |= {("none", "fire"): 2, ("none", "fog"): 1}


@pytest.mark.parametrize("rule", ["recall=0.95", "specificity=0.9", "precision=0.8", COSTS], ids=str)
def test_the_command_chooses_on_photos_that_were_not_trained_on_and_the_model_decides_by_it(
    rule, overlapping, held_out, tmp_path
):
    overlapping.write(tmp_path / "t.parquet")
    lines = [f"{a}, {b} ,{cost}" for (a, b), cost in COSTS.items()]
    (tmp_path / "costs.csv").write_text("\n".join(["label,predicted,cost", "", *lines]))
    option = f"--threshold {rule}" if isinstance(rule, str) else f"--costs {tmp_path}/costs.csv"
    outcome = run(f"classify train {tmp_path}/t.parquet -o {tmp_path}/m --positive fire {option}")
    assert outcome.status == 0, outcome.err
    model = load_model(tmp_path / "m")
    expected = choose_threshold(*held_out, LABELS, "fire", rule)
    point = model.operating_point
    assert point.threshold == pytest.approx(expected.threshold, abs=1e-6)
    assert (point.sensitivity, point.specificity) == (expected.sensitivity, expected.specificity)
    # What is promised is what to expect of new photos, and not what those show that chose the threshold.
    promise = point.expected
    assert promise.sensitivity.mean < point.sensitivity and promise.specificity.mean < point.specificity
    for text in (outcome.err, card := run(f"classify show {tmp_path}/m").out):
        assert f"fire from probability {point.threshold:.4f} on" in text
        for name, share in vars(promise).items():
            assert f"{name} {share.mean:.3f} ({share.low:.3f} to {share.high:.3f})" in text
        assert text.index("expect sensitivity") < text.index("which chose it and so flatter")
    assert "on photos not trained on (120 photos)\n" in card
    plain = train_model(overlapping, "softmax")
    X = overlapping.select("x")
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, plain.predict_proba(X), rtol=0, atol=1e-6)
    given = decided(probabilities, point.threshold)
    assert (model.predict(X) == given).all() and (given != plain.predict(X)).any()
    lines = run(f"classify predict {tmp_path}/m {tmp_path}/t.parquet --format csv --top 2").out.splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == given.tolist()
    predictions = predict_table(model, overlapping)
    for row in range(0, 120, 7):
        best = predictions.best(row)
        assert best[0] == (given[row], predictions.confidence[row])
        assert sorted(label for label, _ in best) == LABELS and best[1][1] >= best[2][1]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--positive fire", "a positive label was given alone"),
        ("--threshold recall=0.9", "a threshold was given alone"),
        ("--positive smoke --threshold recall=0.9", "no label smoke"),
        ("--positive fire --threshold f1=0.9", "is no rule for a threshold"),
        ("--positive fire --costs none.csv", "cannot be read"),
        ("--positive fire --costs columns.csv", "have the columns a, b, c"),
        ("--positive fire --costs few.csv", "the costs lack"),
    ],
)
def test_rules_and_costs_that_cannot_be_are_refused(options, error, overlapping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overlapping.write("t.parquet")
    Path("columns.csv").write_text("a,b,c\n")
    Path("few.csv").write_text("label,predicted,cost\nfire,none,1\n")
    outcome = run(f"classify train t.parquet -o m {options}")
    assert outcome.status == 1 and error in outcome.error and not (tmp_path / "m").exists()


def test_the_operating_point_decides_and_stands_in_every_result(overlapping, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    divided = overlapping.with_column("split", ["training", "training", "testing"] * 40)
    divided.write("t.parquet")
    words = "--positive fire --threshold recall=0.95 -j 1 -o m.model"
    assert run(f"classify train t.parquet {words}").status == 0
    done = run("evaluate test m.model t.parquet --json r.json --report r.html")
    found, model = json.loads((tmp_path / "r.json").read_text()), load_model("m.model")
    tested = divided.filter(divided.split == "testing")
    chances, y = model.predict_proba(tested.select("x")), tested.label
    called = chances[:, 0] >= model.operating_point.threshold
    point = found["operating_point"]
    assert (point["rule"], point["threshold"]) == ("recall=0.95", model.operating_point.threshold)
    assert point["sensitivity"] == pytest.approx(called[y == "fire"].mean())
    assert point["specificity"] == pytest.approx((~called[y != "fire"]).mean())
    assert point["precision"] == pytest.approx((y[called] == "fire").mean())
    shares, promise = found["intervals"]["operating_point"], found["expected"]
    for name, of in (("sensitivity", y == "fire"), ("specificity", y != "fire")):
        wilson = binomtest(round(point[name] * of.sum()), of.sum()).proportion_ci(method="wilson")
        assert [*shares[name].values()] == pytest.approx([point[name], wilson.low, wilson.high])
        assert promise[name] == vars(getattr(model.operating_point.expected, name))
        ends = [100 * shares[name][end] for end in ("mean", "low", "high")]
        words = f"{name} {ends[0]:.1f} % ({ends[1]:.1f} to {ends[2]:.1f})"
        expected = f"{name} {100 * promise[name]['mean']:.1f} % ("
        page = words_of_page((tmp_path / "r.html").read_text())
        for text in (done.out, page, found["methods_paragraph"]["text"]):
            assert words in text and expected in text
    assert "Wilks 1941" in found["methods"]["expected"]
    assert any("10.1214/aoms/1177731788" in one for one in found["methods_paragraph"]["references"])
    given = np.where(called, "fire", np.where(chances[:, 1] >= chances[:, 2], "fog", "none"))
    assert (given != np.array(model.labels)[chances.argmax(axis=1)]).any()
    assert found["accuracy"] == pytest.approx((given == y).mean())
    assert found["confusion"]["matrix"][0][0] == called[y == "fire"].sum()
    wrong = {row["image"]: row["predicted"] for row in found["misclassified"]}
    assert wrong == {i: g for i, g, t in zip(tested.image, given, y, strict=True) if g != t}
    assert f"(recall=0.95): sensitivity {100 * point['sensitivity']:.1f} %" in done.out
    assert f"{100 * point['sensitivity']:.1f}" in (tmp_path / "r.html").read_text()
    found = evaluate.test(train_model(divided, "softmax"), divided)  # without one nothing is said of it
    assert found.scores["operating_point"] is None and "is predicted at probability" not in str(found)


@pytest.fixture
def with_threshold(overlapping, tmp_path, monkeypatch):
    """The folder of a model with an operating point, and the members of its file."""
    monkeypatch.chdir(tmp_path)
    overlapping.write("t.parquet")
    assert run("classify train t.parquet -o m.model --positive fire --threshold recall=0.9").status == 0
    return members_of(tmp_path / "m.model")


def changed(members, **keys):
    """The members with other keys in model.json; None takes a key away."""
    about = json.loads(members["model.json"]) | keys
    return members | {"model.json": json.dumps({k: v for k, v in about.items() if v is not None})}


def test_a_model_of_before_promises_nothing_and_decides_as_it_did(with_threshold):
    point = json.loads(with_threshold["model.json"])["operating_point"]
    # What older programs read has no more keys than they know.
    assert sorted(point) == sorted(
        "positive threshold rule sensitivity specificity precision n_positive n_others".split()
    )
    write_members(Path("old.model"), changed(with_threshold, operating_point_expected=None))
    old, new = load_model("old.model"), load_model("m.model")
    assert old.operating_point.expected is None and new.operating_point.expected.sensitivity.mean > 0.8
    assert old.operating_point.threshold == new.operating_point.threshold
    assert "what to expect of new photos is not known" in run("classify show old.model").out
    done = run("evaluate test old.model t.parquet --json r.json --report r.html")
    assert done.status == 0 and "to be expected" not in done.out
    assert json.loads(Path("r.json").read_text())["expected"] is None


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"sensitivity": {"mean": 0.9, "low": 0.8, "high": 1.0}},
        {"sensitivity": {"mean": 0.9, "low": 0.95, "high": 1.0}, "specificity": None},
        {side: {"mean": 0.9, "low": 0.95, "high": 1.0} for side in ("sensitivity", "specificity")},
        {side: {"mean": 1.9, "low": 0.5, "high": 2.0} for side in ("sensitivity", "specificity")},
        {side: {"mean": "much", "low": 0.5, "high": 1.0} for side in ("sensitivity", "specificity")},
    ],
)
def test_a_model_whose_promise_somebody_edited_is_damaged(with_threshold, expected):
    write_members(Path("edited.model"), changed(with_threshold, operating_point_expected=expected))
    done = run("classify show edited.model")
    assert done.status == 1 and "its operating point" in done.error
