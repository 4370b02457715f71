"""Id columns, and which rows may not be separated."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurize.errors import TableError
from featurize.table import merged_groups
from featurize.tableformat import IDS, complete_ids, ids_from_columns


def as_column(values) -> np.ndarray:
    return np.array([*values, None], dtype=object)[:-1]


def merged(image, sha256, group) -> list[int]:
    return merged_groups(as_column(image), as_column(sha256), as_column(group)).tolist()


def test_columns_left_out_are_null_and_variant_is_0():
    ids = complete_ids(pa.table({"image": ["a", "b"], "label": ["", "x"]}))
    assert ids.schema.equals(IDS)
    assert ids["label"].to_pylist() == [None, "x"]
    assert ids["variant"].to_pylist() == [0, 0]
    assert ids["sha256"].null_count == ids["width"].null_count == 2


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"image": ["a"], "colour": ["red"]}, "no such columns: colour"),
        ({"image": ["a"], "label": ["x", "y"]}, "different lengths"),
        ({"image": ["a"], "width": ["wide"]}, "width cannot be int64"),
        ({"image": ["\ud800"]}, "image cannot be string"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(TableError, match=message) as caught:
        ids_from_columns(columns)
    assert caught.value.hint


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"image": pa.array([None, "a"])}, "1 rows have no image"),
        ({"image": ["a"], "variant": pa.array([None], pa.int64())}, "1 rows have no variant"),
        ({"image": ["a"], "width": ["wide"]}, "width holds string"),
    ],
)
def test_rows_without_an_identity_are_refused(columns, message):
    with pytest.raises(TableError, match=message):
        complete_ids(pa.table(columns))


def test_groups_are_merged_step_by_step():
    # 0-1 by group g, 1-2 by bytes, 2-3 by group h; 4 alone; 5-6 by name, their bytes unknown.
    image = ["a", "b", "c", "d", "e", "f", "f"]
    sha256 = ["1", "2", "2", "3", "4", None, None]
    group = ["g", "g", "h", "h", None, None, None]
    assert merged(image, sha256, group) == [0, 0, 0, 0, 1, 2, 2]


def test_a_name_a_digest_and_a_group_spelled_alike_are_different_things():
    assert merged(["x", "y", "z"], [None, "x", "w"], [None, None, "x"]) == [0, 1, 2]
    assert merged(["x", "y"], [None, "name:y"], [None, None]) == [0, 1]


def test_no_rows_no_groups():
    assert merged([], [], []) == []


KEYS = st.sampled_from(["p", "q", "r", "s"])


@given(st.lists(st.tuples(KEYS, st.none() | KEYS, st.none() | KEYS), max_size=12))
def test_groups_agree_with_repeated_merging(rows):
    image, sha256, group = zip(*rows, strict=True) if rows else ((), (), ())
    found = merged(image, sha256, group)
    wanted = list(range(len(rows)))
    for _ in rows:
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                same_content = one[1] == other[1] and (one[1] is not None or one[0] == other[0])
                if same_content or (one[2] is not None and one[2] == other[2]):
                    wanted[i] = wanted[j] = min(wanted[i], wanted[j])
    order: dict[int, int] = {}
    assert found == [order.setdefault(number, len(order)) for number in wanted]


def test_a_nul_character_would_make_two_labels_one_and_is_refused():
    with pytest.raises(TableError, match="label holds a NUL"):
        complete_ids(ids_from_columns({"image": ["1", "2"], "label": ["a", "a\0"]}))
