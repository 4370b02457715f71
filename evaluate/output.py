"""Where the commands of evaluate write: looked at before the work starts, so that nothing fails after it."""

import argparse
import json
from pathlib import Path
from typing import Any

from featurize import files
from featurize.errors import UsageError
from featurize.terminal import OptionsError, log

# Options and arguments that name files to read.
INPUTS = ("model", "table", "relabel", "superclass", "folds", "training", "test")


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options of every command that makes a report."""
    parser.add_argument(
        "--report", metavar="FILE.html", help="write a report for people, one self-contained file"
    )
    parser.add_argument("--json", metavar="FILE.json", help="write the same content for programs")
    parser.add_argument(
        "--images", metavar="DIR", help="where the report finds the photos, if they have moved"
    )


def add_scores(parser: argparse.ArgumentParser) -> None:
    """The options of `compare` and `test` about what is scored and printed."""
    parser.add_argument(
        "--positive",
        metavar="LABEL",
        help="of two labels the one to be found: adds sensitivity and specificity",
    )
    parser.add_argument(
        "--superclass",
        metavar="MAP",
        help="CSV with the columns label,superclass: counts the errors inside a super-class and across",
    )
    parser.add_argument(
        "--misclassified", action="store_true", help="print every misclassified image, the surest first"
    )


def hand_over(found: Any, args: argparse.Namespace) -> int:
    """The files where they are wanted, then the text to stdout: a reader that leaves early costs no file."""
    from evaluate.report.html import write_report
    from featurize.files import whole_file

    found.command = args.command_line
    text = str(found)
    if getattr(args, "misclassified", False):
        from evaluate.report.text import test_as_text
        from evaluate.scoretext import mistakes_as_text
        from evaluate.studies.testing import TestResult

        if isinstance(found, TestResult):  # whose text has a list of its own, of the surest
            text = test_as_text(found, shown_mistakes=0)
        text += f"\n\n{mistakes_as_text(found)}"
    if args.json:
        with whole_file(args.json) as partial:
            content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
        log.info("wrote %s", args.json)
    if args.report:
        write_report(found, args.report, args.images)
        log.info("wrote %s", args.report)
    print(text)
    return 0


def check_outputs(args: argparse.Namespace, *more: str | None) -> None:
    """Refuse ``--report``, ``--json`` and ``--images`` that could not be served, and `more` files to write.

    No two of them may be one file, nor one of the files that the command reads.
    """
    if args.images and not args.report:
        raise OptionsError(
            "--images was given without --report", "add --report FILE.html; only the report shows photos"
        )
    if args.images and not Path(args.images).is_dir():
        raise UsageError(
            f"there is no folder {args.images}", "give the folder that the names of the images start from"
        )
    inputs = [getattr(args, name, None) for name in INPUTS]
    files.check_outputs([args.report, args.json, *more], inputs)


def check_ours() -> None:
    """Hugging Face's package has the same import name; installed later, its files lie over ours."""
    import evaluate

    if "split_table" not in getattr(evaluate, "__all__", ()):
        raise UsageError(
            f"the package evaluate in {Path(str(evaluate.__file__)).parent} is not bottlehead's; Hugging Face's "
            "evaluate has the same name",
            "use an environment of its own: python3 -m venv .venv && .venv/bin/pip install bottlehead",
        )
