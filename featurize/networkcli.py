"""What the command ``featurize`` has for networks: their list, the options of graphs, retrain.py's vectors."""

import argparse
import os
import sys
from typing import Any

from featurize.terminal import OptionsError, add_command, log


def add_network_options(command: argparse.ArgumentParser) -> None:
    """Add the options of networks, and of the .pb files among the features, to ``extract``."""
    group = command.add_argument_group("networks and FILE.pb")
    group.add_argument(
        "--engine",
        choices=["tensorflow", "openvino"],
        default="tensorflow",
        help="what runs networks; openvino is pip install 'bottlehead[openvino]' (default: tensorflow)",
    )
    group.add_argument(
        "--parity", choices=["retrain"], help="read and resize photos as TensorFlow's retrain.py did"
    )
    add_graph_options(group)


def add_graph_options(group: Any) -> None:
    """Add what a .pb file has to be told that is not recognised."""
    group.add_argument("--graph-input", metavar="TENSOR", help="where pixels enter a FILE.pb")
    group.add_argument(
        "--graph-size", type=int, metavar="N", help="side of its square input, 1 to 1,024 pixels"
    )
    group.add_argument("--graph-mean", type=float, metavar="M", help="pixels enter as (RGB - M) / S")
    group.add_argument("--graph-std", type=float, metavar="S", help="see --graph-mean")


def network_options(args: argparse.Namespace) -> dict[str, Any]:
    """The values of those options that were given, as arguments of extractors.

    Raises
    ------
    OptionsError
        If there is nothing among the features that they could change.
    """
    from featurize.registry import GRAPH_SPEC

    given = graph_options(args)
    if given and not any(GRAPH_SPEC.fullmatch(spec) for spec in args.features or []):
        raise OptionsError(
            f"--graph-{next(iter(given))} is for a FILE.pb, and none is among the features",
            "add it to --features",
        )
    return {"engine": args.engine, **given, **({"parity": args.parity} if args.parity else {})}


def graph_options(args: argparse.Namespace) -> dict[str, Any]:
    """The values of those options of `add_graph_options` that were given, as arguments of a FrozenGraph."""
    values = {name: getattr(args, f"graph_{name}") for name in ("input", "size", "mean", "std")}
    return {name: value for name, value in values.items() if value is not None}


def add_network_commands(commands: Any) -> None:
    """Add ``backbones`` and ``import-bottlenecks`` to the subcommands of ``featurize``."""
    command = add_command(
        commands,
        "backbones",
        _backbones,
        "List the networks by name: width, input side, parameters, and where their weights are.",
        "featurize backbones",
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="these alone (default: all)")
    command = add_command(
        commands,
        "import-bottlenecks",
        _import_bottlenecks,
        "Turn retrain.py's bottleneck folder into a table.",
        "featurize import-bottlenecks /tmp/bottleneck -o flowers.parquet",
    )
    command.add_argument(
        "folder", metavar="DIR", help="one folder per label with PHOTO.jpg_NETWORK.txt files"
    )
    command.add_argument("-o", "--output", required=True, metavar="TABLE", help="the table: .parquet or .npz")
    command.add_argument(
        "--features", nargs="+", metavar="NETWORK", help="take the vectors of these networks (default: all)"
    )
    command.add_argument(
        "--rejects", metavar="FILE.csv", help="files left out and why (default: TABLE with .rejects.csv)"
    )


def _backbones(args: argparse.Namespace) -> int:
    from featurize.networks.catalogue import NETWORKS, find_network
    from featurize.networks.weights import weights_at_hand

    networks = [find_network(name) for name in args.names] or list(NETWORKS.values())
    rows = [("name", "width", "input", "parameters", "weights")]
    for network in networks:
        found = weights_at_hand(network.name, network.download)
        weights = str(found) if found else f"download of {network.download.megabytes} MB"
        size = f"{network.side}x{network.side}"
        rows.append((network.name, str(network.width), size, f"{network.parameters / 1e6:.1f} M", weights))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, width, size, parameters, weights in rows:
        sys.stdout.write(
            f"{name:<{widths[0]}}  {width:>{widths[1]}}  {size:>{widths[2]}}  {parameters:>{widths[3]}}  {weights}\n"
        )
    return 0


def _import_bottlenecks(args: argparse.Namespace) -> int:
    from featurize.cli import write_rejects
    from featurize.extraction.bottlenecks import import_bottlenecks
    from featurize.files import check_outputs
    from featurize.tableformat import table_kind

    table_kind(args.output)
    rejects_file = args.rejects or os.path.splitext(args.output)[0] + ".rejects.csv"
    check_outputs([args.output, rejects_file], [args.folder])
    found = import_bottlenecks(args.folder, args.features)
    found.table.write(args.output)
    write_rejects(rejects_file, found.rejects)
    for what, count in sorted(found.ignored.items()):
        log.info("ignored %d files: %s", count, what)
    if found.rejects:
        log.warning("%d files were left out; see %s", len(found.rejects), rejects_file)
    widths = ", ".join(f"{name} ({matrix.shape[1]})" for name, matrix in found.table.vectors.items())
    log.info("wrote %s: %d rows, %s", args.output, len(found.table), widths)
    return 0
