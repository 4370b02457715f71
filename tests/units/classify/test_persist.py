"""Models come back as they went, whole, small, and of every protocol."""

import dataclasses
import importlib
import re
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import skops.io
from builders import quick_heads
from sklearn.naive_bayes import GaussianNB

from classify.heads.fitting import EncodedLabels
from classify.heads.steps import SGDHead
from classify.heads.tuning import TunedHead
from classify.model.modelfile import load_model, save_model
from classify.model.outliers import MOST_BYTES
from classify.model.skops_head import ADDRESSES, ALLOWED, ALLOWED_FOR_OLDER_SKOPS, DEFINITIONS, dump_head
from classify.training.train import train
from featurize.errors import ModelError
from featurize.table import FeatureTable


def test_the_allowed_types_are_all_needed(described):
    needed = set()
    solvers = ["mlp:solver=sgd,max_iter=5", "mlp:solver=lbfgs,max_iter=5"]
    others = "svm:kernel=linear", "naive-bayes:class_weight=balanced", EncodedLabels(GaussianNB())
    for head in (*quick_heads(), *solvers, *others):
        needed |= set(skops.io.get_untrusted_types(data=dump_head(train(described, head, "wide").head)))
    assert needed - ALLOWED_FOR_OLDER_SKOPS == ALLOWED


def test_models_of_every_protocol_can_still_be_read():
    """The file was written by the first version that wrote models, and is never written again."""
    model = load_model(Path(__file__).parent / "protocols" / "1.model")
    assert (model.labels, model.features, model.widths) == (["bee", "cat", "insect"], "x", [2])
    assert model.relabel == {"ant": "insect", "bee": "bee", "cat": "cat"}
    assert model.seen([f"{8:064x}", f"{9:064x}"]).tolist() == [True, False]
    proba = model.predict_proba(np.array([[0, 1], [5, 4], [0, 9]], dtype=np.float32))
    np.testing.assert_allclose(
        proba, [[0.0785, 0.0762, 0.8454], [0.8294, 0.0847, 0.0859], [0.0859, 0.8293, 0.0848]], atol=1e-4
    )
    far = model.outliers.distances(np.array([[0, 1], [40, 40]]))
    np.testing.assert_allclose(far, [0.2923, 14.0522], atol=1e-4)
    assert (model.outliers.photos, (far > model.outliers.threshold).tolist()) == (30, [False, True])


def test_a_model_of_protocol_2_predicts_by_its_plain_arrays_and_by_its_head():
    """An svm; the file was written by the first version that wrote plain arrays, and is never written again."""
    model = load_model(Path(__file__).parent / "protocols" / "2.model")
    X = 2 * np.eye(3, 4, dtype=np.float32)
    expected = [[0.9845, 0.0048, 0.0107], [0.0028, 0.9956, 0.0016], [0.0015, 0.0088, 0.9897]]
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-4)
    np.testing.assert_allclose(model.head.predict_proba(X), expected, atol=1e-4)


def test_models_stay_small_at_a_hundred_thousand_photos(tmp_path):
    """What grows with the photos is bounded: the hashes take 8 bytes each, the vectors 8 MiB at most."""
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(size=(30, 2048))).astype(np.float32)
    table = FeatureTable.from_arrays({"x": X}, label=np.repeat(["a", "b", "c"], 10))
    full = np.tile(X, (70, 1))[: MOST_BYTES // (2 * 2048)]
    for head in ("softmax", "linear-svm", "mlp:max_iter=2"):
        model = train(table, head)
        outliers = dataclasses.replace(model.outliers, vectors=full.astype(np.float16))
        hashes = np.sort(rng.integers(0, 2**63, 100_000).astype(np.uint64))
        save_model(dataclasses.replace(model, hashes=hashes, outliers=outliers), tmp_path / "m")
        assert (tmp_path / "m").stat().st_size <= 20e6, head


class Foreign:
    """Something that no head should keep."""


class Secretive(GaussianNB):
    """Keeps something foreign once it is trained, and reports on how many rows that was."""

    n_rows: ClassVar[list[int]] = []

    def fit(self, X, y):
        self.n_rows.append(len(X))
        self.secret_ = Foreign()
        return super().fit(X, y)


def test_a_head_that_could_not_be_loaded_is_refused_before_it_is_trained(separable):
    """On a few rows, since a class may keep foreign objects once it is fitted; all types are named in one go."""
    Secretive.n_rows.clear()
    module = Secretive.__module__
    with pytest.raises(
        ModelError, match=f"not known to be safe: {module}.Foreign, {module}.Secretive"
    ) as refused:
        train(separable, Secretive(), "wide")
    assert f"add --trust {module}.Foreign,{module}.Secretive;" in refused.value.hint
    with pytest.raises(ModelError, match=f"safe: {module}.Foreign "):
        train(separable, Secretive(), "wide", trust=[f"{module}.Secretive"])
    assert 0 < max(Secretive.n_rows) <= 18


def test_each_name_in_files_has_a_class_today_and_no_two_share_one():
    for today in ADDRESSES.values():
        module, _, name = today.rpartition(".")
        assert getattr(importlib.import_module(module), name).__module__ == module
    assert len(set(ADDRESSES.values())) == len(ADDRESSES)
    assert DEFINITIONS.keys() <= ADDRESSES.keys()


@pytest.mark.parametrize(
    ("head", "needed"),
    [
        (TunedHead("softmax"), ["classify.tuned.TunedHead", "classify.tuning.Tuning"]),
        (SGDHead(steps=5), ["classify.stepped.Stepped"]),
    ],
    ids=["tuned", "in steps"],
)
def test_heads_that_need_trust_are_called_as_ever_in_files(head, needed, separable, tmp_path):
    with pytest.raises(ModelError, match=f"not known to be safe: {needed[0]}"):
        train(separable, head, "wide")
    model = train(separable, head, "wide", trust=[ADDRESSES[name] for name in needed])  # of today, too
    save_model(model, tmp_path / "m")
    with pytest.raises(ModelError, match=f"--trust {','.join(needed)};"):
        load_model(tmp_path / "m")
    again = load_model(tmp_path / "m", trust=needed)
    assert type(again.head) is type(head)
    X = separable.select("wide")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with zipfile.ZipFile(tmp_path / "m") as archive, zipfile.ZipFile(archive.open("head.skops")) as inner:
        modules = set(re.findall(r'"__module__": "(classify[\w.]*)"', inner.read("schema.json").decode()))
    assert {name.rpartition(".")[0] for name in needed} <= modules
    assert not any(module.startswith("classify.heads") for module in modules)
