"""The commands that take vectors from elsewhere: ``featurize import-bottlenecks``, ``import-vectors``, ``adopt``."""

import argparse
from typing import Any

from featurize.commands import add_command
from featurize.options import add_keep, add_output, add_rejects, checked_rejects_file, counted, write_rejects
from featurize.outputs import TABLE, check_outputs, where_written
from featurize.terminal import log


def add_import_commands(commands: Any) -> None:
    """Add ``import-bottlenecks``, ``import-vectors`` and ``adopt`` to the commands of ``featurize``."""
    summary = "Turn retrain.py's bottleneck folder into a table."
    example = "featurize import-bottlenecks /tmp/bottleneck -o flowers.parquet"
    command = add_command(commands, "import-bottlenecks", _import_bottlenecks, summary, example)
    text = "one folder per label with PHOTO.jpg_NETWORK.txt files"
    command.add_argument("folder", metavar="DIR", help=text)
    add_output(command)
    text = "take the vectors of these networks (default: all)"
    command.add_argument("--features", nargs="+", metavar="NETWORK", help=text)
    text = (
        "the frozen graph that made the vectors of one network, so that a model on them predicts new photos"
    )
    command.add_argument("--graph", metavar="FILE.pb", help=text)
    text = "with --graph: retrain.py's image_dir, some photos of which are compared with their vectors"
    command.add_argument("--photos", metavar="DIR", help=text)
    add_rejects(command, "files")
    _add_import_vectors(commands)
    summary = "Give a table that pandas, polars, DuckDB or another program wrote back its provenance back."
    example = "featurize adopt edited.parquet --like flowers.parquet -o flowers2.parquet"
    command = add_command(commands, "adopt", _adopt, summary, example)
    text = "rows dropped or moved, label, group or split changed; image, sha256, variant and vectors as they were"
    command.add_argument("edited", metavar="EDITED.parquet", help=text)
    text = "the table that was edited, as featurize wrote it"
    command.add_argument("--like", required=True, metavar="TABLE", help=text)
    add_output(command)


def _import_bottlenecks(args: argparse.Namespace) -> int:
    from featurize.extraction.bottlenecks import import_bottlenecks

    rejects_file = checked_rejects_file(args, args.folder)
    found = import_bottlenecks(args.folder, args.features, graph=args.graph, photos=args.photos)
    if args.graph is None:
        log.info(
            "how these vectors are made of photos is not known: models on them predict tables alone; "
            "--graph FILE.pb --photos DIR tells it"
        )
    found.table.write(args.output)
    write_rejects(rejects_file, found.rejects, args.excel)
    for what, count in sorted(found.ignored.items()):
        log.info("ignored %d files: %s", count, what)
    if found.rejects:
        files = "1 file was" if len(found.rejects) == 1 else f"{len(found.rejects)} files were"
        log.warning("%s left out; see %s", files, rejects_file)
    widths = ", ".join(f"{name} ({matrix.shape[1]})" for name, matrix in found.table.vectors.items())
    log.info("wrote %s: %d rows, %s", where_written(args.output), len(found.table), widths)
    return 0


def _add_import_vectors(commands: Any) -> None:
    summary = (
        "Turn vectors that were made elsewhere into a table; how they were made stays unknown, which is said."
    )
    example = "featurize import-vectors clip.npy --manifest photos.csv -o clip.parquet"
    command = add_command(commands, "import-vectors", _import_vectors, summary, example)
    text = ".parquet with lists of numbers, or one column for each number; or .npy of shape (n_rows, width)"
    command.add_argument("vectors", metavar="VECTORS", help=text)
    add_output(command)
    text = "image[,label][,group][,split] of each row, in the same order (.csv, .tsv, .xlsx, .parquet); .npy needs it"
    command.add_argument("--manifest", metavar="FILE", help=text)
    text = "which column is what, as image=filename,vector=embedding; vector=emb_* where each number has a column"
    command.add_argument("--columns", metavar="NAME=COLUMN,...", help=text)
    text = "what the features are called (default: as their column, or as the .npy file)"
    command.add_argument("--name", metavar="NAME", help=text)
    add_keep(command)
    add_rejects(command, "rows")


def _import_vectors(args: argparse.Namespace) -> int:
    from featurize.extraction.vector_files import VECTOR, import_vectors
    from featurize.photos.manifest import COLUMNS, columns_of, kept_of

    columns = {} if args.columns is None else columns_of(args.columns, (*COLUMNS, VECTOR))
    rejects_file = checked_rejects_file(args, args.vectors, *filter(None, [args.manifest]))
    options = {"columns": columns, "name": args.name, "keep": kept_of(args.keep)}
    found = import_vectors(args.vectors, args.manifest, **options)
    found.table.write(args.output)
    write_rejects(rejects_file, found.rejects, args.excel)
    for note in found.notes:
        log.info("%s", note)
    for warning in found.warnings:
        log.warning("%s", warning)
    log.info("labels: %s", counted("(none)" if one is None else one for one in found.table.label))
    if found.rejects:
        rows = "1 row was" if len(found.rejects) == 1 else f"{len(found.rejects)} rows were"
        log.warning("%s left out; see %s", rows, rejects_file)
    log.info("wrote %s: %s", where_written(args.output), repr(found.table).partition(": ")[2])
    return 0


def _adopt(args: argparse.Namespace) -> int:
    from featurize.adopt import adopt
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    table_kind(args.output)
    check_outputs([(args.output, TABLE)], [args.edited, args.like])
    like = FeatureTable.read(args.like)
    found = adopt(args.edited, like)
    found.table.write(args.output)
    if found.unknown:
        log.warning("left out %s: a table has no such columns", ", ".join(found.unknown))
    if found.without:
        log.info("without the vectors of %s, which are not in %s", ", ".join(found.without), args.edited)
    rows = f"{len(found.table)} of {len(like)} rows, whose vectors are those of {args.like}"
    log.info("wrote %s: %s", where_written(args.output), rows)
    return 0
