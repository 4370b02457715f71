"""What the commands import, and that nothing is lost by what they do not."""

import subprocess
import sys

import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from classify.model.model import Model
from classify.model.modelfile import save_model
from classify.training.train import train


def run(code: str, *arguments: str) -> str:
    """What a fresh interpreter prints, after the light imports."""
    start = "import sys\nfrom classify.startup import import_lightly\nimport_lightly()\n"
    command = [sys.executable, "-c", start + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_pandas_and_most_of_scikit_learn_are_left_out_and_can_still_be_had():
    out = run(
        "import classify.training.train, classify.prediction.predict, classify.model.modelfile\n"
        "print({'pandas', 'sklearn.mixture', 'sklearn.impute', 'pytest'} & set(sys.modules))\n"
        "import pandas, sklearn.utils\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "scaler = StandardScaler().set_output(transform='pandas')\n"
        "print(type(scaler.fit_transform(pandas.DataFrame({'a': [1.0, 3.0]}))).__name__)\n"
        "print(len(sklearn.utils.all_estimators()) > 100)\n"
    )
    assert out.splitlines() == ["set()", "DataFrame", "True"]


def test_an_estimator_that_no_registered_head_has_is_known_for_safe_all_the_same(separable, tmp_path):
    head = make_pipeline(PCA(2), LinearDiscriminantAnalysis())
    head.fit(separable.select("wide"), separable.label.astype(str))
    save_model(Model(head, "wide", [40], training={"head": "mine"}), tmp_path / "m.model")
    out = run(
        "from classify.model.modelfile import load_model\nprint(load_model(sys.argv[1]).labels)",
        str(tmp_path / "m.model"),
    )
    assert out == "['ant', 'bee', 'cat']\n"


def test_what_a_program_has_imported_is_left_alone():
    code = (
        "import sys, skops.io._trusted_types as types\n"
        "before = list(types.SKLEARN_ESTIMATOR_TYPE_NAMES), sys.modules.get('pandas')\n"
        "from classify.startup import import_lightly\nimport_lightly()\n"
        "print(len(before[0]) > 100, before[0] == types.SKLEARN_ESTIMATOR_TYPE_NAMES,"
        " sys.modules.get('pandas') is before[1])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True"] * 3


@pytest.mark.parametrize("name", ["svm", "random-forest", "mlp"])
def test_registered_heads_need_no_list_of_all_estimators(name, separable, tmp_path):
    save_model(train(separable, name, "wide"), tmp_path / "m.model")
    out = run(
        "from classify.model.modelfile import load_model\nload_model(sys.argv[1])\n"
        "print('sklearn.mixture' in sys.modules, 'pandas' in sys.modules)",
        str(tmp_path / "m.model"),
    )
    assert out == "False False\n"
