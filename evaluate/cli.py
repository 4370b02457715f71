"""The command ``evaluate``: split, compare, curve, test, duplicates."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from evaluate.curvecli import add_curve
from evaluate.duplicatescli import add_duplicates
from evaluate.output import add_outputs, add_scores, check_ours, check_outputs, hand_over
from evaluate.splitcli import add_folds, add_split
from featurize.terminal import OptionsError, add_command, new_parser, run_command

DESCRIPTION = "What may be believed: set photos aside, compare features and heads, test a model."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 a known error, 2 usage."""
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
    add_split(commands)
    _add_compare(commands)
    add_curve(commands)
    _add_test(commands)
    add_duplicates(commands)
    return parser


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
        help="columns of the table, or several joined with + (default: every column but nuisance, and all of them "
        "together)",
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
    add_folds(compare)
    compare.add_argument(
        "--test",
        metavar="TABLE",
        help="train on all of the first table and test on this one (its testing rows, where it has a split), instead "
        "of folds",
    )
    compare.add_argument(
        "--balanced",
        action="store_true",
        help="every label counts the same (class_weight=balanced for each head)",
    )
    compare.add_argument(
        "--tune",
        action="store_true",
        help="search each head's parameters within each training side (`classify heads` lists the grids)",
    )
    compare.add_argument(
        "--tune-by",
        choices=("log-loss", "accuracy"),
        help="the score that decides the search (default: log-loss); asks for the search as --tune does",
    )
    compare.add_argument(
        "--relabel",
        metavar="MAP",
        help="CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it",
    )
    compare.add_argument(
        "--rope",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="a difference of so many accuracy points is practically none (default: 1)",
    )
    compare.add_argument(
        "--curve",
        action="store_true",
        help="also measure the best pair on ever fewer images per label, and guess what more would bring",
    )
    add_scores(compare)
    add_outputs(compare)


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
    test.add_argument(
        "--training",
        metavar="TABLE",
        help="the table that the model was trained on: test photos that are nearly one of it are counted "
        "(default: compare with the training vectors that the model keeps)",
    )
    add_scores(test)
    add_outputs(test)


def _compare(args: argparse.Namespace) -> int:
    from classify.startup import import_lightly

    import_lightly()
    from classify.heads.spec import with_params
    from classify.rows import read_relabel
    from evaluate.studies.compare import compare
    from evaluate.superclass import read_superclasses
    from featurize.table import FeatureTable

    check_ours()
    check_outputs(args)
    if args.test and args.folds != "stratified":
        raise OptionsError(
            "--test was given with --folds, which divide one table", "leave one of the two out"
        )
    if (args.test or args.folds != "stratified") and (args.cv, args.repeats) != (5, 1):
        what = "--test" if args.test else f"--folds {args.folds}"
        raise OptionsError(
            f"{what} was given with --cv or --repeats, which would have no effect",
            "leave them out: they are for stratified folds",
        )
    relabel = read_relabel(args.relabel) if args.relabel else None
    balanced = {"class_weight": "balanced"} if args.balanced else {}
    found = compare(
        FeatureTable.read(args.table),
        args.features,
        [with_params(head, balanced) for head in args.heads],
        tune=args.tune_by or ("log-loss" if args.tune else None),
        cv=args.cv,
        repeats=args.repeats,
        seed=args.seed,
        relabel=relabel,
        jobs=args.jobs,
        positive=args.positive,
        rope=args.rope,
        superclasses=read_superclasses(args.superclass) if args.superclass else None,
        folds=args.folds,
        group_duplicates=args.group_duplicates,
        curve=args.curve,
        test=FeatureTable.read(args.test) if args.test else None,
    )
    return hand_over(found, args)


def _test(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from classify.model.modelfile import load_model
    from evaluate.studies.testing import test
    from evaluate.superclass import read_superclasses
    from featurize.table import FeatureTable

    check_ours()
    check_outputs(args)
    with threadpool_limits(args.jobs):
        found = test(
            load_model(args.model, trust=args.trust),
            FeatureTable.read(args.table),
            positive=args.positive,
            superclasses=read_superclasses(args.superclass) if args.superclass else None,
            training=FeatureTable.read(args.training) if args.training else None,
        )
    return hand_over(found, args)
