"""`classify serve MODEL`: the options, what is refused before anything starts, and the processes that serve."""

import argparse
import asyncio
import importlib.util
import logging
import multiprocessing
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.prediction.options import add_model, add_places, count_from
from featurize.cli import add_max_megapixels
from featurize.errors import BottleheadError, UsageError
from featurize.remote import path_at
from featurize.terminal import OptionsError, add_command, log, messages_on_stderr, printable

if TYPE_CHECKING:
    from classify.serving.service import Settings

EXTRA = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
LOOK_SECONDS = 2.0  # between two looks at the file of the model
# The end after SIGTERM: requests have the first, what is being computed the second, and no more than 10 s together.
FINISH_SECONDS, COMPUTE_SECONDS = 5, 3.0
AGAIN_SECONDS = 1.0  # between the end of a worker and its successor
BACKLOG = 512  # connections that nobody has accepted yet
REFUSED, TERMINATED = 3, 143  # of a worker that cannot serve; of a process that ends before its work does


def add_serve(commands: Any) -> None:
    """Add the command and its options."""
    summary = "Serve a page and an API that predict the labels of photos (pip install 'bottlehead[serve]')."
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
    text = "what runs the networks (default: as in training)"
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
        raise UsageError(what, "pip install 'bottlehead[serve]'")
    settings = _settings(args)
    listening = _listen(args.host, args.port)
    with listening:
        place = _address(args.host, listening.getsockname()[1]) + settings.root_path
        _say_who_can_reach_it(args.host, settings)
        if args.workers > 1:
            _serve_in_processes(settings, listening, args.workers, place, started)
        else:
            _serve_here(settings, listening, place, started)
    log.info("stopped")
    return 0


def _settings(args: argparse.Namespace) -> "Settings":
    from classify.serving.service import Settings

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


def _say_who_can_reach_it(host: str, settings: "Settings") -> None:
    from classify.serving.guard import is_loopback

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


# -- one process ---


def _serve_here(
    settings: "Settings", listening: socket.socket, place: str, started: float, fellow: "Fellow | None" = None
) -> None:
    """Listen at once, load the network meanwhile, and serve until a signal; raises what the loading raises."""
    import uvicorn

    from classify.serving.app import make_app
    from classify.serving.batching import Line, Metrics
    from classify.serving.service import Service

    metrics = Metrics()
    service = Service(settings, metrics)
    if fellow is not None:
        service.are_others_ready = fellow.are_all_ready
    executor = ThreadPoolExecutor(1, "predict")
    line = Line(service.compute, executor, metrics, settings.max_waiting)
    app = make_app(service, line, metrics)
    failed: list[BaseException] = []

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """As uvicorn's, which raises the signals again at the end: here they are no error."""
            # What runs in the background of a shell ignores Ctrl-C, and goes on doing so.
            numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
            before = {number: signal.signal(number, self.handle_exit) for number in numbers}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=FINISH_SECONDS,
        backlog=BACKLOG,
    )
    server = Server(config)
    _quieten()

    def tell_ready() -> None:
        seconds = time.monotonic() - started
        metrics.start_seconds.set(seconds)
        if fellow is None:
            log.info("ready after %.1f s: %s", seconds, place)
        else:
            fellow.ready[fellow.number] = 1

    async def load() -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(executor, service.prepare)
            tell_ready()
        except Exception as error:
            failed.append(error)
            server.should_exit = True

    async def watch(parent: int) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if service.notices_replaced() and fellow is None:
                _say_replaced(settings.model)
            if fellow is not None and os.getppid() != parent:  # nobody is left to end this process
                server.should_exit = True

    async def run() -> None:
        tasks = [asyncio.create_task(one) for one in (line.run(), watch(os.getppid()))]
        if not service.is_ready:
            tasks.append(asyncio.create_task(load()))
        try:
            await server.serve(sockets=[listening])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    if fellow is not None and fellow.succeeds:  # others answer meanwhile
        service.prepare()
        tell_ready()
    if fellow is None:
        log.info("serving %s at %s; its network is being loaded", settings.model, place)
    asyncio.run(run())
    executor.shutdown(wait=False, cancel_futures=True)
    _wait_for(executor)
    if failed:
        raise failed[0]


def _say_replaced(model: str) -> None:
    what = "%s was replaced or removed; the model that was loaded is served until this command starts again"
    log.warning(what, model)


def _quieten() -> None:
    """What uvicorn has to say goes where our messages go, on one line."""

    class Ours(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.debug("%s", printable(record.getMessage()))

    theirs = logging.getLogger("uvicorn")
    theirs.handlers, theirs.propagate = [Ours()], False
    theirs.setLevel(logging.WARNING)


def _wait_for(executor: ThreadPoolExecutor) -> None:
    """Wait for what is being computed; what takes longer than may be is left undone, with the whole process."""
    until = time.monotonic() + COMPUTE_SECONDS
    for thread in list(executor._threads):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            log.warning("stopped while photos were computed")
            sys.stderr.flush()
            os._exit(TERMINATED)


# -- several processes ---


@dataclass(frozen=True)
class Fellow:
    """One of several processes that serve together: its number, and which of them are ready."""

    number: int
    ready: Any
    succeeds: bool  # takes the place of one that ended

    def are_all_ready(self) -> bool:
        """Whether none is still loading."""
        return all(self.ready[:])


def _serve_in_processes(
    settings: "Settings", listening: socket.socket, n_workers: int, place: str, started: float
) -> None:
    """Keep `n_workers` processes that take turns at one socket, until a signal."""
    from classify.serving.service import Watched

    context = multiprocessing.get_context("spawn")
    watched = Watched.now(settings.model)
    ready, errors = context.Array("b", n_workers), context.SimpleQueue()
    ending = threading.Event()
    for signalled in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(signalled) != signal.SIG_IGN:
            signal.signal(signalled, lambda *_: ending.set())
    with tempfile.TemporaryDirectory() as folder:
        # A worker that takes the place of another one serves the same model, whatever became of its file.
        kept = Path(folder, "kept.model")
        kept.write_bytes(path_at(settings.model).read_bytes())
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        own = replace(settings, model=str(kept), watched=watched)

        def start(number: int, succeeds: bool) -> Any:
            fellow = Fellow(number, ready, succeeds)
            given = own, listening, place, started, fellow, errors, log.level
            worker = context.Process(target=_work, args=given, daemon=True)
            worker.start()
            return worker

        log.info("serving %s at %s by %d processes", settings.model, place, n_workers)
        workers = [start(number, succeeds=False) for number in range(n_workers)]
        is_told = is_replaced = False
        try:
            while not ending.wait(0.2):
                if not is_told and all(ready[:]):
                    is_told = True
                    log.info("ready after %.1f s: %s", time.monotonic() - started, place)
                if not is_replaced and watched.is_replaced():
                    is_replaced = True
                    _say_replaced(settings.model)
                for number, worker in enumerate(workers):
                    if worker.is_alive():
                        continue
                    if worker.exitcode == REFUSED:  # the next one would say the same
                        raise errors.get()
                    ready[number] = 0
                    log.warning("worker %d ended (%s); another one starts", number, worker.exitcode)
                    ending.wait(AGAIN_SECONDS)
                    workers[number] = start(number, succeeds=True)
        finally:
            _end(workers)
            os.environ.pop("PROMETHEUS_MULTIPROC_DIR")


def _end(workers: Sequence[Any]) -> None:
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + FINISH_SECONDS + COMPUTE_SECONDS + 1
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        if worker.is_alive():
            worker.kill()


def _work(
    settings: "Settings",
    listening: socket.socket,
    place: str,
    started: float,
    fellow: Fellow,
    errors: Any,
    level: int,
) -> None:
    """One of several processes."""
    with messages_on_stderr(level):
        try:
            _serve_here(settings, listening, place, started, fellow)
        except BottleheadError as error:
            errors.put(error)
            sys.exit(REFUSED)
