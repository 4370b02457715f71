"""One bounded queue for the photos of all requests: those that wait together are computed as one batch."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import prometheus_client

from classify.prediction.neighbours import Neighbour
from classify.prediction.predictions import Predictions
from featurize.terminal import log

FAILED = "an error of the program, which its log describes"
TOGETHER = 16  # photos computed at a time: more are hardly quicker, and whoever comes next waits longer
OF_ONE_REQUEST = (
    8  # photos of one request that may wait at a time; the next ones are read when these are done
)


class Refusal(Exception):
    """A request that is not answered, with its status and the reason in words."""

    def __init__(self, status: int, reason: str, retry_after: int | None = None):
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class Gone(Exception):
    """The client hung up: nobody waits for the answer."""


@dataclass
class Answer:
    """What is said of one photo: a row of predictions, or a status and the reason why there is none."""

    predictions: Predictions | None = None
    status: int = 200
    reason: str = ""
    neighbours: list[tuple[int, Neighbour]] = field(default_factory=list)


class Metrics:
    """What ``/metrics`` tells, of all worker processes together where there are several."""

    def __init__(self) -> None:
        self.registry = registry = prometheus_client.CollectorRegistry()
        several = "PROMETHEUS_MULTIPROC_DIR" in os.environ

        def gauge(name: str, text: str, of_several: Any) -> prometheus_client.Gauge:
            how = {"multiprocess_mode": of_several} if several else {}
            return prometheus_client.Gauge(name, text, registry=registry, **how)

        self.requests = prometheus_client.Counter(
            "bottlehead_requests", "Requests, by path and status.", ["path", "status"], registry=registry
        )
        self.seconds = prometheus_client.Histogram(
            "bottlehead_request_seconds", "From a request to its answer.", ["path"], registry=registry
        )
        self.photos = prometheus_client.Counter(
            "bottlehead_photos", "Photos, by what became of them.", ["result"], registry=registry
        )
        self.together = prometheus_client.Histogram(
            "bottlehead_photos_together",
            "How many photos were computed at a time.",
            buckets=(1, 2, 4, 8, TOGETHER),
            registry=registry,
        )
        self.waiting = gauge("bottlehead_photos_waiting", "Photos that wait.", "livesum")
        self.ready = gauge("bottlehead_ready", "1 when the network is loaded and checked.", "livemin")
        self.start_seconds = gauge("bottlehead_start_seconds", "From start to ready.", "livemax")

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            from prometheus_client.multiprocess import MultiProcessCollector

            registry = prometheus_client.CollectorRegistry()
            MultiProcessCollector(registry)
        return prometheus_client.generate_latest(registry)


class Share:
    """The bytes that one request holds in memory, of a limit on those of all requests."""

    def __init__(self, memory: "Memory"):
        self.memory, self.held = memory, 0

    def take(self, n_bytes: int) -> None:
        """Hold more; a Refusal where all requests together would hold too much."""
        if self.memory.held + n_bytes > self.memory.most:
            raise Refusal(503, "too much is being uploaded at a time; come back soon", retry_after=2)
        self.held += n_bytes
        self.memory.held += n_bytes

    def give_back(self, n_bytes: int) -> None:
        """Hold fewer; what was given back with everything else does not count again."""
        n_bytes = min(n_bytes, self.held)
        self.held -= n_bytes
        self.memory.held -= n_bytes


@dataclass
class Memory:
    """How many bytes of uploads all requests hold, and may hold."""

    most: int
    held: int = 0


@dataclass(eq=False)
class Waiting:
    """A photo in line."""

    data: bytes
    n_neighbours: int
    answer: "asyncio.Future[Answer]"


Compute = Callable[[Sequence[tuple[bytes, int]]], list[Answer]]
# Photos by name; an Answer where it is known before anything is computed.
Photos = AsyncGenerator[tuple[str, bytes | Answer], None]


class Line:
    """The line of photos; it lives in one event loop, and computes in one thread of `executor`.

    Requests take turns: a photo of each, then the next of each, so that a request of hundreds keeps nobody waiting.
    """

    def __init__(self, compute: Compute, executor: Executor, metrics: Metrics, most: int):
        self.compute, self.executor, self.metrics, self.most = compute, executor, metrics, most
        self.n_waiting = 0
        self._turns: deque[deque[Waiting]] = deque()  # a line per request, none of them empty
        self._filled = asyncio.Event()

    async def run(self) -> None:
        """Compute what waits, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._filled.wait()
            batch = self._next()
            if not batch:
                continue
            self.metrics.together.observe(len(batch))
            given = [(one.data, one.n_neighbours) for one in batch]
            try:
                found = await loop.run_in_executor(self.executor, self.compute, given)
            except Exception as error:  # whatever it is, the next ones are not to wait for ever
                log.error("photos could not be predicted: %s: %s", type(error).__name__, error)
                found = [Answer(status=500, reason=FAILED)] * len(batch)
            for one, answer in zip(batch, found, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)

    def _next(self) -> list[Waiting]:
        batch: list[Waiting] = []
        while self._turns and len(batch) < TOGETHER:
            turn = self._turns.popleft()
            one = turn.popleft()
            self.n_waiting -= 1
            if not one.answer.done():  # nobody waits for one that was cancelled
                batch.append(one)
            if turn:
                self._turns.append(turn)
        if not self._turns:
            self._filled.clear()
        self.metrics.waiting.set(self.n_waiting)
        return batch

    async def answers(
        self, photos: Photos, share: Share, gone: Callable[[], Awaitable[None]], n_neighbours: int = 0
    ) -> list[tuple[str, Answer]]:
        """The names and answers of the photos of one request, in order.

        `gone` waits for the client to hang up; then nothing more of the request is computed, and `Gone` is raised. A
        Refusal where the line is full.
        """
        mine: deque[Waiting] = deque()
        places = asyncio.Semaphore(OF_ONE_REQUEST)
        found: list[tuple[str, Waiting | Answer]] = []
        n_lined_up = 0
        try:
            async with aclosing(photos):
                async for name, data in photos:
                    if isinstance(data, Answer):
                        found.append((name, data))
                        continue
                    if not n_lined_up and self.n_waiting >= self.most:
                        reason = f"{self.n_waiting} photos wait already; come back soon"
                        raise Refusal(503, reason, retry_after=1)
                    await places.acquire()
                    one = Waiting(data, n_neighbours, asyncio.get_running_loop().create_future())
                    one.answer.add_done_callback(partial(self._done, one, share, places))
                    found.append((name, one))
                    n_lined_up += 1
                    if not mine:
                        self._turns.append(mine)
                    mine.append(one)
                    self.n_waiting += 1
                    self.metrics.waiting.set(self.n_waiting)
                    self._filled.set()
            await self._all([one.answer for _, one in found if isinstance(one, Waiting)], gone)
            return [(name, one.answer.result() if isinstance(one, Waiting) else one) for name, one in found]
        finally:
            for _, known in found:
                if isinstance(known, Waiting):
                    known.answer.cancel()

    @staticmethod
    def _done(one: Waiting, share: Share, places: asyncio.Semaphore, _: Any) -> None:
        share.give_back(len(one.data))
        one.data = b""
        places.release()

    @staticmethod
    async def _all(answers: "list[asyncio.Future[Answer]]", gone: Callable[[], Awaitable[None]]) -> None:
        if all(answer.done() for answer in answers):
            return
        hung_up = asyncio.ensure_future(gone())
        everything = asyncio.gather(*answers)
        both: set[asyncio.Future[Any]] = {hung_up, everything}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not everything.done():
                raise Gone
        finally:
            hung_up.cancel()
            everything.cancel()
