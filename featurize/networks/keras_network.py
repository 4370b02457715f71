"""Networks of keras.applications as extractors, by name."""

import math
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError, message_of
from featurize.files import check_unpacked
from featurize.networks.catalogue import NETWORKS, SCALINGS, Network, Packaged, find_network, scale_pixels
from featurize.networks.efficientnet_lite import efficientnet_lite0, set_torch_weights
from featurize.networks.engines import import_tensorflow
from featurize.networks.network_extractor import LARGEST_SIDE, FrozenExtractor
from featurize.networks.weights import Weights, find_weights
from featurize.spec import spelled

IMAGENET_LABELS = 1000
SMALLEST_SIDE = 32  # that any network of keras.applications takes


def build_model(network: Network, weights: Weights) -> Any:
    """The Keras model of a network with its weights; WeightsError if they are another network's, or damaged."""
    if isinstance(network.download, Packaged) and weights.sha256 == network.download.digest:
        model = _keras_model(network)
        set_torch_weights(model, str(weights.file), network.download.digest)
        return model
    if weights.file is not None:
        return _loaded_model(network, weights.file)
    model = _keras_model(network)
    random_weights(model, weights.seed or 0)
    return model


def _keras_model(network: Network, **head: Any) -> Any:
    import_tensorflow()
    import keras

    shape = (network.side, network.side, 3)
    if not network.keras_class:
        return efficientnet_lite0(shape, **head)
    make = getattr(keras.applications, network.keras_class)
    ending = head or {"include_top": False, "pooling": "avg"}
    try:
        return make(weights=None, input_shape=shape, **ending, **network.options)
    except ValueError as error:  # too small for this network
        what = f"{network.name} takes no photos of {network.side} x {network.side} pixels: {error}"
        raise UsageError(what, f"{find_network(network.name).side} are usual") from error


def check_takes(model: Any, scaling: str) -> None:
    """UsageError if a model takes whole numbers and pixels are scaled, which would be cut to whole numbers."""
    (kind, *_) = [str(photo.dtype) for photo in model.inputs]
    if "int" in kind and scaling != "none":
        raise UsageError(
            f"the Keras model {model.name} takes whole numbers ({kind}), and scaled pixels are none",
            "give scaling none (0 to 255); such a network scales pixels itself",
        )


def output_of(model: Any, layer: str, pool: str = "avg") -> Any:
    """The tensor to be pooled for a layer, ``"avg_pool"`` at the end; UsageError, with those there are, if none is."""
    tensor = _tensor_of(model, layer)
    if pool == "avg":
        return tensor
    if layer == "avg_pool" and type(model.layers[-1]).__name__ == "GlobalAveragePooling2D":
        tensor = model.layers[-1].input
    if len(tensor.shape) != 4:
        raise UsageError(
            f"{layer} of {model.name} has no area to take the maximum of",
            "name an earlier layer, or pool=avg",
        )
    return tensor


def _tensor_of(model: Any, layer: str) -> Any:
    from featurize.networks.tensorflow_engine import the_only

    if layer == "avg_pool":
        return the_only(model, "output", "name the layer that is to be read")
    layers = layer_names(model)
    if layer not in layers:
        ends = re.compile(r"mixed|.*_(out|add|concat|block\w*)$|conv_pw_\d+_relu")
        shown = (list(filter(ends.match, layers)) or list(layers))[-24:]
        raise UsageError(
            f"{model.name} has no layer {layer}",
            f"it has avg_pool, {', '.join(shown)} and others, {len(layers)} in all, named as in keras.applications",
        )
    return layers[layer].output


def layer_names(model: Any) -> dict[str, Any]:
    """The layers of a Keras model by name, with automatic names counted from the first of their kind.

    Keras numbers ``conv2d_17`` through a whole session; here the same layer has the same name in every one.
    """
    kinds: dict[str, list[tuple[int, Any]]] = {}
    names = {}
    for layer in model.layers:
        match = re.fullmatch(rf"({_snake_case(type(layer).__name__)})(?:_(\d+))?", layer.name)
        if match:
            kinds.setdefault(match.group(1), []).append((int(match.group(2) or 0), layer))
        else:
            names[layer.name] = layer
    for kind, layers in kinds.items():
        for number, (_, layer) in enumerate(sorted(layers, key=lambda item: item[0])):
            names[f"{kind}_{number}" if number else kind] = layer
    return names


def _snake_case(name: str) -> str:
    """As Keras makes layer names of class names: ``conv2d``, ``re_lu``."""
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def random_weights(model: Any, seed: int) -> None:
    """Fill a Keras model with seeded, untrained weights that keep the scale of the activations.

    Kernels are He normal (He et al. 2015, https://doi.org/10.1109/ICCV.2015.123), from numpy's PCG64 and so
    the same on every machine; scales and variances are 1, everything else 0.
    """
    values = []
    for number, variable in enumerate(model.weights):
        shape, kind = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
        if kind in ("gamma", "moving_variance", "variance"):
            values.append(np.ones(shape, np.float32))
        elif len(shape) < 2:
            values.append(np.zeros(shape, np.float32))
        else:
            n_inputs = np.prod(shape[:2]) if "depthwise" in kind else np.prod(shape[:-1])
            kernel = np.random.default_rng([seed, number]).standard_normal(shape, np.float32)
            values.append(kernel * np.float32(np.sqrt(2.0 / n_inputs)))
    model.set_weights(values)


def _loaded_model(network: Network, path: str) -> Any:
    """A network with the weights of a file; of one with the ImageNet head, all but the head."""

    def refused(instead: str) -> WeightsError:
        return WeightsError(
            f"{path} does not hold the weights of {network.name}: {instead}",
            "give the weights of this network as a Keras .weights.h5 or .h5 file",
        )

    try:
        shapes = weights_shapes(path)
    except Exception as error:
        # h5py raises OSError, KeyError, RuntimeError, … for a damaged file.
        raise refused(f"it is damaged ({message_of(error, 120)})") from error
    count = sum(math.prod(shape) for shape in shapes)
    sizes = {
        n.name: (n.parameters, n.parameters + IMAGENET_LABELS * (n.width + 1)) for n in NETWORKS.values()
    }
    fitting = [name for name, counts in sizes.items() if count in counts]
    if fitting and network.name not in fitting:  # said before seconds are spent on building this network
        raise refused(f"it holds those of {' or '.join(fitting[:4])}")
    try:
        model = _keras_model(network)
        if any(shape[-1:] == (IMAGENET_LABELS,) and len(shape) > 1 for shape in shapes):
            # A head may be made for the usual size alone.
            whole = _keras_model(find_network(network.name), include_top=True, classes=IMAGENET_LABELS)
            _load(whole, path)
            # The head comes last in every network of keras.applications.
            model.set_weights(whole.get_weights()[: len(model.weights)])
        else:
            _load(model, path)
    except Exception as error:
        # Keras and h5py raise ValueError, OSError, KeyError, … with pages of text for a file that does not fit.
        if fitting:
            raise refused(
                f"it holds as many numbers, but Keras cannot read them ({message_of(error, 120)})"
            ) from error
        raise refused(f"it holds {count:,} numbers, which fit none of the networks known here") from error
    return model


def _load(model: Any, path: str) -> None:
    """Load weights with Keras, without its warnings; a mismatch still raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_weights(path)


def weights_shapes(path: str) -> list[tuple[int, ...]]:
    """The shapes of the weights in an HDF5 file, without those of a training state.

    ValueError where numbers come from other files, or are more than an honest file of this size holds.
    """
    import h5py

    shapes: list[tuple[int, ...]] = []
    n_bytes = 0

    def note(name: str, item: Any) -> None:
        nonlocal n_bytes
        if not isinstance(item, h5py.Dataset):
            return
        if item.external or item.is_virtual:
            raise ValueError(f"{name} is read from another file")
        n_bytes += item.nbytes
        if not name.startswith("optimizer"):
            shapes.append(tuple(item.shape))

    with h5py.File(path) as file:
        file.visititems(note)
    check_unpacked(n_bytes, os.path.getsize(path))
    return shapes


DEFAULTS = {"size": None, "pool": "avg", "region": None}
# How the area of a layer is pooled; the text stands in fingerprints.
POOLINGS = {
    ("avg",): "mean over the area",
    ("max",): "maximum over the area",
    ("avg", "max"): "mean and maximum over the area",
}


def _listed(value: str | Sequence[str]) -> tuple[str, ...]:
    """The items of a list as a spec writes it, or of a sequence."""
    return tuple(value.split("/")) if isinstance(value, str) else tuple(value)


class Backbone(FrozenExtractor):
    """The pooled last layer, or any other, of a frozen network of `keras.applications`, or of EfficientNet-Lite0.

    The whole photo is brought to the network's input size (bilinear, antialiased) and scaled as the network was
    trained. A vector depends on the image and these settings alone: not on the order, the extractors beside it, or
    the store. Bit for bit it is equal with one engine, batch size and machine; otherwise, and to Keras' own
    ``predict``, to 1e-5 of its length.

    Parameters
    ----------
    backbone : str
        ``"mobilenet_0.50_224"``, ``"resnet50"``, …; ``featurize backbones`` lists them.
    weights : str or path, default "auto"
        ``"auto"`` (a file in ``FEATURIZE_WEIGHTS_DIR``, else ImageNet's), ``"imagenet"``, a Keras ``.h5`` file,
        or ``"random"`` / ``"random:SEED"`` for an untrained network.
    layer : str or sequence of str, default "avg_pool"
        Where the vector is read; any layer of the Keras model. Several, as a sequence or as
        ``"mixed6/mixed7/avg_pool"``, are read in one pass and stand side by side, each a block of its own for the
        scaling of heads.
    precision : {"float32", "bfloat16"}, default "float32"
        bfloat16 is about twice as fast on processors that have it, and refused on others. It changes vectors by
        about 1 % of their length; they have another fingerprint and are never mixed with those of float32.
    preprocess, store
        As in `Extractor`.
    batch_size : int, default 32
        Images per call of the network; changes vectors in their last digits at most.
    parity : {None, "retrain"}, default None
        ``"retrain"`` decodes and resizes as TensorFlow's retrain.py did; see `featurize.networks.retrain_pixels`.
    engine : {"tensorflow", "openvino"}, default "tensorflow"
        What runs the frozen network; ``"openvino"`` needs the extra of that name, and has other fingerprints.
    size : int, optional
        Side of the square input in pixels; by default the one that the network was trained for.
    pool : {"avg", "max", "avg/max"}, default "avg"
        What becomes of the area of a layer: its mean, its maximum, or both side by side (also as a sequence).
    region : {None, "border", "centre"}, default None
        ``"border"`` covers the middle of the photo, 12 % in from each side, with grey (128), ``"centre"`` all but the
        middle. What the border alone tells of a label, a head may have learned instead of the subject.

    Raises
    ------
    UsageError
        If there is no such network, layer, precision or engine; raised at first use, not here.
    WeightsError
        If the weights are missing or belong to another network.

    Examples
    --------
    >>> extractor = Backbone("mobilenet_0.25_128", weights="random")
    >>> extractor.name, extractor.width
    ('mobilenet_0.25_128', 256)
    """

    # The digest of the weights that a table or a model was made with, and whose weights `_found` are.
    _wanted_sha256: str | None = None
    _found_for: tuple[str, str] | None = None
    not_in_specs = ("backbone", *FrozenExtractor.not_in_specs)

    def __init__(
        self,
        backbone: str,
        weights: str | os.PathLike = "auto",
        layer: str | Sequence[str] = "avg_pool",
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        parity: str | None = None,
        engine: str = "tensorflow",
        size: int | None = None,
        pool: str | Sequence[str] = "avg",
        region: str | None = None,
    ):
        super().__init__(precision, preprocess, batch_size, store, parity, engine, region)
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.size = size
        self.pool = pool

    @property
    def network(self) -> Network:
        """What is declared about the network, with the side that is asked for."""
        network = find_network(self.backbone)
        return network if self.size is None else replace(network, side=self.size)

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.backbone

    @property
    def usual_name(self) -> str:
        given = {"pool": "/".join(self.pools), "region": self.region}
        items = [self.end] * (self.end != "avg_pool")
        items += [f"{key}={value}" for key, value in given.items() if value != DEFAULTS[key]]
        return spelled(self.backbone, items)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are read, in order."""
        return _listed(self.layer)

    @property
    def pools(self) -> tuple[str, ...]:
        """How each of them is pooled, in order."""
        return _listed(self.pool)

    @property
    def ends(self) -> list[tuple[str, str]]:
        """Layer and pooling of each block of the vector."""
        return [(layer, pool) for layer in self.layers for pool in self.pools]

    @property
    def n_ends(self) -> int:
        return len(self.ends)

    @property
    def blocks(self) -> list[int]:
        known = [self.network.layers.get(layer, 0) for layer, _ in self.ends]
        return known if all(known) else super().blocks

    @property
    def value_names(self) -> Sequence[str]:
        if self.n_ends == 1:
            return super().value_names
        names = [f"{self.backbone}:{layer}{'_max' * (pool == 'max')}" for layer, pool in self.ends]
        region = f"_{self.region}" if self.region else ""
        counted = zip(names, self.blocks, strict=True)
        return [f"{name}{region}_{i:04d}" for name, width in counted for i in range(width)]

    @property
    def side(self) -> int:
        return self.network.side

    @property
    def end(self) -> str:
        return "/".join(self.layers)

    @property
    def pooling(self) -> str:
        return POOLINGS[self.pools]

    def kept_params(self) -> dict[str, Any]:
        # As earlier programs wrote them, and can read them, where nothing else was asked for.
        usual = {name: value for name, value in DEFAULTS.items() if getattr(self, name) == value}
        return {key: value for key, value in super().kept_params().items() if key not in usual}

    def network_settings(self) -> dict[str, Any]:
        return {"scaling": SCALINGS[self.network.scaling], "weights": self.found_weights().identity()}

    def _check_arguments(self) -> None:
        super()._check_arguments()
        for layer in self.layers:
            self.network.check_layer(layer)
        if len(set(self.layers)) < len(self.layers):
            raise UsageError(f"{self.backbone}:{self.end} names a layer twice", "name each once")
        if self.pools not in POOLINGS:
            choices = ", ".join("/".join(pools) for pools in POOLINGS)
            raise UsageError(f"pool {'/'.join(self.pools)} is not known", f"choose one of {choices}")
        if self.size is not None and not SMALLEST_SIDE <= self.size <= LARGEST_SIDE:
            hint = (
                f"give {SMALLEST_SIDE} to {LARGEST_SIDE} pixels; {find_network(self.backbone).side} are usual"
            )
            raise UsageError(f"the input size of {self.backbone} is {self.size}", hint)

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        return scale_pixels(pixels, self.network.scaling)

    def found_weights(self) -> Weights:
        """The weights that ``weights`` stands for, looked up once."""
        key = (self.backbone, os.fspath(self.weights))
        if self._found_for != key:
            self._found = find_weights(*key, self.network.download, self._index, self._wanted_sha256)
            self._found_for = key
        return self._found

    def weights_record(self) -> dict[str, Any]:
        return self.found_weights().record()

    def freeze(self, group: Sequence[Any], precision: str) -> bytes:
        from featurize.networks.tensorflow_engine import freeze_model

        model = build_model(self.network, self.found_weights())
        ends = [end for extractor in group for end in extractor.ends]
        return freeze_model(model, [(output_of(model, *end), end[1]) for end in ends], precision)


class InceptionV3(Backbone):
    """The pooled last layer of a frozen Inception v3, 2,048 numbers per image: ``Backbone("inception_v3")``.

    Parameters
    ----------
    weights, layer, precision, preprocess, batch_size, store, parity, engine, size, pool, region
        See `Backbone`. Layer ``"mixed8"`` has 1,280 numbers.

    References
    ----------
    Szegedy, C. et al. (2016). Rethinking the Inception Architecture for Computer Vision. CVPR.
    https://doi.org/10.1109/CVPR.2016.308

    Examples
    --------
    >>> extractor = InceptionV3(weights="random", layer="mixed8")
    >>> extractor.name, extractor.width
    ('inception_v3:mixed8', 1280)
    """

    backbone = "inception_v3"

    def __init__(
        self,
        weights: str | os.PathLike = "auto",
        layer: str | Sequence[str] = "avg_pool",
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        parity: str | None = None,
        engine: str = "tensorflow",
        size: int | None = None,
        pool: str | Sequence[str] = "avg",
        region: str | None = None,
    ):
        own = (weights, layer, precision, preprocess, batch_size, store, parity, engine, size, pool, region)
        super().__init__("inception_v3", *own)
