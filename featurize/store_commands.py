"""The commands ``featurize store list``, ``verify``, ``prune`` and ``merge``."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from featurize.commands import add_command, help_texts
from featurize.errors import BottleheadError, StoreError, UsageError
from featurize.terminal import aligned, log

# Another processor or library changes the last digits of a network's vectors; more than this is another vector.
DRIFT_LIMIT = 0.01


def add_store_commands(commands: Any) -> None:
    """Add ``featurize store`` and what it can do."""
    summary = "Look after the store: what it holds, whether it is whole, and removing what is not wanted."
    store = commands.add_parser("store", help=summary, **help_texts(summary, "featurize store list"))
    below = store.add_subparsers(dest="store_command", metavar="COMMAND", required=True)

    def add(name: str, run: Any, summary: str, example: str, extractor: str = "") -> argparse.ArgumentParser:
        command = add_command(below, name, run, summary, example)
        if run is _merge:
            return command
        text = "folder or URL (default: $FEATURIZE_STORE, or the user's cache folder)"
        command.add_argument("--store", metavar="DIR", help=text)
        if extractor:
            command.add_argument("--extractor", metavar="NAME", help=extractor)
        return command

    add("list", _list, "List the extractors, images and bytes in the store.", "featurize store list")
    summary = "Check every digest; what is damaged is set aside, to be computed again."
    text = "only this features spec or fingerprint"
    verify = add("verify", _verify, summary, "featurize store verify --sample 1%", text)
    text = (
        "also featurize this share of the stored images again, from photos still where they were last read, and "
        "print the largest drift"
    )
    verify.add_argument("--sample", type=_percent, metavar="P%", help=text)
    summary = "Show what can be removed; remove it with --yes."
    text = "vectors of this features spec or fingerprint"
    prune = add("prune", _prune, summary, "featurize store prune --older-than 90d --yes", text)
    text = "vectors written longer ago than this, such as 12h, 90d, 8w, 1y"
    prune.add_argument("--older-than", metavar="AGE", help=text)
    text = (
        "what parts of a table gave back (`featurize extract --part`), where no table was assembled of them"
    )
    prune.add_argument("--parts", action="store_true", help=text)
    prune.add_argument("--yes", action="store_true", help="remove; without it nothing is removed")
    summary = "Copy what a store lacks of others, such as from a disk; every digest is checked."
    merge = add("merge", _merge, summary, "featurize store merge /media/disk/store ~/store -o ~/store")
    text = "stores to copy from, which are read only"
    merge.add_argument("stores", nargs="+", metavar="STORE", help=text)
    text = "the store to copy into; it may be one of the others, and is made if it is not there"
    merge.add_argument("-o", "--output", required=True, metavar="STORE", help=text)


def _percent(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give more than 0% and at most 100%")
    return value


def _open(given: str | None) -> Any:
    from featurize.files import local_part
    from featurize.store.store import Store, default_store

    place = given or default_store()
    path = local_part(place)
    if path is None or os.path.isdir(os.path.expanduser(path)):
        store = Store(place)
        if path is not None or store.folder.exists():
            return store
    hint = "`featurize extract` makes one, or name it with --store"
    raise StoreError(f"there is no store {os.fspath(place)}", hint)


def _list(args: argparse.Namespace) -> int:
    from datetime import datetime

    from featurize.upkeep import open_sections, store_size, summarise

    store = _open(args.store)
    found = [summarise(section) for section in open_sections(store)]
    rows = []
    for s in found:
        written = "never" if not s.written else "unknown"
        with suppress(ValueError, OverflowError, OSError):  # a clock that was centuries wrong
            written = datetime.fromtimestamp(s.written).strftime("%Y-%m-%d %H:%M") if s.written else written
        counts = str(s.width or "?"), f"{s.images:,}", f"{s.bytes:,}"
        rows.append((s.name, s.fingerprint[:8], *counts, written))
    _print_table(("features", "fingerprint", "width", "images", "bytes", "last written"), rows)
    size, vectors = store_size(store), sum(s.bytes for s in found)
    others = max(size.everything - size.networks - vectors, 0)
    log.info(
        "beside the vectors: %s bytes of networks kept for a quick start, %s bytes of indexes and other files",
        f"{size.networks:,}",
        f"{others:,}",
    )
    log.info("%s: %d extractors, %s bytes in all", store.folder.url, len(found), f"{size.everything:,}")
    return 0


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Numbers stand between the first two columns and the last."""
    for line in aligned([header, *rows], right=range(2, len(header) - 1)):
        print(line)


def _verify(args: argparse.Namespace) -> int:
    from featurize.terminal import progress
    from featurize.upkeep import choose_sections, verify_section

    store = _open(args.store)
    sections = choose_sections(store, args.extractor)
    rows, n_damaged = [], 0
    with progress(len(sections), "verifying", "extractor") as bar:
        for section in sections:
            whole, damaged = verify_section(section)
            n_damaged += damaged
            about = section.about
            rows.append((about["name"], about["fingerprint"][:8], f"{whole:,}", f"{damaged:,}"))
            bar.update(1)
    _print_table(("features", "fingerprint", "whole shards", "damaged"), rows)
    worst = _sample(args, store, sections) if args.sample is not None else 0.0
    if n_damaged:
        hint = "run `featurize extract` again to compute what they held; `featurize store prune --yes` removes them"
        raise StoreError(f"{n_damaged} damaged files were set aside in {store.folder.url}", hint)
    if worst > DRIFT_LIMIT:
        raise StoreError(
            f"vectors computed now differ from those stored by up to {worst:.2%}",
            "another library or processor computes them; remove the old ones with `featurize store prune "
            "--extractor NAME --yes` and extract again",
        )
    return 0


def _sample(args: argparse.Namespace, store: Any, sections: list) -> float:
    """Print the drift of each section; returns the largest."""
    from featurize.upkeep import measure_drift

    rows, worst = [], 0.0
    for section in sections:
        about = section.about
        try:
            drift = measure_drift(section, store, args.sample, seed=args.seed, jobs=args.jobs)
        except BottleheadError as error:
            log.warning("%s was not sampled: %s", about["name"], error)
            continue
        if not drift.n_compared:
            reason = f"none of its {drift.n_stored} photos is where it was"
            log.warning("%s was not sampled: %s", about["name"], reason)
            continue
        worst = max(worst, drift.largest)
        counts = [f"{n:,}" for n in (drift.n_compared, drift.n_found, drift.n_stored)]
        rows.append((about["name"], about["fingerprint"][:8], *counts, f"{drift.largest:.2e}"))
        log.debug("%s: the largest drift is that of %s", about["name"], drift.image)
    _print_table(("features", "fingerprint", "sampled", "photos found", "stored", "largest drift"), rows)
    return worst


def _prune(args: argparse.Namespace) -> int:
    from featurize.upkeep import plan_prune, prune, seconds_of

    older_than = seconds_of(args.older_than) if args.older_than is not None else None
    if args.extractor == "":
        raise UsageError("--extractor is empty", "give a features spec or the start of a fingerprint")
    store = _open(args.store)
    plan = plan_prune(store, args.extractor, older_than, parts=args.parts)
    counts, sizes = Counter(r.what for r in plan), Counter[str]()
    for removal in plan:
        sizes[removal.what] += removal.bytes
    if not plan:
        hint = "name vectors with --extractor or --older-than"
        if args.extractor or args.older_than:
            hint = "no vectors are so named or so old"
        log.info("nothing to remove; %s", hint)
        return 0
    rows = [(what, "", f"{n:,}", f"{sizes[what]:,}") for what, n in counts.items()]
    _print_table(("what", "", "files", "bytes"), rows)
    if args.yes:
        prune(store, plan)
        log.info("removed %d files, %s bytes", len(plan), f"{sizes.total():,}")
    else:
        log.info("nothing was removed; add --yes to remove these %d files", len(plan))
    return 0


def _merge(args: argparse.Namespace) -> int:
    from featurize.store.store import Store
    from featurize.terminal import progress
    from featurize.upkeep import merge_stores, open_sections

    stores = {store.folder.url: store for store in map(_open, args.stores)}
    target = Store(args.output)
    stores.pop(target.folder.url, None)
    if not stores:
        hint = "name another one to copy from"
        raise UsageError(f"there is nothing to merge: the only store is {target.folder.url} itself", hint)
    total = sum(len(open_sections(store)) for store in stores.values())
    with progress(total, "merging", "extractor") as bar:
        merged = merge_stores(list(stores.values()), target, bar.update)
    _print_table(
        ("features", "", "copied", ""), [(name, "", f"{n:,}", "") for name, n in merged.vectors.items()]
    )
    parts = f", and the rows of {merged.n_parts} parts" if merged.n_parts else ""
    log.info("copied %s vectors%s into %s", f"{merged.vectors.total():,}", parts, target.folder.url)
    if merged.damaged:
        n, first = len(merged.damaged), merged.damaged[0]
        files = "1 file is damaged and was" if n == 1 else f"{n} files are damaged and were"
        hint = "`featurize store verify --store DIR` sets damaged files aside; then `featurize extract` computes again"
        raise StoreError(f"{files} not copied; the first is {first}", hint)
    return 0
