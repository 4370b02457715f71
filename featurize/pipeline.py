"""Photos to vectors: threads read and decode ahead, one thread runs the extractors batch by batch."""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from featurize.contents import read_image
from featurize.extractors.base import Extractor
from featurize.extractors.distort import DistortedPhoto, Distortion
from featurize.pixels import ImageRejected, Photo

AHEAD = 64  # images read and decoded before they are needed; bounds the memory, and what a kill loses
BATCH_SECONDS = 4.0


@dataclass(frozen=True)
class Task:
    """One image, or a distorted copy, to compute: what it is, where to read it, which extractors still need it."""

    sha256: str
    path: str
    needed: tuple[int, ...]
    variant: int = 0
    distortion: Distortion | None = None


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


def compute(tasks: list[Task], extractors: list[Extractor], *, jobs: int) -> Iterator[Batch | Failed]:
    """Compute every task; what is ready is yielded as it comes.

    An image fails for all extractors or for none: its reason is yielded before any of its vectors would be. On
    a slow machine batches become smaller, so that what is ready is handed over, and kept, every few seconds.
    """
    waiting: list[list[tuple[Task, np.ndarray]]] = [[] for _ in extractors]
    sizes = [extractor.batch_size for extractor in extractors]
    with ThreadPoolExecutor(jobs, thread_name_prefix="decode") as pool:
        for task, prepared in _ahead(pool, tasks, lambda task: _prepare(task, extractors)):
            if isinstance(prepared, ImageRejected):
                yield Failed(task.sha256, str(prepared))
                continue
            for number, ready in zip(task.needed, prepared, strict=True):
                waiting[number].append((task, ready))
                if len(waiting[number]) >= sizes[number]:
                    begun = time.monotonic()
                    batch = _run(number, extractors[number], waiting[number])
                    if time.monotonic() - begun > BATCH_SECONDS:
                        sizes[number] = max(1, sizes[number] // 2)
                    waiting[number] = []
                    yield batch
        for number, rest in enumerate(waiting):
            if rest:
                yield _run(number, extractors[number], rest)


def _ahead(
    pool: ThreadPoolExecutor, tasks: list[Task], work: Callable[[Task], list[np.ndarray] | ImageRejected]
) -> Iterator[tuple[Task, list[np.ndarray] | ImageRejected]]:
    """The results of `work`, in the order of the tasks, at most `AHEAD` of them begun before they are taken."""
    begun: deque[tuple[Task, Future]] = deque()
    try:
        for task in tasks:
            begun.append((task, pool.submit(work, task)))
            if len(begun) >= AHEAD:
                first, future = begun.popleft()
                yield first, future.result()
        while begun:
            first, future = begun.popleft()
            yield first, future.result()
    finally:
        for _, future in begun:
            future.cancel()


def _prepare(task: Task, extractors: list[Extractor]) -> list[np.ndarray] | ImageRejected:
    try:
        data = read_image(task.path)
        if hashlib.sha256(data).hexdigest() != task.sha256:
            raise ImageRejected("changed while it was being featurized; run again")
        photo = Photo(data)
        if task.distortion is not None:
            photo = DistortedPhoto(photo, task.distortion, task.variant, task.sha256)
        return [extractors[number].prepare(photo) for number in task.needed]
    except ImageRejected as rejected:
        return rejected


def _run(number: int, extractor: Extractor, waiting: list[tuple[Task, np.ndarray]]) -> Batch:
    matrix = extractor.vectors([ready for _, ready in waiting])
    return Batch(number, [task.sha256 for task, _ in waiting], [task.variant for task, _ in waiting], matrix)
