"""A shard: some keys and their vectors in one immutable Parquet file, named by the digest of its bytes."""

import hashlib
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurize.tablefile import lists_as_matrix, matrix_as_lists

SUFFIX = ".parquet"


class DamagedShard(Exception):
    """The bytes are not those that were written; the message says how that shows."""


def image_key(sha256: str, variant: int = 0) -> bytes:
    """The key of a vector within a store section: content and variant in 40 bytes."""
    return bytes.fromhex(sha256) + variant.to_bytes(8, "big")


def shard_to_bytes(keys: list[bytes], matrix: np.ndarray) -> tuple[str, bytes]:
    """The file name and the bytes of a shard that holds ``matrix[i]`` under ``keys[i]``."""
    schema = pa.schema(
        [
            ("sha256", pa.string()),
            ("variant", pa.int64()),
            ("vector", pa.list_(pa.float32(), matrix.shape[1])),
        ]
    )
    columns = [
        pa.array([key[:32].hex() for key in keys], pa.string()),
        pa.array([int.from_bytes(key[32:], "big") for key in keys], pa.int64()),
        matrix_as_lists(np.asarray(matrix, dtype=np.float32)),
    ]
    stream = io.BytesIO()
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    # Exponent bytes beside exponent bytes compress; a third smaller for half the time.
    pq.write_table(
        pa.table(columns, schema=schema), stream, use_byte_stream_split=["vector.list.element"], **options
    )
    data = stream.getvalue()
    return hashlib.sha256(data).hexdigest() + SUFFIX, data


def shard_keys(stream) -> list[bytes]:
    """The keys in an open shard, without reading its vectors, and so without checking the digest.

    Raises
    ------
    DamagedShard
        If it is no readable Parquet file with the columns of a shard.
    """
    try:
        with pq.ParquetFile(stream) as file:
            return _keys(file.read(columns=["sha256", "variant"]))
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedShard(str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def shard_from_bytes(name: str, data: bytes) -> tuple[list[bytes], np.ndarray]:
    """The keys and vectors in the bytes of the shard `name`, checked against that name.

    Raises
    ------
    DamagedShard
        If one bit is not as it was written.
    """
    if hashlib.sha256(data).hexdigest() + SUFFIX != name:
        raise DamagedShard("its bytes do not match the digest in its name")
    table = pq.read_table(io.BytesIO(data))
    return _keys(table), lists_as_matrix(table["vector"].combine_chunks())


def _keys(table: pa.Table) -> list[bytes]:
    return [
        image_key(sha256, variant)
        for sha256, variant in zip(table["sha256"].to_pylist(), table["variant"].to_pylist(), strict=True)
    ]
