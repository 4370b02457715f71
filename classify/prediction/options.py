"""Options that several commands have: the model, where weights and vectors are, what may be trusted."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from featurize.errors import UsageError


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add which model."""
    parser.add_argument("model", metavar="MODEL", help="a model that `classify train` made")


def add_trust(parser: argparse.ArgumentParser, what: str) -> None:
    """Add which types beyond the safe ones are accepted in a head."""
    text = f"dotted types that {what} beyond the safe ones; repeatable"
    kind = partial(str.split, sep=",")
    parser.add_argument("--trust", action="extend", type=kind, default=[], metavar="TYPE[,TYPE]", help=text)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where weights and vectors are, and what the model may consist of."""
    text = "where a network's weights are now (default: where they were in training); repeatable"
    parser.add_argument("--weights", action="append", default=[], metavar="[SPEC=]FILE", help=text)
    text = "where vectors are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    parser.add_argument("--store", metavar="DIR", help=text)
    add_trust(parser, "the model may consist of")


def add_labels_option(parser: argparse.ArgumentParser) -> None:
    """Add which file of corrections."""
    text = (
        "corrections: CSV with the columns image,label or sha256,label; an empty label drops the photo "
        "(before --relabel)"
    )
    parser.add_argument("--labels", metavar="FILE.csv", help=text)


def count_from(least: int, what: str) -> Any:
    """The type of an option that takes an integer, `least` or more."""

    def count(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
        return int(text)

    return count


def weights_given(given: Sequence[str], parts: Sequence[str]) -> dict[str, str]:
    """``FILE`` for all networks and ``SPEC=FILE`` for one, as a file per features."""
    from featurize.spec import values_by_spec

    files: dict[str, str] = {}
    for text in given:
        named = values_by_spec(text, parts)
        if not named and "=" in text and not Path(text).exists():
            hint = f"its features are {', '.join(parts)}"
            raise UsageError(f"--weights {text} names no features of the model", hint)
        for part in named or parts:
            if part in files:
                hint = "give SPEC=FILE once for each network"
                raise UsageError(f"--weights names two files for {part}", hint)
            files[part] = named.get(part, text)
    return files
