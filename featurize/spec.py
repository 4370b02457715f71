"""The grammar of specs, of features and of heads: ``name:item,item,…``; an item is ``param=value`` or an option."""

import ast
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from featurize.errors import UsageError

BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
LIST = "/"  # between the values of a list
YES_AND_NO = {"yes": True, "no": False}
MOST_NAMED = 40  # parameters in a hint; some libraries have hundreds


def split_spec(spec: str, kind: str, hint: str) -> tuple[str, list[str], dict[str, str]]:
    """The name, the items without ``=`` and the others by their name; `kind` and `hint` are for the errors.

    A UsageError where a parameter lacks its name or value, or stands twice.

    >>> split_spec("glcm:haralick,distances=1/2", "features spec", "")
    ('glcm', ['haralick'], {'distances': '1/2'})
    """
    name, _, text = spec.partition(":")
    options, texts = [], {}
    for part in _split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            options.append(key)
            continue
        if not key or not value:
            raise no_parameter(part, spec, kind, hint)
        if key in texts:
            raise set_twice(key, spec, kind)
        texts[key] = value
    return name.strip(), options, texts


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


def no_parameter(part: str, spec: str, kind: str, hint: str) -> UsageError:
    """The error to raise for an item that should be ``param=value``."""
    return UsageError(f"{part!r} in the {kind} {spec!r} is no parameter with a value", hint)


def set_twice(key: str, spec: str, kind: str) -> UsageError:
    """The error to raise for a parameter that a spec sets twice."""
    return UsageError(f"the {kind} {spec!r} sets {key} twice", f"give one value of {key}")


def unknown_parameters(what: str, unknown: Sequence[str], known: Iterable[str]) -> UsageError:
    """The error to raise where `what` has no such parameters."""
    known = sorted(known)
    close = dict.fromkeys(match for name in unknown for match in get_close_matches(name, known, n=1))
    more = f" and {len(known) - MOST_NAMED} more" if len(known) > MOST_NAMED else ""
    hint = f"its parameters are {', '.join(known[:MOST_NAMED])}{more}" if known else "leave it out"
    return UsageError(f"{what} has no parameter {', '.join(unknown)}{perhaps(close)}", hint)


def perhaps(close: Iterable[str]) -> str:
    """What an error adds where names come close to the one given."""
    close = list(close)
    return f"; perhaps {' or '.join(close)} is meant" if close else ""


def literal(text: str) -> Any:
    """The value of a Python literal; what is none, as ``lbfgs``, is a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def values_by_spec(text: str, specs: Iterable[str]) -> dict[str, str]:
    """What ``SPEC=VALUE`` gives to those of `specs` that it names, wholly or by their family; nothing for another text.

    >>> values_by_spec("inception_v3=my.h5", ["inception_v3:mixed8,size=299", "glcm"])
    {'inception_v3:mixed8,size=299': 'my.h5'}
    """
    named = {}
    for spec in specs:
        for target in (spec, spec.partition(":")[0]):
            if text.startswith(f"{target}="):
                named[spec] = text.removeprefix(f"{target}=")
                break
    return named


def spelled(name: str, items: Iterable[str | None]) -> str:
    """The spec of a name and its items, without those that are not there.

    >>> spelled("glcm", ["haralick", None, "region=border"]), spelled("glcm", [None])
    ('glcm:haralick,region=border', 'glcm')
    """
    given = ",".join(filter(None, items))
    return f"{name}:{given}" if given else name


# -- features specs ---

KIND = "features spec"
COMMAS = "separate several features with spaces, not commas"
HINT = "write family:option,param=value, for example glcm:haralick,distances=1/2/4/8; separate several with spaces"


@dataclass(frozen=True)
class FeaturesSpec:
    """A features spec as it was typed: its family, its option if it has one, and its parameters as text.

    >>> FeaturesSpec.parse("inception_v3:mixed8,size=299")
    FeaturesSpec(typed='inception_v3:mixed8,size=299', family='inception_v3', option='mixed8', texts={'size': '299'})
    """

    typed: str
    family: str
    option: str | None
    texts: dict[str, str]

    @classmethod
    def parse(cls, spec: str, file: str = "") -> "FeaturesSpec":
        """The spec of a text, which begins with the name of a `file` or a family; a UsageError where it is none."""
        rest = spec.removeprefix(file)
        family, options, texts = split_spec(rest, KIND, HINT)
        if len(options) > 1:
            raise UsageError(f"{spec!r} is no features spec", COMMAS)
        given = options[0] if options else "" if ":" in rest and not texts else None
        return cls(spec, file or family, given, texts)

    def arguments(self, make: Callable, argument: str | None, closed: Iterable[str] = ()) -> dict[str, Any]:
        """The arguments of `make` that the spec gives, as values of the types that its signature declares.

        `argument` is what the option sets, `closed` are arguments that no spec can set. A UsageError for an option or a
        parameter that there is not, and for a value of another type.
        """
        declared = _declared(make)
        open_ones = [name for name in declared if name not in set(closed)]
        if self.option is not None and (argument is None or not self.option):
            form = f"{self.family}:{argument.upper()}" if argument else self.family
            raise UsageError(f"{self.family} has no option {self.option!r}", f"write {form}")
        texts = dict(self.texts)
        if argument and self.option:
            if argument in texts:
                raise set_twice(argument, self.typed, KIND)
            texts = {argument: self.option, **texts}
        if unknown := [name for name in self.texts if name not in open_ones]:
            raise unknown_parameters(f"the {KIND} {self.typed!r}", unknown, open_ones)
        values = {}
        for name, text in texts.items():
            try:
                values[name] = read_value(text, declared[name])
            except ValueError as error:
                what = f"the {KIND} {self.typed!r} sets {name} to {text!r}, which is {error}"
                raise UsageError(what, f"give {name}={_example(declared[name])}") from None
        return values


def _declared(make: Callable) -> dict[str, Any]:
    """The parameters of a class or function by name, with their annotations."""
    try:
        found = inspect.signature(make, eval_str=True).parameters
    except NameError:  # an annotation that is imported for type checkers alone
        return dict.fromkeys(inspect.signature(make).parameters, Any)
    return {
        name: Any if one.annotation is one.empty else one.annotation
        for name, one in found.items()
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    }


def read_value(text: str, kind: Any) -> Any:
    """The value that `text` is for a parameter of this type; ValueError, which says what it is not.

    >>> read_value("1/2/4", Sequence[int]), read_value("no", bool), read_value("299", int | None)
    ((1, 2, 4), False, 299)
    """
    if kind is Any:
        parts = [YES_AND_NO.get(part, literal(part)) for part in text.split(LIST)]
        return parts[0] if len(parts) == 1 else tuple(parts)
    scalar, of_list = _kinds(kind)
    if of_list is not None and (scalar is None or LIST in text):
        return tuple(_scalar(part.strip(), of_list) for part in text.split(LIST))
    return _scalar(text, scalar)


def _kinds(kind: Any) -> tuple[Any, Any]:
    """Which single value, and which values of a list, a parameter of this type takes; None where it takes none."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    members = [one for one in (typing.get_args(kind) if union else [kind]) if one is not type(None)]
    lists = [one for one in members if _is_list(one)]
    scalars = [one for one in members if not _is_list(one)]
    return (scalars[0] if scalars else None), (next(iter(typing.get_args(lists[0])), str) if lists else None)


def _is_list(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str


def _scalar(text: str, kind: Any) -> Any:
    if kind is bool:
        if text not in YES_AND_NO:
            raise ValueError("neither yes nor no")
        return YES_AND_NO[text]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise ValueError("no whole number" if kind is int else "no number") from error
    return text


def _example(kind: Any) -> str:
    scalar, _ = _kinds(kind)
    if scalar is None:
        return "1/2 (a list has a / between its values)"
    return {bool: "yes or no", int: "a whole number", float: "a number"}.get(scalar, "a word")
