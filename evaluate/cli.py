"""The command ``evaluate``: split, compare, test."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurize.errors import UsageError
from featurize.terminal import add_command, log, new_parser, run_command

DESCRIPTION = "What may be believed: set photos aside, compare features and heads, test a model."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 a known error (2, usage, comes from argparse)."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    parser.set_defaults(command_line=shlex.join(["evaluate", *given]))
    return run_command(parser, given)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands."""
    parser = new_parser(
        "evaluate", DESCRIPTION, "evaluate compare flowers.parquet --heads softmax svm --report report.html"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_split(commands)
    _add_compare(commands)
    _add_test(commands)
    return parser


def _add_split(commands: Any) -> None:
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


def _add_compare(commands: Any) -> None:
    compare = add_command(
        commands,
        "compare",
        _compare,
        "Cross-validate heads on features over the same folds, and say which is better by how much.",
        "evaluate compare flowers.parquet --features inception_v3 glcm inception_v3+glcm --heads softmax svm mlp "
        "--cv 5 --report report.html --json report.json",
    )
    compare.add_argument("table", metavar="TABLE", help="a .parquet or .npz table of features")
    compare.add_argument(
        "--features",
        nargs="+",
        metavar="SPEC",
        help="columns of the table, or several joined with + (default: every column, and all of them together)",
    )
    compare.add_argument(
        "--heads",
        nargs="+",
        default=["softmax", "svm", "mlp"],
        metavar="SPEC",
        help="heads by name, such as svm or svm:C=10 (default: softmax svm mlp)",
    )
    compare.add_argument("--cv", type=int, default=5, metavar="K", help="number of folds (default: 5)")
    compare.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="divide anew N times (default: 1)"
    )
    compare.add_argument(
        "--relabel",
        metavar="MAP",
        help="CSV with the columns label,new_label; an empty new_label drops the class",
    )
    _add_outputs(compare)


def _add_test(commands: Any) -> None:
    test = add_command(
        commands,
        "test",
        _test,
        "Try a model on a test set: accuracy, confusion, scores by label, misclassified photos.",
        "evaluate test flowers.model new-photos.parquet --report test.html",
    )
    test.add_argument("model", metavar="MODEL", help="a model that `classify train` wrote")
    test.add_argument("table", metavar="TABLE", help="a .parquet or .npz table with the model's features")
    test.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TYPE",
        help="a type that the model may hold beyond the known safe ones; may be repeated",
    )
    _add_outputs(test)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", metavar="FILE.html", help="write a report for people, one self-contained file"
    )
    parser.add_argument("--json", metavar="FILE.json", help="write the same content for programs")
    parser.add_argument(
        "--images", metavar="DIR", help="where the report finds the photos, if they have moved"
    )


def _split(args: argparse.Namespace) -> int:
    from evaluate.splits import crossing_images, split_table
    from evaluate.text import split_as_text
    from featurize.table import FeatureTable
    from featurize.tablefile import table_kind

    _check_ours()
    table_kind(args.output)
    _check_folders(args.output)
    table = split_table(
        FeatureTable.read(args.table),
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
    table.write(args.output)
    print(split_as_text(table))
    log.info("wrote %s", args.output)
    return 0


def _compare(args: argparse.Namespace) -> int:
    from classify.rows import read_relabel
    from evaluate.comparison import compare
    from featurize.table import FeatureTable

    _check_ours()
    _check_outputs(args)
    relabel = read_relabel(args.relabel) if args.relabel else None
    found = compare(
        FeatureTable.read(args.table),
        args.features,
        args.heads,
        cv=args.cv,
        repeats=args.repeats,
        seed=args.seed,
        relabel=relabel,
        jobs=args.jobs,
    )
    return _hand_over(found, args)


def _test(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from classify.persist import load_model
    from evaluate.testing import test
    from featurize.table import FeatureTable

    _check_ours()
    _check_outputs(args)
    with threadpool_limits(args.jobs):
        found = test(load_model(args.model, trust=args.trust), FeatureTable.read(args.table))
    return _hand_over(found, args)


def _hand_over(found: Any, args: argparse.Namespace) -> int:
    """The text to stdout, the files where they are wanted."""
    from evaluate.report import write_report
    from featurize.files import whole_file

    found.command = args.command_line
    print(found)
    if args.json:
        with whole_file(args.json) as partial:
            text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
        log.info("wrote %s", args.json)
    if args.report:
        write_report(found, args.report, args.images)
        log.info("wrote %s", args.report)
    return 0


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse before the work what would fail after it."""
    if args.images and not args.report:
        raise UsageError(
            "--images was given without --report", "add --report FILE.html; only the report shows photos"
        )
    if args.images and not Path(args.images).is_dir():
        raise UsageError(
            f"there is no folder {args.images}", "give the folder that the names of the images start from"
        )
    _check_folders(args.report, args.json)


def _check_folders(*files: str | None) -> None:
    for file in files:
        if file and Path(file).is_dir():
            raise UsageError(f"{file} is a folder", "give the name of a file in it")
        if file and not Path(file).absolute().parent.is_dir():
            raise UsageError(f"there is no folder {Path(file).parent}", "make it first, or write elsewhere")


def _check_ours() -> None:
    """Hugging Face's package has the same import name; installed later, its files lie over ours."""
    import evaluate

    if "split_table" not in getattr(evaluate, "__all__", ()):
        raise UsageError(
            f"the package evaluate in {Path(str(evaluate.__file__)).parent} is not bottlehead's; Hugging Face's "
            "evaluate has the same name",
            "use an environment of its own: python3 -m venv .venv && .venv/bin/pip install bottlehead",
        )
