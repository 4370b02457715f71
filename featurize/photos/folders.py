"""The files below a folder: which may be images, which are not meant to be, and which cannot be."""

import os
import stat
from collections import Counter
from dataclasses import dataclass, field

from featurize.files import name_as_text

ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm".split()
)
LEFT_BY_SYSTEMS = frozenset(["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"])


@dataclass
class Walk:
    """Every file below a folder stands in exactly one of these; names are relative to the folder.

    `names` may be images, by their ending (sorted). `unusable` have such an ending and cannot be one (broken
    links, pipes, devices), `closed` are folders and links to folders that were not entered (``""``: the folder
    itself), both with the reason. `ignored` counts all other files by what they are.
    """

    names: list[str] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def is_hidden(name: str) -> bool:
    """Whether a system left it behind: dot files (also AppleDouble ``._x``), thumbnails."""
    return name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS


def walk(root: str | os.PathLike) -> Walk:
    """Look at everything below `root`.

    Links to folders are followed after everything else has been seen, and no folder is entered twice: a link to one
    that was (a loop, or a second way to the same photos) is closed with that reason, so that the time is bounded.
    Hidden folders are not searched for images; the files in them are counted.
    """
    found = Walk()
    entered: dict[object, str] = {}
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        if not folders:
            links.sort()
        name = folders.pop() if folders else links.pop(0)
        place = os.path.join(root, name)
        try:
            identity = _identity(place)
            if identity in entered:
                other = name_as_text(entered[identity]) or "the source itself"
                reason = f"a link to {other}, which is in the source already"
                found.closed.append((name_as_text(name), reason))
                continue
            with os.scandir(place) as listing:
                entries = list(listing)
        except OSError as error:
            found.closed.append((name_as_text(name), f"unreadable folder: {error.strerror or error}"))
            continue
        entered[identity] = name
        for entry in entries:
            _sort_out(entry, os.path.join(name, entry.name), found, folders, links)
    found.names.sort()
    return found


def _sort_out(entry: os.DirEntry, name: str, found: Walk, folders: list[str], links: list[str]) -> None:
    ending = os.path.splitext(entry.name)[1].lower()
    try:
        if is_hidden(entry.name):
            if entry.is_dir(follow_symlinks=False):
                found.ignored["files in hidden folders"] += _count_files(entry.path)
            else:
                found.ignored["hidden files"] += 1
        elif entry.is_dir():
            (links if entry.is_symlink() else folders).append(name)
        elif ending not in ENDINGS:
            found.ignored[f"files ending in {name_as_text(ending) or 'nothing'}"] += 1
        elif not stat.S_ISREG(entry.stat().st_mode):
            found.unusable.append((name_as_text(name), "not a regular file"))
        else:
            found.names.append(name)
    except OSError as error:
        found.unusable.append((name_as_text(name), f"cannot be opened: {error.strerror or error}"))


def _identity(folder: str) -> object:
    status = os.stat(folder)
    # Some network and FAT file systems number nothing.
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(folder)


def _count_files(folder: str) -> int:
    """Files below `folder`, whatever they are; links are counted, not followed."""
    total = 0
    for place, folders, files in os.walk(folder):
        total += len(files) + sum(os.path.islink(os.path.join(place, name)) for name in folders)
    return total
