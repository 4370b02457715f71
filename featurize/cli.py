"""The command ``featurize``."""

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from featurize.errors import SourceError, UsageError
from featurize.network_commands import add_network_commands
from featurize.outputs import CSV, JSON, TABLE, check_outputs, where_written, whole_file
from featurize.store_commands import add_store_commands
from featurize.terminal import OptionsError, add_command, add_excel, log, new_parser, run_command

LABELS_SHOWN = 12
MEASURED = {"engine": "auto", "precision": "fastest"}  # what is chosen by a measurement
EXTRACT = "featurize extract photos/ -o photos.parquet --features inception_v3 texture"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``featurize`` with `argv`; returns the exit status."""
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``featurize`` and its subcommands."""
    summary = "Turn photos into vectors, once: frozen networks and texture, kept by content."
    parser = new_parser("featurize", summary, EXTRACT)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_extract(commands)
    summary = "Say which photos of SOURCE would be used, which not, and why; nothing is computed."
    command = add_command(commands, "scan", _scan, summary, "featurize scan photos/")
    _add_source(command)
    _add_group_by(command)
    add_max_megapixels(command)
    command.add_argument("--json", metavar="FILE", help="write everything, photo by photo, for programs")
    add_store_commands(commands)
    add_network_commands(commands)
    summary = "Turn retrain.py's bottleneck folder into a table."
    example = "featurize import-bottlenecks /tmp/bottleneck -o flowers.parquet"
    command = add_command(commands, "import-bottlenecks", _import_bottlenecks, summary, example)
    text = "one folder per label with PHOTO.jpg_NETWORK.txt files"
    command.add_argument("folder", metavar="DIR", help=text)
    _add_output(command)
    text = "take the vectors of these networks (default: all)"
    command.add_argument("--features", nargs="+", metavar="NETWORK", help=text)
    text = (
        "the frozen graph that made the vectors of one network, so that a model on them predicts new photos"
    )
    command.add_argument("--graph", metavar="FILE.pb", help=text)
    text = "with --graph: retrain.py's image_dir, some photos of which are compared with their vectors"
    command.add_argument("--photos", metavar="DIR", help=text)
    _add_rejects(command, "files")
    _add_import_vectors(commands)
    summary = "Give a table that pandas, polars, DuckDB or another program wrote back its provenance back."
    example = "featurize adopt edited.parquet --like flowers.parquet -o flowers2.parquet"
    command = add_command(commands, "adopt", _adopt, summary, example)
    text = "rows dropped or moved, label, group or split changed; image, sha256, variant and vectors as they were"
    command.add_argument("edited", metavar="EDITED.parquet", help=text)
    text = "the table that was edited, as featurize wrote it"
    command.add_argument("--like", required=True, metavar="TABLE", help=text)
    _add_output(command)
    return parser


# -- options that several commands have ---


def _add_source(command: argparse.ArgumentParser) -> None:
    manifest = "manifest .csv/.tsv/.xlsx/.parquet with image[,label][,group][,split]"
    folder = "folder of class folders, or of train/val/test folders of these, flat folder"
    text = (
        f"{folder}, .zip or .tar[.gz|.bz2|.xz] of one, {manifest}, or .parquet with photos; or the URL of one"
    )
    command.add_argument("source", metavar="SOURCE", help=text)
    add_manifest_options(command)


def add_manifest_options(command: argparse.ArgumentParser) -> None:
    """Add how a manifest is to be read."""
    text = "of a manifest: which column is what, as image=filename,label=class,group=patient,split=set"
    command.add_argument("--columns", metavar="NAME=COLUMN,...", help=text)
    text = "of a manifest: the folder or URL that its names are relative to (default: its own)"
    command.add_argument("--root", metavar="DIR", help=text)


def manifest_options(args: argparse.Namespace) -> dict[str, Any]:
    """How a manifest is to be read, as arguments of `list_source`."""
    from featurize.photos.manifest import columns_of

    return {"columns": {} if args.columns is None else columns_of(args.columns), "root": args.root}


def _add_group_by(command: argparse.ArgumentParser) -> None:
    text = "its first capture group in the image's name is the group (default: text before _nohash_)"
    command.add_argument("--group-by", metavar="REGEX", help=text)


def add_max_megapixels(command: Any) -> None:
    """Add how large a photo may be."""
    text = "larger photos are rejected (default: 200); each takes 3 bytes of memory per pixel"
    command.add_argument("--max-megapixels", type=_megapixels, default=200.0, metavar="N", help=text)


def _megapixels(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e5:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give megapixels, above 0 and at most 100,000")
    return value


def _add_output(command: argparse.ArgumentParser, required: bool = True) -> None:
    text = "the table: .parquet or .npz, here or at a URL"
    command.add_argument("-o", "--output", required=required, metavar="TABLE", help=text)


def _add_rejects(command: argparse.ArgumentParser, what: str) -> None:
    text = f"{what} left out and why (default: TABLE with .rejects.csv)"
    command.add_argument("--rejects", metavar="FILE.csv", help=text)
    add_excel(command)


def _rejects_file(args: argparse.Namespace, *sources: str) -> str:
    """Where the rejects go, after a look at whether table and rejects can be written."""
    from featurize.tableformat import table_kind

    table_kind(args.output)
    rejects_file = args.rejects or os.path.splitext(args.output)[0] + ".rejects.csv"
    check_outputs([(args.output, TABLE), (rejects_file, CSV)], sources)
    return rejects_file


# -- extract ---


def _add_extract(commands: Any) -> None:
    summary = "Turn the photos of SOURCE into a table of vectors."
    command = add_command(commands, "extract", _extract, summary, EXTRACT)
    _add_source(command)
    _add_keep(command)
    _add_output(command, required=False)
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
        "of networks (default: float32); int8 is for openvino, and its first use takes a minute (pip install "
        "'bottlehead[int8]'); fastest is measured, once on each machine"
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
        "what runs networks: tensorflow, openvino (pip install 'bottlehead[openvino]') or auto, the faster one as "
        "measured (default: tensorflow; of int8, openvino)"
    )
    group.add_argument("--engine", choices=["tensorflow", "openvino", "auto"], metavar="E", help=text)
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
    _add_group_by(command)
    text = "folder or URL where vectors are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    command.add_argument("--store", metavar="DIR", help=text)
    add_max_megapixels(command)
    text = "read every file again, also those that look unchanged"
    command.add_argument("--rehash", action="store_true", help=text)
    _add_rejects(command, "images")
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
    text = "Dask's workers extract; dask://local?workers=2 starts some here (pip install 'bottlehead[dask]')"
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
    rejects_file = "" if args.part else _rejects_file(args, args.source)
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
    if result.n_computed >= MANY:
        for line in filter(None, map(faster, extractors)):
            log.info("%s", line)
    listing, featurizing, writing = (after - before for before, after in pairwise(moments))
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


def add_graph_options(group: Any) -> None:
    """Add what a .pb file has to be told that is not recognised."""
    group.add_argument("--graph-input", metavar="TENSOR", help="where pixels enter a FILE.pb")
    text = "side of its square input, 1 to 1,024 pixels"
    group.add_argument("--graph-size", type=int, metavar="N", help=text)
    group.add_argument("--graph-mean", type=float, metavar="M", help="pixels enter as (RGB - M) / S")
    group.add_argument("--graph-std", type=float, metavar="S", help="see --graph-mean")


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


def graph_options(args: argparse.Namespace) -> dict[str, Any]:
    """The values of those options of `add_graph_options` that were given, as arguments of a FrozenGraph."""
    values = {name: getattr(args, f"graph_{name}") for name in ("input", "size", "mean", "std")}
    return {name: value for name, value in values.items() if value is not None}


def write_rejects(path: str, rejects: list[tuple[str, str]], excel: bool = False) -> None:
    """The rejects file: a CSV with the columns image and reason; `excel`: for a spreadsheet."""
    from featurize.files import csv_writer

    with whole_file(path, CSV) as partial, open(partial, "w", encoding="utf-8", newline="") as stream:
        writer = csv_writer(stream, excel)
        writer.writerow(["image", "reason"])
        writer.writerows(rejects)


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
    log.info("labels: %s", _counted("(none)" if one is None else one for one in table.label[photos]))
    if splits := [split for split in table.split[photos] if split is not None]:
        counts = [f"{split} {splits.count(split)}" for split in SPLITS if split in splits]
        log.info("splits: %s", ", ".join(counts))
    if result.n_hashed:
        what = "perceptual hashes of %d images from the store were computed (column phash)"
        log.info(what, result.n_hashed)
    say_remarks(result.remarks)
    for name, count in result.n_earlier.items():
        if count:
            earlier = f"the store holds {count} of the vectors by an earlier decode version only"
            log.info("%s: %s; --like TABLE|MODEL uses them", name, earlier)
    if result.rejects and not args.strict:
        log.warning("%s; see %s", _left_out(result.rejects), rejects_file)
    widths = ", ".join(f"{name} ({record['width']})" for name, record in table.metadata["features"].items())
    kept = f"; kept {', '.join(table.kept)}" if table.kept else ""
    log.info("wrote %s: %d rows, %s%s", where_written(args.output), len(table), widths, kept)


def _counted(values: Iterable[str]) -> str:
    """How often each value comes, by name; many are cut."""
    counts = sorted(Counter(values).items())
    more = f" and {len(counts) - LABELS_SHOWN} more" if len(counts) > LABELS_SHOWN else ""
    return ", ".join(f"{value} {count}" for value, count in counts[:LABELS_SHOWN]) + more


def _left_out(rejects: list[tuple[str, str]]) -> str:
    return "1 image was left out" if len(rejects) == 1 else f"{len(rejects)} images were left out"


def _computed(result: Any) -> str:
    if result.n_computed == 0:
        return "nothing was computed, all vectors came from the store"
    if result.n_reused == 0:
        return "all were computed"
    return f"{result.n_computed} computed, {result.n_reused} from the store"


# -- scan, import-bottlenecks ---


def _scan(args: argparse.Namespace) -> int:
    from featurize.photos.scan import scan_lines, scan_source

    check_outputs([(args.json, JSON)], [args.source])
    options = {"jobs": args.jobs, "max_megapixels": args.max_megapixels, **manifest_options(args)}
    found = scan_source(args.source, group_by=args.group_by, **options)
    if args.json:
        with whole_file(args.json, JSON) as partial, open(partial, "w", encoding="utf-8") as stream:
            json.dump(found.to_json(), stream, indent=1, ensure_ascii=False)
    for line in scan_lines(found):
        print(line)
    if not found.usable:
        problem = f"no image can be used (rejected: {len(found.rejects)})"
        raise SourceError(problem, "the reasons are listed above")
    return 0


def _import_bottlenecks(args: argparse.Namespace) -> int:
    from featurize.extraction.bottlenecks import import_bottlenecks

    rejects_file = _rejects_file(args, args.folder)
    found = import_bottlenecks(args.folder, args.features, graph=args.graph, photos=args.photos)
    if args.graph is None:
        log.info(
            "how these vectors are made of photos is not known: models on them predict tables alone; "
            "--graph FILE.pb --photos DIR tells it"
        )
    found.table.write(args.output)
    write_rejects(rejects_file, found.rejects, args.excel)
    for what, count in sorted(found.ignored.items()):
        log.info("ignored %d files: %s", count, what)
    if found.rejects:
        files = "1 file was" if len(found.rejects) == 1 else f"{len(found.rejects)} files were"
        log.warning("%s left out; see %s", files, rejects_file)
    widths = ", ".join(f"{name} ({matrix.shape[1]})" for name, matrix in found.table.vectors.items())
    log.info("wrote %s: %d rows, %s", where_written(args.output), len(found.table), widths)
    return 0


def _add_import_vectors(commands: Any) -> None:
    summary = (
        "Turn vectors that were made elsewhere into a table; how they were made stays unknown, which is said."
    )
    example = "featurize import-vectors clip.npy --manifest photos.csv -o clip.parquet"
    command = add_command(commands, "import-vectors", _import_vectors, summary, example)
    text = ".parquet with lists of numbers, or one column for each number; or .npy of shape (n_rows, width)"
    command.add_argument("vectors", metavar="VECTORS", help=text)
    _add_output(command)
    text = "image[,label][,group][,split] of each row, in the same order (.csv, .tsv, .xlsx, .parquet); .npy needs it"
    command.add_argument("--manifest", metavar="FILE", help=text)
    text = "which column is what, as image=filename,vector=embedding; vector=emb_* where each number has a column"
    command.add_argument("--columns", metavar="NAME=COLUMN,...", help=text)
    text = "what the features are called (default: as their column, or as the .npy file)"
    command.add_argument("--name", metavar="NAME", help=text)
    _add_keep(command)
    _add_rejects(command, "rows")


def _add_keep(command: argparse.ArgumentParser) -> None:
    text = "further columns of the manifest that the table keeps, such as age,site; never features"
    command.add_argument("--keep", metavar="COLUMN,...", help=text)


def _import_vectors(args: argparse.Namespace) -> int:
    from featurize.extraction.vector_files import VECTOR, import_vectors
    from featurize.photos.manifest import COLUMNS, columns_of, kept_of

    columns = {} if args.columns is None else columns_of(args.columns, (*COLUMNS, VECTOR))
    rejects_file = _rejects_file(args, args.vectors, *filter(None, [args.manifest]))
    options = {"columns": columns, "name": args.name, "keep": kept_of(args.keep)}
    found = import_vectors(args.vectors, args.manifest, **options)
    found.table.write(args.output)
    write_rejects(rejects_file, found.rejects, args.excel)
    for note in found.notes:
        log.info("%s", note)
    for warning in found.warnings:
        log.warning("%s", warning)
    log.info("labels: %s", _counted("(none)" if one is None else one for one in found.table.label))
    if found.rejects:
        rows = "1 row was" if len(found.rejects) == 1 else f"{len(found.rejects)} rows were"
        log.warning("%s left out; see %s", rows, rejects_file)
    log.info("wrote %s: %s", where_written(args.output), repr(found.table).partition(": ")[2])
    return 0


def _adopt(args: argparse.Namespace) -> int:
    from featurize.adopt import adopt
    from featurize.table import FeatureTable
    from featurize.tableformat import table_kind

    table_kind(args.output)
    check_outputs([(args.output, TABLE)], [args.edited, args.like])
    like = FeatureTable.read(args.like)
    found = adopt(args.edited, like)
    found.table.write(args.output)
    if found.unknown:
        log.warning("left out %s: a table has no such columns", ", ".join(found.unknown))
    if found.without:
        log.info("without the vectors of %s, which are not in %s", ", ".join(found.without), args.edited)
    rows = f"{len(found.table)} of {len(like)} rows, whose vectors are those of {args.like}"
    log.info("wrote %s: %s", where_written(args.output), rows)
    return 0
