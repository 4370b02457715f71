"""Networks of keras.applications as extractors, by name."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.extractors.frozen_extractor import FrozenExtractor
from featurize.extractors.networks import SCALINGS, Network, find_network, scale_pixels
from featurize.extractors.weights import Weights, find_weights


class Backbone(FrozenExtractor):
    """The pooled last layer, or any other, of a frozen network of `keras.applications`.

    The whole photo is brought to the network's input size (bilinear, antialiased) and scaled as the network was
    trained. A vector depends on the image and these settings alone: not on the order, the extractors beside it, or
    the store. Nor does it on the batch it travelled in, but for the order in which TensorFlow adds up: in any batch it
    is equal to a few millionths of its length for MobileNet and Inception, to 1e-5 for other networks. On another
    processor, and to Keras' own ``predict``, it is equal to 1e-5; bit for bit only with one engine, batch size and
    machine.

    Parameters
    ----------
    backbone : str
        ``"mobilenet_0.50_224"``, ``"resnet50"``, …; `featurize.extractors.networks` declares them, and
        ``featurize backbones`` lists them.
    weights : str or path, default "auto"
        ``"auto"`` (a file in ``FEATURIZE_WEIGHTS_DIR``, else ImageNet's), ``"imagenet"``, a Keras ``.h5`` file,
        or ``"random"`` / ``"random:SEED"`` for an untrained network.
    layer : str, default "avg_pool"
        Where the vector is read; any layer of the Keras model, averaged over its area.
    precision : {"float32", "bfloat16"}, default "float32"
        bfloat16 is about twice as fast on processors that have it, and refused on others. See Notes.
    preprocess : sequence of str, default ()
        Steps that change the photo first, such as ``("remove-hair",)``; see `featurize.extractors.steps`.
    batch_size : int, default 32
        Images per call of the network; changes vectors in their last digits at most.
    store : Store or path, optional
        Where `transform` keeps and finds the vectors of files.
    parity : {None, "retrain"}, default None
        ``"retrain"`` decodes and resizes as TensorFlow's retrain.py did; see `featurize.extractors.parity`.
    engine : {"tensorflow", "openvino"}, default "tensorflow"
        What runs the frozen network; ``"openvino"`` needs the extra of that name. The vectors differ in their last
        digits (by less than 1e-5 of their length, in float32), and so do the fingerprints.

    Raises
    ------
    UsageError
        If there is no such network, layer, precision or engine; raised at first use, not here.
    WeightsError
        If the weights are missing or belong to another network.

    Notes
    -----
    What bfloat16 changes, measured with Inception v3, layer mixed8: each vector by 1.1 % of its length (2.1 % at
    most), and the accuracy of 5 grouped folds by less than the folds themselves do:

    ==============  =======  =======  ========
    photos          head     float32  bfloat16
    ==============  =======  =======  ========
    flowers (750)   softmax  0.895    0.896
    flowers (750)   svm      0.889    0.891
    fire (218)      softmax  0.954    0.954
    fire (218)      svm      0.945    0.945
    ==============  =======  =======  ========

    Vectors of the two precisions have different fingerprints and are never mixed.

    Examples
    --------
    >>> extractor = Backbone("mobilenet_0.25_128", weights="random")
    >>> extractor.name, extractor.width
    ('mobilenet_0.25_128', 256)
    """

    def __init__(
        self,
        backbone: str,
        weights: str | os.PathLike = "auto",
        layer: str = "avg_pool",
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        parity: str | None = None,
        engine: str = "tensorflow",
    ):
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.precision = precision
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.store = store
        self.parity = parity
        self.engine = engine

    @property
    def network(self) -> Network:
        """What is declared about the network."""
        return find_network(self.backbone)

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.backbone

    @property
    def name(self) -> str:
        return self.backbone if self.layer == "avg_pool" else f"{self.backbone}:{self.layer}"

    @property
    def width(self) -> int:
        return self.network.layers.get(self.layer) or self._width()

    @property
    def side(self) -> int:
        return self.network.side

    @property
    def end(self) -> str:
        return self.layer

    def network_settings(self) -> dict[str, Any]:
        self.network.check_layer(self.layer)
        return {"scaling": SCALINGS[self.network.scaling], "weights": self.found_weights().identity()}

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        return scale_pixels(pixels, self.network.scaling)

    def found_weights(self) -> Weights:
        """The weights that ``weights`` stands for, looked up once."""
        key = (self.backbone, os.fspath(self.weights))
        if getattr(self, "_found_for", None) != key:
            wanted = getattr(self, "_wanted_sha256", None)
            network = self.network
            self._found = find_weights(
                network.name, self.weights, network.download, self._file_index(), wanted
            )
            self._found_for = key
        return self._found

    def weights_record(self) -> dict[str, Any]:
        return self.found_weights().record()

    def freeze(self, team: Sequence[Any], precision: str) -> list[bytes]:
        from featurize.extractors.frozen import freeze_model
        from featurize.extractors.keras_models import build_model, output_of

        model = build_model(self.network, self.found_weights())
        return [freeze_model(model, output_of(model, one.layer), precision) for one in team]


class InceptionV3(Backbone):
    """The pooled last layer of a frozen Inception v3: 2,048 numbers per image.

    The same as ``Backbone("inception_v3")``.

    Parameters
    ----------
    weights, layer, precision, preprocess, batch_size, store, parity, engine
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
        layer: str = "avg_pool",
        precision: str = "float32",
        preprocess: Sequence[str] = (),
        batch_size: int = 32,
        store: Any = None,
        parity: str | None = None,
        engine: str = "tensorflow",
    ):
        super().__init__(
            "inception_v3", weights, layer, precision, preprocess, batch_size, store, parity, engine
        )
