"""Which images there are, and what is known about them before one is opened: label, group, split."""

import csv
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from featurize.errors import SourceError, UsageError
from featurize.files import name_as_text, text_as_name

ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .gif .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm".split()
)
SPLITS = ("training", "validation", "testing")
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
    """The images of a folder of class folders, a flat folder, a manifest, or a list of files.

    Parameters
    ----------
    source : path or iterable of paths
        A folder; a ``.csv`` or ``.parquet`` manifest with the columns image[,label][,group][,split]; or
        several files, folders and glob patterns.
    group_by : str, optional
        A regular expression; its first capture group, searched in the image's name, is the group. By default
        the text before ``_nohash_``.

    Returns
    -------
    Source
        Images sorted by name; listed files in the order given.

    Raises
    ------
    SourceError
        If there is no such source, or it holds no image at all.
    UsageError
        If `group_by` is no regular expression with a capture group.
    """
    pattern = _compile(group_by or NOHASH)
    if not isinstance(source, str | os.PathLike):
        found = _list_files(list(source))
    else:
        path = Path(source)
        if path.is_dir():
            found = _list_folder(path)
        elif path.is_file() and path.suffix.lower() in (".csv", ".parquet"):
            found = _list_manifest(path)
        elif path.is_file():
            raise SourceError(
                f"{path} is neither a folder nor a manifest", "give a folder, a .csv or a .parquet"
            )
        else:
            raise SourceError(
                f"there is no {path}", "give a folder of photos, or a .csv or .parquet manifest"
            )
    if found.kind != "files":
        found.images.sort(key=lambda image: image.image)
    found.images = [_grouped(image, pattern) for image in found.images]
    if not found.images and not found.rejects:
        ignored = f" ({sum(found.ignored.values())} other files were ignored)" if found.ignored else ""
        raise SourceError(
            f"no images in {found.path}{ignored}",
            f"expected files ending in {' '.join(sorted(ENDINGS))}, in one folder per class or all in one folder",
        )
    return found


def _compile(group_by: str) -> re.Pattern:
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise UsageError(
            f"{group_by!r} is no regular expression: {error}", r"for example: '^(patient\d+)'"
        ) from None
    if pattern.groups < 1:
        raise UsageError(
            f"{group_by!r} has no capture group", r"put what names the group in (): '^(patient\d+)'"
        )
    return pattern


def _grouped(image: SourceImage, pattern: re.Pattern) -> SourceImage:
    if image.group is not None:
        return image
    match = pattern.search(image.image)
    group = match.group(1) if match else None
    return SourceImage(image.path, image.image, image.label, group or None, image.split)


def is_hidden(name: str) -> bool:
    """Files and folders that systems leave behind: dot files (also AppleDouble ``._x``), thumbnails."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini", "__macosx")


def _list_folder(root: Path) -> Source:
    found = Source(str(root.resolve()), "folder")
    inside: list[SourceImage] = []
    beside: list[SourceImage] = []
    for name in _walk(root, found):
        text = name_as_text(name)
        label, slash, _ = text.partition("/")
        path = os.path.join(root, name)
        if slash:
            inside.append(SourceImage(path, text, label))
        else:
            beside.append(SourceImage(path, text))
    found.images = inside or beside
    if inside:
        # Something unreadable beside the class folders would have been ignored if it had been readable.
        kept = [(name, reason) for name, reason in found.rejects if "/" in name]
        n_beside = len(beside) + len(found.rejects) - len(kept)
        found.rejects = kept
        if n_beside:
            found.ignored["images beside the class folders"] = n_beside
    return found


def _walk(root: Path, found: Source) -> Iterator[str]:
    """Names, relative to `root`, of the files that may be images; the others are counted or rejected."""
    waiting = [("", frozenset([_folder_id(root)]))]
    while waiting:
        folder, above = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(root, folder)))
        except OSError as error:
            found.rejects.append((name_as_text(folder), f"unreadable folder: {error.strerror}"))
            continue
        for entry in entries:
            name = os.path.join(folder, entry.name)
            if is_hidden(entry.name):
                found.ignored["hidden files and folders"] += 1
                continue
            try:
                is_folder = entry.is_dir()
                is_regular = not is_folder and stat.S_ISREG(entry.stat().st_mode)
            except OSError as error:
                found.rejects.append((name_as_text(name), f"cannot be opened: {error.strerror}"))
                continue
            if is_folder:
                here = _folder_id(entry.path)
                if here in above:
                    found.rejects.append((name_as_text(name), "a link to a folder above it (a loop)"))
                else:
                    waiting.append((name, above | {here}))
            elif os.path.splitext(entry.name)[1].lower() not in ENDINGS:
                found.ignored[f"files ending in {os.path.splitext(entry.name)[1].lower() or 'nothing'}"] += 1
            elif not is_regular:
                found.rejects.append((name_as_text(name), "not a regular file"))
            else:
                yield name


def _folder_id(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _list_manifest(path: Path) -> Source:
    found = Source(str(path.resolve()), "manifest")
    rows = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    folder, seen = path.resolve().parent, set()
    for number, row in rows:
        written = row.get("image")
        if not written:
            found.rejects.append((f"line {number}", "the image column is empty"))
            continue
        split = row.get("split")
        if split is not None and split not in SPLITS:
            raise SourceError(
                f"{path}, line {number}: split is {split!r}", f"a split is {', '.join(SPLITS)}, or empty"
            )
        place = _manifest_path(folder, written)
        inside = place.is_relative_to(folder)
        name = name_as_text(place.relative_to(folder).as_posix() if inside else place.as_posix())
        if name in seen:
            found.rejects.append((name, f"listed again in line {number}; the first line counts"))
            continue
        seen.add(name)
        found.images.append(SourceImage(str(place), name, row.get("label"), row.get("group"), split))
    return found


def _manifest_path(folder: Path, written: str) -> Path:
    """The file that a manifest names: as text of a table (escapes), or with Windows separators."""
    place = folder / os.path.normpath(text_as_name(written))
    if "\\" in written and not place.exists():
        windows = folder / os.path.normpath(written.replace("\\", "/"))
        if windows.exists():
            return windows
    return place


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            _check_columns(path, reader.fieldnames or [])
            for row in reader:
                yield (
                    reader.line_num,
                    {key: value or None for key, value in row.items() if isinstance(key, str)},
                )
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {error.reason}", "save the manifest as UTF-8") from None
    except csv.Error as error:
        raise SourceError(
            f"{path} is no readable CSV: {error}", "quote names that hold commas or quotes"
        ) from None


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        _check_columns(path, names)
        wanted = [name for name in ("image", "label", "group", "split") if name in names]
        rows = pq.read_table(path, columns=wanted).to_pylist()
    except pa.ArrowException as error:
        raise SourceError(
            f"{path} is no readable Parquet file: {error}", "write it again, or use .csv"
        ) from None
    for number, row in enumerate(rows, start=1):
        yield number, {key: None if value in (None, "") else str(value) for key, value in row.items()}


def _check_columns(path: Path, names: Iterable[str]) -> None:
    names = list(names)
    if "image" not in names:
        raise SourceError(
            f"{path} has the columns {', '.join(names) or 'none'}, and no column image",
            "a manifest has the columns image[,label][,group][,split]",
        )


def _list_files(paths: list) -> Source:
    """Files, folders (all images below) and glob patterns, each image named as it was given."""
    found = Source(os.getcwd(), "files")
    seen: set[str] = set()

    def add(name: str) -> None:
        if name not in seen:
            seen.add(name)
            found.images.append(SourceImage(name, name_as_text(name)))

    for path in map(os.fspath, paths):
        if os.path.isdir(path):
            rejects = len(found.rejects)
            for name in _walk(Path(path), found):
                add(os.path.join(path, name))
            found.rejects[rejects:] = [
                (f"{name_as_text(path)}/{n}", why) for n, why in found.rejects[rejects:]
            ]
        elif os.path.lexists(path):
            add(path)
        else:
            import glob

            matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
            if not matches:
                found.rejects.append((name_as_text(path), "no such file"))
            for name in matches:
                if os.path.isfile(name):
                    add(name)
    return found
