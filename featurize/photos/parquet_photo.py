"""A photo in a row of a Parquet file, read by passes through its column, in bounded memory."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurize.files import identity
from featurize.photos.decode import MAX_BYTES, ImageRejected, read_image
from featurize.photos.origin import Origin, Stamp

KEPT_BYTES = 1 << 25  # of photos that a pass has read and may be asked for again, and
KEPT_ROWS = 16  # of these at least, as threads ask for them a little out of order
MOST_PASSES = 3  # through a file at once: photos are hashed first, and decoded some hundred photos later
BUFFER = 1 << 20  # bytes; without one, Arrow reads a whole row group at once


class _Pass:
    """One way through a column from the beginning of a row group on; what it read last is kept."""

    def __init__(self, start: int, parts: Iterator[list[tuple[int, Any]]]):
        self.place, self.parts = start, parts  # `place` is the row that comes next
        self.kept: OrderedDict[int, Any] = OrderedDict()
        self._n_bytes = 0

    def read_on(self) -> bool:
        """Read some rows more; whether there were any."""
        part = next(self.parts, [])
        for row, value in part:
            self.kept[row] = value
            self._n_bytes += _size(value)
            self.place = row + 1
        while self._n_bytes > KEPT_BYTES and len(self.kept) > max(KEPT_ROWS, len(part)):
            self._n_bytes -= _size(self.kept.popitem(last=False)[1])
        return bool(part)


class ParquetReader:
    """Photos of a Parquet file by row, read by passes that begin with the row group of the one that is asked for.

    Memory is bounded by what the passes keep and, for each, by the largest page of the file.
    """

    def __init__(
        self,
        path: str,
        column: str,
        identity_: tuple[int, int, int, int],
        changed: float,
        starts: list[int],
        batch_size: int,
    ):
        self.path, self.column, self.identity, self.changed = path, column, identity_, changed
        self.starts, self.batch_size = starts, batch_size
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._passes: list[_Pass] = []  # the last one used is the first
        self._broken: dict[int, tuple[int, str]] = {}  # by row group, from which row on, and why

    def __getstate__(self) -> tuple:
        return (self.path, self.column, self.identity, self.changed, self.starts, self.batch_size)

    def __setstate__(self, state: tuple) -> None:
        self.path, self.column, self.identity, self.changed, self.starts, self.batch_size = state
        self._begin()

    def read(self, row: int) -> Any:
        """What the column holds in a row; ImageRejected if it cannot be reached."""
        with self._lock:
            group = int(np.searchsorted(self.starts, row, side="right")) - 1
            first, why = self._broken.get(group, (row + 1, ""))
            if row >= first:
                raise ImageRejected(why)
            holding = [one for one in self._passes if row in one.kept]
            near = [one for one in self._passes if self.starts[group] <= one.place <= row]
            chosen = next(iter(holding or sorted(near, key=lambda one: -one.place)), None)
            if chosen is None:
                chosen = _Pass(self.starts[group], self._from(group))
            self._passes = [chosen, *(one for one in self._passes if one is not chosen)][:MOST_PASSES]
            try:
                while row not in chosen.kept:
                    if not chosen.read_on():
                        raise ImageRejected("the Parquet file ends before this row")
            except (pa.ArrowException, OSError, ValueError) as error:
                self._passes.remove(chosen)
                why = f"damaged in the Parquet file: {str(error).splitlines()[0] if str(error) else error!r}"
                self._broken[group] = chosen.place, why
                raise ImageRejected(why) from error
            return chosen.kept[row]

    def _from(self, group: int) -> Iterator[list[tuple[int, Any]]]:
        """The rows from the beginning of a row group on, some at a time, to the end of the file."""
        with open(self.path, "rb") as stream:
            if identity(os.fstat(stream.fileno())) != self.identity:
                raise ImageRejected("the Parquet file was changed while it was being read; run again")
            options: dict[str, Any] = {"pre_buffer": False, "buffer_size": BUFFER}
            file = pq.ParquetFile(stream, page_checksum_verification=True, **options)
            for number in range(group, file.num_row_groups):
                row, how = self.starts[number], {"batch_size": self.batch_size, "use_threads": False}
                for batch in file.iter_batches(row_groups=[number], columns=[self.column], **how):
                    values = batch.column(0).to_pylist()
                    if values:
                        yield list(enumerate(values, start=row))
                    row += len(values)


def _size(value: Any) -> int:
    data = value.get("bytes") if isinstance(value, dict) else value
    return len(data or b"")


def bytes_in(value: Any, folder: str | None = None) -> bytes:
    """The bytes of a photo that a row holds, or of the file that it names; ImageRejected where there are none."""
    data = value.get("bytes") if isinstance(value, Mapping) else value
    if isinstance(data, str):
        return read_image(data)
    if data is None:
        path = value.get("path") if isinstance(value, Mapping) else None
        if not path:
            raise ImageRejected("the image is null")
        if folder is not None and not os.path.isfile(path := os.path.join(folder, path)):
            raise ImageRejected(f"the image has no bytes, and there is no file {path}")
        return read_image(path)
    if len(data) > MAX_BYTES:
        raise ImageRejected(f"{len(data):,} bytes; at most {MAX_BYTES:,} are read")
    return bytes(data)


@dataclass(frozen=True, slots=True)
class ParquetPhoto(Origin):
    """A photo in a row of a Parquet file; `place` is the path of the file, and the row behind it."""

    place: str
    reader: ParquetReader = field(compare=False, repr=False)
    row: int = field(compare=False)
    number: int = field(compare=False)  # of the file, among those of a source

    @property
    def order(self) -> int:
        return self.number << 40 | self.row

    def stamp(self) -> Stamp:
        reader = self.reader
        return Stamp.of(None, reader.identity, reader.column, changed=reader.changed)

    def read(self) -> bytes:
        return bytes_in(self.reader.read(self.row), os.path.dirname(self.reader.path))
