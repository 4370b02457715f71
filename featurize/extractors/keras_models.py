"""A declared network as a Keras model: built, filled with its weights, its layers found by name."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from featurize.errors import UsageError, WeightsError
from featurize.networks.catalogue import NETWORKS, Network
from featurize.networks.tensorflow_engine import import_tensorflow
from featurize.networks.weights import Weights

IMAGENET_LABELS = 1000


def build_model(network: Network, weights: Weights) -> Any:
    """The Keras model of a network up to its pooled vector, with its weights.

    Raises
    ------
    WeightsError
        If the weights are those of another network, or damaged.
    """
    if weights.file is not None:
        _check_network(network, weights.file)
    model = _keras_model(network)
    if weights.file is None:
        random_weights(model, weights.seed or 0)
    else:
        load_weights(model, network, weights.file)
    return model


def _keras_model(network: Network, **head: Any) -> Any:
    import_tensorflow()
    import keras

    make = getattr(keras.applications, network.keras_class)
    shape = (network.side, network.side, 3)
    ending = head or {"include_top": False, "pooling": "avg"}
    return make(weights=None, input_shape=shape, **ending, **network.options)


def output_of(model: Any, layer: str) -> Any:
    """The output of a layer; ``"avg_pool"`` is the pooled end of the model.

    Raises
    ------
    UsageError
        If there is no such layer; the message lists those there are.
    """
    if layer == "avg_pool":
        return model.output
    layers = layer_names(model)
    if layer not in layers:
        ends = [
            name for name in layers if re.match(r"mixed|.*_(out|add|concat|block\w*)$|conv_pw_\d+_relu", name)
        ]
        shown = (ends or list(layers))[-24:]
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
    """As Keras makes layer names of class names: ``conv2d``, ``re_lu``, ``global_average_pooling2d``."""
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


def load_weights(model: Any, network: Network, path: str) -> None:
    """Read a weights file into the model of a network; one with the ImageNet head gives all but the head.

    Raises
    ------
    WeightsError
        If the file belongs to another network, or is damaged.
    """
    try:
        shapes = list(_shapes(path))
        if any(shape[-1:] == (IMAGENET_LABELS,) and len(shape) > 1 for shape in shapes):
            _load_without_head(model, network, path)
        else:
            _load(model, path)
    except Exception as error:
        # Keras and h5py raise ValueError, OSError, KeyError, … with pages of text for a file that does not fit.
        raise _does_not_hold(network, path, _what_it_holds(network, path, error)) from error


def _check_network(network: Network, path: str) -> None:
    """Refuse a file that is certainly another network's, before seconds are spent on building this one."""
    try:
        others = _networks_of(path)
    except Exception:
        return  # a damaged file; what is wrong with it is said when it is loaded
    if others and network.name not in others:
        raise _does_not_hold(network, path, f"it holds those of {' or '.join(others[:4])}")


def _load(model: Any, path: str) -> None:
    """Keras' own loading; its pages of warnings about a file that does not fit end in an error, which is enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_weights(path)


def _load_without_head(model: Any, network: Network, path: str) -> None:
    whole = _keras_model(network, include_top=True, classes=IMAGENET_LABELS)
    _load(whole, path)
    values = whole.get_weights()
    # The head comes last in every network of keras.applications.
    model.set_weights(values[: len(model.weights)])


def _shapes(path: str) -> Iterator[tuple[int, ...]]:
    """The shapes of the weights in an HDF5 file, without those of a training state."""
    import h5py

    found: list[tuple[int, ...]] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found.append(tuple(item.shape))

    with h5py.File(path) as file:
        file.visititems(note)
    yield from found


def _does_not_hold(network: Network, path: str, instead: str) -> WeightsError:
    return WeightsError(
        f"{path} does not hold the weights of {network.name}: {instead}",
        "give the weights of this network as a Keras .weights.h5 or .h5 file",
    )


def _networks_of(path: str) -> list[str]:
    """The networks that have as many numbers as a file holds, with or without the ImageNet head."""
    count = _count(path)
    head = IMAGENET_LABELS
    return [n.name for n in NETWORKS.values() if count in (n.parameters, n.parameters + head * (n.width + 1))]


def _count(path: str) -> int:
    return sum(int(np.prod(shape)) for shape in _shapes(path))


def _what_it_holds(network: Network, path: str, error: Exception) -> str:
    """The network that a file belongs to, by how many numbers it holds; else what Keras complained about."""
    complaint = " ".join(str(error).split())[:120]
    try:
        names, count = _networks_of(path), _count(path)
    except Exception:
        # Whatever h5py raises here, it has raised before.
        return f"it is damaged ({complaint})"
    if network.name in names:
        return f"it holds as many numbers, but Keras cannot read them ({complaint})"
    if names:
        return f"it holds those of {' or '.join(names[:4])}"
    return f"it holds {count:,} numbers, which fit none of the networks known here"
