"""The command ``featurize extract``: all of a source at once, one part of it, or its parts on a cluster."""

import argparse
import os
import re
import time
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from featurize.commands import OptionsError, add_command
from featurize.errors import SourceError, UsageError, installing
from featurize.options import (
    add_graph_options,
    add_group_by,
    add_keep,
    add_max_megapixels,
    add_output,
    add_rejects,
    add_source,
    checked_rejects_file,
    counted,
    graph_options,
    manifest_options,
    write_rejects,
)
from featurize.outputs import where_written
from featurize.terminal import log

MEASURED = {"engine": "auto", "precision": "fastest"}  # what is chosen by a measurement
EXTRACT = "featurize extract photos/ -o photos.parquet --features inception_v3 texture"


def add_extract(commands: Any) -> None:
    """Add ``extract`` to the commands of ``featurize``."""
    summary = "Turn the photos of SOURCE into a table of vectors."
    command = add_command(commands, "extract", _extract, summary, EXTRACT)
    add_source(command)
    add_keep(command)
    add_output(command, required=False)
    text = (
        "NETWORK[:LAYER] (see `featurize backbones`), FILE.pb[:TENSOR], FILE.onnx[:OUTPUT], FILE.keras[:LAYER], "
        "texture, texture:grey, glcm, glcm:haralick, "
        "lbp, color, shape, nuisance; with arguments of the Python class, as in glcm:haralick,distances=1/2/4/8 or "
        "inception_v3:mixed7/mixed8,pool=avg/max (default: inception_v3)"
    )
    command.add_argument("--features", nargs="+", action="extend", metavar="SPEC", help=text)
    text = (
        "compute the features of this table, or those that this model was trained on, as they were made then "
        "(--features: only these of them); for photos to test or predict with it"
    )
    command.add_argument("--like", metavar="TABLE|MODEL", help=text)
    text = "auto (default), imagenet, random, FILE, or SPEC=FILE; repeatable"
    command.add_argument("--weights", action="append", default=[], metavar="W", help=text)
    text = (
        "of networks (default: float32); int8 is for openvino, and its first use takes a minute "
        f"({installing('int8')}); fastest is measured, once on each machine"
    )
    kinds = ["float32", "bfloat16", "int8", "fastest"]
    command.add_argument("--precision", choices=kinds, metavar="P", help=f"{', '.join(kinds)}: {text}")
    text = (
        "before every extractor, in this order: page:N, stretch[:WHITE], grayscale, crop:SIZE, resize:SIZE, median:K, "
        "remove-hair[:WIDTH], segment-lesion, equalize"
    )
    command.add_argument("--preprocess", nargs="+", action="extend", default=[], metavar="STEP", help=text)
    group = command.add_argument_group("networks and FILE.pb")
    text = (
        f"what runs networks: tensorflow, openvino ({installing('openvino')}), of FILE.onnx also onnxruntime, or auto, "
        "the faster one as measured (default: tensorflow; of int8, openvino; of FILE.onnx, openvino where it is here)"
    )
    kinds = ["tensorflow", "openvino", "onnxruntime", "auto"]
    group.add_argument("--engine", choices=kinds, metavar="E", help=text)
    text = "read and resize photos as TensorFlow's retrain.py did"
    group.add_argument("--parity", choices=["retrain"], help=text)
    add_graph_options(group)
    group = command.add_argument_group("distorted copies, as further rows for training")
    group.add_argument("--distort", type=int, metavar="K", help="K copies of each photo, drawn from --seed")
    group.add_argument("--flip-left-right", action="store_true", help="mirror each with probability 1/2")
    for name, what in (
        ("crop", "enlarge by PCT percent and cut out a window of the former size anywhere"),
        ("scale", "enlarge by 0 to PCT percent before that"),
        ("brightness", "multiply pixel values by 1 ± up to PCT percent, clipped"),
    ):
        group.add_argument(f"--random-{name}", type=float, default=0, metavar="PCT", help=what)
    add_group_by(command)
    text = "folder or URL where vectors are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    command.add_argument("--store", metavar="DIR", help=text)
    add_max_megapixels(command)
    text = "read every file again, also those that look unchanged"
    command.add_argument("--rehash", action="store_true", help=text)
    add_rejects(command, "images")
    text = "any rejected image is an error, once the table is written"
    command.add_argument("--strict", action="store_true", help=text)
    group = command.add_argument_group(
        "on several machines, which reach the photos and the store under one name"
    )
    text = (
        "extract part I of N into the store, without -o; the same command with -o and without --part then assembles "
        "the table"
    )
    group.add_argument("--part", type=_part, metavar="I/N", help=text)
    text = "compute here what the parts lack, instead of an error that names them"
    group.add_argument("--compute-missing", action="store_true", help=text)
    text = f"Dask's workers extract; dask://local?workers=2 starts some here ({installing('dask')})"
    group.add_argument("--cluster", metavar="dask://HOST:PORT", help=text)


def _part(text: str) -> tuple[int, int]:
    number, _, n_parts = text.partition("/")
    if number.isdecimal() and n_parts.isdecimal() and 1 <= int(number) <= int(n_parts) <= 1_000_000:
        return int(number), int(n_parts)
    raise argparse.ArgumentTypeError(f"{text!r} is no part; give I/N, such as 3/40: I from 1 to N")


def _extract(args: argparse.Namespace) -> int:
    from featurize.extraction.parts import absolute
    from featurize.extraction.run import NothingReadable
    from featurize.networks.fastest import MANY, faster
    from featurize.photos.manifest import kept_of
    from featurize.photos.source import list_source

    _check_part_options(args)
    rejects_file = "" if args.part else checked_rejects_file(args, args.source)
    extractors = _extractors(args)
    options = {"distort": _distortion(args), "rehash": args.rehash, "jobs": args.jobs}
    options |= {"max_megapixels": args.max_megapixels}
    manifest = manifest_options(args)
    moments = [time.perf_counter()]
    # Workers have another current folder.
    where = absolute(args.source) if args.cluster else args.source
    source = list_source(where, group_by=args.group_by, keep=kept_of(args.keep), **manifest)
    moments.append(time.perf_counter())
    if args.part:
        return _extract_one_part(args, source, extractors, options)
    try:
        result = _extract_all(args, source, extractors, options)
    except NothingReadable as error:
        write_rejects(rejects_file, error.rejects, args.excel)
        error.hint = f"all reasons are in {rejects_file}"
        raise
    moments.append(time.perf_counter())
    if result.table.features:  # or it was assembled into the file
        result.table.write(args.output)
    moments.append(time.perf_counter())
    write_rejects(rejects_file, result.rejects, args.excel)
    _say(args, result, rejects_file)
    listing, featurizing, writing = (after - before for before, after in pairwise(moments))
    if result.n_computed >= MANY:
        for line in filter(None, (faster(one, featurizing) for one in extractors)):
            log.info("%s", line)
    log.debug("listing %.2f s, reading and featurizing %.2f s, writing %.2f s", listing, featurizing, writing)
    if args.strict and result.rejects:
        raise SourceError(_left_out(result.rejects) + " (--strict)", f"see {rejects_file}")
    return 0


def _check_part_options(args: argparse.Namespace) -> None:
    if args.part is None and args.output is None:
        args.parser.error("the following arguments are required: -o/--output")
    others = {"-o": args.output, "--rejects": args.rejects, "--compute-missing": args.compute_missing}
    given = [name for name, value in {**others, "--cluster": args.cluster}.items() if args.part and value]
    if given:
        hint = "leave it out: the same command without --part assembles the table"
        raise OptionsError(f"{given[0]} and --part were both given", hint)


def _extract_one_part(args: argparse.Namespace, source: Any, extractors: list, options: dict) -> int:
    from featurize.extraction.part_files import Job, PartFiles
    from featurize.extraction.parts import extract_part, part_of
    from featurize.extraction.run import attach_all
    from featurize.store.store import Store

    store, (number, n_parts) = Store(args.store), args.part
    attach_all(extractors, store, source.kept)
    files = PartFiles(store, Job.of(source, extractors, options["distort"], args.max_megapixels))
    part = part_of(source, number, n_parts)
    result = extract_part(part, extractors, store=store, **options)
    files.write(result)
    counts = f"{len(part)} photos, {_computed(result)}"
    log.info("part %d of %d: %s", number, n_parts, counts if len(part) else "it has no photos")
    if result.rejects:
        log.warning("%s; the first is %s: %s", _left_out(result.rejects), *result.rejects[0])
    if args.strict and result.rejects:
        hint = "the part is kept; the table that is assembled says which"
        raise SourceError(_left_out(result.rejects) + " (--strict)", hint)
    return 0


def _extract_all(args: argparse.Namespace, source: Any, extractors: list, options: dict) -> Any:
    """The table in memory; or assembled of parts and written, where some are there or a cluster makes them."""
    from featurize.extraction.part_files import PARTS, extract_in_parts
    from featurize.extraction.run import run_extraction
    from featurize.store.store import Store

    store = Store(args.store)
    if args.cluster is None and not store.folder.folders(PARTS):
        return run_extraction(source, extractors, store=store, hashes=True, **options)
    with ExitStack() as stack:
        compute = None
        if args.cluster is not None:
            from featurize.cluster import connect

            cluster = stack.enter_context(connect(args.cluster))
            cluster.check(extractors, store)
            compute = cluster.extract_parts
        made = extract_in_parts(
            source, extractors, args.output, store, compute, compute_missing=args.compute_missing, **options
        )
    if made is not None:
        return made
    return run_extraction(source, extractors, store=store, hashes=True, **options)


def _extractors(args: argparse.Namespace) -> list:
    from featurize.registry import make_extractor

    if args.like:
        return _extractors_like(args)
    specs = args.features or ["inception_v3"]
    weights = _weights_by_spec(args.weights, specs, args.seed)
    shared = {"preprocess": args.preprocess, **_network_options(args)}
    sought = {name: word for name, word in MEASURED.items() if shared.get(name) == word}
    shared = {name: value for name, value in shared.items() if name not in sought}
    extractors = [make_extractor(spec, weights=weights[spec], **shared) for spec in specs]
    return _fastest(specs, extractors, args) if sought else extractors


def _fastest(specs: list[str], extractors: list, args: argparse.Namespace) -> list:
    """The networks among them, run in the fastest way of those that the options leave open."""
    from featurize.networks.fastest import with_fastest
    from featurize.store.store import Store

    # Where one of the two is not named, it is as ever.
    precision, store = args.precision or "float32", Store(args.store)
    engine = args.engine or "auto"
    return [
        one if re.search("[:,](engine|precision)=", spec) else with_fastest(one, store, engine, precision)
        for spec, one in zip(specs, extractors, strict=True)
    ]


def _extractors_like(args: argparse.Namespace) -> list:
    from featurize.registry import extractors_like, recorded_features
    from featurize.spec import values_by_spec

    settings: dict[str, Any] = {"precision": None, "preprocess": [], "engine": None, "parity": None}
    given = [f"--{name}" for name, default in settings.items() if getattr(args, name) != default]
    given += [f"--graph-{name}" for name in graph_options(args)]
    if given:
        problem = f"{given[0]} and --like: the settings are those of {args.like}"
        raise OptionsError(problem, "leave one of them out")
    names = args.features or list(recorded_features(args.like))
    weights: dict[str, str] = {}
    for text in args.weights:
        named = values_by_spec(text, names)
        if not named and "=" in text and not os.path.exists(text):
            problem = f"--weights {text} names no features of {args.like}"
            raise UsageError(problem, f"they are {', '.join(names)}")
        weights |= named or dict.fromkeys(names, text)
    return extractors_like(args.like, args.features, weights)


def _distortion(args: argparse.Namespace) -> Any:
    from featurize.photos.distort import Distortion

    names = ("flip_left_right", "random_crop", "random_scale", "random_brightness")
    settings = {name: getattr(args, name) for name in names}
    if args.distort is not None:
        return Distortion(args.distort, **settings, seed=args.seed)
    asked = ", ".join(f"--{name.replace('_', '-')}" for name, value in settings.items() if value)
    if asked:
        raise OptionsError(f"{asked} without --distort", "add --distort K for K copies of each photo")
    return None


def _weights_by_spec(given: list[str], specs: list[str], seed: int) -> dict[str, str]:
    """Which weights each features spec gets: ``W`` for all networks, ``SPEC=FILE`` for one spec or family."""
    from featurize.registry import make_extractor
    from featurize.spec import values_by_spec

    networks = [spec for spec in specs if "weights" in make_extractor(spec).get_params()]
    families = {spec.partition(":")[0] for spec in networks}
    chosen = dict.fromkeys(specs, "auto")
    for text in given:
        target, equals, _ = text.partition("=")
        named = values_by_spec(text, networks)
        if named:
            chosen.update(named)
        elif equals and not os.path.exists(text):
            hint = f"the networks are {', '.join(networks) or 'none'}"
            raise UsageError(f"--weights {text}: {target} is no network among the features", hint)
        elif text not in ("auto", "imagenet", "random") and len(families) > 1:
            problem = f"--weights {text} is one file for {len(families)} networks"
            raise UsageError(problem, "write SPEC=FILE for each")
        else:
            chosen.update(dict.fromkeys(networks, text))
    return {spec: f"random:{seed}" if value == "random" else value for spec, value in chosen.items()}


def _network_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as arguments of extractors; OptionsError if they could change no features."""
    from featurize.registry import GRAPH_SPEC

    given = graph_options(args)
    if given and not any(GRAPH_SPEC.fullmatch(spec) for spec in args.features or []):
        problem = f"--graph-{next(iter(given))} is for a FILE.pb, and none is among the features"
        raise OptionsError(problem, "add it to --features")
    named = {name: getattr(args, name) for name in ("engine", "precision", "parity") if getattr(args, name)}
    if named.get("precision") == "int8":
        named.setdefault("engine", "openvino")
    return {**given, **named}


def _say(args: argparse.Namespace, result: Any, rejects_file: str) -> None:
    """The closing account: what was written, what was computed, what was left out."""
    from featurize.extraction.run import say_remarks
    from featurize.photos.layout import SPLITS

    table = result.table
    for note in result.notes:
        log.info("%s", note)
    for warning in result.warnings:
        log.warning("%s", warning)
    for record in table.metadata["features"].values():
        weights = record["weights"]
        if weights and weights["source"] == "random":
            log.warning("%s comes from an untrained network (weights=random)", record["spec"])
        elif weights:
            origin = f"{weights['source']} weights, sha256 {weights['sha256'][:12]}…, {weights['file']}"
            log.info("%s: %s", record["spec"], origin)
    for what, count in sorted(result.ignored.items()):
        log.info("ignored %s: %d", what, count)
    n_distinct = result.n_computed + result.n_reused
    n_images = int((table.variant == 0).sum())
    copies = f" and {len(table) - n_images} distorted copies" if len(table) > n_images else ""
    log.info("%d images (%d distinct)%s: %s", n_images, n_distinct, copies, _computed(result))
    photos = table.variant == 0
    log.info("labels: %s", counted("(none)" if one is None else one for one in table.label[photos]))
    if splits := [split for split in table.split[photos] if split is not None]:
        counts = [f"{split} {splits.count(split)}" for split in SPLITS if split in splits]
        log.info("splits: %s", ", ".join(counts))
    if result.n_hashed:
        what = "perceptual hashes of %d images from the store were computed (column phash)"
        log.info(what, result.n_hashed)
    say_remarks(result.remarks, result.n_reused)
    for name, count in result.n_earlier.items():
        if count:
            earlier = f"the store holds {count} of the vectors by an earlier decode version only"
            log.info("%s: %s; --like TABLE|MODEL uses them", name, earlier)
    if result.rejects and not args.strict:
        log.warning("%s; see %s", _left_out(result.rejects), rejects_file)
    widths = ", ".join(f"{name} ({record['width']})" for name, record in table.metadata["features"].items())
    kept = f"; kept {', '.join(table.kept)}" if table.kept else ""
    log.info("wrote %s: %d rows, %s%s", where_written(args.output), len(table), widths, kept)


def _left_out(rejects: list[tuple[str, str]]) -> str:
    return "1 image was left out" if len(rejects) == 1 else f"{len(rejects)} images were left out"


def _computed(result: Any) -> str:
    if result.n_computed == 0:
        return "nothing was computed, all vectors came from the store"
    if result.n_reused == 0:
        return "all were computed"
    return f"{result.n_computed} computed, {result.n_reused} from the store"
