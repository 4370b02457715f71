"""TensorFlow as the engine of frozen networks: always there, and what all others are compared with."""

from collections.abc import Sequence

from featurize.extractors.engines import Function
from featurize.extractors.frozen import FrozenFunction, import_tensorflow


class TensorFlow:
    """The default engine. bfloat16 is a property of its graphs."""

    described = "tensorflow, frozen"
    module = "tensorflow"
    libraries = ("tensorflow",)
    extra = ""

    def start(self) -> None:
        """Import TensorFlow, without its chatter."""
        import_tensorflow()

    def frozen_in(self, precision: str) -> str:
        """The precision asked for."""
        return precision

    def load(self, graphs: Sequence[bytes], precision: str) -> Function:
        """The graphs as one function."""
        return FrozenFunction(graphs, precision)
