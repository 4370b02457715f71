"""Random orders and numbers from a seed and from content, the same on every machine and under every version.

NumPy keeps its bit streams and does not promise what a `Generator` makes of them. Whatever decides which photos are
tested, trained on or drawn comes from here, so that it is the same on every machine and under every version.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def content_keys(texts: Iterable[str]) -> np.ndarray:
    """The first 64 bits of the SHA-256 of each text, uint64: what `random_bits` takes for content.

    >>> hex(content_keys(["abc"])[0])
    '0xba7816bf8f01cfea'
    """
    starts = b"".join(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8] for text in texts)
    return np.frombuffer(starts, dtype=">u8").astype(np.uint64)


def random_bits(keys: np.ndarray, *named: int | str) -> np.ndarray:
    """64 bits for each key, uint64, that look drawn and follow from the key and from what the draw is `named`.

    The name (a seed, a purpose, a number) goes through SHA-256, the keys twice through the finaliser of splitmix64
    (Steele et al., https://doi.org/10.1145/2660193.2660195): different keys never get the same bits.
    """
    digest = hashlib.sha256("/".join(map(str, named)).encode()).digest()
    first, second = (np.uint64(int.from_bytes(digest[i : i + 8], "big")) for i in (0, 8))
    return _mixed(_mixed(np.asarray(keys).astype(np.uint64) + first) ^ second)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))


def shuffled(count: int, *named: int | str) -> np.ndarray:
    """The numbers below `count` in an order drawn evenly, int64.

    >>> shuffled(6, 0).tolist(), shuffled(6, 1).tolist()
    ([5, 4, 3, 2, 0, 1], [3, 0, 4, 1, 5, 2])
    """
    return np.argsort(random_bits(np.arange(count), *named), kind="stable")


def drawn_below(below: int, count: int, *named: int | str) -> np.ndarray:
    """`count` numbers drawn evenly from 0 to `below` - 1 with replacement, int64; for `below` up to 2 ** 32.

    >>> drawn_below(10, 8, "an example").tolist()
    [7, 1, 6, 7, 1, 3, 2, 6]
    """
    high = random_bits(np.arange(count), *named) >> np.uint64(32)
    return ((high * np.uint64(below)) >> np.uint64(32)).astype(np.int64)
