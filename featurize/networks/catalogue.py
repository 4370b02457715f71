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

# -- The published weights: file, address and digest of each network, as `keras.applications` fetches them ---

STORAGE = "https://storage.googleapis.com/"


@dataclass(frozen=True)
class Download:
    """Published weights.

    Attributes
    ----------
    file : str
        Keras' own name for it, in its cache.
    url : str
    digest : str or None
        MD5 (32 digits) or SHA-256 (64), as Keras declares it; None where it declares none.
    megabytes : int
        Its size.
    """

    file: str
    url: str
    digest: str | None
    megabytes: int


def published(name: str, parameters: int) -> Download:
    """The published weights of a network, without its ImageNet head.

    Parameters
    ----------
    name : str
        As in `featurize.networks.catalogue`.
    parameters : int
        How many numbers the file holds, four bytes each.

    Examples
    --------
    >>> published("mobilenet_0.50_160", 829_536).file
    'mobilenet_5_0_160_tf_no_top.h5'
    """
    megabytes = max(1, round(parameters * 4 / 1e6))
    if name in _PUBLISHED:
        path, digest, *saved_as = _PUBLISHED[name]
        path = path.replace("~", "tensorflow/keras-applications").replace("*", _KERNELS)
        file = saved_as[0] if saved_as else path.rsplit("/", 1)[-1]
        return Download(file, STORAGE + path, None if digest == "-" else digest, megabytes)
    _, width, side = name.split("_")
    file = f"mobilenet_{_MOBILENET_WIDTHS[width]}_{side}_tf_no_top.h5"
    return Download(file, f"{STORAGE}tensorflow/keras-applications/mobilenet/{file}", None, megabytes)


_MOBILENET_WIDTHS = {"1.0": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}
_KERNELS = "weights_tf_dim_ordering_tf_kernels"

# name, path, digest, and the name in Keras' cache where it differs
_DOWNLOADS = """
vgg16 ~/vgg16/vgg16_*_notop.h5 6d6bbae143d832006294945121d1f1fc
vgg19 ~/vgg19/vgg19_*_notop.h5 253f8cb515780f3b799900260a226db6
xception ~/xception/xception_*_notop.h5 b0042744bf5b25fce3cb969f33bebb97
resnet50 ~/resnet/resnet50_*_notop.h5 4d473c1dd8becc155b73f8504c6f6626
resnet101 ~/resnet/resnet101_*_notop.h5 88cf7a10940856eca736dc7b7e228a21
resnet152 ~/resnet/resnet152_*_notop.h5 ee4c566cf9a93f14d82f913c2dc6dd0c
resnet50_v2 ~/resnet/resnet50v2_*_notop.h5 fac2f116257151a9d068a22e544a4917
resnet101_v2 ~/resnet/resnet101v2_*_notop.h5 c0ed64b8031c3730f411d2eb4eea35b5
resnet152_v2 ~/resnet/resnet152v2_*_notop.h5 ed17cf2e0169df9d443503ef94b23b33
inception_v3 ~/inception_v3/inception_v3_*_notop.h5 bcbd6486424b2319ff4ef7d526e38f63
inception_resnet_v2 ~/inception_resnet_v2/inception_resnet_v2_*_notop.h5 d19885ff4a710c122648d3b5c3b684e4
mobilenet_v2 ~/mobilenet_v2/mobilenet_v2_*_1.0_224_no_top.h5 -
mobilenet_v3_small ~/mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5 d3e8ec802a04aa4fc771ee12a9a9b836
mobilenet_v3_large ~/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5 07fb09a5933dd0c8eaafa16978110389
densenet121 ~/densenet/densenet121_*_notop.h5 30ee3e1110167f948a6b9946edeeb738
densenet169 ~/densenet/densenet169_*_notop.h5 b8c4d4c20dd625c148057b9ff1c1176b
densenet201 ~/densenet/densenet201_*_notop.h5 c13680b51ded0fb44dff2d8f86ac8bb1
nasnet_mobile ~/nasnet/NASNet-mobile-no-top.h5 1ed92395b5b598bdda52abe5c0dbfd63 nasnet_mobile_no_top.h5
nasnet_large ~/nasnet/NASNet-large-no-top.h5 d81d89dc07e6e56530c4e77faddd61b5 nasnet_large_no_top.h5
efficientnet_b0 keras-applications/efficientnetb0_notop.h5 50bc09e76180e00e4465e1a485ddc09d
efficientnet_b1 keras-applications/efficientnetb1_notop.h5 74c4e6b3e1f6a1eea24c589628592432
efficientnet_b2 keras-applications/efficientnetb2_notop.h5 111f8e2ac8aa800a7a99e3239f7bfb39
efficientnet_b3 keras-applications/efficientnetb3_notop.h5 af6d107764bb5b1abb91932881670226
efficientnet_b4 keras-applications/efficientnetb4_notop.h5 ebc24e6d6c33eaebbd558eafbeedf1ba
efficientnet_b5 keras-applications/efficientnetb5_notop.h5 38879255a25d3c92d5e44e04ae6cec6f
efficientnet_b6 keras-applications/efficientnetb6_notop.h5 9ecce42647a20130c1f39a5d4cb75743
efficientnet_b7 keras-applications/efficientnetb7_notop.h5 cbcfe4450ddf6f3ad90b1b398090fe4a
efficientnet_v2_b0 ~/efficientnet_v2/efficientnetv2-b0_notop.h5 893217f2bb855e2983157299931e43ff
efficientnet_v2_b1 ~/efficientnet_v2/efficientnetv2-b1_notop.h5 0e80663031ca32d657f9caa404b6ec37
efficientnet_v2_b2 ~/efficientnet_v2/efficientnetv2-b2_notop.h5 1dfe2e7a5d45b6632553a8961ea609eb
efficientnet_v2_b3 ~/efficientnet_v2/efficientnetv2-b3_notop.h5 f6abf7b5849ac99a89b50dd3fd532856
efficientnet_v2_s ~/efficientnet_v2/efficientnetv2-s_notop.h5 af0682fb74e8c54910f2d4393339c070
efficientnet_v2_m ~/efficientnet_v2/efficientnetv2-m_notop.h5 1b8dc055df72dde80d614482840fe342
efficientnet_v2_l ~/efficientnet_v2/efficientnetv2-l_notop.h5 b0b66b5c863aef5b46e8608fe1711615
convnext_tiny ~/convnext/convnext_tiny_notop.h5 d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1
convnext_small ~/convnext/convnext_small_notop.h5 6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab
convnext_base ~/convnext/convnext_base_notop.h5 40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45
convnext_large ~/convnext/convnext_large_notop.h5 96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd
convnext_xlarge ~/convnext/convnext_xlarge_notop.h5 de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05
"""
_PUBLISHED = {line.split()[0]: line.split()[1:] for line in _DOWNLOADS.strip().splitlines()}


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
