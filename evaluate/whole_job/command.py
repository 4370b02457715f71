"""The command ``bottlehead``: the whole job at once."""

import argparse
from collections.abc import Sequence

from evaluate.whole_job.fit import EXAMPLE, add_fit
from evaluate.whole_job.retrain import add_retrain
from featurize.commands import new_parser, run_told_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 done, 1 a known error, 2 usage."""
    return run_told_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The command line, without running anything."""
    parser = new_parser(
        "bottlehead", "The whole job in one command: photos in, a model and a report out.", EXAMPLE
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_fit(commands)
    add_retrain(commands)
    return parser
