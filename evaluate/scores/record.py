"""Records: dataclasses that answer ``record["key"]`` for the keys that they have in JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar


class Record(Mapping[str, Any]):
    """Base of dataclasses that are JSON objects: attributes for us, and a mapping for whoever reads them as dicts.

    Subclasses are ``@dataclass(eq=False)``: a record equals any mapping with the same keys and values.
    """

    _first: ClassVar[tuple[str, ...]] = ()  # keys that come before those of the base class
    _if_known: ClassVar[tuple[str, ...]] = ()  # keys that are left out while they are None

    def __getitem__(self, key: str) -> Any:
        if key not in _keys(type(self)) or (key in self._if_known and getattr(self, key) is None):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return (
            key for key in _keys(type(self)) if key not in self._if_known or getattr(self, key) is not None
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_dict(self) -> dict[str, Any]:
        """The same content in dicts and lists, ready for JSON."""
        return plain(self)


def plain(value: Any) -> Any:
    """`value` with dicts and lists in place of records, mappings and tuples, however deep."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _keys(kind: type) -> tuple[str, ...]:
    names = [field.name for field in fields(kind)]
    return (*kind._first, *(name for name in names if name not in kind._first))  # type: ignore[attr-defined]
