"""What can run a frozen network, by name. A further engine is one file and one line here.

All of them run the same frozen weights; their vectors differ in the last digits, and so have different fingerprints.
"""

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from featurize.errors import UsageError


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
        """The precision in which the graphs for `load` are frozen."""
        ...

    def load(self, graphs: Sequence[bytes], precision: str) -> Function:
        """GraphDefs of one network, one per output, as one function; UsageError if it cannot run them."""
        ...


# name: module, class
ENGINES = {
    "tensorflow": ("featurize.networks.tensorflow_engine", "TensorFlow"),
    "openvino": ("featurize.networks.openvino_engine", "OpenVINO"),
}


def find_engine(name: str) -> Engine:
    """The engine of this name, ready to load networks.

    Raises
    ------
    UsageError
        If there is none, or its libraries are not installed.

    Examples
    --------
    >>> find_engine("tensorflow").described
    'tensorflow, frozen'
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name!r}", f"choose {' or '.join(ENGINES)}")
    module, cls = ENGINES[name]
    engine: Engine = getattr(importlib.import_module(module), cls)()
    if find_spec(engine.module) is None:
        raise UsageError(
            f"the engine {name} is not installed",
            f"pip install 'bottlehead[{engine.extra}]', or use engine tensorflow",
        )
    return engine
