"""Several frozen graphs as one, in which the same work is done once.

Each graph was optimised for its own output, so that its vector comes from the same operations whatever else is
computed. Two nodes that apply the same operation to the same inputs give the same numbers: they become one, and
graphs of one network share all but their ends.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from featurize.errors import WeightsError


def join_graphs(definitions: Sequence[Any], entry: str, end: str) -> tuple[Any, list[str]]:
    """One GraphDef with one input and an output per graph.

    Parameters
    ----------
    definitions : sequence of GraphDef
        Each with a placeholder called `entry` and an output node called `end`; the first one is extended.
    entry, end : str

    Returns
    -------
    joined : GraphDef
    outputs : list of str
        The name of each graph's output node; graphs that are all the same share one.

    Raises
    ------
    WeightsError
        If there are several graphs, and one has a loop (TensorFlow 1's ``while_loop``).
    """
    joined, *others = definitions
    if not others:
        return joined, [end]
    known: dict[tuple, str] = {}
    _absorb(joined, "", known, None)
    outputs = [end]
    for number, definition in enumerate(others, 1):
        names = _absorb(definition, f"{number}/", known, joined)
        outputs.append(names[end])
    return joined, outputs


def _absorb(definition: Any, prefix: str, known: dict[tuple, str], target: Any) -> dict[str, str]:
    """Add to `target` the nodes that are not `known`; the new name of each node by its old one."""
    names: dict[str, str] = {}
    for node in _in_order(definition):
        inputs = tuple(_renamed(text, names) for text in node.input)
        # A placeholder has no inputs and no value: its name is what it is.
        own = node.name if node.op == "Placeholder" else ""
        key = (node.op, own, node.device, _digest_of_attributes(node), inputs)
        names[node.name] = known.setdefault(key, prefix + node.name)
        if target is not None and names[node.name] == prefix + node.name:
            copy = target.node.add()
            copy.CopyFrom(node)
            copy.name = prefix + node.name
            del copy.input[:]
            copy.input.extend(inputs)
    return names


def _in_order(definition: Any) -> list[Any]:
    """The nodes, each after its inputs."""
    nodes = {node.name: node for node in definition.node}
    ordered: dict[str, Any] = {}
    entered: set[str] = set()
    pending = list(reversed(nodes))
    while pending:
        name = pending[-1]
        missing = [one for one in map(_node_of, nodes[name].input) if one not in ordered]
        if name in ordered or not missing:
            ordered.setdefault(name, nodes[name])
            pending.pop()
        elif name in entered:
            raise WeightsError(
                f"the graph goes round in a loop (at {name}), of which only one tensor can be read in a run",
                "extract its features one by one into the same store; then all of them are found there",
            )
        else:
            entered.add(name)
            pending += missing
    return list(ordered.values())


def _digest_of_attributes(node: Any) -> str:
    digest = hashlib.sha256()
    for name in sorted(node.attr):
        digest.update(name.encode() + b"\0" + node.attr[name].SerializeToString(deterministic=True))
    return digest.hexdigest()


def _node_of(text: str) -> str:
    """``^name`` and ``name:1`` are inputs from the node ``name``."""
    return text.removeprefix("^").partition(":")[0]


def _renamed(text: str, names: dict[str, str]) -> str:
    node = _node_of(text)
    return text.replace(node, names[node], 1)
