"""Photos to vectors: threads read and decode ahead, one or two run the extractors batch by batch."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featurize.errors import failing_of_others
from featurize.photos.decode import MAX_PIXELS, NO_MEMORY, ImageRejected
from featurize.photos.fileindex import map_ahead
from featurize.photos.origin import Origin
from featurize.photos.photo import Photo, content_digest

if TYPE_CHECKING:
    from featurize.extractors.base import Extractor

BATCH_SECONDS = 4.0
AHEAD = 64  # images read and decoded before they are needed; bounds the memory, and what a kill loses
NOT_FINITE = "numbers that are not finite (NaN or infinity)"
MEND = "mend these features, or leave them out"

ExtractorGroup = tuple[int, ...]  # the numbers of extractors that share one run, as layers of one network do
Vectors = tuple[np.ndarray, np.ndarray]  # float32 of shape (n, width), and which rows hold finite numbers
StackedBatch = tuple[ExtractorGroup, list[Any], Any]  # with its images' keys, and what the group runs on


@dataclass(frozen=True)
class Task:
    """One image to compute: its key and name for whoever asks, how to get it, and which extractors still need it."""

    key: Any
    read: Callable[[], Photo]
    needed: tuple[int, ...] = (0,)
    name: str = "an image"


@dataclass(frozen=True)
class Batch:
    """Vectors of one extractor for some images, by their keys."""

    extractor: int
    keys: list[Any]
    matrix: np.ndarray


@dataclass(frozen=True)
class Failed:
    """An image that gives no vector, and why."""

    key: Any
    reason: str


def compute(
    tasks: Iterable[Task],
    extractors: Sequence["Extractor"],
    *,
    jobs: int,
    remarked: Callable[[Any, set[str]], None] | None = None,
) -> Iterator[Batch | Failed]:
    """Compute every task; what is ready is yielded as it comes, and tasks are taken as they are needed.

    An image that cannot be read fails and gives no vectors. One for which an extractor gives numbers that are not
    finite may have had vectors of others before, and may have some after. On a slow machine batches become smaller,
    so that what is ready is handed over, and kept, every few seconds. `remarked` is told, by key, what is worth a word
    about how a photo was decoded. With 0 `jobs` everything is done in this thread, which is quickest for one image.
    """
    groups = group_extractors(extractors)
    sizes: dict[ExtractorGroup, int] = {}
    warm: set[ExtractorGroup] = set()
    failed: list[Failed] = []

    def batches() -> Iterator[StackedBatch]:
        """Each group with the keys of some images and what it runs on, stacked while the batch before runs."""
        waiting: dict[ExtractorGroup, list[tuple[Any, np.ndarray]]] = {}
        for task, prepared in map_ahead(pool, tasks, lambda task: _prepare(task, extractors, groups), AHEAD):
            if isinstance(prepared, ImageRejected):
                failed.append(Failed(task.key, str(prepared)))
                continue
            if prepared[1] and remarked is not None:
                remarked(task.key, prepared[1])
            for group, ready in prepared[0]:
                queue = waiting.setdefault(group, [])
                queue.append((task.key, ready))
                if len(queue) >= sizes.setdefault(group, extractors[group[0]].at_once):
                    yield stacked(group, waiting.pop(group))
        for group, queue in waiting.items():
            yield stacked(group, queue)

    def stacked(group: ExtractorGroup, queue: list[tuple[Any, np.ndarray]]) -> StackedBatch:
        return group, [key for key, _ in queue], _stacked(extractors[group[0]], [ready for _, ready in queue])

    def run(batch: StackedBatch) -> list[Vectors]:
        begun = time.perf_counter()
        matrices = run_group([extractors[number] for number in batch[0]], batch[2], len(batch[1]))
        # The first batch also loads the network, which says nothing about the batch size.
        if batch[0] in warm and time.perf_counter() - begun > BATCH_SECONDS * n_runners:
            sizes[batch[0]] = max(1, sizes[batch[0]] // 2)
        warm.add(batch[0])
        return matrices

    n_runners = _batches_at_once(extractors)
    with (
        ThreadPoolExecutor(jobs, "decode") if jobs else _AtOnce() as pool,
        ThreadPoolExecutor(n_runners, "extract") if jobs else _AtOnce() as runner,
    ):
        for (group, keys, _), matrices in map_ahead(runner, batches(), run, n_ahead=n_runners + 1):
            yield from failed
            failed.clear()
            # Each vector is looked at: this is the one way into the store and into a table.
            for number, (matrix, finite) in zip(group, matrices, strict=True):
                for i in np.flatnonzero(~finite):
                    yield Failed(keys[i], f"{extractors[number].name} gave {NOT_FINITE}")
                if finite.any():
                    kept = [key for key, good in zip(keys, finite, strict=True) if good]
                    yield Batch(number, kept, matrix if finite.all() else matrix[finite])
        yield from failed


class _AtOnce(Executor):
    """Does what is submitted at once, in the thread that submits it."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


def max_images_in_flight(extractors: Sequence["Extractor"]) -> int:
    """Upper bound on images that are decoded or queued but not stored yet, beside a batch that is ready."""
    return AHEAD + _batches_at_once(extractors) * max(extractor.at_once for extractor in extractors)


def _batches_at_once(extractors: Sequence["Extractor"]) -> int:
    """Two where no processor should wait for the last image of a batch; two networks would be in each other's way."""
    n_networks = len({extractor.run_key() for extractor in extractors} - {None})
    return 2 if n_networks == 1 and all(extractor.reentrant for extractor in extractors) else 1


def group_extractors(extractors: Sequence["Extractor"]) -> list[ExtractorGroup]:
    """The extractors by number, those together whose vectors come out of one run."""
    groups: dict[object, list[int]] = {}
    for number, extractor in enumerate(extractors):
        key = extractor.run_key()
        groups.setdefault(number if key is None else key, []).append(number)
    return [tuple(group) for group in groups.values()]


def run_group(group: Sequence["Extractor"], stacked: Any, n_images: int) -> list[Vectors]:
    """The vectors of each extractor of a group; UsageError where they are not one vector of numbers per image."""
    with failing_of_others(f"{group[0].name} failed", MEND):
        matrices = group[0].run_together(group, stacked)
        for extractor, made in zip(group, map(np.asarray, matrices), strict=True):
            wanted = n_images, extractor.width
            if made.shape != wanted or made.dtype.kind not in "fiub":
                given = f"{extractor.name} gave {made.dtype} of shape {made.shape}"
                raise ValueError(f"{given}, and not float32 of shape {wanted}")
    return [finite_rows(matrix) for matrix in matrices]


def vectors_of_photo(group: Sequence["Extractor"], photo: Photo, name: str) -> list[Vectors]:
    """What `run_group` gives for one photo."""
    return run_group(group, _stacked(group[0], [_prepared(group[0], photo, name)]), 1)


def finite_rows(vectors: np.ndarray) -> Vectors:
    """Vectors as float32 of shape (n, width), and which of them hold finite numbers alone, as booleans.

    >>> finite_rows(np.array([[1.0, 2.0], [1.0, 1e300]]))[1]
    array([ True, False])
    """
    with np.errstate(over="ignore"):
        matrix = np.asarray(vectors, dtype=np.float32)
    return matrix, np.all(np.isfinite(matrix), axis=1)


def read_photo(sha256: str, origins: Iterable[Origin], max_pixels: int = MAX_PIXELS) -> Photo:
    """The photo with this content, from the first of `origins` that still holds it.

    ImageRejected, with what is wrong with the first of them, if none does.
    """
    reasons = []
    for origin in origins:
        try:
            data = origin.read()
        except ImageRejected as rejected:
            reasons.append(rejected)
            continue
        if content_digest(data) == sha256:
            return Photo.of(data, max_pixels)
        reasons.append(ImageRejected("changed while it was being featurized; run again"))
    raise reasons[0]


def _prepared(extractor: "Extractor", photo: Photo, name: str) -> np.ndarray:
    with failing_of_others(f"{extractor.name} failed on {name}", MEND, let_through=(ImageRejected,)):
        return extractor.prepare(photo)


def _stacked(extractor: "Extractor", prepared: list[np.ndarray]) -> Any:
    with failing_of_others(f"{extractor.name} failed", MEND):
        return extractor.stack(prepared)


def _prepare(
    task: Task, extractors: Sequence["Extractor"], groups: list[ExtractorGroup]
) -> tuple[list[tuple[ExtractorGroup, np.ndarray]], set[str]] | ImageRejected:
    """What each group needs of the photo, and its remarks; of a group, those extractors that still need it."""
    try:
        photo = task.read()
        needed = [tuple(number for number in group if number in task.needed) for group in groups]
        prepared = [(group, _prepared(extractors[group[0]], photo, task.name)) for group in needed if group]
        return prepared, photo.remarks
    except ImageRejected as rejected:
        return rejected
    except MemoryError:
        return ImageRejected(NO_MEMORY)
