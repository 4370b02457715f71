"""A shard: some keys and their vectors in one immutable Parquet file, named by the digest of its bytes."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurize.errors import message_of
from featurize.files import check_unpacked
from featurize.tableformat import lists_to_matrix, matrix_to_lists

SUFFIX = ".parquet"
KEY_BYTES = 64  # of a SHA-256 as text
FINGERPRINT = b"fingerprint"
# 32 bytes of content digest and 8 of variant. Comparing, sorting and searching whole arrays of them is quick and
# costs 40 bytes a key. numpy drops zero bytes from the end when it hands out one key; `key_contents` does not.
KEY = np.dtype("S40")


class DamagedShard(Exception):
    """The bytes are not those that were written; the message says how that shows."""


def image_keys(sha256: Sequence[str], variant: int | Sequence[int] | np.ndarray = 0) -> np.ndarray:
    """The keys of vectors within a store section, shape (n,), one per content and variant.

    >>> image_keys(["00" * 31 + "ff", "00" * 32], variant=[1, 2]) > image_keys(["00" * 32], variant=1)
    array([ True,  True])
    """
    keys = np.empty((len(sha256), 5), dtype=">i8")
    for start in range(0, len(sha256), 4096):
        digits = "".join(sha256[start : start + 4096])
        keys[start : start + 4096, :4] = np.frombuffer(bytes.fromhex(digits), dtype=">i8").reshape(-1, 4)
    keys[:, 4] = variant
    return keys.view(KEY).reshape(-1)


def short_keys(keys: np.ndarray) -> np.ndarray:
    """A number for each key, uint64, quick to sort and to search.

    Different keys have the same number once in 10¹⁹: good to guess what is stored, not to fetch it.
    """
    numbers = np.ascontiguousarray(keys, dtype=KEY).view(">u8").reshape(-1, 5).astype(np.uint64)
    return numbers[:, 0] + numbers[:, 4]


def key_contents(keys: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The contents (hex) and variants (int64) of keys; the inverse of `image_keys`."""
    columns = np.ascontiguousarray(keys, dtype=KEY).view(">i8").reshape(-1, 5)
    text, variants = columns[:, :4].tobytes().hex(), columns[:, 4].astype(np.int64)
    return [text[start : start + 64] for start in range(0, len(text), 64)], variants


def contains(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `wanted` are among `ordered`; not np.isin, which would sort all that is stored at every call."""
    return np.searchsorted(ordered, wanted, "right") > np.searchsorted(ordered, wanted, "left")


def matches(ordered: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (i, j) with ``ordered[i] == held[j]``, as two arrays; `ordered` is sorted."""
    low = np.searchsorted(ordered, held, "left")
    there = np.flatnonzero(ordered[np.minimum(low, len(ordered) - 1)] == held)
    low = low[there]
    counts = np.searchsorted(ordered, held[there], "right") - low
    sources = np.repeat(there, counts)
    within = np.arange(len(sources)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(low, counts) + within, sources


def shard_to_bytes(keys: np.ndarray, matrix: np.ndarray, fingerprint: str = "") -> tuple[str, bytes]:
    """The file name and the bytes of a shard that holds ``matrix[i]`` under ``keys[i]``.

    `fingerprint` is the extractor's; it is kept inside, for a shard that strays into another section.
    """
    contents, variants = key_contents(keys)
    vectors = matrix_to_lists(np.asarray(matrix, dtype=np.float32))
    columns = {"sha256": pa.array(contents, pa.string()), "variant": pa.array(variants), "vector": vectors}
    table = pa.table(columns).replace_schema_metadata({FINGERPRINT: fingerprint})
    stream = io.BytesIO()
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    # Exponent bytes beside exponent bytes compress; a third smaller for half the time. The page checksums are for
    # `shard_keys`, which does not read the whole file.
    options |= {"use_byte_stream_split": ["vector.list.element"], "write_page_checksum": True}
    pq.write_table(table, stream, **options)
    data = stream.getvalue()
    return hashlib.sha256(data).hexdigest() + SUFFIX, data


def shard_keys(stream) -> np.ndarray:
    """The keys in an open shard, without reading its vectors, and so without checking the whole digest.

    DamagedShard if it is no readable Parquet file with the columns of a shard.
    """
    with _as_damage(), pq.ParquetFile(stream, page_checksum_verification=True) as file:
        return _keys(_read(file, stream.seek(0, os.SEEK_END), ["sha256", "variant"]))


@contextmanager
def _as_damage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Damage shows as almost anything, and a stream from elsewhere raises what its protocol has. Arrow's own
        # MemoryError is a damaged length.
        if type(error) is MemoryError:
            raise
        raise DamagedShard(message_of(error, 120) or type(error).__name__) from error


def shard_from_bytes(name: str, data: bytes, fingerprint: str = "") -> tuple[np.ndarray, np.ndarray]:
    """The keys and vectors in the bytes of the shard `name`, checked against that name.

    DamagedShard if one bit is not as it was written, it was never a shard, or it is one of another extractor.
    """
    if hashlib.sha256(data).hexdigest() + SUFFIX != name:
        raise DamagedShard("its bytes do not match the digest in its name")
    with _as_damage():
        # Not read_table, which goes through data sets, and they import pandas.
        table = _read(pq.ParquetFile(pa.BufferReader(data)), len(data), ["sha256", "variant", "vector"])
        # Shards that another program wrote by the published format carry no fingerprint; their place must do.
        inside = (table.schema.metadata or {}).get(FINGERPRINT, b"").decode()
        # Of a section whose description is lost, only the beginning is known, from its folder.
        if inside and not (fingerprint and inside.startswith(fingerprint)):
            raise ValueError("it belongs to another extractor")
        if not pa.types.is_fixed_size_list(table.schema.field("vector").type):
            raise ValueError("its vectors are no fixed-size lists")
        return _keys(table), lists_to_matrix(table["vector"].combine_chunks())


def _read(file: pq.ParquetFile, size: int, columns: list[str]) -> pa.Table:
    """These columns, unless the file of `size` bytes says that it unpacks to more than an honest one does."""
    types = [file.schema_arrow.field(name).type for name in columns]
    widths = [4 * one.list_size if pa.types.is_fixed_size_list(one) else KEY_BYTES for one in types]
    check_unpacked(file.metadata.num_rows * sum(widths), size)
    return file.read(columns=columns)


def release_memory() -> None:
    """Give back what Arrow keeps of the shards read so far, which would add up to several of them."""
    pa.default_memory_pool().release_unused()


def _keys(table: pa.Table) -> np.ndarray:
    text, variant = table["sha256"].combine_chunks().cast(pa.binary(64)), table["variant"]
    if text.null_count or variant.null_count:
        raise ValueError("a key is null")
    digits = b"".join(text.to_numpy(zero_copy_only=False)).decode("ascii")
    keys = np.empty((len(text), 5), dtype=">i8")
    keys[:, :4] = np.frombuffer(bytes.fromhex(digits), dtype=">i8").reshape(-1, 4)
    keys[:, 4] = variant.to_numpy()
    return keys.view(KEY).reshape(-1)
