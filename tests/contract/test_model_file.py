"""A model and its file: it comes back as it went; what is no model is refused before any of it is imported or run."""

import base64
import copy
import io
import json
import math
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import sklearn
import skops.io
from builders import described, made_table, members_of, quick_heads, run, write_members
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from classify import load_model, save_model, train_model
from featurize import GLCM, BottleheadError, FeatureTable

VARIETIES = "mlp:solver=sgd,max_iter=40 mlp:solver=lbfgs,max_iter=40 mlp:class_weight=balanced,max_iter=40"
VARIETIES += " svm:kernel=linear naive-bayes:class_weight=balanced softmax:steps=20"


@pytest.mark.parametrize("head", [*quick_heads(), *VARIETIES.split()])
@pytest.mark.parametrize("features", ["wide+noise", "noise"])  # some keep other types of short vectors
def test_every_head_comes_back_and_predicts_the_same(head, features, separable, tmp_path):
    table = described(separable)
    relabel = {"ant": "insect", "bee": "insect", "cat": "cat"}
    model = train_model(table, head, features, relabel=relabel, jobs=1)
    save_model(model, tmp_path / "m")
    again = load_model(tmp_path / "m")
    X = table.select(features)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(again.head.predict_proba(X), model.head.predict_proba(X))
    for name in ("labels", "features", "widths", "described", "relabel", "parts"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.training == {key: model.training[key] for key in model.training.keys() - {"date", "seconds"}}
    assert again.seen(table.sha256).all() and not again.seen([None, "f" * 64, "not a hash"]).any()
    np.testing.assert_array_equal(again.outliers.distances(X), model.outliers.distances(X))
    np.testing.assert_array_equal(again.outliers.percentiles, model.outliers.percentiles)


@pytest.fixture(scope="module")
def model():
    """A softmax on ``good`` (4 numbers), of 60 photos with three labels."""
    return train_model(described(made_table()), "softmax", "good", jobs=1)


@pytest.fixture(scope="module")
def good(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "good"
    save_model(model, path)
    return path


@pytest.fixture
def saved(good):
    return members_of(good)


def test_the_file_is_a_plain_zip_of_three_members(good, saved, model):
    with zipfile.ZipFile(good) as archive:
        assert [one.filename for one in archive.infolist()] == ["model.json", "outliers.f2", "head.skops"]
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
    about = json.loads(saved["model.json"])
    assert about["protocol"] == 2
    assert (about["labels"], about["features"], about["widths"]) == (["ant", "bee", "cat"], "good", [4])
    # The last eight bytes of the SHA-256 of each photo, sorted.
    hashes = sorted(int(one[-16:], 16) for one in made_table().sha256)
    assert np.frombuffer(base64.b64decode(about["seen"]), ">u8").tolist() == hashes
    # The training vectors, scaled: standardised, and divided by the fourth root of their number.
    X = made_table().select("good").astype(np.float64)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0) / 4**0.25
    kept = np.frombuffer(saved["outliers.f2"], "<f2").reshape(60, 4)
    np.testing.assert_allclose(np.sort(kept, axis=0), np.sort(scaled, axis=0), atol=2e-3)
    schema = json.loads(members_of(io.BytesIO(saved["head.skops"]))["schema.json"])
    assert (schema["__module__"], schema["__class__"]) == ("sklearn.pipeline", "Pipeline")


def test_vectors_are_predicted_and_those_of_another_width_refused_with_both_shapes(model):
    X = made_table().select("good")
    assert model.predict(X).tolist() == np.array(model.labels)[model.predict_proba(X).argmax(axis=1)].tolist()
    assert model.predict_proba(X[:0]).shape == (0, 3)
    with pytest.raises(BottleheadError, match=r"\(n, 4\), and was given shape \(2, 3\)"):
        model.predict_proba(np.zeros((2, 3)))


def test_parts_of_joined_features_and_of_a_name_that_holds_a_plus():
    table = described(made_table())
    model = train_model(table, "softmax", "good+noise")
    assert model.parts == sorted(model.described) == ["good", "noise"] and model.widths == [4, 2]
    model.check_table(table)
    table = FeatureTable.from_arrays({"a+b": [[0.0], [0.1], [5.0], [5.1]]}, label=["x", "x", "y", "y"])
    model = train_model(table)
    assert model.parts == ["a+b"]
    model.check_table(table)
    with pytest.raises(BottleheadError, match="width 1 in the model, 2 in the table"):
        model.check_table(FeatureTable.from_arrays({"a+b": [[0.0, 1.0]]}))


def test_other_vectors_are_refused_with_the_differences(model):
    known = described(made_table())
    entry = copy.deepcopy(known.metadata["features"]["good"])
    entry["fingerprint"] = "f" * 64
    entry["description"]["layer"] = "mixed7"
    entry["description"]["resize"]["size"] = 224
    changed = FeatureTable(known.ids, known.vectors, {"features": {"good": entry}})
    unknown = FeatureTable(known.ids, known.vectors)
    other = FeatureTable.from_arrays({"tall": [[0.0]]})
    for table, message in (
        (changed, r"layer was mixed8, is now mixed7; resize\.size was 299, is now 224"),
        (unknown, "layer was mixed8, is now not set"),
        (other, r"needs the features good; the table has tall \(extract"),
    ):
        with pytest.raises(BottleheadError, match=message):
            model.check_table(table)


@pytest.mark.parametrize("levels", ["x", None])
def test_an_extractor_whose_parameters_were_edited_is_refused(levels):
    table = FeatureTable.from_arrays({"glcm": np.eye(4, 5)}, label=["x", "x", "y", "y"])
    model = train_model(table, "softmax")
    with pytest.raises(BottleheadError, match="glcm cannot be made as the model describes them"):
        model.check_extractor("glcm", GLCM(levels=levels))


def test_a_model_is_written_whole_or_not_at_all(model, tmp_path, caplog):
    save_model(model, tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    broken = train_model(made_table(), "dummy", "good", jobs=1)
    broken.head.secret = (one for one in "abc")
    with pytest.raises(BottleheadError, match="the head cannot be written"):
        save_model(broken, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    for target, error in ((tmp_path / "no" / "m", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(BottleheadError, match=error):
            save_model(model, target)
    broken.head.secret = np.zeros(3_000_000)  # a large model says its size
    with caplog.at_level("INFO", "bottlehead"):
        save_model(broken, tmp_path / "m")
    assert "will take 24 MB, of which 24 MB are the head" in caplog.text


def refused(path, match, **options):
    with pytest.raises(BottleheadError, match=match or None) as caught:
        load_model(path, **options)
    assert caught.value.hint


class Mark:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("mark",)


def test_a_pickle_is_not_run(tmp_path, saved, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m"
    path.write_bytes(pickle.dumps(Mark()))
    refused(path, "cannot be read as a model")
    write_members(path, saved | {"head.skops": pickle.dumps(Mark())})
    refused(path, "cannot be read as a model")
    assert not (tmp_path / "mark").exists()
    refused(tmp_path / "none", "there is no model")
    refused(tmp_path, "there is no model")


def with_schema(head, change):
    """The head with its skops schema changed."""
    members = members_of(io.BytesIO(head))
    schema = json.loads(members["schema.json"])
    change(schema)
    return zipped(members | {"schema.json": json.dumps(schema)})


def test_a_foreign_type_is_refused_by_name_before_it_is_imported(tmp_path, saved, monkeypatch):
    (tmp_path / "evilmodule.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    evil = {"__class__": "Evil", "__module__": "evilmodule"}
    path, head = tmp_path / "m", with_schema(saved["head.skops"], lambda found: found.update(evil))
    write_members(path, saved | {"head.skops": head})
    refused(path, "not known to be safe: evilmodule.Evil")
    refused(path, "evilmodule.Evil", trust=["evilmodule.Other"])
    for words in (f"show {path}", f"predict {path} t.parquet"):
        assert "not known to be safe: evilmodule.Evil" in run(f"classify {words}").error
    assert "evilmodule" not in sys.modules and not (tmp_path / "mark").exists()
    head = make_pipeline(FunctionTransformer(os.system), StandardScaler())  # a function is foreign, too
    write_members(path, saved | {"head.skops": skops.io.dumps(head)})
    refused(path, r"not known to be safe: posix.system|nt.system")


@pytest.mark.parametrize(
    "names", ["head.skops", "head.skops outliers.f2 ../../escape", "head.skops ../../escape",
              "/head.skops outliers.f2", "head.skops head.skops", "head.skops head.skops outliers.f2", ""]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_other_members_are_refused(tmp_path, saved, names):
    names = ["model.json", *names.split()] if names else []
    write_members(tmp_path / "m", [(name, saved.get(name, b"x")) for name in names])
    refused(tmp_path / "m", "is no model: it holds")


def zipped(members, *options):
    stream = io.BytesIO()
    write_members(stream, members, *options)
    return stream.getvalue()


def test_a_zip_bomb_and_an_array_that_claims_to_be_huge_are_refused_unread(tmp_path, saved):
    bomb = zipped({"schema.json": b" " * 10**7}, zipfile.ZIP_DEFLATED)
    for head, options in ((b"\0" * 10**7, [zipfile.ZIP_DEFLATED]), (bomb, [])):
        write_members(tmp_path / "m", saved | {"head.skops": head}, *options)
        refused(tmp_path / "m", "would unpack to more than it holds")
    members = members_of(io.BytesIO(saved["head.skops"]))
    name = next(one for one in members if one.endswith(".npy"))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    write_members(tmp_path / "m", saved | {"head.skops": zipped(members | {name: array})})
    refused(tmp_path / "m", "cannot be read as a model")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99, "flipped bit"])
def test_a_truncated_or_changed_file_is_refused(tmp_path, good, kept):
    data = bytearray(good.read_bytes())
    if kept == "flipped bit":
        data[data.index(b"head.skops") + 2000] ^= 1
    else:
        del data[int(kept * len(data)) if kept < 1 else kept :]
    (tmp_path / "m").write_bytes(data)
    refused(tmp_path / "m", "cannot be read as a model")


@pytest.fixture
def full(saved):
    about = json.loads(saved["model.json"])
    tuning = {"by": "log-loss", "n_folds": 5, "head": "softmax:C=1", "trail": []}
    about |= {"training": about["training"] | {"tuning": tuning}, "operating_point": POINT, "relabel": None}
    return saved | {"model.json": json.dumps(about).encode()}


def edited(path, members, key, value, place=()):
    """A model with another value of one entry of its model.json."""
    about = entries = json.loads(members["model.json"])
    for name in place:
        entries = entries[name]
    entries[key] = value
    write_members(path, members | {"model.json": json.dumps(about)})
    return path


POINT = {"positive": "ant", "threshold": 0.5, "rule": "recall=1", "sensitivity": 1.0, "specificity": 0.5}
POINT |= {"precision": 0.5, "n_positive": 3, "n_others": 4}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocol", 3, "has model protocol 3; this version of bottlehead reads protocols 1 and 2"),
        ("protocol", None, "protocol None"),
        ("labels", ["ant", "bee"], "head does not fit"),
        ("widths", [3], "head does not fit"),
        ("widths", [-4, 8], r"`widths\[0\]`: Expected `int` >= 1"),
        ("described", {"good": 1}, r"`described\[...\]`: Expected"),
        ("training", {"rows": "60"}, r"`training\.rows`: Expected"),
        ("seen", "not base64!", "cannot be read as a model"),
        ("seen", "AAAA", "cannot be read as a model"),
        ("outliers", {}, "cannot be read as a model: 'methods'"),
        ("operating_point", {"positive": "ant"}, "its operating point: .* missing required field `thresho"),
        ("plain", {"version": 1}, r"missing required field `scores`"),
        ("plain", [], r"`plain`: Expected"),
    ],
)
def test_other_descriptions_are_refused(tmp_path, saved, key, value, message):
    refused(edited(tmp_path / "m", saved, key, value), message)


@pytest.mark.parametrize("theirs", [None, 2])
def test_a_head_of_another_definition_is_refused_where_no_plain_arrays_stand_for_it(tmp_path, saved, theirs):
    message = f"by classify.scaling.BlockScaler as of definition {theirs}; here it is 1"
    definitions = {} if theirs is None else {"classify.scaling.BlockScaler": theirs}
    path = edited(tmp_path / "m", saved, "definitions", definitions)
    load_model(path).predict(made_table().select("good"))
    with pytest.raises(BottleheadError, match=message):
        _ = load_model(path).head
    refused(edited(path, members_of(path), "plain", None), message)


WRONG = {
    (): {"protocol": [True], "labels": [[], ["ant", "bee", 3]], "widths": [[4, True], [2, 1, 1]],
         "features": [None, ["good"]], "relabel": [{"ant": 1}, ["ant"], "map"], "operating_point": ["high"],
         "outliers": ["none"], "definitions": [None]},
    ("described", "good"): {"weights": ["w.h5"], "description": [[1]], "golden": [7, ["x"]], "versions": [[1]],
                            "family": ["glcm"]},
    ("training",): {"photos_per_label": [{"ant": "many"}, 3], "photos": [True], "versions": ["new"], "trust": [[1]],
                    "steps": [5, {"accuracy": "x"}, {"accuracy": 0.9, "best_step": 3}],
                    "scores": [{"accuracy": "x"}, {"accuracy": 0.9}], "tuning": [{"by": "log-loss"}]},
    ("training", "tuning"): {"trail": [[{"params": 1}], [{"params": {}}]]},
    ("outliers",): {"kept": [59, -1, "many"], "threshold": [math.nan, None], "percentiles": [[1.0]], "mean": [""],
                    "methods": [["cube"], ["root", "root"]], "scale": ["not base64!"]},
    ("operating_point",): {"threshold": ["0.5"], "n_others": [None], "extra": [1], "positive": ["smoke"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "key"), [(place, key) for place, by_key in WRONG.items() for key in by_key]
)
def test_values_of_a_wrong_kind_are_refused(tmp_path, full, place, key):
    load_model(edited(tmp_path / "m", full, "protocol", 1))
    for value in WRONG[place][key]:
        refused(edited(tmp_path / "m", full, key, value, place), "")


def test_a_description_that_is_none_is_refused(tmp_path, saved):
    for text in ("", "[]", "null", "[" * 100_000, '{"protocol": 1}', "\xff"):
        write_members(tmp_path / "m", saved | {"model.json": text.encode("latin-1")})
        refused(tmp_path / "m", "cannot be read as a model|has model protocol None")


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (3,)])
def test_a_head_whose_arrays_do_not_fit_is_refused(good, shape, tmp_path):
    model = load_model(good)
    model.head[-1].coef_ = np.zeros(shape)
    save_model(model, tmp_path / "m")
    refused(tmp_path / "m", r"its head (cannot predict|gives probabilities of shape)")


def test_a_head_that_another_scikit_learn_fitted_and_this_one_cannot_use_is_not_called_damaged(
    good, tmp_path
):
    model = load_model(good)
    del model.head[-1].coef_  # as LogisticRegression of 1.9 has no `multi_class`, which 1.7 asks for
    save_model(model, tmp_path / "m")
    refused(tmp_path / "m", "m cannot be read as a model: its head cannot predict")
    edited(tmp_path / "m", members_of(tmp_path / "m"), "scikit-learn", "1.0.1", ["training", "versions"])
    refused(
        tmp_path / "m",
        rf"fitted by scikit-learn 1.0.1, and cannot be used with {sklearn.__version__}: its head ",
    )


def test_vectors_that_do_not_fit_are_refused(tmp_path, saved):
    kept = saved["outliers.f2"]
    for vectors in (b"", kept[:-2], kept + b"12", b"\xff" * len(kept)):
        write_members(tmp_path / "m", saved | {"outliers.f2": vectors})
        refused(tmp_path / "m", "cannot be read as a model")


def test_a_head_of_another_scikit_learn_is_used_with_a_word(tmp_path, saved, caplog):
    def age(schema):
        version = rf"\"{sklearn.__version__}\""
        assert version in json.dumps(schema)
        schema.update(json.loads(json.dumps(schema).replace(version, r"\"1.0.1\"")))

    write_members(tmp_path / "m", saved | {"head.skops": with_schema(saved["head.skops"], age)})
    model = load_model(tmp_path / "m")
    with caplog.at_level("WARNING", "bottlehead"):
        assert model.head.classes_.tolist() == model.labels
    assert "was fitted by scikit-learn 1.0.1; here is" in caplog.text


def shown(model, tmp_path) -> str:
    save_model(model, tmp_path / "m")
    outcome = run(f"classify show {tmp_path}/m")
    assert outcome.status == 0 and outcome.err == ""
    return outcome.out


def test_show_says_what_the_model_is_and_needs(tmp_path):
    table = described(made_table())
    model = train_model(table, "svm:C=2", "good", seed=7, relabel={"ant": "insect", "bee": "", "cat": "雛菊"})
    card = shown(model, tmp_path)
    for text in (
        "head      svm:C=2",
        "  good, 4 numbers per photo",
        f"fingerprint  {'good':0<64}",
        "weights      file w.h5, sha256 " + "ab" * 32 + ", source file",
        "resize       kind bilinear, size 299",
        "insect  20 training photos",
        "雛菊    20 training photos",
        "bee → (dropped)",
        f"40 photos; digest {model.training['data_digest']}",
        "seed      7",
        "scikit-learn 1.",
        "kept      40 of 40 training vectors",
        f"beyond    {model.outliers.threshold:.4g} from the fifth nearest training photo, as 5 % of",
        "usual     {:.4g}; nine in ten {:.4g} to {:.4g}".format(*model.outliers.percentiles[[50, 5, 95]]),
        f"{model.training['scores']['log_loss']:.3f} on photos not trained on (40 photos, 5 folds)\n",
        f"size      {(tmp_path / 'm').stat().st_size / 1e3:.1f} kB",
    ):
        assert text in card, text


def test_show_says_what_is_not_known_and_labels_cannot_move_the_cursor(tmp_path):
    evil = "cat\x1b[2J"
    table = made_table(n_rows=18, labels=("bee", evil))
    card = shown(train_model(table, "softmax", "noise", jobs=1), tmp_path)
    assert "predicts on tables only" in card and "outliers  not told" in card
    assert "none from training; `evaluate compare` measures" in card
    assert "\x1b" not in card and "cat\\x1b[2J  9 training photos" in card


@pytest.mark.parametrize("key", ["photos_per_label", "versions", "steps", "scores", "tuning", "trust"])
def test_what_is_null_is_not_known_and_the_card_does_without(saved, key, tmp_path):
    edited(tmp_path / "m", saved, key, None, ["training"])
    assert "head      softmax" in run(f"classify show {tmp_path}/m").out
