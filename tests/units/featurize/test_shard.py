"""Shards: what is written comes back, and not one changed bit goes unnoticed."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.store.shard import (
    DamagedShard,
    image_keys,
    key_contents,
    shard_from_bytes,
    shard_keys,
    shard_to_bytes,
    short_keys,
)

CONTENTS = ["00" * 32, "ff" * 32, "ab" * 31 + "00"]
NAME, DATA = shard_to_bytes(
    image_keys(CONTENTS, [0, 2**63 - 1, 256]), np.arange(6, dtype=np.float32).reshape(3, 2)
)


def test_a_key_is_content_and_variant_in_40_bytes_big_endian():
    keys = image_keys(["0102" + "00" * 30], 258)
    assert keys.view(np.uint8).tolist() == [1, 2] + [0] * 36 + [1, 2]


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1)), max_size=20))
def test_keys_keep_every_byte_also_zeros_at_the_end(pairs):
    contents, variants = [content.hex() for content, _ in pairs], [variant for _, variant in pairs]
    back, numbers = key_contents(image_keys(contents, variants))
    assert (back, numbers.tolist()) == (contents, variants)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1))
def test_a_short_key_is_the_begin_of_the_digest_plus_the_variant(content, variant):
    (short,) = short_keys(image_keys([content.hex()], [variant]))
    assert int(short) == (int.from_bytes(content[:8], "big") + variant) % 2**64


@given(st.integers(1, 5), st.integers(0, 9), st.data())
@settings(max_examples=30, deadline=None)
def test_what_is_written_comes_back_bit_by_bit(width, n_rows, data):
    floats = st.lists(st.floats(width=32), min_size=n_rows * width, max_size=n_rows * width)
    matrix = np.array(data.draw(floats), dtype=np.float32).reshape(n_rows, width)
    keys = image_keys([f"{i:064x}" for i in range(n_rows)], list(range(n_rows)))
    name, written = shard_to_bytes(keys, matrix)
    read, vectors = shard_from_bytes(name, written)
    assert (read == keys).all() and (shard_keys(io.BytesIO(written)) == keys).all()
    assert vectors.tobytes() == matrix.tobytes()


def test_other_programs_read_a_shard_as_the_design_says():
    schema = pq.read_schema(io.BytesIO(DATA))
    assert [(f.name, str(f.type)) for f in schema] == [
        ("sha256", "string"),
        ("variant", "int64"),
        ("vector", "fixed_size_list<element: float>[2]"),
    ]
    assert pq.read_table(io.BytesIO(DATA))["sha256"].to_pylist() == CONTENTS


@given(st.integers(0, len(DATA) * 8 - 1))
@settings(max_examples=300)
def test_any_flipped_bit_is_noticed(bit):
    flipped = bytearray(DATA)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedShard, match="digest"):
        shard_from_bytes(NAME, bytes(flipped))


@given(st.integers(0, len(DATA) - 1))
def test_keys_of_a_truncated_shard_are_not_read(length):
    with pytest.raises(DamagedShard):
        shard_keys(io.BytesIO(DATA[:length]))


@given(st.integers(0, len(DATA) * 8 - 1))
@settings(max_examples=300)
def test_keys_of_a_flipped_shard_are_right_or_damaged(bit):
    """Reading keys alone checks their pages and the footer's sense; anything else must be `DamagedShard`."""
    flipped = bytearray(DATA)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        shard_keys(io.BytesIO(bytes(flipped)))
    except DamagedShard:
        pass


def test_a_file_that_was_never_a_shard_is_damaged_though_its_name_is_its_digest():
    import hashlib

    import pyarrow as pa

    for data in (b"", b"PAR1", _parquet(pa.table({"sha256": ["a"]})), _parquet(pa.table({"vector": [1]}))):
        with pytest.raises(DamagedShard):
            shard_from_bytes(hashlib.sha256(data).hexdigest() + ".parquet", data)


def _parquet(table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()
