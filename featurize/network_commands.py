"""The commands about networks: which there are, what is at hand, how fast they are here, and fetching their weights."""

import argparse
from typing import Any

from featurize.commands import add_command
from featurize.errors import UsageError
from featurize.terminal import aligned, log

UNMEASURED = "-"


def add_network_commands(commands: Any) -> None:
    """Add ``backbones`` and ``download``."""
    summary = (
        "List the networks by name: width, input side, parameters, photos a second where they were measured on this "
        "machine, the licence of their weights, and where these are."
    )
    command = add_command(commands, "backbones", _backbones, summary, "featurize backbones")
    command.add_argument("names", nargs="*", metavar="NAME", help="these alone (default: all)")
    text = "measure those that are named, with each engine that is installed; it is remembered"
    command.add_argument("--measure", action="store_true", help=text)
    text = (
        "of --measure: where frozen networks are kept (default: $FEATURIZE_STORE, or the user's cache folder)"
    )
    command.add_argument("--store", metavar="DIR", help=text)
    summary = "Fetch the published weights of networks, so that they are at hand without a connection."
    command = add_command(commands, "download", _download, summary, "featurize download mobilenet_0.50_224")
    command.add_argument("names", nargs="+", metavar="NAME", help="as `featurize backbones` lists them")


def _backbones(args: argparse.Namespace) -> int:
    from featurize.networks.catalogue import NETWORKS, Packaged, find_network, licence_of
    from featurize.networks.fastest import rates_of
    from featurize.networks.weights import weights_at_hand

    networks = [find_network(name) for name in args.names] or list(NETWORKS.values())
    if args.measure:
        if not args.names:
            raise UsageError("--measure without a name would measure every network", "name those to measure")
        for network in networks:
            _measure(network, args.store)
    rows = [("name", "width", "input", "parameters", "photos/s", "licence", "weights")]
    for network in networks:
        found = weights_at_hand(network.name, network.download)
        published = network.download
        way = (
            published.install if isinstance(published, Packaged) else f"download of {published.megabytes} MB"
        )
        size, parameters = f"{network.side}x{network.side}", f"{network.parameters / 1e6:.1f} M"
        rates = rates_of(network.name)
        # Of the last layer where that was measured, else of another one.
        ends = sorted(rates, key=lambda end: end != "avg_pool")
        said = UNMEASURED
        if ends:
            (engine, precision), rate = max(rates[ends[0]].items(), key=lambda item: item[1])
            layer = "" if ends[0] == "avg_pool" else f" {ends[0]}"
            said = f"{rate:.1f} ({engine} {precision}{layer})"
        licence = licence_of(network.name)
        row = network.name, str(network.width), size, parameters, said, licence, str(found or way)
        rows.append(row)
    for line in aligned(rows, right=[1, 2, 3]):
        print(line)
    return 0


def _measure(network: Any, store: str | None) -> None:
    """Both engines in float32: what changes vectors no more than in their last digits."""
    from featurize.networks.fastest import measure, missing
    from featurize.networks.keras_network import Backbone
    from featurize.networks.weights import weights_at_hand
    from featurize.store.store import Store

    weights = "auto" if weights_at_hand(network.name, network.download) else "random"
    for engine in Backbone.engines:
        if missing((engine, "float32")) is None:
            log.info("measuring %s with %s", network.name, engine)
            measure(Backbone(network.name, weights, engine=engine), Store(store))


def _download(args: argparse.Namespace) -> int:
    from featurize.networks.catalogue import Packaged, find_network, licence_of
    from featurize.networks.weights import check_published, download_weights, published_place

    networks = [find_network(name) for name in args.names]
    for network in networks:
        published, place = network.download, published_place(network.download)
        if place is not None and place.is_file():
            check_published(place, published)
            log.info("%s: its weights are here already", network.name)
        elif not isinstance(published, Packaged):
            log.info(
                "%s: %d MB (%s) from %s, to %s",
                network.name, published.megabytes, licence_of(network.name), published.url, place,
            )  # fmt: skip
            if published.digest is None:
                log.warning("%s: no digest of this file is known, so that it cannot be checked", network.name)
        print(download_weights(network.name, published))
    return 0
