"""Classifiers of XGBoost, LightGBM and CatBoost as heads: what they call their parameters, and what they need.

The libraries are imported by whoever names one of their classes; nothing here imports them.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from classify.heads.calibrate import Calibrated
from classify.heads.fitting import ClassWeighted, EncodedLabels


@dataclass(frozen=True)
class Library:
    """What classifiers of a library need that scikit-learn's do not.

    `defaults` hold where a spec does not set them, nor a parameter of the same meaning (`instead`). One thread fits, as
    of all heads: `compare` fits folds in processes, and several threads add up in another order.
    """

    defaults: Mapping[str, Any]
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole_numbers: bool = False  # whether labels must be 0, 1, …


LIBRARIES = {
    "xgboost": Library({"n_jobs": 1}, whole_numbers=True),
    # By itself it writes to standard output, and chooses by the clock in which order it adds up.
    "lightgbm": Library(
        {"n_jobs": 1, "verbosity": -1, "deterministic": True, "force_col_wise": True},
        {"verbosity": ("verbose",), "n_jobs": ("num_threads",), "force_col_wise": ("force_row_wise",)},
    ),
    # By itself it writes to standard output, and a folder into the current one.
    "catboost": Library(
        {"thread_count": 1, "verbose": False, "allow_writing_files": False},
        {"verbose": ("silent", "logging_level", "verbose_eval")},
    ),
}
OF_CATBOOSTS_RUN = "train_finish_time", "model_guid"  # what its models tell that differs from run to run


def library_of(made: Any) -> str:
    """The name of the package that a class, or the class of an object, comes from."""
    return (made if isinstance(made, type) else type(made)).__module__.partition(".")[0]


def defaults_of(classifier: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in which a classifier that is given by its path differs from its library's own."""
    library = LIBRARIES.get(library_of(classifier))
    if library is None:
        return {}
    return {
        key: value
        for key, value in library.defaults.items()
        if not {key, *library.instead.get(key, ())} & given.keys()
    }


def parameters_of(classifier: type) -> set[str]:
    """The parameters that a classifier takes although its ``get_params`` does not name them."""
    if library_of(classifier) not in LIBRARIES:
        return set()
    named = inspect.signature(classifier.__init__).parameters.values()  # type: ignore[misc]
    known = {one.name for one in named if one.kind is not one.VAR_KEYWORD} - {"self"}
    if library_of(classifier) == "lightgbm":
        # Its wrapper of scikit-learn hands all others on; the library itself lists them, with their other names.
        listed = getattr(sys.modules["lightgbm.basic"], "_ConfigAliases", None)
        for name, others in listed._get_all_param_aliases().items() if listed else ():
            known |= {name, *others}
    return known


def encoded(head: Any) -> Any:
    """The unfitted head with whatever needs whole numbers as labels inside `EncodedLabels`."""
    if isinstance(head, Pipeline):
        name, last = head.steps[-1]
        return head if encoded(last) is last else clone(head).set_params(**{name: encoded(last)})
    if isinstance(head, Calibrated | ClassWeighted):
        inner = encoded(head.estimator)
        return head if inner is head.estimator else clone(head).set_params(estimator=inner)
    library = LIBRARIES.get(library_of(head))
    return EncodedLabels(head) if library is not None and library.whole_numbers else head


def forget_run(fitted: Any) -> None:
    """Take out of a fitted head when it was fitted, so that the same head gives the same model file."""
    for part in _fitted_parts(fitted):
        if library_of(part) == "catboost":
            about = part.get_metadata()
            for key in OF_CATBOOSTS_RUN:
                if key in about.keys():
                    del about[key]


def versions_of(fitted: Any) -> dict[str, str]:
    """The versions of these libraries that a fitted head rests on, by their names."""
    found = {library_of(part) for part in _fitted_parts(fitted)} & LIBRARIES.keys()
    return {name: str(getattr(sys.modules[name], "__version__", "unknown")) for name in sorted(found)}


def _fitted_parts(fitted: Any) -> Iterator[Any]:
    while fitted is not None:
        yield fitted
        fitted = fitted.steps[-1][1] if isinstance(fitted, Pipeline) else getattr(fitted, "estimator_", None)
