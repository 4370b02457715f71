"""Frozen graphs as files: read as TensorFlow reads them, recognised, and damaged ones end with a reason."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto.attr_value_pb2 import AttrValue
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef
from tolerances import ELSEWHERE, assert_near

from featurize import BottleheadError, make_extractor
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import constant_values, node_shape, read_graph, recognise, trained_layer
from featurize.registry import extractor_from_metadata

TRAINED = "final_training_ops/Wx_plus_b/MatMul"


@pytest.fixture
def poets(assets):
    return assets / "weights" / "poets_retrained_graph.pb"


@pytest.mark.tensorflow
def test_a_graph_is_read_as_tensorflow_reads_it(poets):
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(poets.read_bytes())
    graph = read_graph(poets.read_bytes())
    nodes, ours = (
        [(n.name, n.op, list(n.input)) for n in found] for found in (definition.node, graph.values())
    )
    assert ours == nodes
    for node in definition.node:
        value = node.attr["value"].tensor
        if node.op == "Const" and value.dtype == tf.float32:
            np.testing.assert_array_equal(constant_values(graph[node.name]), tf.make_ndarray(value))
        if node.op == "Placeholder":
            assert node_shape(graph[node.name]) == [d.size for d in node.attr["shape"].shape.dim]
    layer = trained_layer(graph)
    assert layer.features == "MobilenetV1/Predictions/Reshape:0"
    assert constant_values(graph[layer.weights]).shape == (1001, 6)


@pytest.mark.tensorflow
def test_a_graph_sees_the_region_that_its_spec_names_and_is_told_apart_by_it(poets):
    tensor = "MobilenetV1/Predictions/Reshape:0"
    whole, border, centre = (
        make_extractor(f"{poets}:{items}") for items in (tensor, f"{tensor},region=border", "region=centre")
    )
    assert border.name == f"poets_retrained_graph:{tensor},region=border"
    assert centre.name == "poets_retrained_graph:region=centre"
    assert border.kept_params()["region"] == "border" and "region" not in whole.kept_params()
    alike = {key: value for key, value in border.description().items() if key != "region"}
    assert alike == whole.description() and "region" in border.description()
    photo, another = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    inside = slice(15, 113)  # 12 % of 128 pixels are 15
    other = photo.copy()
    other[inside, inside] = another[inside, inside]
    vectors = border.transform([photo, other, another])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2], rtol=1e-3)
    grey = np.full((128, 128, 3), 128, np.uint8)
    grey[inside, inside] = photo[inside, inside]
    assert_near(centre.transform([photo]), whole.transform([grey]), ELSEWHERE)
    again = extractor_from_metadata(border.record(vectors[0]))
    assert (again.name, again.fingerprint()) == (border.name, border.fingerprint())


@pytest.mark.tensorflow
def test_inception_of_2015_is_recognised_and_its_reshape_to_one_row_takes_a_batch(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [1, 299, 299, 3], name="Mul")
        tf.reshape(tf.reduce_max(x, [1, 2], keepdims=True, name="pool_3"), [1, 3], name="pool_3/_reshape")
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    network = FrozenGraph(path)
    assert network.weights_record()["what"] == "Google's Inception v3 of 2015-12-05"
    assert network.settings()["scaling"] == "(rgb - 128) / 128"
    photos = [np.full((9, 9, 3), level, np.uint8) for level in (0, 64, 255)]
    assert_near(network.transform(photos), (np.array([[0], [64], [255]]).repeat(3, 1) - 128) / 128, ELSEWHERE)


def test_a_mean_that_differs_in_the_seventh_digit_is_another_fingerprint(poets):
    means = (123.68, 123.6801, 123.680001, 127.5, 127)
    graphs = [FrozenGraph(poets, mean=mean, std=58.395) for mean in means]
    assert len({graph.fingerprint() for graph in graphs}) == len({graph.run_key() for graph in graphs}) == 5
    scalings = [graph.settings()["scaling"] for graph in graphs[::4]]
    assert scalings == ["(rgb - 123.68) / 58.395", "(rgb - 127) / 58.395"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_a_value_error(data):
    with contextlib.suppress(ValueError):
        assert read_graph(data)


def node(name: str, op: str, *inputs: str) -> NodeDef:
    return NodeDef(name=name, op=op, input=inputs)


@pytest.mark.parametrize("nodes", [
    [node("a", "Identity", "b"), node("b", "Identity", "a"), node(TRAINED, "MatMul", "a", "b")],
    [node("a", "Identity"), node(TRAINED, "MatMul", "a", "a")],
    [node(TRAINED, "MatMul", "a")],
    [node("w", "Const"), node(TRAINED, "MatMul", "a", "w"), node("s", "Add", TRAINED, TRAINED)],
], ids=["circle", "from nowhere", "one input", "added to itself"])  # fmt: skip
def test_a_trained_layer_that_leads_nowhere_is_none(nodes):
    graph = {one.name: one for one in nodes}
    assert trained_layer(graph) is None
    assert recognise(graph).output is None


def test_a_circle_in_a_file_is_refused_by_name(tmp_path):
    circle = [node("x", "Placeholder"), node("a", "Identity", "b"), node("b", "Identity", "a")]
    graph = GraphDef(node=[*circle, node(TRAINED, "MatMul", "a", "b")])
    (tmp_path / "g.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(BottleheadError, match=r"g\.pb: a frozen graph that needs"):
        FrozenGraph(tmp_path / "g.pb").fingerprint()


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf's wire format that holds bytes; up to 127 of them."""
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize("attribute", [
    b"",  # no key
    b"\x08\x80\x80\x80\x80\x80\x80\x80\x01",  # a number in the place of the key
    field(1, b"shape") + b"\x10\x07",  # a number in the place of the value
    field(1, b"shape") + field(2, field(7, b"\x10\x01")),  # one in the place of a dimension
    field(1, b"shape") + field(2, field(7, field(2, field(1, b"9")))),  # bytes in the place of a size
    field(1, b"\xff") + field(2, b""),  # a key that is no text
    field(1, b"shape") + field(2, b"\x3a\x7f"),  # cut off
])  # fmt: skip
def test_a_damaged_attribute_is_an_error_and_tells_no_size(attribute, tmp_path):
    placeholder = node("x", "Placeholder").SerializeToString()
    (tmp_path / "g.pb").write_bytes(field(1, placeholder + field(5, attribute)))
    with pytest.raises(BottleheadError, match=r"is no frozen graph: it is damaged|needs .*size"):
        FrozenGraph(tmp_path / "g.pb", output="x", mean=0, std=1).fingerprint()


@given(st.binary(max_size=60))
def test_any_bytes_are_an_attribute_or_a_value_error(data):
    for name, wrapped in (("shape", data), ("value", field(8, data))):
        bytes_of_node = NodeDef(name="x", op="Const").SerializeToString()
        entry = field(1, name.encode()) + field(2, wrapped)
        with contextlib.suppress(ValueError):
            graph = read_graph(field(1, bytes_of_node + field(5, entry)))
            node_shape(graph["x"])
            constant_values(graph["x"])


def test_one_number_does_not_fill_the_memory():
    value = AttrValue()
    value.tensor.dtype = 1
    value.tensor.float_val.append(1)
    for _ in range(2):
        value.tensor.tensor_shape.dim.add(size=(1 << 35) - 1)
    with pytest.raises(ValueError, match="it would unpack to 4,722,"):
        constant_values(NodeDef(name="w", op="Const", attr={"value": value}))
