"""The files below a folder: which may be images, which are not meant to be, and which cannot be.

What a name says (`ignored_as`) is the same for the names in an archive.
"""

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from featurize.files import name_as_text
from featurize.photos.unread import KIND_OF_ENDING, is_read_by_name
from featurize.terminal import progress

ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm".split()
)
LEFT_BY_SYSTEMS = frozenset(["thumbs.db", "ehthumbs.db", "desktop.ini"])
# Thumbnails, snapshots and what was deleted, as Synology, QNAP, NetApp, Samba, Windows, macOS and Linux keep them, and
# programs that copy or publish folders. Folders with a dot in front are hidden as such.
SYSTEM_FOLDERS = {
    name.lower(): name
    for name in (
        *(
            "@eaDir",
            "#recycle",
            "#snapshot",
            "@tmp",
            "@Recycle",
            "@__thumb",
            "@Recently-Snapshot",
            "@Transcode",
        ),
        *("$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information", "found.000", "~snapshot"),
        *("lost+found", "__MACOSX", "Network Trash Folder", "Temporary Items", "TheVolumeSettingsFolder"),
        *("_thumbs", "_thumbnails", "_vti_cnf", "_gsdata_", "__pycache__"),
    )
}


@dataclass
class Walk:
    """Every file below a folder stands in exactly one of these; names are relative to the folder.

    `names` may be images, by their ending (sorted); `unread` are photos by their ending, in a format that is not read
    by what is installed here (sorted). `unusable` have such an ending and cannot be one (broken links, pipes,
    devices), `closed` are folders and links to folders that were not entered (``""``: the folder itself), both with the
    reason. `ignored` counts all other files by what they are. `folders` are those entered, down to the second level.
    """

    names: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unusable: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Whether a system left a file or folder behind: dot files (also AppleDouble ``._x``), thumbnails, recycle bins."""
    return name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS or name.lower() in SYSTEM_FOLDERS


def ignored_as(name: str) -> str | None:
    """As what a file is ignored, by its name with ``/`` between folders; None if it may be a photo.

    A name that ends in ``/`` is a folder, which is ignored or not with all that is in it.

    >>> ignored_as("rust/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg"), ignored_as("rust/notes.txt"), ignored_as("rust/1.jpg")
    ('files in @eaDir', 'files ending in .txt', None)
    """
    *folders, last = name.split("/")
    for folder in folders:
        if folder.lower() in SYSTEM_FOLDERS:
            return f"files in {SYSTEM_FOLDERS[folder.lower()]}"
        if is_hidden(folder):
            return "files in hidden folders"
    if not last:
        return None
    if last.startswith(".") or last.lower() in LEFT_BY_SYSTEMS:
        return "hidden files"
    ending = os.path.splitext(last)[1].lower()
    if ending in ENDINGS or ending in KIND_OF_ENDING:
        return None
    return f"files ending in {name_as_text(ending) or 'nothing'}"


def walk(root: str | os.PathLike) -> Walk:
    """Look at everything below `root`.

    Links to folders are followed after everything else has been seen, and no folder is entered twice: a link to one
    that was (a loop, or a second way to the same photos) is closed with that reason, so that the time is bounded.
    Hidden folders are not searched for images; the files in them are counted.
    """
    found = Walk()
    with progress(None, "listing", "file") as bar:
        _enter_all(root, found, bar)
    found.names.sort()
    found.unread.sort()
    return found


def _enter_all(root: str | os.PathLike, found: Walk, bar: Any) -> None:
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
        if 0 < name.count(os.sep) + len(name[:1]) <= 2:
            found.folders.append(name_as_text(name))
        for entry in entries:
            _sort_out(entry, os.path.join(name, entry.name), found, folders, links)
            bar.update(1)


def _sort_out(entry: os.DirEntry, name: str, found: Walk, folders: list[str], links: list[str]) -> None:
    real = entry.is_dir(follow_symlinks=False)
    try:
        folder = real or (not is_hidden(entry.name) and entry.is_dir())
        ignored = ignored_as(entry.name + "/" * folder)
        if ignored is not None:
            found.ignored[ignored] += _count_files(entry.path) if real else 1
        elif folder:
            (folders if real else links).append(name)
        elif not stat.S_ISREG(entry.stat().st_mode):
            found.unusable.append((name_as_text(name), "not a regular file"))
        else:
            (found.names if is_read_by_name(name) else found.unread).append(name)
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
