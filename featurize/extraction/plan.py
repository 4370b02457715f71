"""The rows of a table get their vectors, from the store or from an extractor, while further files are being read."""

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from featurize.extractors.base import Extractor
from featurize.extractors.batches import Batch, Task, compute, in_hand
from featurize.photos.distort import Distortion
from featurize.photos.fileindex import Content, FileIndex
from featurize.photos.source import Source, SourceImage
from featurize.store.shard import contains, image_keys, short_keys
from featurize.store.store import Section, ShardWriter

Row = tuple[SourceImage, Content, int]  # the last is the variant


# -- What the files of a source hold, told file by file, and which rows of the table they are ------------


class Reading:
    """The contents of a source's files; one that is unchanged since an earlier run is not opened.

    Parameters
    ----------
    source : Source
    index : FileIndex
        What earlier runs found.
    distort : Distortion or None
        Distorted copies are further rows.
    jobs : int
        Threads that read.

    Attributes
    ----------
    places : list of Place
        Every row that the table may have: image by image, its copies behind it.
    n_read : int
        Files that had to be opened.
    """

    def __init__(self, source: Source, index: FileIndex, distort: Distortion | None, jobs: int):
        self.source, self.index, self.jobs = source, index, jobs
        variants = [_variants(image, distort) for image in source.images]
        self.places = [
            Place(image.path, variant)
            for image, several in zip(source.images, variants, strict=True)
            for variant in several
        ]
        self._first_row = np.cumsum([0, *map(len, variants)]).tolist()
        self._contents = index.known([image.path for image in source.images])
        self._unread = [number for number, content in enumerate(self._contents) if content is None]
        self.n_read = len(self._unread)

    def parts(self) -> Generator[Sequence[int]]:
        """The numbers of images, as soon as it is known what they hold: first the unchanged, then one by one."""
        yield [number for number, content in enumerate(self._contents) if content is not None]
        paths = [self.source.images[number].path for number in self._unread]
        with closing(self.index.read(paths, jobs=self.jobs)) as contents:
            for number, content in zip(self._unread, contents, strict=True):
                self._contents[number] = content
                yield [number]

    def shows(self, part: Sequence[int]) -> tuple[list[int], list[str]]:
        """Of some images, those that can be read: their rows, and the SHA-256 of what each row shows."""
        rows: list[int] = []
        sha256: list[str] = []
        for number in part:
            content = self._contents[number]
            if isinstance(content, Content):
                own = self._rows_of(number)
                rows += own
                sha256 += [content.sha256] * len(own)
        return rows, sha256

    def n_rows(self, part: Sequence[int]) -> int:
        """How many rows some images would have if all could be read."""
        return sum(len(self._rows_of(number)) for number in part)

    def n_unread(self) -> int:
        """How many rows the images would have that were not read so far."""
        return self.n_rows([number for number in self._unread if self._contents[number] is None])

    def rows(self, failed: Collection[str]) -> tuple[list[Row], np.ndarray]:
        """The rows of the images that could be read and whose content is not among `failed`; and their numbers."""
        rows: list[Row] = []
        numbers: list[int] = []
        for number, (image, content) in enumerate(zip(self.source.images, self._contents, strict=True)):
            if isinstance(content, Content) and content.sha256 not in failed:
                own = self._rows_of(number)
                rows += [(image, content, self.places[row].variant) for row in own]
                numbers += own
        return rows, np.array(numbers, dtype=np.int64)

    def rejects(self, failed: Mapping[str, str]) -> list[tuple[str, str]]:
        """The other images, and why; `failed` has the reasons of contents without vectors."""
        found = list(self.source.rejects)
        for image, content in zip(self.source.images, self._contents, strict=True):
            if not isinstance(content, Content):
                found.append((image.image, str(content)))
            elif content.sha256 in failed:
                found.append((image.image, failed[content.sha256]))
        return found

    def _rows_of(self, number: int) -> range:
        return range(self._first_row[number], self._first_row[number + 1])


def _variants(image: SourceImage, distort: Distortion | None) -> tuple[int, ...]:
    """The photo itself, and its copies where it may be trained on: nothing is ever tested on a copy."""
    return (0, *distort.variants) if distort and image.split in (None, "training") else (0,)


Key = tuple[str, int]  # content and variant


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the table to be: which file it is of, and which distorted copy."""

    path: str
    variant: int


class Filling:
    """One matrix per extractor, filled row by row; rows of equal content are computed once.

    Parameters
    ----------
    extractors : list of Extractor
    sections : list of Section
        Where the vectors of each extractor are stored.
    places : list of Place
        All rows that the table may have.
    distort : Distortion or None
        How the copies are made.
    jobs : int
        Threads that read and decode.

    Attributes
    ----------
    matrices : list of array of shape (n_rows, width), float32
    computed : set of str
        SHA-256 of the contents that an extractor ran on.
    failed : dict of str
        SHA-256 of the contents that have no vector, and why.
    """

    def __init__(
        self,
        extractors: Sequence[Extractor],
        sections: Sequence[Section],
        places: Sequence[Place],
        distort: Distortion | None,
        jobs: int,
    ):
        self.extractors, self.sections, self.places = list(extractors), list(sections), places
        self.distort, self.jobs = distort, jobs
        self.matrices = [np.empty((len(places), one.width), dtype=np.float32) for one in extractors]
        self.computed: set[str] = set()
        self.failed: dict[str, str] = {}
        self._filled = [np.zeros(len(places), dtype=bool) for _ in extractors]
        self._rows: dict[Key, list[int]] = {}
        self._stored = [section.short_keys() for section in sections]

    def add(self, rows: Iterable[int], sha256: Iterable[str]) -> list[Task]:
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
        lacking = np.array([~contains(stored, wanted) for stored in self._stored])
        tasks = [
            self._task(fresh[i], np.flatnonzero(lacking[:, i])) for i in np.flatnonzero(lacking.any(axis=0))
        ]
        # A network is loaded anew for another choice of its outputs: those of one choice together.
        return sorted(tasks, key=lambda task: task.needed)

    def compute(self, tasks: Iterable[Task], advance: Callable[[int], object]) -> None:
        """Compute, store and fill in; `advance` is told how many tasks are done.

        Raises
        ------
        StoreError
            If the store cannot be written; what was computed before is in it.
        """
        missing: dict[Key, int] = {}

        def taken():
            for task in tasks:
                missing[task.sha256, task.variant] = len(task.needed)
                yield task

        with ExitStack() as stack:
            begun = in_hand(self.extractors)
            writers = [stack.enter_context(ShardWriter(section, begun=begun)) for section in self.sections]
            for result in compute(taken(), self.extractors, jobs=self.jobs):
                if isinstance(result, Batch):
                    writers[result.extractor].add(image_keys(result.sha256, result.variants), result.matrix)
                    advance(self._put(result, missing))
                else:
                    self.failed[result.sha256] = result.reason
                    advance(1)

    def _put(self, batch: Batch, missing: dict[Key, int]) -> int:
        """Fill in what was computed; how many tasks have all their vectors now."""
        n_done = 0
        for key, vector in zip(zip(batch.sha256, batch.variants, strict=True), batch.matrix, strict=True):
            row = self._rows[key][0]
            self.matrices[batch.extractor][row] = vector
            self._filled[batch.extractor][row] = True
            missing[key] -= 1
            n_done += not missing[key]
        self.computed.update(batch.sha256)
        return n_done

    def load(self) -> list[Task]:
        """Fill in what the store holds; back comes what must be computed after all.

        That is what the store has lost or holds damaged, and what failed while another file with the same content
        was not known yet.
        """
        missing: dict[Key, list[int]] = {}
        for number, (section, matrix, filled) in enumerate(
            zip(self.sections, self.matrices, self._filled, strict=True)
        ):
            wanted = [key for key, rows in self._rows.items() if not filled[rows[0]]]
            first = np.array([self._rows[key][0] for key in wanted], dtype=np.int64)
            found = section.load(_keys(wanted), matrix, first)
            filled[first[found]] = True
            for i in np.flatnonzero(~found):
                missing.setdefault(wanted[i], []).append(number)
        again = [key for key in missing if key[0] not in self.failed or len(self._rows[key]) > 1]
        for sha256, _ in again:
            self.failed.pop(sha256, None)
        return [self._task(key, missing[key]) for key in again]

    def finish(self) -> None:
        """Copy vectors to the rows of equal content, and tidy the store up."""
        for first, *others in self._rows.values():
            for matrix in self.matrices if others else ():
                matrix[others] = matrix[first]
        for section in self.sections if self.computed else ():
            section.compact()

    def _task(self, key: Key, needed: Iterable[int]) -> Task:
        path, *twins = dict.fromkeys(self.places[row].path for row in self._rows[key])
        distort = self.distort if key[1] else None
        return Task(key[0], path, tuple(map(int, needed)), key[1], distort, tuple(twins))

    @property
    def n_contents(self) -> int:
        """How many different contents the rows hold."""
        return len({sha256 for sha256, _ in self._rows})


def _keys(keys: list[Key]) -> np.ndarray:
    return image_keys([sha256 for sha256, _ in keys], [variant for _, variant in keys])
