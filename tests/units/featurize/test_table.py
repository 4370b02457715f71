"""Id columns, which rows may not be separated, a table's digest, and files under any name; see also the contract."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurize.errors import TableError
from featurize.id_columns import IDS, complete_ids, merged_groups
from featurize.table import FeatureTable, readings, table_digest
from featurize.tableformat import lists_to_matrix, matrix_to_lists


def merged(image, sha256, group) -> list[int]:
    return merged_groups(*(np.array([*c, None], object)[:-1] for c in (image, sha256, group))).tolist()


def test_columns_left_out_are_null_and_variant_is_0():
    ids = complete_ids(pa.table({"image": ["a", "b"], "label": ["", "x"]}))
    assert ids.schema.equals(IDS)
    assert ids["label"].to_pylist() == [None, "x"]
    assert ids["variant"].to_pylist() == [0, 0]
    assert ids["sha256"].null_count == ids["width"].null_count == 2


def test_rows_without_an_identity_are_refused():
    for columns, message in [
        ({"image": pa.array([None, "a"])}, "1 rows have no image"),
        ({"image": ["a"], "variant": pa.array([None], pa.int64())}, "1 rows have no variant"),
        ({"image": ["a"], "width": ["wide"]}, "width holds string"),
    ]:
        with pytest.raises(TableError, match=message):
            complete_ids(pa.table(columns))


def test_a_name_a_digest_and_a_group_spelled_alike_are_different_things():
    assert merged(["x", "y", "z"], [None, "x", "w"], [None, None, "x"]) == [0, 1, 2]
    assert merged(["x", "y"], [None, "name:y"], [None, None]) == [0, 1]


KEYS = st.sampled_from(["p", "q", "r", "s"])


@given(st.lists(st.tuples(KEYS, st.none() | KEYS, st.none() | KEYS), max_size=12))
def test_groups_agree_with_repeated_merging(rows):
    image, sha256, group = zip(*rows, strict=True) if rows else ((), (), ())
    wanted = list(range(len(rows)))
    for _ in rows:
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                same_content = one[1] == other[1] and (one[1] is not None or one[0] == other[0])
                if same_content or (one[2] is not None and one[2] == other[2]):
                    wanted[i] = wanted[j] = min(wanted[i], wanted[j])
    order: dict[int, int] = {}
    assert merged(image, sha256, group) == [order.setdefault(number, len(order)) for number in wanted]


@pytest.mark.parametrize("n_rows", [0, 1, 9000])
def test_the_digest_is_that_of_the_json_of_all_ids_and_the_bytes_of_all_vectors(n_rows):
    rng = np.random.default_rng(0)
    vectors = {"b": rng.random((n_rows, 2)).astype("f4"), "a": rng.random((n_rows, 3)).astype("f4")}
    labels = ['né"', None, "\\"] * (n_rows // 3) + ["x"] * (n_rows % 3)
    table = FeatureTable.from_arrays(vectors, label=labels)
    expected = hashlib.sha256(json.dumps(table.ids.to_pydict(), sort_keys=True).encode())
    for name in ("a", "b"):
        expected.update(f"{name}:{vectors[name].shape}".encode() + vectors[name].tobytes())
    assert table.digest() == expected.hexdigest()
    pieces = {name: (m.shape[1], np.array_split(m, 7)) for name, m in vectors.items()}
    assert table_digest(table.ids, pieces) == expected.hexdigest()


def test_lists_and_matrices_turn_into_each_other_without_a_copy_and_nulls_are_refused():
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    lists = matrix_to_lists(matrix)
    assert lists.to_pylist() == matrix.tolist()
    back = lists_to_matrix(lists)
    assert np.shares_memory(back, matrix) and back.tolist() == matrix.tolist()
    assert lists_to_matrix(lists.slice(1, 2)).tolist() == matrix[1:3].tolist()
    assert lists_to_matrix(matrix_to_lists(np.asfortranarray(matrix))).tolist() == matrix.tolist()
    for vectors in [[[1.0, None]], [[1.0, 2.0], None]]:
        with pytest.raises(ValueError, match="null"):
            lists_to_matrix(pa.array(vectors, pa.list_(pa.float32(), 2)))


@pytest.mark.parametrize("ending", [".parquet", ".npz"])
@pytest.mark.parametrize("place", ["jos\udce9/t", "exp:1/t", "run:3"])
def test_a_table_is_written_and_read_wherever_the_system_has_files(tmp_path, monkeypatch, ending, place):
    monkeypatch.chdir(tmp_path)
    path = Path(place + ending)
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError:
        pytest.skip("this system has no such names")
    table = FeatureTable.from_arrays({"x": np.ones((2, 3), dtype=np.float32)}, image=["a", "b"])
    table.metadata["features"] = {"x": {"weights": {"file": str(path)}}}
    table.write(path)
    back = FeatureTable.read(path)
    assert back.digest() == table.digest() and back.metadata == table.metadata
    assert sum(len(part) for part in FeatureTable.read_batches(path)) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", [".parquet", ".npz"])
def test_reading_does_not_hold_the_table_twice(tmp_path, ending):
    for name, n_rows in {"small": 10, "large": 120_000}.items():
        vectors = np.random.default_rng(0).random((n_rows, 512), dtype=np.float32)
        FeatureTable.from_arrays({"x": vectors}).write(tmp_path / f"{name}{ending}")
    # The small one first, so that what the readers themselves need is in the first figure.
    code = (
        "import sys, re\n"
        "from featurize import FeatureTable\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "FeatureTable.read(sys.argv[1]); before = peak(); FeatureTable.read(sys.argv[2]); print(peak() - before)"
    )
    files = [str(tmp_path / f"{name}{ending}") for name in ("small", "large")]
    result = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 1.5 * vectors.nbytes


def test_a_spec_is_read_in_all_ways_that_the_names_allow():
    rng = np.random.default_rng(0)
    for _ in range(500):
        known = {"+".join(rng.choice(list("abc"), rng.integers(1, 4))) for _ in range(rng.integers(1, 5))}
        spec = "+".join(rng.permutation(sorted(known)))
        words = spec.split("+")
        every = []
        for cuts in range(1 << (len(words) - 1)):  # a cut or a + between any two words
            text = "".join(w + ",+"[cuts >> i & 1] for i, w in enumerate(words[:-1])) + words[-1]
            names = text.split(",")
            if known.issuperset(names) and len(set(names)) == len(names):
                every.append(names)
        found = readings(spec, known)
        assert min(len(found), 2) == min(len(every), 2) and all(one in every for one in found)
