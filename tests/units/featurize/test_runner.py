"""The thread that runs the extractors: order, overlap, failure, and the timeline it draws."""

import threading

import numpy as np
import pytest

from featurize.extractors.base import Extractor
from featurize.extractors.batches import Runner, timeline


class Slow(Extractor):
    """Waits in `vectors` until the next batch was gathered, while there is one to come."""

    family, version, value_names = "slow", 1, ("sum",)

    def __init__(self, n_batches=0):
        self.n_batches = n_batches
        self.gathered = threading.Semaphore(0)  # once per batch but the first
        self.threads, self.begun = set(), False

    def gather(self, prepared):
        self.threads.add(threading.current_thread().name)
        if self.begun:
            self.gathered.release()
        self.begun = True
        return prepared

    def vectors(self, prepared):
        if self.n_batches > 1:
            assert self.gathered.acquire(timeout=20)
        self.n_batches -= 1
        return np.array([[sum(prepared)]], dtype=np.float32)


def test_a_batch_is_gathered_while_the_one_before_runs_and_results_keep_their_order():
    extractor = Slow(n_batches=4)
    with Runner([extractor]) as runner:
        found = []
        for number in range(4):
            found += runner.run((0,), [number, 10], number)
        found += runner.rest()
    assert [about for about, _ in found] == [0, 1, 2, 3]
    assert [float(matrix[0, 0]) for _, (matrix,) in found] == [10, 11, 12, 13]
    assert extractor.threads == {"MainThread"}


def test_what_fails_in_the_thread_is_raised_outside():
    class Broken(Slow):
        def vectors(self, prepared):
            raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"), Runner([Broken()]) as runner:
        list(runner.run((0,), [1], "a"))
        list(runner.rest())


def test_a_timeline_leaves_loading_out_and_adds_up():
    spans = [(0.0, 9.0), (10.0, 12.0), (12.0, 13.0), (15.0, 19.0)]
    drawn = timeline(spans)
    assert drawn.startswith("70 % of 10.0 s after the first batch |......#")
    assert drawn.count("#") == 42
    assert drawn.partition("|")[2].count(".") == 18
