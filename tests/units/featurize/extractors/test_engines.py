"""The engines: what OpenVINO computes beside TensorFlow, and what is recorded about it."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from builders import run
from tolerances import BFLOAT16_AWAY, ELSEWHERE, assert_near, distances

from featurize import BottleheadError, InceptionV3, extract
from featurize.networks import network_extractor
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.keras_network import Backbone
from featurize.registry import extractor_from_metadata
from featurize.terminal import _NoBar

pytestmark = pytest.mark.tensorflow
SMALL = "mobilenet_0.25_128"


@pytest.fixture
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::150]


@pytest.fixture
def real(inception_weights, networks_store):
    def make(**options):
        return InceptionV3(inception_weights, "mixed8", store=networks_store, **options)

    return make


@pytest.mark.usefixtures("openvino")
def test_real_networks_have_the_same_vectors_in_both_engines(assets, photos, real):
    graph = assets / "weights" / "mobilenet_v1_0.25_128.pb"
    for expected, other in [
        (real(), real(engine="openvino")),
        (FrozenGraph(graph, parity="retrain"), FrozenGraph(graph, parity="retrain", engine="openvino")),
    ]:
        assert expected.fingerprint() != other.fingerprint()
        vectors = expected.transform(photos)
        assert vectors.any()
        assert_near(other.transform(photos), vectors, ELSEWHERE)


@pytest.mark.usefixtures("openvino", "bfloat16")
def test_bfloat16_is_near_float32_and_further_than_rounding(photos, real):
    exact = real().transform(photos)
    half = real(engine="openvino", precision="bfloat16").transform(photos)
    least, most = BFLOAT16_AWAY
    assert least < distances(half, exact).mean() < most


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_vector_does_not_depend_on_its_batch(photos, precision, request):
    if precision == "bfloat16":
        request.getfixturevalue("bfloat16")
    extractor = Backbone(SMALL, "random", precision=precision, engine="openvino")
    vectors = extractor.transform(photos)
    np.testing.assert_array_equal(extractor.set_params(batch_size=2).transform(photos[::-1]), vectors[::-1])
    np.testing.assert_array_equal(np.vstack([extractor.transform([photo]) for photo in photos]), vectors)


@pytest.mark.usefixtures("openvino")
def test_a_kept_network_is_run_without_tensorflow_by_the_extractor_of_the_table(photos, tmp_path):
    made = extract(photos[:1], [Backbone(SMALL, "random", engine="openvino")], store=tmp_path)
    about = made.metadata["features"][SMALL]
    again = extractor_from_metadata(about)
    assert again.engine == "openvino"
    np.testing.assert_array_equal(again.transform(photos[:1]), made.select(SMALL))
    assert about["description"]["engine"] == "openvino, frozen" and about["versions"]["openvino"]
    code = (
        "import sys; from featurize import extract; from featurize.networks.keras_network import Backbone\n"
        f"extract(sys.argv[2:], Backbone({SMALL!r}, 'random', engine='openvino'), store=sys.argv[1])\n"
        "assert 'openvino' in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *map(str, photos)], check=True)


MANY_AT_ONCE = """
import sys, threading
from pathlib import Path
import openvino
from featurize.networks.openvino_engine import OpenVINOFunction

OpenVINOFunction(Path(sys.argv[1]).read_bytes(), 1, "float32")
sys.setswitchinterval(1e-6)
begin = threading.Barrier(8)

def use_types():
    begin.wait()
    openvino.Type.f32.to_dtype()

threads = [threading.Thread(target=use_types) for _ in range(8)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print("done")
"""


@pytest.mark.usefixtures("openvino")
def test_threads_that_use_a_loaded_network_at_once_do_not_wait_for_each_other_for_ever(assets, tmp_path):
    """What its first run does there stopped three of four processes before, with the interpreter's lock held."""
    graph = FrozenGraph(assets / "weights" / "mobilenet_v1_0.25_128.pb", engine="openvino").frozen_graph()
    (tmp_path / "network.pb").write_bytes(graph)
    words = [sys.executable, "-c", MANY_AT_ONCE, str(tmp_path / "network.pb")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.usefixtures("openvino")
def test_what_openvino_cannot_read_is_one_error(photos, monkeypatch):
    broken = Backbone(SMALL, "random", engine="openvino")
    monkeypatch.setattr(Backbone, "freeze", lambda self, group, precision: b"no graph")
    with pytest.raises(BottleheadError, match="OpenVINO cannot run this network") as raised:
        broken.transform(photos[:1])
    assert "engine tensorflow" in raised.value.hint


def test_a_missing_engine_is_one_error_and_the_command_that_brings_it(photos, tmp_path, monkeypatch):
    without = lambda name: None if name == "openvino" else find_spec(name)  # noqa: E731
    monkeypatch.setattr(network_extractor, "find_spec", without)
    words = ["--features", SMALL, "--weights", "random", "--engine", "openvino", "--store", tmp_path]
    done = run("featurize", "extract", photos[0].parent, "-o", tmp_path / "t.parquet", *words)
    assert done.status == 1 and done.error == "the engine openvino is not installed"
    assert done.hint == "pip install '.[openvino]' in the checkout, or use engine tensorflow"


def test_a_graphics_card_gets_larger_batches_and_the_progress_line_names_it(tmp_path, photos, monkeypatch):
    """There is none here: what is seen is that its settings run, and change no vector."""
    extractor = Backbone(SMALL, "random", batch_size=8)
    expected = extractor.transform(photos)
    assert (extractor.at_once, extractor.device) == (8, "")
    for module in ("network_extractor", "tensorflow_engine"):
        monkeypatch.setattr(f"featurize.networks.{module}.graphics_cards", lambda: ["NVIDIA H100"])
    shown = []
    monkeypatch.setattr(
        "featurize.extraction.run.progress", lambda total, doing, **_: shown.append(doing) or _NoBar()
    )
    fresh = Backbone(SMALL, "random", batch_size=8)
    table = extract(photos, [fresh], store=tmp_path)
    assert fresh.at_once == 128 and shown[0] == "featurizing on NVIDIA H100"
    assert_near(table.select(SMALL), expected, ELSEWHERE)
    assert Backbone(SMALL, "random", engine="openvino").device == ""


def test_tensorflow_computes_with_onednn_whatever_the_processor():
    code = (
        "from featurize.networks.engines import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "tf.nn.conv2d(tf.ones([1, 16, 16, 32]), tf.ones([3, 3, 32, 64]), 1, 'SAME')"
    )
    told = os.environ | {"ONEDNN_VERBOSE": "1"}
    told.pop("TF_ENABLE_ONEDNN_OPTS", None)
    printed = subprocess.check_output([sys.executable, "-c", code], env=told, text=True)
    assert "exec,cpu,convolution" in printed
