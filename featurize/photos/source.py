"""Which images there are, and what is known about them before one is opened: label, group, split."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from featurize.errors import SourceError, UsageError
from featurize.files import is_readable, name_as_text
from featurize.id_columns import describe_similar, similar_labels
from featurize.photos.archives import ENDINGS as ARCHIVES
from featurize.photos.archives import is_archive, list_archive, member_at, member_at_url
from featurize.photos.folders import ENDINGS, Walk, walk
from featurize.photos.layout import add_notes, listed, read_layout
from featurize.photos.manifest import ENDINGS as MANIFESTS
from featurize.photos.manifest import is_manifest
from featurize.photos.manifest_photos import list_manifest, list_photo_rows
from featurize.photos.memory import PhotoSource, is_path, several
from featurize.photos.origin import MANIFESTS as OF_ROWS
from featurize.photos.origin import OnDisk, Origin, Source, SourceImage
from featurize.photos.photo_list import list_files
from featurize.photos.rows import folder_rows, photo_rows, row_at
from featurize.photos.unread import RAW, kind_of_name, not_read
from featurize.photos.urls import photo_at_url, walk_url
from featurize.photos.webdataset import shards_of
from featurize.remote import AnyPath, Location, RemotePath, path_at
from featurize.terminal import log

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
    shards = shards_of(path) if isinstance(path, Path) and is_archive(path) else []
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
        found = list_photo_rows(rows, root, each_line, keep)
    elif path is None:
        found = list_files(given)
        where = ", ".join(name_as_text(os.fsdecode(one)) for one in given[:4] if is_path(one))
    elif folder is not None:
        found = folder
    elif is_file and is_archive(str(path)):
        found = _list_archive(path)
    elif shards:
        found = _list_shards(shards)
    elif is_file and is_manifest(path):
        found = list_manifest(path, columns, root, each_line, keep)
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
        add_notes(found, shard)
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
