"""A table in, a model out, predictions back: scikit-learn heads on vectors that were computed once.

`make_head` gives an unfitted scikit-learn classifier, `train_model` a `Model`, which `save_model` and
`load_model` keep in one file without pickle, and `predict_images` uses it. Nothing heavy is imported until it
is needed.
"""

import importlib

# Where each public name lives. None may be the name of a submodule: importing the submodule would replace it.
# That is why the functions of train.py and predict.py have longer names here.
_HOMES = {
    "BlockScaler": ("classify.heads.scaling", "BlockScaler"),
    "Calibrated": ("classify.heads.calibrate", "Calibrated"),
    "Fold": ("classify.folds", "Fold"),
    "Model": ("classify.model.model", "Model"),
    "OperatingPoint": ("classify.training.thresholds", "OperatingPoint"),
    "Predictor": ("classify.prediction.predict", "Predictor"),
    "Steps": ("classify.heads.steps", "Steps"),
    "choose_threshold": ("classify.training.thresholds", "choose_threshold"),
    "fit_head": ("classify.heads.fitting", "fit_head"),
    "head_names": ("classify.heads.registry", "head_names"),
    "load_model": ("classify.model.modelfile", "load_model"),
    "make_folds": ("classify.folds", "make_folds"),
    "make_head": ("classify.heads.registry", "make_head"),
    "nearest_images": ("classify.prediction.neighbours", "nearest_images"),
    "predict_batches": ("classify.prediction.predict", "predict_batches"),
    "predict_images": ("classify.prediction.predict", "predict"),
    "predict_table": ("classify.prediction.predict", "predict_table"),
    "save_model": ("classify.model.modelfile", "save_model"),
    "train_in_steps": ("classify.training.train", "train_in_steps"),
    "train_model": ("classify.training.train", "train"),
    "tune_head": ("classify.heads.tuning", "tune_head"),
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        module, found = _HOMES[name]
        return getattr(importlib.import_module(module), found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
