"""What a zip or tar archive holds, listed as the folder that it would be unpacked to."""

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache

from featurize.errors import SourceError
from featurize.files import identity, name_as_text
from featurize.photos.archive_members import (
    BROKEN,
    CUT_OFF,
    ArchiveFile,
    Member,
    TarMember,
    parts_of,
    tar_members,
    zip_members,
)
from featurize.photos.folders import Walk, ignored_as
from featurize.photos.origin import Origin
from featurize.photos.unread import is_read_by_name
from featurize.photos.webdataset import key_of, labels_beside
from featurize.remote import Location, RemotePath, path_at
from featurize.terminal import printable, progress

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
AGAIN = "in the archive twice; the later one is used, as when it is unpacked"
OUTSIDE = "its name leads out of the archive"


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a path is called like an archive that is read.

    >>> is_archive("photos.ZIP"), is_archive("photos.tar.gz"), is_archive("photos.7z")
    (True, True, False)
    """
    return os.fspath(path).lower().endswith(ENDINGS)


@dataclass
class Archive:
    """What an archive holds, as `walk` tells it of a folder; names are text, relative to its root.

    `origins` are the photos by name. Where all photos lie in one folder that holds only folders, as in a zip of a
    folder, that folder (`wrapper`, with ``/`` behind it) is the root. `damage` is where reading it had to end. `labels`
    are those of photos by name where files beside them say so, as in shards of webdataset; else it is empty.
    """

    path: str
    walk: Walk = field(default_factory=Walk)
    origins: dict[str, Origin] = field(default_factory=dict)
    wrapper: str = ""
    damage: str | None = None
    labels: dict[str, str] = field(default_factory=dict)

    def in_order(self) -> list[tuple[str, Origin]]:
        """The photos by name; those of a compressed tar in its order, because each step back is a pass through it."""
        photos = list(self.origins.items())
        if photos and isinstance(photos[0][1], TarMember) and photos[0][1].passes is not None:
            photos.sort(key=lambda photo: photo[1].order)
        return photos


def list_archive(path: Location) -> Archive:
    """Look at every member of an archive; SourceError if it cannot be opened, or would unpack beyond all measure."""
    file = ArchiveFile.of(path)
    found = Archive(file.path)
    photos: dict[str, Origin] = {}
    unusable: list[tuple[str, str]] = []
    folders: dict[str, None] = {}
    beside: dict[
        str, dict[str, str]
    ] = {}  # by photo without its ending, the label that each file beside it gives
    last = ""
    try:
        with progress(None, "listing", "file") as bar:
            for member in (zip_members if file.is_zip() else tar_members)(file):
                _sort_in(member, found.walk, photos, unusable, folders)
                if member.label:
                    key, ending = key_of(name_as_text("/".join(parts_of(member.name))))
                    beside.setdefault(key, {})[ending] = member.label
                last = member.name
                bar.update(1)
    except SourceError:
        raise
    except BROKEN as error:
        if not last:
            hint = "it may be cut off, damaged or of another format: download or pack it again"
            problem = (
                f"{file.path} cannot be read as an archive: {printable(str(error) or 'it ends too early')}"
            )
            raise SourceError(problem, hint) from error
        found.damage = name_as_text(last)
    found.wrapper = _wrapper([*photos, *(name for name, _ in unusable)])
    n_cut = len(found.wrapper)
    names = sorted(photos, key=lambda name: (not is_read_by_name(name), name))
    found.origins = {name[n_cut:]: photos[name] for name in names}
    for name in found.origins:
        (found.walk.names if is_read_by_name(name) else found.walk.unread).append(name)
    found.labels = {name[n_cut:]: label for name, label in labels_beside(photos, beside).items()}
    found.walk.unusable = [(name[n_cut:], reason) for name, reason in unusable]
    inside = sorted(name[n_cut:] for name in folders if name.startswith(found.wrapper))
    found.walk.folders = [name for name in inside if name and name.count("/") < 2]
    if found.damage is not None:
        found.walk.closed.append(
            (
                os.path.basename(file.path),
                f"{CUT_OFF} (after {found.damage})",
            )
        )
    return found


@lru_cache(maxsize=2)
def _listed(path: Location, _: tuple[int, ...]) -> Archive:
    return list_archive(path)


def member_at(place: str) -> Origin | None:
    """The photo at a place such as ``/data/photos.zip/rust/1.jpg``; None where none is."""
    path = os.path.abspath(place)
    while (above := os.path.dirname(path)) != path:
        path = above
        if is_archive(path) and os.path.isfile(path):
            name = name_as_text(os.path.relpath(os.path.abspath(place), path))
            try:
                return _listed(path, identity(os.stat(path))).origins.get(name)
            except (SourceError, OSError):
                return None
    return None


def member_at_url(path: RemotePath) -> Origin | None:
    """The photo at such a place in an archive at a URL; None where none is."""
    parts = path.url.split("/")
    for n in range(4, len(parts)):
        archive = path_at("/".join(parts[:n]))
        if is_archive(str(archive)):
            try:
                file = ArchiveFile.of(archive)
                return _listed(archive, file.identity).origins.get(name_as_text("/".join(parts[n:])))
            except SourceError:
                return None
    return None


def _sort_in(
    member: Member,
    walk: Walk,
    photos: dict[str, Origin],
    unusable: list[tuple[str, str]],
    folders: dict[str, None],
) -> None:
    """Where one member stands in what an archive holds."""
    parts = parts_of(member.name)
    leads_out = member.name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:[/\\]", member.name)
    name = "/".join(parts)
    above = parts if member.is_folder else parts[:-1]
    if ignored_as("/".join([*above, ""])) is None:
        folders.update(dict.fromkeys(name_as_text("/".join(above[:n])) for n in range(1, len(above) + 1)))
    if member.is_folder or not parts:
        return
    if (ignored := ignored_as(parts[-1] if leads_out else name)) is not None:
        walk.ignored[ignored] += 1
    elif leads_out:
        walk.closed.append((name_as_text(member.name), OUTSIDE))
    elif member.origin is None:
        unusable.append((name_as_text(name), member.reason))
    else:
        if (text := name_as_text(name)) in photos:
            unusable.append((text, AGAIN))
        photos[text] = member.origin


def _wrapper(names: list[str]) -> str:
    """The folder around everything, with ``/`` behind it: of its photos, most lie in two folders or more.

    >>> _wrapper(["photos/rust/1.jpg", "photos/steel/2.jpg"]), _wrapper(["rust/1.jpg", "rust/2.jpg"])
    ('photos/', '')
    """
    inside, wrapper = [name.split("/") for name in names], ""
    while inside:
        folders = {parts[0] for parts in inside if len(parts) > 1}
        n_beside = sum(len(parts) == 1 for parts in inside)
        if len(folders) != 1 or n_beside:
            return wrapper if len(folders) > 1 and 2 * n_beside < len(inside) else ""
        wrapper += f"{folders.pop()}/"
        inside = [parts[1:] for parts in inside]
    return ""
