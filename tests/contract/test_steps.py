"""Training step by step: what is learnt, kept, said, saved and written for TensorBoard."""

import re

import numpy as np
import pytest
from builders import described, made_table, members_of, run
from sklearn.neural_network import MLPClassifier

from classify import Steps, load_model, make_head, train_in_steps, train_model
from featurize import BottleheadError, FeatureTable


@pytest.mark.parametrize("head", ["softmax", "mlp:hidden_layer_sizes=(20,)"])
def test_it_learns_and_the_same_seed_gives_the_same(head, separable):
    plan = Steps(steps=100, batch_size=20, learning_rate=0.05)
    one, other, changed = (train_in_steps(separable, head, "wide", plan, seed=seed) for seed in (3, 3, 4))
    X = separable.select("wide")
    assert (one.predict(X) == separable.label).mean() > 0.95
    np.testing.assert_allclose(one.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert (one.predict_proba(X) != changed.predict_proba(X)).any()


def test_ctrl_c_keeps_the_best_so_far(separable, monkeypatch, caplog):
    original, calls = MLPClassifier.partial_fit, []

    def interrupted(self, X, y, classes):
        calls.append(1)
        if len(calls) == 26:
            getattr(self, "coefs_", [np.empty(1)])[0][:] = np.nan  # half of a step
            raise KeyboardInterrupt
        return original(self, X, y, classes=classes)

    monkeypatch.setattr(MLPClassifier, "partial_fit", interrupted)
    model = train_in_steps(separable, "softmax", "wide", Steps(steps=100, batch_size=20, learning_rate=0.05))
    assert model.training["steps"]["interrupted_at"] == 26
    assert model.training["steps"]["best_step"] == 20
    assert np.isfinite(model.predict_proba(separable.select("wide"))).all()
    assert "interrupted in step 26; the best so far is kept, that of step 20" in caplog.messages
    calls[:] = [1] * 25
    with pytest.raises(KeyboardInterrupt):  # before the first evaluation there is nothing to keep
        train_in_steps(separable, "softmax", "wide", Steps(steps=100))


WRONG = {"steps": 0, "batch_size": -1, "eval_interval": 0, "validation_batch_size": 0, "save_every": -1}


@pytest.mark.parametrize(("name", "value"), [*WRONG.items(), *(("learning_rate", x) for x in (0.0, np.nan))])
def test_plans_that_make_no_sense_are_refused(name, value):
    with pytest.raises(BottleheadError, match=f"{name} is {value}"):
        Steps(**{name: value})


def tensorboard_scalars(path):
    """An event file as (step, value by tag); TensorFlow compares the checksums."""
    import tensorflow as tf

    first, *events = tf.compat.v1.train.summary_iterator(str(path))
    assert first.file_version == "brain.Event:2"
    return [(event.step, {one.tag: one.simple_value for one in event.summary.value}) for event in events]


@pytest.mark.tensorflow
def test_the_command_says_saves_and_writes_what_it_sees(tmp_path):
    """The split's validation rows are judged; the best step by their cross entropy is the model."""
    split = (["training"] * 4 + ["validation"]) * 12
    described(made_table(split=split)).write(tmp_path / "t.parquet")
    words = f"classify train {tmp_path}/t.parquet -o {tmp_path}/m --features good --steps 40 --batch-size 10"
    words += " --eval-interval 8 --save-every 20 --learning-rate 2 --validation-batch-size -1"
    words += f" --summaries {tmp_path}/logs"
    outcome = run(words)
    assert outcome.status == 0 and outcome.out == ""
    pattern = r"train accuracy ([\d.]+) %, cross entropy ([\d.]+), validation accuracy ([\d.]+) % \(N=12\)$"
    said = re.findall(rf"^step (\d+): {pattern}", outcome.err, re.MULTILINE)
    (train,), (validation,) = ((tmp_path / "logs" / side).iterdir() for side in ("train", "validation"))
    trained, validated = tensorboard_scalars(train), tensorboard_scalars(validation)
    # Every eighth step, and those in which a copy is saved.
    assert [step for step, _ in trained] == [step for step, _ in validated] == [8, 16, 20, 24, 32, 40]
    for told, (number, on_batch), (_, on_all) in zip(said, trained, validated, strict=True):
        step, accuracy, entropy, valid = told
        assert int(step) == number
        assert float(accuracy) == pytest.approx(100 * on_batch["accuracy"], abs=0.06)
        assert float(entropy) == pytest.approx(on_batch["cross_entropy"], abs=1e-5)
        assert float(valid) == pytest.approx(100 * on_all["accuracy"], abs=0.06)
    model = load_model(tmp_path / "m")
    course = model.training["steps"]
    best, scores = min(validated, key=lambda one: one[1]["cross_entropy"])
    assert course["best_step"] == best < 40
    assert course["cross_entropy"] == pytest.approx(scores["cross_entropy"], rel=1e-6)
    table = FeatureTable.read(tmp_path / "t.parquet")
    rows = table.filter(table.split == "validation")
    columns = np.searchsorted(model.labels, rows.label.astype(str))
    chance = model.predict_proba(rows.select("good"))[np.arange(12), columns]
    assert -np.log(chance).mean() == pytest.approx(course["cross_entropy"], rel=1e-5)
    copies = sorted(path.name for path in tmp_path.glob("m.step*"))
    assert copies and all(int(name[6:]) <= 40 for name in copies)
    for name in copies:
        assert load_model(tmp_path / name).training["steps"] == {"best_step": int(name[6:])}
    assert set(members_of(tmp_path / "m")) == {"model.json", "head.skops", "outliers.f2"}
    card = run(f"classify show {tmp_path}/m").out
    assert (
        f"accuracy {100 * course['accuracy']:.1f} %, cross entropy {course['cross_entropy']:.3f} on the "
        in card
    )
    assert f"after step {best} of 40" in card
    assert validation.name.startswith("events.out.tfevents.")
    run(words)
    assert len(list(validation.parent.iterdir())) == 2  # a run has files of its own


def test_a_spec_with_steps_is_training_in_steps(separable):
    model = train_model(separable, "softmax:steps=40,learning_rate=0.05,batch_size=20", "wide", seed=3)
    plan = Steps(steps=40, learning_rate=0.05, batch_size=20)
    same = train_in_steps(separable, "softmax", "wide", plan, seed=3)
    X = separable.select("wide")
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
    assert model.training["steps"] == same.training["steps"]
    with pytest.raises(BottleheadError, match="neither tuned nor given a threshold"):
        train_model(separable, "softmax:steps=40", "wide", tune="accuracy")


def test_rare_labels_count_as_much_as_frequent_ones():
    """One point for all: only how often each label is drawn can be learnt."""
    X, y = np.zeros((100, 1)), np.array(["many"] * 95 + ["rare"] * 5)
    head = make_head("softmax:steps=200,learning_rate=0.3,batch_size=50")
    assert head.fit(X, y).predict_proba(X[:1])[0] == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("svm", "svm cannot be trained step by step"),
        ("softmax:class_weight=balanced", "cannot be trained step by step"),
        ("sklearn.svm.SVC", "cannot be trained step by step"),
        ("mlp:early_stopping=True", "MLPClassifier cannot be trained in steps: partial_fit (is|does)"),
        ("svm:steps=10", "cannot be trained step by step"),
        ("softmax:steps=0", "steps is 0"),
        ("softmax:steps=10,depth=3", "no parameter depth"),
        ("softmax:steps=2.5", "steps is 2.5"),
        ("softmax:steps=five", "steps is five"),
        ("mlp:steps=10,learning_rate=fast", "learning_rate is fast"),
    ],
)
def test_heads_that_take_no_steps_are_refused(head, message, separable):
    with pytest.raises(BottleheadError, match=message):
        if "steps=" in head:
            make_head(head)
        else:
            train_in_steps(separable, head, "wide", Steps(steps=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--batch-size 10", "--batch-size was given without --steps"),
        ("--head softmax:steps=5 --steps 6", "--steps 6 and the head softmax:steps=5 do not agree"),
        *((f"--steps 5 {one}", "--steps and --tune do not") for one in ("--tune", "--tune-by accuracy")),
        ("--head softmax:steps=5 --tune", "--steps and --tune do not go together"),
        ("--steps 5 --positive ant", "--steps and --positive do not go together"),
        ("--steps 5 --threshold recall=0.9", "--steps and --threshold do not go together"),
        ("--head softmax:steps=5 --costs c.csv", "--steps and --costs do not go together"),
        ("--out-of-core --threshold recall=0.9", "--out-of-core and --threshold do not go together"),
        ("--out-of-core --tune", "--out-of-core and --tune do not go together"),
        ("--out-of-core --steps 0", "--out-of-core and --steps do not go together"),
    ],
)
def test_options_that_do_not_go_together(options, message, separable, tmp_path):
    separable.write(tmp_path / "t.parquet")
    outcome = run(f"classify train {tmp_path}/t.parquet -o {tmp_path}/m {options}")
    assert outcome.status == 2 and message in outcome.error


def test_steps_that_diverge_or_lead_nowhere_are_told_of(separable, caplog):
    with pytest.raises(BottleheadError, match="lower --learning-rate"), np.errstate(all="ignore"):
        train_in_steps(separable, "mlp:solver=sgd", "wide", Steps(steps=60, learning_rate=1e30))
    with caplog.at_level("WARNING", "bottlehead"):
        model = train_in_steps(separable, "softmax", "noise", Steps(steps=20, learning_rate=1e30))
    assert model.training["steps"]["cross_entropy"] > np.log(3)
    assert "worse than the 1.1 of guessing" in caplog.text
