"""What the folders of a source mean, by the names of its photos alone, so that an archive has the same rules."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from featurize.id_columns import SPLITS as SPLITS
from featurize.id_columns import split_of as split_of

NAMED = 5  # folders that a message names


class Noted(Protocol):
    """A source, or a manifest: what a user should know of how it was read."""

    notes: list[str]
    warnings: list[str]


def add_notes(found: Noted, other: Noted) -> None:
    """Give `found` the notes and warnings of a part of it, each once."""
    found.notes += [note for note in other.notes if note not in found.notes]
    found.warnings += [warning for warning in other.warnings if warning not in found.warnings]


@dataclass(frozen=True)
class Layout:
    """What the folders above the photos of a source mean.

    A flat source has no folders with labels (`depth` 0); else the label is the name of the first folder (1), or of the
    second where the first ones are splits (2). `splits` is the split by first folder; of those in `unlabelled` no label
    is known. `notes` and `warnings` are what a user should know of it.
    """

    depth: int = 0
    splits: Mapping[str, str] = field(default_factory=dict)
    unlabelled: Collection[str] = ()
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def place(self, name: str) -> tuple[str | None, str | None] | None:
        """Label and split of a photo by its name in the source; None where it lies beside the folders that count.

        >>> Layout(depth=2, splits={"train": "training"}).place("train/rust/1.jpg")
        ('rust', 'training')
        """
        folders = name.split("/")[:-1]
        if self.depth == 2:
            if not folders or folders[0] not in self.splits:
                return None
            split = self.splits[folders[0]]
            if folders[0] in self.unlabelled:
                return None, split
            return (folders[1], split) if len(folders) > 1 else None
        if self.depth == 1:
            return (folders[0], None) if folders else None
        return None, None

    def class_folder(self, name: str) -> str | None:
        """The folder that gives a photo its label, such as ``rust`` or ``train/rust``; None where none does."""
        placed = self.place(name)
        return (
            "/".join(name.split("/")[: self.depth]) if placed is not None and placed[0] is not None else None
        )


def read_layout(names: Iterable[str], unread: Iterable[str] = (), folders: Iterable[str] = ()) -> Layout:
    """The layout of a source, by the names of its photos, relative to it, with ``/`` between folders.

    `unread` are photos in formats that are not read, which say nothing where others do; `folders` are all that the
    source has, to name those without photos.

    >>> read_layout(["train/rust/1.jpg", "train/steel/2.jpg", "test/rust/3.jpg", "readme.png"]).splits
    {'train': 'training', 'test': 'testing'}
    """
    names, unread = list(names), list(unread)
    if not any("/" in name for name in names or unread):
        return Layout()
    below: dict[str, set[str]] = {}  # the folders in each first folder; "" where photos lie in it directly
    for name in names + unread:
        first, *others = name.split("/")
        if others:
            below.setdefault(first, set()).add(others[0] if len(others) > 1 else "")
    layout = _splits(below)
    inside = [name for name in names + unread if layout.place(name) is not None]
    layout.warnings.extend(_looks_like_classes(layout, inside))
    layout.notes.extend(_without_photos(layout, below, folders))
    return layout


def _splits(below: Mapping[str, set[str]]) -> Layout:
    """Split folders are two or more whose folders are labels of the training folder, or that hold photos alone."""
    splits = {folder: split for folder in below if (split := split_of(folder))}
    if len(set(splits.values())) < 2:
        return Layout(depth=1)
    splits = dict(sorted(splits.items(), key=lambda one: (SPLITS.index(one[1]), one[0])))
    named = listed(splits)
    reference = next(iter(splits.values()))  # that of the validation folder where there is none for training
    known = {label for folder in splits if splits[folder] == reference for label in below[folder]} - {""}
    others = [folder for folder in splits if splits[folder] != reference]
    unlabelled = [folder for folder in splits if below[folder] == {""}]
    if not known or not any(below[folder] & known or folder in unlabelled for folder in others):
        problem = f"the folders {named} are called like splits, but share no class folders: they are taken for classes"
        return Layout(depth=1, warnings=[problem])
    notes = [f"the folders {named} are read as splits, and the folders in them as labels"]
    if unlabelled:
        notes.append(f"of the photos in {listed(unlabelled)} no label is known")
    warnings = []
    for folder in others:
        if strange := below[folder] - known - {""}:
            where = listed([one for one in splits if splits[one] == reference])
            labels = f"label{'s' * (len(strange) > 1)} {listed(strange)}"
            warnings.append(f"{folder} has the {labels}, which {where} does not have")
    if beside := set(below) - set(splits):
        warnings.append(f"the photos in {listed(beside)}, beside the folders that are splits, are ignored")
    return Layout(2, splits, unlabelled, notes, warnings)


def _looks_like_classes(layout: Layout, names: Iterable[str]) -> list[str]:
    """Warn of class folders that hold several folders and no photos: perhaps another folder is the source."""
    inside: dict[str, set[str]] = {}
    for name in names:
        if folder := layout.class_folder(name):
            next_folder, slash, _ = name[len(folder) + 1 :].partition("/")
            inside.setdefault(folder, set()).add(next_folder if slash else "")
    doubtful = {
        folder: held
        for folder, held in inside.items()
        # Names that differ in numbers alone are of patients, parts or days.
        if "" not in held and len({re.sub(r"\d+", "", name) for name in held}) > 1
    }
    if not doubtful:
        return []
    folder, held = min(doubtful.items())
    others = f", and so do {listed(set(doubtful) - {folder})}" if len(doubtful) > 1 else ""
    return [
        f"the class folder {folder} holds folders that look like classes ({listed(held)}){others}; "
        f"if they are, give the folder above them as the source"
    ]


def _without_photos(layout: Layout, below: Mapping[str, set[str]], folders: Iterable[str]) -> list[str]:
    """Name the folders that stand where class folders do and hold no photo."""
    empty = []
    for folder in folders:
        first, slash, second = folder.partition("/")
        if layout.depth == 1 and not slash and first not in below:
            empty.append(folder)
        elif layout.depth == 2 and slash and first in layout.splits and second not in below[first]:
            empty.append(folder)
    return [f"no photos are in {listed(empty)}"] if empty else []


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """Names in a sentence, sorted unless their order says something; many are cut.

    >>> listed({"b", "a"}), listed(["val", "test"]), listed("abcdefg", most=2)
    ('a and b', 'val and test', 'a, b and 5 more')
    """
    names = sorted(names) if isinstance(names, set) else list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])
