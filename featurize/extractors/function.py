"""Anybody's function or scikit-learn transformer as an extractor, cached like the rest."""

import hashlib
import json
import os
import sys
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from featurize.errors import UsageError, failing_of_others
from featurize.extractors.base import Extractor, golden_image, plain
from featurize.extractors.batches import MEND
from featurize.id_columns import check_new_name
from featurize.photos.photo import Photo, decode_policy


class FunctionExtractor(Extractor):
    """The vectors that a function, or a transformer of scikit-learn's kind, makes of RGB arrays.

    Raise `version` whenever the function changes, because nothing else can tell that it did. For the command line and
    for models, register it under the entry point ``featurize.extractors``; see ``examples/own_extractor.py``.

    Parameters
    ----------
    function : callable or transformer
        A callable takes one photo, uint8 of shape (height, width, 3) and read-only, and returns its numbers: one, or a
        list or one-dimensional array of real numbers. A
        transformer's ``transform`` takes a list of one photo and returns one row; its ``get_params()`` are part of
        the fingerprint, what it has learned is not: `version` must say which fit it is. Both are called in several
        threads at once.
    name : str
        The features spec, and the column in a table; without ``+``, which joins features.
    version : int or str, optional
        By default the function's attribute ``version``.
    names : sequence of str, optional
        A name for each number; by default the function's attribute ``value_names``, else numbered.
    preprocess, store
        As in `Extractor`.

    Examples
    --------
    >>> brightness = FunctionExtractor(lambda rgb: [rgb.mean()], "brightness", version=1)
    >>> brightness.transform([np.full((2, 2, 3), 9, dtype=np.uint8)])
    array([[9.]], dtype=float32)
    """

    name = ""
    not_in_specs = ("function", "name", "version", "names", "preprocess", "store")

    def __init__(
        self,
        function: Any,
        name: str,
        version: int | str | None = None,
        names: Sequence[str] | None = None,
        preprocess: Sequence[str] = (),
        store: Any = None,
    ):
        super().__init__(preprocess, store)
        self.function = function
        self.name = name
        self.version = version
        self.names = names

    @property
    def family(self) -> str:  # type: ignore[override]
        return self.name

    def check_arguments(self) -> None:
        """UsageError or TableError for a function that cannot be called, or a name that new features cannot have."""
        if not callable(self.function) and not hasattr(self.function, "transform"):
            raise UsageError(
                f"FunctionExtractor was given {self.function!r:.60} as its function, and {self.name!r:.60} as its name",
                "give the function first: FunctionExtractor(function, 'NAME', version=1)",
            )
        check_new_name(self.name)

    @property
    def value_names(self) -> Sequence[str]:
        self.check_arguments()
        named = self.names if self.names is not None else getattr(self.function, "value_names", None)
        if named is not None:
            return list(named)
        if getattr(self, "_width_for", None) is not self.function:
            with failing_of_others(f"{self.name} failed on the golden image", MEND):
                self._width = len(self._numbers(golden_image()))
            self._width_for = self.function
        return [f"{self.name}_{number:04d}" for number in range(self._width)]

    def settings(self) -> dict[str, Any]:
        self.check_arguments()
        version = self.version if self.version is not None else getattr(self.function, "version", None)
        if isinstance(version, bool) or not isinstance(version, int | str):
            raise UsageError(
                f"the extractor {self.name} has the version {version!r}",
                "give it a version, a number or text, and another one whenever its vectors change",
            )
        params = self.function.get_params(deep=False) if hasattr(self.function, "get_params") else {}
        return {
            "version": version,
            "params": json.loads(json.dumps(params, default=self._plain)),
            "decode": decode_policy(),
        }

    def kept_params(self) -> dict[str, Any]:
        return {"preprocess": list(self.preprocess)}

    def prepare(self, photo: Photo) -> np.ndarray:
        numbers = self._numbers(self.view(photo).rgb())
        if len(numbers) != self.width:
            raise UsageError(
                f"{self.name} made {len(numbers)} numbers of one photo, and has {self.width} names for them",
                "make it return as many numbers for every photo",
            )
        return numbers

    def _numbers(self, rgb: np.ndarray) -> np.ndarray:
        made = self.function.transform([rgb]) if hasattr(self.function, "transform") else self.function(rgb)
        values = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
        if values.dtype == object and not any(isinstance(one, str | bytes) for one in values.flat):
            values = values.astype(np.float64)  # decimal numbers and the like
        row = values[0] if values.ndim == 2 and len(values) == 1 else values
        if row.ndim > 1 or not row.size or row.dtype.kind not in "fiub":
            raise UsageError(
                f"{self.name} made {values.dtype} of shape {values.shape} of one photo",
                "make it return one number, or a list or one-dimensional array of real numbers",
            )
        return row.astype(np.float64).ravel()

    def _plain(self, value: Any) -> Any:
        """A parameter as plain JSON values, the same in every process."""
        if hasattr(value, "get_params"):
            return {type(value).__qualname__: value.get_params(deep=False)}
        if hasattr(value, "__qualname__"):
            return f"{value.__module__}.{value.__qualname__}"
        if hasattr(value, "tolist") or isinstance(value, os.PathLike):
            return plain(value)
        raise UsageError(
            f"a parameter of {self.name} is a {type(value).__name__}, which a fingerprint cannot hold",
            "use numbers, text, arrays or estimators as parameters",
        )


def extractor_of_function(function: Any) -> FunctionExtractor:
    """A function of one RGB array as an extractor by its name; where it has no attribute ``version``, by its code.

    What it calls is not seen: whoever changes that, gives it a version. UsageError for a callable that has neither.
    """
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    code = getattr(function, "__code__", None)
    if hasattr(function, "version") or hasattr(function, "get_params"):
        return FunctionExtractor(function, name)
    held = [getattr(cell, "cell_contents", None) for cell in getattr(function, "__closure__", None) or ()]
    held += [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
    if code is None or not all(_is_plain(value) for value in held):
        raise UsageError(
            f"what {name} computes cannot be told from its code, and it has no version",
            f"give FunctionExtractor({name}, 'NAME', version=1), and another version whenever its vectors change",
        )
    text = repr([sys.version_info[:2], code_of(code), held])
    return FunctionExtractor(function, name, f"code:{hashlib.sha256(text.encode()).hexdigest()[:16]}")


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bytes | int | float)


def code_of(code: types.CodeType) -> tuple[Any, ...]:
    """What a function does, the same in every process."""
    constants = [code_of(one) if isinstance(one, types.CodeType) else repr(one) for one in code.co_consts]
    return code.co_code.hex(), code.co_names, code.co_varnames, constants
