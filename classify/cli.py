"""The command ``classify``: train, predict, neighbours, show, heads."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from classify.graphscli import add_import_graph
from classify.predictcli import add_neighbours, add_predict
from classify.traincli import add_train
from featurize.terminal import add_command, new_parser, run_command


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    parser = new_parser(
        "classify",
        "Train scikit-learn heads on vectors, and use them on photos.",
        "classify train flowers.parquet -o flowers.model --head svm\nclassify predict flowers.model photo.jpg",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_train(commands)
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


def _show(args: argparse.Namespace) -> int:
    from classify.startup import import_lightly

    import_lightly()
    from classify.model.card import model_card
    from classify.model.modelfile import load_model

    model = load_model(args.model, trust=args.trust)
    sys.stdout.write(model_card(model, Path(args.model).stat().st_size))
    return 0


def _heads(args: argparse.Namespace) -> int:
    from classify.heads.registry import HEADS
    from classify.heads.tuning import GRIDS

    longest = max(map(len, HEADS))
    for name, registered in HEADS.items():
        defaults = ", ".join(f"{key}={value}" for key, value in registered.defaults.items())
        print(f"{name:<{longest}}  {registered.summary}")
        print(f"{'':<{longest}}  {registered.classifier}{': ' + defaults if defaults else ''}")
        if GRIDS[name]:
            grid = "; ".join(f"{key} {', '.join(map(str, values))}" for key, values in GRIDS[name].items())
            print(f"{'':<{longest}}  --tune tries {grid}")
    return 0
