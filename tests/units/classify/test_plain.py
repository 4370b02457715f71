"""Heads as plain arrays say what scikit-learn's own say, need neither it nor skops, and trust no file."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from builders import made_table, members_of, run, write_members
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classify import BlockScaler, Calibrated, load_model, make_head, save_model, train_model
from classify.heads.plain import plain_head
from classify.model.model import StoredModel
from featurize import BottleheadError, FeatureTable


def vectors(n_rows: int, n_labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """40 numbers like a network's, then 5 of another unit, and the label of each row."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n_rows) % n_labels
    centres = np.random.default_rng(99).normal(size=(n_labels, 45))
    X = centres[codes] + rng.normal(size=(n_rows, 45))
    X[:, :40] = np.maximum(X[:, :40], 0)
    X[:, 40:] = 100 * X[:, 40:] - 30
    return X.astype(np.float32), np.array([f"label {code:02}" for code in codes])


def table_of(n_labels: int, n_rows: int = 0) -> FeatureTable:
    X, y = vectors(n_rows or 12 * n_labels, n_labels)
    return FeatureTable.from_arrays({"deep": X[:, :40], "texture": X[:, 40:]}, label=y)


SPECS = """softmax softmax:C=0.1,class_weight=balanced softmax:steps=30 softmax:fit_intercept=False
linear-svm linear-svm:C=1,class_weight=balanced svm svm:C=1,gamma=0.2,class_weight=balanced
svm:kernel=linear svm:kernel=poly,degree=2,coef0=1 svm:kernel=sigmoid
mlp:max_iter=20 mlp:max_iter=20,activation=tanh mlp:max_iter=20,activation=logistic,class_weight=balanced
mlp:max_iter=20,activation=identity,hidden_layer_sizes=(7,5) mlp:steps=30 lda lda:shrinkage=0.5""".split()


@pytest.fixture
def kept(tmp_path):
    def keep(model):
        save_model(model, tmp_path / "m")
        return load_model(tmp_path / "m")

    return keep


def assert_predicts_as_scikit_learn(model) -> None:
    """On rows like those of the training, far ones, and both kinds of floats; the labels too."""
    assert isinstance(model, StoredModel)
    X, _ = vectors(200, len(model.labels), seed=7)
    for rows in (X, -3 * X, X.astype(np.float64)):
        rows = rows[:, : sum(model.widths)]
        plain, labels = model.predict_proba(rows), model.predict(rows)
        expected = load_again(model).predict_proba(rows)
        np.testing.assert_allclose(plain, expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(plain.sum(axis=1), 1)
        clear = np.abs(np.diff(np.sort(expected, axis=1)[:, -2:]))[:, 0] > 1e-5
        if model.operating_point is None:
            assert labels[clear].tolist() == np.array(model.labels)[expected[clear].argmax(axis=1)].tolist()


def load_again(model):
    """scikit-learn's head of the file, while `model` goes on predicting by its plain arrays."""
    return model.predictor.load()


@pytest.mark.parametrize(
    ("spec", "n_labels"), [*((spec, n) for spec in SPECS for n in (2, 3)), ("softmax", 20), ("svm", 20)]
)
def test_plain_arrays_give_the_probabilities_of_scikit_learn(spec, n_labels, kept):
    features = "deep" if n_labels == 3 else "deep+texture"
    assert_predicts_as_scikit_learn(kept(train_model(table_of(n_labels), spec, features, jobs=1)))


def by_the_steps(plain, X, n_labels):
    """The steps in the docstring of `PlainHead`, one number at a time where they are said so."""
    blocks, start = [], 0
    for width, method in zip(plain.scaling.widths, plain.scaling.methods, strict=True):
        block = X[:, start : start + width]
        blocks.append(np.sign(block) * np.abs(block) ** 0.5 if method == "root" else block)
        start += width
    X = (np.concatenate(blocks, axis=1) - plain.scaling.mean) / plain.scaling.scale
    scores = plain.scores
    if hasattr(scores, "weights"):
        for layer, (weights, biases) in enumerate(zip(scores.weights, scores.biases, strict=True)):
            X = (np.maximum(X, 0) if layer else X) @ weights + biases
    elif hasattr(scores, "vectors"):
        distances = ((X[:, None] - scores.vectors) ** 2).sum(axis=2)
        starts = np.cumsum([0, *scores.counts])
        X, kernel, columns = X[:, :0], np.exp(-scores.gamma * distances), []
        for i in range(n_labels):
            for j in range(i + 1, n_labels):
                one, other = slice(starts[i], starts[i + 1]), slice(starts[j], starts[j + 1])
                alphas = scores.coefficients[j - 1, one], scores.coefficients[i, other]
                columns.append(kernel[:, one] @ alphas[0] + kernel[:, other] @ alphas[1])
        X = np.column_stack(columns) + scores.intercepts
    else:
        X = X @ scores.coefficients.T + scores.intercepts
    X = plain.slope * X
    if n_labels == 2:
        second = 1 / (1 + np.exp(-X[:, 0]))
        return np.column_stack([1 - second, second])
    if plain.pairwise:
        pairs = [(i, j) for i in range(n_labels) for j in range(i + 1, n_labels)]
        weights = np.zeros((len(X), n_labels))
        for label in range(n_labels):
            own = [X[:, k] * (1 if i == label else -1) for k, (i, j) in enumerate(pairs) if label in (i, j)]
            weights[:, label] = 1 / (1 + sum(np.exp(-score) for score in own))
    else:
        weights = np.exp(X)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_labels", [2, 5])
@pytest.mark.parametrize("spec", ["softmax", "linear-svm", "svm", "mlp:max_iter=20", "lda"])
def test_whoever_writes_down_the_documented_steps_gets_the_probabilities(spec, n_labels, kept):
    fresh = train_model(table_of(n_labels), spec, "deep+texture", jobs=1)
    X = vectors(50, n_labels, seed=7)[0].astype(np.float64)
    expected = fresh.head.predict_proba(X)
    for model in (fresh, kept(fresh)):
        assert model.plain.scaling.methods == ["root", "standard"]
        np.testing.assert_allclose(by_the_steps(model.plain, X, n_labels), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("head", ["softmax", "svm"])
def test_so_do_those_of_tuned_heads_with_an_operating_point_and_relabelled_groups(head, kept):
    table = table_of(4, 96)
    groups = {"label 00": "one", "label 01": "one", "label 02": "two", "label 03": "two"}
    options = {"positive": "two", "threshold": "recall=0.9", "tune": "log-loss", "relabel": groups}
    model = kept(train_model(table, head, "deep+texture", jobs=1, **options))
    assert model.operating_point is not None
    assert_predicts_as_scikit_learn(model)
    X = vectors(50, 4, seed=3)[0]
    decided = model.predict(X)
    probable = load_again(model).predict_proba(X)[:, 1] >= model.operating_point.threshold
    assert (decided == np.where(probable, "two", "one")).all() and len(set(decided)) == 2


EXPRESSED = {
    "no scaling": LogisticRegression(),
    "blocks of its own": make_pipeline(BlockScaler([20, 25]), LogisticRegression()),
    "pipelines in each other": make_pipeline(make_pipeline(BlockScaler(), LogisticRegression())),
    "calibrated": Calibrated(LogisticRegression(class_weight="balanced")),
}


@pytest.mark.parametrize("name", EXPRESSED)
@pytest.mark.parametrize("n_labels", [2, 5])
def test_objects_are_expressed_as_well(name, n_labels, kept):
    model = train_model(table_of(n_labels), EXPRESSED[name], "deep+texture", jobs=1)
    assert_predicts_as_scikit_learn(kept(model))


OTHERS = {
    "knn": "knn",
    "naive-bayes": "naive-bayes",
    "another scaler": make_pipeline(StandardScaler(), LogisticRegression()),
    "a network's probabilities, cut off and calibrated": Calibrated(MLPClassifier(max_iter=20)),
    "a scaler before another": make_pipeline(BlockScaler(), BlockScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_heads_stand_in_skops_alone_and_older_programs_read_them(name, tmp_path):
    model = train_model(table_of(3), OTHERS[name], "deep", jobs=1)
    save_model(model, tmp_path / "m")
    about = json.loads(members_of(tmp_path / "m")["model.json"])
    assert about["protocol"] == 1 and "plain" not in about
    assert not isinstance(load_model(tmp_path / "m"), StoredModel)


class LogisticRegressionOfAnotherVersion(LogisticRegression):
    """Called as scikit-learn's, and computes something else."""

    def predict_proba(self, X):
        return super().predict_proba(X) ** 2


def test_a_head_that_computes_something_else_is_not_expressed():
    X, y = made_table().select("good"), made_table().label
    odd = LogisticRegressionOfAnotherVersion().fit(X, y)
    assert plain_head(odd) is None
    LogisticRegressionOfAnotherVersion.__module__ = "sklearn.linear_model"
    LogisticRegressionOfAnotherVersion.__name__ = "LogisticRegression"
    assert plain_head(odd) is None
    assert plain_head(LogisticRegression().fit(X, y)) is not None


def test_many_rows_are_predicted_in_parts_and_rows_that_are_no_numbers_refused(kept):
    model = kept(train_model(table_of(3), "mlp:max_iter=20", "deep+texture", jobs=1))
    X, _ = vectors(5000, 3, seed=5)
    whole = model.predict_proba(X)
    np.testing.assert_allclose(whole[4990:], model.predict_proba(X[4990:]), rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X[:9].tolist()), whole[:9], rtol=0, atol=1e-5)
    for wrong in (np.nan, np.inf):
        X[4999, 3] = wrong
        with pytest.raises(BottleheadError, match="no probabilities for these vectors"):
            model.predict_proba(X)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    for head in ("softmax", "svm", "mlp:max_iter=20", "naive-bayes"):
        model = train_model(made_table(), head, "good", jobs=1)
        save_model(model, folder / head.partition(":")[0])
    made_table().write(folder / "t.parquet")
    return folder


def test_predicting_imports_neither_scikit_learn_nor_skops(saved):
    code = f"""
import sys
from classify import load_model
from classify.model.card import model_card
for head in ("softmax", "svm", "mlp"):
    model = load_model({str(saved)!r} + "/" + head)
    model_card(model)
    assert model.predict_proba([[0, 0, 0, 0]]).shape == (1, 3)
    assert model.outliers.distances([[0, 0, 0, 0]]).shape == (1,)
    assert not {{"sklearn", "skops", "scipy"}} & set(sys.modules), head
model.head
assert "skops" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_imports_no_classifier_and_no_skops(saved):
    code = f"""
import sys
from classify.cli import main
assert main(["predict", {str(saved / "svm")!r}, {str(saved / "t.parquet")!r}, "--quiet"]) == 0
assert not {{"sklearn.svm", "sklearn.pipeline", "sklearn.neural_network", "skops"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def aged(path, head, saved):
    """A model of a scikit-learn to come, whose classifier this one does not have."""
    members = members_of(saved / head)
    inner = members_of(io.BytesIO(members["head.skops"]))
    schema = inner["schema.json"].decode()
    for ours in ("LogisticRegression", "GaussianNB"):
        schema = schema.replace(f'"{ours}"', f'"{ours}OfTomorrow"')
    write_members(path.with_suffix(".head"), inner | {"schema.json": schema.encode()})
    about = json.loads(members["model.json"])
    about["training"]["versions"] |= {"scikit-learn": "9.8.7", "skops": "6.5"}
    changed = {"model.json": json.dumps(about), "head.skops": path.with_suffix(".head").read_bytes()}
    write_members(path, members | changed)
    return path


def test_a_model_of_another_scikit_learn_predicts_by_its_arrays_and_says_so_once(saved, tmp_path):
    path, table = aged(tmp_path / "m", "softmax", saved), saved / "t.parquet"
    outcome, before = (run(f"classify predict {one} {table} --top 0") for one in (path, saved / "softmax"))
    assert outcome.status == 0 and outcome.out == before.out
    assert outcome.err.count("was trained with scikit-learn 9.8.7, and here is") == 1
    with pytest.raises(
        BottleheadError, match=r"was fitted by scikit-learn 9\.8\.7, and cannot be used with"
    ) as e:
        _ = load_model(path).head
    assert "install scikit-learn 9.8.7" in e.value.hint


def test_a_model_that_needs_another_version_names_it_and_no_unsafe_types(saved, tmp_path):
    error = run(f"classify predict {aged(tmp_path / 'm', 'naive-bayes', saved)} {saved}/t.parquet").error
    assert "was fitted by scikit-learn 9.8.7, and cannot be used with" in error
    assert "not known to be safe" not in error


def test_the_head_is_scikit_learns_where_it_is_asked_for_and_predicts_from_then_on(saved):
    model = load_model(saved / "softmax")
    X = made_table().select("good")
    before = model.predict_proba(X)
    np.testing.assert_array_equal(model.head.predict_proba(X), model.predict_proba(X))
    np.testing.assert_allclose(before, model.predict_proba(X), rtol=0, atol=1e-6)
    model.head = make_head("dummy").fit(X, made_table().label)
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3)


def test_the_arrays_stand_in_the_file_once(saved):
    """model.json only names them: it grows by less than a kilobyte."""
    about = json.loads(members_of(saved / "svm")["model.json"])
    assert len(json.dumps(about["plain"])) < 1000
    named = {about["plain"]["scores"][key] for key in ("vectors", "coefficients", "intercepts")}
    numbers = 3 * 5 + 2 * 4  # of softmax: three labels, four numbers and an intercept; their means and scales
    assert (
        f"the head is {4 * numbers / 1000:.1f} kB of plain arrays"
        in run(f"classify show {saved}/softmax").out
    )
    assert "plain arrays" not in run(f"classify show {saved}/naive-bayes").out
    assert named < set(members_of(io.BytesIO(members_of(saved / "svm")["head.skops"])))


WRONG = [
    ("softmax", ("scores", "coefficients"), "9999.npy"),
    ("softmax", ("scores", "coefficients"), "../model.json"),
    ("softmax", ("scores", "coefficients"), "schema.json"),
    ("softmax", ("scores", "coefficients"), 7),
    ("softmax", ("scores", "coefficients"), [[1.0]]),
    ("softmax", ("scores", "type"), "code"),
    ("softmax", ("slope",), float("inf")),
    ("softmax", ("slope",), "1"),
    ("softmax", ("scaling", "widths"), [3]),
    ("softmax", ("scaling", "widths"), [-1, 5]),
    ("softmax", ("scaling", "widths"), []),
    ("softmax", ("scaling", "methods"), ["cube"]),
    ("softmax", ("scaling", "methods"), ["root", "root"]),
    ("mlp", ("scores", "activation"), "exec"),
    ("mlp", ("scores", "weights"), []),
    ("svm", ("scores", "kernel"), "precomputed"),
    ("svm", ("scores", "gamma"), float("nan")),
    ("svm", ("scores", "counts"), [-1, 20, 20]),
    ("svm", ("scores", "counts"), [1, 1, 1]),
    ("svm", ("scores", "counts"), [10**9, 0, 0]),
]  # fmt: skip


def damaged(path, head, saved, change):
    members = members_of(saved / head)
    about = json.loads(members["model.json"])
    change(about["plain"])
    write_members(path, members | {"model.json": json.dumps(about)})
    return path


@pytest.mark.parametrize(("head", "place", "value"), WRONG)
def test_plain_arrays_that_do_not_fit_are_refused(head, place, value, saved, tmp_path):
    def change(plain):
        for key in place[:-1]:
            plain = plain[key]
        assert place[-1] in plain and plain[place[-1]] != value
        plain[place[-1]] = value

    with pytest.raises(BottleheadError, match="cannot be read as a model") as caught:
        load_model(damaged(tmp_path / "m", head, saved, change))
    assert caught.value.hint


def test_arrays_named_twice_or_for_each_other_are_refused(saved, tmp_path):
    def twice(plain):
        plain["scores"]["weights"] *= 2
        plain["scores"]["biases"] *= 2

    def exchanged(plain):
        scores = plain["scores"]
        scores["coefficients"], scores["intercepts"] = scores["intercepts"], scores["coefficients"]

    for head, change, why in (("mlp", twice, "used already"), ("softmax", exchanged, "does not fit")):
        with pytest.raises(BottleheadError, match=why):
            load_model(damaged(tmp_path / "m", head, saved, change))


@pytest.mark.parametrize(
    "array", [np.full((3, 4), np.nan), np.ones((3, 4), dtype=np.int64), np.full((3, 4), "a"), np.ones((2, 4))]
)
def test_arrays_of_other_numbers_are_refused(array, saved, tmp_path):
    members = members_of(saved / "softmax")
    name = json.loads(members["model.json"])["plain"]["scores"]["coefficients"]
    stream = io.BytesIO()
    np.save(stream, array)
    write_members(
        tmp_path / "head", members_of(io.BytesIO(members["head.skops"])) | {name: stream.getvalue()}
    )
    write_members(tmp_path / "m", members | {"head.skops": (tmp_path / "head").read_bytes()})
    with pytest.raises(BottleheadError, match=r"cannot be read as a model: .*(finite|does not fit)"):
        load_model(tmp_path / "m")


def test_plain_arrays_of_a_later_version_are_left_alone(saved, tmp_path):
    def later(plain):
        plain["version"] = 2
        plain["scores"] = "something else"

    model = load_model(damaged(tmp_path / "m", "softmax", saved, later))
    assert not isinstance(model, StoredModel)
    X = made_table().select("good")
    expected = load_model(saved / "softmax").head.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_the_same_table_head_and_seed_give_the_same_bytes(tmp_path):
    """Here and in another process, with as many jobs as one likes."""
    code = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from builders import made_table
from classify import save_model, train_model
for head in ("softmax", "svm", "mlp:max_iter=20", "random-forest:n_estimators=5", "gradient-boosting:max_iter=3"):
    save_model(train_model(made_table(), head, "good", jobs=jobs), folder / f"{head.partition(':')[0]}-{jobs}")
"""
    exec(code, {"folder": tmp_path, "jobs": 1})
    there = f"from pathlib import Path; folder, jobs = Path({str(tmp_path)!r}), 2; exec({code!r})"
    environment = os.environ | {"PYTHONHASHSEED": "2"}
    subprocess.run([sys.executable, "-c", there], check=True, env=environment)
    for path in tmp_path.glob("*-1"):
        assert path.read_bytes() == path.with_name(path.name.replace("-1", "-2")).read_bytes(), path.name
        with zipfile.ZipFile(path) as archive:
            assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(list(tmp_path.iterdir())) == 10


def test_the_date_stands_in_the_file_where_the_environment_gives_it(tmp_path, monkeypatch):
    model = train_model(made_table(), "softmax", "good", jobs=1)
    for given, date in ((None, None), ("86400", "1970-01-02T00:00:00+00:00")):
        if given:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
        save_model(model, tmp_path / "m")
        training = load_model(tmp_path / "m").training
        assert training.get("date") == date and "seconds" not in training
        assert ("  date " in run(f"classify show {tmp_path}/m").out) == bool(date)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(BottleheadError, match="SOURCE_DATE_EPOCH is 'today'"):
        save_model(model, tmp_path / "n")
    assert not (tmp_path / "n").exists()
