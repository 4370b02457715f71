"""The store: shards whose every bit counts, sections, what a kill loses, damage, merging while others read."""

import contextlib
import hashlib
import io
import itertools
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import flip_bit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featurize.errors import StoreError
from featurize.files import Folder
from featurize.networks.kept_networks import load_frozen_graph, save_frozen_graph
from featurize.store import shard
from featurize.store.shard import DamagedShard, image_keys, shard_from_bytes, shard_keys, shard_to_bytes
from featurize.store.store import DESCRIPTION, Section, ShardWriter, Store, section_name
from featurize.upkeep import verify_section

CONTENTS = ["00" * 32, "ff" * 32, "ab" * 31 + "00"]
KEYS = image_keys(CONTENTS, [0, 2**63 - 1, 256])
NAME, DATA = shard_to_bytes(KEYS, np.arange(6, dtype=np.float32).reshape(3, 2))


@given(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.integers(0, 2**63 - 1)), max_size=20))
def test_keys_keep_every_byte_also_zeros_at_the_end(pairs):
    contents, variants = [content.hex() for content, _ in pairs], [variant for _, variant in pairs]
    back, numbers = shard.key_contents(image_keys(contents, variants))
    assert (back, numbers.tolist()) == (contents, variants)


@given(st.integers(1, 5), st.integers(0, 9), st.data())
@settings(max_examples=30)
def test_what_is_written_comes_back_bit_by_bit(width, n_rows, data):
    floats = st.lists(st.floats(width=32), min_size=n_rows * width, max_size=n_rows * width)
    matrix = np.array(data.draw(floats), dtype=np.float32).reshape(n_rows, width)
    keys = image_keys([f"{i:064x}" for i in range(n_rows)], list(range(n_rows)))
    name, written = shard_to_bytes(keys, matrix)
    read, vectors = shard_from_bytes(name, written)
    assert (read == keys).all() and (shard_keys(io.BytesIO(written)) == keys).all()
    assert vectors.tobytes() == matrix.tobytes()


@given(st.integers(0, len(DATA) * 8 - 1))
@settings(max_examples=300)
def test_any_flipped_bit_is_noticed(bit):
    flipped = bytearray(DATA)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedShard, match="digest"):
        shard_from_bytes(NAME, bytes(flipped))
    # Reading keys alone checks their pages and the footer's sense; anything else must be `DamagedShard`.
    with contextlib.suppress(DamagedShard):
        shard_keys(io.BytesIO(bytes(flipped)))


@given(st.integers(0, len(DATA) - 1))
def test_keys_of_a_truncated_shard_are_not_read(length):
    with pytest.raises(DamagedShard):
        shard_keys(io.BytesIO(DATA[:length]))


@pytest.mark.parametrize("columns", [None, {"sha256": ["a"]}, {"vector": [1]}])
def test_a_file_that_was_never_a_shard_is_damaged_though_its_name_is_its_digest(columns):
    stream = io.BytesIO(b"PAR1")
    if columns:
        pq.write_table(pa.table(columns), stream)
    with pytest.raises(DamagedShard):
        shard_from_bytes(hashlib.sha256(stream.getvalue()).hexdigest() + ".parquet", stream.getvalue())


@pytest.mark.parametrize("key", ["sha256", "variant"])
def test_a_shard_with_one_null_key_is_damaged(key):
    table, stream = pq.read_table(io.BytesIO(DATA)), io.BytesIO()
    nulls = pa.array([None, *table[key].to_pylist()[1:]], table.schema.field(key).type)
    field = pa.field(key, nulls.type)
    pq.write_table(table.set_column(table.schema.names.index(key), field, nulls), stream)
    with pytest.raises(DamagedShard, match="null"):
        shard_from_bytes(hashlib.sha256(stream.getvalue()).hexdigest() + ".parquet", stream.getvalue())


FINGERPRINT = "ab" * 32


def contents(n: int, start: int = 0) -> list[str]:
    return [f"{i * 2654435761 % 2**32:08x}" * 8 for i in range(start, start + n)]


def vectors(n: int, start: int = 0, width: int = 3) -> np.ndarray:
    return (np.arange(start, start + n)[:, None] + np.linspace(0, 0.5, width)).astype(np.float32)


def filled(folder, n_shards: int, rows: int = 4):
    section = Store(folder).section("demo", FINGERPRINT, 3, {"family": "demo"})
    for i in range(n_shards):
        section.write(image_keys(contents(rows, i * rows)), vectors(rows, i * rows))
    return section


def again(folder, **options):
    """The same section, as another process would open it."""
    section = filled(folder, 0)
    return Section(section.folder, section.name, section.about, **options)


def load(section, wanted: list[str]):
    matrix = np.full((len(wanted), 3), -1, dtype=np.float32)
    return section.load(image_keys(wanted), matrix), matrix


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_agrees_with_a_dict(tmp_path_factory, data):
    section = again(tmp_path_factory.mktemp("store"))
    truth = {}
    for numbers in data.draw(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8), max_size=4)):
        numbers = list(dict.fromkeys(numbers))
        keys = image_keys([contents(1, n)[0] for n in numbers])
        section.write(keys, np.vstack([vectors(1, n) for n in numbers]))
        truth |= {n: vectors(1, n)[0] for n in numbers}
    wanted = data.draw(st.lists(st.integers(0, 35), max_size=20))
    found, matrix = load(section, [contents(1, n)[0] for n in wanted])
    assert found.tolist() == [n in truth for n in wanted]
    for n, row in zip(wanted, matrix, strict=True):
        assert row.tolist() == (truth[n].tolist() if n in truth else [-1, -1, -1])


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_reaches_a_table(tmp_path_factory, position, bit):
    folder = tmp_path_factory.mktemp("store")
    section = filled(folder, 1)
    path = folder / section.name / section.shards()[0][0]
    flip_bit(path, position, bit)
    found, matrix = load(again(folder), contents(4))
    assert not found.any() and (matrix == -1).all()


def test_vectors_of_another_width_are_set_aside(tmp_path):
    section = filled(tmp_path, 1)
    matrix = np.zeros((4, 2), dtype=np.float32)
    assert not section.load(image_keys(contents(4)), matrix).any()
    assert section.shards() == []


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"fingerprint": "00"}'])
def test_a_damaged_description_is_set_aside_and_written_again(tmp_path, caplog, text):
    section = filled(tmp_path, 1)
    path = tmp_path / section.name / DESCRIPTION
    whole = path.read_bytes()
    path.write_text(text)
    assert load(again(tmp_path), contents(4))[0].all()
    assert path.read_bytes() == whole and (path.parent / "damaged" / DESCRIPTION).read_text() == text
    assert "set aside" in caplog.text


@pytest.mark.parametrize("batch", [1, 7, 32, 100, 128])
def test_never_more_than_256_images_are_unsaved(tmp_path, batch):
    section = again(tmp_path)
    with ShardWriter(section, begun=64, clock=lambda: 0.0) as writer:
        n_added = 0
        for _ in range(1000 // batch):
            # At this moment a batch is computed, and 64 more images are begun.
            assert n_added - len(section.keys()) + batch + 64 <= 256
            writer.add(image_keys(contents(batch, n_added)), vectors(batch, n_added))
            n_added += batch
    assert len(section.keys()) == n_added


@pytest.mark.parametrize("seconds", [0.5, 3.0, 4.5])
def test_never_more_than_ten_seconds_are_unsaved(tmp_path, seconds):
    now, section = 0.0, again(tmp_path)
    with ShardWriter(section, clock=lambda: now) as writer:
        saved, saved_at, n_shards = 0, 0.0, set()
        for i in range(40):
            now += seconds
            assert now - saved_at <= 10
            writer.add(image_keys(contents(1, i)), vectors(1, i))
            if len(section.keys()) > saved:
                saved, saved_at = len(section.keys()), now
            n_shards.add(saved)
    assert len(n_shards) > 40 * seconds / 20  # it does wait, though


def test_what_waits_is_written_when_the_block_fails(tmp_path):
    section = again(tmp_path)
    with pytest.raises(KeyboardInterrupt), ShardWriter(section) as writer:
        writer.add(image_keys(contents(5)), vectors(5))
        raise KeyboardInterrupt
    assert load(again(tmp_path), contents(5))[0].all()


def test_many_small_shards_become_one_and_hold_the_same(tmp_path):
    section = filled(tmp_path, 40)
    section.write(image_keys(contents(4)[::-1]), vectors(4)[::-1])  # the first four once more
    assert section.compact() == 41
    assert len(section.shards()) == 1
    found, matrix = load(again(tmp_path), contents(160))
    assert found.all() and (matrix == vectors(160)).all()
    assert len(section.keys()) == 160


def test_few_shards_and_large_ones_are_left_alone(tmp_path):
    section = filled(tmp_path, 31)
    before = section.shards()
    assert section.compact() == 0 and section.shards() == before
    filled(tmp_path, 40)
    often = {"compact_above": 2, "compacted_rows": 64}
    again(tmp_path, **often).compact()
    merged = again(tmp_path).shards()
    assert len(merged) == 3 and again(tmp_path, **often).compact() == 0 and again(tmp_path).shards() == merged
    assert Store(tmp_path, compact_above=4).section("demo", FINGERPRINT, 3).compact() == 0
    assert Store(tmp_path, compact_above=3).section("demo", FINGERPRINT, 3).compact() == 3


def test_a_damaged_shard_does_not_spoil_a_merge(tmp_path):
    section = filled(tmp_path, 40)
    path = tmp_path / section.name / section.shards()[7][0]
    flip_bit(path, 1 / 3)
    (path.parent / ".partial-00.parquet").write_bytes(b"half of a shard")
    assert section.compact() == 39
    found, matrix = load(again(tmp_path), contents(160))
    assert found.sum() == 156 and (matrix[found] == vectors(160)[found]).all()


def test_a_merge_that_cannot_be_written_leaves_everything(tmp_path, monkeypatch):
    def full(self, name, data):
        raise StoreError("no space left")

    section = filled(tmp_path, 40)
    monkeypatch.setattr(Folder, "write", full)
    assert section.compact() == 0 and len(section.shards()) == 40


def test_readers_find_everything_while_others_merge(tmp_path):
    filled(tmp_path, 20)
    done, numbers = threading.Event(), itertools.count(80)

    # Without pauses, where writing takes no time, shards come faster than they can be read.
    def merge():
        while not done.wait(0.002):
            again(tmp_path, compact_above=2).compact()

    def write_more():
        while not done.wait(0.005):
            n = next(numbers)
            again(tmp_path).write(image_keys(contents(1, n)), vectors(1, n))

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(work) for work in (merge, merge, merge, write_more)]
        try:
            for _ in range(20):
                found, matrix = load(again(tmp_path), contents(80))
                assert found.all() and (matrix == vectors(80)).all()
        finally:
            done.set()
        for work in working:
            work.result()
    n_written = next(numbers)
    found, matrix = load(again(tmp_path), contents(n_written))
    assert found.all() and (matrix == vectors(n_written)).all()


def test_a_shard_of_another_extractor_is_set_aside(tmp_path, caplog):
    store = Store(tmp_path)
    mine, other = (store.section("demo", letter * 64, width=3) for letter in "ab")
    keys = image_keys(contents(4))
    mine.write(keys, vectors(4))
    other.write(keys, vectors(4, start=9))
    (strayed,) = (name for name, _, _ in other.shards())
    shutil.copy(tmp_path / other.name / strayed, tmp_path / mine.name / strayed)
    matrix = np.zeros((4, 3), dtype=np.float32)
    assert verify_section(store.section("demo", "a" * 64, width=3)) == (1, 1)
    assert "belongs to another extractor" in caplog.text
    assert store.section("demo", "a" * 64, width=3).load(keys, matrix).all()
    np.testing.assert_array_equal(matrix, vectors(4))


def test_a_path_that_is_no_text_is_described_and_read_back(tmp_path):
    store = Store(tmp_path)
    recipe = {"weights": {"file": "/home/jos\udce9/w.h5"}}
    section = store.section("demo", FINGERPRINT, 3, recipe=recipe)
    section.write(image_keys(contents(4)), vectors(4))
    assert json.loads((tmp_path / section.name / DESCRIPTION).read_bytes())["weights"] == recipe["weights"]
    assert load(again(tmp_path), contents(4))[0].all()


def test_a_name_is_safe_on_every_file_system():
    name = section_name("C:\\x/ü*?.pb:pool_3:0" + "y" * 300, "ab" * 32)
    assert name.startswith("C__x____.pb_pool_3_0y") and name.endswith("-" + "ab" * 16) and len(name) == 93


def test_a_frozen_graph_is_used_until_one_bit_changes(tmp_path, caplog):
    store = Store(tmp_path)
    save_frozen_graph(store, "cd" * 32, b"a network")
    assert load_frozen_graph(store, "cd" * 32) == b"a network" and load_frozen_graph(store, "ef" * 32) is None
    path = next((tmp_path / "graphs").iterdir())
    path.write_bytes(b"a netwerk")
    assert load_frozen_graph(store, "cd" * 32) is None and not path.exists() and "damaged" in caplog.text
