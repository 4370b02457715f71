"""``evaluate split``: which photos are set aside; and the options of `compare` about folds."""

import argparse
import os
from typing import Any

from evaluate.output import check_ours
from featurize.files import check_outputs
from featurize.terminal import add_command, log


def add_split(commands: Any) -> None:
    """The subcommand and its options."""
    split = add_command(
        commands,
        "split",
        _split,
        "Set rows aside for testing and validation: fill the split column of a table.",
        "evaluate split flowers.parquet --testing-percentage 20 -o divided.parquet",
    )
    split.add_argument("table", metavar="TABLE", help="a .parquet or .npz table of features")
    split.add_argument(
        "--method",
        choices=("stratified", "hash", "group"),
        default="stratified",
        help="stratified: every label in the same proportions, groups together (default); group: whole groups, "
        "whatever their labels; hash: by the name, as retrain.py did, stable as the set grows",
    )
    for side in ("testing", "validation"):
        split.add_argument(
            f"--{side}-percentage",
            type=float,
            default=10,
            metavar="P",
            help=f"share for {side} (default: 10)",
        )
    split.add_argument("-o", "--output", required=True, metavar="TABLE", help="where to write the table")


def add_folds(compare: argparse.ArgumentParser) -> None:
    """The options of ``evaluate compare`` that say which photos are tested by which heads."""
    compare.add_argument(
        "--folds",
        default="stratified",
        metavar="F",
        help="stratified (default): --cv folds, --repeats times, every label in the same proportions and groups "
        "together; leave-one-group-out: every given group is tested once; predefined: train on the training rows "
        "of the table's split, test on its validation rows; or a file that `evaluate split -o FOLDS.csv` wrote",
    )
    compare.add_argument(
        "--group-duplicates",
        action="store_true",
        help="keep near-identical photos together too, and print the accuracy with and without that",
    )


def _split(args: argparse.Namespace) -> int:
    from evaluate.splits import crossing_images, split_table
    from evaluate.text import split_as_text
    from featurize.table import FeatureTable
    from featurize.tablefile import table_kind

    check_ours()
    table_kind(args.output)
    check_outputs([args.output])  # the table itself may take its split; that is said
    given = FeatureTable.read(args.table)
    n_split = sum(side is not None for side in given.split)
    if n_split:
        log.warning("this replaces the split of %d rows", n_split)
    table = split_table(
        given,
        args.method,
        args.testing_percentage,
        args.validation_percentage,
        args.seed,
    )
    crossing = crossing_images(table)
    if crossing:
        log.warning(
            "%d images belong together with one on another side (identical files or one group); "
            "the methods stratified and group keep them together",
            crossing,
        )
    if os.path.exists(args.output) and os.path.samefile(args.output, args.table):
        log.warning("%s is the table that was read; it now has this split", args.output)
    table.write(args.output)
    log.info("wrote %s", args.output)
    print(split_as_text(table))
    return 0
