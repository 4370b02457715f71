"""Corrections: labels for single photos from a CSV file, and what a table remembers of those before.

A table with corrections keeps, in the column ``label_before``, the label that each photo had which a correction names,
also where it was confirmed; its metadata count what has no such label: photos that got their first one, and dropped
ones.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from featurize.errors import UsageError
from featurize.files import read_csv
from featurize.remote import Location
from featurize.table import BEFORE, CORRECTIONS, FeatureTable
from featurize.terminal import log, printable

NAMED = 5  # lines that a message names
COLUMNS = "its first line must be image,label or sha256,label; an empty label drops the photo"


@dataclass(frozen=True)
class Correction:
    """The label that a photo shall have, None to drop it; the photo by its name or by the SHA-256 of its bytes."""

    label: str | None
    image: str = ""
    sha256: str = ""
    line: int = 0
    file: str = "the given labels"

    @property
    def where(self) -> str:
        """``line 3 (a.jpg)``."""
        name = printable(self.sha256[:12] or self.image)
        return f"line {self.line} ({name})" if self.line else name


def read_labels(path: Location) -> list[Correction]:
    """The corrections in a CSV file with the columns ``image,label`` or ``sha256,label``; others are ignored.

    A line with both is meant by its SHA-256. UsageError for a line that names no photo.
    """
    found = []
    for number, line in read_csv(path, ("label",), "corrections", None, hint=COLUMNS):
        if not line.keys() & {"image", "sha256"}:
            raise UsageError(f"the corrections {path} have the columns {', '.join(line)[:80]}", COLUMNS)
        image, sha256 = line.get("image", ""), line.get("sha256", "").strip().lower()
        if not (image or sha256):
            hint = "each line holds the name of a photo or its SHA-256, and its label"
            raise UsageError(f"line {number} of {path} names no photo", hint)
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            hint = "a SHA-256 has 64 digits from 0 to f, as in the column sha256 of the table"
            raise UsageError(f"line {number} of {path} holds the SHA-256 {sha256[:80]!r}", hint)
        label = line["label"] if line["label"].strip() else None
        found.append(Correction(label, "" if sha256 else image, sha256, number, str(path)))
    return found


def correct_labels(
    table: FeatureTable, labels: Location | Mapping[str, str | None] | Sequence[Correction]
) -> FeatureTable:
    """The table with other labels for some of its photos; how many, is logged.

    Parameters
    ----------
    table : FeatureTable
    labels : path, mapping or sequence of Correction
        A CSV file with the columns ``image,label`` or ``sha256,label``, or label by the name of the photo. An empty
        label drops the photo. The label counts for all rows of the same bytes: copies and distorted ones. Photos that
        the table does not have, and labels that no photo had, are told.

    Raises
    ------
    UsageError
        If no photo that is named is in the table, one is given two labels, one name stands for several photos, or no
        row is left.

    Examples
    --------
    >>> table = FeatureTable.from_arrays({"x": [[0.0], [1.0]]}, label=["cat", "dog"], image=["a.jpg", "b.jpg"])
    >>> correct_labels(table, {"b.jpg": "cat"}).label.tolist()
    ['cat', 'cat']
    """
    return correct_tables([table], labels)[0]


def correct_tables(
    tables: Sequence[FeatureTable],
    labels: Location | Mapping[str, str | None] | Sequence[Correction],
    prefixes: Sequence[str] = (),
) -> list[FeatureTable]:
    """`correct_labels` of several tables that are used together: a photo is unknown that is in none of them.

    `prefixes`, one per table, may stand before the names of its photos.
    """
    corrections, origin = _given(labels)
    wanted, unknown = _by_content(tables, corrections, origin, prefixes)
    if unknown and not wanted:
        named = _named([one.where for one in unknown])
        example = next((table.image[0] for table in tables if len(table)), "none")
        raise UsageError(
            f"none of the {len(unknown)} photos of {origin} is known here: {named}",
            f"name them as the table does, such as {example}, or by their SHA-256",
        )
    known = {label for table in tables for label in table.label if label is not None}
    counts: dict[str, int] = defaultdict(int)
    made = [_corrected(table, wanted, counts) for table in tables]
    _tell(wanted, unknown, known, counts, origin)
    return made


def _given(labels: Any) -> tuple[list[Correction], str]:
    if isinstance(labels, Mapping):
        labels = [Correction(str(label) if label else None, image) for image, label in labels.items()]
    elif isinstance(labels, str) or not isinstance(labels, Sequence):
        labels = read_labels(labels)
    return list(labels), next((one.file for one in labels), "no lines")


def _by_content(
    tables: Sequence[FeatureTable], corrections: Sequence[Correction], origin: str, prefixes: Sequence[str]
) -> tuple[dict[str, Correction], list[Correction]]:
    """The correction of each content that is named, and those whose photos no table has."""
    contents: set[str] = set()
    by_name: dict[str, set[str]] = defaultdict(set)
    for number, table in enumerate(tables):
        content = table.content
        contents.update(content)
        for prefix in {"", *prefixes[number : number + 1]}:
            for image, what in zip(table.image, content, strict=True):
                by_name[f"{prefix}{image}"].add(what)
    wanted: dict[str, Correction] = {}
    unknown = []
    for one in corrections:
        found = {one.sha256} & contents if one.sha256 else by_name.get(one.image, set())
        if len(found) > 1:
            what = f"{one.where} of {origin} is the name of {len(found)} photos of different content"
            raise UsageError(what, "name each by its SHA-256: a file with the columns sha256,label")
        if not found:
            unknown.append(one)
            continue
        before = wanted.setdefault(next(iter(found)), one)
        if before.label != one.label:
            both = " and ".join(_quoted(each.label) for each in (before, one))
            what = f"{before.where} and {one.where} of {origin} give one photo two labels, {both}"
            raise UsageError(what, "keep one of the lines; photos of the same bytes are one photo")
    return wanted, unknown


def _quoted(label: str | None) -> str:
    return "none" if label is None else repr(label)


def _corrected(table: FeatureTable, wanted: Mapping[str, Correction], counts: dict[str, int]) -> FeatureTable:
    """The table with the labels of `wanted`, by content; `counts` grow by its photos."""
    label, before, record = table.label.copy(), labels_before(table), _record(table)
    kept = np.ones(len(table), dtype=bool)
    for row, (content, variant) in enumerate(zip(table.content, table.variant, strict=True)):
        if (one := wanted.get(content)) is None:
            continue
        old, label[row] = label[row], one.label
        before[row] = old if before[row] is None else before[row]
        kept[row] = one.label is not None
        kind = "dropped" if one.label is None else "labelled" if old is None else "corrected"
        kind = "confirmed" if old is not None and old == one.label else kind
        if variant == 0:
            counts[kind] += 1
            counts["images"] += 1
            if kind in record:
                record[kind] += 1
    if not kept.any() and len(table):
        what = f"the corrections drop all {len(table)} rows of the table"
        raise UsageError(what, "leave the label empty only for photos that shall go")
    ids = table.ids.drop_columns([BEFORE]) if BEFORE in table.ids.column_names else table.ids
    ids = ids.append_column(BEFORE, pa.array(before, pa.string()))
    metadata = {**table.metadata, CORRECTIONS: record}
    corrected = FeatureTable(ids, table.vectors, metadata).with_column("label", label.tolist())
    return corrected if kept.all() else corrected.filter(kept)


def _tell(
    wanted: Mapping[str, Correction],
    unknown: Sequence[Correction],
    known: set[str],
    counts: Mapping[str, int],
    origin: str,
) -> None:
    told = [
        f"{counts[kind]} {kind}" for kind in ("corrected", "labelled", "dropped", "confirmed") if counts[kind]
    ]
    copies = counts["images"] - len(wanted)
    more = (
        f"; {copies} of them {'is a copy' if copies == 1 else 'are copies'} of the same bytes"
        if copies
        else ""
    )
    log.info("labels of %s: %s%s", origin, ", ".join(told) or "none for these photos", more)
    if unknown:
        log.warning(
            "%d of %d photos of %s are unknown here: %s", len(unknown), len(unknown) + len(wanted), origin,
            _named([one.where for one in unknown]),
        )  # fmt: skip
    new = defaultdict(list)
    for one in wanted.values():
        if one.label is not None and one.label not in known:
            new[one.label].append(one)
    for label, those in list(new.items())[:NAMED]:
        where = _named([one.where for one in those])
        log.warning(
            "the label %r is new, for %d photo%s: %s", label, len(those), "s" * (len(those) > 1), where
        )
    if len(new) > NAMED:
        log.warning("%d more labels are new", len(new) - NAMED)


def _named(words: Sequence[str]) -> str:
    return ", ".join(words[:NAMED]) + f" and {len(words) - NAMED} more" * (len(words) > NAMED)


def _record(table: FeatureTable) -> dict[str, int]:
    found = table.metadata.get(CORRECTIONS)
    known = found if isinstance(found, Mapping) else {}
    counts = {kind: known.get(kind) for kind in ("labelled", "dropped")}
    return {kind: number if isinstance(number, int) else 0 for kind, number in counts.items()}


def record_of(*tables: FeatureTable) -> dict[str, dict[str, int]]:
    """What the metadata of a table hold that is made of these: empty where none of them has corrections."""
    records = [_record(table) for table in tables if is_corrected(table)]
    if not records:
        return {}
    return {CORRECTIONS: {kind: sum(record[kind] for record in records) for kind in records[0]}}


def is_corrected(table: FeatureTable) -> bool:
    """Whether corrections were applied to the table, now or before it was written."""
    return isinstance(table.metadata.get(CORRECTIONS), Mapping)


def labels_before(table: FeatureTable) -> np.ndarray:
    """Per row the label before its correction, None where no correction named the photo, or it had no label."""
    if is_corrected(table) and BEFORE in table.kept:
        return table.column(BEFORE).copy()
    return np.full(len(table), None, dtype=object)


def count_corrections(table: FeatureTable) -> dict[str, int] | None:
    """How many photos were ``corrected`` and ``confirmed``, of these rows, and ``labelled`` and ``dropped``, of all.

    None for a table without corrections.
    """
    if not is_corrected(table):
        return None
    before, photos = labels_before(table), table.variant == 0
    named = photos & np.array([one is not None for one in before], dtype=bool)
    corrected = int((named & (before != table.label)).sum())
    return {"corrected": corrected, "confirmed": int(named.sum()) - corrected, **_record(table)}
