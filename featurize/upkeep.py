"""Looking after a store: what is in it, whether it is whole, and removing what is no longer wanted."""

import json
import math
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featurize.draws import content_keys, random_bits
from featurize.errors import StoreError, UsageError
from featurize.extraction.part_files import PARTS, rows_from_bytes
from featurize.extractors.base import GOLDEN_SHA256, Extractor, attach_checked, relative_drift
from featurize.extractors.batches import Failed, Task, compute, read_photo
from featurize.outputs import PARTIAL
from featurize.photos.origin import Origin
from featurize.photos.source import origin_at
from featurize.registry import extractor_from_metadata
from featurize.store.shard import DamagedShard, contains, image_keys, key_contents, shard_from_bytes
from featurize.store.store import (
    DAMAGED,
    DESCRIPTION,
    Section,
    Store,
    description_fault,
    remarks_name,
    section_name,
)

DAY = 86_400.0
# A write takes seconds: a temporary file, or a network kept for a run without a vector yet, of this age is left over.
ABANDONED_SECONDS = DAY
AGE_UNITS = {"h": DAY / 24, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}


@dataclass(frozen=True)
class SectionSummary:
    """One extractor in a store: `images` are different photos; `written` is when its last shard was, since 1970."""

    name: str
    fingerprint: str
    width: int
    images: int
    bytes: int
    written: float


@dataclass(frozen=True)
class Removal:
    """One thing that `prune` removes: what it is, for people, and where it lies below the store."""

    what: str
    path: str
    bytes: int


def open_sections(store: Store) -> list[Section]:
    """The sections of a store; one with a damaged ``extractor.json`` is known by its folder's name and has width 0."""
    matches = [re.fullmatch(r"(.+)-([0-9a-f]{32})", folder) for folder in store.folder.folders()]
    return [store.section_in(match[0], _about(store, match)) for match in matches if match]


def _about(store: Store, folder: re.Match) -> dict[str, Any]:
    try:
        text = store.folder.read(f"{folder[0]}/{DESCRIPTION}")
        about = json.loads(text)
        right = section_name(about["name"], about["fingerprint"]) == folder[0] and int(about["width"]) > 0
        if right and description_fault(text, about) is None:
            return about
    except StoreError:  # which is a ValueError: it may not be read, which makes it not damaged
        raise
    except (FileNotFoundError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        pass
    return {"name": folder[1], "fingerprint": folder[2], "width": 0, "description": {}}


def choose_sections(store: Store, extractor: str | None) -> list[Section]:
    """All sections, or those of one extractor: a features spec, or the start of a fingerprint.

    UsageError if the store has no such extractor; the message lists those it has.
    """
    sections = open_sections(store)
    if extractor is None:
        return sections
    chosen = [s for s in sections if s.about["name"] == extractor]
    if not chosen and len(extractor) >= 4:
        chosen = [s for s in sections if s.about["fingerprint"].startswith(extractor.lower())]
    if not chosen:
        held = ", ".join(f"{s.about['name']} ({s.about['fingerprint'][:8]})" for s in sections) or "nothing"
        hint = f"give a features spec, or 4 or more digits of a fingerprint; it holds {held}"
        raise UsageError(f"the store holds nothing of {extractor!r}", hint)
    return chosen


def summarise(section: Section) -> SectionSummary:
    """What a section holds."""
    shards = section.shards()
    images = set(key_contents(section.keys())[0]) - {GOLDEN_SHA256}
    size = sum(n_bytes for _, n_bytes, _ in shards)
    last = max((written for _, _, written in shards), default=0.0)
    about = section.about
    return SectionSummary(about["name"], about["fingerprint"], about["width"], len(images), size, last)


@dataclass(frozen=True)
class StoreSize:
    """Bytes of a store: all of it, and in it the networks that are kept for a quick start."""

    everything: int
    networks: int


def store_size(store: Store) -> StoreSize:
    """Every file counts: vectors, kept networks, the index of files, parts, and what a killed run left."""
    folder = store.folder
    networks = sum(path.stat().st_size for path in _graph_files(store))
    here = store.local_path("x")
    everything = _bytes_in(here.parent) if here is not None else 0
    if not folder.is_local:
        everything += int(folder.system.du(folder.root)) if folder.exists() else 0
    return StoreSize(everything, networks)


def _bytes_in(folder: Path) -> int:
    total = 0
    for below, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # another run removed it
                total += os.path.getsize(os.path.join(below, name))
    return total


def verify_section(section: Section) -> tuple[int, int]:
    """Read every shard of a section; how many are whole, and how many were damaged and set aside."""
    n_whole = n_damaged = 0
    if section.about["width"] == 0:
        section.set_aside(DESCRIPTION, "it is empty, missing or of another extractor")
        n_damaged += 1
    for shard, _, _ in section.shards():
        try:
            data = section.folder.read(f"{section.name}/{shard}")
            shard_from_bytes(shard, data, section.about["fingerprint"])
            n_whole += 1
        except FileNotFoundError:
            continue  # a compaction removed it; what it held is in another shard
        except DamagedShard as damage:
            section.set_aside(shard, str(damage))
            n_damaged += 1
    return n_whole, n_damaged


def seconds_of(age: str) -> float:
    """``"90d"`` as seconds; hours, days, weeks and years.

    >>> seconds_of("90d")
    7776000.0
    """
    match = re.fullmatch(r"(\d+)([hdwy])", age.strip())
    if match is None:
        raise UsageError(f"{age!r} is no age", "write a number and h, d, w or y: 90d")
    return float(match[1]) * AGE_UNITS[match[2]]


def plan_prune(
    store: Store, extractor: str | None = None, older_than: float | None = None, *, parts: bool = False
) -> list[Removal]:
    """What `prune` would remove.

    Vectors, with the networks kept for them, only when `extractor` or `older_than` (seconds) is given, and those that
    match both. Always: files that were set aside as damaged, temporary files that a killed run left more than a day
    ago, and networks kept for an extractor of which the store holds nothing. With `parts`, also what parts of tables
    gave back of which no table was assembled.
    """
    now = time.time()
    wanted = {section.name for section in choose_sections(store, extractor)}
    plan: list[Removal] = []
    alive: set[str] = set()
    for section in open_sections(store):
        shards = section.shards()
        gone = []
        if section.name in wanted and (extractor is not None or older_than is not None):
            gone = [s for s in shards if older_than is None or now - s[2] > older_than]
        spec = section.about["name"]
        plan += [Removal(f"vectors of {spec}", f"{section.name}/{name}", size) for name, size, _ in gone]
        if len(gone) == len(shards) and (gone or extractor is not None):
            described = [e for e in store.folder.names(section.name) if e[0] == DESCRIPTION]
            what = f"description of {spec}"
            plan += [Removal(what, f"{section.name}/{name}", size) for name, size, _ in described]
        else:
            alive |= {section.about["fingerprint"][:32], str(section.about["description"].get("quantised"))}
        plan += _leftovers(store, section.name, now)
    plan += _leftovers(store, "", now)
    for folder in store.folder.folders(PARTS):
        plan += _leftovers(store, f"{PARTS}/{folder}", now)
        for name, size, _ in store.folder.names(f"{PARTS}/{folder}") if parts else []:
            if not name.startswith(PARTIAL):
                plan.append(Removal("rows of parts", f"{PARTS}/{folder}/{name}", size))
    return plan + list(_kept_graphs(store, now, alive, older_than if extractor is None else None))


def _leftovers(store: Store, folder: str, now: float) -> Iterator[Removal]:
    below = f"{folder}/" if folder else ""
    for name, size, _ in store.folder.names(f"{below}{DAMAGED}") if folder else []:
        yield Removal("damaged, set aside", f"{below}{DAMAGED}/{name}", size)
    for name, size, written in store.folder.names(folder):
        if name.startswith(PARTIAL) and now - written > ABANDONED_SECONDS:
            yield Removal("left by a killed run", f"{below}{name}", size)


def _kept_graphs(store: Store, now: float, alive: set[str], older_than: float | None) -> Iterator[Removal]:
    for path in _graph_files(store):
        status = path.stat()
        age = now - status.st_mtime
        # By what a frozen network was made for, and of one in int8 by its own digest, which is in fingerprints.
        used = not alive.isdisjoint({path.name[:32], path.stem.rpartition("-")[2]})
        unused = not used or path.name.startswith(PARTIAL)
        if (unused and age > ABANDONED_SECONDS) or (older_than is not None and age > older_than):
            yield Removal("network kept for a quick start", f"{path.parent.name}/{path.name}", status.st_size)

    if not store.folder.is_local:  # there lie the remarks alone
        for name, size, written in store.folder.names("graphs"):
            if name[:32] not in alive and now - written > ABANDONED_SECONDS:
                yield Removal("remarks on a network", f"graphs/{name}", size)


def _graph_files(store: Store) -> list[Path]:
    place = store.local_path("graphs/x")
    return sorted(path for path in place.parent.iterdir() if path.is_file()) if place is not None else []


def prune(store: Store, plan: list[Removal]) -> None:
    """Remove what `plan_prune` listed; runs that write at the same time lose nothing they write."""
    graphs = {f"{path.parent.name}/{path.name}": path for path in _graph_files(store)}
    for removal in plan:
        if removal.path not in graphs:
            store.folder.remove(removal.path)
            continue
        try:
            graphs[removal.path].unlink(missing_ok=True)
        except OSError as error:
            problem = f"{graphs[removal.path]} cannot be removed: {error.strerror}"
            raise StoreError(problem, "check the rights and run it again") from error
    # Deepest first. A folder in which another run wrote meanwhile is not empty, and stays.
    folders = {os.path.dirname(removal.path) for removal in plan} - {"", "graphs"}
    folders |= {folder.partition("/")[0] for folder in folders}
    for folder in sorted(folders, key=len, reverse=True):
        store.folder.remove_folder(folder)


@dataclass
class Merged:
    """What `merge_stores` did: vectors copied by features, files of parts, and what was not whole."""

    vectors: Counter[str] = field(default_factory=Counter)
    n_parts: int = 0
    damaged: list[str] = field(default_factory=list)


def merge_stores(sources: Sequence[Store], target: Store, advance: Callable[[int], object]) -> Merged:
    """Copy into `target` what it lacks of the others; what is not whole there is named, and not copied.

    What is damaged in `target` is set aside first, and counts as missing. Every file is whole once it is there, so
    that a merge that was killed is completed by the next. The others are read only. `advance` is told of each extractor
    that is done.
    """
    merged = Merged()
    for source in sources:
        for section in open_sections(source):
            _merge_section(section, target, merged)
            advance(1)
        _merge_parts(source, target, merged)
    return merged


def _merge_section(section: Section, target: Store, merged: Merged) -> None:
    about = section.about
    if about["width"] == 0:
        merged.damaged.append(f"{section.folder.url}/{section.name}/{DESCRIPTION}")
        return
    into = target.section_in(section.name, about)
    verify_section(into)  # what is damaged there is missing
    _merge_remarks(section, target)
    stored = into.keys()
    for shard, _, _ in section.shards():
        try:
            data = section.folder.read(f"{section.name}/{shard}")
            keys, vectors = shard_from_bytes(shard, data, about["fingerprint"])
            if vectors.shape[1] != about["width"]:
                raise DamagedShard("its vectors have another width")
        except FileNotFoundError:
            hint = "wait until no other command uses it, and merge again"
            raise StoreError(f"{section.folder.url} was changed during the merge", hint) from None
        except DamagedShard:
            merged.damaged.append(f"{section.folder.url}/{section.name}/{shard}")
            continue
        missing = ~contains(stored, keys) & np.isfinite(vectors).all(axis=1)
        if missing.any():
            into.write(keys[missing], vectors[missing])
            merged.vectors[about["name"]] += int(missing.sum())
            stored = np.union1d(stored, keys[missing])


def _merge_remarks(section: Section, target: Store) -> None:
    name = remarks_name(section.about["fingerprint"])
    try:
        target.folder.read(name)
    except FileNotFoundError:
        with suppress(FileNotFoundError):  # the features have no network
            target.folder.write(name, section.folder.read(name))


def _merge_parts(source: Store, target: Store, merged: Merged) -> None:
    for folder in source.folder.folders(PARTS):
        there = {name for name, _, _ in target.folder.names(f"{PARTS}/{folder}")}
        for name, _, _ in source.folder.names(f"{PARTS}/{folder}"):
            path = f"{PARTS}/{folder}/{name}"
            if name in there or name.startswith(PARTIAL):
                continue
            data = source.folder.read(path)
            try:
                rows_from_bytes(name, data)
            except ValueError:
                merged.damaged.append(f"{source.folder.url}/{path}")
                continue
            target.folder.write(path, data)
            merged.n_parts += 1


@dataclass(frozen=True)
class Drift:
    """How far the vectors of a sample are from those stored: the largest ‖now − stored‖ / ‖stored‖, and its photo.

    Of `n_stored` undistorted images, `n_found` are where they were when last read; `n_compared` were compared.
    """

    n_stored: int
    n_found: int
    n_compared: int
    largest: float
    image: str


def section_extractor(section: Section, store: Store) -> Extractor:
    """The extractor that made a section's vectors, made again from its ``extractor.json``.

    BottleheadError if it cannot be made here, or would make other vectors.
    """
    about: Mapping[str, Any] = section.about
    if "params" not in about:
        hint = "run `featurize extract` with it, then again"
        raise StoreError(f"{about['name']} says too little about itself", hint)
    extractor = extractor_from_metadata(about)
    attach_checked(extractor, store)
    if extractor.fingerprint() != about["fingerprint"]:
        now = extractor.description()
        differing = [key for key, value in about["description"].items() if value != now.get(key)]
        problem = f"is computed in another way here ({', '.join(differing) or 'other settings'})"
        hint = "its vectors are not shared with new ones; remove them with `featurize store prune`"
        raise StoreError(f"{about['name']} {problem}", hint)
    return extractor


def measure_drift(
    section: Section, store: Store, percent: float, *, seed: int = 0, jobs: int | None = None
) -> Drift:
    """Featurize `percent` of a section's images again and compare: photos that the file index knows the place of."""
    extractor = section_extractor(section, store)
    keys = section.keys()
    photos = [sha256 for sha256, variant in zip(*key_contents(keys), strict=True) if not variant]
    n_stored = len(photos) - photos.count(GOLDEN_SHA256)
    places: dict[str, Origin] = {}
    known = store.file_index().paths_of(lambda several: contains(keys, image_keys(several)).tolist())
    for place, sha256 in known:
        if sha256 not in places and (origin := origin_at(place)) is not None:
            places[sha256] = origin
    found = [sha256 for sha256 in photos if sha256 in places]
    order = np.argsort(random_bits(content_keys(found), "recompute", seed), kind="stable")
    sample = [found[i] for i in order[: math.ceil(n_stored * percent / 100)]]  # at least one of any
    stored = np.empty((len(sample), extractor.width), dtype=np.float32)
    section.load(image_keys(sample), stored)
    # However large: these are the very photos that were read before, by their digest.
    read = {one: partial(read_photo, one, [places[one]], sys.maxsize) for one in sample}
    tasks = (Task(row, read[one], name=places[one].place) for row, one in enumerate(sample))
    n_compared, largest, image = 0, 0.0, ""
    for batch in compute(tasks, [extractor], jobs=jobs or os.cpu_count() or 1):
        if isinstance(batch, Failed):
            continue
        for row, now in zip(batch.keys, batch.matrix, strict=True):
            n_compared += 1
            drift = relative_drift(now, stored[row])
            if drift > largest or not image:
                largest, image = drift, places[sample[row]].place
    return Drift(n_stored, len(found), n_compared, largest, image)
