"""Keras models in ``.keras`` files as extractors; what is no layer of Keras itself is refused before it is made."""

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from featurize.errors import UsageError, WeightsError, message_of
from featurize.files import check_unpacked
from featurize.networks.engines import import_tensorflow
from featurize.networks.keras_network import check_takes, output_of, weights_shapes
from featurize.networks.network_file import NetworkFile
from featurize.networks.weights import what_it_is

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIG, WEIGHTS, "metadata.json"}
LARGEST_CONFIG = 64 << 20  # bytes
# Where the parts of a model may come from; a class of another module would be imported, which runs it.
OWN_MODULES = re.compile(
    r"keras(\.src)?(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|ops)\b.*)?"
)
# Functions among them; Keras has others, which load or save.
OWN_FUNCTIONS = re.compile(r"keras(\.src)?\.activations\b.*")
# Layers that run what the file says, or read other files.
REFUSED = {
    "Lambda", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "StringLookup", "IntegerLookup",
    "TextVectorization", "HashedCrossing", "FeatureSpace", "IndexLookup",
}  # fmt: skip
MARKS = {"__tuple__", "__tensor__", "__numpy__", "__ellipsis__", "__keras_tensor__", "DTypePolicy"}


class KerasFile(NetworkFile):
    """A vector read in a Keras model that was saved whole, as ``model.save("FILE.keras")`` does (Keras 3).

    Parameters
    ----------
    file : str or path
        The ``.keras`` file.
    output : str, optional
        The layer where the vector is read; by default the model's output.
    size, mean, std, scaling
        As of `featurize.networks.onnx_network.OnnxNetwork`: how pixels enter.
    pool : {"avg", "max"}, optional
        What becomes of the area of a layer: its mean (default) or maximum.
    precision, preprocess, batch_size, store, engine, region
        See `featurize.networks.keras_network.Backbone`.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or holds anything but layers of Keras itself; raised at first use, not here.
    UsageError
        If size or scaling are neither given nor in ``FILE.keras.json`` nor in the file, or do not fit.
    """

    family = "FILE.keras"
    ending = ".keras"
    poolings: ClassVar = {"avg": "mean over the area", "max": "maximum over the area"}
    _config: tuple[str, dict[str, Any]] | None = None

    @property
    def end(self) -> str:
        output = self.setting("output") or "avg_pool"
        if not isinstance(output, str):
            raise UsageError(f"the output {output!r} of {self.file} is no name of a layer", "name one layer")
        return output

    def declared_side(self) -> int | None:
        shapes = [shape for shape in _batch_shapes(self._checked()) if len(shape) == 4 and shape[3] == 3]
        sides = {
            (high, wide) for _, high, wide, _ in shapes if isinstance(high, int) and isinstance(wide, int)
        }
        if len(sides) == 1 and len(set(next(iter(sides)))) == 1:
            return next(iter(sides))[0]
        return None

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        from featurize.networks.tensorflow_engine import freeze_model

        self._checked()
        import_tensorflow()
        import keras

        try:
            model = keras.saving.load_model(self.path(), compile=False, safe_mode=True)
            check_takes(model, self.scales()[0])
            ends = [(extractor.end, extractor.setting("pool") or "avg") for extractor in group]
            tensors = [(output_of(model, *end), end[1]) for end in ends]
        except (UsageError, WeightsError):
            raise
        except Exception as error:
            # Keras raises TypeError, ValueError, OSError, … with pages of text.
            raise self._refused(f"Keras cannot load it ({message_of(error, 160)})") from error
        return freeze_model(model, tensors, precision, self.side)

    def libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*super().libraries(), "tensorflow", "keras"]))

    def _refused(self, why: str) -> WeightsError:
        return WeightsError(
            f"{self.path()} is not used: {why}",
            "give a model of Keras 3 whose layers are Keras' own, saved with model.save('FILE.keras')",
        )

    def _checked(self) -> dict[str, Any]:
        """What the file says of the model, after a look at every part of it."""
        digest = self._sha256()
        if self._config is None or self._config[0] != digest:
            self._config = digest, self._looked_at()
        return self._config[1]

    def _looked_at(self) -> dict[str, Any]:
        path = self.path()
        try:
            with zipfile.ZipFile(path) as archive:
                foreign = set(archive.namelist()) - MEMBERS
                if foreign or {CONFIG, WEIGHTS} - set(archive.namelist()):
                    what = f"holds {min(foreign)}" if foreign else "lacks its layers or its weights"
                    raise self._refused(f"it {what}")
                infos = archive.infolist()
                check_unpacked(sum(one.file_size for one in infos), path.stat().st_size)
                if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
                    raise self._refused("the description of its layers is larger than 64 MB")
                config = json.loads(archive.read(CONFIG))
                with tempfile.TemporaryDirectory() as folder:
                    weights_shapes(archive.extract(WEIGHTS, folder))
        except WeightsError:
            raise
        except Exception as error:  # of zip archives, JSON and HDF5, whose reader has many kinds
            with open(path, "rb") as stream:
                what = what_it_is(stream.read(512))
            what = "no .keras file" if what.startswith("something") else what
            detail = message_of(error, 120)
            raise self._refused(
                f"it is damaged ({detail})" if what.startswith("a zip") else f"it is {what}"
            ) from error
        # How it was trained (optimizer, loss) is of no use here, and Keras does not look at it without compiling.
        if isinstance(config, dict):
            config.pop("compile_config", None)
        for part in _parts(config):
            name, module, registered = (part.get(key) for key in ("class_name", "module", "registered_name"))
            # A dotted name would lead from a module of Keras to what another one exports.
            if not isinstance(name, str) or not name.isidentifier():
                raise self._refused(f"its part {str(name)[:60]!r} has no name of a class")
            if name in REFUSED or name == "__lambda__":
                raise self._refused(f"its layer {name} runs or reads what the file says")
            custom = isinstance(registered, str) and ">" in registered
            own = OWN_FUNCTIONS if name == "function" else OWN_MODULES
            if name in MARKS and module in (None, "keras"):
                continue
            if custom or not isinstance(module, str) or not own.fullmatch(module):
                raise self._refused(f"its part {registered or name} ({module}) is not Keras' own")
        return config


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a description that has a class."""
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "class_name" in one:
                yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _batch_shapes(config: Any) -> Iterator[list[Any]]:
    for part in _parts(config):
        inner = part.get("config")
        shape = inner.get("batch_shape") if isinstance(inner, dict) else None
        if part["class_name"] == "InputLayer" and isinstance(shape, list):
            yield shape
