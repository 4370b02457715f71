"""The files of extracted parts: what each part gave back, on any machine, is kept below the store.

A file is written once and never changed, and named by its own digest. What all parts of a table must have in common
(`Job`) stands in each: whoever assembles finds those that fit, and says of others what differs.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from featurize.errors import UsageError
from featurize.extraction.parts import (
    Assembly,
    Part,
    PartRows,
    VectorsMissing,
    extract_part,
    n_parts_of,
    number_ranges,
    numbers_with_photos,
    part_of,
)
from featurize.extraction.run import Extraction, attach_all
from featurize.extractors.base import Extractor
from featurize.photos.distort import Distortion
from featurize.photos.layout import listed
from featurize.photos.origin import READERS, Source
from featurize.remote import Location, is_url
from featurize.store.store import Store
from featurize.tableformat import table_kind
from featurize.terminal import log, progress

PARTS = "parts"  # the folder below the store
NAME = re.compile(r"(\d{1,7})-of-(\d{1,7})-([0-9a-f]{64})\.parquet")
ABOUT = b"featurize part"
FORMAT = 1
COLUMNS = ("image", "label", "group", "split")


@dataclass(frozen=True)
class Job:
    """What the parts of one table have in common, as plain JSON values (`about`), and the digest of it."""

    about: dict[str, Any]

    @classmethod
    def of(
        cls,
        source: Source,
        extractors: Sequence[Extractor],
        distort: Distortion | None,
        max_megapixels: float,
    ) -> "Job":
        """That of extractors which are attached to their store."""
        listing: dict[str, Any] = {"photos": len(source.images), "kept": list(source.kept)}
        for name in (*COLUMNS, "kept values"):
            digest = hashlib.sha256()
            for image in source.images:
                value = image.kept if name == "kept values" else getattr(image, name)
                digest.update(json.dumps(value).encode())
            listing[name] = digest.hexdigest()
        about = {
            "format": FORMAT,
            "version": version("bottlehead"),
            "source": os.path.abspath(source.path) if not is_url(source.path) else source.path,
            "listing": listing,
            "features": {e.name: {"fingerprint": e.fingerprint(), **e.description()} for e in extractors},
            "distortion": distort.record() if distort else None,
            "max_megapixels": max_megapixels,
        }
        return cls(json.loads(json.dumps(about)))

    @property
    def key(self) -> str:
        """The name of its folder."""
        text = json.dumps(self.about, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def differences(self, other: "Job") -> list[str]:
        """What the parts of another job were made with, and this one is not, in words."""
        ours, theirs, found = self.about, other.about, []
        if ours["version"] != theirs["version"]:
            found.append(f"bottlehead {theirs['version']} made them, and this is {ours['version']}")
        if ours["source"] != theirs["source"]:
            found.append(f"the source was {theirs['source']}, and is {ours['source']}")
        found += _listing_differences(ours["listing"], theirs["listing"])
        found += _feature_differences(ours["features"], theirs["features"])
        if ours["distortion"] != theirs["distortion"]:
            found.append("--distort or another option of distorted copies differs")
        if ours["max_megapixels"] != theirs["max_megapixels"]:
            sizes = theirs["max_megapixels"], ours["max_megapixels"]
            found.append("--max-megapixels was {:g}, and is {:g}".format(*sizes))
        return found


def _listing_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    if ours["photos"] != theirs["photos"]:
        return [f"the source had {theirs['photos']:,} photos, and has {ours['photos']:,}"]
    options = {
        "image": "the photos have other names",
        "label": "the labels differ",
        "group": "the groups differ (--group-by, --columns)",
        "split": "the splits differ",
        "kept": "--keep differs",
        "kept values": "the values of the columns of --keep differ",
    }
    return [text for name, text in options.items() if ours[name] != theirs[name]][:3]


def _feature_differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    if set(ours) != set(theirs):
        return [f"--features was {listed(sorted(theirs))}, and is {listed(sorted(ours))}"]
    found = []
    for name, mine in ours.items():
        other = theirs[name]
        if mine["fingerprint"] != other["fingerprint"]:
            keys = {key for key in {*mine, *other} - {"fingerprint"} if mine.get(key) != other.get(key)}
            found.append(f"the {listed(keys) or 'settings'} of {name} differ")
    if not found and list(ours) != list(theirs):
        found.append("--features has another order")
    return found


@dataclass(frozen=True)
class PartFiles:
    """The files of the parts of one job: by number, names below the store, the newest first."""

    store: Store
    job: Job

    @property
    def folder(self) -> str:
        """Below the store."""
        return f"{PARTS}/{self.job.key}"

    def names(self) -> dict[int, dict[int, list[str]]]:
        """The names of the files there are, by number of parts and number."""
        found: dict[int, dict[int, list[str]]] = {}
        for name, _, _ in sorted(self.store.folder.names(self.folder), key=lambda entry: -entry[2]):
            if match := NAME.fullmatch(name):
                found.setdefault(int(match[2]), {}).setdefault(int(match[1]), []).append(name)
        return found

    def write(self, result: PartRows) -> None:
        """Keep what a part gave back."""
        data = rows_to_bytes(result, self.job)
        digest = hashlib.sha256(data).hexdigest()
        name = f"{result.number}-of-{result.n_parts}-{digest}.parquet"
        self.store.folder.write(f"{self.folder}/{name}", data)

    def read(self, part: Part, names: Sequence[str]) -> PartRows | None:
        """What a part gave back, from the first whole one of its files; None if there is none, or a photo changed."""
        stamp = part.stamp() if names else ""
        for name in names:
            try:
                found = rows_from_bytes(name, self.store.folder.read(f"{self.folder}/{name}"))
            except FileNotFoundError:  # another process has finished the table
                continue
            except ValueError as damage:
                log.warning("%s/%s is damaged (%s); its part counts as missing", self.folder, name, damage)
                continue
            if found.stamp == stamp:
                return found
        return None

    def read_all(self, source: Source, n_parts: int, names: dict[int, list[str]]) -> dict[int, PartRows]:
        """What the parts gave back whose files are whole and whose photos are what they were, by number."""
        numbers = [number for number in numbers_with_photos(source, n_parts) if number in names]
        with ThreadPoolExecutor(READERS, "parts") as pool:
            read = pool.map(lambda n: self.read(part_of(source, n, n_parts), names[n]), numbers)
            return {n: result for n, result in zip(numbers, read, strict=True) if result is not None}

    def missing(self, source: Source, n_parts: int, results: dict[int, PartRows]) -> list[int]:
        """The numbers of parts that have photos and no result."""
        return [number for number in numbers_with_photos(source, n_parts) if number not in results]

    def remove(self) -> None:
        """Remove the files of all parts: the table is finished."""
        for name, _, _ in self.store.folder.names(self.folder):
            if NAME.fullmatch(name):
                self.store.folder.remove(f"{self.folder}/{name}")
        for folder in (self.folder, PARTS):
            self.store.folder.remove_folder(folder)

    def read_best(self, source: Source) -> tuple[int, dict[int, PartRows]] | None:
        """The number of parts and what they gave back, of the division that lacks the fewest; None without any."""
        read = {n: self.read_all(source, n, names) for n, names in self.names().items()}
        lacking = {n: len(self.missing(source, n, results)) / n for n, results in read.items()}
        return min(read.items(), key=lambda one: (lacking[one[0]], one[0])) if read else None

    def refuse_others(self) -> None:
        """A UsageError that says what differs, where the store has parts of this source that were made otherwise."""
        ours = self.job.about
        for job in jobs_in(self.store):
            theirs = job.about
            same = (
                theirs["source"] == ours["source"] or theirs["listing"]["image"] == ours["listing"]["image"]
            )
            if same and (differences := self.job.differences(job)):
                there = PartFiles(self.store, job).names().items()
                which = " and ".join(f"{number_ranges(names)} of {n_parts}" for n_parts, names in there)
                which = f"the parts {which} were extracted otherwise"
                raise UsageError(
                    f"{which}: {'; '.join(differences)}",
                    "give the command that the parts had; or --compute-missing to compute everything here, as if "
                    "there were none; or remove them with `featurize store prune --parts --yes`",
                )


def jobs_in(store: Store) -> Iterator[Job]:
    """The jobs of which a store has parts."""
    for folder in store.folder.folders(PARTS):
        for name, _, _ in store.folder.names(f"{PARTS}/{folder}"):
            if not NAME.fullmatch(name):
                continue
            try:
                about = _about(store.folder.read(f"{PARTS}/{folder}/{name}"))
                yield Job(about["job"])
                break
            except (FileNotFoundError, ValueError, KeyError, TypeError, pa.ArrowException):
                continue


def rows_to_bytes(result: PartRows, job: Job) -> bytes:
    """What a part gave back, as Parquet whose metadata holds the rest as JSON."""
    fields = {key: value for key, value in vars(result).items() if key != "rows"}
    text = json.dumps({"job": job.about, "result": fields}, sort_keys=True)
    stream = io.BytesIO()
    pq.write_table(result.rows.replace_schema_metadata({ABOUT: text.encode()}), stream, compression="zstd")
    return stream.getvalue()


def rows_from_bytes(name: str, data: bytes) -> PartRows:
    """The opposite; ValueError if the bytes are not those that were written under that name."""
    match = NAME.fullmatch(name)
    if match is None or hashlib.sha256(data).hexdigest() != match[3]:
        raise ValueError("its bytes do not match the digest in its name")
    fields = _about(data)["result"]
    fields["rejects"] = [(image, reason) for image, reason in fields["rejects"]]
    rows = pq.ParquetFile(pa.BufferReader(data)).read().replace_schema_metadata(None)
    return PartRows(rows=rows, **fields)


def _about(data: bytes) -> dict[str, Any]:
    return json.loads((pq.read_schema(pa.BufferReader(data)).metadata or {})[ABOUT])


# A function that extracts parts, anywhere, and hands over what each gives back, in any order.
ExtractParts = Callable[..., Iterable[PartRows]]


def extract_in_parts(
    source: Source,
    extractors: Sequence[Extractor],
    output: Location,
    store: Store,
    compute: ExtractParts | None = None,
    *,
    compute_missing: bool = False,
    distort: Distortion | None = None,
    max_megapixels: float,
    **options: Any,
) -> Extraction | None:
    """Write the table of a source of which parts are in the store, and remove their files.

    `compute` extracts the parts that are missing; without it, `compute_missing` does so here. None, and nothing done,
    where there are no parts of this source and no `compute`. A ``.parquet`` table is given back without its vectors,
    which are in the file.

    UsageError where parts are missing and nothing may compute them, or those there were made otherwise.
    """
    attach_all(extractors, store, source.kept)
    files = PartFiles(store, Job.of(source, extractors, distort, max_megapixels))
    made: dict[str, Any] = {"store": store, "distort": distort}
    further = {"max_megapixels": max_megapixels, **options}
    found = files.read_best(source)
    if compute is None and found is None:
        if not compute_missing:
            files.refuse_others()
        return None
    n_parts, results = found or (n_parts_of(source), {})
    missing = files.missing(source, n_parts, results)
    if compute is None and compute_missing:
        compute = extract_here
    if missing and compute is None:
        raise _missing(files, n_parts, missing)
    for again in (True, False):
        if missing and compute is not None:
            parts = [part_of(source, number, n_parts) for number in missing]
            for result in compute(parts, extractors, keep=files.write, **made, **further):
                results[result.number] = result
        try:
            return _assembled(Assembly(source, results.values(), extractors, **made), output, files)
        except VectorsMissing as error:
            if compute is None or not again:
                raise
            missing = error.numbers
    raise AssertionError


def _missing(files: PartFiles, n_parts: int, missing: list[int]) -> UsageError:
    numbers = number_ranges(missing)
    are = "part {} of {} is" if len(missing) == 1 else "parts {} of {} are"
    try:
        files.refuse_others()
        also = ""
    except UsageError as otherwise:
        also = f"; {otherwise.args[0]}"
    return UsageError(
        f"{are.format(numbers, n_parts)} missing, or photos of theirs changed{also}",
        f"run the same command with --part I/{n_parts} for each of them, or add --compute-missing to do it here",
    )


def extract_here(
    parts: Sequence[Part],
    extractors: Sequence[Extractor],
    *,
    keep: Callable[[PartRows], None],
    **options: Any,
) -> Iterator[PartRows]:
    """Extract parts in this process, one after the other; `keep` takes each as soon as it is done."""
    with progress(sum(map(len, parts)), "featurizing") as bar:
        for part in parts:
            result = extract_part(part, extractors, advance=bar.update, **options)
            keep(result)
            yield result


def _assembled(assembly: Assembly, output: Location, files: PartFiles) -> Extraction:
    if table_kind(output) == ".parquet":
        made = assembly.write(output)
    else:
        made = assembly.in_memory()
        made.table.write(output)
    files.remove()
    assembly.compact()
    return made
