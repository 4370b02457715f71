"""The command ``classify watch``."""

import argparse
import datetime
import json
import os
from typing import Any

from classify.prediction.options import add_model, add_places, weights_given
from featurize.commands import add_command
from featurize.errors import UsageError
from featurize.options import add_manifest_options, add_max_megapixels, manifest_options
from featurize.outputs import JSON, check_outputs, given_date, print_unless, where_written, whole_file
from featurize.remote import path_at
from featurize.terminal import log

CHANGED = 3


def add_watch(commands: Any) -> None:
    """Add the command ``watch``."""
    summary = (
        "Say whether the photos that come in are still like those of the training, and of earlier days; the exit "
        "status is 0 unchanged, 3 changed."
    )
    example = (
        "classify watch flowers.model today/\n"
        "classify watch flowers.model today/ --since days.json --json days.json     # every day, by cron"
    )
    parser = add_command(commands, "watch", _watch, summary, example)
    add_model(parser)
    option = parser.add_argument
    option(
        "source", metavar="SOURCE|TABLE", help="a folder, archive, manifest or table with the photos of a day"
    )
    text = "what --json wrote on earlier days; it may be the same file, which the first day makes"
    option("--since", metavar="FILE.json", help=text)
    option("--json", metavar="FILE.json", help="write the findings and all days there")
    option("--date", metavar="DAY", help="what the day is called (default: today, as 2026-03-20)")
    text = "take all days until now for usual, whatever the training was like: only later change counts"
    option("--accept", action="store_true", help=text)
    add_manifest_options(parser)
    add_max_megapixels(parser)
    add_places(parser)


def _watch(args: argparse.Namespace) -> int:
    from classify.model.modelfile import load_model
    from classify.prediction.predict import Predictor
    from classify.watch.watch import read_days, watch_photos

    same = args.since and args.json and os.path.abspath(args.since) == os.path.abspath(args.json)
    check_outputs([(args.json, JSON)], [args.model, args.source, None if same else args.since])
    model = load_model(args.model, trust=args.trust)
    days = []
    if args.since and not (same and not path_at(args.since).exists()):
        if not path_at(args.since).exists():
            hint = "name the same file with --json, and the first day makes it"
            raise UsageError(f"there is no {args.since}", hint)
        days = read_days(args.since, model)
    options = {"store": args.store, "jobs": args.jobs, "max_megapixels": args.max_megapixels}
    predictor = Predictor(model, weights=weights_given(args.weights, model.parts), **options)
    date = args.date or (given_date() or datetime.datetime.now().isoformat())[:10]
    tables = predictor.tables(args.source, **manifest_options(args))
    found = watch_photos(model, tables, days, date=date, accept=args.accept)
    if args.json:
        with whole_file(args.json, JSON) as partial:
            content = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
        log.info("wrote %s", where_written(args.json))
    print_unless([args.json], str(found))
    return CHANGED if found.changed else 0
