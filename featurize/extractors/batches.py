"""Photos to vectors: threads read and decode ahead, one thread runs the extractors batch by batch."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurize.extractors.base import NOT_FINITE, Extractor, finite_rows
from featurize.photos.decode import NO_MEMORY, ImageRejected, read_image
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.fileindex import map_ahead
from featurize.photos.photo import Photo
from featurize.terminal import log

# -- The thread that runs the extractors, so that decoding, the network and writing go on at the same time ---

BATCH_SECONDS = 4.0
SLOTS = 60  # of the drawn timeline
Members = tuple[int, ...]  # the numbers of extractors that run together


class Runner:
    """Runs batches one after another in a thread of its own; use it as a context.

    While one batch runs, the next is gathered and waits, and the vectors of the one before are stored. On a slow
    machine batches become smaller, so that what is ready is handed over, and kept, every few seconds.
    """

    def __init__(self, extractors: Sequence[Extractor]):
        self._extractors = extractors
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="extract")
        self._running: tuple[Any, Future] | None = None
        self._sizes: dict[Members, int] = {}
        self._warm: set[Members] = set()
        self._spans: list[tuple[float, float]] = []

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *exception) -> None:
        self._thread.shutdown(cancel_futures=True)

    def size(self, members: Members) -> int:
        """How many images the next batch should have."""
        return self._sizes.setdefault(members, self._extractors[members[0]].batch_size)

    def run(
        self, members: Members, prepared: list[np.ndarray], about: Any
    ) -> Iterator[tuple[Any, list[np.ndarray]]]:
        """Begin with a batch; what is yielded are the vectors of the one before, with what was said about it."""
        gathered = self._extractors[members[0]].gather(prepared)
        before, self._running = self._running, (about, self._thread.submit(self._vectors, members, gathered))
        if before is not None:
            yield before[0], before[1].result()

    def rest(self) -> Iterator[tuple[Any, list[np.ndarray]]]:
        """The vectors of the last batch."""
        if self._running is not None:
            yield self._running[0], self._running[1].result()
            self._running = None
        if len(self._spans) > 1:
            log.debug("the extractors ran %s", timeline(self._spans))

    def _vectors(self, members: Members, gathered: Any) -> list[np.ndarray]:
        begun = time.perf_counter()
        team = [self._extractors[number] for number in members]
        matrices = team[0].vectors_of(team, gathered)
        ended = time.perf_counter()
        # The first batch also loads the network, which says nothing about the batch size.
        if members in self._warm and ended - begun > BATCH_SECONDS:
            self._sizes[members] = max(1, self.size(members) // 2)
        self._warm.add(members)
        self._spans.append((begun, ended))
        return matrices


def timeline(spans: Sequence[tuple[float, float]]) -> str:
    """How much of the time after the first span was spent in the others, drawn and in percent.

    Parameters
    ----------
    spans : sequence of (begun, ended)
        In seconds, one after another; the first, which loads the network, is left out.

    Examples
    --------
    >>> timeline([(0.0, 5.0), (5.0, 7.0), (8.0, 10.0)])
    '80 % of 5.0 s after the first batch |########################............########################|'
    """
    start, end = spans[0][1], spans[-1][1]
    edges = np.linspace(start, end, SLOTS + 1)
    begun, ended = np.array(spans[1:]).T
    # Seconds spent inside spans before each edge.
    spent = np.clip(edges[:, None] - begun, 0, ended - begun).sum(axis=1)
    shares = np.diff(spent) / np.diff(edges)
    drawn = "".join("#" if share > 0.9 else "+" if share > 0.5 else "." for share in shares)
    return f"{100 * spent[-1] / (end - start):.0f} % of {end - start:.1f} s after the first batch |{drawn}|"


AHEAD = 64  # images read and decoded before they are needed; bounds the memory, and what a kill loses


@dataclass(frozen=True)
class Task:
    """One image, or a distorted copy, to compute: what it is, where to read it, which extractors still need it."""

    sha256: str
    path: str
    needed: tuple[int, ...]
    variant: int = 0
    distortion: Distortion | None = None
    twins: tuple[str, ...] = ()  # other files with the same bytes, should this one vanish


@dataclass(frozen=True)
class Batch:
    """Vectors of one extractor for some images."""

    extractor: int
    sha256: list[str]
    variants: list[int]
    matrix: np.ndarray


@dataclass(frozen=True)
class Failed:
    """An image that gives no vector, and why."""

    sha256: str
    reason: str


def compute(tasks: Iterable[Task], extractors: list[Extractor], *, jobs: int) -> Iterator[Batch | Failed]:
    """Compute every task; what is ready is yielded as it comes, and tasks are taken as they are needed.

    An image that cannot be read fails before any of its vectors would be yielded. One for which an extractor gives
    numbers that are not finite may have had vectors of others before, and may have some after.
    """
    teams = find_teams(extractors)
    waiting: dict[Members, list[tuple[Task, np.ndarray]]] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="decode") as pool, Runner(extractors) as runner:
        decoded = map_ahead(pool, tasks, lambda task: _prepare(task, extractors, teams), AHEAD)
        for task, prepared in decoded:
            if isinstance(prepared, ImageRejected):
                yield Failed(task.sha256, str(prepared))
                continue
            for members, ready in prepared:
                queue = waiting.setdefault(members, [])
                queue.append((task, ready))
                if len(queue) >= runner.size(members):
                    del waiting[members]
                    yield from _run(extractors, runner, members, queue)
        for members, queue in waiting.items():
            yield from _run(extractors, runner, members, queue)
        for about, matrices in runner.rest():
            yield from _batches(extractors, about, matrices)


def in_hand(extractors: list[Extractor]) -> int:
    """How many images can be in work beside a batch whose vectors are ready: decoded ahead, and in the next batch."""
    return AHEAD + max(extractor.batch_size for extractor in extractors)


def find_teams(extractors: Sequence[Extractor]) -> list[Members]:
    """The extractors by number, those together whose vectors come out of one run."""
    teams: dict[object, list[int]] = {}
    for number, extractor in enumerate(extractors):
        team = extractor.team()
        teams.setdefault(number if team is None else team, []).append(number)
    return [tuple(members) for members in teams.values()]


def _prepare(
    task: Task, extractors: list[Extractor], teams: list[Members]
) -> list[tuple[Members, np.ndarray]] | ImageRejected:
    """What each team needs of the photo; of a team, those members that still need it."""
    try:
        photo = Photo(_read(task))
        if task.distortion is not None:
            photo = DistortedPhoto(photo, task.distortion, task.variant, task.sha256)
        needed = [tuple(number for number in team if number in task.needed) for team in teams]
        return [(members, extractors[members[0]].prepare(photo)) for members in needed if members]
    except ImageRejected as rejected:
        return rejected
    except MemoryError:
        return ImageRejected(NO_MEMORY)


def _read(task: Task) -> bytes:
    """The bytes that the task is about, from the first file that still holds them."""
    reasons = []
    for path in (task.path, *task.twins):
        try:
            data = read_image(path)
        except ImageRejected as rejected:
            reasons.append(rejected)
            continue
        if hashlib.sha256(data).hexdigest() == task.sha256:
            return data
        reasons.append(ImageRejected("changed while it was being featurized; run again"))
    raise reasons[0]


def _run(
    extractors: list[Extractor], runner: Runner, members: Members, queue: list[tuple[Task, np.ndarray]]
) -> Iterator[Batch | Failed]:
    tasks = [task for task, _ in queue]
    for about, matrices in runner.run(members, [ready for _, ready in queue], (members, tasks)):
        yield from _batches(extractors, about, matrices)


def _batches(
    extractors: list[Extractor], about: tuple[Members, list[Task]], matrices: list[np.ndarray]
) -> Iterator[Batch | Failed]:
    """What came back, each vector looked at: the one way into the store and into a table."""
    members, tasks = about
    for number, values in zip(members, matrices, strict=True):
        matrix, finite = finite_rows(values)
        kept = [task for task, good in zip(tasks, finite, strict=True) if good]
        for task, good in zip(tasks, finite, strict=True):
            if not good:
                yield Failed(task.sha256, f"{extractors[number].name} gave {NOT_FINITE}")
        if kept:
            matrix = matrix if len(kept) == len(tasks) else matrix[finite]
            yield Batch(number, [task.sha256 for task in kept], [task.variant for task in kept], matrix)
