"""Photos in, a table of numbers out: frozen networks and texture descriptors, computed once.

`extract` turns a folder of photos into a `FeatureTable`; `InceptionV3` and `GLCM` are the extractors, which
are scikit-learn transformers too. Messages and progress go to the logger ``bottlehead``:
``logging.basicConfig(level=logging.INFO)`` shows them on stderr. Nothing heavy is imported until it is needed.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names, for mypy and editors
    from featurize.errors import BottleheadError as BottleheadError
    from featurize.extraction.parts import assemble_parts as assemble_parts
    from featurize.extraction.parts import extract_part as extract_part
    from featurize.extraction.parts import source_parts as source_parts
    from featurize.extraction.run import Extraction as Extraction
    from featurize.extraction.run import extract as extract
    from featurize.extractors.base import Extractor as Extractor
    from featurize.extractors.color import Color as Color
    from featurize.extractors.function import FunctionExtractor as FunctionExtractor
    from featurize.extractors.glcm import GLCM as GLCM
    from featurize.extractors.lbp import LBP as LBP
    from featurize.extractors.nuisance import Nuisance as Nuisance
    from featurize.extractors.shape import Shape as Shape
    from featurize.extractors.texture import Texture as Texture
    from featurize.networks.graph_extractor import FrozenGraph as FrozenGraph
    from featurize.networks.keras_file import KerasFile as KerasFile
    from featurize.networks.keras_model import KerasModel as KerasModel
    from featurize.networks.keras_network import Backbone as Backbone
    from featurize.networks.keras_network import InceptionV3 as InceptionV3
    from featurize.networks.onnx_network import OnnxNetwork as OnnxNetwork
    from featurize.photos.distort import Distortion as Distortion
    from featurize.registry import extractors_like as extractors_like
    from featurize.registry import make_extractor as make_extractor
    from featurize.store.store import Store as Store
    from featurize.table import FeatureTable as FeatureTable

_HOMES = {
    "Backbone": "featurize.networks.keras_network",
    "BottleheadError": "featurize.errors",
    "Color": "featurize.extractors.color",
    "Distortion": "featurize.photos.distort",
    "Extraction": "featurize.extraction.run",
    "Extractor": "featurize.extractors.base",
    "FeatureTable": "featurize.table",
    "FunctionExtractor": "featurize.extractors.function",
    "FrozenGraph": "featurize.networks.graph_extractor",
    "GLCM": "featurize.extractors.glcm",
    "InceptionV3": "featurize.networks.keras_network",
    "KerasFile": "featurize.networks.keras_file",
    "KerasModel": "featurize.networks.keras_model",
    "LBP": "featurize.extractors.lbp",
    "Nuisance": "featurize.extractors.nuisance",
    "OnnxNetwork": "featurize.networks.onnx_network",
    "Shape": "featurize.extractors.shape",
    "Store": "featurize.store.store",
    "Texture": "featurize.extractors.texture",
    "assemble_parts": "featurize.extraction.parts",
    "extract": "featurize.extraction.run",
    "extract_part": "featurize.extraction.parts",
    "extractors_like": "featurize.registry",
    "make_extractor": "featurize.registry",
    "source_parts": "featurize.extraction.parts",
}

__all__ = sorted(_HOMES)


if not TYPE_CHECKING:  # for mypy, a name that is not in the list above is an error

    def __getattr__(name: str):
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
