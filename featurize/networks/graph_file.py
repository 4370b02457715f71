"""Frozen graphs that many people own, recognised by the names of their operations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from featurize.extractors.graphdef import Node

Graph = Mapping[str, Node]
# retrain.py put the layer that it trained under this name, and later under the other.
TRAINED = ("final_training_ops/", "final_retrain_ops/")
PASSING = ("Identity", "PlaceholderWithDefault", "StopGradient", "CheckNumerics")


@dataclass(frozen=True)
class KnownGraph:
    """Where pixels enter a graph and where its vector is read; None where that is not known.

    Attributes
    ----------
    what : str
        For people: what the graph is.
    input, output : str or None
        Tensors, as ``name:number``.
    size : int or None
        Side of the square input, in pixels.
    mean, std : float or None
        Pixels enter as (RGB - mean) / std.
    """

    what: str
    input: str | None = None
    output: str | None = None
    size: int | None = None
    mean: float | None = None
    std: float | None = None


# The operation that gives a graph away, and what is then known.
MARKS = {
    "pool_3/_reshape": KnownGraph(
        "Google's Inception v3 of 2015-12-05", "Mul:0", "pool_3/_reshape:0", 299, 128.0, 128.0
    ),
    "MobilenetV1/Logits/AvgPool_1a/AvgPool": KnownGraph(
        "MobileNet v1", "input:0", "MobilenetV1/Logits/AvgPool_1a/AvgPool:0", None, 127.5, 127.5
    ),
    "InceptionV3/Logits/AvgPool_1a_8x8/AvgPool": KnownGraph(
        "Inception v3 of TensorFlow-Slim",
        "input:0",
        "InceptionV3/Logits/AvgPool_1a_8x8/AvgPool:0",
        299,
        127.5,
        127.5,
    ),
}


@dataclass(frozen=True)
class TrainedLayer:
    """The layer that retrain.py trained: softmax(features @ weights + biases).

    Attributes
    ----------
    features : str
        The tensor that it takes.
    weights, biases : str
        The names of its constants.
    """

    features: str
    weights: str
    biases: str


def recognise(graph: Graph) -> KnownGraph:
    """What is known about a graph; the size of its input from the graph itself."""
    known = next((known for mark, known in MARKS.items() if mark in graph), KnownGraph("a frozen graph"))
    if known.input and known.input.partition(":")[0] not in graph:
        known = replace(known, input=None)
    if known.input is None:
        known = replace(known, input=_only_placeholder(graph))
    if known.input and known.size is None:
        known = replace(known, size=_side(graph, known.input))
    layer = trained_layer(graph)
    if layer is not None:
        known = replace(known, what=f"{known.what}, retrained by retrain.py", output=layer.features)
    return known


def trained_layer(graph: Graph) -> TrainedLayer | None:
    """The layer that retrain.py trained; None if there is none."""
    for node in graph.values():
        if node.op == "MatMul" and node.name.startswith(TRAINED) and len(node.inputs) > 1:
            add = next(
                (n for n in graph.values() if n.op in ("Add", "AddV2", "BiasAdd") and node.name in n.inputs),
                None,
            )
            weights = _constant(graph, node.inputs[1])
            biases = _constant(graph, next((t for t in add.inputs if t != node.name), "")) if add else None
            if weights and biases:
                return TrainedLayer(_source(graph, node.inputs[0]), weights, biases)
    return None


def candidates(graph: Graph) -> tuple[list[str], list[str]]:
    """Tensors that might be the input, and those that might be the vector, the deepest first."""
    inputs = [f"{n.name}:0" for n in graph.values() if n.op == "Placeholder"]
    ends = (
        "AvgPool",
        "Mean",
        "Squeeze",
        "Reshape",
        "MatMul",
        "Relu",
        "Relu6",
        "ConcatV2",
        "Concat",
        "BiasAdd",
    )
    outputs = [f"{n.name}:0" for n in reversed(list(graph.values())) if n.op in ends]
    return inputs, outputs


def _source(graph: Graph, tensor: str) -> str:
    """The tensor before all that only passes it on; in a damaged graph that may be a circle, or come from nowhere."""
    name, seen = tensor.partition(":")[0], set()
    while name in graph and name not in seen and graph[name].op in PASSING and graph[name].inputs:
        seen.add(name)
        tensor = graph[name].inputs[0]
        name = tensor.partition(":")[0]
    return tensor if ":" in tensor else f"{tensor}:0"


def _constant(graph: Graph, tensor: str) -> str | None:
    name = _source(graph, tensor).partition(":")[0]
    return name if name in graph and graph[name].op == "Const" else None


def _only_placeholder(graph: Graph) -> str | None:
    images = [n.name for n in graph.values() if n.op == "Placeholder" and len(n.shape() or []) == 4]
    return f"{images[0]}:0" if len(images) == 1 else None


def _side(graph: Graph, tensor: str) -> int | None:
    node = graph.get(tensor.partition(":")[0])
    shape = (node.shape() if node else None) or []
    return shape[1] if len(shape) == 4 and shape[1] == shape[2] and shape[1] > 0 else None
