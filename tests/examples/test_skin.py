"""The skin study's head is what it says, and the script tells two textures apart."""

import re

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from featurize import BottleheadError


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_network_is_the_one_of_the_study(example):
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 22)) * 50, np.repeat(["a", "b"], 20)
    X[20:, 0] += 60
    head = example("skin").study_head(500).fit(X, y)
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


def test_the_grid_is_the_studys(example):
    full = example("skin").FULL
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


def test_the_script_prints_the_comparison(example, textures, tmp_path, capsys, monkeypatch):
    skin = example("skin")
    arguments = ["--folds", "3", "--jobs", "1", "--store", str(tmp_path / "s")]
    monkeypatch.setattr(skin, "COARSE", (0.1, 0.9))
    skin.main([str(textures), "--labels", "fine", "coarse", "--epochs", "60", *arguments])
    printed = capsys.readouterr().out
    assert printed.startswith("18 photos, fine or coarse; 3 folds, the same for all rows\n")
    rows = re.findall(
        r"^22 texture values, (.*?) +([\d.]+)%  [\d.]+% to 100.0%  ([\d.]+)$", printed, re.MULTILINE
    )
    assert rows == [("13 linear hidden units", "100.0", "1.000"), ("logistic regression", "100.0", "1.000")]
    assert re.search(r"the search chooses learning rate 0\.[19]0 and momentum 0\.[19]0\.$", printed.rstrip())


def test_a_class_that_is_not_there_is_one_error(example, textures, tmp_path):
    arguments = [str(textures), "--labels", "fine", "melanoma", "--store", str(tmp_path / "s")]
    with pytest.raises(BottleheadError, match="has no folder melanoma"):
        example("skin").main(arguments)


def test_an_extractor_of_ones_own_is_compared_beside_glcm(example, textures, tmp_path, capsys, monkeypatch):
    own = example("own_extractor")
    monkeypatch.setattr("sys.argv", ["own_extractor.py", str(textures), "--store", str(tmp_path / "s")])
    own.main()
    assert "edges (3), glcm (5)" in capsys.readouterr().out
