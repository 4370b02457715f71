"""Photos at URLs: listed in pages, told apart by ETag, size and time, and fetched by several threads, each once."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from featurize.errors import SourceError
from featurize.files import name_as_text
from featurize.photos.decode import MAX_BYTES, ImageRejected
from featurize.photos.folders import Walk, ignored_as
from featurize.photos.origin import READERS, Origin, SourceImage, Stamp
from featurize.photos.unread import is_read_by_name
from featurize.remote import Facts, RemotePath
from featurize.remote_errors import RemoteError
from featurize.terminal import progress

KEPT_BYTES = 1 << 28  # of photos that were hashed and will be decoded soon
KEPT_PHOTOS = 512  # more than are hashed, fetched and decoded at once: what is older is not asked for again


class Handover:
    """Photos between the reading that hashes them and the one that decodes them, so that each is fetched once."""

    def __init__(self, most_bytes: int = KEPT_BYTES, most_photos: int = KEPT_PHOTOS):
        self.most_bytes, self.most_photos = most_bytes, most_photos
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        self._n_bytes = 0

    def __reduce__(self):
        return type(self), (self.most_bytes, self.most_photos)  # another process fetches for itself

    def __contains__(self, place: str) -> bool:
        return place in self._kept

    def put(self, place: str, data: bytes) -> None:
        """Keep a photo, unless those that are kept take the memory: the first of them are asked for first."""
        with self._lock:
            while len(self._kept) >= self.most_photos:
                self._n_bytes -= len(self._kept.pop(next(iter(self._kept))))
            if place not in self._kept and self._n_bytes + len(data) <= self.most_bytes:
                self._kept[place] = data
                self._n_bytes += len(data)

    def take(self, place: str) -> bytes | None:
        """The photo if it is kept, which it is no longer."""
        with self._lock:
            data = self._kept.pop(place, None)
            self._n_bytes -= len(data or b"")
            return data


@dataclass(frozen=True, slots=True)
class AtUrl(Origin):
    """A photo at a URL, by its name below a folder (or "": `folder` is the photo); `facts` of None: it is not there.

    `fault` is why it cannot be read, where that is known already.
    """

    folder: RemotePath
    name: str = ""
    facts: Facts | None = field(default=None, compare=False)
    fault: str | None = field(default=None, compare=False)
    kept: Handover = field(default_factory=Handover, compare=False, repr=False)

    @property
    def waits(self) -> bool:
        return True

    @property
    def path(self) -> RemotePath:
        """Its URL."""
        return self.folder / self.name if self.name else self.folder

    @property
    def place(self) -> str:  # type: ignore[override]
        return str(self.path)

    def read(self) -> bytes:
        data = self.kept.take(self.place)
        if data is None:
            data = self._fetched()
            self.kept.put(self.place, data)
        return data

    def fetch(self) -> None:
        if self.place not in self.kept:
            self.kept.put(self.place, self._fetched())

    def _fetched(self) -> bytes:
        size = self._known_facts().size
        if size > MAX_BYTES:
            raise ImageRejected(f"{size:,} bytes; at most {MAX_BYTES:,} are read")
        try:
            return self.path.read_bytes(MAX_BYTES + 1 if size < 0 else None)
        except FileNotFoundError as error:
            raise ImageRejected("no such file") from error
        except OSError as error:
            raise ImageRejected(f"cannot be read: {error.strerror or error}") from error

    def _known_facts(self) -> Facts:
        if self.fault is not None:
            raise ImageRejected(self.fault)
        if self.facts is None:
            raise ImageRejected("no such file")
        return self.facts

    def stamp(self) -> Stamp | None:
        size, etag, written = self._known_facts()
        if etag:
            # Listings and single answers tell the time with and without fractions of a second.
            return Stamp.of(size, etag, None if written is None else int(written))
        return None if written is None else Stamp.of(size, written, changed=written)

    def is_missing(self) -> bool:
        return self.facts is None and self.fault is None


def walk_url(root: RemotePath) -> tuple[Walk, dict[str, Origin]]:
    """What lies below a folder, as `walk` tells it of one on this machine, and its photos by name.

    SourceError if it cannot be listed.
    """
    found, photos = Walk(), dict[str, Facts]()
    folders = dict[str, None]()
    try:
        with progress(None, "listing", "file") as bar:
            for page in root.pages():
                for name, facts in page:
                    above = name.split("/")[:-1]
                    if ignored_as("/".join([*above, ""])) is None:
                        folders.update(dict.fromkeys("/".join(above[:n]) for n in (1, 2) if n <= len(above)))
                    if (ignored := ignored_as(name)) is not None:
                        found.ignored[ignored] += 1
                    else:
                        photos[name] = facts
                bar.update(len(page))
    except RemoteError as error:
        raise SourceError(f"{root} cannot be listed: {error.strerror}", error.hint) from error
    except FileNotFoundError as error:
        raise SourceError(f"there is no {root}", "check the URL; nothing lies below it") from error
    found.folders = [name_as_text(name) for name in folders]
    found.names = sorted(name for name in photos if is_read_by_name(name))
    found.unread = sorted(name for name in photos if not is_read_by_name(name))
    kept = Handover()
    return found, {
        name_as_text(name): AtUrl(root, name, photos[name], kept=kept) for name in found.names + found.unread
    }


def asked(images: Sequence[SourceImage]) -> list[SourceImage]:
    """The same images; those at URLs of which nothing is known are asked for, by several threads."""
    unknown = [
        n for n, image in enumerate(images) if isinstance(image.origin, AtUrl) and not image.origin.facts
    ]
    answered = list(images)
    if unknown:
        with ThreadPoolExecutor(READERS, "ask") as pool, progress(len(unknown), "looking", "photo") as bar:
            for number, origin in zip(
                unknown, pool.map(lambda n: _asked(images[n].origin), unknown), strict=True
            ):
                answered[number] = replace(images[number], origin=origin)
                bar.update(1)
    return answered


def _asked(origin: Origin) -> Origin:
    assert isinstance(origin, AtUrl)
    try:
        return replace(origin, facts=origin.path.facts())
    except RemoteError as error:
        return replace(origin, fault=f"cannot be read: {error.strerror}; {error.hint}")


def photo_at_url(path: RemotePath) -> Origin | None:
    """The photo at a URL; None where none is, or nobody may say so."""
    try:
        facts = path.facts()
    except RemoteError:
        return None
    return None if facts is None else AtUrl(path, facts=facts)
