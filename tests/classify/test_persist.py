"""Models come back as they went, and hostile files are refused before anything of them is imported or run."""

import dataclasses
import io
import json
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from classify.heads import head_names
from classify.outliers import MOST_BYTES
from classify.persist import ALLOWED, DEFINITIONS, check_target, dump_head, load_model, save_model
from classify.train import train
from featurize.errors import ModelError, UsageError
from featurize.table import FeatureTable

QUICK = {"random-forest": "random-forest:n_estimators=5", "gradient-boosting": "gradient-boosting:max_iter=3"}
VARIETIES = [QUICK.get(name, name) for name in head_names()] + [
    "mlp:solver=sgd,max_iter=5000", "mlp:solver=lbfgs", "svm:kernel=linear", "naive-bayes:class_weight=balanced"
]  # fmt: skip


@pytest.mark.parametrize("head", VARIETIES)
def test_every_head_comes_back_and_predicts_the_same(head, described, tmp_path):
    model = train(described, head, "wide+noise", relabel={"ant": "insect", "bee": "insect", "cat": "cat"})
    save_model(model, tmp_path / "m")
    again = load_model(tmp_path / "m")
    X = described.select("wide+noise")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    for name in ("labels", "features", "widths", "described", "relabel", "training"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.seen(described.sha256).all()
    assert model.outliers is not None
    np.testing.assert_array_equal(again.outliers.distances(X), model.outliers.distances(X))


@pytest.mark.parametrize("head", VARIETIES)
def test_every_head_comes_back_from_few_numbers_too(head, separable, tmp_path):
    """Some classifiers keep other types when the vectors are short."""
    model = train(separable, head, "noise")
    save_model(model, tmp_path / "m")
    assert load_model(tmp_path / "m").labels == model.labels


def test_the_allowed_types_are_all_needed(described):
    needed = set()
    for head in VARIETIES:
        needed |= set(skops.io.get_untrusted_types(data=dump_head(train(described, head, "wide").head)))
    assert needed == ALLOWED


def test_a_model_is_written_whole_or_not_at_all(model, tmp_path):
    path = tmp_path / "m"
    save_model(model, path)
    before = path.read_bytes()
    model.head.secret = (one for one in "abc")
    with pytest.raises(ModelError, match="the head cannot be written"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_targets_that_cannot_be_are_refused_beforehand(tmp_path):
    (tmp_path / "table").touch()
    with pytest.raises(UsageError, match="there is no folder"):
        check_target(tmp_path / "no" / "m")
    with pytest.raises(UsageError, match="is a folder"):
        check_target(tmp_path)
    with pytest.raises(UsageError, match="would be overwritten"):
        check_target(tmp_path / "table", tmp_path / "other", tmp_path / "." / "table")
    check_target(tmp_path / "new", tmp_path / "table")


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


def test_a_class_that_now_computes_something_else_refuses_what_it_learnt_before(model, tmp_path, monkeypatch):
    save_model(model, tmp_path / "m")
    monkeypatch.setitem(DEFINITIONS, "classify.scaling.BlockScaler", 2)
    _refused(tmp_path / "m", "BlockScaler as of definition 1; here it is 2, which would compute something")


def test_vectors_that_do_not_fit_are_refused(tmp_path, saved):
    for vectors in (b"", saved["outliers.f2"][:-2], saved["outliers.f2"] + b"12", b"\xff" * 4800):
        _write(tmp_path / "m", (saved | {"outliers.f2": vectors}).items())
        _refused(tmp_path / "m", "cannot be read as a model")


def test_a_head_of_another_scikit_learn_is_used_with_a_word(tmp_path, saved, caplog):
    def age(schema):
        text = json.dumps(schema)
        version = __import__("sklearn").__version__
        assert f'\\"{version}\\"' in text
        schema.update(json.loads(text.replace(f'\\"{version}\\"', '\\"1.0.1\\"')))

    head = _with_schema(saved["head.skops"], age)
    _write(tmp_path / "m", [(name, head if name == "head.skops" else data) for name, data in saved.items()])
    with caplog.at_level("WARNING", "bottlehead"):
        load_model(tmp_path / "m")
    assert "was fitted by scikit-learn 1.0.1; here is" in caplog.text


def test_models_stay_small_at_a_hundred_thousand_photos_and_others_say_their_size(tmp_path, caplog):
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
    model.head.bulk_ = np.zeros(3_000_000)
    with caplog.at_level("INFO", "bottlehead"):
        save_model(model, tmp_path / "m")
    assert "will take" in caplog.text
    assert "MB are the head" in caplog.text


# -- hostile files ------------------------------------------------------------------------------


@pytest.fixture
def saved(model, tmp_path):
    save_model(model, tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def _refused(path, match, **options):
    with pytest.raises(ModelError, match=match) as caught:
        load_model(path, **options)
    assert caught.value.hint


class Mark:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_not_run(tmp_path, saved):
    mark = tmp_path / "mark"
    path = tmp_path / "m"
    path.write_bytes(pickle.dumps(Mark(mark)))
    _refused(path, "cannot be read as a model")
    _write(
        path,
        [
            ("model.json", saved["model.json"]),
            ("head.skops", pickle.dumps(Mark(mark))),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(path, "cannot be read as a model")
    assert not mark.exists()


def _with_schema(head, change):
    """The head with its skops schema changed."""
    with zipfile.ZipFile(io.BytesIO(head)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema)
    members["schema.json"] = json.dumps(schema).encode()
    stream = io.BytesIO()
    _write(stream, members.items())
    return stream.getvalue()


def test_a_foreign_type_is_refused_by_name_before_it_is_imported(tmp_path, saved, monkeypatch):
    (tmp_path / "evilmodule.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)

    def change(schema):
        schema["__class__"], schema["__module__"] = "Evil", "evilmodule"

    head = _with_schema(saved["head.skops"], change)
    _write(
        tmp_path / "m",
        [("model.json", saved["model.json"]), ("head.skops", head), ("outliers.f2", saved["outliers.f2"])],
    )
    _refused(tmp_path / "m", "not known to be safe: evilmodule.Evil")
    _refused(tmp_path / "m", "evilmodule.Evil", trust=["evilmodule.Other"])
    assert "evilmodule" not in sys.modules
    assert not (tmp_path / "mark").exists()


def test_a_function_is_a_foreign_type(tmp_path, saved, described):
    import os

    head = make_pipeline(FunctionTransformer(os.system), StandardScaler())
    _write(
        tmp_path / "m",
        [
            ("model.json", saved["model.json"]),
            ("head.skops", skops.io.dumps(head)),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(tmp_path / "m", r"not known to be safe: posix.system|nt.system")


@pytest.mark.parametrize(
    "names",
    [
        ["model.json", "head.skops"],
        ["model.json", "head.skops", "outliers.f2", "../../escape"],
        ["model.json", "head.skops", "../../escape"],
        ["model.json", "/head.skops", "outliers.f2"],
        ["model.json", "head.skops", "head.skops"],
        ["model.json", "head.skops", "head.skops", "outliers.f2"],
        [],
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_members_are_refused(tmp_path, saved, names):
    _write(tmp_path / "m", [(name, saved.get(name, b"x")) for name in names])
    _refused(tmp_path / "m", "is no model: it holds")


def test_a_zip_bomb_is_refused_unread(tmp_path, saved):
    bomb = [
        ("model.json", saved["model.json"]),
        ("head.skops", b"\0" * 10**7),
        ("outliers.f2", saved["outliers.f2"]),
    ]
    _write(tmp_path / "m", bomb, zipfile.ZIP_DEFLATED)
    _refused(tmp_path / "m", "would unpack to more than it holds")
    inner = io.BytesIO()
    _write(inner, [("schema.json", b" " * 10**7)], zipfile.ZIP_DEFLATED)
    _write(
        tmp_path / "m",
        [
            ("model.json", saved["model.json"]),
            ("head.skops", inner.getvalue()),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(tmp_path / "m", "would unpack to more than it holds")


def test_an_array_that_claims_to_be_huge_is_refused(tmp_path, saved):
    with zipfile.ZipFile(io.BytesIO(saved["head.skops"])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(one for one in members if one.endswith(".npy"))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    members[name] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    head = io.BytesIO()
    _write(head, members.items())
    _write(
        tmp_path / "m",
        [
            ("model.json", saved["model.json"]),
            ("head.skops", head.getvalue()),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(tmp_path / "m", "cannot be read as a model")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, saved, kept):
    data = (tmp_path / "good").read_bytes()
    (tmp_path / "m").write_bytes(data[: int(kept * len(data)) if kept < 1 else kept])
    _refused(tmp_path / "m", "cannot be read as a model")


def test_a_flipped_bit_is_refused(tmp_path, saved):
    data = bytearray((tmp_path / "good").read_bytes())
    data[data.index(b"head.skops") + 2000] ^= 1
    (tmp_path / "m").write_bytes(data)
    _refused(tmp_path / "m", "cannot be read as a model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": 2}, "has model protocol 2; this version of bottlehead reads protocol 1"),
        ({"protocol": None}, "protocol None"),
        ({"labels": ["ant", "bee"]}, "head does not fit"),
        ({"labels": [1, 2, 3]}, "lacks a usable labels"),
        ({"widths": [39]}, "head does not fit"),
        ({"widths": [-40, 80]}, "lacks a usable widths"),
        ({"features": ["wide"]}, "lacks a usable features"),
        ({"relabel": "map"}, "lacks a usable relabel"),
        ({"seen": "not base64!"}, "cannot be read as a model"),
        ({"seen": "AAAA"}, "cannot be read as a model"),
        ({"outliers": "none"}, "lacks a usable outliers"),
        ({"outliers": {}}, "cannot be read as a model: 'methods'"),
        ({"definitions": {}}, "by classify.scaling.BlockScaler as of definition None; here it is 1"),
        ({"definitions": None}, "lacks a usable definitions"),
    ],
    ids=str,
)
def test_other_descriptions_are_refused(tmp_path, saved, change, message):
    description = json.dumps(json.loads(saved["model.json"]) | change)
    _write(
        tmp_path / "m",
        [
            ("model.json", description),
            ("head.skops", saved["head.skops"]),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(tmp_path / "m", message)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 100_000, '{"protocol": 1}', "\xff"], ids=lambda t: t[:9]
)
def test_a_description_that_is_none_is_refused(tmp_path, saved, text):
    _write(
        tmp_path / "m",
        [
            ("model.json", text.encode("latin-1")),
            ("head.skops", saved["head.skops"]),
            ("outliers.f2", saved["outliers.f2"]),
        ],
    )
    _refused(tmp_path / "m", "cannot be read as a model|has model protocol None")


def test_a_missing_file_is_refused(tmp_path):
    _refused(tmp_path / "m", "there is no model")
    _refused(tmp_path, "there is no model")


# -- types of one's own -------------------------------------------------------------------------


class Nearest(ClassifierMixin, BaseEstimator):
    """A classifier that is nobody's but ours."""

    def fit(self, X, y):
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        self.centres_ = np.array([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def decision_function(self, X):
        return -np.linalg.norm(X[:, None] - self.centres_, axis=2)

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]


def test_a_head_that_could_not_be_loaded_is_refused_before_it_is_trained(separable, tmp_path, monkeypatch):
    name = f"{Nearest.__module__}.Nearest"
    monkeypatch.setattr(Nearest, "fit", lambda self, X, y: pytest.fail("it was trained"))
    with pytest.raises(ModelError, match=f"not known to be safe: {name} .*--trust {name}"):
        train(separable, Nearest(), "wide")


def test_a_trusted_head_is_trained_and_loads_with_trust_only(separable, tmp_path):
    name = f"{Nearest.__module__}.Nearest"
    sys.modules.setdefault(Nearest.__module__, sys.modules[__name__])
    model = train(separable, Nearest(), "wide", trust=[name])
    save_model(model, tmp_path / "m")
    _refused(tmp_path / "m", f"not known to be safe: {name}")
    again = load_model(tmp_path / "m", trust=[name])
    assert again.predict(separable.select("wide")).tolist() == separable.label.tolist()


def test_what_a_head_learns_is_looked_at_on_a_few_rows_first(separable, monkeypatch):
    """A trusted class that keeps a foreign object once fitted is found out before the whole training."""
    seen = []

    def fit(self, X, y):
        seen.append(len(X))
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        self.centres_ = np.zeros((3, 40))
        self.secret_ = Mark("x")
        return self

    monkeypatch.setattr(Nearest, "fit", fit)
    with pytest.raises(ModelError, match="Mark"):
        train(separable, Nearest(), "wide", trust=[f"{Nearest.__module__}.Nearest"])
    assert max(seen) <= 18
