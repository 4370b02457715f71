"""The command ``featurize``."""

import argparse
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from featurize.errors import SourceError, UsageError
from featurize.networkcli import add_network_commands, add_network_options, network_options
from featurize.scancli import add_scan
from featurize.storecli import add_store_commands
from featurize.terminal import OptionsError, add_command, log, new_parser, run_command


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``featurize`` and its subcommands."""
    parser = new_parser(
        "featurize",
        "Turn photos into vectors, once: frozen networks and texture, kept by content.",
        "featurize extract photos/ -o photos.parquet --features inception_v3 glcm",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = add_command(
        commands,
        "extract",
        _extract,
        "Turn the photos of SOURCE into a table of vectors.",
        "featurize extract photos/ -o photos.parquet --features inception_v3 glcm",
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="folder of class folders, flat folder, or manifest .csv/.parquet with image[,label][,group][,split]",
    )
    command.add_argument("-o", "--output", required=True, metavar="TABLE", help="the table: .parquet or .npz")
    command.add_argument(
        "--features",
        nargs="+",
        action="extend",
        metavar="SPEC",
        help="NETWORK[:LAYER] (see `featurize backbones`), FILE.pb[:TENSOR], glcm, glcm:haralick, lbp, color, shape, "
        "nuisance (default: inception_v3)",
    )
    command.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="W",
        help="auto (default), imagenet, random, FILE, or SPEC=FILE; repeatable",
    )
    command.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        default="float32",
        help="of networks (default: float32)",
    )
    command.add_argument(
        "--preprocess",
        nargs="+",
        action="extend",
        default=[],
        metavar="STEP",
        help="before every extractor, in this order: grayscale, crop:SIZE, resize:SIZE, median:K, "
        "remove-hair[:WIDTH], segment-lesion, equalize",
    )
    add_network_options(command)
    _add_distortions(command)
    command.add_argument(
        "--group-by",
        metavar="REGEX",
        help="its first capture group in the image's name is the group (default: text before _nohash_)",
    )
    command.add_argument(
        "--store", metavar="DIR", help="where vectors are kept (default: the user's cache folder)"
    )
    command.add_argument(
        "--rehash", action="store_true", help="read every file again, also those that look unchanged"
    )
    command.add_argument(
        "--rejects", metavar="FILE.csv", help="images left out and why (default: TABLE with .rejects.csv)"
    )
    command.add_argument(
        "--strict", action="store_true", help="any rejected image is an error, once the table is written"
    )
    add_scan(commands)
    add_store_commands(commands)
    add_network_commands(commands)
    return parser


def _add_distortions(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("distorted copies, as further rows for training")
    group.add_argument("--distort", type=int, metavar="K", help="K copies of each photo, drawn from --seed")
    group.add_argument("--flip-left-right", action="store_true", help="mirror each with probability 1/2")
    for name, what in (
        ("crop", "enlarge by PCT percent and cut out a window of the former size anywhere"),
        ("scale", "enlarge by 0 to PCT percent before that"),
        ("brightness", "multiply pixel values by 1 ± up to PCT percent, clipped"),
    ):
        group.add_argument(f"--random-{name}", type=float, default=0, metavar="PCT", help=what)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``featurize`` with `argv`; returns the exit status."""
    return run_command(build_parser(), argv)


def _extract(args: argparse.Namespace) -> int:
    from featurize.extraction.run import NothingReadable, run_extraction
    from featurize.files import check_outputs
    from featurize.photos.source import list_source
    from featurize.tableformat import table_kind

    table_kind(args.output)
    rejects_file = args.rejects or os.path.splitext(args.output)[0] + ".rejects.csv"
    check_outputs([args.output, rejects_file], [args.source])
    extractors, distort = _extractors(args), _distortion(args)
    moments = [time.perf_counter()]
    source = list_source(args.source, group_by=args.group_by)
    moments.append(time.perf_counter())
    try:
        result = run_extraction(
            source, extractors, store=args.store, distort=distort, rehash=args.rehash, jobs=args.jobs
        )
    except NothingReadable as error:
        write_rejects(rejects_file, error.rejects)
        error.hint = f"all reasons are in {rejects_file}"
        raise
    moments.append(time.perf_counter())
    result.table.write(args.output)
    moments.append(time.perf_counter())
    write_rejects(rejects_file, result.rejects)
    _say(args, result, rejects_file)
    listing, featurizing, writing = (after - before for before, after in pairwise(moments))
    log.debug("listing %.2f s, reading and featurizing %.2f s, writing %.2f s", listing, featurizing, writing)
    if args.strict and result.rejects:
        raise SourceError(_left_out(result.rejects) + " (--strict)", f"see {rejects_file}")
    return 0


def _extractors(args: argparse.Namespace) -> list:
    from featurize.registry import make_extractor

    weights = _weights_by_spec(args.weights, args.features or ["inception_v3"], args.seed)
    shared = {"precision": args.precision, "preprocess": args.preprocess, **network_options(args)}
    return [
        make_extractor(spec, weights=weights[spec], **shared) for spec in args.features or ["inception_v3"]
    ]


def _distortion(args: argparse.Namespace) -> Any:
    from featurize.photos.distort import Distortion

    settings = {
        name: getattr(args, name)
        for name in ("flip_left_right", "random_crop", "random_scale", "random_brightness")
    }
    if args.distort is None:
        asked = [f"--{name.replace('_', '-')}" for name, value in settings.items() if value]
        if asked:
            raise OptionsError(
                f"{', '.join(asked)} without --distort", "add --distort K for K copies of each photo"
            )
        return None
    return Distortion(args.distort, **settings, seed=args.seed)


def _weights_by_spec(given: list[str], specs: list[str], seed: int) -> dict[str, str]:
    """Which weights each features spec gets: ``W`` for all networks, ``SPEC=FILE`` for one spec or family."""
    from featurize.registry import make_extractor

    networks = [spec for spec in specs if "weights" in make_extractor(spec).get_params()]
    families = {spec.partition(":")[0] for spec in networks}
    chosen = dict.fromkeys(specs, "auto")
    for text in given:
        target, equals, value = text.partition("=")
        named = [spec for spec in networks if target in (spec, spec.partition(":")[0])]
        if equals and named:
            chosen.update(dict.fromkeys(named, value))
        elif equals and not os.path.exists(text):
            raise UsageError(
                f"--weights {text}: {target} is no network among the features",
                f"the networks are {', '.join(networks) or 'none'}",
            )
        elif text not in ("auto", "imagenet", "random") and len(families) > 1:
            raise UsageError(
                f"--weights {text} is one file for {len(families)} networks", "write SPEC=FILE for each"
            )
        else:
            chosen.update(dict.fromkeys(networks, text))
    return {spec: f"random:{seed}" if value == "random" else value for spec, value in chosen.items()}


def write_rejects(path: str, rejects: list[tuple[str, str]]) -> None:
    """The rejects file: a CSV with the columns image and reason."""
    from featurize.files import csv_writer, whole_file

    with whole_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv_writer(stream)
        writer.writerow(["image", "reason"])
        writer.writerows(rejects)


def _say(args: argparse.Namespace, result: Any, rejects_file: str) -> None:
    """The closing account: what was written, what was computed, what was left out."""
    table = result.table
    for record in table.metadata["features"].values():
        weights = record["weights"]
        if weights and weights["source"] == "random":
            log.warning("%s comes from an untrained network (weights=random)", record["spec"])
        elif weights:
            log.info(
                "%s: %s weights, sha256 %s…, %s",
                record["spec"],
                weights["source"],
                weights["sha256"][:12],
                weights["file"],
            )
    for what, count in sorted(result.ignored.items()):
        log.info("ignored %s: %d", what, count)
    n_distinct = result.n_computed + result.n_reused
    n_images = int((table.variant == 0).sum())
    copies = f" and {len(table) - n_images} distorted copies" if len(table) > n_images else ""
    log.info("%d images (%d distinct)%s: %s", n_images, n_distinct, copies, _computed(result))
    if result.rejects and not args.strict:
        log.warning("%s; see %s", _left_out(result.rejects), rejects_file)
    widths = ", ".join(f"{name} ({matrix.shape[1]})" for name, matrix in table.vectors.items())
    log.info("wrote %s: %d rows, %s", args.output, len(table), widths)


def _left_out(rejects: list[tuple[str, str]]) -> str:
    return "1 image was left out" if len(rejects) == 1 else f"{len(rejects)} images were left out"


def _computed(result: Any) -> str:
    if result.n_computed == 0:
        return "nothing was computed, all vectors came from the store"
    if result.n_reused == 0:
        return "all were computed"
    return f"{result.n_computed} computed, {result.n_reused} from the store"
