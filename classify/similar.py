"""Which vectors point the same way: similar pairs and nearest rows, by products of `block` with `block` rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featurize.draws import drawn_below, shuffled
from featurize.errors import UsageError
from featurize.terminal import progress

EXACT_UP_TO = 100_000
BLOCK = 2048  # 16 MB of similarities at once
MAX_PAIRS = 1_000_000
ANCHORS_PER_ROW = 3
ROWS_PER_ANCHOR = 5000
THRESHOLD = 0.97
# Of a network: copies are 7 times as near to each other as two photos of the table usually are.
TIMES_NEARER, LEAST_TYPICAL, FEWEST = 7, 0.5, 20
LEAST_WIDTH = 64
MOST_TYPICAL = 0.9
BITS = 64
HASH_THRESHOLD = 54 / BITS  # as a share of equal bits

Pairs = tuple[np.ndarray, np.ndarray]  # row numbers, shape (n_pairs, 2), and the similarity of each pair


class TooManyPairs(UsageError):
    """More pairs than can be listed reach the threshold, as among the frames of one fixed camera."""


def similar_pairs(
    X: np.ndarray,
    threshold: float,
    *,
    exact_up_to: int = EXACT_UP_TO,
    seed: int = 0,
    block: int = BLOCK,
    max_pairs: int = MAX_PAIRS,
    rows_per_anchor: int = ROWS_PER_ANCHOR,
) -> Pairs:
    """Every pair of rows whose cosine similarity reaches `threshold`: row numbers, the smaller first, and similarities.

    Up to `exact_up_to` rows all pairs are compared. Beyond, each row is filed under the 3 nearest of ``n /
    rows_per_anchor`` rows drawn at random by `seed`, and only rows filed under a common one are compared: more than 99
    in 100 pairs are found (``tests/benchmarks/duplicates_recall.py``), and none is invented. A row of zeros is in no
    pair. Sums in float32 are off by 1e-6: two equal rows may miss a threshold of 1. `TooManyPairs` beyond `max_pairs`.

    >>> pairs, similarity = similar_pairs(np.array([[1, 0], [0, 1], [2, 0.1]], dtype=np.float32), 0.99)
    >>> pairs.tolist(), round(float(similarity[0]), 4)
    ([[0, 2]], 0.9988)
    """
    check_threshold(threshold)
    Z = normalise_rows(X)
    parts = _all_pairs(Z, threshold, block)
    if len(Z) > exact_up_to:
        parts = _candidate_pairs(Z, threshold, seed, block, rows_per_anchor)
    pairs, similarity, count = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)], 0
    for some, how in parts:
        pairs.append(some)
        similarity.append(how)
        count += len(some)
        if count > max_pairs:
            what = f"more than {max_pairs:,} pairs of photos reach a similarity of {threshold:g}"
            raise TooManyPairs(what, "raise the threshold, or compare other features")
    distinct, kept = np.unique(np.concatenate(pairs), axis=0, return_index=True)
    return distinct, np.concatenate(similarity)[kept]


def most_similar(
    X: np.ndarray,
    others: np.ndarray,
    top: int = 1,
    *,
    prepare: Callable[[np.ndarray], np.ndarray] | None = None,
    block: int = BLOCK,
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `X` the `top` rows of `others` that are most similar by cosine, by comparing all.

    Row numbers, the most similar first, of equals the first; and similarities, 0 where a row has no direction; both of
    shape (n_rows, min(top, n_others)). `prepare` is done to the rows of `others` before, block by block.
    """
    Z, top = normalise_rows(X), min(top, len(others))
    rows, similarity = np.zeros((len(Z), top), np.int64), np.zeros((len(Z), top), np.float32)
    for start in range(0, len(Z), block):
        part = slice(start, start + block)
        best_rows, best = np.zeros((len(Z[part]), 0), np.int64), np.zeros((len(Z[part]), 0), np.float32)
        for other in range(0, len(others), block):
            some = others[other : other + block]
            products = Z[part] @ normalise_rows(some if prepare is None else prepare(some)).T
            numbers = np.broadcast_to(np.arange(other, other + len(some)), products.shape)
            best_rows, best = _largest(np.hstack([best_rows, numbers]), np.hstack([best, products]), top)
        rows[part], similarity[part] = best_rows, best
    return rows, similarity


def _largest(rows: np.ndarray, similarity: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The `top` columns of each line with the largest similarity, in order; of equals the first."""
    lines, places = np.arange(len(similarity)), []
    left = similarity.copy()
    for _ in range(min(top, similarity.shape[1])):
        places.append(left.argmax(axis=1))
        left[lines, places[-1]] = -np.inf
    order = np.stack(places, axis=1)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarity, order, axis=1)


def typical_similarity(X: np.ndarray, seed: int = 0) -> float:
    """The median cosine similarity of 2,000 pairs of rows drawn at random; 0 for fewer than 20 rows.

    Where it is high, the vectors say the same of every photo, and no threshold tells copies from others: 0.79 for
    flowers by Inception v3's mixed8, 0.998 by an untrained network.
    """
    if len(X) < 20:
        return 0.0
    one, other = (drawn_below(len(X) - side, 2000, "pairs", seed, side) for side in (0, 1))
    other += other >= one  # never a row with itself
    return float(np.median(np.einsum("ij,ij->i", normalise_rows(X[one]), normalise_rows(X[other]))))


def is_network(entry: Mapping[str, Any] | None) -> bool:
    """Whether features are those of a trained network, or of unknown origin, by what a table says of them."""
    if not entry or entry.get("family") == "imported":
        return True
    weights = entry.get("weights") or {"source": "random"}
    return weights.get("source") != "random"


def tells_apart(X: np.ndarray) -> bool:
    """Whether the similarity of these vectors can tell copies from other photos."""
    return X.shape[1] >= LEAST_WIDTH and typical_similarity(X) <= MOST_TYPICAL


def network_threshold(X: np.ndarray, described: Sequence[Mapping[str, Any] | None]) -> float:
    """From which cosine similarity two photos count as the same picture, by how alike the vectors usually are.

    Networks differ: two flowers have a similarity of 0.78 by Inception v3's mixed8 and of 0.51 to 0.57 by small
    MobileNets, whose copies are less alike too. 0.97 where the origin of the vectors is unknown, or photos are few.
    """
    if len(X) < FEWEST or not all(described):
        return THRESHOLD
    typical = max(typical_similarity(X), LEAST_TYPICAL)
    return round(1 - (1 - typical) / TIMES_NEARER, 2)


def hashes_as_signs(phash: np.ndarray) -> np.ndarray:
    """Perceptual hashes as 64 numbers of 1 and -1, zeros where unknown: the cosine tells the share of equal bits.

    >>> hashes_as_signs(np.array(["8000000000000001", None], dtype=object))[:, [0, 1, 63]].tolist()
    [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    signs = np.zeros((len(phash), BITS), dtype=np.float32)
    known = [row for row, one in enumerate(phash) if one is not None]
    if known:
        packed = np.frombuffer(bytes.fromhex("".join(phash[known])), dtype=np.uint8)
        signs[known] = 2.0 * np.unpackbits(packed).reshape(-1, BITS) - 1
    return signs


def normalise_rows(X: np.ndarray) -> np.ndarray:
    """The rows scaled to length 1, float32; rows of zeros stay zeros."""
    Z = np.array(X, dtype=np.float32)
    with np.errstate(over="ignore"):
        length = np.linalg.norm(Z, axis=1, keepdims=True)
    huge = ~np.isfinite(length[:, 0])  # the squares of imported numbers above 1e19 are too large for 32 bits
    Z[huge] /= np.abs(Z[huge]).max(axis=1, keepdims=True, initial=0)
    length[huge] = np.linalg.norm(Z[huge], axis=1, keepdims=True)
    Z /= np.where(length > 0, length, 1)
    return Z


def check_threshold(threshold: float) -> None:
    """Refuse what no similarity can reach, or what all do."""
    if not 0 < threshold <= 1:
        hint = "give a cosine similarity above 0 and at most 1, for example 0.97"
        raise UsageError(f"a threshold of {threshold:g} was asked for", hint)


def _all_pairs(Z: np.ndarray, threshold: float, block: int) -> Iterator[Pairs]:
    n_blocks = -(-len(Z) // block)
    with progress(n_blocks * (n_blocks + 1) // 2, "comparing photos", unit="block") as bar:
        for start in range(0, len(Z), block):
            for other in range(start, len(Z), block):
                products = Z[start : start + block] @ Z[other : other + block].T
                if start == other:
                    products = np.triu(products, 1)
                one, two = np.nonzero(products >= threshold)
                yield np.stack([one + start, two + other], axis=1), products[one, two]
                bar.update()


def _candidate_pairs(
    Z: np.ndarray, threshold: float, seed: int, block: int, rows_per_anchor: int
) -> Iterator[Pairs]:
    """The pairs among the rows filed under each anchor; a pair filed together twice comes twice."""
    n_anchors = max(ANCHORS_PER_ROW, len(Z) // rows_per_anchor)
    anchors = Z[shuffled(len(Z), "anchors", seed)[:n_anchors]]
    files, _ = most_similar(Z, anchors, ANCHORS_PER_ROW, block=block)
    order = np.argsort(files, axis=None, kind="stable")
    rows, ends = order // ANCHORS_PER_ROW, np.searchsorted(files.ravel()[order], np.arange(1, n_anchors))
    for filed in np.split(rows, ends):
        for pairs, similarity in _all_pairs(Z[filed], threshold, block):
            yield filed[pairs], similarity
