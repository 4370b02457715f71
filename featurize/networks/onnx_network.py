"""ONNX files as extractors: read without running anything, cut at one output, and run by OpenVINO or onnxruntime."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from featurize.errors import UsageError, WeightsError, installing, message_of
from featurize.networks.engines import INPUT, output_names
from featurize.networks.network_file import NetworkFile
from featurize.networks.weights import what_it_is

LARGEST = 2**31  # bytes of a network with its numbers: protobuf ends there
NAMES_SHOWN = 12
# These draw numbers: the vector of a photo would be another one each time.
DRAWING = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
}
# Of these, what comes out has the shape (n, channels, height, width), and so have all that keep its axes.
CHANNELS_FIRST = {
    "Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool",
    "GlobalMaxPool", "GlobalLpPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN",
    "DepthToSpace", "SpaceToDepth",
}  # fmt: skip
NEW_AXES = {"Reshape", "Einsum", "Expand", "Squeeze", "Unsqueeze", "If", "Loop", "Scan"}
# How the names of what is added to a network begin, and then those that it had.
OURS, THEIRS = "featurize/", "network/"


class OnnxNetwork(NetworkFile):
    """A vector read in a network of an ONNX file.

    Photos enter as float32 of shape (1, 3, size, size) or (1, size, size, 3), whichever the file declares. Every node
    is an operator of ONNX itself; an operator of anyone else is refused, and nothing in the file is ever executed but
    these. Files with external data must lie with it in one folder.

    Parameters
    ----------
    file : str or path
        The ``.onnx`` file.
    output : str, optional
        The output, or any tensor inside; by default the only output.
    size : int, optional
        Side of the square input, where the file leaves it open.
    mean, std : float or sequence of three, optional
        Pixels enter as (RGB / 255 - mean) / std.
    scaling : str, optional
        Instead: ``"tf"`` (-1 to 1), ``"torch"`` (ImageNet's mean and std), ``"caffe"``, ``"none"`` (0 to 255).
    pool : {"avg", "max", "class", "patches"}, optional
        What becomes of an output with an area, or of a transformer's tokens: mean (default) or maximum over all of
        them, the first token, or the mean of the others.
    precision, preprocess, batch_size, store, region
        See `featurize.networks.keras_network.Backbone`; precision float32, with OpenVINO also bfloat16 and int8.
    engine : {"auto", "openvino", "onnxruntime"}, default "auto"
        By default OpenVINO, where it is installed.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or holds what is refused; raised at first use, not here.
    UsageError
        If size, scaling or output are neither given nor in ``FILE.onnx.json`` nor in the file, or do not fit.
    """

    family = "FILE.onnx"
    ending = ".onnx"
    engines = ("openvino", "onnxruntime")
    _looked_at: "tuple[Any, OnnxFile] | None" = None
    poolings: ClassVar = {
        "avg": "mean over the area or the tokens",
        "max": "maximum over the area or the tokens",
        "class": "the first token",
        "patches": "mean over the tokens but the first",
    }

    def __init__(
        self,
        file: str | os.PathLike,
        output: str | None = None,
        size: int | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        scaling: str | None = None,
        pool: str | None = None,
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        engine: str = "auto",
        region: str | None = None,
    ):
        own = (size, mean, std, scaling, pool, precision, preprocess, batch_size, store, engine, region)
        super().__init__(file, output, *own)

    @property
    def engine(self) -> str:
        """What runs it: the one that is named, else the first of `engines` that is installed."""
        if self._engine != "auto":
            return self._engine
        installed = [name for name in self.engines if find_spec(name) is not None]
        if not installed:
            raise UsageError(
                "neither OpenVINO nor onnxruntime is installed, and one of them runs ONNX files",
                f"{installing('onnx')}, or '.[openvino]' there beside the package onnx",
            )
        return installed[0]

    @engine.setter
    def engine(self, name: str) -> None:
        self._engine = name

    def _read(self) -> "OnnxFile":
        if self._looked_at is None or self._looked_at[0] != self.file:
            found = _onnx_file(str(self.path()), self._sha256())
            if any(_stamp(place) != stamp for place, stamp in found.stamps.items()):
                _onnx_file.cache_clear()
                found = _onnx_file(str(self.path()), self._sha256())
            self._looked_at = self.file, found
        return self._looked_at[1]

    def digests(self) -> list[str]:
        return [self._sha256(), *self._read().external_digests]

    def declared_side(self) -> int | None:
        return self._read().side

    @property
    def end(self) -> str:
        return self._read().checked_output(self.setting("output"))

    def scales(self) -> tuple[str, list[float], list[float]]:
        scales = super().scales()
        if self._read().whole and scales[0] != "none":
            raise UsageError(
                f"{self.file} takes whole numbers, and scaled pixels are none",
                f"give {self.path().name}:scaling=none (0 to 255); such a network scales pixels itself",
            )
        return scales

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        ends = [(extractor.end, extractor.setting("pool") or "avg") for extractor in group]
        return self._read().cut(ends, self.side)

    def libraries(self) -> tuple[str, ...]:
        return (*super().libraries(), "onnx")


@lru_cache(maxsize=2)
def _onnx_file(path: str, digest: str) -> "OnnxFile":
    return OnnxFile(Path(path))


def _stamp(place: Path) -> tuple[int, int] | None:
    """What changes with an external file."""
    try:
        status = place.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


class OnnxFile:
    """An ONNX file with its external data, after a look at all that is in it; WeightsError if it is refused."""

    def __init__(self, path: Path):
        if find_spec("onnx") is None:
            raise UsageError("ONNX files are read with the package onnx", installing("onnx"))
        import onnx

        self.path = path
        self.stamps: dict[Path, tuple[int, int] | None] = {}  # of external files
        try:
            if path.stat().st_size >= LARGEST:
                raise self._refused("it is larger than 2 GB")
            data = path.read_bytes()
            model = onnx.load_model_from_string(data)
        except WeightsError:
            raise
        except Exception as error:  # protobuf has kinds of its own
            raise self._refused(f"it is {_what(path)}") from error
        if not model.graph.node:
            raise self._refused(f"it is {_what(path)}")
        self.external_digests = self._take_in(model)
        if model.functions:
            from onnx import inliner

            model = inliner.inline_local_functions(model)
        self._refuse_operators(model)
        try:
            onnx.checker.check_model(model)
            self.model = onnx.shape_inference.infer_shapes(model)
        except Exception as error:
            raise self._refused(message_of(error, 160)) from error
        given = {one.name for one in model.graph.initializer}
        inputs = [one for one in model.graph.input if one.name not in given]
        if len(inputs) != 1:
            raise self._refused(f"it has {len(inputs)} inputs, and photos enter at one")
        self.entry = inputs[0]
        shape = _shape(self.entry) or []
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise self._refused(f"its input {self.entry.name} has the shape {shape}, which is no RGB photo")
        kind = onnx.TensorProto.DataType.Name(self.entry.type.tensor_type.elem_type)
        self.whole = kind.removeprefix("U") in ("INT16", "INT32", "INT64") or kind == "UINT8"
        if not self.whole and kind not in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"):
            raise self._refused(f"its input {self.entry.name} takes {kind}, which no pixel is")
        self.channels_first = shape[1] == 3
        sides = shape[2:] if self.channels_first else shape[1:3]
        if None not in sides and sides[0] != sides[1]:
            raise self._refused(f"its input of {sides[1]} x {sides[0]} pixels is no square")
        self.side = sides[0]

    def _refused(self, why: str) -> WeightsError:
        return WeightsError(
            f"{self.path} is not used: {why}",
            "give a network of ONNX's own operators, with one input for photos, exported for inference",
        )

    def _take_in(self, model: Any) -> list[str]:
        """Put the numbers of external files into the model; the digests of these files, each once."""
        digests: dict[str, str] = {}
        folder = self.path.parent
        total = 0
        for tensor in _tensors(model):
            if tensor.data_location != tensor.EXTERNAL:
                continue
            about = {entry.key: entry.value for entry in tensor.external_data}
            location = about.get("location", "")
            place = folder / location
            parts = Path(location).parts
            if (
                not parts
                or Path(location).is_absolute()
                or ".." in parts
                or "\\" in location
                or ":" in location
            ):
                raise self._refused(f"its external data is at {location!r}, outside its folder")
            if not place.resolve().is_relative_to(folder.resolve()) or not place.is_file():
                raise self._refused(f"its external data {location!r} is no file in its folder")
            try:
                offset, size = int(about.get("offset", 0)), place.stat().st_size
                length = int(about.get("length", size - offset))
                wanted = _n_bytes(tensor)
            except (ValueError, TypeError, KeyError) as error:
                raise self._refused(
                    f"what it says of the external data of {tensor.name} is no number"
                ) from error
            total += length
            self.stamps[place] = _stamp(place)
            if min(offset, length) < 0 or offset + length > size or length != wanted or total >= LARGEST:
                raise self._refused(
                    f"its external data {location} does not hold the {wanted} bytes of {tensor.name}"
                )
            with open(place, "rb") as stream:
                if location not in digests:
                    digests[location] = sha256(stream.read()).hexdigest()
                stream.seek(offset)
                tensor.raw_data = stream.read(length)
            del tensor.external_data[:]
            tensor.data_location = tensor.DEFAULT
        return [digests[location] for location in sorted(digests)]

    def _refuse_operators(self, model: Any) -> None:
        for node in _nodes(model.graph):
            if node.domain not in ("", "ai.onnx"):
                raise self._refused(f"it has an operator of its own, {node.domain}.{node.op_type}")
            if node.op_type in DRAWING:
                raise self._refused(
                    f"its operator {node.op_type} draws numbers, so that no vector comes twice"
                )

    def checked_output(self, name: str | None) -> str:
        """The tensor that is read; UsageError, with the outputs there are, where that is not known."""
        outputs = [one.name for one in self.model.graph.output]
        inner = {name for node in self.model.graph.node for name in node.output if name}
        if isinstance(name, str) and name in inner:
            return name
        if name is None and len(outputs) == 1:
            return outputs[0]
        said = f"has {len(outputs)} outputs" if name is None else f"has no output or tensor {name}"
        more = f"; tensors inside are {', '.join(sorted(inner)[:NAMES_SHOWN])} and others" if name else ""
        hint = f"write {self.path.name}:OUTPUT; the outputs are {', '.join(outputs)}{more}"
        raise UsageError(f"{self.path} {said}", hint)

    def cut(self, ends: Sequence[tuple[str, str]], side: int) -> bytes:
        """The network from pixels (n, side, side, 3) to the ends, pooled, under the names of frozen graphs."""
        from onnx import TensorProto, compose, helper

        # Theirs may have our names, such as x.
        model = compose.add_prefix(self.model, THEIRS)
        graph = model.graph
        version = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
        first = []
        pixels = INPUT
        if self.channels_first:
            first.append(helper.make_node("Transpose", [INPUT], [f"{OURS}first"], perm=[0, 3, 1, 2]))
            pixels = f"{OURS}first"
        kind = self.entry.type.tensor_type.elem_type
        first.append(helper.make_node("Cast", [pixels], [THEIRS + self.entry.name], to=kind))
        last: list[Any] = []
        for (end, pool), output in zip(ends, output_names(len(ends)), strict=True):
            last += self._pooled(THEIRS + end, pool, output, graph, version)
        nodes = [*first, *graph.node, *last]
        constants = list(graph.initializer)
        vectors = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", None])
            for output in output_names(len(ends))
        ]
        entry = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", side, side, 3])
        cut = helper.make_graph(nodes, "featurize", [entry], vectors, constants)
        cut.sparse_initializer.extend(graph.sparse_initializer)
        made = helper.make_model(cut, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        return made.SerializeToString()

    def _area(self, end: str) -> list[int]:
        """The axes of a tensor's area, which layers before it may have moved; UsageError where that is not known."""
        graph = self.model.graph
        made_by = {name: node for node in graph.node for name in node.output}
        known = {one.name: _shape(one) or [] for one in (*graph.input, *graph.value_info, *graph.output)}
        # Where each axis of `end` is in the tensor that is looked at.
        axes, name = [0, 1, 2, 3], end
        while name in made_by and made_by[name].op_type not in CHANNELS_FIRST | NEW_AXES:
            node = made_by[name]
            if node.op_type == "Transpose":
                moved = [list(one.ints) for one in node.attribute if one.name == "perm"] or [[3, 2, 1, 0]]
                axes = [moved[0][axis] for axis in axes]
            name = next((one for one in node.input if len(known.get(one, ())) == 4), "")
        first = self.channels_first
        if name in made_by and made_by[name].op_type in CHANNELS_FIRST:
            first = True
        elif name != self.entry.name:
            raise UsageError(
                f"which axes of the tensor {end} of {self.path} are its area is not known",
                "read an output of shape (n, width) or (n, tokens, width), or the tensor of a convolution",
            )
        area = (2, 3) if first else (1, 2)
        return [number for number, axis in enumerate(axes) if axis in area]

    def _pooled(self, end: str, pool: str, output: str, graph: Any, version: int) -> Iterator[Any]:
        """Nodes from a tensor to one vector per photo."""
        from onnx import TensorProto, helper

        known = {one.name: one for one in (*graph.value_info, *graph.output)}
        shape = _shape(known[end]) if end in known else None
        if shape is None or len(shape) not in (2, 3, 4):
            raise UsageError(
                f"the tensor {end.removeprefix(THEIRS)} of {self.path} has the shape {shape}, which is no vector",
                "read an output of shape (n, width), (n, tokens, width), or with an area",
            )
        if pool in ("class", "patches") and len(shape) != 3:
            raise UsageError(
                f"the tensor {end.removeprefix(THEIRS)} of {self.path} has no tokens for pool={pool}",
                "leave pool out, or read an output of shape (n, tokens, width)",
            )
        mine = f"{OURS}{output}/"
        last = end
        if pool == "patches":
            bounds = [("starts", [1]), ("ends", [2**31 - 1]), ("axes", [1])]
            for name, values in bounds:
                graph.initializer.append(helper.make_tensor(mine + name, TensorProto.INT64, [1], values))
            yield helper.make_node("Slice", [last, *(mine + name for name, _ in bounds)], [mine + "patches"])
            last = mine + "patches"
        if pool == "class":
            graph.initializer.append(helper.make_tensor(mine + "index", TensorProto.INT64, [], [0]))
            yield helper.make_node("Gather", [last, mine + "index"], [mine + "pooled"], axis=1)
            last = mine + "pooled"
        elif len(shape) > 2:
            axes = [1] if len(shape) == 3 else self._area(end.removeprefix(THEIRS))
            reduce = "ReduceMax" if pool == "max" else "ReduceMean"
            if version >= 18:
                graph.initializer.append(
                    helper.make_tensor(mine + "over", TensorProto.INT64, [len(axes)], axes)
                )
                yield helper.make_node(reduce, [last, mine + "over"], [mine + "pooled"], keepdims=0)
            else:
                yield helper.make_node(reduce, [last], [mine + "pooled"], axes=axes, keepdims=0)
            last = mine + "pooled"
        yield helper.make_node("Cast", [last], [output], to=TensorProto.FLOAT)


def _what(path: Path) -> str:
    with open(path, "rb") as stream:
        what = what_it_is(stream.read(512))
    return "no ONNX network, or a damaged one" if what.startswith("something") else what


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, also those in the branches and bodies of others."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(model: Any) -> Iterator[Any]:
    """All tensors that hold numbers: constants of the graph, and attributes of nodes, wherever these are."""

    def of_graph(graph: Any) -> Iterator[Any]:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        yield from of_nodes(graph.node)

    def of_nodes(nodes: Any) -> Iterator[Any]:
        for node in nodes:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
                for inner in (attribute.g, *attribute.graphs):
                    yield from of_graph(inner)

    yield from of_graph(model.graph)
    for function in model.functions:
        yield from of_nodes(function.node)


def _n_bytes(tensor: Any) -> int:
    from onnx import helper

    count = 1
    for length in tensor.dims:
        count *= length
    return count * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _shape(value: Any) -> list[int | None] | None:
    """The declared shape of a tensor, None for sides that may be any, and for a shape that is not known."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [
        one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None for one in kind.shape.dim
    ]
