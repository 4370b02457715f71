"""A table in, a model out, predictions back: scikit-learn heads on vectors that were computed once.

`make_head` gives an unfitted scikit-learn classifier, `train` a `Model`, which `save_model` and `load_model`
keep in one file without pickle. Nothing heavy is imported until it is needed.
"""

import importlib

_HOMES = {
    "BlockScaler": "classify.scaling",
    "Calibrated": "classify.calibrate",
    "Fold": "classify.folds",
    "Model": "classify.model",
    "fit_head": "classify.heads",
    "head_names": "classify.heads",
    "load_model": "classify.persist",
    "make_folds": "classify.folds",
    "make_head": "classify.heads",
    "predict": "classify.predict",
    "predict_table": "classify.predict",
    "save_model": "classify.persist",
    "train": "classify.train",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
