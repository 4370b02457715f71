"""What several commands share about photos and tables: options, and the file of what was left out."""

import argparse
import os
from collections import Counter
from collections.abc import Iterable
from typing import Any

from featurize.commands import add_excel
from featurize.outputs import CSV, TABLE, check_outputs, whole_file

LABELS_SHOWN = 12


def add_source(command: argparse.ArgumentParser) -> None:
    """Add the source of the photos, and how a manifest is to be read."""
    manifest = "manifest .csv/.tsv/.xlsx/.parquet with image[,label][,group][,split]"
    folder = "folder of class folders, or of train/val/test folders of these, flat folder"
    text = (
        f"{folder}, .zip or .tar[.gz|.bz2|.xz] of one, {manifest}, or .parquet with photos; or the URL of one"
    )
    command.add_argument("source", metavar="SOURCE", help=text)
    add_manifest_options(command)


def add_manifest_options(command: argparse.ArgumentParser) -> None:
    """Add how a manifest is to be read."""
    text = "of a manifest: which column is what, as image=filename,label=class,group=patient,split=set"
    command.add_argument("--columns", metavar="NAME=COLUMN,...", help=text)
    text = "of a manifest: the folder or URL that its names are relative to (default: its own)"
    command.add_argument("--root", metavar="DIR", help=text)


def manifest_options(args: argparse.Namespace) -> dict[str, Any]:
    """How a manifest is to be read, as arguments of `list_source`."""
    from featurize.photos.manifest import columns_of

    return {"columns": {} if args.columns is None else columns_of(args.columns), "root": args.root}


def add_group_by(command: argparse.ArgumentParser) -> None:
    """Add how names tell the groups."""
    text = "its first capture group in the image's name is the group (default: text before _nohash_)"
    command.add_argument("--group-by", metavar="REGEX", help=text)


def add_max_megapixels(command: Any) -> None:
    """Add how large a photo may be."""
    text = "larger photos are rejected (default: 200); each takes 3 bytes of memory per pixel"
    command.add_argument("--max-megapixels", type=_megapixels, default=200.0, metavar="N", help=text)


def _megapixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e5:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give megapixels, above 0 and at most 100,000")
    return value


def add_output(command: argparse.ArgumentParser, required: bool = True) -> None:
    """Add where the table is written."""
    text = "the table: .parquet or .npz, here or at a URL"
    command.add_argument("-o", "--output", required=required, metavar="TABLE", help=text)


def add_rejects(command: argparse.ArgumentParser, what: str) -> None:
    """Add where it is told what was left out; `what` are files, images or rows."""
    text = f"{what} left out and why (default: TABLE with .rejects.csv)"
    command.add_argument("--rejects", metavar="FILE.csv", help=text)
    add_excel(command)


def checked_rejects_file(args: argparse.Namespace, *sources: str) -> str:
    """Where the rejects go, after a look at whether table and rejects can be written."""
    from featurize.tableformat import table_kind

    table_kind(args.output)
    rejects_file = args.rejects or os.path.splitext(args.output)[0] + ".rejects.csv"
    check_outputs([(args.output, TABLE), (rejects_file, CSV)], sources)
    return rejects_file


def add_graph_options(group: Any) -> None:
    """Add what a .pb file has to be told that is not recognised."""
    group.add_argument("--graph-input", metavar="TENSOR", help="where pixels enter a FILE.pb")
    text = "side of its square input, 1 to 1,024 pixels"
    group.add_argument("--graph-size", type=int, metavar="N", help=text)
    group.add_argument("--graph-mean", type=float, metavar="M", help="pixels enter as (RGB - M) / S")
    group.add_argument("--graph-std", type=float, metavar="S", help="see --graph-mean")


def graph_options(args: argparse.Namespace) -> dict[str, Any]:
    """The values of those options of `add_graph_options` that were given, as arguments of a FrozenGraph."""
    values = {name: getattr(args, f"graph_{name}") for name in ("input", "size", "mean", "std")}
    return {name: value for name, value in values.items() if value is not None}


def write_rejects(path: str, rejects: list[tuple[str, str]], excel: bool = False) -> None:
    """The rejects file: a CSV with the columns image and reason; `excel`: for a spreadsheet."""
    from featurize.files import csv_writer

    with whole_file(path, CSV) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv_writer(stream, excel)
        writer.writerow(["image", "reason"])
        writer.writerows(rejects)


def counted(values: Iterable[str]) -> str:
    """How often each value comes, by name; many are cut."""
    counts = sorted(Counter(values).items())
    more = f" and {len(counts) - LABELS_SHOWN} more" if len(counts) > LABELS_SHOWN else ""
    return ", ".join(f"{value} {count}" for value, count in counts[:LABELS_SHOWN]) + more


def add_keep(command: argparse.ArgumentParser) -> None:
    """Add the further columns that the table keeps."""
    text = "further columns of the manifest that the table keeps, such as age,site; never features"
    command.add_argument("--keep", metavar="COLUMN,...", help=text)
