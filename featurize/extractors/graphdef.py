"""What a frozen graph (a ``.pb`` file) consists of, read without tensorflow.

The file is a GraphDef in protobuf's wire format: a list of nodes, each with a name, an operation, inputs and
attributes (``tensorflow/core/framework/graph.proto``, ``node_def.proto``, ``tensor.proto``).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOAT = 1  # DT_FLOAT
LARGEST = 1 << 28  # values of a constant; a file can name any shape and give one number for all of it
VARINT, EIGHT_BYTES, MESSAGE, FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True)
class Node:
    """One node of a graph.

    Attributes
    ----------
    name, op : str
    inputs : tuple of str
        ``name`` or ``name:number``; ``^name`` orders two nodes and carries nothing.
    attributes : dict of str to memoryview
        Still encoded.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, memoryview]

    def shape(self) -> list[int] | None:
        """The attribute ``shape``, with -1 for what is open; None if it is not there."""
        with _damage_named():
            for number, value in _fields(self.attributes.get("shape", memoryview(b""))):
                if number == 7:
                    return _shape(value)
        return None

    def floats(self) -> np.ndarray:
        """The value of a float32 constant.

        Raises
        ------
        ValueError
            If it holds something else.
        """
        with _damage_named():
            for number, value in _fields(self.attributes.get("value", memoryview(b""))):
                if number == 8:
                    return _floats(value)
        raise ValueError(f"{self.name} is no constant")


def read_graph(data: bytes) -> dict[str, Node]:
    """The nodes of a GraphDef by name, in the order of the file.

    Raises
    ------
    ValueError
        If `data` is no GraphDef.
    """
    nodes: dict[str, Node] = {}
    with _damage_named():
        for number, value in _fields(memoryview(data)):
            if number == 1:
                node = _node(value)
                node.shape()  # so that nobody who asks for it later has to expect damage
                nodes[node.name] = node
    if not nodes or any(not node.op for node in nodes.values()):
        raise ValueError("it holds no nodes")
    return nodes


@contextmanager
def _damage_named() -> Iterator[None]:
    """Whatever the bytes of a damaged or hostile file lead to, as a ValueError."""
    try:
        yield
    except (LookupError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"it is damaged or no GraphDef ({error})") from error


def _node(data: memoryview) -> Node:
    name, op, inputs, attributes = "", "", [], {}
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            op = _text(value)
        elif number == 3:
            inputs.append(_text(value))
        elif number == 5:
            entry = dict(_fields(value))
            attributes[_text(entry[1])] = entry.get(2, memoryview(b""))
    return Node(name, op, tuple(inputs), attributes)


def _text(value: Any) -> str:
    """UTF-8; TypeError for a number, of which `bytes` would make so many zeros."""
    return str(value, "utf-8")


def _shape(data: memoryview) -> list[int]:
    sizes = []
    for number, value in _fields(data):
        if number == 2:
            size = dict(_fields(value)).get(1, 0)
            sizes.append(size - (1 << 64) if size >= 1 << 63 else size)
    return sizes


def _floats(data: memoryview) -> np.ndarray:
    kind, shape, content, packed = 0, [], memoryview(b""), bytearray()
    for number, value in _fields(data):
        if number == 1:
            kind = value
        elif number == 2:
            shape = _shape(value)
        elif number == 4:
            content = value
        elif number == 5:
            packed += value
    if kind != FLOAT:
        raise ValueError("the constant is not float32")
    values = np.frombuffer(content or packed, dtype="<f4")
    size = math.prod(shape)
    if size > LARGEST:
        raise ValueError(f"the constant has {size:,} values; at most {LARGEST:,} are read")
    if len(values) == 1 or len(values) == size:
        return np.broadcast_to(values, size).reshape(shape).astype(np.float32)
    raise ValueError(f"the constant holds {len(values)} of {size} values")


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: bytes, or an integer for a varint."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value: Any
            value, place = _varint(data, place)
        else:
            if kind == MESSAGE:
                size, place = _varint(data, place)
            elif kind in (EIGHT_BYTES, FOUR_BYTES):
                size = 8 if kind == EIGHT_BYTES else 4
            else:
                raise IndexError(f"field of kind {kind} at byte {place}")
            if place + size > len(data):
                raise IndexError(f"cut off at byte {place}")
            value, place = data[place : place + size], place + size
        yield number, value


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:
            return value, place
        if shift > 63:
            raise IndexError(f"a number without end at byte {place}")
