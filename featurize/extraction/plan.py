"""The rows of a table get their vectors, from the store or from an extractor, while further files are being read."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from featurize.extractors.base import Extractor
from featurize.extractors.batches import Batch, Task, compute, in_hand
from featurize.photos.distort import Distortion
from featurize.section import Section, ShardWriter
from featurize.store.shard import contains, image_keys, short_keys

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
