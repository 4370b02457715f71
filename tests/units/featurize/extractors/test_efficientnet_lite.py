"""EfficientNet-Lite0 against a second implementation in NumPy, and the file of PyTorch that holds its weights."""

import io
import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import skimage.data
from PIL import Image
from tolerances import ELSEWHERE, assert_near

from featurize import Backbone
from featurize.errors import WeightsError
from featurize.networks.catalogue import LITE, NETWORKS
from featurize.networks.efficientnet_lite import (
    efficientnet_lite0,
    read_tensors,
    read_torch_file,
    set_torch_weights,
)
from featurize.networks.keras_network import build_model, layer_names
from featurize.photos.photo import Photo

# What the published network does, written down once more: blocks by number, with kernel, stride and whether their
# input is added.
KERNELS = [3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3]
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
ADDED = [2, 4, 6, 7, 9, 10, 12, 13, 14]
CAT, ESPRESSO = 285, 967  # of the 1,000 labels of ImageNet


def photo(name: str) -> np.ndarray:
    rgb = Image.fromarray(getattr(skimage.data, name)())
    return np.asarray(rgb.resize((224, 224), Image.Resampling.BILINEAR))


def second_network(weights: dict[str, np.ndarray], rgb: np.ndarray, n_blocks: int = 16) -> np.ndarray:
    """The network in float64, after the first `n_blocks` blocks; after all 16, the pooled vector."""

    def conv(x, name, stride=1):
        kernel = weights[f"{name}.weight"].astype(np.float64)
        n_out, n_in, side, _ = kernel.shape
        size = -(-len(x) // stride)
        # As TensorFlow pads: what is odd goes below and to the right.
        pad = max((size - 1) * stride + side - len(x), 0)
        x = np.pad(x, ((pad // 2, pad - pad // 2), (pad // 2, pad - pad // 2), (0, 0)))
        total = np.zeros((size, size, n_out))
        for top in range(side):
            for left in range(side):
                seen = x[top : top + size * stride : stride, left : left + size * stride : stride]
                seen = seen[:size, :size]
                part = kernel[:, :, top, left]
                total += seen * part[:, 0] if n_in == 1 else seen @ part.T
        return total

    def norm(x, name, clipped=True):
        scale, shift, mean, variance = (
            weights[f"{name}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        y = (x - mean) / np.sqrt(variance + 1e-3) * scale + shift
        return y.clip(0, 6) if clipped else y

    x = norm(conv((rgb.astype(np.float64) - 127) / 128, "_conv_stem", 2), "_bn0")
    for number in range(n_blocks):
        block, start = f"_blocks.{number}.", x
        if number:
            x = norm(conv(x, f"{block}_expand_conv"), f"{block}_bn0")
        x = norm(conv(x, f"{block}_depthwise_conv", STRIDES[number]), f"{block}_bn1")
        x = norm(conv(x, f"{block}_project_conv"), f"{block}_bn2", clipped=False)
        x = x + start if number in ADDED else x
    return norm(conv(x, "_conv_head"), "_bn1").mean(axis=(0, 1)) if n_blocks == 16 else x.mean(axis=(0, 1))


@pytest.mark.tensorflow
def test_the_network_gives_what_a_second_implementation_gives_and_knows_a_cat_and_a_coffee(lite0):
    weights = read_torch_file(lite0, LITE.digest)
    photos = [photo("chelsea"), photo("coffee")]
    layers = [Backbone("efficientnet_lite0"), Backbone("efficientnet_lite0", layer="block2b_add")]
    prepared = [layers[0].prepare(Photo.from_array(rgb)) for rgb in photos]
    vectors, early = layers[0].run_together(layers, layers[0].stack(prepared))
    assert_near(vectors[:1], [second_network(weights, photos[0])], ELSEWHERE)
    assert_near(early[1:], [second_network(weights, photos[1], 3)], ELSEWHERE)
    # The last layer of the published network, which our vectors leave out, names what is on them.
    scores = vectors @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert scores.argmax(axis=1).tolist() == [CAT, ESPRESSO]


@pytest.mark.tensorflow
def test_the_declaration_is_that_of_the_network_with_layers_named_as_in_keras():
    import keras

    network = NETWORKS["efficientnet_lite0"]
    model = efficientnet_lite0((224, 224, 3))
    assert model.count_params() == network.parameters and model.output.shape == (None, network.width)
    whole = keras.applications.EfficientNetB0(weights=None, include_top=False)
    theirs = {name for name in layer_names(whole) if name.startswith("block") and "_se_" not in name}
    ours = {name for name in layer_names(model) if name.startswith("block")}
    assert ours <= theirs and {"block2b_add", "block6d_project_conv", "block7a_dwconv"} <= ours


@pytest.mark.tensorflow
def test_a_file_of_keras_with_or_without_the_head_gives_what_the_package_gives(lite0, tmp_path):
    whole = efficientnet_lite0((224, 224, 3), include_top=True)
    set_torch_weights(whole, str(lite0), LITE.digest)
    whole.save_weights(tmp_path / "whole.weights.h5")
    shutil.copy(lite0, tmp_path / "elsewhere.pth")
    ours = Backbone("efficientnet_lite0")
    own, copied = (
        Backbone("efficientnet_lite0", tmp_path / name) for name in ("whole.weights.h5", "elsewhere.pth")
    )
    first, *others = (
        build_model(each.network, each.found_weights()).get_weights() for each in (ours, own, copied)
    )
    for other in others:
        for here, there in zip(first, other, strict=True):
            np.testing.assert_array_equal(here, there)
    assert own.fingerprint() != ours.fingerprint() == copied.fingerprint()


def test_a_file_that_is_not_the_published_one_is_not_even_opened(lite0, tmp_path, monkeypatch):
    data = bytearray(lite0.read_bytes())
    data[1_000_000] ^= 1
    (tmp_path / "flipped.pth").write_bytes(data)
    monkeypatch.setattr("featurize.networks.efficientnet_lite.read_tensors", None)
    with pytest.raises(WeightsError, match="its SHA-256 is another"):
        read_torch_file(tmp_path / "flipped.pth", LITE.digest)
    with pytest.raises(WeightsError, match="is a file of PyTorch"):
        Backbone("efficientnet_lite0", tmp_path / "flipped.pth").fingerprint()
    with pytest.raises(WeightsError, match="is a file of PyTorch"):  # Inception takes none at all
        Backbone("inception_v3", lite0).fingerprint()


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def torch_file(tensors: object, keys: list[str], storages: bytes = b"") -> bytes:
    parts = [119547037146038801333356, 1001, {"little_endian": True}, tensors, keys]
    return b"".join(pickle.dumps(part, 2) for part in parts) + storages


def test_a_pickle_that_asks_for_more_than_tensors_is_refused_and_runs_nothing(tmp_path):
    touched = tmp_path / "touched"
    with pytest.raises(pickle.UnpicklingError, match="no weights need"):
        read_tensors(torch_file(OrderedDict(a=Touch(str(touched))), []))
    assert not touched.exists()


def test_tensors_are_read_with_their_offsets_and_strides():
    """By hand: protocol 2, a tensor of 2 x 3 that begins at the second number and is stored column by column."""
    numbers = np.arange(8, dtype="<f4")
    stream = io.BytesIO()

    def persistent(kind: str) -> bytes:
        text = b"(X\x07\0\0\0storagectorch\n" + kind.encode() + b"\nX\x01\0\0\0kX\x03\0\0\0cpuK\x08Nt"
        return text + b"Q"

    build = b"ctorch._utils\n_rebuild_tensor_v2\n("
    rest = b"K\x01K\x02K\x03\x86K\x01K\x02\x86\x89ccollections\nOrderedDict\n)RtR"
    tensors = b"\x80\x02ccollections\nOrderedDict\n)RX\x01\0\0\0a" + build + persistent("FloatStorage") + rest
    for part in (1, 2, {}):
        stream.write(pickle.dumps(part, 2))
    stream.write(tensors + b"s." + pickle.dumps(["k"], 2) + (8).to_bytes(8, "little") + numbers.tobytes())
    assert read_tensors(stream.getvalue())["a"].tolist() == [[1, 3, 5], [2, 4, 6]]
