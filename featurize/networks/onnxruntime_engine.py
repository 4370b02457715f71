"""onnxruntime as the engine of ONNX files, where OpenVINO is not installed."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from featurize.errors import UsageError, message_of
from featurize.networks.engines import INPUT, Function, import_onnxruntime, output_names


def load(graph: bytes, n_outputs: int, precision: str) -> Function:
    """The network as a function; UsageError if onnxruntime cannot run it."""
    try:
        return OnnxFunction(graph, n_outputs)
    except Exception as error:
        # onnxruntime has kinds of its own for whatever it cannot read.
        raise UsageError(
            f"onnxruntime cannot run this network: {message_of(error)}",
            "read another output of it, or use engine openvino",
        ) from error


class OnnxFunction:
    """A `Function` of an ONNX network: each photo is a run of its own, and each processor works on one."""

    def __init__(self, graph: bytes, n_outputs: int):
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._names = output_names(n_outputs)
        shapes = {output.name: output.shape for output in self._session.get_outputs()}
        (entry,) = self._session.get_inputs()
        widths = [shapes[name][-1] for name in self._names]
        if not all(isinstance(width, int) for width in widths):
            ends = self._run(np.zeros((1, *entry.shape[1:]), np.float32))
            widths = [end.shape[-1] for end in ends]
        self.widths = [int(width) for width in widths]
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="network")

    def _run(self, pixels: np.ndarray) -> list[np.ndarray]:
        return self._session.run(self._names, {INPUT: pixels})

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        rows = self._pool.map(self._run, (pixels[row : row + 1] for row in range(len(pixels))))
        return [np.concatenate(ends) for ends in zip(*rows, strict=True)]
