"""Vectors that come a few rows at a time: reading them in passes, and scaling learnt from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classify.heads.scaling import WIDE, BlockScaler, block_scale
from classify.rows import select_vectors
from featurize.tableformat import table_batches


@dataclass(frozen=True)
class Stream:
    """Rows of a table in its file, to be gone through as often as wanted."""

    path: Path
    features: str
    parts: list[str]
    rows: np.ndarray  # which are used, ascending

    def __iter__(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Which of the used rows come next, and their vectors."""
        start, taken = 0, 0
        for batch in table_batches(self.path, self.parts):
            stop = taken + np.searchsorted(self.rows[taken:], start + len(batch))
            if stop > taken:
                whole = stop - taken == len(batch)
                mine = batch if whole else batch.filter(self.rows[taken:stop] - start)
                yield slice(taken, int(stop)), select_vectors(mine, self.features)
            start, taken = start + len(batch), int(stop)


class StreamedScaling:
    """What `classify.scaling.BlockScaler` learns, from rows that come one part after the other.

    Parameters
    ----------
    widths : sequence of int
        The widths of the blocks.

    Examples
    --------
    >>> X = np.array([[1.0, 100.0], [3.0, 300.0]])
    >>> scaling = StreamedScaling([2])
    >>> for row in X:
    ...     scaling.add(row[None])
    >>> scaling.result().transform(X) * 2 ** 0.25
    array([[-1., -1.],
           [ 1.,  1.]])
    """

    def __init__(self, widths: Sequence[int]):
        self.widths = list(widths)
        self.dtype: np.dtype | None = None
        self._edges = np.cumsum(self.widths)[:-1]
        self._least = np.full(sum(self.widths), np.inf)
        # Of the numbers and of their roots, for which of the two is wanted shows at the end: mean, squares about it.
        self._moments = np.zeros((2, 2, sum(self.widths)))
        self._n = 0

    def add(self, X: np.ndarray) -> None:
        """Learn from some more rows, shape (n_rows, n_features)."""
        self.dtype = X.dtype
        self._least = np.minimum(self._least, X.min(axis=0))
        n = self._n + len(X)
        for (mean, squares), values in zip(self._moments, (X, np.sign(X) * np.sqrt(np.abs(X))), strict=True):
            # Chan, Golub and LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115
            apart = values.mean(axis=0, dtype=np.float64) - mean
            squares += values.var(axis=0, dtype=np.float64) * len(X) + apart**2 * (self._n * len(X) / n)
            mean += apart * (len(X) / n)
        self._n = n

    def result(self) -> BlockScaler:
        """The fitted scaler; `add` must have been called."""
        scaler = BlockScaler(self.widths)
        scaler.methods_, means, scales = [], [], []
        least = np.split(self._least, self._edges)
        moments = [np.split(one, self._edges, axis=1) for one in self._moments]
        for block, (plain, rooted) in enumerate(zip(*moments, strict=True)):
            root = self.widths[block] >= WIDE and least[block].min() >= 0
            mean, squares = rooted if root else plain
            variance = squares / self._n
            method = "root" if root else "standard"
            scaler.methods_.append(method)
            means.append(mean)
            scales.append(block_scale(mean, variance, method))
        scaler.mean_ = np.concatenate(means).astype(self.dtype)
        scaler.scale_ = np.concatenate(scales).astype(self.dtype)
        scaler.n_features_in_ = sum(self.widths)
        return scaler
