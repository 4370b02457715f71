"""A Keras model that is in memory as an extractor: ``extract(photos, [model])``."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError, message_of
from featurize.extractors.function import code_of
from featurize.networks.catalogue import SCALINGS, scale_pixels
from featurize.networks.keras_network import POOLINGS, check_takes, output_of
from featurize.networks.network_extractor import LARGEST_SIDE, FrozenExtractor


def is_keras_model(given: Any) -> bool:
    """Whether something is a Keras model; Keras is not imported for it."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(given, keras.Model)


class KerasModel(FrozenExtractor):
    """The output of a Keras model, or one of its layers, frozen as it is now.

    Its layers and numbers are part of the fingerprint: after further training the vectors are others. A model of such
    features predicts where the Keras model is given again (``Predictor(model, extractors=[KerasModel(...)])``); save it
    as a ``.keras`` file to use it by name.

    Parameters
    ----------
    model : keras.Model
        It takes RGB photos, (n, side, side, 3).
    output : str, default "avg_pool"
        The layer that is read; by default the model's output.
    scaling : str, default "none"
        What pixels become: ``"none"`` (0 to 255, for models that scale themselves), ``"tf"`` (-1 to 1), ``"torch"``,
        ``"caffe"``.
    pool : {"avg", "max"}, default "avg"
        What becomes of the area of a layer.
    size : int, optional
        Side of the input, where the model leaves it open.
    precision, preprocess, batch_size, store, engine, region
        See `featurize.networks.keras_network.Backbone`.
    """

    not_in_specs = ("model", *FrozenExtractor.not_in_specs)

    _known_digest: tuple[Any, str] | None = None

    def __init__(
        self,
        model: Any,
        output: str = "avg_pool",
        scaling: str = "none",
        pool: str = "avg",
        size: int | None = None,
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        engine: str = "tensorflow",
        region: str | None = None,
    ):
        super().__init__(precision, preprocess, batch_size, store, None, engine, region)
        self.model = model
        self.output = output
        self.scaling = scaling
        self.pool = pool
        self.size = size

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.model.name

    @property
    def usual_name(self) -> str:
        return self.family if self.output == "avg_pool" else f"{self.family}:{self.output}"

    @property
    def end(self) -> str:
        return self.output

    @property
    def pooling(self) -> str:
        if self.pool not in ("avg", "max"):
            raise UsageError(f"pool {self.pool!r} is not known", "choose avg or max")
        return POOLINGS[(self.pool,)]

    @property
    def side(self) -> int:
        shape = getattr(self.model, "input_shape", None)
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
            raise UsageError(
                f"the Keras model {self.model.name} has the input {shape}, which is no square RGB photo",
                "give a model with one input of shape (None, side, side, 3)",
            )
        side = shape[1] or self.size
        if side is None or not 1 <= side <= LARGEST_SIDE or self.size not in (None, side):
            raise UsageError(
                f"{self.model.name} takes {shape[1] or 'any number of'} pixels, and size is {self.size}",
                f"give size where the model leaves it open, 1 to {LARGEST_SIDE:,}: KerasModel(model, size=224)",
            )
        return side

    def network_settings(self) -> dict[str, Any]:
        if self.scaling not in SCALINGS:
            raise UsageError(f"scaling {self.scaling!r} is not known", f"choose {', '.join(SCALINGS)}")
        return {"scaling": SCALINGS[self.scaling], "weights": f"sha256:{self._digest()}"}

    def _digest(self) -> str:
        """Of the model as it was at first; asked for with every batch."""
        if self._known_digest is None or self._known_digest[0] is not self.model:
            self._known_digest = self.model, self._digest_now()
        return self._known_digest[1]

    def _digest_now(self) -> str:
        digest = sha256(self.model.to_json().encode())
        for array in self.model.get_weights():
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(b"".join(_own_code(layer) for layer in self.model._flatten_layers()))
        return digest.hexdigest()

    def run_key(self) -> str:
        return f"{id(self.model)} {self.description()['weights']} {super().run_key()}"

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        return scale_pixels(pixels, self.scaling)

    def weights_record(self) -> dict[str, Any]:
        return {"source": "memory", "file": self.model.name, "sha256": self._digest(), "seed": None}

    def kept_params(self) -> dict[str, Any]:
        return {key: value for key, value in super().kept_params().items() if key != "model"}

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        from featurize.networks.tensorflow_engine import freeze_model

        check_takes(self.model, self.scaling)
        ends = [(output_of(self.model, one.output, one.pool), one.pool) for one in group]
        try:
            return freeze_model(self.model, ends, precision, self.side)
        except Exception as error:
            # Layers of anybody may raise anything.
            what = f"the Keras model {self.model.name} cannot be frozen: {message_of(error, 160)}"
            raise WeightsError(
                what, "give a model that tf.function can trace, as one function of its input"
            ) from error


def _own_code(layer: Any) -> bytes:
    """The code of a layer that is not Keras' own, whose description has its name alone; nothing of others."""
    own = [
        kind
        for kind in type(layer).__mro__
        if kind.__module__.partition(".")[0] not in ("keras", "tensorflow")
    ]
    codes = [
        (name, code_of(function.__code__))
        for kind in own
        for name, function in sorted(vars(kind).items())
        if hasattr(function, "__code__")
    ]
    return repr((sys.version_info[:2], codes)).encode() if codes else b""
