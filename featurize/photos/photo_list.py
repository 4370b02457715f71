"""The photos of a list: files, folders, archives, URLs, glob patterns and photos in memory, in any mixture."""

import glob
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from featurize.errors import SourceError
from featurize.files import name_as_text
from featurize.photos.archives import is_archive, list_archive
from featurize.photos.folders import ENDINGS, ignored_as, walk
from featurize.photos.layout import add_notes
from featurize.photos.manifest_photos import list_photo_rows, which_file
from featurize.photos.memory import checked_origin, is_path, photo_and_label
from featurize.photos.origin import OnDisk, Origin, Source, SourceImage
from featurize.photos.rows import INTEGERS, folder_rows, photo_rows
from featurize.photos.unread import RAW, kind_of_name, not_read
from featurize.photos.urls import AtUrl, Handover, asked, walk_url
from featurize.photos.webdataset import shards_of
from featurize.remote import RemotePath, is_url
from featurize.remote_errors import RemoteError


def list_files(given: list) -> Source:
    """Files, folders and archives (all images below), glob patterns and photos in memory, each with its label if any.

    Each image is named as it was given, a photo in memory by its position.
    """
    found, added = Source(os.getcwd(), "files"), _Listed()
    for position, one in enumerate(given):
        photo, label = photo_and_label(one, f"photo {position}")
        n_before = len(added.names)
        if is_path(photo):
            shards = shards_of(photo) if is_archive(photo) else []
            for path in shards or [os.fsdecode(photo)]:
                _add_path(path, found, added)
        else:  # at a place that no path is
            added.add(f"\0{position}", checked_origin(photo, f"photo {position}"), str(position))
        if label is not None:
            added.label(n_before, label)
            if not isinstance(label, str) and INTEGERS not in found.notes:
                found.notes.append(INTEGERS)
    once: dict[object, str] = {}
    for place in added.names:
        is_file = place not in added.members and place not in added.rows
        once.setdefault(which_file(place) if is_file else place, place)
    for place in once.values():
        image = added.image(place)
        if place not in added.rows and kind_of_name(image.image) == RAW:
            found.rejects.append((image.image, not_read(RAW)))
        else:
            found.images.append(image)
    found.images = asked(found.images)
    found.classes = {image.label for image in found.images if image.label is not None}
    return found


class _Listed:
    """The photos of a list, one after the other, with what is known of each that is no file by itself."""

    def __init__(self) -> None:
        self.names: list[str] = []  # the place of each
        self.members: dict[str, tuple[Origin, str]] = {}  # by place: of archives, of elsewhere, in memory
        self.rows: dict[str, SourceImage] = {}  # by place: of Parquet files
        self.labels: dict[str, str] = {}  # by place: those given beside a photo
        self.kept = Handover()  # of photos at URLs

    def add(self, place: str, origin: Origin, name: str) -> None:
        """Add what is no file by itself."""
        self.members[place] = origin, name
        self.names.append(place)

    def label(self, n_before: int, label: Any) -> None:
        """Give the photos that were added after the first `n_before` their label."""
        for place in self.names[n_before:]:
            before = self.labels.setdefault(place, str(label))
            if before != str(label):
                hint = "give each photo one label"
                raise SourceError(f"{name_as_text(place)} has the label {before}, and {label}", hint)

    def image(self, place: str) -> SourceImage:
        """The photo at a place."""
        origin, name = self.members.get(place) or (OnDisk(place), name_as_text(place))
        image = self.rows.get(place) or SourceImage(origin, name)
        return replace(image, label=self.labels[place]) if place in self.labels else image


def _add_path(path: str, found: Source, added: _Listed) -> None:
    """Add the photos at a path of a list; `found` is told of what is none."""
    if is_url(path):
        for name, origin in _at_url(path, found, added.kept):
            added.add(origin.place, origin, name)
        return
    archive = list_archive(path) if is_archive(path) and os.path.isfile(path) else None
    tree = walk(path) if archive is None and os.path.isdir(path) else None
    is_empty = tree is not None and not tree.names and not tree.unread
    held = folder_rows(Path(path), None) if is_empty else photo_rows(path, None)
    if held is not None:
        _add_rows(list_photo_rows(held, None, True), found, added)
    elif below := archive.walk if archive is not None else tree:
        if archive is None:
            added.names += sorted(os.path.join(path, name) for name in below.names + below.unread)
        else:
            for name, origin in archive.in_order():
                added.add(origin.place, origin, f"{name_as_text(path)}/{name}")
        found.ignored += below.ignored
        for name, reason in below.closed + below.unusable:
            found.rejects.append((name_as_text(path) + ("/" + name if name else ""), reason))
    elif os.path.lexists(path):
        added.names.append(path)
    else:
        matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
        if not matches:
            found.rejects.append((name_as_text(path), _why_missing(path)))
        for name in filter(os.path.isfile, matches):
            if ignored := _ignored_match(name, path):
                found.ignored[ignored] += 1
            else:
                added.names.append(name)


def _add_rows(held: Source, found: Source, added: _Listed) -> None:
    """Add the photos of Parquet files, each named by the file and its row."""
    for image in held.images:
        place = image.origin.place
        added.rows[place] = replace(image, image=name_as_text(os.path.relpath(place)))
        added.names.append(place)
    found.rejects += held.rejects
    add_notes(found, held)


def _at_url(url: str, found: Source, kept: Handover) -> list[tuple[str, Origin]]:
    """The photos at a URL (of a photo, a folder or a glob pattern) by name; `found` is told of what is none.

    `kept` is one for all photos of a list, so that its limit holds for them together.
    """
    path = RemotePath(url)
    shown = name_as_text(str(path))
    magic = not path.is_web and glob.has_magic(url)
    if path.suffix.lower() in ENDINGS and not magic:
        return [(shown, AtUrl(path, kept=kept))]  # many of these are asked for at once
    try:
        if is_archive(str(path)) and not magic:
            archive = list_archive(path)
            found.ignored += archive.walk.ignored
            found.rejects += [
                (f"{shown}/{name}", why) for name, why in archive.walk.closed + archive.walk.unusable
            ]
            return [(f"{shown}/{name}", origin) for name, origin in archive.in_order()]
        if path.is_dir():
            tree, origins = walk_url(path)
            found.ignored += tree.ignored
            return [(f"{shown.rstrip('/')}/{name}", origin) for name, origin in origins.items()]
        if not magic or path.exists():
            return [(shown, AtUrl(path, kept=kept))]
        photos: list[tuple[str, Origin]] = []
        for match in path.glob():
            if ignored := _ignored_match(str(match), str(path)):
                found.ignored[ignored] += 1
            else:
                photos.append((name_as_text(str(match)), AtUrl(match, kept=kept)))
        if not photos:
            found.rejects.append((shown, "no such file"))
        return photos
    except RemoteError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", error.hint) from error


def _ignored_match(name: str, pattern: str) -> str | None:
    """As what a file that a pattern fits is ignored: what systems leave behind, unless the pattern names it."""
    given = name_as_text(pattern).split("/")
    folders = [part for part in name_as_text(name).split("/")[:-1] if part not in given]
    return ignored_as("/".join([*folders, ""])) if folders else None


def _why_missing(path: str) -> str:
    try:
        os.lstat(path)
    except PermissionError as error:  # of a folder on the way
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        pass
    return "no such file"
