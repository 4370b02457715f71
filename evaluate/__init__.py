"""evaluate: what may be believed of features, heads and models.

Part of bottlehead. Hugging Face publishes another package under this import name; the two cannot share an
environment.

- `compare` cross-validates heads on features over the same folds; `test` tries a model on a test set.
- `find_duplicates` finds photos that are there twice; `group_duplicates` keeps them together.
- `learning_curve` says whether more photos would help, and of which label.
- `check_folds` proves that folds part nothing that belongs together; `check_shortcuts` asks whether camera and
  file alone tell the labels.
- `split_table` sets rows aside; `cross_validate` gives the predictions that every number is derived from.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluate.checks.duplicates import Duplicates, find_duplicates, group_duplicates
    from evaluate.checks.shortcuts import check_shortcuts
    from evaluate.report.html import write_report
    from evaluate.scores.crossval import Predictions, cross_validate
    from evaluate.splits.checked_folds import check_folds
    from evaluate.splits.split import split_table
    from evaluate.studies.compare import Comparison, compare
    from evaluate.studies.curve import LearningCurve, learning_curve
    from evaluate.studies.testing import TestResult, test

__all__ = [
    "Comparison",
    "Duplicates",
    "LearningCurve",
    "Predictions",
    "TestResult",
    "check_folds",
    "check_shortcuts",
    "compare",
    "cross_validate",
    "find_duplicates",
    "group_duplicates",
    "learning_curve",
    "split_table",
    "test",
    "write_report",
]

_HOMES = {
    "Comparison": "comparison",
    "Duplicates": "duplicates",
    "LearningCurve": "curves",
    "Predictions": "crossval",
    "TestResult": "testing",
    "check_folds": "folds",
    "check_shortcuts": "shortcuts",
    "compare": "comparison",
    "cross_validate": "crossval",
    "find_duplicates": "duplicates",
    "group_duplicates": "duplicates",
    "learning_curve": "curves",
    "split_table": "splits",
    "test": "testing",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: scikit-learn alone takes a second."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evaluate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"evaluate.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
