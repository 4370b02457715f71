"""How long each part of a run took, for ``--verbose``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from featurize.terminal import log


class Timing:
    """Seconds by part; parts may come back, and their times add up.

    Examples
    --------
    >>> timing = Timing()
    >>> with timing.part("the head"):
    ...     pass
    >>> list(timing.seconds)
    ['the head']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time of this block to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self) -> None:
        """Log one line per part."""
        for name, seconds in self.seconds.items():
            log.debug("%s took %.2f s", name, seconds)
