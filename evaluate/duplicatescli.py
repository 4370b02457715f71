"""``evaluate duplicates``: which photos are the same picture twice."""

import argparse
from typing import Any

from evaluate.output import add_outputs, check_ours, check_outputs, hand_over
from featurize.terminal import add_command, log


def add_duplicates(commands: Any) -> None:
    """The subcommand and its options."""
    duplicates = add_command(
        commands,
        "duplicates",
        _duplicates,
        "Find byte-identical and near-identical photos, and those of them that carry different labels.",
        "evaluate duplicates flowers.parquet --report duplicates.html\n"
        "evaluate duplicates flowers.parquet --group-duplicates grouped.parquet",
    )
    duplicates.add_argument("table", metavar="TABLE", help="a .parquet or .npz table of features")
    duplicates.add_argument(
        "--features",
        metavar="SPEC",
        help="whose vectors are compared (default: the widest column that is not nuisance)",
    )
    duplicates.add_argument(
        "--threshold",
        type=float,
        default=0.97,
        metavar="S",
        help="cosine similarity from which two photos count as the same picture: 0.97 (default) finds more "
        "than 9 in 10 copies that were compressed, brightened or cropped by a tenth, and hardly ever joins "
        "different photos; 0.95 also finds most halved copies, and joins one pair of different photos in 9000",
    )
    duplicates.add_argument(
        "--group-duplicates",
        metavar="TABLE",
        help="write the table with the photos of every pair in one group, so that no split parts them",
    )
    add_outputs(duplicates)


def _duplicates(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from evaluate.checks.duplicates import find_duplicates, group_duplicates
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    check_ours()
    check_outputs(args, args.group_duplicates)
    if args.group_duplicates:
        table_kind(args.group_duplicates)
    table = FeatureTable.read(args.table)
    with threadpool_limits(args.jobs):
        found = find_duplicates(table, args.features, args.threshold)
    if args.group_duplicates:
        grouped = group_duplicates(table, found.rows)
        grouped.write(args.group_duplicates)
        log.info("wrote %s", args.group_duplicates)
    return hand_over(found, args)
