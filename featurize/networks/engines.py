"""Engines, which run frozen networks; vectors of different engines differ in their last digits."""

import importlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from featurize.terminal import terminal_descriptors

# Of frozen graphs: where pixels enter, and where the first vector is read; the others are called Identity_1, …
INPUT, OUTPUT = "x", "Identity"
EVERYTHING = re.compile(b"")
# Up to 2.19 or so TensorFlow writes these lines at any log level, whenever it optimises a graph.
LOG_LINES = re.compile(rb"[IWE]\d{4} |WARNING: All log messages before absl::InitializeLog")
_importing = threading.Lock()
_silencing = threading.Lock()


def output_names(n_outputs: int) -> list[str]:
    """The output nodes of a frozen graph."""
    return [f"{OUTPUT}_{number}" if number else OUTPUT for number in range(n_outputs)]


def import_tensorflow() -> Any:
    """The tensorflow module, imported without its start-up chatter."""
    with _importing:
        if "tensorflow" not in sys.modules:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            # TensorFlow has oneDNN compute on newer processors alone; those with AVX2 also gain, a fifth to a half.
            os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
            with silent_stderr(EVERYTHING):
                import tensorflow

                tensorflow.get_logger().setLevel("ERROR")
                # The first look for graphics cards has its own chatter, and so has the first session.
                for gpu in tensorflow.config.list_physical_devices("GPU"):
                    tensorflow.config.experimental.set_memory_growth(gpu, True)
                # In TensorFloat-32, which newer cards would use, vectors differ from those of a processor by 1e-3.
                tensorflow.config.experimental.enable_tensor_float_32_execution(False)
                config = session_config(tensorflow)
                with tensorflow.Graph().as_default(), tensorflow.compat.v1.Session(config=config) as session:
                    session.run(tensorflow.constant(0))
    return sys.modules["tensorflow"]


def import_onnxruntime() -> Any:
    """The onnxruntime module; its wheels tell their makers of each session over the internet, unless this is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def session_config(tensorflow: Any) -> Any:
    """Of sessions: a graphics card is shared with other programs, so its memory is taken as it is needed."""
    config = tensorflow.compat.v1.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    return config


def graphics_cards() -> list[str]:
    """The GPUs that TensorFlow sees, by name; none where it was not imported so far."""
    if "tensorflow" not in sys.modules:
        return []
    config = sys.modules["tensorflow"].config
    found = config.list_physical_devices("GPU")
    return [config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in found]


@contextmanager
def silent_stderr(chatter: re.Pattern[bytes] = LOG_LINES) -> Iterator[None]:
    """Hold back what is written to the terminal, and then show what is not `chatter`; show all when the block fails.

    An interrupt is no failure.

    TensorFlow's libraries write some lines whatever their log level is; other threads may have a message meanwhile.
    """
    # Two at a time would restore each other's file instead of the terminal.
    with _silencing, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        terminal = os.dup(2)
        terminal_descriptors.append(terminal)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except KeyboardInterrupt:
            failed = False  # nothing went wrong that its chatter could explain
            raise
        finally:
            sys.stderr.flush()
            terminal_descriptors.remove(terminal)
            os.dup2(terminal, 2)
            held.seek(0)
            with open(terminal, "wb") as stream:
                stream.writelines(line for line in held if failed or not chatter.match(line))


class Function(Protocol):
    """A network that is ready to run; each vector depends on its own image alone, to 1e-5 of its length."""

    widths: list[int]

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """float32 (n_images, height, width, 3), scaled as the network wants it, to float32 (n_images, width)."""
        ...


@dataclass(frozen=True)
class Engine:
    """What runs frozen networks: a library, whose name is also that of its distribution.

    `file` defines ``load``, as below; `lowers` says that it makes bfloat16 of a float32 graph itself; `precisions` are
    those in which it computes, and `extra` is ours that brings the library.
    """

    name: str
    file: str
    lowers: bool = False
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    extra: str = "openvino"

    @property
    def described(self) -> str:
        """The engine in fingerprints."""
        return f"{self.name}, frozen"

    def load(self, graph: bytes, n_outputs: int, precision: str) -> Function:
        """A frozen GraphDef as a function; UsageError if the engine cannot run it."""
        return importlib.import_module(self.file).load(graph, n_outputs, precision)
