"""`classify serve MODEL`: the options, and what is refused before anything starts."""

import argparse
import importlib.util
import re
import socket
import time
from pathlib import Path
from typing import Any

from classify.prediction.options import add_model, add_places, count_from
from classify.serving.settings import Settings, is_loopback
from featurize.commands import OptionsError, add_command
from featurize.errors import UsageError, installing
from featurize.options import add_max_megapixels
from featurize.remote import path_at
from featurize.terminal import log

EXTRA = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
BACKLOG = 512  # connections that nobody has accepted yet


def add_serve(commands: Any) -> None:
    """Add the command and its options."""
    summary = f"Serve a page and an API that predict the labels of photos ({installing('serve')})."
    example = (
        "classify serve flowers.model\n"
        "classify serve flowers.model --table flowers.parquet --show-training-photos\n"
        "curl --data-binary @photo.jpg http://127.0.0.1:8000/predict"
    )
    parser = add_command(commands, "serve", serve, summary, example)
    add_model(parser)
    option = parser.add_argument
    text = "the address to listen on (default: 127.0.0.1, which only this machine reaches)"
    option("--host", default="127.0.0.1", metavar="ADDRESS", help=text)
    option("--port", type=_port, default=8000, metavar="N", help="default: 8000; 0 for any that is free")
    option("--name", metavar="NAME", help="the model's name in the API (default: that of its file)")
    option("--table", metavar="TABLE", help="the table of the training: its most similar photos are named")
    text = "show small copies of these photos as well, to whoever reaches the server"
    option("--show-training-photos", action="store_true", help=text)
    option("--max-mb", type=_megabytes, default=20.0, metavar="N", help="the largest file (default: 20)")
    add_max_megapixels(parser)
    count = count_from(1, "number; give 1 or more")
    text = "how many photos may wait before clients are told to come back (default: 256)"
    option("--max-waiting", type=count, default=256, metavar="N", help=text)
    text = "what runs the networks (default: openvino where it is installed, else as in training)"
    option("--engine", choices=("tensorflow", "openvino"), help=text)
    text = "processes, each with a network of its own (default: 1)"
    option("--workers", type=count, default=1, metavar="N", help=text)
    group = parser.add_argument_group("containers and proxies")
    text = "a further name by which clients may call the server; repeatable"
    group.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=text)
    text = "the path in front of ours, where a proxy puts one, as /photos"
    group.add_argument("--root-path", default="", metavar="PATH", help=text)
    text = "ask for the bearer token that this file holds"
    group.add_argument("--token-file", metavar="FILE", help=text)
    add_places(parser)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535")
    return int(text)


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.001 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give megabytes, 0.001 to 1000")
    return value


def serve(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status is 0 then."""
    started = time.monotonic()
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        what = (
            f"classify serve needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} missing"
        )
        raise UsageError(what, installing("serve"))
    from classify.serving.processes import serve_here, serve_in_processes

    settings = _settings(args)
    listening = _listen(args.host, args.port)
    with listening:
        place = _address(args.host, listening.getsockname()[1]) + settings.root_path
        _say_who_can_reach_it(args.host, settings)
        if args.workers > 1:
            serve_in_processes(settings, listening, args.workers, place, started)
        else:
            serve_here(settings, listening, place, started)
    log.info("stopped")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    if args.show_training_photos and args.table is None:
        raise OptionsError("--show-training-photos was given without --table", "add --table TABLE")
    if args.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", args.name):
        raise OptionsError(f"--name {args.name} is no name", "give letters, digits, dots, - and _")
    # Of the file's name what an address can hold.
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path_at(args.model).name).stem).strip("-._")
    root = args.root_path.rstrip("/")
    if root and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", root):
        raise OptionsError(f"--root-path {args.root_path} is no path", "give one as /photos")
    for name in args.allow_host:
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", name):
            hint = "give it without http:// and port, as photos.example.org"
            raise OptionsError(f"--allow-host {name} is no name of a host", hint)
    return Settings(
        model=args.model,
        name=args.name or stem or "model",
        host=args.host,
        max_mb=args.max_mb,
        max_megapixels=args.max_megapixels,
        max_waiting=args.max_waiting,
        table=args.table,
        show_training_photos=args.show_training_photos,
        engine=args.engine,
        allow_host=tuple(name.lower() for name in args.allow_host),
        root_path=root,
        token=None if args.token_file is None else _token(args.token_file),
        weights=tuple(args.weights),
        store=args.store,
        trust=tuple(args.trust),
        jobs=args.jobs,
    )


def _token(path: str) -> str:
    """The first line of a file."""
    lines = path_at(path).read_bytes().decode("utf-8", "replace").split()
    if len(lines) != 1:
        what = f"{path} holds {len(lines)} words, and no token" if lines else f"{path} holds no token"
        raise UsageError(what, "write one word into it, for example by `openssl rand -hex 32`")
    return lines[0]


def _listen(host: str, port: int) -> socket.socket:
    """The socket, before anything that takes long is begun."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        hint = "give an address of this machine, as 127.0.0.1 or 0.0.0.0"
        raise UsageError(f"--host {host} is no address: {error}", hint) from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        what = f"cannot listen on {_address(host, port)}: {error.strerror or error}"
        hint = "give another --port, or end the program that uses it"
        raise UsageError(what, hint) from error
    listening.setblocking(False)
    return listening


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say_who_can_reach_it(host: str, settings: Settings) -> None:
    if is_loopback(host):
        return
    token = "with the token" if settings.token is not None else "without a token"
    seen = ", and see photos of the training" if settings.show_training_photos else ""
    log.warning(
        "whoever reaches %s over the network can use this server %s%s, and nothing is encrypted",
        host,
        token,
        seen,
    )
