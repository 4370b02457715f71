"""The commands ``featurize store list``, ``verify`` and ``prune``."""

import argparse
import os
from collections.abc import Sequence
from typing import Any

from featurize.errors import BottleheadError, StoreError, UsageError
from featurize.terminal import add_command, log

# Another processor or library changes the last digits of a network's vectors; more than this is another vector.
DRIFT_LIMIT = 0.01


def add_store_commands(commands: Any) -> None:
    """Add ``store`` and its subcommands to the subcommands of ``featurize``."""
    summary = "Look after the store: what it holds, whether it is whole, and removing what is not wanted."
    store = commands.add_parser(
        "store",
        help=summary,
        description=summary,
        epilog="example:\n  featurize store list",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    below = store.add_subparsers(dest="store_command", metavar="COMMAND", required=True)
    _add(below, "list", _list, "List the extractors, images and bytes in the store.", "featurize store list")
    verify = _add(
        below,
        "verify",
        _verify,
        "Check every digest; what is damaged is set aside, to be computed again.",
        "featurize store verify --sample 1%",
    )
    verify.add_argument(
        "--sample",
        type=_percent,
        metavar="P%",
        help="also featurize this share of the stored images again, from photos still where they were last "
        "read, and print the largest drift",
    )
    verify.add_argument("--extractor", metavar="NAME", help="only this features spec or fingerprint")
    prune = _add(
        below,
        "prune",
        _prune,
        "Show what can be removed; remove it with --yes.",
        "featurize store prune --older-than 90d --yes",
    )
    prune.add_argument("--extractor", metavar="NAME", help="vectors of this features spec or fingerprint")
    prune.add_argument(
        "--older-than", metavar="AGE", help="vectors written longer ago than this, such as 12h, 90d, 8w, 1y"
    )
    prune.add_argument("--yes", action="store_true", help="remove; without it nothing is removed")


def _add(commands: Any, name: str, run: Any, summary: str, example: str) -> argparse.ArgumentParser:
    command = add_command(commands, name, run, summary, example)
    command.add_argument("--store", metavar="DIR", help="folder or URL (default: the user's cache folder)")
    return command


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give more than 0% and at most 100%")
    return value


def _open(args: argparse.Namespace) -> Any:
    from featurize.store.store import Store, default_store
    from featurize.upkeep import is_here

    place = args.store or default_store()
    if not is_here(place):
        raise StoreError(
            f"there is no store {os.fspath(place)}", "`featurize extract` makes one, or name it with --store"
        )
    return Store(place)


def _list(args: argparse.Namespace) -> int:
    from datetime import datetime

    from featurize.upkeep import open_sections, summarise

    store = _open(args)
    found = [summarise(section) for section in open_sections(store)]
    rows = [
        (
            s.name,
            s.fingerprint[:8],
            str(s.width) if s.width else "?",
            f"{s.images:,}",
            f"{s.bytes:,}",
            datetime.fromtimestamp(s.written).strftime("%Y-%m-%d %H:%M") if s.written else "never",
        )
        for s in found
    ]
    _print_table(("features", "fingerprint", "width", "images", "bytes", "last written"), rows)
    log.info("%s: %d extractors, %s bytes", store.folder.url, len(found), f"{sum(s.bytes for s in found):,}")
    return 0


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            text.ljust(width) if i in (0, 1, len(row) - 1) else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _verify(args: argparse.Namespace) -> int:
    from featurize.terminal import progress
    from featurize.upkeep import choose_sections, verify_section

    store = _open(args)
    sections = choose_sections(store, args.extractor)
    rows, n_damaged = [], 0
    with progress(len(sections), "verifying", "extractor") as bar:
        for section in sections:
            whole, damaged = verify_section(section)
            n_damaged += damaged
            rows.append(
                (section.about["name"], section.about["fingerprint"][:8], f"{whole:,}", f"{damaged:,}")
            )
            bar.update(1)
    _print_table(("features", "fingerprint", "whole shards", "damaged"), rows)
    worst = _sample(args, store, sections) if args.sample is not None else 0.0
    if n_damaged:
        raise StoreError(
            f"{n_damaged} damaged files were set aside in {store.folder.url}",
            "run `featurize extract` again to compute what they held; `featurize store prune --yes` removes them",
        )
    if worst > DRIFT_LIMIT:
        raise StoreError(
            f"vectors computed now differ from those stored by up to {worst:.2%}",
            "another library or processor computes them; remove the old ones with `featurize store prune "
            "--extractor NAME --yes` and extract again",
        )
    return 0


def _sample(args: argparse.Namespace, store: Any, sections: list) -> float:
    """Print the drift of each section; returns the largest."""
    from featurize.drift import measure_drift

    rows, worst = [], 0.0
    for section in sections:
        about = section.about
        try:
            drift = measure_drift(
                section, store, args.sample, seed=args.seed, jobs=args.jobs or os.cpu_count() or 1
            )
        except BottleheadError as error:
            log.warning("%s was not sampled: %s", about["name"], error)
            continue
        if not drift.n_compared:
            log.warning(
                "%s was not sampled: none of its %d photos is where it was", about["name"], drift.n_stored
            )
            continue
        worst = max(worst, drift.largest)
        rows.append(
            (about["name"], about["fingerprint"][:8], f"{drift.n_compared:,}", f"{drift.n_found:,}",
             f"{drift.n_stored:,}", f"{drift.largest:.2e}")
        )  # fmt: skip
        log.debug("%s: the largest drift is that of %s", about["name"], drift.image)
    _print_table(("features", "fingerprint", "sampled", "photos found", "stored", "largest drift"), rows)
    return worst


def _prune(args: argparse.Namespace) -> int:
    from collections import Counter

    from featurize.upkeep import plan_prune, prune, seconds_of

    older_than = seconds_of(args.older_than) if args.older_than is not None else None
    if args.extractor == "":
        raise UsageError("--extractor is empty", "give a features spec or the start of a fingerprint")
    store = _open(args)
    plan = plan_prune(store, args.extractor, older_than)
    counts, sizes = Counter(r.what for r in plan), Counter[str]()
    for removal in plan:
        sizes[removal.what] += removal.bytes
    if plan:
        _print_table(
            ("what", "", "files", "bytes"), [(w, "", f"{n:,}", f"{sizes[w]:,}") for w, n in counts.items()]
        )
    if not plan:
        named = args.extractor is not None or older_than is not None
        hint = (
            "no vectors are so named or so old" if named else "name vectors with --extractor or --older-than"
        )
        log.info("nothing to remove; %s", hint)
    elif args.yes:
        prune(store, plan)
        log.info("removed %d files, %s bytes", len(plan), f"{sizes.total():,}")
    else:
        log.info("nothing was removed; add --yes to remove these %d files", len(plan))
    return 0
