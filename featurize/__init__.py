"""Photos in, a table of numbers out: frozen networks and texture descriptors, computed once.

`extract` turns a folder of photos into a `FeatureTable`; `InceptionV3` and `GLCM` are the extractors, which
are scikit-learn transformers too. Messages and progress go to the logger ``bottlehead``:
``logging.basicConfig(level=logging.INFO)`` shows them on stderr. Nothing heavy is imported until it is needed.
"""

import importlib

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
    "LBP": "featurize.extractors.lbp",
    "Nuisance": "featurize.extractors.nuisance",
    "Shape": "featurize.extractors.shape",
    "Store": "featurize.store.store",
    "extract": "featurize.extraction.run",
    "make_extractor": "featurize.registry",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
