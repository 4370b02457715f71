"""Files that are no models of ours are refused before anything of them is imported or run."""

import io
import json
import pickle
import struct
import sys
import zipfile

import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from classify.model.modelfile import DEFINITIONS, load_model, save_model
from featurize.errors import ModelError

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
        ({"labels": [1, 2, 3]}, r"model.json: `labels\[0\]`: Expected `str`, got `int`"),
        ({"widths": [39]}, "head does not fit"),
        ({"widths": [-40, 80]}, r"`widths\[0\]`: Expected `int` >= 1"),
        ({"features": ["wide"]}, "`features`: Expected `str`, got `array`"),
        ({"relabel": "map"}, "`relabel`: Expected `object . null`"),
        ({"seen": "not base64!"}, "cannot be read as a model"),
        ({"seen": "AAAA"}, "cannot be read as a model"),
        ({"outliers": "none"}, "`outliers`: Expected"),
        ({"outliers": {}}, "cannot be read as a model: 'methods'"),
        ({"definitions": {}}, "by classify.scaling.BlockScaler as of definition None; here it is 1"),
        ({"definitions": None}, "`definitions`: Expected"),
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
