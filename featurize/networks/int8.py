"""Networks in 8-bit integers: made of a network in float32 by one fixed recipe that needs nobody's photos.

NNCF measures the range of each layer on the same 150 crops of pictures that come with scikit-image and scikit-learn,
and rounds weights and activations to 256 steps. Another calibration makes other vectors, so the digest of the network
that was made is part of the fingerprint, and the network is kept beside the store.
"""

import contextlib
import importlib.metadata
import io
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from featurize.draws import drawn_below
from featurize.errors import UsageError, WeightsError, installing, message_of
from featurize.networks.openvino_engine import NETWORK, NUMBERS, read_network
from featurize.photos.photo import Photo, resize
from featurize.terminal import log, progress

INSTALL = installing("int8")
N_CROPS = 150
SMALLEST_CROP = 0.4  # of each side of a picture
RECIPE = f"NNCF, preset mixed, no overflow, {N_CROPS} crops (recipe 1) of 17 pictures of scikit-image and scikit-learn"
# The pictures that are in the wheels of both, by distribution and path, with the beginning of their SHA-256.
PICTURES = {
    "scikit-image": {
        "skimage/data/astronaut.png": "88431cd9653ccd53",
        "skimage/data/brick.png": "7966caf324f6ba84",
        "skimage/data/camera.png": "b0793d2adda0fa6a",
        "skimage/data/chelsea.png": "596aa1e7cb875eb7",
        "skimage/data/coffee.png": "cc02f8ca188b167c",
        "skimage/data/coins.png": "f8d773fc9cfa6f4d",
        "skimage/data/grass.png": "b6b6022426b38936",
        "skimage/data/gravel.png": "c48615b451bf1e60",
        "skimage/data/hubble_deep_field.jpg": "3a19c5dd8a927a93",
        "skimage/data/ihc.png": "f8dd1aa387ddd1f4",
        "skimage/data/moon.png": "78739619d11f7eb9",
        "skimage/data/motorcycle_left.png": "db18e9c415761740",
        "skimage/data/motorcycle_right.png": "5fc913ae870e42a4",
        "skimage/data/retina.jpg": "38a07f36f27f095e",
        "skimage/data/rocket.jpg": "c2dd0de7c538df8d",
    },
    "scikit-learn": {
        "sklearn/datasets/images/china.jpg": "8378025ad2519d64",
        "sklearn/datasets/images/flower.jpg": "a77f6ec41e353afd",
    },
}


def calibration_images(side: int) -> Iterator[np.ndarray]:
    """The 150 crops of the recipe, uint8 of shape (side, side, 3), the same on every machine.

    WeightsError if one of the pictures is not as it was published.
    """
    pictures = list(_pictures())
    low, high = int(SMALLEST_CROP * 1000), 1000
    sizes = low + drawn_below(high - low + 1, 2 * N_CROPS, "int8", "sizes").reshape(-1, 2)
    places = drawn_below(high, 2 * N_CROPS, "int8", "places").reshape(-1, 2)
    for number, (size, place) in enumerate(zip(sizes, places, strict=True)):
        rgb = pictures[number % len(pictures)]
        spans = [max(1, int(length * part) // 1000) for length, part in zip(rgb.shape, size, strict=False)]
        starts = [
            int((length - span) * part) // high
            for length, span, part in zip(rgb.shape, spans, place, strict=False)
        ]
        top, left = starts
        crop = rgb[top : top + spans[0], left : left + spans[1]]
        yield resize(np.ascontiguousarray(crop), side, side)


def _pictures() -> Iterator[np.ndarray]:
    for package, files in PICTURES.items():
        for name, digest in files.items():
            path = Path(str(importlib.metadata.distribution(package).locate_file(name)))
            try:
                data = path.read_bytes()
            except OSError:
                data = b""
            if not sha256(data).hexdigest().startswith(digest):
                raise WeightsError(
                    f"int8 is calibrated on a picture of {package} that is not here as it was published: {path}",
                    f"pip install --force-reinstall --no-deps {package}",
                )
            yield Photo.of(data).rgb()


def check_nncf(name: str) -> None:
    """UsageError where NNCF is not installed, which would make the network `name` in int8."""
    if find_spec("nncf") is None:
        raise UsageError(
            f"{name} in int8 is not here yet, and NNCF, which makes it, is not installed",
            f"{INSTALL}; or copy the store's graphs/quantised-* from where it was made, or use precision float32",
        )


def quantise(
    graph: bytes, scaled: Callable[[np.ndarray], np.ndarray], side: int, name: str
) -> tuple[bytes, str]:
    """A float32 network in 8-bit integers, as bytes to keep, and its digest; takes a minute for a large one.

    `scaled` makes float32 pixels of 0 to 255 what the network wants. NNCF is installed.
    """
    crops = [crop.astype(np.float32) for crop in calibration_images(side)]
    log.info("making %s in int8, once: it is kept beside the store", name)
    with progress(N_CROPS, "calibrating int8") as bar:

        def taken(number: int) -> np.ndarray:
            bar.update(1)
            return scaled(crops[number].copy())[None]

        try:
            return _as_bytes(_quantised(read_network(graph), taken))
        except Exception as error:
            # NNCF raises kinds of its own for what it cannot do, and others where OpenVINO is older than it expects.
            raise UsageError(
                f"NNCF cannot make {name} in int8: {message_of(error, 160)}",
                f"{installing('int8', '--upgrade')}, or use precision float32 (NNCF {_version('nncf')}, "
                f"OpenVINO {_version('openvino')})",
            ) from error


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "is missing"


def _quantised(model: Any, taken: Callable[[int], np.ndarray]) -> Any:
    """NNCF's own words go nowhere, and neither does what it would tell its makers over the internet."""
    telling = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf
    finally:
        if telling is None:
            del os.environ["NNCF_CI"]
    logging.getLogger("nncf").setLevel(
        logging.ERROR
    )  # nncf.set_log_level changes the handlers of whoever asks
    # Attention has a form of its own; without it, vision transformers lose most of what they know.
    kinds = {operation.get_type_name() for operation in model.get_ops()}
    transformer = {"model_type": nncf.ModelType.TRANSFORMER} if "Softmax" in kinds else {}
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            model,
            nncf.Dataset(range(N_CROPS), taken),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=N_CROPS,
            # Weights in half the range: without it, sums overflow on processors without VNNI, and vectors of the same
            # network differ from those of other processors.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
            **transformer,
        )


def _as_bytes(model: Any) -> tuple[bytes, str]:
    """An OpenVINO network as one file, and the digest of what it computes."""
    import tempfile

    import openvino

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, NETWORK)
        openvino.save_model(model, str(place), compress_to_fp16=False)
        xml, numbers = place.read_bytes(), place.with_suffix(".bin").read_bytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in ((NETWORK, xml), (NUMBERS, numbers)):
            archive.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue(), digest_of(xml, numbers)


def digest_of(xml: bytes, numbers: bytes) -> str:
    """SHA-256 of a network but for the names in it, which are new each time that it is made."""
    root = ElementTree.fromstring(xml)
    for layer in root.iter():
        layer.attrib.pop("name", None)
        layer.attrib.pop("names", None)
    parts = [ElementTree.tostring(part) for tag in ("layers", "edges") for part in root.iter(tag)]
    return sha256(b"".join([*parts, numbers])).hexdigest()
