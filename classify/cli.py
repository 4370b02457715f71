"""The command ``classify``: train, predict, neighbours, show, heads."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from classify.graphscli import add_import_graph
from classify.predictcli import add_neighbours, add_predict
from featurize.terminal import add_command, key_values, log, new_parser, run_command


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    parser = new_parser(
        "classify",
        "Train scikit-learn heads on vectors, and use them on photos.",
        "classify train flowers.parquet -o flowers.model --head svm\nclassify predict flowers.model photo.jpg",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    add_predict(commands)
    add_neighbours(commands)
    _add_show(commands)
    add_import_graph(commands)
    add_command(
        commands,
        "heads",
        _heads,
        "List the heads by name, with their defaults and search grids.",
        "classify heads",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 done, 1 a known error, 2 usage."""
    return run_command(build_parser(), argv)


def _add_train(commands) -> None:
    parser = add_command(
        commands,
        "train",
        _train,
        "Train a head on the vectors of a table, and keep it as a model.",
        "classify train flowers.parquet -o flowers.model --head svm:C=10 --features inception_v3+glcm",
    )
    parser.add_argument("table", metavar="TABLE", help="a .parquet or .npz that `featurize extract` made")
    parser.add_argument("-o", "--output", required=True, metavar="MODEL", help="where to write the model")
    parser.add_argument(
        "--head",
        default="softmax",
        metavar="SPEC",
        help="name[:param=value,...], or the dotted path of a scikit-learn classifier (default: softmax)",
    )
    parser.add_argument(
        "--features",
        metavar="SPEC",
        help="a features column, or several joined with + (default: all columns of the table)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="PARAM=VALUE",
        help="parameters of the head, for example --set C=10 gamma=0.5",
    )
    parser.add_argument(
        "--balanced",
        action="store_true",
        help="every label counts the same, however many photos it has (class_weight=balanced)",
    )
    parser.add_argument(
        "--relabel", metavar="MAP", help="a CSV with the columns label,new_label; empty drops"
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="search the head's parameters first (`classify heads` lists the grids)",
    )
    parser.add_argument(
        "--tune-by",
        choices=("log-loss", "accuracy"),
        default="log-loss",
        help="the score that decides the search (default: log-loss)",
    )
    _add_trust(parser, "the head may consist of")


def _add_show(commands) -> None:
    parser = add_command(
        commands,
        "show",
        _show,
        "Print the model card: labels, features, weights, training.",
        "classify show flowers.model",
    )
    parser.add_argument("model", metavar="MODEL", help="a model that `classify train` made")
    _add_trust(parser, "the model may consist of")


def _add_trust(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="TYPE",
        help=f"a dotted type that {what} beyond the safe ones; repeatable",
    )


def _train(args: argparse.Namespace) -> int:
    from classify.persist import check_target, save_model
    from classify.rows import read_relabel
    from classify.spec import with_params
    from classify.train import train
    from featurize.table import FeatureTable

    check_target(args.output, args.table)
    balanced = {"class_weight": "balanced"} if args.balanced else {}
    model = train(
        FeatureTable.read(args.table),
        with_params(args.head, balanced | key_values(args.set, "--set")),
        args.features,
        seed=args.seed,
        relabel=read_relabel(args.relabel) if args.relabel else None,
        tune=args.tune_by if args.tune else None,
        trust=args.trust,
        jobs=args.jobs,
    )
    save_model(model, args.output)
    size = Path(args.output).stat().st_size
    log.info(
        "wrote %s: %s on %s, %d labels, %.1f s, %.1f MB",
        args.output,
        model.training["head"],
        model.features,
        len(model.labels),
        model.training["seconds"],
        size / 1e6,
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from classify.card import model_card
    from classify.persist import load_model

    model = load_model(args.model, trust=args.trust)
    sys.stdout.write(model_card(model, Path(args.model).stat().st_size))
    return 0


def _heads(args: argparse.Namespace) -> int:
    from classify.heads import HEADS
    from classify.tuning import GRIDS

    longest = max(map(len, HEADS))
    for name, registered in HEADS.items():
        defaults = ", ".join(f"{key}={value}" for key, value in registered.defaults.items())
        print(f"{name:<{longest}}  {registered.summary}")
        print(f"{'':<{longest}}  {registered.classifier}{': ' + defaults if defaults else ''}")
        if GRIDS[name]:
            grid = "; ".join(f"{key} {', '.join(map(str, values))}" for key, values in GRIDS[name].items())
            print(f"{'':<{longest}}  --tune tries {grid}")
    return 0
