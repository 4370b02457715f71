"""Head specs: ``name:param=value,param=value`` as text, and as a name with parameters."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from featurize.errors import UsageError, failing_of_others
from featurize.spec import literal, no_parameter, split_spec, unknown_parameters

KIND = "head"
HINT = "write name:param=value,param=value, for example svm:C=10,gamma=0.5"
OTHER_SEEDS = {"random_seed", "seed"}  # as some call their ``random_state``
OF_STEPS = ("steps", "learning_rate", "batch_size")  # parameters of a head that learns in steps


@dataclass(frozen=True)
class HeadSpec:
    """A head by its name, or its dotted path, and its parameters, whose values ``str`` gives back as written.

    >>> spec = HeadSpec.parse("mlp:hidden_layer_sizes=(100, 50),solver=lbfgs,alpha=1e-3")
    >>> spec.name, spec.params
    ('mlp', {'hidden_layer_sizes': (100, 50), 'solver': 'lbfgs', 'alpha': 0.001})
    >>> str(HeadSpec("svm", {"C": 1, "gamma": "scale"}))
    'svm:C=1,gamma=scale'
    """

    name: str
    texts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = {key: value if isinstance(value, str) else repr(value) for key, value in self.texts.items()}
        object.__setattr__(self, "texts", texts)
        for key, text in texts.items():
            for label in _keys_given_twice(text):
                what = f"the head {self} gives {label!r} twice in {key}"
                raise UsageError(what, f"give one value of {label!r}")

    @classmethod
    def parse(cls, spec: "str | HeadSpec") -> "HeadSpec":
        """The spec of a text; a UsageError where a part is no parameter with a value, or one is set twice."""
        if isinstance(spec, HeadSpec):
            return spec
        name, options, texts = split_spec(spec, KIND, HINT)
        if options:
            raise no_parameter(options[0], spec, KIND, HINT)
        return cls(name, texts)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as Python values; what is none, as ``lbfgs``, is a word."""
        return {key: literal(text) for key, text in self.texts.items()}

    def with_params(self, params: Mapping[str, Any]) -> "HeadSpec":
        """The spec with further parameters; those given later win."""
        return HeadSpec(self.name, {**self.without(*params).texts, **params})

    def without(self, *keys: str) -> "HeadSpec":
        """The spec without these parameters."""
        return HeadSpec(self.name, {key: text for key, text in self.texts.items() if key not in keys})

    def split_steps(self) -> "tuple[HeadSpec, dict[str, Any]]":
        """The spec without its steps, and what it said of them: fields of `classify.heads.steps.StepPlan`."""
        if "steps" not in self.texts:
            return self, {}
        params = self.params
        return self.without(*OF_STEPS), {key: params[key] for key in OF_STEPS if key in params}

    def make(
        self,
        classifier: type,
        defaults: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        more: Iterable[str] = (),
    ) -> Any:
        """An unfitted object of this class with these parameters; a UsageError where it has not all of them.

        `seed` goes to a ``random_state`` that the spec does not set; `more` are parameters that the class has although
        its ``get_params`` does not name them.
        """
        with failing_of_others(
            f"the head {self} cannot be made", "give a scikit-learn classifier that needs no arguments"
        ):
            made = classifier()
            valid = {*made.get_params(deep=False), *more}
        params = {**(defaults or {}), **self.params}
        unknown = sorted(set(params) - set(valid))
        if unknown:
            raise unknown_parameters(f"the head {self}", unknown, valid)
        if "random_state" in valid and not OTHER_SEEDS & params.keys():
            params = {"random_state": seed, **params}
        with failing_of_others(f"the head {self} cannot be made", "see `classify heads`", (ValueError,)):
            try:
                made.set_params(**params)
                if hasattr(made, "_parameter_constraints"):
                    made._validate_params()
            except ValueError as error:
                # scikit-learn words this well, only after the name of its own class.
                text = re.sub(r"^The ('\S+' parameter) of \w+", r"the \1", str(error))
                raise UsageError(f"the head {self} cannot be made: {text}", "see `classify heads`") from None
        return made

    def __str__(self) -> str:
        parts = [f"{key}={text}" for key, text in self.texts.items()]
        return f"{self.name}:{','.join(parts)}" if parts else self.name


def _keys_given_twice(text: str) -> list[Any]:
    """The keys that stand twice in one dictionary of `text`; the last value would win, silently."""
    if "{" not in text:
        return []
    try:
        nodes = list(ast.walk(ast.parse(text.strip(), mode="eval")))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    dicts = [
        [key.value for key in node.keys if isinstance(key, ast.Constant)]
        for node in nodes
        if isinstance(node, ast.Dict)
    ]
    return [key for keys in dicts for key in keys if keys.count(key) > 1]
