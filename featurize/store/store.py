"""What was computed so far: a folder with one section per extractor, of ``extractor.json`` and shards.

Nothing is updated in place, so that a killed run, two runs at once and a full disk leave every finished shard whole.
"""

import copy
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from featurize.errors import StoreError
from featurize.files import Folder
from featurize.outputs import PARTIAL
from featurize.photos.fileindex import YOUNG_SECONDS, FileIndex
from featurize.store.shard import (
    KEY,
    SUFFIX,
    DamagedShard,
    matches,
    release_memory,
    shard_from_bytes,
    shard_keys,
    shard_to_bytes,
    short_keys,
)
from featurize.terminal import log

UNSAVED_ROWS = 256  # a kill loses at most this many images …
UNSAVED_SECONDS = 8.0  # … or about this much work, whichever is less
COMPACT_ABOVE = 32  # small shards
COMPACTED_ROWS, COMPACTED_BYTES = 1 << 17, 16 << 20
ROWS_AT_ONCE = 4096
DAMAGED = "damaged"
DESCRIPTION = "extractor.json"


class Section:
    """The vectors of one extractor, in the folder `name`; made by `Store.section`.

    `about` is what ``extractor.json`` should say. From `compact_above` small shards on, they are merged into
    larger ones of about `compacted_rows` rows (64 or more; fewer where the vectors are wide).
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        about: Mapping[str, Any],
        *,
        compact_above: int = COMPACT_ABOVE,
        compacted_rows: int = COMPACTED_ROWS,
    ):
        self.folder = folder
        self.name = name
        self.about = about
        self.compact_above = compact_above
        self.compacted_rows = compacted_rows
        self._keys: dict[str, np.ndarray] = {}
        self._described = False

    def shards(self) -> list[tuple[str, int, float]]:
        """Name, bytes and time of writing of each shard."""
        found = self.folder.names(self.name)
        return [entry for entry in found if entry[0].endswith(SUFFIX) and not entry[0].startswith(PARTIAL)]

    def keys(self) -> np.ndarray:
        """All stored keys, each once, sorted."""
        return np.unique(np.concatenate([np.empty(0, KEY), *self._all_keys()]))

    def short_keys(self) -> np.ndarray:
        """The `featurize.store.shard.short_keys` of all stored keys, sorted."""
        return np.sort(np.concatenate([np.empty(0, np.uint64), *map(short_keys, self._all_keys())]))

    def _all_keys(self) -> Iterator[np.ndarray]:
        return (keys for shard, _, _ in self.shards() if (keys := self._shard_keys(shard)) is not None)

    def load(self, keys: np.ndarray, matrix: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Fill ``matrix[i]``, or ``matrix[rows[i]]``, with the vector of ``keys[i]`` where it is stored.

        A key may occur more than once, a row at most once; rows whose key is not stored stay as they are. Returns
        which keys were found; the others must be computed.
        """
        keys = np.asarray(keys, dtype=KEY)
        found = np.zeros(len(keys), dtype=bool)
        if not len(keys):
            return found
        self._check_description()
        into = np.arange(len(keys)) if rows is None else np.asarray(rows)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        tried: set[str] = set()
        # A shard that a compaction removed meanwhile lives on in a new one, which the next listing shows.
        while not found.all() and (fresh := {shard for shard, _, _ in self.shards()} - tried):
            tried |= fresh
            for shard in sorted(fresh):
                held = self._shard_keys(shard)
                if held is None or found[order[matches(ordered, held)[0]]].all():
                    continue
                content = self._read(shard, matrix.shape[1])
                if content is None:
                    continue
                places, sources = matches(ordered, content[0])
                for part in range(0, len(places), ROWS_AT_ONCE):
                    wanted = order[places[part : part + ROWS_AT_ONCE]]
                    block = content[1][sources[part : part + ROWS_AT_ONCE]]
                    matrix[into[wanted]] = block
                    # What is not finite was stored by an earlier version; it counts as missing.
                    found[wanted] = np.isfinite(block).all(axis=1)
                del content
                release_memory()
        return found

    def _shard_keys(self, shard: str) -> np.ndarray | None:
        if shard not in self._keys:
            try:
                with self.folder.open(f"{self.name}/{shard}") as stream:
                    self._keys[shard] = shard_keys(stream)
            except FileNotFoundError:
                return None
            except DamagedShard:
                # Or a network that failed in between: the digest of the whole file tells.
                if (content := self._read(shard)) is None:
                    return None
                self._keys[shard] = content[0]
        return self._keys[shard]

    def _read(self, shard: str, width: int | None = None) -> tuple[np.ndarray, np.ndarray] | None:
        """The content of a shard; None when it is gone or damaged."""
        try:
            data = self.folder.read(f"{self.name}/{shard}")
            keys, vectors = shard_from_bytes(shard, data, self.about["fingerprint"])
            if width is not None and vectors.shape[1] != width:
                raise DamagedShard(f"its vectors have {vectors.shape[1]} numbers instead of {width}")
            return keys, vectors
        except FileNotFoundError:
            return None
        except DamagedShard as damage:
            self.set_aside(shard, str(damage))
            return None

    def set_aside(self, name: str, reason: str) -> None:
        """Move a damaged file out of the way and say so; what it held is computed again."""
        self._keys.pop(name, None)
        path, kept = f"{self.name}/{name}", f"{self.name}/{DAMAGED}/{name}"
        try:
            self.folder.move(path, kept)
        except (OSError, StoreError) as error:
            problem = f"{self.folder.url}/{path} is damaged ({reason})"
            log.warning("%s and cannot be set aside: %s", problem, error)
            return
        place = f"{self.folder.url}/{kept}: {reason}"
        log.warning("a damaged part of the store was set aside as %s; what it held is computed again", place)

    def write(self, keys: np.ndarray, matrix: np.ndarray) -> None:
        """Store ``matrix[i]`` under ``keys[i]`` as one new shard.

        StoreError if it cannot be written, such as on a full disk; the store is as it was.
        """
        self._check_description(write=True)
        self._write_shard(np.asarray(keys, dtype=KEY), matrix)

    def _write_shard(self, keys: np.ndarray, matrix: np.ndarray) -> str:
        shard, data = shard_to_bytes(keys, matrix, self.about["fingerprint"])
        self.folder.write(f"{self.name}/{shard}", data)
        self._keys[shard] = keys
        return shard

    def _check_description(self, *, write: bool = False) -> None:
        """See that ``extractor.json`` stands there whole; a damaged one is set aside and written again."""
        if self._described and not write:  # a store may be moved away in the middle of a run
            return
        path = f"{self.name}/{DESCRIPTION}"
        try:
            fault = description_fault(self.folder.read(path), self.about)
            if fault is not None:
                self.set_aside(DESCRIPTION, fault)
        except FileNotFoundError:
            if not write:
                return
            fault = "missing"
        try:
            if fault is not None:
                self.folder.write(path, json.dumps(self.about, sort_keys=True, indent=1).encode())
            self._described = True
        except StoreError:
            # Reading needs no description; a store that cannot be written can still be read.
            if write:
                raise

    def compact(self) -> int:
        """Merge small shards into larger ones when there are many; returns how many were merged.

        The new shard is whole before the old ones go, and other processes may read, write and compact at the
        same time: at worst a vector is stored twice. A store that cannot be changed is left as it is.
        """
        n_merged = 0
        try:
            for batch in self._small_shards():
                n_merged += self._merge(batch)
        except StoreError as error:
            # Also where nothing may be removed: a vector stored twice is no reason to lose a table.
            log.info("small parts of the store were not merged: %s", error)
        return n_merged

    def _small_shards(self) -> Iterator[list[str]]:
        """The names of small shards, as many at a time as one larger shard can hold; none if they are few."""
        rows_aim = max(64, min(self.compacted_rows, COMPACTED_BYTES // (4 * self.about["width"])))
        found = ((name, self._shard_keys(name)) for name, _, _ in self.shards())
        small = [(name, len(keys)) for name, keys in found if keys is not None and len(keys) < rows_aim // 4]
        batch, n_rows = [], 0
        for name, n_keys in small if len(small) >= self.compact_above else []:
            batch.append(name)
            n_rows += n_keys
            if n_rows >= rows_aim or name == small[-1][0]:
                yield batch
                batch, n_rows = [], 0

    def _merge(self, shards: list[str]) -> int:
        read = {name: self._read(name, self.about["width"]) for name in shards}
        contents = {name: content for name, content in read.items() if content is not None}
        if len(contents) < 2:
            return 0
        keys, first = np.unique(np.concatenate([keys for keys, _ in contents.values()]), return_index=True)
        merged = self._write_shard(keys, np.concatenate([vectors for _, vectors in contents.values()])[first])
        for name in contents:
            if name != merged:
                self.folder.remove(f"{self.name}/{name}")
                self._keys.pop(name, None)
        return len(contents)


class SectionBeside(Section):
    """A section whose vectors may as well come from `other`, which has its width; only its own are ever written."""

    def __init__(self, own: Section, other: Section):
        super().__init__(own.folder, own.name, own.about, compact_above=own.compact_above)
        self.other = other

    def short_keys(self) -> np.ndarray:
        return np.union1d(super().short_keys(), self.other.short_keys())

    def load(self, keys: np.ndarray, matrix: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        found = self.other.load(keys, matrix, rows)
        missing = np.flatnonzero(~found)
        into = missing if rows is None else np.asarray(rows)[missing]
        found[missing] = super().load(np.asarray(keys, dtype=KEY)[missing], matrix, into)
        return found


def description_fault(text: bytes, about: Mapping[str, Any]) -> str | None:
    """What is wrong with an ``extractor.json``, if anything; `about` is what it should say."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "it is no JSON" if text else "it is empty"
    wanted = ("fingerprint", "width", "description")
    wrong = [name for name in wanted if not isinstance(found, dict) or found.get(name) != about[name]]
    return f"it does not describe this extractor ({', '.join(wrong)})" if wrong else None


class ShardWriter:
    """Collects vectors and writes a shard before more than 256 images or 10 s of work could be lost.

    A context: what is waiting is written when it ends. `begun` images may be in work elsewhere, and not yet added.
    """

    def __init__(self, section: Section, begun: int = 0, *, clock: Callable[[], float] = time.monotonic):
        self.section = section
        self.begun = begun
        self.clock = clock
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def __enter__(self) -> "ShardWriter":
        self._flushed = self._added = self.clock()
        return self

    def __exit__(self, *exception) -> None:
        self.flush()

    def add(self, keys: np.ndarray, matrix: np.ndarray) -> None:
        """Take ``matrix[i]`` for ``keys[i]``."""
        now = self.clock()
        self._waiting.append((np.asarray(keys, dtype=KEY), np.array(matrix, dtype=np.float32)))
        n_rows = sum(len(block) for _, block in self._waiting)
        # The next batch will be about as large and take about as long as this one.
        too_many = n_rows + len(matrix) + self.begun > UNSAVED_ROWS
        too_long = now - self._flushed + (now - self._added) >= UNSAVED_SECONDS
        self._added = now
        if too_many or too_long:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            keys, matrix = map(np.concatenate, zip(*self._waiting, strict=True))
            self._waiting = []
            self.section.write(keys, matrix)
        self._flushed = self.clock()


def default_store() -> str | Path:
    """The folder or URL that the environment variable FEATURIZE_STORE names, else a folder of the user's cache."""
    named = os.environ.get("FEATURIZE_STORE", "")
    return named if named.strip() else cache_folder() / "store"


def cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("bottlehead", appauthor=False)


class Store:
    """Vectors that were computed once, kept by content.

    Parameters
    ----------
    url : path or fsspec URL, optional
        By default, and for "", `default_store`. StoreError if it cannot be made or reached.
    young_seconds : float
        A photo that was changed less than this before it was read is read again next time (`FileIndex`).
    compact_above : int
        From so many small files of one extractor on, they are merged after a run.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from featurize.store.shard import image_keys
    >>> store = Store(tempfile.mkdtemp())
    >>> section = store.section("demo", "ab" * 32, width=2)
    >>> section.write(image_keys(["00" * 32]), np.ones((1, 2), dtype=np.float32))
    >>> matrix = np.zeros((3, 2), dtype=np.float32)
    >>> section.load(image_keys(["00" * 32, "11" * 32, "00" * 32]), matrix)
    array([ True, False,  True])
    >>> matrix.tolist()
    [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        url: str | os.PathLike | None = None,
        *,
        young_seconds: float = YOUNG_SECONDS,
        compact_above: int = COMPACT_ABOVE,
    ):
        self.folder = Folder(default_store() if url is None or url == "" else url)
        self.young_seconds = young_seconds
        self.compact_above = compact_above
        self.trust_files = True
        self._file_index: FileIndex | None = None

    def __repr__(self) -> str:
        return f"Store({self.folder.url!r})"

    def section(
        self,
        name: str,
        fingerprint: str,
        width: int,
        description: Mapping[str, Any] | None = None,
        recipe: Mapping[str, Any] | None = None,
    ) -> Section:
        """The part of the store for the extractor with this fingerprint.

        `recipe` is kept beside the description: what it takes to make the extractor again (`Extractor.record`).
        """
        about = {**(recipe or {}), "name": name, "fingerprint": fingerprint, "width": width}
        about["description"] = dict(description or {})
        return self.section_in(section_name(name, fingerprint), json.loads(json.dumps(about)))

    def section_in(self, folder: str, about: Mapping[str, Any]) -> Section:
        """The part of the store in one of its folders, for what `about` describes."""
        return Section(self.folder, folder, about, compact_above=self.compact_above)

    def section_of(self, extractor: Any) -> Section:
        """The part of the store for an extractor; where it stands in for another one, beside the part of that one."""
        record = extractor.record(())
        kept = ("spec", "family", "params", "weights", "versions")
        recipe = {key: record[key] for key in kept if key in record}
        name, width = extractor.stored_as, extractor.width
        section = self.section(name, record["fingerprint"], width, record["description"], recipe)
        return (
            SectionBeside(section, self.section_of(extractor.in_place_of))
            if extractor.in_place_of
            else section
        )

    def rehashing(self) -> "Store":
        """The same store, whose file index trusts no file to be unchanged (``--rehash``)."""
        other = copy.copy(self)
        other.trust_files, other._file_index = False, None
        return other

    def stored_width(self, name: str, fingerprint: str) -> int | None:
        """The width of the vectors of an extractor that was used before; None if it was not."""
        try:
            about = json.loads(self.folder.read(f"{section_name(name, fingerprint)}/{DESCRIPTION}"))
            return int(about["width"]) if about["fingerprint"] == fingerprint else None
        except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def file_index(self) -> FileIndex:
        """The index of unchanged files, beside the store (in the cache folder for a store elsewhere).

        It is the same for all who ask, so that one that is locked is waited for once.
        """
        if self._file_index is None:
            path = self.local_path("files.sqlite")
            self._file_index = FileIndex(path, trust=self.trust_files, young_seconds=self.young_seconds)
        return self._file_index

    def local_path(self, name: str) -> Path | None:
        """A path on this machine for what belongs to the store but is no vector; None if it cannot be made."""
        elsewhere = "beside-" + sha256(self.folder.url.encode()).hexdigest()[:16]
        try:
            folder = (
                Path(self.folder.root) if self.folder.is_local else cache_folder().expanduser() / elsewhere
            )
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError):  # the latter where a user has no home
            return None
        return path

    def beside(self, name: str) -> Path | None:
        """The former name of `local_path`."""
        return self.local_path(name)


def remarks_name(fingerprint: str) -> str:
    """Where a store keeps what is wrong with a network's weights: with kept networks, pruned by fingerprint."""
    return f"graphs/{fingerprint[:32]}-remarks.json"


def section_name(name: str, fingerprint: str) -> str:
    """The folder of an extractor: its name, made safe for every file system, and its fingerprint."""
    return f"{re.sub('[^A-Za-z0-9._+-]', '_', name)[:60]}-{fingerprint[:32]}"
