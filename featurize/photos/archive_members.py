"""The members of a zip or tar archive, read where they are: nothing is unpacked to disk, and no member twice in a row.

Members of a ``.zip`` and a plain ``.tar`` are read one by one from where they stand. A compressed tar can only be read
from its beginning: once for its names, and once for its photos, which are asked for in its order (`Origin.order`).
"""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple, cast

from featurize.errors import SourceError
from featurize.files import SMALL, check_unpacked, identity
from featurize.photos.decode import MAX_BYTES, ImageRejected
from featurize.photos.folders import ignored_as
from featurize.photos.origin import Origin, Stamp
from featurize.photos.urls import Handover
from featurize.photos.webdataset import BESIDE, MOST_BESIDE, key_of, label_in
from featurize.remote import BLOCK, Location, RemotePath, path_at

# Bytes that the photos of any archive may unpack to; those of a larger one, 64 times its size.
MOST_WHOLE = 1 << 30
MOST_HEADER = 1 << 20  # bytes of a name in a tar
KEPT_BYTES = 1 << 28  # of photos that were passed in a compressed tar, and will be asked for soon
MOST_PASSES = 3  # through a compressed tar at once

LINK = "a link, which is not followed in an archive"
CUT_OFF = "the archive is damaged or cut off here; what follows is missing"


class Member(NamedTuple):
    """One entry of an archive: a folder, a photo, or a file that is none, with the reason if it has an image's name."""

    name: str
    is_folder: bool
    origin: Origin | None
    reason: str = ""
    label: str = ""  # what a file beside a photo says


def parts_of(name: str) -> list[str]:
    """The folders and the name of a member, as it would be unpacked."""
    return [part for part in name.split("/") if part not in ("", ".")]


def _may_be_photo(name: str) -> bool:
    return ignored_as("/".join(parts_of(name))) is None


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """An archive as it was when it was listed."""

    path: str
    identity: tuple[int, int, int, int]
    changed: float
    # Of one at a URL: where it is, and its photos between the reading that hashes and the one that decodes them.
    remote: RemotePath | None = field(default=None, compare=False)
    kept: Handover = field(default_factory=Handover, compare=False, repr=False)

    @classmethod
    def of(cls, path: Location) -> "ArchiveFile":
        found = path_at(path)
        if isinstance(found, RemotePath):
            return cls._of_url(found)
        place = os.path.abspath(found)
        try:
            status = os.stat(place)
        except OSError as error:
            raise SourceError(
                f"{place} cannot be read: {error.strerror or error}", "check the path"
            ) from error
        return cls(place, identity(status), max(status.st_mtime, status.st_ctime))

    @classmethod
    def _of_url(cls, path: RemotePath) -> "ArchiveFile":
        try:
            facts = path.stat()
        except OSError as error:
            hint = getattr(error, "hint", "check the URL")
            raise SourceError(f"{path} cannot be read: {error.strerror}", hint) from error
        if facts.size < 0:
            raise SourceError(f"{path} cannot be read: its server does not say how long it is", "download it")
        same = Stamp.of(*facts).identity
        return cls(str(path), same, 0.0 if facts.etag else facts.written or time.time(), path)

    def open(self, n_ahead: int = BLOCK) -> BinaryIO:
        """Open it anew, so that threads do not share a position; ImageRejected if it was changed meanwhile.

        Of one at a URL, `n_ahead` bytes are fetched at once.
        """
        if self.remote is not None:
            return cast(BinaryIO, self.remote.ranges(self.identity[0], n_ahead))
        try:
            stream = open(self.path, "rb")
        except OSError as error:
            raise ImageRejected(f"the archive cannot be read: {error.strerror or error}") from error
        if identity(os.fstat(stream.fileno())) != self.identity:
            stream.close()
            raise ImageRejected("the archive was changed while it was being read; run again")
        return stream

    def handed_on(self, place: str, read: Callable[[], bytes]) -> bytes:
        """What `read` gives, which at a URL is kept until it is asked for once more."""
        if self.remote is None:
            return read()
        data = self.kept.take(place)
        if data is None:
            data = read()
            self.kept.put(place, data)
        return data

    def fetch(self, place: str, read: Callable[[], bytes]) -> None:
        """Keep what `read` gives, if it is at a URL and not kept yet."""
        if self.remote is not None and place not in self.kept:
            self.kept.put(place, read())

    def is_zip(self) -> bool:
        with self.open(HEADER) as stream:
            return self.path.lower().endswith(".zip") or stream.read(4) == b"PK\x03\x04"

    def place(self, name: str) -> str:
        """Where a member is, by its name in the archive."""
        return "/".join([self.path, *parts_of(name)])

    def check_whole(self, n_bytes: int) -> None:
        """SourceError where so many bytes are more than any honest archive of this size unpacks to."""
        if n_bytes <= MOST_WHOLE:
            return
        try:
            check_unpacked(n_bytes, self.identity[0])
        except ValueError as error:
            hint = f"at most 64 times its size and {MOST_WHOLE >> 30} GB are read; if you trust it, unpack it yourself"
            raise SourceError(f"{self.path} is refused: {error}", hint) from error


def _rejected(error: Exception) -> ImageRejected:
    return error if isinstance(error, ImageRejected) else ImageRejected(f"damaged in the archive: {error}")


def _size_reason(size: int, packed: int) -> str:
    """Why a member of this size is not read, if so."""
    if size > MAX_BYTES:
        return f"{size:,} bytes; at most {MAX_BYTES:,} are read"
    try:
        check_unpacked(size, packed)
    except ValueError as error:
        return f"{error}; at most {SMALL >> 20} MB, or 64 times its size, are unpacked"
    return ""


UTF_8 = 0x800
ENCRYPTED = 0x1
UNPACKERS: dict[int, Callable[[], Any]] = {
    zipfile.ZIP_DEFLATED: lambda: zlib.decompressobj(-15),
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
}
HEADER = 30  # bytes, and then the name and more
BEFORE = 1 << 12  # bytes before a photo: usually its header, its name and more


@dataclass(frozen=True, slots=True)
class ZipMember(Origin):
    """A photo in a zip archive."""

    file: ArchiveFile
    place: str
    start: int
    size: int
    packed: int
    checksum: int
    method: int

    @property
    def order(self) -> int:
        return self.start

    def stamp(self) -> Stamp:
        return Stamp.of(self.size, self.file.identity, self.start, self.checksum, changed=self.file.changed)

    @property
    def waits(self) -> bool:
        return self.file.remote is not None

    def fetch(self) -> None:
        self.file.fetch(self.place, self._read)

    def read(self) -> bytes:
        return self.file.handed_on(self.place, self._read)

    def _read(self) -> bytes:
        try:
            with self.file.open(self.packed + BEFORE) as stream:
                stream.seek(self.start)
                head = stream.read(HEADER)
                if len(head) < HEADER or head[:4] != b"PK\x03\x04":
                    raise zipfile.BadZipFile("it does not begin where the archive says")
                stream.seek(sum(struct.unpack("<HH", head[26:30])), os.SEEK_CUR)
                data = stream.read(self.packed)
            if self.method != zipfile.ZIP_STORED:
                # One byte more than it says: then it is another length, and no more memory is taken.
                data = UNPACKERS[self.method]().decompress(data, self.size + 1)
        except BROKEN as error:
            raise _rejected(error) from error
        if len(data) != self.size or zlib.crc32(data) != self.checksum:
            raise ImageRejected("damaged in the archive: its checksum is another")
        return data


def zip_members(file: ArchiveFile) -> Iterator[Member]:
    total = 0
    with file.open() as stream, zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            name, reason = _zip_name(info), _zip_reason(info)
            if name.endswith("/"):
                yield Member(name, True, None)
                continue
            if not reason and _may_be_photo(name):
                total += info.file_size
                file.check_whole(total)
            facts = info.header_offset, info.file_size, info.compress_size, info.CRC, info.compress_type
            yield Member(name, False, None if reason else ZipMember(file, file.place(name), *facts), reason)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name that was meant: most programs write UTF-8 and do not say so, and some on Windows backslashes."""
    name = info.filename
    if not info.flag_bits & UTF_8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return name.replace("\\", "/") if info.create_system == 0 and "/" not in name else name


def _zip_reason(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
    if kind == stat.S_IFLNK:
        return LINK
    if kind not in (0, stat.S_IFREG):
        return "not a regular file"
    if info.flag_bits & ENCRYPTED:
        return "encrypted: unpack it with its password, and give the folder"
    if info.compress_type != zipfile.ZIP_STORED and info.compress_type not in UNPACKERS:
        return (
            f"packed by method {info.compress_type}, which is not read: pack it by deflate (8), as zip does"
        )
    return _size_reason(max(info.file_size, info.compress_size), info.compress_size)


# Headers that hold further facts of the next member, which are read at once.
READ_WHOLE = frozenset(
    [
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    ]
)


class _Header(tarfile.TarInfo):
    """A header of a tar; one that is damaged or missing is no end, and one beyond all measure is not read."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> "_Header":
        try:
            header = super().frombuf(buf, encoding, errors)
        except (
            tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
            tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
            tarfile.EmptyHeaderError,  # type: ignore[attr-defined]
        ) as error:
            raise tarfile.ReadError(str(error)) from error
        if header.type in READ_WHOLE and header.size > MOST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header


# What the libraries raise for an archive that is damaged or cut off.
BROKEN: tuple[type[Exception], ...] = (
    *(ImageRejected, OSError, EOFError, ValueError, LookupError, ArithmeticError),
    *(NotImplementedError, struct.error),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
OPENERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


@dataclass(frozen=True, slots=True)
class TarMember(Origin):
    """A photo in a tar archive; `passes` reads it where the archive is compressed."""

    file: ArchiveFile
    place: str
    start: int
    size: int
    passes: "_Passes | None" = field(compare=False, repr=False)

    @property
    def order(self) -> int:
        return self.start

    def stamp(self) -> Stamp:
        return Stamp.of(self.size, self.file.identity, self.start, changed=self.file.changed)

    @property
    def waits(self) -> bool:
        return self.file.remote is not None and self.passes is None

    def fetch(self) -> None:
        if self.passes is None:
            self.file.fetch(self.place, self._read)

    def read(self) -> bytes:
        if self.passes is not None:
            return self.passes.read(self.start)
        return self.file.handed_on(self.place, self._read)

    def _read(self) -> bytes:
        try:
            with self.file.open(self.size) as stream:
                stream.seek(self.start)
                data = stream.read(self.size)
        except OSError as error:
            raise _rejected(error) from error
        if len(data) < self.size:
            raise ImageRejected(CUT_OFF)
        return data


class _Passes:
    """Passes through a compressed tar, each from its beginning on; what was passed is kept for a while.

    `wanted` are the places of the photos in the unpacked archive. Photos are hashed in their order, and decoded a few
    hundred photos later: one pass serves both while those fit into `kept_bytes`, else each has its own.
    """

    def __init__(self, file: ArchiveFile, wanted: dict[int, int], kept_bytes: int = KEPT_BYTES):
        self.file, self.wanted, self.kept_bytes = file, wanted, kept_bytes
        self._lock = threading.Lock()
        self._passes: list[tuple[int, Iterator[tuple[int, bytes]]]] = []  # each with how far it came
        self._kept: dict[int, bytes] = {}
        self._n_kept = 0

    def __reduce__(self):
        return type(self), (self.file, self.wanted, self.kept_bytes)

    def read(self, order: int) -> bytes:
        """The photo at a place; ImageRejected if it cannot be reached."""
        with self._lock:
            if order in self._kept:
                return self._kept[order]
            before = [one for one in self._passes if one[0] < order]
            chosen = max(before, key=lambda one: one[0]) if before else None
            if chosen is not None:
                self._passes.remove(chosen)
            begun = self._photos() if chosen is None else chosen[1]
            try:
                for place, data in begun:
                    self._keep(place, data)
                    if place == order:
                        self._passes = [(place, begun), *self._passes][:MOST_PASSES]
                        return data
            except BROKEN as error:
                raise _rejected(error) from error
        raise ImageRejected(CUT_OFF)

    def _keep(self, place: int, data: bytes) -> None:
        self._n_kept += len(data) - len(self._kept.pop(place, b""))
        self._kept[place] = data
        while self._n_kept > self.kept_bytes and len(self._kept) > 1:
            self._n_kept -= len(self._kept.pop(next(iter(self._kept))))

    def _photos(self) -> Iterator[tuple[int, bytes]]:
        for archive, info in _tar_infos(self.file):
            if info.offset_data in self.wanted:
                stream = archive.extractfile(info)
                assert stream is not None
                data = stream.read()
                if len(data) < info.size:
                    raise EOFError("it ends too early")
                yield info.offset_data, data


def _tar_infos(file: ArchiveFile) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The headers of a tar, one after the other, compressed or not."""
    with file.open() as packed:
        start = packed.read(8)
        packed.seek(0)
        opener = next((OPENERS[magic] for magic in OPENERS if start.startswith(magic)), None)
        stream, mode = (packed, "r:") if opener is None else (opener(packed), "r|")
        with stream, tarfile.open(fileobj=stream, mode=cast(Any, mode), tarinfo=_Header) as archive:
            while (info := archive.next()) is not None:
                yield archive, info
                cast(Any, archive).members.clear()  # or it remembers all of them


def tar_members(file: ArchiveFile) -> Iterator[Member]:
    total = 0
    with file.open() as stream:
        start = stream.read(8)
    compressed = any(start.startswith(magic) for magic in OPENERS)
    passes = _Passes(file, {}) if compressed else None
    for archive, info in _tar_infos(file):
        total += info.size
        if compressed:  # all of it will be unpacked, whatever it is
            file.check_whole(total)
        reason = _tar_reason(info)
        if info.isdir():
            yield Member(info.name, True, None)
        elif not reason and info.size <= MOST_BESIDE and (ending := key_of(info.name)[1]) in BESIDE:
            beside = archive.extractfile(info)
            assert beside is not None
            yield Member(info.name, False, None, label=label_in(ending, beside.read()))
        elif reason:
            yield Member(info.name, False, None, reason)
        else:
            if passes is not None and _may_be_photo(info.name):
                passes.wanted[info.offset_data] = info.size
            where = file.place(info.name)
            yield Member(info.name, False, TarMember(file, where, info.offset_data, info.size, passes))


def _tar_reason(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return LINK
    if not info.isreg() or info.issparse():
        return "not a regular file"
    return f"{info.size:,} bytes; at most {MAX_BYTES:,} are read" if info.size > MAX_BYTES else ""
