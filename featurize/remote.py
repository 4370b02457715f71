"""Files at URLs: ``s3://``, ``gs://``, ``memory://``, ``https://`` and whatever else fsspec reaches.

`path_at` is the one way from what a user gave to a file: a `pathlib.Path` on this machine, or a `RemotePath`, which
answers the same questions and is shown without credentials.
"""

import errno
import io
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, NoReturn, TypeVar, overload

from featurize.errors import UsageError, installing, without_credentials
from featurize.remote_errors import CREDENTIALS, RemoteError, fault_of, is_missing, may_pass

Result = TypeVar("Result")

# One letter before the colon would be a Windows drive.
URL = re.compile(r"(?:[A-Za-z0-9]+::)*[A-Za-z][A-Za-z0-9+.-]+://")
# Where a put of a whole object is atomic.
ATOMIC = {"s3", "s3a", "gs", "gcs", "az", "abfs", "memory", "oss", "r2"}
BUCKETS = ATOMIC - {"memory"}
WEB = {"http", "https"}
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "http": "http", "https": "http"}
ETAGS = ("ETag", "etag", "md5Hash", "crc32c", "checksum")  # as protocols call what tells contents apart
WRITTEN = ("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created")
WHOLE = 8 << 20  # bytes; a file up to this size is fetched with one request
BLOCK = 8 << 20  # bytes of a larger one that are fetched at a time
CONNECTIONS = 64  # at once to one server
TRIES = 5  # of what a web server answers with "try again"; fsspec does so itself for object storage
WAIT_SECONDS = 0.25  # before the second try, and twice as long before each further one
PAGE_KEYS = 1000


def is_url(path: object) -> bool:
    """Whether a text is a URL of elsewhere, by how it begins; ``./s3://x`` is a file of this machine.

    >>> is_url("s3://bucket/photos"), is_url("C://photos"), is_url("file:///photos"), is_url(Path("s3://bucket"))
    (True, False, False, False)
    """
    return isinstance(path, RemotePath) or (
        isinstance(path, str) and URL.match(path) is not None and not path.startswith("file://")
    )


def local_part(url: "Location") -> str | None:
    """The path in a URL of this machine; None for a URL of elsewhere, such as ``s3://bucket/store``."""
    return None if is_url(url) else os.fspath(url).removeprefix("file://")  # type: ignore[arg-type]


def path_at(path: "Location") -> "Path | RemotePath":
    """The file or folder that a path or URL names."""
    if isinstance(path, RemotePath):
        return path
    return RemotePath(path) if isinstance(path, str) and is_url(path) else Path(str(local_part(path)))


def path_here(path: "Location", what: str, hint: str = "download it first") -> Path:
    """The path of what stays on this machine; UsageError for a URL."""
    found = path_at(path)
    if isinstance(found, RemotePath):
        raise UsageError(f"{found} is a URL, and {what} this machine", hint)
    return found


def shown(path: "Location") -> str:
    """A path or URL as messages and files show it, without credentials."""
    return str(path) if isinstance(path, RemotePath) else without_credentials(os.fspath(path))


class Facts(NamedTuple):
    """What is known of a file before it is opened; `etag` is "" and `written` None where nothing tells.

    `size` is -1 where a web server does not say it.
    """

    size: int
    etag: str
    written: float | None

    @property
    def st_size(self) -> int:
        """As of `os.stat`."""
        return self.size

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Facts":
        """The facts in what fsspec says of a file."""
        etag = next((str(entry[name]) for name in ETAGS if entry.get(name)), "")
        when = next((entry[name] for name in WRITTEN if entry.get(name)), None)
        if isinstance(when, str):
            with suppress(ValueError, TypeError):
                when = parsedate_to_datetime(when) if "," in when else datetime.fromisoformat(when)
        written = when.timestamp() if isinstance(when, datetime) else when
        size = entry.get("size")
        return cls(
            -1 if size is None else int(size),
            etag,
            float(written) if isinstance(written, int | float) else None,
        )


class RemotePath:
    """A file or folder at a URL, with the methods of `pathlib.Path` that are needed.

    Made by `path_at`. What goes wrong is a FileNotFoundError or a `RemoteError`.
    """

    __slots__ = ("_place", "_system", "url")

    def __init__(self, url: str, system: Any = None, place: str = ""):
        self.url = url
        self._system = system
        self._place = place

    def __str__(self) -> str:
        return without_credentials(self.url)

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, name: str) -> "RemotePath":
        """A file below this folder, which shares its connections."""
        if self.is_web:  # where these letters mean something else
            name = name.replace("?", "%3F").replace("#", "%23")
        url = f"{self._base.rstrip('/')}/{name}"
        if self._system is None:
            return RemotePath(url)
        return RemotePath(
            url,
            self._system,
            f"{self._place.partition('?')[0].rstrip('/')}/{name}"
            if self.is_web
            else f"{self._place.rstrip('/')}/{name}",
        )

    @property
    def protocol(self) -> str:
        """Such as ``s3``; the last of a chain."""
        return self.url.partition("://")[0].rpartition("::")[2].lower()

    @property
    def is_web(self) -> bool:
        """Whether it is a web address, which has files and no folders, and a query that is no part of the name."""
        return self.protocol in WEB

    @property
    def _base(self) -> str:
        return re.split("[?#]", self.url, maxsplit=1)[0] if self.is_web else self.url

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self._base.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of its name."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder that it is in."""
        return RemotePath(self._base.rstrip("/").rpartition("/")[0])

    @property
    def system(self) -> Any:
        """fsspec's file system; RemoteError where it cannot be made."""
        self._connect()
        return self._system

    @property
    def place(self) -> str:
        """The path within that system."""
        self._connect()
        return self._place

    def _connect(self) -> None:
        if self._system is None:
            self._system, place = system_of(self.url)
            self._place = place

    # -- questions ---

    def info(self) -> dict[str, Any] | None:
        """What fsspec says of it; None where nothing is there."""
        try:
            with self._trouble():
                found = self._again(lambda: self.system.info(self.place))
        except FileNotFoundError:
            self._check_bucket()
            return None
        # An empty object whose name ends in a slash stands for a folder.
        if found.get("type") == "file" and self._base.endswith("/"):
            return {**found, "type": "directory"}
        return dict(found)

    def exists(self) -> bool:
        """Whether anything is there."""
        return self.info() is not None

    def is_file(self) -> bool:
        """Whether a file is there."""
        found = self.info()
        return found is not None and found["type"] == "file"

    def is_dir(self) -> bool:
        """Whether it is a folder, which on object storage is what lies in it; never for a web address."""
        if self.is_web:
            return False
        found = self.info()
        return found is not None and found["type"] == "directory"

    def facts(self) -> Facts | None:
        """Size, ETag and time of last writing of a file; None where there is none."""
        found = self.info()
        return None if found is None or found["type"] != "file" else Facts.of(found)

    def stat(self) -> Facts:
        """The same; FileNotFoundError where there is none."""
        found = self.facts()
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(self))
        return found

    def pages(self) -> Iterator[list[tuple[str, Facts]]]:
        """All files below a folder, by their names in it, some at a time, as the server lists them."""
        try:
            with self._trouble():
                if self.protocol in ("s3", "s3a"):
                    yield from self._pages_of_s3()
                    return
                for folder, _, files in self.system.walk(self.place, detail=True, on_error="raise"):
                    n_cut = len(self.place.rstrip("/")) + 1
                    yield [
                        (f"{folder}/{name}"[n_cut:], Facts.of(entry))
                        for name, entry in files.items()
                        if entry["type"] == "file" and name
                    ]
        except FileNotFoundError:
            self._check_bucket()
            raise

    def _pages_of_s3(self) -> Iterator[list[tuple[str, Facts]]]:
        bucket, _, prefix = self.place.partition("/")
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        more: dict[str, Any] = {}
        while True:
            page = self.system.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE_KEYS, **more
            )
            found = [
                (entry["Key"].removeprefix(prefix), Facts.of({**entry, "size": entry["Size"]}))
                for entry in page.get("Contents", [])
            ]
            yield [(name, facts) for name, facts in found if name and not name.endswith("/")]
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def glob(self) -> list["RemotePath"]:
        """The files that a pattern fits, sorted; none for a web address, in which ``?`` means something else."""
        if self.is_web:
            return []
        with self._trouble():
            found = self.system.glob(self.place, detail=True)
        names = sorted(name for name, entry in found.items() if entry["type"] == "file")
        return [RemotePath(self.system.unstrip_protocol(name), self.system, name) for name in names]

    # -- reading and writing ---

    @overload
    def open(self, mode: Literal["rb"]) -> IO[bytes]: ...
    @overload
    def open(
        self, mode: Literal["r"] = "r", *, encoding: str | None = None, newline: str | None = None
    ) -> IO[str]: ...
    def open(self, mode: str = "r", *, encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """The file as a seekable stream; FileNotFoundError where there is none."""
        size = self.stat().size
        raw: IO[bytes]
        if 0 <= size <= WHOLE or size < 0:
            raw = io.BytesIO(self.read_bytes())
        else:
            with self._trouble():
                fetched = self.system.open(self.place, "rb", block_size=BLOCK, cache_type="readahead")
            raw = io.BufferedReader(_Stream(self, fetched))
        return raw if mode == "rb" else io.TextIOWrapper(raw, encoding or "utf-8", newline=newline)

    def ranges(self, size: int, n_ahead: int = BLOCK) -> IO[bytes]:
        """A file of `size` bytes as a seekable stream that fetches what is read, `n_ahead` bytes or more at a time."""
        return io.BufferedReader(_Stream(self, _Ranges(self, size)), n_ahead)

    def read_bytes(self, most: int | None = None) -> bytes:
        """The whole file, or its first `most` bytes."""
        with self._trouble():
            if most is None:
                return self._again(lambda: self.system.cat_file(self.place))
            with self.system.open(self.place, "rb", cache_type="none") as stream:
                return stream.read(most)

    def put(self, file: Path) -> None:
        """Write the whole content of a local file there: readers see the file that was, or this one."""
        self.check_writable()
        with self._trouble():
            if self.protocol in ATOMIC:
                self.system.put_file(str(file), self.place)
                return
            beside = f"{self.place.rpartition('/')[0]}/.partial-{secrets.token_hex(8)}"
            self.system.put_file(str(file), beside)
            self.system.mv(beside, self.place)

    def check_writable(self) -> None:
        """RemoteError where nothing can be written, whatever the rights."""
        if self.is_web:
            raise RemoteError(
                str(self), "a web address cannot be written to", "write to a file, or to s3:// or gs://"
            )

    # -- what goes wrong ---

    def _again(self, call: Callable[[], Result]) -> Result:
        """What a web server cannot answer now is asked for again; other systems do so themselves."""
        for number in range(TRIES if self.is_web else 1):
            try:
                return call()
            except Exception as error:
                if number + 1 >= TRIES or not self.is_web or not may_pass(error):
                    raise
                time.sleep(WAIT_SECONDS * 2**number)
        raise AssertionError

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Each protocol has exceptions of its own: they become a FileNotFoundError or a RemoteError."""
        try:
            yield
        except (RemoteError, MemoryError, GeneratorExit):
            raise
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        name = str(self)
        if is_missing(error):
            raise FileNotFoundError(errno.ENOENT, "no such file", name) from error
        problem, hint = fault_of(error, self.protocol)
        raise RemoteError(name, problem, hint) from error

    def _check_bucket(self) -> None:
        """RemoteError where what is missing is the bucket."""
        bucket = self.place.partition("/")[0]
        if self.protocol not in BUCKETS or (self.protocol, bucket) in _found_buckets:
            return
        try:
            if self.protocol in ("s3", "s3a"):  # older s3fs calls a bucket that is empty missing
                self.system.call_s3("head_bucket", Bucket=bucket)
            else:
                self.system.info(bucket)
        except FileNotFoundError:
            raise RemoteError(
                str(self),
                f"there is no bucket {bucket}",
                "check its name, and AWS_ENDPOINT_URL or the project",
            ) from None
        except Exception:  # it may be there, and not be listed for us
            return
        with _lock:
            _found_buckets.add((self.protocol, bucket))


AnyPath = Path | RemotePath  # what `path_at` gives
Location = str | os.PathLike | RemotePath  # what it takes
_found_buckets: set[tuple[str, str]] = set()
_lock = threading.Lock()


class _Stream(io.RawIOBase):
    """A file of fsspec whose errors are ours."""

    def __init__(self, path: RemotePath, stream: Any):
        self._path, self._from = path, stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._from.seek(offset, whence)

    def tell(self) -> int:
        return self._from.tell()

    def readinto(self, buffer: Any) -> int:
        with self._path._trouble():
            data = self._from.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._from.close()
        super().close()


class _Ranges:
    """A file of which each part is fetched as it is asked for, whatever lies between."""

    def __init__(self, path: RemotePath, size: int):
        self.path, self.size, self.at = path, size, 0

    def seek(self, offset: int, whence: int) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def read(self, n: int) -> bytes:
        stop = min(self.at + n, self.size)
        if stop <= self.at:
            return b""
        start, self.at = self.at, stop
        return self.path._again(lambda: self.path.system.cat_file(self.path.place, start=start, end=stop))

    def close(self) -> None:
        pass


def system_of(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it; RemoteError where there is none."""
    import fsspec

    path = RemotePath(url)
    protocol, name = path.protocol, str(path)
    if protocol in BUCKETS and path.url != name:
        hint = f"a URL is kept in tables and logs; {CREDENTIALS.get(protocol, 'use the variables of your provider')}"
        raise RemoteError(name, "a bucket's URL holds no credentials", hint)
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a"):
        own = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
        options["config_kwargs"] = {"max_pool_connections": CONNECTIONS, **own}
    try:
        system, place = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
        if getattr(system, "max_concurrency", 1) > 1:
            # Or s3fs asks for the size of each file before it reads it in pieces; our own threads are many.
            system.max_concurrency = 1
        return system, place
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        hint = installing(extra) if extra else f"install what fsspec needs for {protocol}://"
        raise RemoteError(name, f"what reads {protocol}:// is not installed: {error}", hint) from error
    except Exception as error:
        if "rotocol" in str(error):
            known = "s3://, gs://, https://, and what fsspec knows; for a file of that name write ./ in front"
            raise RemoteError(name, f"nothing is known of {protocol}:// URLs", known) from error
        problem, hint = fault_of(error, protocol)
        raise RemoteError(name, problem, hint) from error
