"""A folder of whole files, on this machine or on object storage: all that the store needs of either."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from featurize.errors import StoreError
from featurize.files import PARTIAL, sync_folder, whole_file

WRITTEN = ("LastModified", "last_modified", "mtime", "created")  # as fsspec's protocols call it


class Folder(Protocol):
    """Names below one root, with ``/``; files are written whole, never changed, and may vanish."""

    url: str

    def names(self, below: str) -> list[tuple[str, int, float]]:
        """Name, bytes and time of last writing of each file directly in the folder `below`, sorted.

        The time is now where nothing tells it: what is of unknown age is never taken for old.
        """

    def folders(self) -> list[str]:
        """Names of the folders directly below the root, sorted."""

    def read(self, name: str) -> bytes:
        """The whole file; FileNotFoundError when it is gone, StoreError when it cannot be read."""

    def open(self, name: str) -> Any:
        """The file as a seekable binary stream, for reading a part."""

    def write(self, name: str, data: bytes) -> None:
        """Write the whole file, so that readers see all of it or nothing, and it survives a power cut."""

    def move(self, name: str, to: str) -> None:
        """Rename; nothing happens when it is gone, StoreError when it cannot be."""

    def remove(self, name: str) -> None:
        """Delete; nothing happens when it is gone, StoreError when it cannot be."""

    def remove_folder(self, below: str) -> None:
        """Delete a folder if it is empty; nothing happens when it is not, or is gone."""


def open_folder(url: str | os.PathLike) -> Folder:
    """The folder at a local path or an fsspec URL such as ``s3://bucket/store``.

    Raises
    ------
    StoreError
        If it cannot be made or reached, or the URL's protocol is unknown.
    """
    text = os.fspath(url)
    if "://" not in text:
        return LocalFolder(Path(text))
    if text.startswith("file://"):
        return LocalFolder(Path(text.removeprefix("file://")))
    return RemoteFolder(text)


class LocalFolder:
    """A folder on a disk of this machine."""

    def __init__(self, root: Path):
        try:
            self.root = root.expanduser().resolve()
        except RuntimeError as error:
            raise StoreError(
                f"the store {root} cannot be made: {str(error).rstrip('.').lower()}",
                "give the whole path of a folder with --store",
            ) from error
        self.url = str(self.root)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the store {self.root} cannot be made: {error.strerror}", "give another folder with --store"
            ) from error

    def names(self, below: str) -> list[tuple[str, int, float]]:
        try:
            with os.scandir(self.root / below) as entries:
                found = [(entry.name, entry) for entry in entries if entry.is_file()]
        except FileNotFoundError:
            return []
        result = []
        for name, entry in sorted(found, key=lambda item: item[0]):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            result.append((name, status.st_size, status.st_mtime))
        return result

    def folders(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def open(self, name: str) -> Any:
        try:
            return open(self.root / name, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(
                f"{self.root / name} cannot be read: {error.strerror}",
                "check the rights, or give another --store",
            ) from error

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        try:
            try:
                self._write(path, data)
            except FileNotFoundError:
                # Someone pruned the folder, which was still empty, between its making and its use.
                self._write(path, data)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror}",
                "free some space or give another --store; what was stored before is intact",
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(path.parent.parent)
        with whole_file(path) as partial:
            partial.write_bytes(data)

    def move(self, name: str, to: str) -> None:
        with _changing(f"{self.root / name}", "moved", OSError, "check the rights"):
            (self.root / to).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.root / name, self.root / to)

    def remove(self, name: str) -> None:
        with _changing(f"{self.root / name}", "removed", OSError, "check the rights"):
            (self.root / name).unlink()

    def remove_folder(self, below: str) -> None:
        with suppress(OSError):
            os.rmdir(self.root / below)


class RemoteFolder:
    """A folder on anything that fsspec reaches; a put of a whole object is atomic there."""

    def __init__(self, url: str):
        import fsspec

        self.url = url.rstrip("/")
        protocol = url.partition("://")[0]
        try:
            self.system, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"the store {url} cannot be reached: {error}",
                f"install what fsspec needs for {protocol}:// (for s3://, pip install s3fs), or give a folder",
            ) from error
        self.root = root.rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def names(self, below: str) -> list[tuple[str, int, float]]:
        result = []
        for entry in self._list(below):
            if entry["type"] == "file":
                name, size = entry["name"].rsplit("/", 1)[-1], int(entry["size"])
                result.append((name, size, self._written(entry)))
        return sorted(result)

    def _written(self, entry: dict) -> float:
        # Each protocol has its own name for it, and some tell only when asked for the one file, or not at all.
        told = [entry[name] for name in WRITTEN if entry.get(name)]
        if not told:
            with suppress(Exception):
                told = [self.system.modified(entry["name"])]
        for when in told:
            if isinstance(when, datetime):
                return when.timestamp()
            if isinstance(when, int | float):
                return float(when)
        return time.time()

    def folders(self) -> list[str]:
        names = [e["name"].rstrip("/").rsplit("/", 1)[-1] for e in self._list("") if e["type"] == "directory"]
        return sorted(names)

    def _list(self, below: str) -> list[dict]:
        try:
            return self.system.ls(self._path(below), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            # Each protocol has its own exceptions for "no such host" and "not allowed".
            raise StoreError(
                f"the store {self.url} cannot be listed: {error}",
                "check the address, the network and the rights",
            ) from error

    def read(self, name: str) -> bytes:
        with self._reading(name):
            return self.system.cat_file(self._path(name))

    def open(self, name: str) -> Any:
        with self._reading(name):
            return self.system.open(self._path(name), "rb")

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise StoreError(
                f"{self.url}/{name} cannot be read: {error}", "check the network and the rights"
            ) from error

    def write(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            self.system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            if self._put_is_atomic():
                self.system.pipe_file(path, data)
            else:
                partial = f"{path.rsplit('/', 1)[0]}/{PARTIAL}{secrets.token_hex(8)}"
                self.system.pipe_file(partial, data)
                self.system.mv(partial, path)
        except Exception as error:
            raise StoreError(
                f"{self.url}/{name} cannot be written: {error}", "what was stored before is intact; run again"
            ) from error

    def _put_is_atomic(self) -> bool:
        protocols = (
            {self.system.protocol} if isinstance(self.system.protocol, str) else set(self.system.protocol)
        )
        return bool(protocols & {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory", "oss", "r2"})

    def move(self, name: str, to: str) -> None:
        with _changing(f"{self.url}/{name}", "moved", Exception, "check the network and the rights"):
            self.system.mv(self._path(name), self._path(to))

    def remove(self, name: str) -> None:
        with _changing(f"{self.url}/{name}", "removed", Exception, "check the network and the rights"):
            self.system.rm_file(self._path(name))

    def remove_folder(self, below: str) -> None:
        # Object storage has no folders of its own: one without files is gone already.
        with suppress(OSError):
            self.system.rmdir(self._path(below))


@contextmanager
def _changing(place: str, how: str, trouble: type[Exception], check: str) -> Iterator[None]:
    """Nothing happens when the file is gone; what else goes wrong is a StoreError."""
    try:
        yield
    except FileNotFoundError:
        return
    except trouble as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{place} cannot be {how}: {reason}", f"{check} and run it again") from error
