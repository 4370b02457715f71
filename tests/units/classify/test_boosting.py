"""XGBoost and LightGBM as heads: labels of any kind, parameters of theirs, quiet, kept and read again.

CatBoost, whose wheel takes 93 MB, is tried by hand.
"""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import made_table, run
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from classify import Calibrated, load_model, make_head, save_model, train_model
from classify.heads.fitting import EncodedLabels, fit_head
from featurize import BottleheadError

XGBOOST, LIGHTGBM = "xgboost.XGBClassifier:n_estimators=6", "lightgbm.LGBMClassifier:n_estimators=6"
TRUST = {
    XGBOOST: ["xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"],
    LIGHTGBM: ["collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"],
}
each_head = pytest.mark.parametrize("head", [XGBOOST, LIGHTGBM])


def its_own(head, **parameters):
    """The library's own classifier, as it is without us."""
    return XGBClassifier(**parameters) if head == XGBOOST else LGBMClassifier(verbosity=-1, **parameters)


@each_head
@pytest.mark.parametrize("labels", [("ant", "bee"), ("ant", "bee", "cat")])
def test_a_head_by_path_or_object_says_what_the_librarys_own_says_of_numbers(head, labels, tmp_path):
    table = made_table(60, labels, separation=1.0)
    X = table.select("good")
    codes = np.unique(table.label.astype(str), return_inverse=True)[1]
    expected = its_own(head, n_estimators=6, random_state=0).fit(X, codes).predict_proba(X)
    for given in (head, its_own(head, n_estimators=6, random_state=0)):
        model = train_model(table, given, "good", trust=TRUST[head], jobs=1)
        save_model(model, tmp_path / "m")
        again = load_model(tmp_path / "m", trust=TRUST[head])
        assert again.labels == list(labels)
        np.testing.assert_allclose(again.predict_proba(X), expected, rtol=0, atol=1e-6)
        assert again.predict(X).tolist() == np.array(labels)[expected.argmax(axis=1)].tolist()
        assert again.training["versions"].keys() >= {head.partition(".")[0]}


def test_labels_are_numbered_inside_pipelines_and_calibration_and_weights_reach_the_classifier(separable):
    X, y = separable.select("wide"), separable.label
    for head in (
        XGBClassifier(n_estimators=3),
        make_pipeline(StandardScaler(), XGBClassifier(n_estimators=3)),
        Calibrated(XGBClassifier(n_estimators=3)),
        f"{XGBOOST},class_weight=balanced",
    ):
        fitted = fit_head(make_head(head), X, y, separable.groups, separable.variant)
        assert (fitted.predict(X) == y).all()
    groups = np.unique(y.astype(str), return_inverse=True)[1]
    with pytest.raises(BottleheadError, match="two groups"):
        fit_head(make_head(Calibrated(XGBClassifier(n_estimators=3))), X, y, groups)
    encoded = make_head(LogisticRegression())
    assert not isinstance(encoded, EncodedLabels)


def test_encoded_labels_are_those_given_and_rows_weigh_as_in_the_classifier():
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.array(["z", "b", "m", "b"] * 10, dtype=object)
    weight = np.arange(40) % 3 + 0.5
    head = EncodedLabels(GaussianNB()).fit(X, y, sample_weight=weight)
    plain = GaussianNB().fit(X, y.astype(str), sample_weight=weight)
    assert head.classes_.tolist() == ["b", "m", "z"] and head.n_features_in_ == 3
    np.testing.assert_array_equal(head.predict_proba(X), plain.predict_proba(X))
    assert head.predict(X).tolist() == plain.predict(X).tolist()
    assert set(head.estimator_.classes_) == {0, 1, 2}


@each_head
def test_the_commands_are_quiet_leave_nothing_behind_and_one_hint_names_every_type(
    head, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    made_table(60, separation=1.5).write("t.parquet")
    train = f"classify train t.parquet -o m.model --features good --head {head} --balanced"
    refused = run(train)
    assert refused.error.endswith(f"not known to be safe: {', '.join(TRUST[head])}")
    (hinted,) = re.findall("add ((?:--trust [^ ;]+ ?)+);", refused.hint)
    done = run(f"{train} {hinted}")
    assert done.status == 0 and done.out == "" and "warn" not in done.err.lower(), done.err
    first = Path("m.model").read_bytes()
    assert run(f"{train} --trust {','.join(TRUST[head])}").status == 0
    assert Path("m.model").read_bytes() == first
    assert hinted in run("classify predict m.model t.parquet").hint
    lines = run(f"classify predict m.model t.parquet {hinted}").out.splitlines()
    assert len(lines) == 60 and lines[0].startswith("ant/0.jpg: ")
    compared = run(f"evaluate compare t.parquet --features good --heads {head} softmax --cv 2 -j 1")
    assert compared.status == 0 and f"{head} " in compared.out
    assert run(f"evaluate test m.model t.parquet {hinted}").status == 0
    assert sorted(os.listdir()) == ["m.model", "t.parquet"]
    assert capfd.readouterr() == ("", ""), "written past Python, as libraries in C do"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("xgboost.XGBClassifier:n_estimator=5", "no parameter n_estimator; perhaps n_estimators is meant"),
        ("lightgbm.LGBMClassifier:num_leafs=5", "no parameter num_leafs; perhaps num_leaf"),
        ("lightgbm.LGBMClassifier:max_bin=15,verbose=-1,num_leaf=5", None),
        ("xgboost.XGBClassifier:max_depth=2,n_jobs=2", None),
    ],
)
def test_parameters_are_those_that_the_library_has(spec, said):
    if said:
        with pytest.raises(BottleheadError, match=said):
            make_head(spec)
        return
    made = make_head(spec, seed=3)
    params = (made.estimator if isinstance(made, EncodedLabels) else made).get_params()
    assert params["random_state"] == 3
    for item in spec.partition(":")[2].split(","):
        key, value = item.split("=")
        assert params[key] == int(value)
    assert not ("verbose" in params and "verbosity" in params)


def test_a_library_that_is_not_installed_is_named_with_how_to_get_it(tmp_path, monkeypatch):
    table = made_table()
    save_model(train_model(table, XGBOOST, "good", trust=TRUST[XGBOOST], jobs=1), tmp_path / "m")
    for name in [one for one in sys.modules if one.partition(".")[0] == "xgboost"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("xgboost", "catboost"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            BottleheadError, match=f"needs the package {name}, which is not installed"
        ) as refused:
            make_head(f"{name}.Classifier")
        assert refused.value.hint == f"pip install {name}"
    with pytest.raises(
        BottleheadError, match="m needs the package xgboost, which is not installed"
    ) as refused:
        load_model(tmp_path / "m", trust=TRUST[XGBOOST])
    assert re.fullmatch(r"pip install xgboost==3\.\d+\.\d+", refused.value.hint)
