"""What several commands of ``evaluate`` share: the table, what they write, and what is refused before the work."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from featurize.commands import OptionsError, check_excel
from featurize.errors import UsageError
from featurize.outputs import (
    CSV,
    FIGURE,
    JSON,
    PAGE,
    check_folder,
    check_outputs,
    check_page_name,
    print_unless,
    where_written,
    whole_file,
)
from featurize.remote import path_at
from featurize.terminal import log

# Options and arguments that name files to read.
INPUTS = ("model", "table", "relabel", "labels", "superclass", "taxonomy", "folds", "training", "test")


def add_table(parser: argparse.ArgumentParser, what: str = "a .parquet or .npz table of features") -> None:
    """The argument that names a table."""
    parser.add_argument("table", metavar="TABLE", help=what)


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The options of every command that makes a report."""
    text = "write a report for people, one self-contained file"
    parser.add_argument("--report", metavar="FILE.html", help=text)
    parser.add_argument("--json", metavar="FILE.json", help="write the same content for programs")
    text = "write each drawing as PNG (300 dpi), PDF and SVG for a paper's column into a folder, made if it is missing"
    parser.add_argument("--figures", metavar="DIR", help=text)
    text = "where the report finds the photos, if they have moved"
    parser.add_argument("--images", metavar="DIR", help=text)
    add_title(parser, "report", ", beside the date")


def add_title(parser: argparse.ArgumentParser, page: str, beside: str = "") -> None:
    """The options that say what stands at the head of a `page`."""
    parser.add_argument("--title", metavar="TITLE", help=f"the title of the {page}")
    parser.add_argument("--author", metavar="NAME", help=f"who stands below the title of the {page}{beside}")


def write_outputs(found: Any, args: argparse.Namespace) -> int:
    """The files where they are wanted, then the text to stdout: a reader that leaves early costs no file."""
    from evaluate.report.html import write_report
    from evaluate.report.plots import write_figures
    from evaluate.report.text import mistakes_as_text, test_as_text
    from evaluate.results import TestRecord

    found.command, found.title, found.author = args.command_line, args.title or "", args.author or ""
    text = str(found)
    if getattr(args, "misclassified", False):
        if isinstance(found, TestRecord):  # whose text has a list of its own, of the most confident
            text = test_as_text(found, shown_mistakes=0)
        text += f"\n\n{mistakes_as_text(found)}"
    if args.json:
        with whole_file(args.json, JSON) as partial:
            content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
        log.info("wrote %s", where_written(args.json))
    if getattr(args, "predictions", None):
        found.predictions.write(args.predictions, args.excel)
        log.info("wrote %s", where_written(args.predictions))
    if args.report:
        write_report(found, args.report, args.images)
        log.info("wrote %s", where_written(args.report))
    if args.figures:
        write_figures(found, args.figures)
    print_unless([args.json, getattr(args, "predictions", None), args.report], text)
    return 0


def check_output_options(
    args: argparse.Namespace, kind: str, *more: tuple[str | None, str], page_option: str = "--report"
) -> None:
    """Refuse outputs and ``--images`` that could not be served: those of a `kind` of result, and `more` files.

    No two of them may be one file, nor one of the files that the command reads.
    """
    refuse_foreign_evaluate()
    for option, shows in (
        ("images", "shows photos"),
        ("title", "has a title"),
        ("author", "names an author"),
    ):
        if getattr(args, option, None) and not args.report:
            raise OptionsError(
                f"--{option} was given without --report", f"add --report FILE.html; only the report {shows}"
            )
    if args.images and not path_at(args.images).is_dir():
        raise UsageError(
            f"there is no folder {args.images}", "give the folder that the names of the images start from"
        )
    if getattr(args, "predictions", None):
        from evaluate.scores.crossval import predictions_kind

        more = (*more, (args.predictions, predictions_kind(args.predictions)))
    check_excel(args, any(kind == CSV for _, kind in more))
    if args.figures:
        from evaluate.report.plots import figure_files

        check_folder(args.figures, figure_files(kind), FIGURE)
    inputs = [getattr(args, name, None) for name in INPUTS]
    check_outputs([(args.report, PAGE), (args.json, JSON), *more], inputs)
    check_page_name(args.report, page_option)


def refuse_foreign_evaluate() -> None:
    """Hugging Face's package has the same import name; installed later, its files lie over ours."""
    package = sys.modules["evaluate"]
    if "split_table" not in getattr(package, "__all__", ()):
        raise UsageError(
            f"the package evaluate in {Path(str(package.__file__)).parent} is not bottlehead's; Hugging Face's "
            "evaluate has the same name",
            "use an environment of its own: python3 -m venv .venv && .venv/bin/pip install . in the checkout",
        )
