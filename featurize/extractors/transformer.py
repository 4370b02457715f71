"""scikit-learn's protocol for what has parameters and gives named numbers.

It is followed without inheriting from scikit-learn's classes, because importing them takes a second that
``featurize extract`` on unchanged photos does not have.
"""

import copy
import inspect
import sys
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from featurize.errors import UsageError


class Transformer:
    """Parameters, and the names and the form of the output.

    A subclass stores the arguments of ``__init__`` under their names.
    """

    @property
    def value_names(self) -> Sequence[str]:
        """A name for each number of a vector."""
        raise NotImplementedError

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of ``__init__`` and their values."""
        return {name: getattr(self, name) for name in _arguments(type(self))}

    def set_params(self, **params) -> Self:
        """Change arguments of ``__init__``.

        Raises
        ------
        UsageError
            For a name that ``__init__`` does not have; the message lists those it has.
        """
        known = _arguments(type(self))
        for name, value in params.items():
            if name not in known:
                raise UsageError(
                    f"{type(self).__name__} has no parameter {name}", f"it has {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """A name for each number of a vector, as an array of objects."""
        return np.array(list(self.value_names), dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` returns: ``"default"`` (array), ``"pandas"`` or ``"polars"``."""
        if transform not in (None, "default", "pandas", "polars"):
            raise UsageError(f"transform={transform!r} is no output", "choose default, pandas or polars")
        if transform is not None:
            self._sklearn_output_config = {"transform": transform}
        return self

    def _output(self, matrix: np.ndarray):
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform")
        if wanted is None and "sklearn" in sys.modules:
            wanted = sys.modules["sklearn"].get_config()["transform_output"]
        if wanted == "pandas":
            import pandas as pd

            return pd.DataFrame(matrix, columns=self.get_feature_names_out())
        if wanted == "polars":
            import polars as pl

            return pl.DataFrame(matrix, schema=list(self.value_names))
        return matrix

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self):
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(two_d_array=False, string=True),
            requires_fit=False,
            no_validation=True,
        )

    def __repr__(self) -> str:
        defaults = _arguments(type(self))
        given = {k: v for k, v in self.get_params().items() if v is not defaults[k] and v != defaults[k]}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"

    def __getstate__(self) -> dict[str, Any]:
        # Only the arguments travel to worker processes, never a network.
        kept = copy.copy(self.get_params())
        if hasattr(self, "_sklearn_output_config"):
            kept["_sklearn_output_config"] = self._sklearn_output_config
        return kept


def _arguments(cls: type) -> dict[str, Any]:
    """The arguments of a class and their defaults."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    return {p.name: p.default for p in parameters}
