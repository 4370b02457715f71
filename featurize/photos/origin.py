"""A photo of a source: its name, a way to read its bytes, and what is known of it before it is opened.

To add a kind of source: a subclass of `Origin`, and a function that lists it for `featurize.photos.source`.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from featurize.files import identity
from featurize.photos.decode import ImageRejected, read_image
from featurize.photos.layout import Layout
from featurize.photos.unread import with_remedy

CLASS_FOLDERS = ("folder", "archive")  # kinds of source in which folders give the labels
MANIFESTS = ("manifest", "parquet", "dataset", "frame")  # kinds in which columns do


READERS = 32  # threads that wait for a network, beside those that decode


class Stamp(NamedTuple):
    """What changes when the bytes of a photo do: their number, and three more numbers of at most 63 bits.

    Their number is -1 where only reading the photo tells it.

    `changed` is when they were last written, in seconds, for the rule that what is younger than two seconds is not
    remembered; 0 where no second change can leave the same stamp.
    """

    identity: tuple[int, int, int, int]
    changed: float = 0.0

    @classmethod
    def of(cls, size: int | None, *facts: object, changed: float = 0.0) -> "Stamp":
        """The stamp of `size` bytes (None: as many as there are) that are the same while all `facts` are.

        Facts are such as an ETag, or a place and a time.

        >>> Stamp.of(12, "etag-1") == Stamp.of(12, "etag-1"), Stamp.of(12, "etag-1") == Stamp.of(12, "etag-2")
        (True, False)
        """
        digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).digest()
        first, second, third = (int.from_bytes(digest[n : n + 8], "big") >> 1 for n in (0, 8, 16))
        return cls((-1 if size is None else size, first, second, third), changed)

    def is_of(self, identity: tuple[int, ...]) -> bool:
        """Whether what had this identity is unchanged."""
        return identity[1:] == self.identity[1:] and self.identity[0] in (-1, identity[0])


class Origin:
    """Where the bytes of one photo are.

    A subclass defines `place`, which messages show, and `read`; equal objects are the same photo, read once. It is
    asked in several threads at once.
    """

    __slots__ = ()
    place: str

    @property
    def waits(self) -> bool:
        """Whether reading waits for a network: more threads than there are processors are worth while."""
        return False

    @property
    def order(self) -> int:
        """Photos are read in this order: in an archive, that of their bytes."""
        return 0

    @property
    def index_key(self) -> str:
        """Its name in the file index, the same from wherever it is asked."""
        return self.place

    def read(self) -> bytes | np.ndarray:
        """The bytes of an image file, or RGB pixels, uint8 (height, width, 3); ImageRejected where it fails."""
        raise NotImplementedError

    def fetch(self) -> None:
        """Bring its bytes near, because `read` is about to be called; ImageRejected where it fails."""

    def stamp(self) -> Stamp | None:
        """What changes when its bytes do, without reading them; None: read them every time.

        ImageRejected where it is known already that nothing can be read.
        """
        return None

    def is_missing(self) -> bool:
        """Whether nothing is there."""
        return False


@dataclass(frozen=True, slots=True)
class OnDisk(Origin):
    """A file of its own, by its path."""

    place: str

    @property
    def index_key(self) -> str:
        return os.path.abspath(self.place)

    def read(self) -> bytes:
        return read_image(self.place)

    def stamp(self) -> Stamp:
        try:
            status = os.stat(self.place)
        except OSError as error:
            raise ImageRejected(f"cannot be read: {error.strerror or error}") from error
        if not stat.S_ISREG(status.st_mode):
            raise ImageRejected("not a regular file")
        return Stamp(identity(status), max(status.st_mtime, status.st_ctime))

    def is_missing(self) -> bool:
        return not os.path.lexists(self.place)


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One photo of a source: where its bytes are, its name in the table, and what is known about it."""

    origin: Origin
    image: str
    label: str | None = None
    group: str | None = None
    split: str | None = None
    kept: tuple[str | None, ...] = ()


@dataclass
class Source:
    """What a source holds: every file is an image, a reject with its reason, or counted as ignored.

    `folder` is where the names of a manifest begin, if that is not the manifest's own folder; `files` are the Parquet
    files that hold the photos; `classes` are the class folders, or the labels of a manifest; `layout` says what the
    folders mean; `kept` names the further columns of a manifest whose values the images keep. `notes` and `warnings`
    are what a user should know of how the source was read.
    """

    path: str
    kind: str
    images: list[SourceImage] = field(default_factory=list)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    folder: str | None = None
    files: list[str] = field(default_factory=list)
    layout: Layout = field(default_factory=Layout)
    classes: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def has_class_folders(self) -> bool:
        """Whether labels are the names of folders."""
        return self.kind in CLASS_FOLDERS

    def reading_order(self) -> list[int]:
        """The numbers of the images in the order in which they are to be read (`Origin.order`)."""
        return sorted(range(len(self.images)), key=lambda number: self.images[number].origin.order)

    def empty_classes(self, used: Iterable[SourceImage]) -> list[str]:
        """The classes of which no photo is among those that could be used."""
        return sorted(self.classes - {self.class_of(image) for image in used})

    def class_of(self, image: SourceImage) -> str | None:
        """The class folder of an image, or its label where something else gives it."""
        return self.layout.class_folder(image.image) if self.has_class_folders else image.label

    def reason(self, image: SourceImage, rejected: object) -> str:
        """Why an image cannot be used, and what to do, as far as its name and place say more than its content."""
        reason = with_remedy(image.image, str(rejected))
        if self.kind in MANIFESTS and image.origin.is_missing():
            return f"{reason}; it was looked for in {os.path.dirname(image.origin.place)}"
        return reason
