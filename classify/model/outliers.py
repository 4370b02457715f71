"""Outlier detection: is a photo far from all training photos, and does a whole batch drift away from them?"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from classify.heads.plain import Scaling
from featurize.draws import shuffled
from featurize.terminal import log

NEIGHBOURS = 5
FALSE_ALARMS = 0.05
MOST_BYTES = 8 * 2**20  # of the vectors that a model keeps, whatever it was trained on
MOST_HELD_OUT = 2000  # distances are enough for any percentile: the stated 5 % are then 4 to 6 %
ROWS_AT_ONCE = 1024
LEAST_BATCH = 20  # photos; the median of fewer says little
STRANGE_MEDIAN = 90  # percentile of the training distances


@dataclass(frozen=True, eq=False)
class Outliers:
    """Distances from training vectors, and how large they are among training photos; made by `fit_outliers`.

    The distance is that to the fifth nearest vector, see Y. Sun et al., "Out-of-distribution detection with deep
    nearest neighbors", ICML 2022, https://arxiv.org/abs/2204.06507; ``tests/benchmarks/outlier_detection.py`` compares.
    """

    vectors: (
        np.ndarray
    )  # (n_kept, n_features), float16: scaled, all, or as many, drawn at random, as fit into 8 MiB
    scaler: Scaling  # fitted on the training photos
    percentiles: (
        np.ndarray
    )  # (101,), of the distances of training photos from the kept vectors of other groups
    threshold: float  # what `FALSE_ALARMS` of those distances exceed: photos beyond it are outliers
    photos: int  # how many training photos there were

    def distances(self, X: np.ndarray) -> np.ndarray:
        """How far each vector, as the head takes it, is from its fifth nearest training vector; float32."""
        return _nearest(self.scaler.transform(np.asarray(X, dtype=np.float32)), self.vectors)

    def to_parts(self) -> tuple[dict[str, Any], bytes]:
        """Plain JSON values, and the vectors as bytes; `from_parts` turns them back."""
        described = {
            "kept": len(self.vectors),
            "photos": self.photos,
            "threshold": self.threshold,
            "percentiles": [float(one) for one in self.percentiles],
            "methods": self.scaler.methods,
            "mean": _as_text(self.scaler.mean),
            "scale": _as_text(self.scaler.scale),
        }
        return described, self.vectors.astype("<f2").tobytes()

    @classmethod
    def from_parts(cls, described: Mapping[str, Any], data: bytes, widths: Sequence[int]) -> "Outliers":
        """What `to_parts` made; a ValueError where the parts do not fit each other or `widths`."""
        n_features = sum(widths)
        methods = list(described["methods"])
        mean, scale = _from_text(described["mean"]), _from_text(described["scale"])
        scaler = Scaling(list(widths), methods, mean, scale)
        scaler.check(n_features)
        vectors = np.frombuffer(data, dtype="<f2").reshape(-1, n_features)
        percentiles = np.array(described["percentiles"], dtype=np.float64)
        found = cls(vectors, scaler, percentiles, float(described["threshold"]), int(described["photos"]))
        sound = [np.isfinite(one).all() for one in (vectors, mean, scale, percentiles)]
        if (
            percentiles.shape != (101,)
            or not all(sound)
            or not NEIGHBOURS < len(vectors) == described["kept"]
            or not found.threshold >= 0
        ):
            raise ValueError("its training vectors do not fit the rest")
        return found

    def describe_drift(self, distances: np.ndarray) -> str | None:
        """One line when a whole batch does not look like the training photos; None when it does, or is below 20 photos.

        A batch is strange when half of it is farther from the training photos than nine tenths of those are from each
        other. Measured on flowers: 30 held-out photos of a single flower never are; fire, rooms and textures always.
        """
        if len(distances) < LEAST_BATCH:
            return None
        median = float(np.median(distances))
        percentile = int(np.searchsorted(self.percentiles, median, side="right")) - 1  # the last one reached
        # Where many distances are equal, as of constant vectors, a usual one reaches a high percentile.
        if percentile < STRANGE_MEDIAN or median <= self.percentiles[50]:
            return None
        beyond = float(np.mean(distances > self.threshold))
        return (
            f"these {len(distances)} photos do not look like the training photos: half of them are farther "
            f"away than {percentile} % of those are from each other, and {100 * beyond:.0f} % are outliers "
            f"({100 * FALSE_ALARMS:.0f} % are expected); another camera or place?"
        )


def fit_outliers(
    X: np.ndarray,
    widths: Sequence[int],
    groups: np.ndarray,
    variant: np.ndarray | None = None,
    *,
    block_weights: Sequence[float] | None = None,
    seed: int = 0,
    most_bytes: int = MOST_BYTES,
) -> Outliers | None:
    """What a model keeps of its training vectors, at most `most_bytes`, to tell later whether a photo is like them.

    Blocks are scaled as a head scales them (`BlockScaler`). Photos of one group are not compared with each other,
    distorted copies are left out. None where the photos are too few to say what 5 % of them exceed (fewer than 19, or
    in too few groups).
    """
    photos = np.arange(len(X)) if variant is None else np.flatnonzero(np.asarray(variant) == 0)
    from classify.heads.scaling import BlockScaler

    scaler = BlockScaler(list(widths), block_weights=block_weights)
    scaler = scaler.fit(X if len(photos) == len(X) else X[photos]).plain()
    order = photos[shuffled(len(photos), "outliers", seed)]
    kept = order[: max(NEIGHBOURS + 1, most_bytes // (2 * X.shape[1]))]
    held_out = order[:MOST_HELD_OUT]
    vectors = scaler.transform(np.asarray(X[kept], dtype=np.float32)).astype(np.float16)
    scaled = scaler.transform(np.asarray(X[held_out], dtype=np.float32))
    enough = len(photos) >= 1 / FALSE_ALARMS - 1 and len(kept) > NEIGHBOURS
    groups = np.asarray(groups)
    distances = _nearest(scaled, vectors, groups[held_out], groups[kept]) if enough else np.array([np.inf])
    if not np.isfinite(distances).all():
        what = "it needs at least 19 training photos in enough groups"
        log.info("outlier detection is off: %s, there are %d", what, len(photos))
        return None
    # The (n + 1)th photo exceeds the kth smallest of n alike with probability 1 - k / (n + 1), exactly.
    rank = int(np.ceil((len(distances) + 1) * (1 - FALSE_ALARMS) - 1e-9))
    threshold = float(np.sort(distances)[rank - 1])
    return Outliers(vectors, scaler, np.percentile(distances, np.arange(101)), threshold, len(photos))


def _nearest(
    X: np.ndarray,
    vectors: np.ndarray,
    groups: np.ndarray | None = None,
    vector_groups: np.ndarray | None = None,
) -> np.ndarray:
    """The distance of each row from its fifth nearest vector, of another group where groups are given."""
    vectors = vectors.astype(np.float32)
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    found = np.empty(len(X), dtype=np.float32)
    for start in range(0, len(X), ROWS_AT_ONCE):
        rows = X[start : start + ROWS_AT_ONCE]
        squares = lengths - 2 * (rows @ vectors.T) + np.einsum("ij,ij->i", rows, rows)[:, None]
        if groups is not None and vector_groups is not None:
            squares[groups[start : start + ROWS_AT_ONCE, None] == vector_groups] = np.inf
        nearest = np.partition(squares, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1]
        found[start : start + len(rows)] = np.sqrt(np.maximum(nearest, 0))
    return found


def _as_text(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")


def _from_text(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)
