"""A table in, a model out, predictions back: scikit-learn heads on vectors that were computed once.

`make_head` gives an unfitted scikit-learn classifier, `train_model` a `Model`, which `save_model` and
`load_model` keep in one file without pickle, and `Predictor` uses it. `TRUSTED_TYPES` are the types that another
reader of skops, such as MLflow's, must trust to read a head. Nothing heavy is imported until it is needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names of _HOMES again, for editors and mypy
    from classify.export.export import export_model as export_model
    from classify.folds import Fold as Fold
    from classify.folds import make_folds as make_folds
    from classify.heads.calibrate import Calibrated as Calibrated
    from classify.heads.fitting import fit_head as fit_head
    from classify.heads.registry import head_names as head_names
    from classify.heads.registry import make_head as make_head
    from classify.heads.scaling import BlockScaler as BlockScaler
    from classify.heads.steps import Steps as Steps
    from classify.heads.tuning import tune_head as tune_head
    from classify.labels import correct_labels as correct_labels
    from classify.model.model import Model as Model
    from classify.model.model import OperatingPoint as OperatingPoint
    from classify.model.modelfile import load_model as load_model
    from classify.model.modelfile import save_model as save_model
    from classify.model.skops_head import TRUSTED_TYPES as TRUSTED_TYPES
    from classify.prediction.neighbours import nearest_images as nearest_images
    from classify.prediction.predict import Predictor as Predictor
    from classify.prediction.predict import predict_batches as predict_batches
    from classify.prediction.predict import predict_images as predict_images
    from classify.prediction.predictions import predict_table as predict_table
    from classify.suggest.suggest import suggest_photos as suggest_photos
    from classify.taxonomy import Taxonomy as Taxonomy
    from classify.taxonomy import read_taxonomy as read_taxonomy
    from classify.training.answers import choose_answers as choose_answers
    from classify.training.thresholds import choose_threshold as choose_threshold
    from classify.training.train import train_in_steps as train_in_steps
    from classify.training.train import train_model as train_model
    from classify.watch.watch import watch_photos as watch_photos

# None may be the name of a submodule: importing the submodule would replace it.
_HOMES = {
    "BlockScaler": "classify.heads.scaling",
    "Calibrated": "classify.heads.calibrate",
    "Fold": "classify.folds",
    "Model": "classify.model.model",
    "OperatingPoint": "classify.model.model",
    "Predictor": "classify.prediction.predict",
    "Steps": "classify.heads.steps",
    "Taxonomy": "classify.taxonomy",
    "TRUSTED_TYPES": "classify.model.skops_head",
    "choose_answers": "classify.training.answers",
    "choose_threshold": "classify.training.thresholds",
    "correct_labels": "classify.labels",
    "export_model": "classify.export.export",
    "fit_head": "classify.heads.fitting",
    "head_names": "classify.heads.registry",
    "load_model": "classify.model.modelfile",
    "make_folds": "classify.folds",
    "make_head": "classify.heads.registry",
    "nearest_images": "classify.prediction.neighbours",
    "predict_batches": "classify.prediction.predict",
    "predict_images": "classify.prediction.predict",
    "predict_table": "classify.prediction.predictions",
    "read_taxonomy": "classify.taxonomy",
    "save_model": "classify.model.modelfile",
    "suggest_photos": "classify.suggest.suggest",
    "train_in_steps": "classify.training.train",
    "train_model": "classify.training.train",
    "tune_head": "classify.heads.tuning",
    "watch_photos": "classify.watch.watch",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'classify' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
