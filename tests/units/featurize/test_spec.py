"""The grammar of specs by itself."""

from collections.abc import Sequence
from typing import Any

import pytest

from featurize.errors import UsageError
from featurize.spec import FeaturesSpec, read_value, unknown_parameters, values_by_spec


@pytest.mark.parametrize("text, kind, value", [
    ("7", int, 7), ("-7.5", float, -7.5), ("7", float | None, 7.0), ("no", bool, False), ("a/b", str, "a/b"),
    ("1/2", Sequence[int], (1, 2)), ("1", Sequence[int], (1,)), ("a/ b", Sequence[str], ("a", "b")),
    ("0.5", float | Sequence[float], 0.5), ("0.5/1", float | Sequence[float], (0.5, 1.0)),
    ("mixed7/mixed8", str | Sequence[str], ("mixed7", "mixed8")), ("border", str | None, "border"),
    ("1/2.5", Any, (1, 2.5)), ("no", Any, False), ("lbfgs", Any, "lbfgs"), ("1/2", list, ("1", "2")),
])  # fmt: skip
def test_a_text_is_read_as_the_type_that_is_declared(text, kind, value):
    read = read_value(text, kind)
    assert read == value and type(read) is type(value)


def untyped(sizes=(), on=True, word="x", **others):
    """Another package's, without annotations."""


def test_parameters_without_a_declared_type_are_read_as_they_look():
    given = FeaturesSpec.parse("f:sizes=1/2.5,on=no,word=lbfgs").arguments(untyped, None)
    assert given == {"sizes": (1, 2.5), "on": False, "word": "lbfgs"}
    with pytest.raises(UsageError, match="no parameter others"):
        FeaturesSpec.parse("f:others=1").arguments(untyped, None)


def test_an_option_is_one_argument_and_is_read_as_that():
    def make(layer: str | Sequence[str] = "avg_pool", size: int | None = None):
        """A network's class."""

    given = FeaturesSpec.parse("net:size=9,mixed7/mixed8").arguments(make, "layer")
    assert given == {"layer": ("mixed7", "mixed8"), "size": 9}


def test_a_value_for_a_spec_may_hold_an_equals_sign_and_the_spec_too():
    specs = ["a:x,size=1", "a:y", "b"]
    assert values_by_spec("a:x,size=1=f=g.h5", specs) == {"a:x,size=1": "f=g.h5"}
    assert values_by_spec("a=f=g.h5", specs) == {"a:x,size=1": "f=g.h5", "a:y": "f=g.h5"}
    assert values_by_spec("c=f", specs) == {}


def test_of_hundreds_of_parameters_the_hint_names_some():
    error = unknown_parameters("the head x", ["p3o"], [f"p{number:03}" for number in range(300)])
    assert "p000, p001, " in error.hint and error.hint.endswith(" and 260 more") and "p040" not in error.hint
    assert error.args[0].startswith("the head x has no parameter p3o")
