"""Head specs: ``name:param=value,param=value`` as text, and as a name with parameters."""

import ast
from collections.abc import Mapping
from typing import Any

from featurize.errors import UsageError

BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def parse_head(spec: str) -> tuple[str, dict[str, Any]]:
    """A head spec as its name and its parameters.

    >>> parse_head("mlp:hidden_layer_sizes=(100, 50),solver=lbfgs,alpha=1e-3")
    ('mlp', {'hidden_layer_sizes': (100, 50), 'solver': 'lbfgs', 'alpha': 0.001})

    Raises
    ------
    UsageError
        If a part after the colon is no parameter with a value, or a parameter is set twice.
    """
    name, colon, text = spec.partition(":")
    params: dict[str, Any] = {}
    for part in _split(text) if colon else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(
                f"{part!r} in the head {spec!r} is no parameter with a value",
                "write name:param=value,param=value, for example svm:C=10,gamma=0.5",
            )
        if key in params:
            raise UsageError(f"the head {spec!r} sets {key} twice", f"give one value of {key}")
        params[key] = _value(value)
    return name.strip(), params


def with_params(spec: str, params: Mapping[str, str]) -> str:
    """The head spec with further parameters; those given later win.

    >>> with_params("svm:C=1,gamma=0.5", {"C": "10"})
    'svm:gamma=0.5,C=10'
    """
    name, _, text = spec.partition(":")
    parts = [part for part in _split(text) if part.partition("=")[0].strip() not in params]
    parts += [f"{key}={value}" for key, value in params.items()]
    return f"{name}:{','.join(parts)}" if parts else name


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    depth, parts = 0, [""]
    for letter in text:
        depth += BRACKETS.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text  # a word, such as solver=lbfgs
