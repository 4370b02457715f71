"""A look at every file of a source before anything is computed: what will be used, what not, and why."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np

from featurize.id_columns import merged_groups, similar_labels
from featurize.photos.decode import DECODE_VERSION, MAX_PIXELS, ImageRejected
from featurize.photos.fileindex import Content, Item, look, map_ahead
from featurize.photos.layout import SPLITS, Layout, listed
from featurize.photos.memory import PhotoSource
from featurize.photos.origin import CLASS_FOLDERS, READERS, Source, SourceImage
from featurize.photos.source import list_source, source_warnings
from featurize.terminal import columns_taken, padded, printable, progress

TEST_SHARE = 10  # fewer groups than this leave nothing for a test set of ten percent
FOLDS = 5

Usable = tuple[SourceImage, Content]


@dataclass
class Scan:
    """Every file of a source: used (in the order of `featurize.extract`), rejected with a reason, or ignored."""

    path: str
    kind: str
    usable: list[Usable] = field(default_factory=list)
    rejects: list[tuple[str, str]] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    layout: Layout = field(default_factory=Layout)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    # What is worth a word about how photos are read, and of how many.
    remarks: Counter[str] = field(default_factory=Counter)

    @cached_property
    def classes(self) -> dict[str | None, list[int]]:
        """For each label, None last, the positions of its photos in `usable`."""
        found: dict[str | None, list[int]] = {}
        for position, (image, _) in enumerate(self.usable):
            found.setdefault(image.label, []).append(position)
        return {label: found[label] for label in sorted(found, key=lambda text: (text is None, text or ""))}

    @cached_property
    def groups(self) -> np.ndarray:
        """One integer per usable photo; photos with equal integers stay on one side of every split."""

        facts = [(image.image, content.sha256, image.group) for image, content in self.usable]
        return merged_groups(*np.array(facts, dtype=object).reshape(-1, 3).T)

    def n_groups(self, label: str | None) -> int:
        """How many groups the photos of a label fall into: what a split can tell apart."""
        return len(np.unique(self.groups[self.classes[label]]))

    @cached_property
    def identical(self) -> list[list[SourceImage]]:
        """Photos that are the same byte for byte, each list two or more."""
        return _alike(((content.sha256, image) for image, content in self.usable))

    @property
    def conflicts(self) -> list[list[SourceImage]]:
        """Those of `identical` that stand in more than one class."""
        return [images for images in self.identical if len({image.label for image in images}) > 1]

    @property
    def small_classes(self) -> dict[str, int]:
        """Classes of fewer than `TEST_SHARE` groups, and how many groups they have."""
        sizes = {label: self.n_groups(label) for label in self.classes if label is not None}
        return {label: size for label, size in sizes.items() if size < TEST_SHARE}

    @property
    def colliding_labels(self) -> list[list[str]]:
        """Class names that differ in blanks, case or Unicode form only: some are one folder on Windows and macOS."""
        return similar_labels(self.classes)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many files are used, rejected and ignored; every file is counted once."""
        return len(self.usable), len(self.rejects), self.ignored.total()

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, for programs."""
        return {
            "scan_version": 1,
            "decode_version": DECODE_VERSION,
            "source": {"path": os.fsencode(self.path).decode("utf-8", "backslashreplace"), "kind": self.kind},
            "counts": dict(zip(("used", "rejected", "ignored"), self.counts, strict=True)),
            "classes": [
                {"label": label, "images": len(rows), "groups": self.n_groups(label)}
                for label, rows in self.classes.items()
            ],
            "empty_classes": self.empty_classes,
            "notes": self.notes,
            "warnings": self.warnings,
            "split_folders": dict(self.layout.splits),
            "splits": dict(Counter(image.split for image, _ in self.usable if image.split)),
            "formats": dict(Counter(content.format for _, content in self.usable)),
            "ignored": dict(self.ignored),
            "rejects": [{"image": image, "reason": reason} for image, reason in self.rejects],
            "identical": [[image.image for image in images] for images in self.identical],
            "conflicts": [
                [{"image": image.image, "label": image.label} for image in images]
                for images in self.conflicts
            ],
            "small_classes": self.small_classes,
            "colliding_labels": self.colliding_labels,
            "remarks": dict(self.remarks),
            "images": [
                {name: getattr(image, name) for name in ("image", "label", "group", "split")}
                | asdict(content)
                for image, content in self.usable
            ],
        }


def scan_source(
    source: PhotoSource,
    *,
    group_by: str | None = None,
    columns: Mapping[str, str] | None = None,
    root: str | os.PathLike | None = None,
    jobs: int | None = None,
    max_megapixels: float = MAX_PIXELS / 1e6,
) -> Scan:
    """Read and decode every photo of a source, and compute nothing; arguments as in `featurize.extract`.

    The same images are used as by `featurize.extract`, and the same are rejected, for the same reasons. Each of the
    `jobs` threads holds one photo at a time.

    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "blue").mkdir()
    >>> Image.new("RGB", (60, 40), "blue").save(folder / "blue" / "1.png")
    >>> _ = (folder / "blue" / "2.jpg").write_text("not a photo")
    >>> scan = scan_source(folder)
    >>> len(scan.usable), scan.rejects
    (1, [('blue/2.jpg', 'text, not an image')])
    """
    listing = list_source(source, group_by=group_by, columns=columns, root=root)
    rejects, notes = list(listing.rejects), listing.notes
    found = Scan(listing.path, listing.kind, [], rejects, listing.ignored, listing.layout, notes)
    jobs = jobs or os.cpu_count() or 1
    if any(image.origin.waits for image in listing.images):
        jobs = max(jobs, READERS)
    contents: dict[int, Content] = {}
    with ThreadPoolExecutor(jobs) as pool, progress(len(listing.images), "scanning") as bar:
        # Few ahead: a million photos in a queue take a gigabyte, and Ctrl-C waits for those that are begun.
        decoded = partial(_decoded, listing, max_pixels=int(max_megapixels * 1e6))
        for number, (content, remarks) in map_ahead(pool, listing.reading_order(), decoded, 4 * jobs):
            found.remarks.update(remarks)
            if isinstance(content, Content):
                contents[number] = content
            else:
                image = listing.images[number]
                found.rejects.append((image.image, listing.reason(image, content)))
            bar.update(1)
    found.usable = [(listing.images[number], contents[number]) for number in sorted(contents)]
    found.rejects.sort()
    used = [image for image, _ in found.usable]
    found.warnings, found.empty_classes = source_warnings(listing, used), listing.empty_classes(used)
    return found


def _decoded(listing: Source, number: int, max_pixels: int) -> tuple[Content | ImageRejected, set[str]]:
    remarks: set[str] = set()
    return look(listing.images[number].origin, decode=True, max_pixels=max_pixels, remarks=remarks), remarks


def _alike(pairs: Iterable[tuple[str, Item]]) -> list[list[Item]]:
    """The items of equal keys, where there are two or more."""
    same: dict[str, list[Item]] = {}
    for key, item in pairs:
        same.setdefault(key, []).append(item)
    return [items for items in same.values() if len(items) > 1]


SHOWN = 20  # classes on the terminal, and
FEW = 5  # lines of any other list, so that all is seen at a glance; the JSON holds all


def scan_lines(found: Scan) -> Iterator[str]:
    """The account of a source, line by line: what matters most comes first."""
    used, rejected, ignored = found.counts
    yield f"{sum(found.counts)} files: {used} images will be used, {rejected} rejected, {ignored} ignored"
    yield from (f"warning: {printable(warning)}" for warning in found.warnings)
    yield from (printable(note) for note in found.notes)
    yield from _class_lines(found)
    yield from _fact_lines(found)
    if found.ignored:
        counts = sorted(found.ignored.items(), key=lambda item: (-item[1], item[0]))
        yield "ignored: " + ", ".join(f"{count} {printable(kind)}" for kind, count in counts)
    yield from _section("rejected", _reject_lines(found))
    alike = [", ".join(printable(image.image) for image in images) for images in found.identical]
    yield from _section("byte-identical (kept together in every split)", alike)
    torn = [
        [f"{image.image} ({image.label or 'no label'})" for image in images] for images in found.conflicts
    ]
    yield from _section("one photo, two labels", [", ".join(map(printable, images)) for images in torn])
    yield from _section("classes with too few photos to split", _small_lines(found))


def _class_lines(found: Scan) -> Iterator[str]:
    """The photos of each class, by split where there are splits; also of a class of which all were rejected."""
    places = [found.layout.place(image) for image, _ in found.rejects] if found.kind in CLASS_FOLDERS else []
    rejected = Counter(place[0] for place in places if place is not None)
    labels: list[str | None] = sorted(
        {*found.classes, *rejected}, key=lambda label: (label is None, label or "")
    )
    shown = {label: printable(label) if label is not None else "(no label)" for label in labels[:SHOWN]}
    width = max(map(columns_taken, shown.values()), default=0)
    for label, name in shown.items():
        rows = found.classes.get(label, [])
        n_groups = found.n_groups(label) if rows else 0
        apart = f" in {n_groups} groups" if n_groups < len(rows) else ""
        splits = _by_split(found.usable[row][0] for row in rows)
        left_out = f", {rejected[label]} rejected" if rejected[label] else ""
        yield f"  {padded(name, width)} {len(rows):6}{apart}{f' ({splits})' if splits else ''}{left_out}"
    if len(labels) > SHOWN:
        yield f"  and {len(labels) - SHOWN} more classes (--json FILE lists all)"


def _reject_lines(found: Scan) -> list[str]:
    """One line for each reason, the most frequent first, with some of its files."""
    by_reason: dict[str, list[str]] = {}
    for image, reason in found.rejects:
        by_reason.setdefault(reason, []).append(image)
    most = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        f"{len(images)} × {printable(reason)}: {printable(listed(images, most=3))}" for reason, images in most
    ]


def _fact_lines(found: Scan) -> Iterator[str]:
    contents = [content for _, content in found.usable]
    if not contents:
        return
    by_area = sorted(contents, key=lambda content: content.width * content.height)
    sizes = [f"{c.width} × {c.height}" for c in (by_area[0], by_area[len(by_area) // 2], by_area[-1])]
    yield f"sizes: {sizes[0]} to {sizes[2]}, median {sizes[1]}; {sum(c.bytes for c in contents) / 1e6:,.1f} MB"
    yield f"formats: {_tally(content.format for content in contents)}; decode version {DECODE_VERSION}"
    yield from (f"{remark}: {count}" for remark, count in sorted(found.remarks.items()))
    splits = _by_split(image for image, _ in found.usable)
    if splits:
        yield f"splits: {splits}"


def _by_split(images: Iterable[SourceImage]) -> str:
    counts = Counter(image.split for image in images)
    return ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])


def _tally(values: Any) -> str:
    counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {value}" for value, count in counts)


def _small_lines(found: Scan) -> list[str]:
    few, fewer = f"fewer than {TEST_SHARE} for a test set of a tenth", f"fewer than {FOLDS} folds need"
    sizes = found.small_classes.items()
    return [f"{printable(label)}: {size}, {fewer if size < FOLDS else few}" for label, size in sizes]


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:FEW])
        if len(lines) > FEW:
            yield f"  and {len(lines) - FEW} more (--json FILE lists all)"
