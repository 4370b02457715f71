"""``evaluate curve``: would more photos help, and of which label?"""

import argparse
from typing import Any

from evaluate.output import add_outputs, check_ours, check_outputs, hand_over
from featurize.terminal import add_command


def add_curve(commands: Any) -> None:
    """The subcommand and its options."""
    curve = add_command(
        commands,
        "curve",
        _curve,
        "Accuracy against images per label, overall and by label, and a guess of what more photos would bring.",
        "evaluate curve flowers.parquet --features inception_v3 --head softmax --report curve.html",
    )
    curve.add_argument("table", metavar="TABLE", help="a .parquet or .npz table of features")
    curve.add_argument(
        "--features",
        metavar="SPEC",
        help="a column of the table, or several joined with + (default: all columns together)",
    )
    curve.add_argument(
        "--head", default="softmax", metavar="SPEC", help="a head, such as svm:C=10 (default: softmax)"
    )
    curve.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        metavar="N",
        help="images per label (default: 5, 10, 20, ... up to all there are)",
    )
    curve.add_argument("--cv", type=int, default=5, metavar="K", help="number of folds (default: 5)")
    curve.add_argument("--repeats", type=int, default=1, metavar="N", help="divide anew N times (default: 1)")
    curve.add_argument(
        "--relabel",
        metavar="MAP",
        help="CSV with the columns label,new_label, a line for every label of the table; an empty new_label drops it",
    )
    add_outputs(curve)


def _curve(args: argparse.Namespace) -> int:
    from classify.rows import read_relabel
    from evaluate.studies.curve import learning_curve
    from featurize.table import FeatureTable

    check_ours()
    check_outputs(args)
    found = learning_curve(
        FeatureTable.read(args.table),
        args.features,
        args.head,
        sizes=args.sizes,
        cv=args.cv,
        repeats=args.repeats,
        seed=args.seed,
        relabel=read_relabel(args.relabel) if args.relabel else None,
        jobs=args.jobs,
    )
    return hand_over(found, args)
