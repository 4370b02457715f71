"""What the files of a source hold, told file by file, and which rows of the table they are."""

from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing

import numpy as np

from featurize.assemble import Row
from featurize.extraction.plan import Place
from featurize.photos.distort import Distortion
from featurize.photos.fileindex import Content, FileIndex
from featurize.photos.source import Source, SourceImage


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
