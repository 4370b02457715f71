"""The settings of a server, and which version of the model file it was started with."""

import ipaddress
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Watched:
    """A file, and what it was when somebody looked."""

    path: str
    version: tuple[int, ...] | None

    @classmethod
    def now(cls, path: str) -> "Watched":
        """As it is now."""
        return cls(path, _version(path))

    def is_replaced(self) -> bool:
        """Whether it is another one now, or gone."""
        return _version(self.path) != self.version


def _version(path: str) -> tuple[int, ...] | None:
    """What changes when a file is replaced; None where it is gone, or at a URL."""
    try:
        found = os.stat(path) if "://" not in path else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


@dataclass(frozen=True)
class Settings:
    """How to serve, as the command line says it; each worker process gets them."""

    model: str
    name: str
    host: str = "127.0.0.1"
    max_mb: float = 20.0
    max_megapixels: float = 200.0
    max_waiting: int = 256
    table: str | None = None
    show_training_photos: bool = False
    engine: str | None = None
    allow_host: tuple[str, ...] = ()
    root_path: str = ""
    token: str | None = None
    weights: tuple[str, ...] = ()
    store: str | None = None
    trust: tuple[str, ...] = ()
    jobs: int | None = None
    watched: Watched | None = None  # the file that `model` is a copy of

    @property
    def max_bytes(self) -> int:
        """The most that the file of a photo may have."""
        return int(self.max_mb * 1e6)


def is_address(name: str) -> bool:
    """Whether a name is an IP address, which no stranger's name server can turn elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
