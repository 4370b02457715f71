"""Which images there are, and what is known about them before one is opened: label, group, split."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from featurize.errors import SourceError, UsageError
from featurize.files import is_readable, name_as_text, text_as_name
from featurize.photos.folders import ENDINGS, walk
from featurize.photos.manifest import read_manifest
from featurize.terminal import log, printable

NOHASH = r"^(.*?)_nohash_"


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One photo of a source: where it lies, its name in the table, and what is known about it."""

    path: str
    image: str
    label: str | None = None
    group: str | None = None
    split: str | None = None


@dataclass
class Source:
    """What a source holds: every file is an image, a reject with its reason, or counted as ignored."""

    path: str
    kind: str
    images: list[SourceImage] = field(default_factory=list)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def list_source(source: str | os.PathLike | Iterable, *, group_by: str | None = None) -> Source:
    """The images of a folder of class folders, a flat folder, a manifest, or a list of files, folders and globs.

    They are sorted by name, listed files in the order given. The group is the first capture group of the regular
    expression `group_by` in the image's name, where the manifest gives none (default: the text before ``_nohash_``).
    SourceError if there is no such source or no image in it, UsageError if `group_by` fits none.
    """
    pattern = _compile(group_by or NOHASH)
    where = None
    if not isinstance(source, str | os.PathLike):
        given = list(source)
        found = _list_files(given)
        where = ", ".join(name_as_text(os.fspath(one)) for one in given[:4])
    else:
        path = Path(source)
        is_file = is_readable(path, SourceError)
        if path.is_dir():
            found = _list_folder(path)
        elif is_file and path.suffix.lower() in (".csv", ".parquet"):
            found = _list_manifest(path)
        else:
            there = f"{path} is neither a folder nor a manifest"
            hint = "give a folder of photos, or a .csv or .parquet manifest"
            raise SourceError(there if is_file else f"there is no {path}", hint)
    if found.kind != "files":
        found.images.sort(key=lambda image: image.image)
    if not found.images and not found.rejects:
        n_ignored = found.ignored.total()
        others = "1 other file was" if n_ignored == 1 else f"{n_ignored} other files were"
        ignored = f" ({others} ignored)" if n_ignored else ""
        endings = " ".join(sorted(ENDINGS))
        hint = f"expected files ending in {endings}, in one folder per class or all in one folder"
        raise SourceError(f"no images in {where or found.path}{ignored}", hint)
    found.images = [_grouped(image, pattern) for image in found.images]
    if group_by and found.images:
        _check_grouped(found.images, group_by)
    return found


def _compile(group_by: str) -> re.Pattern:
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        problem = f"{group_by!r} is no regular expression: {error}"
        raise UsageError(problem, r"for example: '^(patient\d+)'") from None
    if pattern.groups < 1:
        hint = r"put what names the group in (): '^(patient\d+)'"
        raise UsageError(f"{group_by!r} has no capture group", hint)
    return pattern


def _grouped(image: SourceImage, pattern: re.Pattern) -> SourceImage:
    match = pattern.search(image.image) if image.group is None else None
    return replace(image, group=match.group(1) or None) if match else image


def _check_grouped(images: list[SourceImage], group_by: str) -> None:
    """A pattern that fits nothing would let one patient into training and testing, unnoticed."""
    alone = [image.image for image in images if image.group is None]
    if len(alone) == len(images):
        hint = "it is searched in the image's name, relative to the source, with / between folders"
        raise UsageError(f"{group_by!r} fits none of the {len(images)} images; the first is {alone[0]}", hint)
    if alone:
        example = f"{len(alone)}, which stand alone, such as {alone[0]}"
        log.warning("%r fits all images but %s", group_by, example)


def _list_folder(root: Path) -> Source:
    tree = walk(root)
    for name, reason in tree.closed:
        if not name:
            raise SourceError(f"{root}: {reason}", "check the path and its permissions")
    found = Source(str(root.resolve()), "folder", ignored=tree.ignored)
    inside, beside = [], []
    for name in tree.names:
        text, path = name_as_text(name), os.path.join(root, name)
        if "/" in text:
            inside.append(SourceImage(path, text, text.partition("/")[0]))
        else:
            beside.append(SourceImage(path, text))
    found.images = inside or beside
    found.rejects = tree.closed + tree.unusable
    if inside:
        # An unusable file beside the class folders would have been ignored, had it been an image.
        kept = [(name, reason) for name, reason in tree.unusable if "/" in name]
        found.rejects = tree.closed + kept
        n_beside = len(beside) + len(tree.unusable) - len(kept)
        if n_beside:
            found.ignored["images beside the class folders"] += n_beside
    return found


def _list_manifest(path: Path) -> Source:
    found = Source(str(path.resolve()), "manifest")
    folder = path.resolve().parent
    first: dict[str, tuple[str, str | None]] = {}
    for place, row in read_manifest(path):
        if isinstance(row, str):
            found.rejects.append((place, row))
            continue
        written, label = row["image"], row.get("label")
        if not written:
            found.rejects.append((place, "the image column is empty"))
            continue
        file = _manifest_path(folder, written)
        if file is None:
            found.rejects.append((printable(written), "no file can have this name"))
            continue
        inside = file.is_relative_to(folder)
        name = name_as_text(file.relative_to(folder).as_posix() if inside else file.as_posix())
        if name in first:
            earlier, other = first[name]
            labels = f"; there its label is {other}, here {label}" if other != label else ""
            found.rejects.append((name, f"listed in {earlier}, and again in {place}{labels}"))
            continue
        first[name] = place, label
        found.images.append(SourceImage(str(file), name, label, row.get("group"), row.get("split")))
    return found


def _manifest_path(folder: Path, written: str) -> Path | None:
    """The file that a manifest names: as text of a table (escapes), or with Windows separators."""
    file = folder / os.path.normpath(text_as_name(written))
    try:
        os.fsencode(file)
    except UnicodeEncodeError:
        return None
    if "\0" in written:
        return None
    if "\\" in written and not os.path.lexists(file):
        windows = folder / os.path.normpath(written.replace("\\", "/"))
        if os.path.lexists(windows):
            return windows
    return file


def _why_missing(path: str) -> str:
    try:
        os.lstat(path)
    except PermissionError as error:  # of a folder on the way
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        pass
    return "no such file"


def _list_files(paths: list) -> Source:
    """Files, folders (all images below) and glob patterns, each image named as it was given."""
    found = Source(os.getcwd(), "files")
    names: list[str] = []
    for path in map(os.fspath, paths):
        if os.path.isdir(path):
            tree = walk(path)
            names += [os.path.join(path, name) for name in tree.names]
            found.ignored += tree.ignored
            for name, reason in tree.closed + tree.unusable:
                found.rejects.append((name_as_text(path) + ("/" + name if name else ""), reason))
        elif os.path.lexists(path):
            names.append(path)
        else:
            matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
            if not matches:
                found.rejects.append((name_as_text(path), _why_missing(path)))
            names += filter(os.path.isfile, matches)
    found.images = [SourceImage(name, name_as_text(name)) for name in dict.fromkeys(names)]
    return found
