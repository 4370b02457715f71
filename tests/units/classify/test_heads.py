"""Heads by name: their specs, their grids, and the trained layer of a graph as a head."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from classify.heads.fitting import head_name
from classify.heads.registry import HEADS, head_names, make_head
from classify.heads.spec import HeadSpec
from classify.heads.tuning import GRIDS, candidate_params, has_grid
from classify.model.import_graph import _head

WHOLE, FLOATS = st.integers(), st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(
    WHOLE, st.booleans(), st.none(), FLOATS, st.tuples(WHOLE, WHOLE), st.lists(WHOLE, max_size=3)
)


@given(st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), VALUES, max_size=4))
def test_what_is_written_is_read_and_what_is_set_is_written(params):
    spec = "svm:" + ",".join(f"{key}={value!r}" for key, value in params.items())
    assert (HeadSpec.parse(spec).name, HeadSpec.parse(spec).params) == ("svm", params)
    assert str(HeadSpec.parse(spec)) == spec.removesuffix(":")
    one_by_one = HeadSpec("svm")
    for key, value in params.items():
        one_by_one = one_by_one.with_params({key: value})
    assert one_by_one == HeadSpec("svm", params) == HeadSpec.parse(spec)


def test_words_stay_words_and_code_is_not_run(tmp_path):
    spec = HeadSpec.parse("mlp:solver=lbfgs, activation = tanh ")
    assert spec.params == {"solver": "lbfgs", "activation": "tanh"}
    assert str(spec) == "mlp:solver=lbfgs,activation=tanh"
    value = HeadSpec.parse(f"svm:C=open({str(tmp_path / 'mark')!r},'w')").params["C"]
    assert isinstance(value, str) and not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", head_names())
def test_every_registered_head_can_be_made_from_its_defaults(name):
    spec = ",".join(f"{key}={value!r}" for key, value in HEADS[name].defaults.items())
    assert repr(make_head(f"{name}:{spec}")) == repr(make_head(name))


def test_names():
    assert head_name("svm:C=1") == "svm:C=1"
    assert head_name(make_head(Perceptron())) == "Perceptron"
    assert head_name(make_pipeline(StandardScaler(), SVC())) == "SVC"
    assert head_name(make_head("mlp:class_weight=balanced")) == "MLPClassifier"


def test_every_registered_head_has_a_grid_of_valid_values_for_what_the_spec_does_not_set():
    assert list(candidate_params("mlp:alpha=3")) == [{"hidden_layer_sizes": (n,)} for n in (100, 300)]
    assert list(GRIDS) == list(HEADS)
    for name in filter(has_grid, GRIDS):
        for params in candidate_params(name):
            make_head(f"{name}:" + ",".join(f"{key}={value}" for key, value in params.items()))


@pytest.mark.parametrize("names", [["rose", "daisy"], ["c", "a", "b"]])
def test_labels_of_a_graph_are_sorted_with_their_weights_also_when_there_are_two(names):
    rng = np.random.default_rng(0)
    weights, biases = rng.normal(size=(4, len(names))), rng.normal(size=len(names))
    x = rng.normal(size=(5, 4))
    scores = np.exp(x @ weights + biases)
    expected = scores / scores.sum(axis=1, keepdims=True)
    head = _head(weights, biases, names)
    assert list(head.classes_) == sorted(names)
    np.testing.assert_allclose(head.predict_proba(x), expected[:, np.argsort(names)], rtol=1e-12)
    assert list(head.predict(x)) == [names[i] for i in expected.argmax(axis=1)]


# Three matrices of 5 MB at a time, as a classifier computes them for each label.
FOR_EACH_LABEL = """
import resource
import numpy as np
from classify import fit_head, make_head
head = make_head("naive-bayes")
rows, labels = np.repeat([[0.0], [1.0]], 4, axis=0), np.repeat(["ant", "bee"], 4)
{}
X = np.ones((512, 1280))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for label in range(100):
    distances = X - label
    squares = distances**2
    shares = squares / X
    del distances, squares, shares
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() // X.nbytes)
"""


@pytest.mark.parametrize("use", ["fit_head(head, rows, labels)", "head.fit(rows, labels).predict(rows)"])
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's way to keep memory")
def test_memory_that_a_head_frees_is_kept_for_the_next_label(use):
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FOR_EACH_LABEL.format(use)], capture_output=True, text=True, env=plain
    )
    assert int(done.stdout) <= 20, done.stderr  # matrices that the system had to clear, of 100 labels
