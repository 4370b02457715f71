"""TensorFlow as the engine of frozen networks: always there, and what all others are compared with."""

from collections.abc import Sequence

from featurize.errors import UsageError, WeightsError
from featurize.networks.engines import Function
from featurize.networks.tensorflow_engine import FrozenFunction, import_tensorflow


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
        """The graphs as one function.

        Raises
        ------
        UsageError
            If TensorFlow cannot run them.
        WeightsError
            If running them would do more than compute.
        """
        try:
            return FrozenFunction(graphs, precision)
        except WeightsError:
            raise
        except Exception as error:
            # protobuf and TensorFlow have kinds of their own for each thing that they cannot read.
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"TensorFlow cannot run this network: {reason}",
                "read another tensor of it, or use another network",
            ) from error
