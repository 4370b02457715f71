"""Frozen graphs: read without tensorflow, recognised, and the same numbers as tensorflow gives directly."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import ANY_BATCH, ELSEWHERE, assert_near

from featurize import BottleheadError, extract, make_extractor
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import constant_values, node_shape, read_graph, trained_layer
from featurize.networks.keras_network import InceptionV3
from featurize.registry import extractor_from_metadata

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def photos(assets):
    return sorted((assets / "data" / "flowers").glob("*/*.jpg"))[::90]


@pytest.fixture(scope="module")
def poets(assets):
    return assets / "weights" / "poets_retrained_graph.pb"


def run_directly(tf, file, tensor, pixels):
    """One image at a time, as these graphs were made to run."""
    definition = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        (output,) = tf.import_graph_def(definition, return_elements=[tensor], name="")
        rows = [session.run(output, {"input:0": image[None]}).reshape(-1) for image in pixels]
    return np.stack(rows)


def tf_pixels(tf, files, side):
    """What retrain.py's own operations make of photos."""
    rows = []
    for file in files:
        image = tf.cast(tf.image.decode_jpeg(file.read_bytes(), channels=3), tf.float32)[None]
        resized = tf.compat.v1.image.resize_bilinear(image, [side, side])
        rows.append((resized[0].numpy() - np.float32(127.5)) * np.float32(1 / 127.5))
    return rows


def test_a_graph_is_read_as_tensorflow_reads_it(tf, poets):
    definition = tf.compat.v1.GraphDef.FromString(poets.read_bytes())
    graph = read_graph(poets.read_bytes())
    assert [(n.name, n.op, list(n.input)) for n in definition.node] == [
        (n.name, n.op, list(n.input)) for n in graph.values()
    ]
    for node in definition.node:
        value = node.attr["value"].tensor
        if node.op == "Const" and value.dtype == tf.float32:
            np.testing.assert_array_equal(constant_values(graph[node.name]), tf.make_ndarray(value))
        if node.op == "Placeholder":
            assert node_shape(graph[node.name]) == [d.size for d in node.attr["shape"].shape.dim]
    layer = trained_layer(graph)
    assert (layer.features, constant_values(graph[layer.weights]).shape) == (
        "MobilenetV1/Predictions/Reshape:0",
        (1001, 6),
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_a_value_error(data):
    try:
        assert read_graph(data)
    except ValueError:
        pass


def test_a_mean_that_differs_in_the_seventh_digit_is_another_fingerprint(poets):
    means = (123.68, 123.6801, 123.680001, 127.5, 127)
    graphs = [FrozenGraph(poets, mean=mean, std=58.395) for mean in means]
    assert len({graph.fingerprint() for graph in graphs}) == len({graph.run_key() for graph in graphs}) == 5
    assert [graph.settings()["scaling"] for graph in graphs[::4]] == [
        "(rgb - 123.68) / 58.395", "(rgb - 127) / 58.395",
    ]  # fmt: skip


def test_known_graphs_need_no_tensor_names(assets, poets):
    folder = assets / "weights"
    small, large = (
        FrozenGraph(folder / "mobilenet_v1_0.25_128.pb"),
        FrozenGraph(folder / "mobilenet_v1_0.25_224.pb"),
    )
    assert (small.side, large.side) == (128, 224)
    assert small.end == "MobilenetV1/Logits/AvgPool_1a/AvgPool:0"
    assert FrozenGraph(poets).weights_record()["what"] == "MobileNet v1, retrained by retrain.py"
    named = make_extractor(f"{folder}/mobilenet_v1_0.25_128.pb:MobilenetV1/Predictions/Reshape:0")
    assert named.name == "mobilenet_v1_0.25_128:MobilenetV1/Predictions/Reshape:0"
    assert len({one.fingerprint() for one in (small, large, FrozenGraph(poets), named)}) == 4


@pytest.mark.parametrize(
    ("file", "spec_tensor", "tensor", "width"),
    [
        ("mobilenet_v1_0.25_128.pb", None, "MobilenetV1/Logits/AvgPool_1a/AvgPool:0", 256),
        (
            "mobilenet_v1_0.25_224.pb",
            "MobilenetV1/Predictions/Reshape",
            "MobilenetV1/Predictions/Reshape:0",
            1001,
        ),
        ("poets_retrained_graph.pb", None, "MobilenetV1/Predictions/Reshape:0", 1001),
    ],
)
def test_with_parity_the_vectors_are_those_of_retrain_py(
    tf, assets, photos, file, spec_tensor, tensor, width
):
    path = assets / "weights" / file
    extractor = FrozenGraph(path, output=spec_tensor, parity="retrain", batch_size=5)
    vectors = extractor.transform(photos)
    assert extractor.width == width
    expected = run_directly(tf, path, tensor, tf_pixels(tf, photos, extractor.side))
    assert_near(vectors, expected, ELSEWHERE)
    assert_near(extractor.set_params(batch_size=1).transform(photos), vectors, ANY_BATCH)


def test_inception_as_a_graph_of_2015_and_as_keras_agree(tf, tmp_path, photos):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    keras_side = InceptionV3(weights="random")
    from featurize.networks.keras_network import build_model

    model = build_model(keras_side.network, keras_side.found_weights())

    def network(x):
        pooled = tf.reshape(model(tf.identity(x, name="Mul"), training=False), [1, 1, 1, 2048], name="pool_3")
        return tf.reshape(pooled, [1, 2048], name="pool_3/_reshape")

    traced = tf.function(network, input_signature=[tf.TensorSpec([1, 299, 299, 3])]).get_concrete_function()
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(convert_variables_to_constants_v2(traced).graph.as_graph_def().SerializeToString())
    graph = FrozenGraph(path, mean=127.5, std=127.5)
    assert graph.weights_record()["what"] == "Google's Inception v3 of 2015-12-05"
    assert FrozenGraph(path).settings()["scaling"] == "(rgb - 128) / 128"
    vectors, expected = graph.transform(photos[:3]), keras_side.transform(photos[:3])
    assert_near(vectors, expected, ELSEWHERE)
    # Two Inception v3 never share a place in the store.
    assert graph.fingerprint() != keras_side.fingerprint()


def test_an_unknown_graph_lists_its_tensors_and_runs_when_they_are_named(tf, tmp_path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4, 4, 3], name="photo")
        tf.compat.v1.placeholder(tf.float32, [], name="unused")
        tf.nn.relu(x - 100.0, name="bright")
    path = tmp_path / "own.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(
        BottleheadError,
        match=r"needs output, mean, std.*inputs: photo:0.*bright:0; give FILE.pb:TENSOR.*--graph-mean",
    ):
        FrozenGraph(path).fingerprint()
    with pytest.raises(BottleheadError, match="has no tensor dark:0"):
        FrozenGraph(path, output="dark").fingerprint()
    rgb = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    vectors = FrozenGraph(path, output="bright", mean=0, std=1).transform([rgb])
    assert_near(vectors, np.maximum(rgb - 100.0, 0).mean(axis=(0, 1))[None], ELSEWHERE)
    with pytest.raises(BottleheadError, match="does not depend on unused:0"):
        FrozenGraph(path, input="unused", output="bright", size=4, mean=0, std=1).transform([rgb])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_graph_is_named_as_what_it_is(tmp_path, content, what):
    (tmp_path / "g.pb").write_bytes(content)
    with pytest.raises(BottleheadError, match=what):
        FrozenGraph(tmp_path / "g.pb").fingerprint()


def test_a_truncated_graph_is_damaged(tmp_path, poets):
    (tmp_path / "g.pb").write_bytes(poets.read_bytes()[:100_000])
    with pytest.raises(BottleheadError, match="damaged"):
        FrozenGraph(tmp_path / "g.pb").fingerprint()


def test_a_table_remembers_the_graph_and_a_stored_run_needs_no_tensorflow(poets, photos, tmp_path):
    table = extract(photos[:2], [str(poets)], store=tmp_path)
    entry = table.metadata["features"]["poets_retrained_graph"]
    assert extractor_from_metadata(entry).fingerprint() == entry["fingerprint"]
    code = (
        "import sys; from featurize import extract; "
        f"extract({[str(p) for p in photos[:2]]!r}, [{str(poets)!r}], store={str(tmp_path)!r}); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    moved = tmp_path / "moved.pb"
    moved.write_bytes(poets.read_bytes())
    assert (
        extractor_from_metadata(
            {**entry, "params": {**entry["params"], "file": "gone.pb"}}, moved
        ).fingerprint()
        == (entry["fingerprint"])
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"std": float("nan")}, "std nan"),
        ({"std": float("inf")}, "std inf"),
        ({"std": -1.0}, "std -1"),
        ({"std": 0.0}, "std 0"),
        ({"std": 1e-45}, "std 1e-45"),
        ({"mean": float("inf")}, "mean inf"),
        ({"size": 0}, "graph size 0"),
        ({"size": 1_000_000}, r"graph size 1000000 \(give the side of the square input, 1 to 1,024 pixels"),
    ],
)
def test_numbers_with_which_no_photo_can_enter_are_refused(assets, given, message):
    graph = FrozenGraph(assets / "weights" / "mobilenet_v1_0.25_128.pb", **given)
    with pytest.raises(BottleheadError, match=message):
        graph.fingerprint()
