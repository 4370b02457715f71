"""The networks by name, declared: everything there is to know about one before tensorflow is imported.

Names are those of `keras.applications` in snake case. MobileNet v1 has the names of TensorFlow for Poets,
``mobilenet_WIDTH_SIZE``. All weights were trained on ImageNet (ILSVRC 2012) and are published with Keras.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from featurize.errors import UsageError
from featurize.extractors.downloads import Download, published


@dataclass(frozen=True)
class Network:
    """A network, declared.

    Attributes
    ----------
    name : str
        As in a features spec.
    keras_class : str
        In `keras.applications`.
    side : int
        Of the square input, in pixels.
    layers : mapping of str to int
        Widths that are known without building it; ``"avg_pool"`` is always there.
    scaling : str
        What pixels become before they enter; a key of `SCALINGS`.
    parameters : int
        Of the network without its ImageNet head.
    download : Download
        Its published weights, without the head.
    options : mapping
        Further arguments of the Keras class.
    """

    name: str
    keras_class: str
    side: int
    layers: Mapping[str, int]
    scaling: str
    parameters: int
    download: Download
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many numbers the pooled vector has."""
        return self.layers["avg_pool"]

    def check_layer(self, layer: str) -> None:
        """Refuse what is certainly no layer, before anything is built: a number that a declared series lacks.

        Raises
        ------
        UsageError
            Such as for mixed99 of Inception v3, which has mixed0 to mixed10.
        """
        series = {name.rstrip(DIGITS) for name in self.layers} - set(self.layers)
        if layer not in self.layers and layer.rstrip(DIGITS) in series:
            raise UsageError(
                f"{self.name} has no layer {layer}",
                f"it has {', '.join(self.layers)} and others, named as in keras.applications",
            )


DIGITS = "0123456789"
# What a network's pixels become, as (RGB - mean) / std; the text stands in fingerprints.
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SCALINGS = {
    "tf": "rgb / 127.5 - 1",
    "torch": "(rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]",
    "caffe": "bgr - [103.939, 116.779, 123.68]",
    "none": "rgb 0 to 255; scaled by the network's first layers",
    "efficientnet": "rgb 0 to 255; scaled by the network's first layers, and by 1 / sqrt([0.229, 0.224, 0.225])",
}


def scale_pixels(pixels: np.ndarray, scaling: str) -> np.ndarray:
    """RGB pixels as a network wants them.

    Parameters
    ----------
    pixels : array of shape (..., 3), float32
        0 to 255; changed in place where that is possible.
    scaling : str
        A key of `SCALINGS`. ``"efficientnet"``: the published EfficientNets (the first version) want their
        input divided by the standard deviation and its square root; Keras does the second only when it fetches
        the weights itself, so it is done here, around the mean that the network then takes off.

    Examples
    --------
    >>> scale_pixels(np.array([0.0, 127.5, 255.0], np.float32), "tf")
    array([-1.,  0.,  1.], dtype=float32)
    """
    if scaling == "tf":
        pixels /= 127.5
        pixels -= 1.0
    elif scaling == "torch":
        pixels /= 255.0
        pixels -= IMAGENET_MEAN.astype(np.float32)
        pixels /= IMAGENET_STD.astype(np.float32)
    elif scaling == "caffe":
        pixels = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    elif scaling == "efficientnet":
        mean = (255 * IMAGENET_MEAN).astype(np.float32)
        pixels = (pixels - mean) / np.sqrt(IMAGENET_STD).astype(np.float32) + mean
    return pixels


def find_network(name: str) -> Network:
    """The declaration of a network.

    Raises
    ------
    UsageError
        If there is none of this name; the message lists those that are meant most probably.
    """
    if name in NETWORKS:
        return NETWORKS[name]
    plain = name.removesuffix("_quantized")
    if plain != name and plain in NETWORKS:
        raise UsageError(
            f"{name} has 8-bit weights, which no vectors are made with here",
            f"use {plain}, the same in float32",
        )
    close = get_close_matches(name, NETWORKS, n=4, cutoff=0.5)
    raise UsageError(
        f"there is no network named {name}",
        (f"perhaps {' or '.join(close)}; " if close else "") + "`featurize backbones` lists all",
    )


_INCEPTION_LAYERS = {
    "mixed0": 256,
    "mixed1": 288,
    "mixed2": 288,
    **{f"mixed{i}": 768 for i in range(3, 8)},
    "mixed8": 1280,
    "mixed9": 2048,
    "mixed10": 2048,
}

# name, class in keras.applications, input side, width, scaling, parameters without the head
_TABLE = """
vgg16                VGG16               224    512  caffe           14714688
vgg19                VGG19               224    512  caffe           20024384
xception             Xception            299   2048  tf              20861480
resnet50             ResNet50            224   2048  caffe           23587712
resnet101            ResNet101           224   2048  caffe           42658176
resnet152            ResNet152           224   2048  caffe           58370944
resnet50_v2          ResNet50V2          224   2048  tf              23564800
resnet101_v2         ResNet101V2         224   2048  tf              42626560
resnet152_v2         ResNet152V2         224   2048  tf              58331648
inception_v3         InceptionV3         299   2048  tf              21802784
inception_resnet_v2  InceptionResNetV2   299   1536  tf              54336736
mobilenet_v2         MobileNetV2         224   1280  tf               2257984
mobilenet_v3_small   MobileNetV3Small    224    576  none              939120
mobilenet_v3_large   MobileNetV3Large    224    960  none             2996352
densenet121          DenseNet121         224   1024  torch            7037504
densenet169          DenseNet169         224   1664  torch           12642880
densenet201          DenseNet201         224   1920  torch           18321984
nasnet_mobile        NASNetMobile        224   1056  tf               4269716
nasnet_large         NASNetLarge         331   4032  tf              84916818
efficientnet_b0      EfficientNetB0      224   1280  efficientnet     4049571
efficientnet_b1      EfficientNetB1      240   1280  efficientnet     6575239
efficientnet_b2      EfficientNetB2      260   1408  efficientnet     7768569
efficientnet_b3      EfficientNetB3      300   1536  efficientnet    10783535
efficientnet_b4      EfficientNetB4      380   1792  efficientnet    17673823
efficientnet_b5      EfficientNetB5      456   2048  efficientnet    28513527
efficientnet_b6      EfficientNetB6      528   2304  efficientnet    40960143
efficientnet_b7      EfficientNetB7      600   2560  efficientnet    64097687
efficientnet_v2_b0   EfficientNetV2B0    224   1280  none             5919312
efficientnet_v2_b1   EfficientNetV2B1    240   1280  none             6931124
efficientnet_v2_b2   EfficientNetV2B2    260   1408  none             8769374
efficientnet_v2_b3   EfficientNetV2B3    300   1536  none            12930622
efficientnet_v2_s    EfficientNetV2S     384   1280  none            20331360
efficientnet_v2_m    EfficientNetV2M     480   1280  none            53150388
efficientnet_v2_l    EfficientNetV2L     480   1280  none           117746848
convnext_tiny        ConvNeXtTiny        224    768  none            27820128
convnext_small       ConvNeXtSmall       224    768  none            49454688
convnext_base        ConvNeXtBase        224   1024  none            87566464
convnext_large       ConvNeXtLarge       224   1536  none           196230336
convnext_xlarge      ConvNeXtXLarge      224   2048  none           348147968
"""
_MOBILENET_PARAMETERS = {"1.0": 3_228_864, "0.75": 1_832_976, "0.50": 829_536, "0.25": 218_544}


def _declared() -> list[Network]:
    networks = []
    for line in _TABLE.strip().splitlines():
        name, keras_class, side, width, scaling, parameters = line.split()
        layers = {"avg_pool": int(width), **(_INCEPTION_LAYERS if name == "inception_v3" else {})}
        download = published(name, int(parameters))
        networks.append(Network(name, keras_class, int(side), layers, scaling, int(parameters), download))
    for width, count in _MOBILENET_PARAMETERS.items():
        for size in (224, 192, 160, 128):
            name = f"mobilenet_{width}_{size}"
            layers, options = {"avg_pool": int(float(width) * 1024)}, {"alpha": float(width)}
            download = published(name, count)
            networks.append(Network(name, "MobileNet", size, layers, "tf", count, download, options))
    return sorted(networks, key=lambda network: network.name)


NETWORKS = {network.name: network for network in _declared()}
