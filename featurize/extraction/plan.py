"""The plan of an extraction: the rows of its table, which vectors the store has, and the tasks for the others."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from featurize.extractors.base import Extractor
from featurize.extractors.batches import AHEAD, Batch, Task, compute, max_images_in_flight, read_photo
from featurize.photos.decode import MAX_PIXELS, ImageRejected
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.fileindex import Content, FileIndex, map_ahead
from featurize.photos.origin import READERS, Origin, Source, SourceImage
from featurize.photos.photo import Photo
from featurize.store.shard import contains, image_keys, short_keys
from featurize.store.store import Section, ShardWriter

Row = tuple[SourceImage, Content, int]  # the last is the variant
Key = tuple[str, int]  # content and variant


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the table to be: where its photo is, and which distorted copy it is."""

    origin: Origin
    variant: int


class SourceContents:
    """Looks up or reads each photo of a source, and numbers its table rows: image by image, its copies behind it.

    A file that is unchanged since an earlier run is not opened; `n_read` files are. `places` has every possible row.
    """

    def __init__(
        self,
        source: Source,
        index: FileIndex,
        distort: Distortion | None,
        jobs: int,
        max_pixels: int = MAX_PIXELS,
    ):
        self.source, self.index, self.jobs, self.max_pixels = source, index, jobs, max_pixels
        self.places: list[Place] = []
        self._rows_of: list[range] = []
        for image in source.images:
            first = len(self.places)
            self.places += [Place(image.origin, variant) for variant in _variants(image, distort)]
            self._rows_of.append(range(first, len(self.places)))
        self._contents = index.known([image.origin for image in source.images], max_pixels)
        self._in_order = source.reading_order()
        self._unread = [number for number in self._in_order if self._contents[number] is None]
        self.n_read = len(self._unread)

    def iter_known_then_read(self) -> Generator[Sequence[int]]:
        """The numbers of images, as soon as it is known what they hold: first the unchanged, then one by one."""
        yield [number for number in self._in_order if self._contents[number] is not None]
        origins = [self.source.images[number].origin for number in self._unread]
        jobs = max(self.jobs, READERS) if any(origin.waits for origin in origins) else self.jobs
        with closing(self.index.read(origins, jobs=jobs, max_pixels=self.max_pixels)) as contents:
            for number, content in zip(self._unread, contents, strict=True):
                self._contents[number] = content
                yield [number]

    def rows_and_digests(self, images: Sequence[int]) -> tuple[list[int], list[str]]:
        """Of some images, those that can be read: their rows, and the SHA-256 of what each row shows."""
        rows: list[int] = []
        sha256: list[str] = []
        for number in images:
            content = self._contents[number]
            if isinstance(content, Content):
                rows += self._rows_of[number]
                sha256 += [content.sha256] * len(self._rows_of[number])
        return rows, sha256

    def n_rows(self, images: Sequence[int]) -> int:
        """How many rows some images would have if all could be read."""
        return sum(len(self._rows_of[number]) for number in images)

    def n_unread(self) -> int:
        """How many rows the images would have that were not read so far."""
        return self.n_rows([number for number in self._unread if self._contents[number] is None])

    def rows(self, failed: Collection[str]) -> tuple[list[Row], np.ndarray]:
        """The rows of the images that could be read and whose content is not among `failed`; and their numbers."""
        rows: list[Row] = []
        numbers: list[int] = []
        for number, (image, content) in enumerate(zip(self.source.images, self._contents, strict=True)):
            if isinstance(content, Content) and content.sha256 not in failed:
                rows += [(image, content, self.places[row].variant) for row in self._rows_of[number]]
                numbers += self._rows_of[number]
        return rows, np.array(numbers, dtype=np.int64)

    def rejects(self, failed: Mapping[str, str]) -> list[tuple[str, str]]:
        """The other images, and why; `failed` has the reasons of contents without vectors."""
        rejects = list(self.source.rejects)
        for image, content in zip(self.source.images, self._contents, strict=True):
            if not isinstance(content, Content):
                rejects.append((image.image, self.source.reason(image, content)))
            elif content.sha256 in failed:
                rejects.append((image.image, failed[content.sha256]))
        return rejects


def _variants(image: SourceImage, distort: Distortion | None) -> tuple[int, ...]:
    """The photo itself, and its copies where it may be trained on: nothing is ever tested on a copy."""
    return (0, *distort.variants) if distort and image.split in (None, "training") else (0,)


class ExtractionPlan:
    """One matrix per extractor, filled row by row; rows of equal content are computed once.

    `computed` holds, per extractor, the SHA-256 of the contents that it ran on; `failed` has the reason of those
    without a vector; `remarks` says of which contents something is worth a word.
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        sections: Sequence[Section],
        places: Sequence[Place],
        distort: Distortion | None,
        jobs: int,
        max_pixels: int = MAX_PIXELS,
    ):
        self.max_pixels = max_pixels
        self.remarks: dict[str, set[str]] = {}
        self.extractors, self.sections, self.places = list(extractors), list(sections), places
        self.distort, self.jobs = distort, jobs
        self.matrices = [np.empty((len(places), e.width), dtype=np.float32) for e in extractors]
        self.computed: list[set[str]] = [set() for _ in extractors]
        self.failed: dict[str, str] = {}
        self._filled = [np.zeros(len(places), dtype=bool) for _ in extractors]
        self._rows: dict[Key, list[int]] = {}
        self._stored = [section.short_keys() for section in sections]

    def register(self, rows: Iterable[int], sha256: Iterable[str]) -> list[Task]:
        """Say what the given rows hold; back comes what must be computed for them, as far as it can be known."""
        fresh = []
        for row, content in zip(rows, sha256, strict=True):
            key = content, self.places[row].variant
            if key not in self._rows:
                fresh.append(key)
            self._rows.setdefault(key, []).append(row)
        if not fresh:
            return []
        wanted = short_keys(_keys(fresh))
        missing = np.array([~contains(stored, wanted) for stored in self._stored])
        to_do = np.flatnonzero(missing.any(axis=0))
        tasks = [self._task(fresh[i], np.flatnonzero(missing[:, i])) for i in to_do]
        # A network is loaded anew for another choice of its outputs: those of one choice together.
        return sorted(tasks, key=lambda task: task.needed)

    def compute(self, tasks: Iterable[Task], advance: Callable[[int], object]) -> None:
        """Compute, store and fill in; `advance` is told how many tasks are done.

        StoreError if the store cannot be written; what was computed before is in it.
        """
        missing: dict[Key, int] = {}

        def taken():
            for task in self._fetched(tasks):
                missing[task.key] = len(task.needed)
                yield task

        with ExitStack() as stack:
            begun = max_images_in_flight(self.extractors)
            writers = [stack.enter_context(ShardWriter(section, begun=begun)) for section in self.sections]
            for result in compute(taken(), self.extractors, jobs=self.jobs, remarked=self._remark):
                if isinstance(result, Batch):
                    writers[result.extractor].add(_keys(result.keys), result.matrix)
                    advance(self._fill(result, missing))
                else:
                    self.failed[result.key[0]] = result.reason
                    advance(1)

    def _fetched(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The same tasks; photos that wait for a network are fetched by more threads than decode them."""
        if not any(place.origin.waits for place in self.places):
            yield from tasks
            return
        with ThreadPoolExecutor(READERS, "fetch") as pool:
            for task, _ in map_ahead(pool, tasks, self._fetch, AHEAD):
                yield task

    def _fetch(self, task: Task) -> None:
        with suppress(ImageRejected):  # reading it says so again
            self.places[self._rows[task.key][0]].origin.fetch()

    def _fill(self, batch: Batch, missing: dict[Key, int]) -> int:
        """Fill in what was computed; how many tasks have all their vectors now."""
        first = [self._rows[key][0] for key in batch.keys]
        self.matrices[batch.extractor][first] = batch.matrix
        self._filled[batch.extractor][first] = True
        self.computed[batch.extractor].update(sha256 for sha256, _ in batch.keys)
        for key in batch.keys:
            missing[key] -= 1
        return sum(not missing[key] for key in batch.keys)

    def n_only_in(self, number: int, others: Iterable[Section]) -> int:
        """How many of the photos had a vector in `others` when their extractor's own section had none."""
        wanted = short_keys(_keys([key for key in self._rows if not key[1]]))
        missing = ~contains(self._stored[number], wanted)
        stored = [contains(section.short_keys(), wanted) for section in others]
        return int((missing & np.any(stored, axis=0)).sum()) if stored and missing.any() else 0

    def load_stored(self) -> list[Task]:
        """Fill in what the store holds; back comes what must be computed after all.

        That is what the store lost, and what failed while another file with the same content was not known yet.
        """
        missing: dict[Key, list[int]] = {}
        for number, section in enumerate(self.sections):
            filled = self._filled[number]
            wanted = [key for key, rows in self._rows.items() if not filled[rows[0]]]
            first = np.array([self._rows[key][0] for key in wanted], dtype=np.int64)
            found = section.load(_keys(wanted), self.matrices[number], first)
            filled[first[found]] = True
            for i in np.flatnonzero(~found):
                missing.setdefault(wanted[i], []).append(number)
        again = [key for key in missing if key[0] not in self.failed or len(self._rows[key]) > 1]
        for sha256, _ in again:
            self.failed.pop(sha256, None)
        return [self._task(key, missing[key]) for key in again]

    def copy_to_duplicates(self) -> None:
        """Give rows of equal content the vector of the first of them."""
        for first, *others in self._rows.values():
            for matrix in self.matrices if others else ():
                matrix[others] = matrix[first]

    def _task(self, key: Key, needed: Iterable[int]) -> Task:
        # Other files with the same bytes, should the first one vanish.
        origins = list(dict.fromkeys(self.places[row].origin for row in self._rows[key]))
        return Task(key, partial(self._read, key, origins), tuple(map(int, needed)), origins[0].place)

    def _read(self, key: Key, origins: list[Origin]) -> Photo:
        photo = read_photo(key[0], origins, self.max_pixels)
        return DistortedPhoto(photo, self.distort, key[1], key[0]) if self.distort and key[1] else photo

    def _remark(self, key: Key, remarks: set[str]) -> None:
        for remark in remarks:
            self.remarks.setdefault(remark, set()).add(key[0])

    @property
    def n_contents(self) -> int:
        """How many different contents the rows hold."""
        return len({sha256 for sha256, _ in self._rows})


def _keys(keys: list[Key]) -> np.ndarray:
    return image_keys([sha256 for sha256, _ in keys], [variant for _, variant in keys])
