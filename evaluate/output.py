"""Where the commands of evaluate write: looked at before the work starts, so that nothing fails after it."""

import argparse
import json
from pathlib import Path
from typing import Any

from featurize.errors import UsageError
from featurize.terminal import log


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
    """The text to stdout, the files where they are wanted."""
    from evaluate.report import write_report
    from featurize.files import whole_file

    found.command = args.command_line
    print(found)
    if getattr(args, "misclassified", False):
        from evaluate.scoretext import mistakes_as_text

        print(f"\n{mistakes_as_text(found)}")
    if args.json:
        with whole_file(args.json) as partial:
            text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
        log.info("wrote %s", args.json)
    if args.report:
        write_report(found, args.report, args.images)
        log.info("wrote %s", args.report)
    return 0


def check_outputs(args: argparse.Namespace) -> None:
    """Refuse ``--report``, ``--json`` and ``--images`` that could not be served."""
    if args.images and not args.report:
        raise UsageError(
            "--images was given without --report", "add --report FILE.html; only the report shows photos"
        )
    if args.images and not Path(args.images).is_dir():
        raise UsageError(
            f"there is no folder {args.images}", "give the folder that the names of the images start from"
        )
    check_folders(args.report, args.json)


def check_folders(*files: str | None) -> None:
    """Refuse file names that are folders, or lie in a folder that is not there."""
    for file in files:
        if file and Path(file).is_dir():
            raise UsageError(f"{file} is a folder", "give the name of a file in it")
        if file and not Path(file).absolute().parent.is_dir():
            raise UsageError(f"there is no folder {Path(file).parent}", "make it first, or write elsewhere")


def check_ours() -> None:
    """Hugging Face's package has the same import name; installed later, its files lie over ours."""
    import evaluate

    if "split_table" not in getattr(evaluate, "__all__", ()):
        raise UsageError(
            f"the package evaluate in {Path(str(evaluate.__file__)).parent} is not bottlehead's; Hugging Face's "
            "evaluate has the same name",
            "use an environment of its own: python3 -m venv .venv && .venv/bin/pip install bottlehead",
        )
