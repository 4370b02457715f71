"""What an engine is, which runs frozen networks, and what all of them share.

All of them run the same frozen weights; their vectors differ in the last digits, and so have different fingerprints.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

# Of frozen graphs: where pixels enter, and where the first vector is read; the others are called Identity_1, …
INPUT, OUTPUT = "x", "Identity"
_importing = threading.Lock()


def output_names(n_outputs: int) -> list[str]:
    """The output nodes of a frozen graph."""
    return [f"{OUTPUT}_{number}" if number else OUTPUT for number in range(n_outputs)]


def import_tensorflow() -> Any:
    """The tensorflow module, imported without its start-up chatter."""
    with _importing:
        if "tensorflow" not in sys.modules:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            with _silent_stderr():
                import tensorflow

                tensorflow.get_logger().setLevel("ERROR")
                # The first look for graphics cards has its own chatter.
                tensorflow.config.list_physical_devices("GPU")
    return sys.modules["tensorflow"]


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hold back what native code writes to the terminal; show it when the block fails.

    TensorFlow's libraries write some lines before they read their own log level.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


class Function(Protocol):
    """A network that is ready to run; each vector depends on its own image alone.

    It is the same to the last bit in every batch that was tried. A library is free to add up a batch of another
    size in another order, which costs about 1e-6 of a vector's length; more is refused.
    """

    widths: list[int]

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """float32 (n_images, height, width, 3), scaled as the network wants it, to float32 (n_images, width)."""
        ...


class Engine(Protocol):
    """What an engine's file defines.

    Attributes
    ----------
    described : str
        The engine in fingerprints; changes whenever its vectors do.
    module : str
        What Python has to find.
    libraries : tuple of str
        Distributions whose versions are recorded beside the vectors.
    extra : str
        ``pip install 'bottlehead[EXTRA]'`` brings the libraries; empty when they are always there.
    """

    described: str
    module: str
    libraries: tuple[str, ...]
    extra: str

    def start(self) -> None:
        """Import the libraries."""
        ...

    def frozen_in(self, precision: str) -> str:
        """The precision in which the graph for `load` is frozen."""
        ...

    def load(self, graph: bytes, n_outputs: int, precision: str) -> Function:
        """A frozen GraphDef as a function; UsageError if the engine cannot run it."""
        ...
