"""Exports from inside: the graph of each head, the scaling of pixels, what is judged, and what an interrupt leaves."""

import errno
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import made_table, run

from classify import export_model, make_head, save_model, train_model
from classify.export import export, formats
from classify.export.check import LIMITS, Agreement
from classify.heads.plain import plain_head
from featurize import BottleheadError
from featurize.networks.catalogue import SCALINGS, scale_pixels
from featurize.outputs import check_outputs, kinds_of, whole_file

SIDE = 4
HEADS = ["softmax", "svm", "linear-svm", "mlp:max_iter=50", "mlp:activation=tanh,max_iter=50", "lda"]
HEADS += ["mlp:activation=logistic,max_iter=50", "mlp:activation=identity,max_iter=50"]
HEADS += ["svm:kernel=poly", "svm:kernel=sigmoid", "svm:kernel=linear"]


def answers(graph, pixels, *names):
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tensors = tf.import_graph_def(graph, return_elements=[f"{name}:0" for name in names], name="")
        return session.run(tensors, {"input:0": pixels})


@pytest.fixture(scope="module")
def network():
    """A network of one operation, whose vector is all pixels."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], name="x")
        tf.identity(tf.reshape(x, [-1, SIDE * SIDE * 3]), name="Identity")
        return graph.as_graph_def().SerializeToString()


def extractor(scaling="none"):
    return SimpleNamespace(side=SIDE, n_ends=1, scaled=lambda pixels: scale_pixels(pixels, scaling))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_labels", [2, 7])
@pytest.mark.parametrize("spec", HEADS)
def test_the_graph_of_a_head_says_what_the_head_says(spec, n_labels, network):
    rng = np.random.default_rng(0)
    y = np.arange(84) % n_labels
    pixels = rng.integers(0, 120, (84, SIDE, SIDE, 3)).astype(np.float32)
    pixels[..., 0] += 100 * (y[:, None, None] % 2) + 20 * (y[:, None, None] // 2)
    X = pixels.reshape(84, -1)
    head = make_head(spec).fit(X, np.array(list("abcdefg"))[y])
    plain = plain_head(head)
    assert plain is not None
    for scaled in (False, True):
        from classify.export.graph import exported_graph

        graph = exported_graph(network, extractor(), plain, n_labels, scaled=scaled)
        entering = (pixels - 127.5) / 127.5 if scaled else pixels
        (found,) = answers(graph, entering.astype(np.float32), "final_result")
        np.testing.assert_allclose(found, head.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("scaling", SCALINGS)
def test_pixels_are_scaled_inside_as_the_extractor_scales_them(scaling, network):
    from classify.export.graph import exported_graph

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)
    y = list("ab") * 5
    plain = plain_head(make_head("softmax").fit(rng.normal(size=(10, 48)), y))
    expected = scale_pixels(pixels.copy(), scaling).reshape(3, -1)
    for scaled in (False, True):
        graph = exported_graph(network, extractor(scaling), plain, 2, scaled=scaled)
        entering = (pixels - 127.5) / 127.5 if scaled else pixels
        (found,) = answers(graph, entering.astype(np.float32), "bottlehead/vector")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


def agreement(photos=100, labels=100, difference=0.0):
    return Agreement(photos, labels, difference)


@pytest.mark.parametrize(
    ("precision", "pixels", "photos", "broken"),
    [
        ("float32", agreement(), agreement(), None),
        ("float32", agreement(difference=2e-5), agreement(), "equal pixels"),
        ("float32", agreement(difference=float("nan")), agreement(), "equal pixels"),
        ("float32", agreement(), agreement(difference=0.03), "whole photos"),
        ("float32", agreement(labels=99), agreement(), "99 of 100 labels agree"),
        ("float32", agreement(49, 48), agreement(), None),  # too few to judge
        ("float32", agreement(50, 49), agreement(), "49 of 50"),
        ("float16", agreement(difference=0.039), agreement(difference=0.039), None),
        ("float16", agreement(difference=0.05), agreement(), "0.04 is allowed"),
        ("int8", agreement(labels=97, difference=0.5), agreement(labels=90, difference=0.5), None),
        ("int8", agreement(labels=96), agreement(), "97 %"),
    ],
)
def test_what_an_export_may_differ_by(precision, pixels, photos, broken):
    found = LIMITS[precision].broken_by({"pixels": pixels, "photos": photos})
    assert found is None if broken is None else broken in found


def test_a_steep_head_may_differ_by_what_rounding_does():
    found = {"pixels": agreement(difference=2e-5), "photos": agreement()}
    assert LIMITS["float32"].broken_by(found, 3e-5) is None
    assert LIMITS["float32"].broken_by(found, 1e-5) is not None


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"\x1c\0\0\0TFL3\x14", "a TensorFlow Lite model"),
        (b"\x08\x08\x12\x07tf2onnx:\xff", "an ONNX model"),
        (b"\n\x8b\x01\n\x05input\x12\x0bPlaceholder*\x00\xff", "a frozen graph"),
        (b'<?xml version="1.0"?>\n<net name="m" version="11">\n', "a model of OpenVINO"),
        (b'<?xml version="1.0"?>\n<svg>', "plain text"),
        (b"\n\nnotes of today\n", "plain text"),
        (b"\x08\x01\x12\xff\x80\x01\n", "an exported saved_model"),
        (b"\x08\xff\xff", "a file of an unknown kind"),
    ],
)
def test_exported_files_are_known_by_their_content(begin, kind, tmp_path):
    (tmp_path / "file").write_bytes(begin)
    assert kinds_of(tmp_path / "file") == {kind}


@pytest.mark.parametrize(
    ("ending", "extra"), [(".tflite", "litert"), (".onnx", "onnx"), (".xml", "openvino")]
)
def test_a_missing_library_is_one_error_that_names_the_extra(ending, extra, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(BottleheadError, match=rf"the extra {extra} is not installed .*'\.\[{extra}\]'"):
        export_model(train_model(made_table(), "softmax", "good"), tmp_path / f"m{ending}")


def test_what_a_converter_cannot_express_is_one_error(tmp_path, monkeypatch):
    def fails(job, path):
        raise RuntimeError("no such\noperation:  Svd")

    broken = replace(formats.NETWORKS[".pb"], write=fails)
    monkeypatch.setitem(formats.NETWORKS, ".pb", broken)
    with pytest.raises(BottleheadError, match="cannot express this network: no such operation: Svd"):
        export.written_and_loaded(formats.Job(None, 4, {}), tmp_path / "m.pb", ".pb")


def test_a_converter_that_finds_a_full_disk_says_so(tmp_path, monkeypatch):
    def fails(job, path):
        raise RuntimeError(f"{path}.tmp; {os.strerror(errno.ENOSPC)}")

    full = replace(formats.NETWORKS[".pb"], write=fails)
    monkeypatch.setitem(formats.NETWORKS, ".pb", full)
    with pytest.raises(OSError, match=r"m\.pb") as caught:
        export.written_and_loaded(formats.Job(None, 4, {}), tmp_path / "m.pb", ".pb")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device is always full here")
@pytest.mark.parametrize("before", [False, True])
def test_a_disk_that_fills_up_leaves_the_file_and_its_json_as_they_were(before, tmp_path, monkeypatch):
    table = made_table()
    if before:
        export_model(train_model(table, "lda", "good"), tmp_path / "m.npz")
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    @contextmanager
    def full(path, kind):
        with whole_file(path, kind) as whole:
            yield whole if path.suffix == ".json" else Path("/dev/full")

    monkeypatch.setattr(export, "whole_file", full)
    with pytest.raises(OSError, match=r"m\.npz") as caught:
        export_model(train_model(table, "softmax", "good"), tmp_path / "m.npz")
    assert caught.value.errno == errno.ENOSPC
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there


@pytest.mark.parametrize("when", ["read_head", "milliseconds", "_digests"])
@pytest.mark.parametrize("before", [False, True])
def test_an_interrupted_export_leaves_what_was_there(when, before, tmp_path, monkeypatch):
    table = made_table()
    save_model(train_model(table, "softmax", "good"), tmp_path / "m.model")
    save_model(train_model(table, "lda", "good"), tmp_path / "other.model")
    if before:
        assert run("classify", "export", tmp_path / "other.model", "-o", tmp_path / "m.npz").status == 0
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, when, interrupted)
    assert run("classify", "export", tmp_path / "m.model", "-o", tmp_path / "m.npz").status == 130
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == there


def test_a_folder_takes_the_place_of_another_or_leaves_it(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("new")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("old")
    rename, calls = type(tmp_path).rename, []

    def failing(path, target):
        calls.append(path.name)
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(type(tmp_path), "rename", failing)
        with pytest.raises(KeyboardInterrupt):
            export._swap(tmp_path / "new", tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "old"
    export._swap(tmp_path / "new", tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_changed_file_is_said_to_be_changed(tmp_path):
    export_model(train_model(made_table(), "softmax", "good"), tmp_path / "h.npz")
    assert "changed" not in run("classify", "show", tmp_path / "h.npz").out
    with open(tmp_path / "h.npz", "ab") as stream:
        stream.write(b"more")
    assert "changed   since the export: h.npz" in run("classify", "show", tmp_path / "h.npz").out


def test_an_export_is_known_by_another_name_and_not_without_its_json(tmp_path):
    export_model(train_model(made_table(), "softmax", "good"), tmp_path / "h.npz")
    (tmp_path / "h.npz").rename(tmp_path / "other.npz")
    outcome = run("classify", "show", tmp_path / "other.npz")
    assert "is an exported head, without the other.npz.json" in outcome.error
    (tmp_path / "h.npz.json").rename(tmp_path / "other.npz.json")
    outcome = run("classify", "show", tmp_path / "other.npz")
    assert outcome.status == 0 and "changed" not in outcome.out and "16 made-up vectors" in outcome.out


def test_the_weights_of_openvino_are_replaced_with_their_xml_alone(tmp_path):
    xml, weights = tmp_path / "m.xml", tmp_path / "m.bin"
    weights.write_bytes(bytes(range(256)))
    with pytest.raises(BottleheadError, match=r"m.bin is a file of an unknown kind, and .* would replace it"):
        check_outputs((export._outputs(xml, ".xml")).items())
    xml.write_text('<?xml version="1.0"?>\n<net name="m" version="11">\n</net>')
    check_outputs(export._outputs(xml, ".xml").items())
