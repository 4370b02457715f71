"""Tar archives as webdataset writes them: patterns that name many shards, and labels in files beside the photos."""

import glob
import json
import os
import re
from collections.abc import Iterable, Mapping

MOST_SHARDS = 100_000
# What may stand beside a photo and give its label, as webdataset has it; the first one counts.
BESIDE = ("cls", "json", "txt")
MOST_BESIDE = 1 << 16  # bytes of such a file
MOST_LABEL = 100  # characters
LABEL_NAMES = ("label", "class_name", "class", "category", "cls")  # in a .json


def key_of(name: str) -> tuple[str, str]:
    """A name up to the first dot after its folders, and the rest: what shares the first belongs together.

    >>> key_of("train/0001.seg.PNG")
    ('train/0001', 'seg.png')
    """
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return folder + slash + stem, ending.lower()


def label_in(ending: str, data: bytes) -> str:
    """The label that a file beside a photo gives; empty where it gives none."""
    try:
        text = data.decode("utf-8-sig").strip()
        if ending == "json":
            about = json.loads(text)
            found = [about[name] for name in LABEL_NAMES if name in about] if isinstance(about, dict) else []
            text = str(found[0]).strip() if found and isinstance(found[0], str | int) else ""
    except (ValueError, RecursionError):
        return ""
    return text if len(text) <= MOST_LABEL and text.isprintable() else ""


def labels_beside(photos: Iterable[str], beside: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The labels of photos by the files beside them.

    Class folders count more than a ``.json`` or ``.txt``; and texts that hardly ever come again are no labels.
    """
    kinds = {name: beside.get(key_of(name)[0], {}) for name in photos}
    if not any("cls" in kind for kind in kinds.values()) and any("/" in name for name in kinds):
        return {}
    labels: dict[str, str] = {}
    for ending in BESIDE:
        said = {name: kind[ending] for name, kind in kinds.items() if ending in kind and name not in labels}
        if ending != "txt" or 2 * len(set(said.values())) <= len(said):
            labels |= said
    return labels


def shards_of(pattern: str | os.PathLike) -> list[str]:
    """The archives that a pattern such as ``train-{000..003}.tar`` or ``train-*.tar`` names; none for another path.

    >>> shards_of("a{08..10}.tar")
    ['a08.tar', 'a09.tar', 'a10.tar']
    """
    text = os.fspath(pattern)
    if os.path.lexists(text):
        return []
    named = _expanded(text)
    found = [sorted(glob.glob(one, recursive=True)) if glob.has_magic(one) else [one] for one in named]
    return [one for some in found for one in some] if named != [text] or glob.has_magic(text) else []


def _expanded(text: str) -> list[str]:
    """A text with braces, once for each of what stands in them, as a shell does."""
    braces = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", text)
    if braces is None:
        return [text]
    first, last, words = braces.groups()
    if words is None:
        numbers = range(int(first), int(last) + 1)[:MOST_SHARDS]
        words = ",".join(str(number).zfill(len(first)) for number in numbers)
    ends = _expanded(text[braces.end() :])
    return [text[: braces.start()] + option + end for option in words.split(",") for end in ends]
