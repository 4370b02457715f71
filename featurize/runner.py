"""The thread that runs the extractors, so that decoding, the network and writing go on at the same time."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from featurize.extractors.base import Extractor
from featurize.terminal import log

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
