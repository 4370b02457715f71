"""What a graph does besides computing: operations that write, read or remember, found before anything runs.

A graph is a program, and the one in a ``.pb`` file is somebody else's. Between pixels and a vector it has nothing to
do but arithmetic; an operation that touches files, starts Python, prints, draws random numbers or keeps a state is
refused, also where it only has to run *before* another one (a control input), or sits in a function of the graph.
"""

import re
from collections.abc import Iterator
from typing import Any

from featurize.errors import WeightsError

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


def check_effects(definition: Any, output: str, entry: str | None = None) -> None:
    """Refuse a graph of which running the way to `output` would do more than compute.

    Parameters
    ----------
    definition : GraphDef
    output : str
        The tensor, or node, that is to be computed.
    entry : str, optional
        The tensor that is given from outside; nothing behind it runs.

    Raises
    ------
    WeightsError
        Naming the first operation that is refused.
    """
    from tensorflow.python.framework import op_def_registry

    for node in _running(definition, output, entry):
        described = op_def_registry.get(node.op)
        if VARIABLES.fullmatch(node.op):
            raise WeightsError(
                f"its variables are not frozen, such as {node.name} ({node.op}): their values are not in the file",
                "give a graph whose variables were made constants, as freeze_graph or retrain.py writes it",
            )
        stateful = described is not None and described.is_stateful and not HARMLESS.fullmatch(node.op)
        if stateful or REACHING_OUT.fullmatch(node.op):
            raise WeightsError(
                f"it does more than compute: {node.name} is the operation {node.op}",
                "nothing of it was run; a graph that only turns pixels into numbers is needed: read another tensor, or "
                "write the graph again without that operation",
            )


def _running(definition: Any, output: str, entry: str | None) -> Iterator[Any]:
    """Every node that runs for `output`, in the graph and in the functions that it calls."""
    nodes = {node.name: node for node in definition.node}
    functions = {function.signature.name: function for function in definition.library.function}
    called: list[str] = []
    seen, pending = set(), [output]
    while pending:
        tensor = pending.pop()
        name = tensor.removeprefix("^").partition(":")[0]
        if name in seen or name not in nodes or (entry is not None and _same(tensor, entry)):
            continue
        seen.add(name)
        pending += nodes[name].input
        called += _functions_of(nodes[name])
        yield nodes[name]
    entered = set()
    while called:
        name = called.pop()
        if name in functions and name not in entered:
            entered.add(name)
            for node in functions[name].node_def:
                called += _functions_of(node)
                yield node


def _functions_of(node: Any) -> list[str]:
    """The names of functions that a node may call: as its operation, or in its attributes."""
    names = [node.op]
    for value in node.attr.values():
        names += [value.func.name, *(function.name for function in value.list.func)]
    return names


def _same(tensor: str, other: str) -> bool:
    """``name`` is ``name:0``; ``^name`` orders nodes and is no tensor."""
    return tensor == other or f"{tensor}:0" == other
