"""What was computed so far, by image content, variant and extractor fingerprint.

A store is a folder, here or on object storage. Below it lies one section per extractor and fingerprint
(`featurize.section`), with ``extractor.json`` and shards (`featurize.shard`). Nothing is updated in place, so that
a killed run, two runs at once and a full disk leave every finished shard as it was.
"""

import copy
import json
import os
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from featurize.contents import YOUNG_SECONDS, FileIndex
from featurize.files import whole_file
from featurize.folder import Folder, LocalFolder, open_folder
from featurize.section import COMPACT_ABOVE, DESCRIPTION, Section
from featurize.terminal import log


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
    young_seconds : float
        A photo that was changed less than this before it was read is read again next time (`FileIndex`).
    compact_above : int
        From so many small files of one extractor on, they are merged after a run.

    Raises
    ------
    StoreError
        If the folder cannot be made or reached.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from featurize.shard import image_keys
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
        self.folder: Folder = open_folder(url if url is not None else default_store())
        self.young_seconds = young_seconds
        self.compact_above = compact_above
        self.trust_files = True

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
        about = {
            **(recipe or {}),
            "name": name,
            "fingerprint": fingerprint,
            "width": width,
            "description": dict(description or {}),
        }
        return self.section_in(section_name(name, fingerprint), json.loads(json.dumps(about)))

    def section_in(self, folder: str, about: Mapping[str, Any]) -> Section:
        """The part of the store in one of its folders, for what `about` describes."""
        return Section(self.folder, folder, about, compact_above=self.compact_above)

    def section_of(self, extractor: Any) -> Section:
        """The part of the store for an extractor."""
        record = extractor.record(())
        recipe = {
            key: record[key] for key in ("spec", "family", "params", "weights", "versions") if key in record
        }
        return self.section(
            extractor.name, record["fingerprint"], extractor.width, record["description"], recipe
        )

    def rehashing(self) -> "Store":
        """The same store, whose file index trusts no file to be unchanged (``--rehash``)."""
        other = copy.copy(self)
        other.trust_files = False
        return other

    def stored_width(self, name: str, fingerprint: str) -> int | None:
        """The width of the vectors of an extractor that was used before; None if it was not."""
        try:
            about = json.loads(self.folder.read(f"{section_name(name, fingerprint)}/{DESCRIPTION}"))
            return int(about["width"]) if about["fingerprint"] == fingerprint else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def file_index(self) -> FileIndex:
        """The index of unchanged files, beside the store (in the cache folder for a store elsewhere)."""
        path = self.beside("files.sqlite")
        return FileIndex(path, trust=self.trust_files, young_seconds=self.young_seconds)

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


def keep_graph(store: Store, fingerprint: str, data: bytes) -> None:
    """Keep a frozen network beside the store, under its own digest, for a quick start next time."""
    path = store.beside(f"graphs/{fingerprint[:32]}-{sha256(data).hexdigest()}.pb")
    if path is not None:
        try:
            with whole_file(path) as partial:
                partial.write_bytes(data)
            # One that another version of TensorFlow made, which could not be loaded here.
            for other in path.parent.glob(f"{fingerprint[:32]}-*.pb"):
                if other != path:
                    other.unlink(missing_ok=True)
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
