import numpy as np
import pytest

from classify.cli import main
from classify.heads.steps import Steps, divide_for_steps, step_head
from classify.model.modelfile import load_model, save_model
from classify.training.train import train_in_steps
from featurize.errors import UsageError


@pytest.mark.parametrize("head", ["softmax", "mlp:hidden_layer_sizes=(20,)"])
def test_it_learns_and_loads(head, separable, tmp_path):
    model = train_in_steps(separable, head, "wide", Steps(steps=300, batch_size=20, learning_rate=0.05))
    X = separable.select("wide")
    assert (model.predict(X) == separable.label).mean() > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    save_model(model, tmp_path / "m.model")
    np.testing.assert_array_equal(load_model(tmp_path / "m.model").predict_proba(X), model.predict_proba(X))


def test_a_step_is_gradient_descent_on_softmax(separable):
    """Two steps by hand, with the same draws."""
    plan = Steps(steps=2, batch_size=30, learning_rate=0.5, eval_interval=1, validation_batch_size=-1)
    found = train_in_steps(separable, "softmax", "wide", plan, seed=5)
    start = step_head("softmax", plan, widths=[40], seed=5)
    X, y = separable.select("wide"), separable.label.astype(str)
    training, _ = divide_for_steps(y, separable.groups, separable.variant, separable.split, seed=5)
    scaled = start.named_steps["scaling"].fit(X[training]).transform(X)
    rng, network = np.random.default_rng(5), start.named_steps["classifier"]
    labels = np.unique(y)
    for step in range(2):
        drawn = rng.integers(3, size=30)
        batch = np.array([rng.choice(training[y[training] == labels[code]]) for code in drawn])
        if step == 0:  # only scikit-learn knows how it starts
            network.set_params(learning_rate_init=1e-30)
            network.partial_fit(scaled[batch], y[batch], classes=labels)
            W, b = network.coefs_[0].astype(np.float64), network.intercepts_[0].astype(np.float64)
        z = scaled[batch] @ W + b
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        error = p - (y[batch][:, None] == labels)
        W, b = W - 0.5 * scaled[batch].T @ error / 30, b - 0.5 * error.mean(axis=0)
    assert found.training["steps"]["best_step"] == 2
    np.testing.assert_allclose(found.head.named_steps["classifier"].coefs_[0], W, atol=1e-5)
    np.testing.assert_allclose(found.head.named_steps["classifier"].intercepts_[0], b, atol=1e-5)


def test_rare_labels_are_drawn_as_often(separable, monkeypatch):
    from sklearn.neural_network import MLPClassifier

    drawn, original = [], MLPClassifier.partial_fit
    monkeypatch.setattr(
        MLPClassifier,
        "partial_fit",
        lambda self, X, y, classes: drawn.extend(y) or original(self, X, y, classes=classes),
    )
    rows = np.r_[0:20, 20:23, 40:60]
    train_in_steps(separable.filter(rows), "softmax", "wide", Steps(steps=50, batch_size=30))
    shares = [drawn.count(label) / len(drawn) for label in ("ant", "bee", "cat")]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)


def test_the_best_step_is_kept(separable, caplog):
    """With random labels more steps only overfit; the state with the lowest validation entropy is returned."""
    rng = np.random.default_rng(0)
    table = separable.with_column("label", rng.choice(["a", "b"], 60).tolist())
    plan = Steps(steps=200, batch_size=20, learning_rate=1.0, eval_interval=5, validation_batch_size=-1)
    model = train_in_steps(table, "softmax", "noise", plan, seed=1)
    course = model.training["steps"]
    assert course["best_step"] < 200
    y = table.label.astype(str)
    _, validation = divide_for_steps(y, table.groups, table.variant, table.split, seed=1)
    proba = model.predict_proba(table.select("noise"))[validation]
    chance = proba[np.arange(len(validation)), (y[validation] == "b").astype(int)]
    assert -np.log(chance).mean() == pytest.approx(course["cross_entropy"], rel=1e-6)


def test_the_validation_rows_of_the_split_and_their_groups_are_not_learnt_from(separable):
    y = separable.label.astype(str)
    split = np.array((["training"] * 3 + ["validation"]) * 15, dtype=object)
    groups = np.arange(60)
    groups[0] = groups[3]  # a training row in the group of a validation row
    training, validation = divide_for_steps(y, groups, np.zeros(60, int), split)
    assert validation.tolist() == list(range(3, 60, 4))
    assert 0 not in training
    assert len(training) == 44
    training, validation = divide_for_steps(y, groups, np.zeros(60, int), np.array([None] * 60, dtype=object))
    assert not set(groups[training]) & set(groups[validation])
    assert 5 <= len(validation) <= 7


def test_ctrl_c_keeps_the_best_so_far(separable, monkeypatch, caplog):
    from sklearn.neural_network import MLPClassifier

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


def test_same_seed_same_model(separable):
    one, other = (train_in_steps(separable, "mlp", "wide", Steps(steps=20), seed=3) for _ in range(2))
    X = separable.select("wide")
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": -1},
        {"eval_interval": 0},
        {"validation_batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"save_every": -1},
    ],
    ids=str,
)
def test_plans_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Steps(**wrong)


@pytest.mark.parametrize("head", ["svm", "softmax:class_weight=balanced", "sklearn.svm.SVC"])
def test_other_heads_are_refused(head):
    with pytest.raises(UsageError, match="cannot be trained step by step"):
        step_head(head, Steps())


def test_a_training_that_diverges_says_so(separable):
    with pytest.raises(UsageError, match="lower --learning-rate"), np.errstate(all="ignore"):
        train_in_steps(separable, "mlp:solver=sgd", "wide", Steps(steps=60, learning_rate=1e30))


def test_the_command(separable, tmp_path, capsys):
    separable.write(tmp_path / "t.parquet")
    model = tmp_path / "m.model"
    argv = ["train", str(tmp_path / "t.parquet"), "-o", str(model), "--features", "wide", "--steps", "40"]
    argv += [
        "--batch-size",
        "10",
        "--eval-interval",
        "20",
        "--save-every",
        "20",
        "--summaries",
        str(tmp_path / "logs"),
    ]
    assert main(argv) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("step ") and "validation accuracy" in line for line in lines) == 2
    assert load_model(f"{model}.step20").training["steps"] == {"best_step": 20}
    assert load_model(model).training["steps"]["batch_size"] == 10
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["train", "validation"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch-size", "10"], "--batch-size was given without --steps"),
        (["--steps", "5", "--tune"], "--steps and --tune do not go together"),
        (["--steps", "5", "--tune-by", "accuracy"], "--steps and --tune do not go together"),
        (["--head", "softmax:steps=5", "--tune"], "--steps and --tune do not go together"),
        (
            ["--head", "softmax:steps=5", "--steps", "6"],
            "--steps 6 and the head softmax:steps=5 do not agree",
        ),
        (["--steps", "5", "--positive", "ant"], "--steps and --positive do not go together"),
        (["--steps", "5", "--threshold", "recall=0.9"], "--steps and --threshold do not go together"),
        (["--head", "softmax:steps=5", "--costs", "c.csv"], "--steps and --costs do not go together"),
        (["--out-of-core", "--threshold", "recall=0.9"], "--out-of-core and --threshold do not go together"),
        (["--out-of-core", "--steps", "0"], "--out-of-core and --steps do not go together"),
    ],
)
def test_options_that_do_not_go_together(options, message, separable, tmp_path, capsys):
    separable.write(tmp_path / "t.parquet")
    assert main(["train", str(tmp_path / "t.parquet"), "-o", str(tmp_path / "m"), *options]) == 2
    assert message in capsys.readouterr().err


def test_steps_that_are_no_number_are_refused(separable, tmp_path, capsys):
    separable.write(tmp_path / "t.parquet")
    words = ["train", str(tmp_path / "t.parquet"), "-o", str(tmp_path / "m"), "--head", "softmax:steps=five"]
    assert main(words) == 1
    assert "steps is five" in capsys.readouterr().err


def test_a_copy_is_saved_when_asked_for_also_between_evaluations(separable):
    saved = []
    plan = Steps(steps=5, batch_size=20, save_every=2, eval_interval=10)
    train_in_steps(separable, "softmax", "wide", plan, save=lambda model, step: saved.append(step))
    assert len(saved) == 2 and all(1 < step <= 4 for step in saved)


def test_steps_that_lead_nowhere_are_told_of(separable, caplog):
    with caplog.at_level("WARNING", "bottlehead"):
        model = train_in_steps(separable, "softmax", "noise", Steps(steps=20, learning_rate=1e30))
    assert model.training["steps"]["cross_entropy"] > np.log(3)
    assert "worse than the 1.1 of guessing" in caplog.text
