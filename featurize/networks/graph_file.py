"""Frozen graphs (``.pb`` files): their nodes, what they do besides computing, and those that many people own."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featurize.errors import WeightsError
from featurize.files import check_unpacked

FLOAT = 1  # DT_FLOAT
LARGEST = 1 << 28  # values that an operation may compute of constants

Graph = Mapping[str, Any]  # NodeDef messages by name
FROZEN = "/convolution/ReadVariableOp"  # behind the name of a layer, where Keras' kernels become constants


def read_graph(data: bytes) -> dict[str, Any]:
    """The nodes of a GraphDef by name, in the order of the file, read without TensorFlow; ValueError if it is none."""
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.graph_pb2 import GraphDef

    try:
        definition = GraphDef.FromString(data)
    except DecodeError as error:
        raise ValueError(f"it is damaged or no GraphDef ({error})") from error
    nodes = {node.name: node for node in definition.node}
    if not nodes or any(not node.op for node in nodes.values()):
        raise ValueError("it holds no nodes")
    return nodes


def node_shape(node: Any) -> list[int] | None:
    """The attribute ``shape`` of a node, with -1 for what is open; None if it is not there."""
    # Asking a protobuf map for a key that it lacks would add it.
    if "shape" not in node.attr or not node.attr["shape"].HasField("shape"):
        return None
    return [dimension.size for dimension in node.attr["shape"].shape.dim]


def constant_values(node: Any) -> np.ndarray:
    """The value of a float32 constant; ValueError if it holds something else."""
    if "value" not in node.attr or not node.attr["value"].HasField("tensor"):
        raise ValueError(f"{node.name} is no constant")
    tensor = node.attr["value"].tensor
    if tensor.dtype != FLOAT:
        raise ValueError("the constant is not float32")
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    content = tensor.tensor_content
    values = np.frombuffer(content, "<f4") if content else np.array(tensor.float_val, "<f4")
    size = math.prod(shape)
    # A file can name any shape and give one number for all of it.
    check_unpacked(4 * size, node.ByteSize())
    if len(values) == 1 or len(values) == size:
        return np.broadcast_to(values, size).reshape(shape).astype(np.float32)
    raise ValueError(f"the constant holds {len(values)} of {size} values")


def empty_kernels(nodes: Graph, output: str) -> list[str]:
    """The constants on the way to `output` that have two dimensions or more and hold nothing but zeros.

    Weights that were never filled in make vectors poorer, and nothing else shows it.
    """
    found: list[str] = []
    seen, pending = set(), [output]
    while pending:
        name = pending.pop().removeprefix("^").partition(":")[0]
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        pending += node.input
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        # As they stand: one zero may stand for all of them.
        values = np.frombuffer(tensor.tensor_content, "<f4") if tensor.tensor_content else tensor.float_val
        if tensor.dtype == FLOAT and len(tensor.tensor_shape.dim) > 1 and not np.any(values):
            found.append(name)
    return sorted(found)


def remarks_on_weights(nodes: Graph, outputs: Sequence[str], family: str) -> list[str]:
    """What is wrong with the weights behind the `outputs` of a network: one sentence, or none."""
    empty = sorted({kernel for output in outputs for kernel in empty_kernels(nodes, output)})
    if not empty:
        return []
    earlier = ", such as inception_v3:mixed8," * (family == "inception_v3")
    hold = "holds" if len(empty) == 1 else "hold"
    return [
        f"{len(empty)} of the kernels in its weights {hold} nothing but zeros "
        f"(the first is {empty[0].removesuffix(FROZEN)}): the file is incomplete for this layer, and the "
        f"vectors are poorer than the network's; read an earlier layer{earlier} or use other weights"
    ]


# -- What a graph does besides computing, found before anything runs ---
# A graph is a program, and the one in a ``.pb`` file is somebody else's. Between pixels and a vector it has nothing to
# do but arithmetic; an operation that touches files, starts Python, prints, draws random numbers or keeps a state is
# refused, also where it only has to run *before* another one (a control input), or sits in a function of the graph.

VARIABLES = re.compile(
    r"Variable(V2)?|VarHandleOp|\w*ReadVariable\w*|TemporaryVariable|\w*Is\w*Initialized\w*"
)
# TensorFlow calls these stateful, because they may stop the run or hold what lives no longer than the run does; the
# last four run functions of the graph, which are looked through themselves.
HARMLESS = re.compile(r"Assert|CheckNumerics(V2)?|TensorArray\w*|While|If|Case|StatefulPartitionedCall")
# TensorFlow calls these stateless, because they give the same result every time.
REACHING_OUT = re.compile(
    r"\w*File\w*|PyFunc\w*|\w*Dataset\w*|Debug\w*|\w*CustomCall\w*|Reader\w*|\w*Vocab\w*"
)


def refuse_side_effects(definition: Any, outputs: Sequence[str], entry: str | None = None) -> None:
    """WeightsError if running a GraphDef from the tensor `entry` to `outputs` would do more than compute."""
    from tensorflow.python.framework import op_def_registry

    declared, size = 0, definition.ByteSize()
    for node in _running(definition, outputs, entry):
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            declared += 4 * math.prod(max(dimension.size, 0) for dimension in tensor.tensor_shape.dim)
            try:
                check_unpacked(declared, size)
                if tensor.dtype != node.attr["dtype"].type:  # some of these end TensorFlow's process
                    raise ValueError(f"{node.name} is of two types")
            except ValueError as error:
                raise WeightsError(
                    f"its constants are not what they say: {error}", "use another graph"
                ) from error
        if VARIABLES.fullmatch(node.op):
            raise WeightsError(
                f"its variables are not frozen, such as {node.name} ({node.op}): their values are not in the file",
                "give a graph whose variables were made constants, as freeze_graph or retrain.py writes it",
            )
        described = op_def_registry.get(node.op)
        stateful = described is not None and described.is_stateful and not HARMLESS.fullmatch(node.op)
        if stateful or REACHING_OUT.fullmatch(node.op):
            raise WeightsError(
                f"it does more than compute: {node.name} is the operation {node.op}",
                "nothing of it was run; a graph that only turns pixels into numbers is needed: read another tensor, or "
                "write the graph again without that operation",
            )


def _running(definition: Any, outputs: Sequence[str], entry: str | None) -> Iterator[Any]:
    """Every node that runs for `outputs`, in the graph and in the functions that it calls."""
    nodes = {node.name: node for node in definition.node}
    functions = {function.signature.name: function for function in definition.library.function}
    called: list[str] = []
    seen, pending = set(), list(outputs)
    while pending:
        tensor = pending.pop()
        name = tensor.removeprefix("^").partition(":")[0]
        # ``name`` is ``name:0``; ``^name`` orders nodes and is no tensor.
        if name in seen or name not in nodes or entry in (tensor, f"{tensor}:0"):
            continue
        seen.add(name)
        pending += nodes[name].input
        called += _functions_of(nodes[name])
        yield nodes[name]
    while called:
        # Each function once: `pop` takes it out of those that are left.
        function = functions.pop(called.pop(), None)
        for node in function.node_def if function is not None else []:
            called += _functions_of(node)
            yield node


def _functions_of(node: Any) -> list[str]:
    """The names of functions that a node may call: as its operation, or in its attributes."""
    names = [node.op]
    for value in node.attr.values():
        names += [value.func.name, *(function.name for function in value.list.func)]
    return names


# retrain.py put the layer that it trained under this name, and later under the other.
TRAINED = ("final_training_ops/", "final_retrain_ops/")
ADDING = ("Add", "AddV2", "BiasAdd")
PASSING = ("Identity", "PlaceholderWithDefault", "StopGradient", "CheckNumerics")


@dataclass(frozen=True)
class KnownGraph:
    """What is known about a graph: what it is, in words, and the arguments of `FrozenGraph`."""

    what: str
    input: str | None = None
    output: str | None = None
    size: int | None = None
    mean: float | None = None
    std: float | None = None


# The operation that gives a graph away, and what is then known.
INCEPTION, MOBILENET = "pool_3/_reshape", "MobilenetV1/Logits/AvgPool_1a/AvgPool"
SLIM = "InceptionV3/Logits/AvgPool_1a_8x8/AvgPool"
# What `classify export` writes calls its vector so; pixels enter as label_image.py of TensorFlow for Poets sends them.
EXPORTED, EXPORTED_MEAN = "bottlehead/vector", 127.5
MARKS = {
    EXPORTED: KnownGraph(
        "a network that `classify export` wrote",
        "input:0",
        f"{EXPORTED}:0",
        None,
        EXPORTED_MEAN,
        EXPORTED_MEAN,
    ),
    INCEPTION: KnownGraph(
        "Google's Inception v3 of 2015-12-05", "Mul:0", f"{INCEPTION}:0", 299, 128.0, 128.0
    ),
    MOBILENET: KnownGraph("MobileNet v1", "input:0", f"{MOBILENET}:0", None, 127.5, 127.5),
    SLIM: KnownGraph("Inception v3 of TensorFlow-Slim", "input:0", f"{SLIM}:0", 299, 127.5, 127.5),
}


@dataclass(frozen=True)
class TrainedLayer:
    """The layer that retrain.py trained, softmax(features @ weights + biases): a tensor, and names of constants."""

    features: str
    weights: str
    biases: str


def recognise(graph: Graph) -> KnownGraph:
    """What is known about a graph; the size of its input from the graph itself."""
    known = next((known for mark, known in MARKS.items() if mark in graph), KnownGraph("a frozen graph"))
    if known.input is None or known.input.partition(":")[0] not in graph:
        images = [n.name for n in graph.values() if n.op == "Placeholder" and len(node_shape(n) or []) == 4]
        known = replace(known, input=f"{images[0]}:0" if len(images) == 1 else None)
    if known.input and known.size is None:
        known = replace(known, size=_side(graph, known.input))
    layer = trained_layer(graph)
    if layer is not None:
        known = replace(known, what=f"{known.what}, retrained by retrain.py", output=layer.features)
    return known


def trained_layer(graph: Graph) -> TrainedLayer | None:
    """The layer that retrain.py trained; None if there is none."""
    for node in graph.values():
        if node.op == "MatMul" and node.name.startswith(TRAINED) and len(node.input) > 1:
            add = next((n for n in graph.values() if n.op in ADDING and node.name in n.input), None)
            weights = _constant(graph, node.input[1])
            biases = _constant(graph, next((t for t in add.input if t != node.name), "")) if add else None
            if weights and biases:
                return TrainedLayer(_source(graph, node.input[0]), weights, biases)
    return None


def candidates(graph: Graph) -> tuple[list[str], list[str]]:
    """Tensors that might be the input, and those that might be the vector, the deepest first."""
    inputs = [f"{n.name}:0" for n in graph.values() if n.op == "Placeholder"]
    ends = "AvgPool Mean Squeeze Reshape MatMul Relu Relu6 ConcatV2 Concat BiasAdd".split()
    outputs = [f"{n.name}:0" for n in reversed(list(graph.values())) if n.op in ends]
    return inputs, outputs


def _source(graph: Graph, tensor: str) -> str:
    """The tensor before all that only passes it on; in a damaged graph that may be a circle, or come from nowhere."""
    name, seen = tensor.partition(":")[0], set()
    while name in graph and name not in seen and graph[name].op in PASSING and graph[name].input:
        seen.add(name)
        tensor = graph[name].input[0]
        name = tensor.partition(":")[0]
    return tensor if ":" in tensor else f"{tensor}:0"


def _constant(graph: Graph, tensor: str) -> str | None:
    name = _source(graph, tensor).partition(":")[0]
    return name if name in graph and graph[name].op == "Const" else None


def _side(graph: Graph, tensor: str) -> int | None:
    node = graph.get(tensor.partition(":")[0])
    shape = (node_shape(node) if node else None) or []
    return shape[1] if len(shape) == 4 and shape[1] == shape[2] and shape[1] > 0 else None
