"""The skin study's head is what it says, and the script tells two textures apart."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_network_is_the_one_of_the_study():
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 22)) * 50, np.repeat(["a", "b"], 20)
    X[20:, 0] += 60
    head = load("skin").study_head(500).fit(X, y)
    network = head[-1]
    assert [w.shape for w in network.coefs_] == [(22, 13), (13, 1)]
    assert (network.activation, network.out_activation_, network.n_iter_) == ("identity", "logistic", 500)
    scaled = head[0].transform(X)
    assert scaled.min() == 0 and scaled.max() == pytest.approx(1)
    # Linear in front of a sigmoid: the two layers are one.
    weights = network.coefs_[0] @ network.coefs_[1]
    logit = scaled @ weights + network.intercepts_[0] @ network.coefs_[1] + network.intercepts_[1]
    flat = LogisticRegression().fit(scaled, y)
    flat.coef_, flat.intercept_ = weights.T, logit[0] - scaled[0] @ weights
    np.testing.assert_allclose(flat.predict_proba(X * 0 + scaled), head.predict_proba(X), rtol=1e-6)


def test_the_grid_is_the_studys():
    full = load("skin").FULL
    assert len(full) == 100 and (full[0], full[1], full[-1]) == (0.01, 0.02, 1.0)


@pytest.fixture
def textures(tmp_path):
    rng = np.random.default_rng(0)
    for label, coarse in (("fine", 1), ("coarse", 8)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(9):
            noise = rng.integers(0, 256, (128 // coarse, 128 // coarse), dtype=np.uint8)
            photo = Image.fromarray(noise).resize((128, 128), Image.Resampling.NEAREST)
            photo.save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def test_the_script_prints_the_comparison(textures, tmp_path, capsys, monkeypatch):
    skin = load("skin")
    monkeypatch.setattr(skin, "COARSE", (0.1, 0.9))
    skin.main([str(textures), "--labels", "fine", "coarse", "--epochs", "60", "--store", str(tmp_path / "s")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "18 photos, fine or coarse; accuracy over 3 folds"
    assert "13 linear hidden units" in lines[1] and lines[1].endswith("100.0 %")
    assert lines[-1].startswith("22 texture values, logistic regression")


def test_an_extractor_of_ones_own_is_compared_beside_glcm(textures, tmp_path, capsys, monkeypatch):
    own = load("own_extractor")
    monkeypatch.setattr("sys.argv", ["own_extractor.py", str(textures), "--store", str(tmp_path / "s")])
    own.main()
    assert "edges (3), glcm (5)" in capsys.readouterr().out
