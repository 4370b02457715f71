"""Networks of keras.applications as extractors."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from featurize.contents import FileIndex
from featurize.errors import UsageError
from featurize.extractors.base import Extractor
from featurize.extractors.weights import Download, Weights, find_weights
from featurize.pixels import Photo, decode_policy, resize
from featurize.terminal import log

PRECISIONS = ("float32", "bfloat16")
# A JPEG may be scaled while decoding as long as this many pixels are left per pixel of the input.
DECODE_MARGIN = 2


@dataclass(frozen=True)
class Network:
    """A network, declared: what there is to know about it before tensorflow is imported."""

    name: str
    keras_class: str
    side: int
    layers: dict[str, int]
    download: Download
    scaling: str = "rgb / 127.5 - 1"
    options: dict[str, Any] = field(default_factory=dict)


INCEPTION_V3 = Network(
    name="inception_v3",
    keras_class="InceptionV3",
    side=299,
    layers={
        "avg_pool": 2048,
        "mixed0": 256,
        "mixed1": 288,
        "mixed2": 288,
        **{f"mixed{i}": 768 for i in range(3, 8)},
        "mixed8": 1280,
        "mixed9": 2048,
        "mixed10": 2048,
    },
    # Trained by Google on ImageNet (ILSVRC 2012), published with Keras under the Apache licence.
    download=Download(
        file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        url="https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        md5="bcbd6486424b2319ff4ef7d526e38f63",
        megabytes=88,
    ),
)


class InceptionV3(Extractor):
    """The pooled last layer of a frozen Inception v3: 2,048 numbers per image.

    The whole photo is brought to 299 × 299 pixels (bilinear, antialiased) and scaled to −1…1. A vector depends
    on the image and these settings alone: not on the batch it travelled in, the order, or the store.

    Parameters
    ----------
    weights : str or path, default "auto"
        ``"auto"`` (a file in ``FEATURIZE_WEIGHTS_DIR``, else ImageNet's), ``"imagenet"``, a Keras ``.h5`` file,
        or ``"random"`` / ``"random:SEED"`` for an untrained network.
    layer : str, default "avg_pool"
        Where the vector is read; any layer of the Keras model, averaged over its area. ``"mixed8"`` has 1,280.
    precision : {"float32", "bfloat16"}, default "float32"
        bfloat16 is about twice as fast on processors that have it, and changes vectors by about 1 %.
    preprocess : sequence of str, default ()
        Steps that change the photo first, such as ``("remove-hair",)``; see `featurize.extractors.steps`.
    batch_size : int, default 32
        Images per call of the network; changes no number.
    store : Store or path, optional
        Where `transform` keeps and finds the vectors of files.

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

    family, version = "inception_v3", 1
    network = INCEPTION_V3

    def __init__(
        self,
        weights: str | os.PathLike = "auto",
        layer: str = "avg_pool",
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
    ):
        self.weights = weights
        self.layer = layer
        self.precision = precision
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.store = store

    @property
    def name(self) -> str:
        return self.family if self.layer == "avg_pool" else f"{self.family}:{self.layer}"

    @property
    def width(self) -> int:
        return self.network.layers.get(self.layer) or self._stored_width() or self._function().width

    @property
    def value_names(self) -> Sequence[str]:
        return [f"{self.name}_{i:04d}" for i in range(self.width)]

    def settings(self) -> dict[str, Any]:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r}", f"choose {' or '.join(PRECISIONS)}")
        side = self.network.side
        return {
            "layer": self.layer,
            "pooling": "mean over the area",
            "decode": decode_policy(shorter=side * DECODE_MARGIN),
            "resize": f"{side}x{side}, bilinear with antialiasing",
            "scaling": self.network.scaling,
            "engine": "tensorflow, frozen",
            "precision": self.precision,
            "weights": self.found_weights().identity(),
        }

    def found_weights(self) -> Weights:
        """The weights that ``weights`` stands for, looked up once."""
        key = os.fspath(self.weights)
        if getattr(self, "_found_for", None) != key:
            index = getattr(self, "_index", None) or FileIndex(None)
            self._found = find_weights(
                self.network.name,
                self.weights,
                self.network.download,
                index,
                getattr(self, "_wanted_sha256", None),
            )
            self._found_for = key
        return self._found

    def weights_record(self) -> dict[str, Any]:
        return self.found_weights().record()

    def libraries(self) -> tuple[str, ...]:
        return ("numpy", "pillow", "tensorflow", "keras")

    def attach(self, store: Any) -> None:
        self._kept = store
        self._index = store.file_index()

    def prepare(self, photo: Photo) -> np.ndarray:
        side = self.network.side
        return resize(self.view(photo).rgb(shorter=side * DECODE_MARGIN), side, side)

    def vectors(self, prepared: list[np.ndarray]) -> np.ndarray:
        pixels = np.stack(prepared).astype(np.float32)
        pixels /= 127.5
        pixels -= 1.0
        return self._function()(pixels)

    def _function(self):
        """The frozen network, loaded at first use: kept from an earlier run, or built and frozen now."""
        fingerprint = self.fingerprint()
        if getattr(self, "_loaded_for", None) != fingerprint:
            from featurize.extractors.frozen import FrozenFunction
            from featurize.store import keep_graph, kept_graph

            log.info("loading %s", self.name)
            store = getattr(self, "_kept", None)
            graph = kept_graph(store, fingerprint) if store is not None else None
            if graph is None:
                graph = self._freeze()
                if store is not None:
                    keep_graph(store, fingerprint, graph)
            self._loaded, self._loaded_for = FrozenFunction(graph), fingerprint
        return self._loaded

    def _freeze(self) -> bytes:
        from featurize.extractors import frozen

        frozen.import_tensorflow()
        import keras

        side = self.network.side
        model = getattr(keras.applications, self.network.keras_class)(
            include_top=False, weights=None, input_shape=(side, side, 3), **self.network.options
        )
        found = self.found_weights()
        if found.file is None:
            frozen.random_weights(model, found.seed or 0)
        else:
            frozen.load_weights(model, found.file)
        return frozen.freeze(model, self.layer, precision=self.precision)

    def _stored_width(self) -> int | None:
        store = getattr(self, "_kept", None)
        return store.stored_width(self.name, self.fingerprint()) if store is not None else None
