"""The command ``featurize``."""

import argparse
import json
from collections.abc import Sequence

from featurize.commands import add_command, new_parser, run_command
from featurize.errors import SourceError
from featurize.extract_command import EXTRACT, add_extract
from featurize.import_commands import add_import_commands
from featurize.network_commands import add_network_commands
from featurize.options import add_group_by, add_max_megapixels, add_source, manifest_options
from featurize.outputs import JSON, check_outputs, is_table, print_unless, whole_file
from featurize.store_commands import add_store_commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``featurize`` with `argv`; returns the exit status."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``featurize`` and its subcommands."""
    summary = "Turn photos into vectors, once: frozen networks and texture, kept by content."
    parser = new_parser("featurize", summary, EXTRACT)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_extract(commands)
    summary = "Say which photos of SOURCE would be used, which not, and why; nothing is computed."
    command = add_command(commands, "scan", _scan, summary, "featurize scan photos/")
    add_source(command)
    add_group_by(command)
    add_max_megapixels(command)
    command.add_argument("--json", metavar="FILE", help="write everything, photo by photo, for programs")
    add_store_commands(commands)
    add_network_commands(commands)
    add_import_commands(commands)
    return parser


def _scan(args: argparse.Namespace) -> int:
    from featurize.photos.scan import scan_lines, scan_source

    check_outputs([(args.json, JSON)], [args.source])
    options = {"jobs": args.jobs, "max_megapixels": args.max_megapixels, **manifest_options(args)}
    found = scan_source(args.source, group_by=args.group_by, **options)
    if args.json:
        with whole_file(args.json, JSON) as partial, open(partial, "w", encoding="utf-8") as stream:
            json.dump(found.to_json(), stream, indent=1, ensure_ascii=False)
    print_unless([args.json], "\n".join(scan_lines(found)))
    if not found.usable:
        problem = f"no image can be used (rejected: {len(found.rejects)})"
        hint = "the reasons are listed above"
        if is_table(args.source):
            hint = f"it is a table, which has vectors: `evaluate compare {args.source}` and `classify train` take it"
        raise SourceError(problem, hint)
    return 0
