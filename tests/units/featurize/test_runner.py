"""The thread that runs the extractors: order, overlap and failure."""

import threading

import numpy as np
import pytest

from featurize.extractors.base import Extractor
from featurize.extractors.batches import Task, compute


class Slow(Extractor):
    """Waits in `vectors` until the next batch was stacked, while there is one to come."""

    family, version, value_names = "slow", 1, ("sum",)
    batch_size = 2

    def __init__(self, n_batches=0):
        self.n_batches = n_batches
        self.stacked = threading.Semaphore(0)  # once per batch but the first
        self.threads, self.begun = set(), False

    def prepare(self, photo):
        return photo

    def stack(self, prepared):
        self.threads.add(threading.current_thread().name)
        if self.begun:
            self.stacked.release()
        self.begun = True
        return prepared

    def vectors(self, prepared):
        if self.n_batches > 1:
            assert self.stacked.acquire(timeout=20)
        self.n_batches -= 1
        return np.array([[sum(prepared)]] * len(prepared), dtype=np.float32)


def test_a_batch_is_stacked_while_the_one_before_runs_and_results_keep_their_order():
    extractor = Slow(n_batches=4)
    numbers = [number for i in range(4) for number in (i, 10)]
    tasks = [Task(key, lambda number=number: number) for key, number in enumerate(numbers)]
    batches = list(compute(tasks, [extractor], jobs=2))
    assert [(batch.keys[0], float(batch.matrix[0, 0])) for batch in batches] == [
        (0, 10), (2, 11), (4, 12), (6, 13),
    ]  # fmt: skip
    assert extractor.threads == {"MainThread"}


def test_what_fails_in_the_thread_is_raised_outside():
    class Broken(Slow):
        def vectors(self, prepared):
            raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"):
        list(compute([Task("a", lambda: 1)], [Broken()], jobs=1))
