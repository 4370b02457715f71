"""The command ``featurize scan``: the account of a source, as text for people and JSON for programs."""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featurize.columns import columns_taken, padded
from featurize.errors import SourceError
from featurize.terminal import add_command, printable

if TYPE_CHECKING:
    from featurize.photos.scan import Scan

SHOWN = 20  # lines of a list on the terminal; the JSON holds all


def add_scan(commands: Any) -> None:
    """Add ``scan`` to the subcommands of ``featurize``."""
    command = add_command(
        commands,
        "scan",
        _scan,
        "Say which photos of SOURCE would be used, which not, and why; nothing is computed.",
        "featurize scan photos/",
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="folder of class folders, flat folder, or manifest .csv/.parquet with image[,label][,group][,split]",
    )
    command.add_argument(
        "--group-by",
        metavar="REGEX",
        help="its first capture group in the image's name is the group (default: text before _nohash_)",
    )
    command.add_argument("--json", metavar="FILE", help="write everything, photo by photo, for programs")


def _scan(args: argparse.Namespace) -> int:
    from featurize.files import check_outputs
    from featurize.photos.scan import scan_source

    check_outputs([args.json], [args.source])
    found = scan_source(args.source, group_by=args.group_by, jobs=args.jobs)
    if args.json:
        _write_json(args.json, found)
    for line in scan_lines(found):
        print(line)
    if not found.usable:
        raise SourceError(
            f"not one of the {len(found.rejects)} images can be used", "the reasons are listed above"
        )
    return 0


def _write_json(path: str, found: "Scan") -> None:
    from featurize.files import whole_file

    with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as stream:
        json.dump(found.to_json(), stream, indent=1, ensure_ascii=False)


def scan_lines(found: "Scan") -> Iterator[str]:
    """The account of a source, line by line; every file is counted once, as used, rejected or ignored."""
    n_used, n_rejected, n_ignored = len(found.usable), len(found.rejects), found.ignored.total()
    yield (
        f"{n_used + n_rejected + n_ignored} files: {n_used} images will be used, {n_rejected} rejected, "
        f"{n_ignored} ignored"
    )
    yield from _class_lines(found)
    yield from _fact_lines(found)
    yield from _section("ignored", [f"{kind}: {count}" for kind, count in sorted(found.ignored.items())])
    yield from _section("rejected", [f"{printable(image)}: {reason}" for image, reason in found.rejects])
    alike = [", ".join(printable(image.image) for image in images) for images in found.identical]
    yield from _section("byte-identical (kept together in every split)", alike)
    torn = [
        ", ".join(f"{printable(image.image)} ({printable(image.label or 'no label')})" for image in images)
        for images in found.conflicts
    ]
    yield from _section("one photo, two labels", torn)
    yield from _section(
        "class names that differ in case or Unicode form only (one folder on Windows and macOS)",
        [", ".join(map(printable, labels)) for labels in found.colliding_labels],
    )
    yield from _section("classes with too few photos to split", _small_lines(found))


def _class_lines(found: "Scan") -> Iterator[str]:
    shown = {label: printable(label) if label is not None else "(no label)" for label in found.classes}
    rejected = (
        Counter(image.partition("/")[0] for image, _ in found.rejects) if found.kind == "folder" else {}
    )
    width = max(map(columns_taken, shown.values()), default=0)
    for label, rows in found.classes.items():
        n_groups = found.n_groups(label)
        apart = f" in {n_groups} groups" if n_groups < len(rows) else ""
        left_out = f", {rejected[label]} rejected" if label is not None and rejected.get(label) else ""
        yield f"  {padded(shown[label], width)} {len(rows):6}{apart}{left_out}"


def _fact_lines(found: "Scan") -> Iterator[str]:
    contents = [content for _, content in found.usable]
    if not contents:
        return
    by_area = sorted(contents, key=lambda content: content.width * content.height)
    sizes = [f"{c.width} × {c.height}" for c in (by_area[0], by_area[len(by_area) // 2], by_area[-1])]
    yield f"sizes: {sizes[0]} to {sizes[2]}, median {sizes[1]}; {sum(c.bytes for c in contents) / 1e6:,.1f} MB"
    yield f"formats: {_tally(content.format for content in contents)}"
    splits = _tally(image.split for image, _ in found.usable if image.split)
    if splits:
        yield f"splits: {splits}"


def _tally(values: Any) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values).most_common())


def _small_lines(found: "Scan") -> list[str]:
    from featurize.photos.scan import FOLDS, TEST_SHARE

    return [
        f"{printable(label)}: {size}, "
        + (
            f"fewer than {FOLDS} folds need"
            if size < FOLDS
            else f"fewer than {TEST_SHARE} for a test set of a tenth"
        )
        for label, size in found.small_classes.items()
    ]


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:SHOWN])
        if len(lines) > SHOWN:
            yield f"  and {len(lines) - SHOWN} more (--json FILE lists all)"
