"""OpenVINO as the engine of frozen networks: the same graphs, somewhat faster on processors of the x86 family.

A kept network needs no TensorFlow at all then, whose import is the larger part of a start.
"""

import io
import os
import re
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from featurize.errors import UsageError, message_of
from featurize.networks.engines import Function, output_names

# What is not in 8 bits stays in float32.
HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
NETWORK, NUMBERS = (
    "network.xml",
    "network.bin",
)  # OpenVINO's own format, in the zip archive of a network in int8
SOURCES = re.compile(r"(Exception from|Check '[^']*' failed at) \S+?:\d+:?\s*")
ZIP, ONNX = b"PK", b"\x08"  # how these begin; a GraphDef begins with a line feed


def load(graph: bytes, n_outputs: int, precision: str) -> Function:
    """The graph as a function; UsageError if OpenVINO cannot run it."""
    try:
        return OpenVINOFunction(graph, n_outputs, precision)
    except RuntimeError as error:
        # OpenVINO raises RuntimeError for whatever it cannot read or compile, with pages of text.
        hint = (
            "read another output of it, or use engine onnxruntime"
            if graph.startswith(ONNX)
            else "use engine tensorflow"
        )
        raise UsageError(f"OpenVINO cannot run this network: {_reason(error)}", hint) from error


class OpenVINOFunction:
    """A `Function` of a frozen graph: every image is a request of its own, and each processor works on one.

    That is as quick as batches of 32 are here, and no vector can depend on the others.
    """

    def __init__(self, graph: bytes, n_outputs: int, precision: str):
        import openvino

        # The first use of numpy's types prepares a table. Two threads at once would wait in it for each other for ever:
        # one holds the table and wants the interpreter's lock, the other the reverse.
        openvino.Type.f32.to_dtype()
        model = read_network(graph)
        jobs = os.cpu_count() or 1
        options: dict[str, Any] = {"NUM_STREAMS": jobs, "INFERENCE_NUM_THREADS": jobs}
        options |= {"INFERENCE_PRECISION_HINT": HINTS[precision]}
        compiled = openvino.Core().compile_model(model, "CPU", options)
        named = {name.removesuffix(":0"): output for output in compiled.outputs for name in output.names}
        self._outputs = [named[name] for name in output_names(n_outputs)]
        self.widths = [int(output.shape[-1]) for output in self._outputs]
        # More requests than processors: the next image is ready when one is done.
        self._requests = SimpleQueue[Any]()
        for _ in range(2 * jobs):
            self._requests.put(compiled.create_infer_request())
        self._pool = ThreadPoolExecutor(2 * jobs, thread_name_prefix="network")

    def _run(self, image: np.ndarray) -> list[np.ndarray]:
        request = self._requests.get()
        try:
            ends = request.infer({0: image}, share_inputs=True, share_outputs=True)
            return [ends[output].copy() for output in self._outputs]
        finally:
            self._requests.put(request)

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        pixels = np.ascontiguousarray(pixels)
        rows = self._pool.map(self._run, (pixels[row : row + 1] for row in range(len(pixels))))
        return [np.concatenate(ends) for ends in zip(*rows, strict=True)]


def _reason(error: RuntimeError) -> str:
    """What OpenVINO says, without the places in its source that it begins with."""
    return message_of(RuntimeError(SOURCES.sub("", message_of(error, 2000)).strip() or str(error)))


def read_network(graph: bytes) -> Any:
    """OpenVINO's model of a frozen network, for one photo at a time."""
    import openvino

    core = openvino.Core()
    if graph.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(graph)) as archive:
            model = core.read_model(archive.read(NETWORK), archive.read(NUMBERS))
    else:
        # OpenVINO reads GraphDefs from files alone.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "graph.onnx" if graph.startswith(ONNX) else "graph.pb")
            file.write_bytes(graph)
            model = core.read_model(file)
    model.reshape([1, *model.input().partial_shape[1:]])
    return model
