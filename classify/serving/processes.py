"""The processes that serve: one that listens at once and loads meanwhile, or several behind one socket."""

import asyncio
import logging
import multiprocessing
import os
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
from typing import Any

from classify.serving.settings import Settings, Watched
from featurize.errors import BottleheadError
from featurize.remote import path_at
from featurize.terminal import log, messages_on_stderr, printable

LOOK_SECONDS = 2.0  # between two looks at the file of the model
# The end after SIGTERM: requests have the first, what is being computed the second. With what Python and TensorFlow
# take to end it is to be no more than 10 s.
FINISH_SECONDS, COMPUTE_SECONDS = 4, 2.5
AGAIN_SECONDS = 1.0  # between the end of a worker and its successor
# How long an idle connection stays open: longer than proxies and clients keep theirs (60 s), who would otherwise send a
# request at the moment when it is closed, and lose it.
KEEP_SECONDS = 75
REFUSED, TERMINATED = 3, 143  # of a worker that cannot serve; of a process that ends before its work does


def serve_here(
    settings: Settings, listening: socket.socket, place: str, started: float, fellow: "Fellow | None" = None
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
        timeout_keep_alive=KEEP_SECONDS,
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
    _end_of(executor)
    if failed:
        raise failed[0]


def _say_replaced(model: str) -> None:
    what = "%s was replaced or removed; the model that was loaded is served until this command starts again"
    log.warning(what, model)


def _quieten() -> None:
    """What libraries have to say of requests goes where our messages go, on one line."""

    class Ours(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.debug("%s", printable(record.getMessage()))

    for name in ("uvicorn", "python_multipart"):
        theirs = logging.getLogger(name)
        theirs.handlers, theirs.propagate = [Ours()], False
        theirs.setLevel(logging.WARNING)


def _end_of(executor: ThreadPoolExecutor) -> None:
    """Wait for what is being computed; what takes longer than may be is left undone, with the whole process."""
    ends = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
    ends.start()
    ends.join(COMPUTE_SECONDS)
    if ends.is_alive():
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


def serve_in_processes(
    settings: Settings, listening: socket.socket, n_workers: int, place: str, started: float
) -> None:
    """Keep `n_workers` processes that take turns at one socket, until a signal."""
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
                        error = errors.get()
                        raise type(error)(error.args[0].replace(str(kept), settings.model), error.hint)
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
    settings: Settings,
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
            serve_here(settings, listening, place, started, fellow)
        except BottleheadError as error:
            errors.put(error)
            sys.exit(REFUSED)
