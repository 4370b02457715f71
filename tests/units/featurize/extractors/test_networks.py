"""What is declared about networks: against Keras, where the networks are small; all of them with ALL_NETWORKS=1."""

import os

import keras
import numpy as np
import pytest

from featurize import BottleheadError, make_extractor
from featurize.networks.catalogue import NETWORKS, find_network, scale_pixels
from featurize.networks.keras_network import Backbone, layer_names

pytestmark = pytest.mark.tensorflow
SMALL = ["mobilenet_0.25_128", "mobilenet_0.50_160", "mobilenet_v3_small", "inception_v3"]
OF_KERAS = [name for name, network in NETWORKS.items() if network.keras_class]
CHOSEN = OF_KERAS if os.environ.get("ALL_NETWORKS") else SMALL


def test_every_network_of_keras_is_declared():
    classes = {name for name in dir(keras.applications) if name[0].isupper()}
    declared = {network.keras_class for network in NETWORKS.values() if network.keras_class}
    assert declared == classes
    poets = {f"mobilenet_{w}_{s}" for w in ("1.0", "0.75", "0.50", "0.25") for s in (224, 192, 160, 128)}
    assert poets <= set(NETWORKS)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_declaration_is_that_of_the_network_and_keras_downloads_the_declared_file(name, monkeypatch):
    network, asked = NETWORKS[name], []

    def get_file(fname, origin, cache_subdir, file_hash=None):
        asked.append((fname, origin, file_hash))
        return "nothing"

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    monkeypatch.setattr(keras.Model, "load_weights", lambda model, path: None)
    make = getattr(keras.applications, network.keras_class)
    shape = (network.side, network.side, 3)
    options = {"include_top": False, "weights": "imagenet", "input_shape": shape, "pooling": "avg"}
    model = make(**options, **dict(network.options))
    assert model.output.shape == (None, network.width)
    assert model.count_params() == network.parameters
    assert asked == [(network.download.file, network.download.url, network.download.digest)]
    layers = layer_names(model)
    for layer, width in network.layers.items():
        if layer != "avg_pool":
            assert layers[layer].output.shape[-1] == width
    if name == "inception_v3":  # the second of two in one process has other numbers in its names
        assert layers["conv2d_93"].output.shape[-1] == 192


@pytest.mark.parametrize("name", [name for name in CHOSEN if not NETWORKS[name].options])
def test_the_declared_side_is_the_one_that_keras_chooses(name):
    network = NETWORKS[name]
    side = getattr(keras.applications, network.keras_class)(weights=None).input.shape[1]
    # MobileNet v3 takes any; its published weights are called 224.
    assert side == network.side or (side is None and f"_{network.side}_" in network.download.file)


@pytest.mark.parametrize(("module", "scaling"), [
    ("inception_v3", "tf"), ("densenet", "torch"), ("resnet50", "caffe"), ("efficientnet_v2", "none"),
])  # fmt: skip
def test_pixels_are_scaled_as_keras_does(module, scaling):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(scale_pixels(pixels.copy(), scaling), expected, rtol=1e-6, atol=1e-6)


def test_quantized_and_unknown_names_are_refused_with_the_way_out():
    with pytest.raises(BottleheadError, match=r"use mobilenet_0\.50_224, the same in float32"):
        find_network("mobilenet_0.50_224_quantized")
    with pytest.raises(BottleheadError, match=r"or mobilenet_0\.50_224"):
        make_extractor("mobilenet_0.5_224")


def test_a_layer_that_cannot_be_there_is_refused_before_the_network_is_built(monkeypatch):
    from featurize.networks import keras_network

    monkeypatch.setattr(keras_network, "build_model", None)
    for layer in ("mixed11", "mixed99", "mixed"):
        with pytest.raises(BottleheadError, match=f"inception_v3 has no layer {layer}") as raised:
            Backbone("inception_v3", "random", layer).fingerprint()
        assert "mixed10" in raised.value.hint
    # Others are looked for in the network itself, which also has mixed9_0.
    for layer in ("mixed9_0", "conv2d_7", "avg_pool", "mixed10"):
        Backbone("inception_v3", "random", layer).fingerprint()
    Backbone("resnet50", "random", "conv5_block3_out").fingerprint()
    end = Backbone("inception_v3", "random", "avg_pool").fingerprint()
    assert end == Backbone("inception_v3", "random").fingerprint()
