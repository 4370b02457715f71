"""What a page is made of."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """A titled part of a page: `key` is its anchor and the name of its template, `content` what it shows."""

    key: str
    title: str
    content: dict[str, Any]


@dataclass(frozen=True)
class Page:
    """A report: a title, what it is about, the figures that matter most, and its sections."""

    title: str
    subtitle: str
    figures: list[tuple[str, str, str]]
    sections: list[Section] = field(default_factory=list)
