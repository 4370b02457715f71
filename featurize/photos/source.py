"""Which images there are, and what is known about them before one is opened: label, group, split."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from featurize.errors import SourceError, UsageError
from featurize.files import is_readable, name_as_text
from featurize.photos.archives import ENDINGS as ARCHIVES
from featurize.photos.archives import is_archive, list_archive, member_at, member_at_url
from featurize.photos.folders import ENDINGS, Walk, ignored_as, walk
from featurize.photos.layout import listed, read_layout
from featurize.photos.manifest import ENDINGS as MANIFESTS
from featurize.photos.manifest import FileFinder, Manifest, is_manifest, read_manifest
from featurize.photos.memory import PhotoSource, checked_origin, is_path, photo_and_label, several
from featurize.photos.origin import MANIFESTS as OF_ROWS
from featurize.photos.origin import OnDisk, Origin, Source, SourceImage
from featurize.photos.rows import INTEGERS, Named, PhotoRows, folder_rows, photo_rows, row_at
from featurize.photos.unread import RAW, kind_of_name, not_read
from featurize.photos.urls import AtUrl, Handover, asked, photo_at_url, walk_url
from featurize.photos.webdataset import shards_of
from featurize.remote import AnyPath, Location, RemotePath, is_url, path_at
from featurize.remote_errors import RemoteError
from featurize.table import describe_similar, similar_labels
from featurize.terminal import log, printable

BESIDE = {1: "images beside the class folders", 2: "images beside the split folders"}
GAPS = {"na", "n/a", "#n/a", "<na>", "nan", "null"}  # as programs write that a value is missing
NOHASH = r"^(.*?)_nohash_"


def list_source(
    source: PhotoSource,
    *,
    group_by: str | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
    each_line: bool = False,
    keep: Sequence[str] = (),
) -> Source:
    """The images of a folder (of class folders, split folders or photos), an archive, a manifest, or a list of photos.

    An archive is read as the folder that it would be unpacked to; of a list, each may be a file, a folder, an archive,
    a glob pattern or a photo in memory (see `featurize.extract`). Parquet files with photos, DataFrames and datasets
    are manifests whose rows hold them. Images are sorted by name, rows and listed photos in the order given. The group
    is the first capture group of the regular expression `group_by` in the image's name, where the manifest gives none
    (default: the text before ``_nohash_``). Of a manifest, `columns` gives the names of its columns, `root` the folder
    that its names are relative to, `keep` further columns whose values the images keep, and with `each_line` every line
    is an image, in its order, also where a file comes again. SourceError if there is no such source or no image in it,
    UsageError if `group_by` fits none, or a manifest's option meets another source.
    """
    if isinstance(source, str) and not source:  # Path("") is the current folder
        hint = "perhaps a variable of the shell is not set; a dot is the current folder"
        raise SourceError("the name of the photos' source is empty", hint)
    pattern = _compile(group_by or NOHASH)
    where, is_file = None, False
    path = path_at(source) if isinstance(source, str | os.PathLike) else None
    shards = _shards(path) if isinstance(path, Path) else []
    if path is not None:
        is_file = is_readable(path, SourceError)
    rows, folder = photo_rows(source, columns, keep), None
    if path is not None and path.is_dir():
        folder = _list_folder(path)
        if isinstance(path, Path) and not folder.images:
            rows = folder_rows(path, columns, keep)
    given = [] if rows is not None or path is not None else list(several(source))
    has_no_columns = path is None or folder is not None or is_archive(str(path))
    if (columns or root is not None) and rows is None and has_no_columns:
        hint = f"give a manifest as the source: {' '.join(MANIFESTS)}"
        raise UsageError("columns and a root are for manifests alone", hint)
    if rows is not None:
        found = _list_photo_rows(rows, root, each_line, keep)
    elif path is None:
        found = _list_files(given)
        where = ", ".join(name_as_text(os.fsdecode(one)) for one in given[:4] if is_path(one))
    elif folder is not None:
        found = folder
    elif is_file and is_archive(str(path)):
        found = _list_archive(path)
    elif shards:
        found = _list_shards(shards)
    elif is_file and is_manifest(path):
        found = _list_manifest(path, columns, root, each_line, keep)
    else:
        there = f"{path} is neither a folder, a manifest nor an archive"
        hint = f"give a folder of photos, a manifest ({' '.join(MANIFESTS)}) or an archive ({' '.join(ARCHIVES)})"
        if re.match(r"(s3|gs|https?|memory):/[^/]", str(path)):
            hint = "give a URL as text: a Path makes one slash of two"
        raise SourceError(there if is_file else f"there is no {path}", hint)
    if keep and not found.kept:
        hint = f"give a manifest as the source: {' '.join(MANIFESTS)}"
        raise UsageError(f"the column {keep[0]} is to be kept, and only manifests have columns", hint)
    if found.kind not in ("files", *OF_ROWS[1:]) and not each_line:
        found.images.sort(key=lambda image: image.image)
    if not found.images and not found.rejects:
        n_ignored = found.ignored.total()
        others = "1 other file was" if n_ignored == 1 else f"{n_ignored} other files were"
        ignored = f" ({others} ignored)" if n_ignored else ""
        endings = " ".join(sorted(ENDINGS))
        hint = f"expected files ending in {endings}, in one folder per class or all in one folder"
        if found.kind == "manifest" or found.kind in OF_ROWS:
            hint = "give one row per photo"
        elif path is None and not given:
            raise SourceError("no photos are given", "the list is empty: give one photo at least")
        raise SourceError(f"no images in {where or found.path}{ignored}", hint)
    found.images = [_grouped(image, pattern) for image in found.images]
    if group_by and found.images:
        _check_grouped(found.images, group_by)
    return found


def origin_at(place: Location) -> Origin | None:
    """The photo at a place, as the file index and the sources of tables name it; None where none is."""
    found = path_at(place)
    if isinstance(found, RemotePath):
        return photo_at_url(found) or member_at_url(found)
    path = os.fspath(found)
    return OnDisk(path) if os.path.isfile(path) else row_at(path) or member_at(path)


def source_warnings(source: Source, used: Iterable[SourceImage]) -> list[str]:
    """What looks wrong with a source, of which `used` are the images that could be read."""
    used = list(used)
    warnings = list(source.warnings)
    if source.kind in OF_ROWS:
        warnings += _manifest_warnings(source, used)
    if empty := source.empty_classes(used):
        what = "class folder" if source.has_class_folders else "label"
        one = f"not one photo of the {what} {empty[0]} can be used"
        several = f"not one photo of these {len(empty)} {what}s can be used: {listed(empty)}"
        warnings.append(one if len(empty) == 1 else several)
    for labels in similar_labels(image.label for image in used):
        warnings.append(
            f"labels that differ in blanks, case or Unicode form alone: {describe_similar(labels)}"
        )
    if joined := sorted({image.label for image in used if image.label and SEVERAL.search(image.label)}):
        warnings.append(f"labels that look like several, and count as one each: {listed(joined)}")
    return warnings


# Labels as other programs join them for one photo.
SEVERAL = re.compile(r"\w *[|;] *\w")


def _manifest_warnings(source: Source, used: list[SourceImage]) -> list[str]:
    warnings = []
    known = {image.origin for image in used}
    missing = sum(image.origin not in known and image.origin.is_missing() for image in source.images)
    if missing:
        folder = source.folder or os.path.dirname(source.path)
        photos = f"{missing} photos of the manifest are" if missing > 1 else "1 photo of the manifest is"
        warnings.append(f"{photos} not found below {folder}; --root names another folder")
    gaps = {image.label for image in used if image.label is not None and image.label.casefold() in GAPS}
    if gaps:
        warnings.append(f"{listed(gaps)} is taken for a label; where no label is known, leave it empty")
    return warnings


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


def _list_folder(root: AnyPath) -> Source:
    if isinstance(root, RemotePath):
        return _placed(Source(str(root), "folder"), *walk_url(root))
    tree = walk(root)
    for name, reason in tree.closed:
        if not name:
            raise SourceError(f"{root}: {reason}", "check the path and its permissions")
    origins = {name_as_text(name): OnDisk(os.path.join(root, name)) for name in tree.names + tree.unread}
    return _placed(Source(str(root.resolve()), "folder"), tree, origins)


def _list_archive(path: AnyPath) -> Source:
    archive = list_archive(path)
    place = path.resolve() if isinstance(path, Path) else path
    kind = "webdataset" if archive.labels else "archive"
    found = _placed(Source(str(place), kind), archive.walk, archive.origins)
    if archive.labels:
        found.images = [replace(one, label=archive.labels.get(one.image)) for one in found.images]
        found.classes = set(archive.labels.values())
        found.notes.append("labels are those of the files beside the photos (.cls, .json, .txt)")
    if archive.wrapper:
        found.notes.append(f"all photos are in the folder {archive.wrapper}, which is taken for the source")
    if archive.damage is not None:
        found.warnings.append(f"{path} is damaged or cut off: what follows {archive.damage} is missing")
    return found


def _shards(path: str | os.PathLike) -> list[str]:
    return shards_of(path) if is_archive(path) else []


def _list_shards(paths: list[str]) -> Source:
    """Several archives as one source: each photo is named by its archive, and its name in it."""
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    found = Source(root, "shards")
    for path in paths:
        if not is_readable(path, SourceError):
            raise SourceError(f"there is no {path}", "name shards that are there, or use a pattern with *")
        shard, name = _list_archive(Path(path)), name_as_text(os.path.relpath(path, root))
        found.images += [replace(one, image=f"{name}/{one.image}") for one in shard.images]
        found.rejects += [(f"{name}/{image}", reason) for image, reason in shard.rejects]
        found.ignored += shard.ignored
        found.classes |= {one.label for one in shard.images if one.label is not None}
        found.notes += [note for note in shard.notes if note not in found.notes]
        found.warnings += [warning for warning in shard.warnings if warning not in found.warnings]
    return found


def _placed(found: Source, tree: Walk, origins: Mapping[str, Origin]) -> Source:
    """Give the photos of a folder or an archive their labels and splits; `origins` has those of the tree's names."""
    n_read = len(tree.names)
    names = list(origins)
    if found.has_class_folders:
        found.layout = read_layout(names[:n_read], names[n_read:], tree.folders)
    layout = found.layout
    found.notes, found.warnings = layout.notes, layout.warnings
    found.rejects += tree.closed
    beside = Counter[str]()
    for name, origin in origins.items():
        placed = layout.place(name)
        if placed is None:
            beside[BESIDE[layout.depth]] += 1
        elif kind_of_name(name) == RAW:
            found.rejects.append((name, not_read(RAW)))
        else:
            found.images.append(SourceImage(origin, name, placed[0], split=placed[1]))
    for name, reason in tree.unusable:
        # An unusable file beside the class folders would have been ignored, had it been an image.
        if layout.place(name) is None:
            beside[BESIDE[layout.depth]] += 1
        else:
            found.rejects.append((name, reason))
    found.ignored = tree.ignored + beside
    everything = [*names, *(name for name, _ in tree.unusable), *_unreadable(tree)]
    found.classes = {folder for name in everything if (folder := layout.class_folder(name))}
    return found


def _unreadable(tree: Walk) -> list[str]:
    return [f"{name}/" for name, reason in tree.closed if reason.startswith("unreadable")]


def _list_manifest(
    path: AnyPath,
    columns: Mapping[str, str] | None,
    root: str | os.PathLike | None,
    each_line: bool,
    keep: Sequence[str],
) -> Source:
    path = path.resolve() if isinstance(path, Path) else path
    folder = path.parent if root is None else path_at(root)
    folder = folder.resolve() if isinstance(folder, Path) else folder
    if root is not None and not _is_folder(folder):
        raise UsageError(
            f"there is no folder {root}", "the root is the folder that a manifest's names are relative to"
        )
    found = Source(str(path), "manifest", folder=None if root is None else str(folder))
    return _list_rows(found, read_manifest(path, columns, keep), folder, each_line, keep)


def _list_photo_rows(
    rows: PhotoRows, root: str | os.PathLike | None, each_line: bool, keep: Sequence[str] = ()
) -> Source:
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
        earlier, number = first.setdefault(_which_file(file), (place, len(found.images)))
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


def _which_file(path: Location) -> object:
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


def _why_missing(path: str) -> str:
    try:
        os.lstat(path)
    except PermissionError as error:  # of a folder on the way
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        pass
    return "no such file"


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


def _list_files(given: list) -> Source:
    """Files, folders and archives (all images below), glob patterns and photos in memory, each with its label if any.

    Each image is named as it was given, a photo in memory by its position.
    """
    found, added = Source(os.getcwd(), "files"), _Listed()
    for position, one in enumerate(given):
        photo, label = photo_and_label(one, f"photo {position}")
        n_before = len(added.names)
        if is_path(photo):
            for path in _shards(photo) or [os.fsdecode(photo)]:
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
        once.setdefault(_which_file(place) if is_file else place, place)
    for place in once.values():
        image = added.image(place)
        if place not in added.rows and kind_of_name(image.image) == RAW:
            found.rejects.append((image.image, not_read(RAW)))
        else:
            found.images.append(image)
    found.images = asked(found.images)
    found.classes = {image.label for image in found.images if image.label is not None}
    return found


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
        _add_rows(_list_photo_rows(held, None, True), found, added)
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
    found.notes += [note for note in held.notes if note not in found.notes]
    found.warnings += [warning for warning in held.warnings if warning not in found.warnings]


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
