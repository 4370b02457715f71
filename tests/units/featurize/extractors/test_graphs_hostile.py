"""Graphs that no program wrote: circles, missing inputs, damaged attributes. Each ends, with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurize import BottleheadError
from featurize.errors import WeightsError
from featurize.networks.graph_extractor import FrozenGraph
from featurize.networks.graph_file import Node, read_graph, recognise, trained_layer

TRAINED = "final_training_ops/Wx_plus_b/MatMul"


@pytest.mark.parametrize(
    "graph",
    [
        [Node("a", "Identity", ("b",), {}), Node("b", "Identity", ("a",), {}), Node(TRAINED, "MatMul", ("a", "b"), {})],
        [Node("a", "Identity", (), {}), Node(TRAINED, "MatMul", ("a", "a"), {})],
        [Node(TRAINED, "MatMul", ("a",), {})],
        [Node("w", "Const", (), {}), Node(TRAINED, "MatMul", ("a", "w"), {}), Node("s", "Add", (TRAINED, TRAINED), {})],
    ],
    ids=["circle", "from nowhere", "one input", "added to itself"],
)  # fmt: skip
def test_a_trained_layer_that_leads_nowhere_is_none(graph):
    graph = {one.name: one for one in graph}
    assert trained_layer(graph) is None
    assert recognise(graph).output is None


def test_a_circle_in_a_file_is_refused_by_name(tmp_path):
    graph = field(1, node("x", "Placeholder"))
    graph += field(1, node("a", "Identity", "b")) + field(1, node("b", "Identity", "a"))
    graph += field(1, node(TRAINED, "MatMul", "a", "b"))
    (tmp_path / "g.pb").write_bytes(graph)
    with pytest.raises(BottleheadError, match=r"g\.pb: a frozen graph that needs"):
        FrozenGraph(tmp_path / "g.pb").fingerprint()


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf's wire format that holds bytes; up to 127 of them."""
    return bytes([number << 3 | 2, len(content)]) + content


def node(name: str, op: str, *inputs: str) -> bytes:
    return field(1, name.encode()) + field(2, op.encode()) + b"".join(field(3, i.encode()) for i in inputs)


@pytest.mark.parametrize(
    "attribute",
    [
        b"",  # no key
        b"\x08\x80\x80\x80\x80\x80\x80\x80\x01",  # a number in the place of the key
        field(1, b"shape") + b"\x10\x07",  # a number in the place of the value
        field(1, b"shape") + field(2, field(7, b"\x10\x01")),  # one in the place of a dimension
        field(1, b"shape") + field(2, field(7, field(2, field(1, b"9")))),  # bytes in the place of a size
    ],
)
def test_a_damaged_attribute_is_found_when_the_graph_is_read(attribute, tmp_path):
    data = field(1, node("x", "Placeholder") + field(5, attribute))
    with pytest.raises(ValueError, match="damaged or no GraphDef"):
        read_graph(data)
    (tmp_path / "g.pb").write_bytes(data)
    with pytest.raises(WeightsError, match=r"g\.pb is no frozen graph: it is damaged"):
        FrozenGraph(tmp_path / "g.pb").fingerprint()


@given(st.binary(max_size=60))
def test_any_bytes_are_an_attribute_or_a_value_error(data):
    one = Node("x", "Const", (), {"shape": memoryview(data), "value": memoryview(field(8, data))})
    for read in (one.shape, one.floats):
        try:
            read()
        except ValueError:
            pass


def test_one_number_does_not_fill_the_memory():
    shape = field(2, b"\x08\xff\xff\xff\xff\x7f") * 2
    value = b"\x08\x01" + field(2, shape) + field(4, np.float32(1).tobytes())
    with pytest.raises(ValueError, match=r"has 1,180,.* values; at most"):
        Node("w", "Const", (), {"value": memoryview(field(8, value))}).floats()
