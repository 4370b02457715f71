import json

import numpy as np
import pytest

from classify.folds import make_folds
from classify.heads.fitting import fit_head
from classify.heads.registry import make_head
from classify.heads.tuning import TunedHead, tune_head
from evaluate.cli import main
from evaluate.scores.crossval import cross_validate
from evaluate.studies.compare import compare
from featurize.errors import UsageError
from featurize.table import FeatureTable


@pytest.fixture
def twins():
    """Two labels that overlap, in groups of two photos."""
    rng = np.random.default_rng(5)
    y = np.repeat(["fern", "moss"], 40)
    X = (
        rng.normal(size=(80, 6))
        + 0.6 * (y == "moss")[:, None]
        + np.repeat(rng.normal(size=(40, 6)), 2, axis=0)
    )
    return FeatureTable.from_arrays({"x": X}, label=y, group=[f"g{i // 2}" for i in range(80)])


def test_the_search_sees_the_training_side_only(twins):
    X, y, groups = twins.select("x"), twins.label.astype(str), twins.groups
    folds = make_folds(y, groups, n_folds=4, seed=2)
    found = cross_validate(twins, ["x"], [TunedHead("softmax")], folds, seed=2, jobs=1)
    for number, fold in enumerate(folds):
        rows = fold.training
        spec = tune_head("softmax", X[rows], y[rows], groups[rows], widths=[6], seed=2).head
        assert found.times["tuned"][number] == spec
        fitted = fit_head(make_head(spec, widths=[6], seed=2), X[rows], y[rows], groups[rows])
        mine = (found.rows["fold"] == number).to_numpy()
        np.testing.assert_allclose(
            found.probabilities[mine], fitted.predict_proba(X[fold.testing]), rtol=1e-6
        )


def test_compare_tunes_what_can_be_tuned(twins):
    found = compare(twins, ["x"], ["softmax", "dummy"], cv=4, tune="accuracy", jobs=1)
    rows = {row["head"]: row for row in found.results}
    assert rows.keys() == {"softmax tuned", "dummy"}
    assert rows["dummy"]["tuned"] is None
    assert len(rows["softmax tuned"]["tuned"]) == 4
    assert all(spec.startswith("softmax:C=") for spec in rows["softmax tuned"]["tuned"])
    assert "softmax tuned on x chose in 4 folds: softmax:C=" in str(found)
    assert rows["softmax tuned"]["model_bytes"] > 0
    with pytest.raises(UsageError, match="unknown tuning score"):
        compare(twins, ["x"], ["softmax"], tune="f1")


def test_steps_are_compared_beside_what_is_tuned(twins):
    found = compare(twins, ["x"], ["softmax:steps=10", "mlp:steps=10"], cv=2, tune="log-loss", jobs=1)
    rows = {row["head"]: row for row in found.results}
    assert (
        rows["softmax:steps=10"]["tuned"] is None
    )  # it has no C to search; the mlp has its alpha and its layer
    assert all("alpha=" in spec for spec in rows["mlp:steps=10 tuned"]["tuned"])


def test_the_command(twins, tmp_path):
    twins.write(tmp_path / "t.parquet")
    argv = [
        "compare",
        str(tmp_path / "t.parquet"),
        "--heads",
        "softmax",
        "naive-bayes",
        "--cv",
        "3",
        "--jobs",
        "1",
    ]
    argv += ["--tune", "--balanced", "--json", str(tmp_path / "r.json"), "--report", str(tmp_path / "r.html")]
    assert main(argv) == 0
    results = json.loads((tmp_path / "r.json").read_text())["results"]
    for row in results:
        assert "class_weight=balanced" in row["head"]
        assert all("class_weight=balanced" in spec for spec in row["tuned"])
