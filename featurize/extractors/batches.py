"""Photos to vectors: threads read and decode ahead, one thread runs the extractors batch by batch."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from featurize.ahead import work_ahead
from featurize.extractors.base import Extractor
from featurize.extractors.finite import NOT_FINITE, finite_rows
from featurize.photos.decode import NO_MEMORY, ImageRejected
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.fileindex import read_image
from featurize.photos.photo import Photo
from featurize.runner import Members, Runner

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
        decoded = work_ahead(pool, tasks, lambda task: _prepare(task, extractors, teams), AHEAD)
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
