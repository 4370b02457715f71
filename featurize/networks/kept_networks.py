"""What a store keeps of networks beside their vectors: frozen graphs, those in int8, and remarks on their weights.

With them a start takes seconds, and int8 is the same again. Of a store far away the networks lie in this machine's
cache. Whatever cannot be kept is made anew.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from featurize.errors import StoreError
from featurize.extractors.base import digest_of
from featurize.networks import int8
from featurize.networks.openvino_engine import NETWORK, NUMBERS
from featurize.outputs import whole_file
from featurize.store.store import Store, remarks_name
from featurize.terminal import log


@contextlib.contextmanager
def _unless_it_fails(what: str) -> Iterator[None]:
    """A full disk or a folder that cannot be written to ends nothing but the keeping."""
    try:
        yield
    except OSError as error:
        log.debug("%s not kept: %s", what, error)


def _write(path: Path, data: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(data)


# -- Frozen graphs ---


def graph_key(group: Sequence[Any], **changes: str) -> str:
    """What the frozen network of a group is kept under: by the first fingerprint, as `store prune` looks for it.

    `changes` are of the description.
    """
    fingerprints = [digest_of({**extractor.description(), **changes}) for extractor in group]
    several = "+" + sha256("+".join(fingerprints).encode()).hexdigest()[:16] if len(group) > 1 else ""
    return fingerprints[0] + several


def _begin(store: Store, key: str) -> Path | None:
    """How the paths of a kept graph begin: half the fingerprint, and what else the key has; None for no such place."""
    return store.local_path(f"graphs/{key[:32]}{key[64:]}-")


def save_frozen_graph(store: Store, key: str, data: bytes) -> None:
    """Keep a frozen network beside the store, by fingerprint and its own digest, for a quick start next time."""
    begin = _begin(store, key)
    if begin is not None:
        path = begin.with_name(f"{begin.name}{sha256(data).hexdigest()}.pb")
        with _unless_it_fails("the frozen network was"):
            _write(path, data)
            # One that another version of TensorFlow made, which could not be loaded here.
            for other in set(path.parent.glob(f"{begin.name}*.pb")) - {path}:
                other.unlink(missing_ok=True)


def load_frozen_graph(store: Store, key: str) -> bytes | None:
    """A frozen network that `save_frozen_graph` kept, if its bytes are still those that were written."""
    begin = _begin(store, key)
    for path in sorted(begin.parent.glob(f"{begin.name}*.pb")) if begin is not None else []:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if path.stem.endswith(sha256(data).hexdigest()):
            return data
        log.warning("a damaged frozen network was removed: %s", path)
        path.unlink(missing_ok=True)
    return None


# -- Remarks on the weights: looking through them takes a second ---


def save_remarks(store: Store, fingerprint: str, remarks: Sequence[str]) -> None:
    """Keep in the store what is wrong with the weights of a network, or that nothing is."""
    try:
        store.folder.write(remarks_name(fingerprint), json.dumps(remarks).encode())
    except StoreError as error:
        log.debug("remarks on the network were not kept: %s", error)


def load_remarks(store: Store, fingerprint: str) -> list[str] | None:
    """What `save_remarks` kept; None for nothing that can be read."""
    name = remarks_name(fingerprint)
    with contextlib.suppress(OSError, ValueError):
        return json.loads(store.folder.read(name))
    if store.folder.is_local or (beside := store.local_path(name)) is None:
        return None
    with contextlib.suppress(OSError, ValueError):  # where earlier versions kept them of a store at a URL
        return json.loads(beside.read_text(encoding="utf-8"))
    return None


# -- Networks in int8 ---


def save_quantised(store: Store, key: str, data: bytes, digest: str) -> None:
    """Keep a network beside the store, by what it was made of (`key`) and its own digest."""
    path = store.local_path(f"graphs/quantised-{key[:32]}-{digest}.zip")
    if path is not None:
        with _unless_it_fails("the network in int8 was"):
            _write(path, data)


def load_quantised(store: Store, key: str, wanted: str | None) -> tuple[bytes, str] | None:
    """The network that the store keeps: the one of the digest that is `wanted`, else the oldest; None for none."""
    begin = store.local_path(f"graphs/quantised-{key[:32]}-")
    if begin is None:
        return None
    with contextlib.suppress(OSError):
        paths = sorted(begin.parent.glob(f"{begin.name}{wanted or '*'}.zip"), key=lambda p: p.stat().st_mtime)
        for path in paths:
            data = path.read_bytes()
            try:
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    digest = int8.digest_of(archive.read(NETWORK), archive.read(NUMBERS))
            except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, OSError, ValueError):
                digest = ""
            if path.stem.endswith(f"-{digest}"):
                return data, digest
            log.warning("a damaged network in int8 was removed: %s", path)
            path.unlink(missing_ok=True)
    return None
