"""Graphs that no program wrote: circles, missing inputs, damaged attributes. Each ends, with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto.attr_value_pb2 import AttrValue
from tensorboardX.proto.graph_pb2 import GraphDef
from tensorboardX.proto.node_def_pb2 import NodeDef

from featurize import BottleheadError
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import constant_values, node_shape, read_graph, recognise, trained_layer

TRAINED = "final_training_ops/Wx_plus_b/MatMul"


def node(name: str, op: str, *inputs: str) -> NodeDef:
    return NodeDef(name=name, op=op, input=inputs)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("a", "Identity", "b"), node("b", "Identity", "a"), node(TRAINED, "MatMul", "a", "b")],
        [node("a", "Identity"), node(TRAINED, "MatMul", "a", "a")],
        [node(TRAINED, "MatMul", "a")],
        [node("w", "Const"), node(TRAINED, "MatMul", "a", "w"), node("s", "Add", TRAINED, TRAINED)],
    ],
    ids=["circle", "from nowhere", "one input", "added to itself"],
)
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


@pytest.mark.parametrize(
    "attribute",
    [
        b"",  # no key
        b"\x08\x80\x80\x80\x80\x80\x80\x80\x01",  # a number in the place of the key
        field(1, b"shape") + b"\x10\x07",  # a number in the place of the value
        field(1, b"shape") + field(2, field(7, b"\x10\x01")),  # one in the place of a dimension
        field(1, b"shape") + field(2, field(7, field(2, field(1, b"9")))),  # bytes in the place of a size
        field(1, b"\xff") + field(2, b""),  # a key that is no text
        field(1, b"shape") + field(2, b"\x3a\x7f"),  # cut off
    ],
)
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
        try:
            graph = read_graph(field(1, bytes_of_node + field(5, entry)))
            node_shape(graph["x"])
            constant_values(graph["x"])
        except ValueError:
            pass


def test_one_number_does_not_fill_the_memory():
    value = AttrValue()
    value.tensor.dtype = 1
    value.tensor.float_val.append(1)
    for _ in range(2):
        value.tensor.tensor_shape.dim.add(size=(1 << 35) - 1)
    with pytest.raises(ValueError, match=r"has 1,180,.* values; at most"):
        constant_values(NodeDef(name="w", op="Const", attr={"value": value}))
