import numpy as np
import pytest
from sklearn.linear_model import Perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from classify.heads.fitting import fit_head, head_name
from classify.heads.registry import HEADS, head_names, make_head


@pytest.mark.parametrize("name", head_names())
def test_every_registered_head_can_be_made_from_its_defaults(name):
    spec = ",".join(f"{key}={value!r}" for key, value in HEADS[name].defaults.items())
    assert repr(make_head(f"{name}:{spec}")) == repr(make_head(name))


def test_names():
    assert head_name("svm:C=1") == "svm:C=1"
    assert head_name(make_head(Perceptron())) == "Perceptron"
    assert head_name(make_pipeline(StandardScaler(), SVC())) == "SVC"


def test_gradient_boosting_sets_no_rows_aside_however_many_there_are():
    """A head that divides rows by chance would have photos of one group on both sides."""
    X = np.random.default_rng(0).normal(size=(10_200, 2)).astype(np.float32)
    y = np.where(X[:, 0] > 0, "fern", "moss")
    head = make_head("gradient-boosting:max_iter=3")
    fitted = fit_head(head, X, y)[-1]
    assert fitted.n_iter_ == 3 and len(fitted.validation_score_) == 0
