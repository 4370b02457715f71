"""evaluate: what may be believed of features, heads and models.

Part of bottlehead. Hugging Face publishes another package under this import name; the two cannot share an
environment.

- `compare` cross-validates heads on features over the same folds; `test` tries a model on a test set.
- `find_duplicates` finds photos that are there twice; `group_duplicates` keeps them together.
- `map_photos` lays photos out by their vectors, to look at them.
- `learning_curve` says whether more photos would help, and of which label.
- `check_folds` proves that folds part nothing that belongs together; `check_shortcuts` asks whether camera and
  file alone tell the labels.
- `split_table` sets rows aside; `cross_validate` gives the predictions that every number is derived from.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names of _HOMES again, for editors and mypy
    from evaluate.checks.duplicates import Duplicates as Duplicates
    from evaluate.checks.duplicates import find_duplicates as find_duplicates
    from evaluate.checks.duplicates import group_duplicates as group_duplicates
    from evaluate.checks.shortcuts import check_shortcuts as check_shortcuts
    from evaluate.report.html import write_report as write_report
    from evaluate.scores.crossval import Predictions as Predictions
    from evaluate.scores.crossval import cross_validate as cross_validate
    from evaluate.splits.checked_folds import check_folds as check_folds
    from evaluate.splits.split import split_table as split_table
    from evaluate.studies.compare import Comparison as Comparison
    from evaluate.studies.compare import compare as compare
    from evaluate.studies.curve import LearningCurve as LearningCurve
    from evaluate.studies.curve import learning_curve as learning_curve
    from evaluate.studies.map import PhotoMap as PhotoMap
    from evaluate.studies.map import map_photos as map_photos
    from evaluate.studies.testing import TestResult as TestResult
    from evaluate.studies.testing import test as test

_HOMES = {
    "Comparison": "evaluate.studies.compare",
    "Duplicates": "evaluate.checks.duplicates",
    "LearningCurve": "evaluate.studies.curve",
    "PhotoMap": "evaluate.studies.map",
    "Predictions": "evaluate.scores.crossval",
    "TestResult": "evaluate.studies.testing",
    "check_folds": "evaluate.splits.checked_folds",
    "check_shortcuts": "evaluate.checks.shortcuts",
    "compare": "evaluate.studies.compare",
    "cross_validate": "evaluate.scores.crossval",
    "find_duplicates": "evaluate.checks.duplicates",
    "group_duplicates": "evaluate.checks.duplicates",
    "learning_curve": "evaluate.studies.curve",
    "map_photos": "evaluate.studies.map",
    "split_table": "evaluate.splits.split",
    "test": "evaluate.studies.testing",
    "write_report": "evaluate.report.html",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: scikit-learn alone takes a second."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evaluate' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
