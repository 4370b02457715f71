"""The command ``evaluate split``: rows set aside for testing and validation, or divided into folds."""

import argparse
from typing import Any

from evaluate.options import add_table, refuse_foreign_evaluate
from featurize.commands import OptionsError, add_command, add_excel, check_excel
from featurize.errors import UsageError
from featurize.outputs import CSV, TABLE, check_outputs, same_file, where_written
from featurize.terminal import log


def add_split(commands: Any) -> None:
    """Add ``split`` to the commands of ``evaluate``."""
    split = add_command(
        commands,
        "split",
        _split,
        "Set rows aside for testing and validation: fill the split column of a table, or write a folds file.",
        "evaluate split flowers.parquet --testing-percentage 20 -o divided.parquet\n"
        "evaluate split flowers.parquet --cv 5 -o folds.csv",
    )
    add_table(split)
    text = (
        "stratified: every label in the same proportions, groups together (default); group: whole groups, "
        "whatever their labels; hash: by the name, as retrain.py did, stable as the set grows; for a folds file "
        "also leave-one-group-out, and predefined: the split that the table has"
    )
    split.add_argument(
        "--method",
        choices=("stratified", "hash", "group", "leave-one-group-out", "predefined"),
        default="stratified",
        help=text,
    )
    for side in ("testing", "validation"):
        text = f"share for {side} (default: 10)"
        split.add_argument(f"--{side}-percentage", type=float, metavar="P", help=text)
    text = (
        "with hash: the name as the table has it (default), the bare file name, or the path as it was typed "
        "to retrain.py, which needs --folder"
    )
    split.add_argument("--name", choices=("image", "file", "path"), default="image", help=text)
    text = "with --name path: the folder of class folders as it was typed"
    split.add_argument("--folder", metavar="DIR", help=text)
    text = "with hash: images that belong together go to one side, training before validation before testing"
    split.add_argument("--keep-together", action="store_true", help=text)
    text = "put near-identical photos into one group first, so that no side or fold parts them"
    split.add_argument("--group-duplicates", action="store_true", help=text)
    text = "divide into K folds (stratified, groups together) instead of sides; -o is then a folds file"
    split.add_argument("--cv", type=int, metavar="K", help=text)
    text = "with --cv: divide anew N times (default: 1)"
    split.add_argument("--repeats", type=int, default=1, metavar="N", help=text)
    text = "take the sides from this folds file instead of making them"
    split.add_argument("--folds", metavar="FOLDS.csv", help=text)
    text = (
        "a table (.parquet or .npz), or a folds file (.csv with the columns sha256,fold, with --repeats "
        "sha256,repeat,fold), by which others repeat the same division after photos were renamed or added"
    )
    split.add_argument("-o", "--output", required=True, metavar="FILE", help=text)
    add_excel(split)


def _split(args: argparse.Namespace) -> int:
    from evaluate.report.text import split_as_text
    from evaluate.splits.checked_folds import write_folds
    from evaluate.splits.split import crossing_images
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    refuse_foreign_evaluate()
    _check_options(args)
    as_folds = args.output.lower().endswith(".csv")
    check_excel(args, as_folds)
    if not as_folds:
        table_kind(args.output)
    check_outputs(
        [(args.output, CSV if as_folds else TABLE)], [args.folds, args.table] if as_folds else [args.folds]
    )
    given = FeatureTable.read(args.table)
    if args.group_duplicates:
        given = _near_duplicates_grouped(given, args.jobs)
    if args.cv or args.method == "leave-one-group-out":
        return _write_numbered(args, given)
    n_split = sum(side is not None for side in given.split)
    if n_split and not as_folds:
        log.warning("this replaces the split of %d rows", n_split)
    table = _divided(args, given)
    crossing = crossing_images(table)
    if crossing:
        log.warning(
            "%d images belong together with one on another side (identical files or one group); --keep-together "
            "moves them, and the methods stratified and group never part them",
            crossing,
        )
    if as_folds:
        photos = table.filter(table.variant == 0)
        write_folds(args.output, photos, photos.split, excel=args.excel)
    else:
        if same_file(args.output, args.table):
            log.warning("%s is the table that was read; it now has this split", args.output)
        table.write(args.output)
    log.info("wrote %s", where_written(args.output))
    print(split_as_text(table))
    return 0


def _near_duplicates_grouped(table: Any, jobs: int | None) -> Any:
    from threadpoolctl import threadpool_limits

    from evaluate.checks.leakage import find_near_duplicates

    with threadpool_limits(jobs):
        return find_near_duplicates(table, True)[1]


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that would have no effect, and a file of the wrong kind."""
    numbered = args.cv is not None or args.method == "leave-one-group-out"
    sides_given = args.folds is not None or args.method == "predefined"
    shares = args.testing_percentage is not None or args.validation_percentage is not None
    hashed = args.method == "hash"
    if (numbered or args.method == "predefined") and not args.output.lower().endswith(".csv"):
        what = f"--cv {args.cv}" if args.cv is not None else f"--method {args.method}"
        raise OptionsError(
            f"{what} makes folds, and {args.output} is no folds file by its name", "write -o FOLDS.csv"
        )
    clashes = {
        "--repeats without --cv": args.repeats != 1 and args.cv is None,
        "--cv and --folds": args.cv is not None and args.folds is not None,
        f"--cv and --method {args.method}": args.cv is not None
        and args.method not in ("stratified", "group"),
        f"--folds and --method {args.method}": args.folds is not None and args.method != "stratified",
        "percentages and folds or a split that is there": shares and (numbered or sides_given),
        f"--name, --folder or --keep-together and --method {args.method}": args.method != "hash"
        and (args.name != "image" or args.folder is not None or args.keep_together),
        "--group-duplicates and a division that does not ask for groups": args.group_duplicates
        and (sides_given or args.method == "leave-one-group-out" or (hashed and not args.keep_together)),
    }
    for what, clash in clashes.items():
        if clash:
            together = "was given" if " without " in what else "were given together"
            raise OptionsError(f"{what} {together}", "leave one out: it would have no effect")


def _divided(args: argparse.Namespace, given: Any) -> Any:
    """The table with its split: from a folds file, as it is, or made."""
    from evaluate.splits.checked_folds import side_of_rows
    from evaluate.splits.split import split_table

    if args.folds is not None:
        return given.with_column("split", side_of_rows(args.folds, given))
    if args.method == "predefined":
        if all(side is None for side in given.split):
            raise UsageError(
                f"none of the {len(given)} rows of the table has a split",
                "give a table with one (a manifest with a split column, or `evaluate split`), or another method",
            )
        return given
    testing, validation = (
        10 if share is None else share for share in (args.testing_percentage, args.validation_percentage)
    )
    how = {"name": args.name, "folder": args.folder, "keep_together": args.keep_together}
    return split_table(given, args.method, testing, validation, args.seed, **how)


def _write_numbered(args: argparse.Namespace, given: Any) -> int:
    from classify.rows import usable_rows
    from evaluate.report.text import folds_as_text
    from evaluate.splits.checked_folds import fold_of_rows, folds_for, write_folds

    table = usable_rows(given, "split")
    method = "leave-one-group-out" if args.method == "leave-one-group-out" else "stratified"
    folds, _ = folds_for(table, method, cv=args.cv or 5, repeats=args.repeats, seed=args.seed)
    repeats = [fold_of_rows(folds, len(table), repeat) for repeat in range(args.repeats)]
    write_folds(args.output, table, *repeats, excel=args.excel)
    log.info("wrote %s", where_written(args.output))
    if args.repeats > 1:
        log.info("the first of %d repeats:", args.repeats)
    print(folds_as_text(table, repeats[0]))
    return 0
