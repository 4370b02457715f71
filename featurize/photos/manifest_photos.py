"""The photos of a manifest: files relative to a folder, or what the rows hold themselves."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from featurize.errors import SourceError, UsageError
from featurize.files import is_readable, name_as_text
from featurize.photos.manifest import FileFinder, Manifest, read_manifest
from featurize.photos.origin import OnDisk, Source, SourceImage
from featurize.photos.rows import Named, PhotoRows
from featurize.photos.unread import RAW, kind_of_name, not_read
from featurize.photos.urls import AtUrl, Handover, asked
from featurize.remote import AnyPath, Location, RemotePath, path_at
from featurize.terminal import printable


def list_manifest(
    path: AnyPath,
    columns: Mapping[str, str] | None,
    root: str | os.PathLike | None,
    each_line: bool,
    keep: Sequence[str],
) -> Source:
    """The photos that a manifest file names; arguments as of `featurize.photos.source.list_source`."""
    path = path.resolve() if isinstance(path, Path) else path
    folder = path.parent if root is None else path_at(root)
    folder = folder.resolve() if isinstance(folder, Path) else folder
    if root is not None and not _is_folder(folder):
        raise UsageError(
            f"there is no folder {root}", "the root is the folder that a manifest's names are relative to"
        )
    found = Source(str(path), "manifest", folder=None if root is None else str(folder))
    return _list_rows(found, read_manifest(path, columns, keep), folder, each_line, keep)


def list_photo_rows(
    rows: PhotoRows, root: str | os.PathLike | None, each_line: bool, keep: Sequence[str] = ()
) -> Source:
    """The photos that rows hold, or of a DataFrame name; arguments as above."""
    folder = path_at(root or "")
    folder = folder.resolve() if isinstance(folder, Path) else folder
    if root is not None and (rows.kind != "frame" or not _is_folder(folder)):
        none = f"there is no folder {root}" if rows.kind == "frame" else "the rows hold the photos themselves"
        raise UsageError(none, "the root is the folder that a manifest's names are relative to")
    found = Source(str(rows.path), rows.kind, files=rows.files)
    if rows.kind == "frame":
        found.folder = str(folder)
    return _list_rows(found, rows, folder, each_line, keep)


def _list_rows(
    found: Source, manifest: Manifest, folder: AnyPath, each_line: bool, keep: Sequence[str]
) -> Source:
    """The photos of a manifest: files relative to a folder, or what the rows hold themselves."""
    finder, handover = FileFinder(folder), Handover()
    found.kept = list(keep)
    first: dict[object, tuple[str, int]] = {}
    torn: list[str] = []
    for place, row in manifest:
        if isinstance(row, str):
            found.rejects.append((place, row))
            continue
        written, label = row["image"], row.get("label")
        if not written:
            found.rejects.append((place, "the image column is empty"))
            continue
        kept = tuple(row.get(column) for column in keep)
        if isinstance(written, Named):
            found.images.append(SourceImage(*written, label, row.get("group"), row.get("split"), kept))
            continue
        file = finder.find(written)
        if file is None:
            found.rejects.append((printable(written), "no file can have this name"))
            continue
        name = name_as_text(_relative(file, folder))
        if kind_of_name(name) == RAW:
            found.rejects.append((name, not_read(RAW)))
            continue
        origin = OnDisk(str(file)) if isinstance(file, Path) else AtUrl(file, kept=handover)
        image = SourceImage(origin, name, label, row.get("group"), row.get("split"), kept)
        earlier, number = first.setdefault(which_file(file), (place, len(found.images)))
        if number == len(found.images) or each_line:
            found.images.append(image)
            continue
        found.images[number] = _merged(found.images[number], image, keep, earlier, place, torn)
        other = found.images[number].image
        again = f"listed in {earlier}" + (f" as {other}" if other != name else "") + f", and again in {place}"
        found.rejects.append((name, again))
    if torn:
        more = f"; {len(torn) - 1} more lines contradict others" if len(torn) > 1 else ""
        hint = "give each photo one line, or lines that agree; what has two labels at once needs a label of its own"
        raise SourceError(f"{manifest.path}: {torn[0]}{more}", hint)
    found.images = asked(found.images)
    found.classes = {image.label for image in found.images if image.label is not None}
    found.notes, found.warnings = manifest.notes, manifest.warnings
    if finder.differing:
        written, name = finder.differing[0]
        count = len(finder.differing)
        names = "1 name differs from its file's" if count == 1 else f"{count} names differ from their files'"
        found.notes.append(f"{names} in case, blanks or Unicode form alone: {written} is {name}")
    return found


def which_file(path: Location) -> object:
    """Equal for two spellings of one file; links to it are files of their own."""
    if isinstance(path, RemotePath):
        return str(path)
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return os.path.abspath(path)
    # A file that has several names in its file system stands under each of them.
    if status.st_ino and status.st_nlink == 1:
        return status.st_dev, status.st_ino
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _merged(
    one: SourceImage, other: SourceImage, keep: Sequence[str], earlier: str, place: str, torn: list[str]
) -> SourceImage:
    """One file that stands in two lines; where they contradict each other, `torn` gets what they say."""
    whats = ("label", "group", "split", *keep)
    known = []
    for what, before, now in zip(whats, _known(one), _known(other), strict=True):
        if before is not None and now is not None and before != now:
            torn.append(f"{other.image} has the {what} {before} in {earlier}, and {now} in {place}")
        known.append(before if before is not None else now)
    label, group, split, *kept = known
    return replace(one, label=label, group=group, split=split, kept=tuple(kept))


def _known(image: SourceImage) -> tuple[str | None, ...]:
    return image.label, image.group, image.split, *image.kept


def _is_folder(folder: AnyPath) -> bool:
    if isinstance(folder, RemotePath):
        is_readable(folder, UsageError)  # which says why it cannot be reached
        return folder.is_web or folder.is_dir()
    return folder.is_dir()


def _relative(file: AnyPath, folder: AnyPath) -> str:
    """The name of a file below a folder, or all of it where it is elsewhere."""
    if isinstance(file, Path) and isinstance(folder, Path):
        return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()
    return str(file).removeprefix(f"{str(folder).rstrip('/')}/")
