"""What was computed so far, by image content, variant and extractor fingerprint.

A store is a folder, here or on object storage. Below it lies one section per extractor and fingerprint, with
``extractor.json`` and shards (`featurize.shard`). Nothing is updated in place, so that a killed run, two runs
at once and a full disk leave every finished shard as it was.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from featurize.contents import FileIndex
from featurize.files import PARTIAL, whole_file
from featurize.folder import Folder, LocalFolder, open_folder
from featurize.shard import SUFFIX, DamagedShard, shard_from_bytes, shard_keys, shard_to_bytes
from featurize.terminal import log

# Up to 192 rows wait for a shard while a batch of at most 64 is computed: a kill loses at most 256 images.
SHARD_ROWS = 192
SHARD_SECONDS = 8.0
COMPACT_ABOVE = 32  # small shards
COMPACTED_BYTES = 64 << 20
DAMAGED = "damaged"
DESCRIPTION = "extractor.json"


def default_store() -> Path:
    """The store in the platform's user cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("bottlehead", appauthor=False) / "store"


class Store:
    """Vectors that were computed once, kept by content.

    Parameters
    ----------
    url : path or fsspec URL, optional
        By default `default_store`.

    Raises
    ------
    StoreError
        If the folder cannot be made or reached.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> section = store.section("demo", "ab" * 32, width=2)
    >>> from featurize.shard import image_key
    >>> key = image_key("00" * 32)
    >>> section.write([key], np.ones((1, 2), dtype=np.float32))
    >>> out = np.zeros((3, 2), dtype=np.float32)
    >>> section.load({key: [0, 2]}, out)
    1
    >>> out.tolist()
    [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """

    def __init__(self, url: str | os.PathLike | None = None):
        self.folder: Folder = open_folder(url if url is not None else default_store())

    def __repr__(self) -> str:
        return f"Store({self.folder.url!r})"

    def section(
        self, name: str, fingerprint: str, width: int, description: Mapping[str, Any] | None = None
    ) -> "Section":
        """The part of the store for the extractor with this fingerprint."""
        about = {
            "name": name,
            "fingerprint": fingerprint,
            "width": width,
            "description": dict(description or {}),
        }
        return Section(self.folder, section_name(name, fingerprint), about)

    def stored_width(self, name: str, fingerprint: str) -> int | None:
        """The width of the vectors of an extractor that was used before; None if it was not."""
        try:
            about = json.loads(self.folder.read(f"{section_name(name, fingerprint)}/{DESCRIPTION}"))
            return int(about["width"]) if about["fingerprint"] == fingerprint else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def file_index(self, *, trust: bool = True) -> FileIndex:
        """The index of unchanged files, beside the store (in the cache folder for a store elsewhere)."""
        return FileIndex(self.beside("files.sqlite"), trust=trust)

    def beside(self, name: str) -> Path | None:
        """A path on this machine for what belongs to the store but is no vector; None if it cannot be made."""
        if isinstance(self.folder, LocalFolder):
            root = self.folder.root
        else:
            root = default_store().parent / ("beside-" + sha256(self.folder.url.encode()).hexdigest()[:16])
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return None
        return path


def section_name(name: str, fingerprint: str) -> str:
    """The folder of an extractor: its name, made safe for every file system, and its fingerprint."""
    return f"{re.sub('[^A-Za-z0-9._+-]', '_', name)[:60]}-{fingerprint[:32]}"


class Section:
    """The vectors of one extractor; made by `Store.section`."""

    def __init__(self, folder: Folder, name: str, about: Mapping[str, Any]):
        self.folder = folder
        self.name = name
        self.about = about
        self._keys: dict[str, list[bytes]] = {}

    def shards(self) -> list[tuple[str, int, float]]:
        """Name, bytes and time of writing of each shard."""
        found = self.folder.names(self.name)
        return [entry for entry in found if entry[0].endswith(SUFFIX) and not entry[0].startswith(PARTIAL)]

    def keys(self) -> set[bytes]:
        """All stored keys."""
        return {key for shard, _, _ in self.shards() for key in self._shard_keys(shard) or ()}

    def load(self, wanted: Mapping[bytes, list[int]], matrix: np.ndarray) -> int:
        """Fill ``matrix[rows]`` for each key in `wanted` (key → rows) that is stored.

        Returns the number of keys found; removes them from `wanted` when that is a dict, so that what is left
        is what must be computed.
        """
        missing = wanted if isinstance(wanted, dict) else dict(wanted)
        n_before = len(missing)
        tried: set[str] = set()
        while missing:
            fresh = [shard for shard, _, _ in self.shards() if shard not in tried]
            if not fresh:
                break
            # A shard that a compaction removed meanwhile lives on in a new one, which the next listing shows.
            for shard in fresh:
                tried.add(shard)
                keys = self._shard_keys(shard)
                if keys is None or not any(key in missing for key in keys):
                    continue
                self._load_shard(shard, missing, matrix)
        return n_before - len(missing)

    def _load_shard(self, shard: str, missing: dict[bytes, list[int]], matrix: np.ndarray) -> None:
        content = self._read(shard)
        if content is None:
            return
        keys, vectors = content
        if vectors.shape[1] != matrix.shape[1]:
            self._set_aside(
                shard, f"its vectors have {vectors.shape[1]} numbers instead of {matrix.shape[1]}"
            )
            return
        rows, sources = [], []
        for position, key in enumerate(keys):
            targets = missing.pop(key, None)
            if targets is not None:
                rows += targets
                sources += [position] * len(targets)
        matrix[rows] = vectors[sources]

    def _shard_keys(self, shard: str) -> list[bytes] | None:
        if shard not in self._keys:
            try:
                with self.folder.open(f"{self.name}/{shard}") as stream:
                    self._keys[shard] = shard_keys(stream)
            except FileNotFoundError:
                return None
            except DamagedShard as damage:
                self._set_aside(shard, str(damage))
                return None
        return self._keys[shard]

    def _read(self, shard: str) -> tuple[list[bytes], np.ndarray] | None:
        try:
            return shard_from_bytes(shard, self.folder.read(f"{self.name}/{shard}"))
        except FileNotFoundError:
            return None
        except DamagedShard as damage:
            self._set_aside(shard, str(damage))
            return None

    def _set_aside(self, shard: str, reason: str) -> None:
        log.warning(
            "a damaged part of the store was set aside as %s/%s/%s/%s: %s; what it held is computed again",
            self.folder.url, self.name, DAMAGED, shard, reason,
        )  # fmt: skip
        self._keys.pop(shard, None)
        self.folder.move(f"{self.name}/{shard}", f"{self.name}/{DAMAGED}/{shard}")

    def write(self, keys: list[bytes], matrix: np.ndarray) -> None:
        """Store ``matrix[i]`` under ``keys[i]`` as one new shard.

        Raises
        ------
        StoreError
            If it cannot be written, such as on a full disk; the store is as it was.
        """
        self.describe()
        shard, data = shard_to_bytes(keys, matrix)
        self.folder.write(f"{self.name}/{shard}", data)
        self._keys[shard] = list(keys)

    def describe(self) -> None:
        """Write ``extractor.json`` unless it stands there whole."""
        path = f"{self.name}/{DESCRIPTION}"
        text = json.dumps(self.about, sort_keys=True, indent=1, ensure_ascii=False).encode()
        try:
            if self.folder.read(path) == text:
                return
        except FileNotFoundError:
            pass
        self.folder.write(path, text)

    def compact(self) -> int:
        """Merge small shards into larger ones when there are many; returns how many were merged.

        The new shard is whole before the old ones go, and other processes may read, write and compact at the
        same time: at worst a vector is stored twice.
        """
        small = [(name, size) for name, size, _ in self.shards() if size < COMPACTED_BYTES // 4]
        if len(small) < COMPACT_ABOVE:
            return 0
        n_merged = 0
        while small:
            batch, size = [], 0
            while small and size < COMPACTED_BYTES:
                name, n_bytes = small.pop(0)
                batch.append(name)
                size += n_bytes
            contents = {name: content for name in batch if (content := self._read(name)) is not None}
            merged: dict[bytes, np.ndarray] = {}
            for keys, vectors in contents.values():
                merged.update(zip(keys, vectors, strict=True))
            if len(contents) < 2:
                continue
            order = sorted(merged)
            shard, data = shard_to_bytes(order, np.stack([merged[key] for key in order]))
            self.folder.write(f"{self.name}/{shard}", data)
            for name in contents:
                if name != shard:
                    self.folder.remove(f"{self.name}/{name}")
                    self._keys.pop(name, None)
            n_merged += len(contents)
        return n_merged


class ShardWriter:
    """Collects vectors and writes a shard when enough rows or seconds have gathered.

    Use it as a context: what is still waiting is written when the block ends, also by an exception.
    """

    def __init__(self, section: Section):
        self.section = section
        self._keys: list[bytes] = []
        self._blocks: list[np.ndarray] = []
        self._since = 0.0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exception) -> None:
        self.flush()

    def add(self, keys: list[bytes], matrix: np.ndarray) -> None:
        """Take ``matrix[i]`` for ``keys[i]``."""
        if not self._keys:
            self._since = time.monotonic()
        self._keys += keys
        self._blocks.append(np.array(matrix, dtype=np.float32))
        if len(self._keys) >= SHARD_ROWS or time.monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._keys:
            keys, matrix = self._keys, np.concatenate(self._blocks)
            self._keys, self._blocks = [], []
            self.section.write(keys, matrix)


def keep_graph(store: Store, fingerprint: str, data: bytes) -> None:
    """Keep a frozen network beside the store, under its own digest, for a quick start next time."""
    path = store.beside(f"graphs/{fingerprint[:32]}-{sha256(data).hexdigest()}.pb")
    if path is not None:
        try:
            with whole_file(path) as partial:
                partial.write_bytes(data)
        except OSError as error:
            log.debug("the frozen network was not kept: %s", error)


def kept_graph(store: Store, fingerprint: str) -> bytes | None:
    """A frozen network that `keep_graph` kept, if its bytes are still those that were written."""
    folder = store.beside("graphs/x")
    if folder is None:
        return None
    for path in sorted(folder.parent.glob(f"{fingerprint[:32]}-*.pb")):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if path.stem.endswith(sha256(data).hexdigest()):
            return data
        log.warning("a damaged frozen network was removed: %s", path)
        path.unlink(missing_ok=True)
    return None
