"""Labels and groups of every type: tables take them as text, say so once, and every command goes on from there."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

from classify import train_model
from evaluate import compare
from featurize import BottleheadError, FeatureTable

X = np.random.default_rng(0).normal(size=(24, 3)) + np.repeat([0, 3], 12)[:, None]
CODES = np.repeat([3, 10], 12)
DAYS = ["2026-05-01", "2026-05-02"]
LABELS = {
    "list": (CODES.tolist(), ["3", "10"], "whole numbers"),
    "int64": (CODES, ["3", "10"], "whole numbers"),
    "objects": (np.array([*CODES], dtype=object), ["3", "10"], "whole numbers"),
    "bool": (CODES > 5, ["False", "True"], "truth values"),
    "categories": (pd.Series(CODES > 5, dtype="category"), ["False", "True"], "truth values"),
    "text categories": (pd.Series(np.repeat(["a", "b"], 12), dtype="category"), ["a", "b"], None),
    "other index": (pd.Series(np.repeat(["a", "b"], 12), index=np.arange(24)[::-1] * 2), ["a", "b"], None),
    "nullable": (pd.Series(CODES, dtype="Int64"), ["3", "10"], "whole numbers"),
    "floats": (np.repeat([0.5, 1.0], 12), ["0.5", "1.0"], "numbers"),
    "polars": (pl.Series(CODES), ["3", "10"], "whole numbers"),
    "days": (np.repeat(np.array(DAYS, dtype="datetime64[D]"), 12), DAYS, "dates"),
    "days of pandas": (pd.Series(pd.to_datetime(np.repeat(DAYS, 12))), DAYS, "dates"),
    "days of polars": (pl.Series(np.repeat(DAYS, 12)).str.to_date(), DAYS, "dates"),
    "hours": (
        pd.Series(pd.to_datetime(np.repeat(DAYS, 12)) + pd.Timedelta("9h")),
        [f"{day} 09:00:00" for day in DAYS],
        "dates",
    ),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_table_takes_labels_and_groups_as_text_and_says_so_once(kind, caplog):
    given, names, said = LABELS[kind]
    with caplog.at_level(logging.INFO, "bottlehead"):
        table = FeatureTable.from_arrays({"x": X}, label=given, group=given)
    assert table.label.tolist() == table.group.tolist() == np.repeat(names, 12).tolist()
    wanted = [f"the columns label, group hold {said}, which are taken as text"] if said else []
    assert caplog.messages == wanted


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([*CODES[:-2], None, np.nan]),
        pd.Series([*CODES[:-2], None, pd.NA], dtype="Int64"),
        pd.Series([*CODES[:-2], None, pd.NA], dtype=object),
        pl.Series([*CODES[:-2].tolist(), None, None]),
    ],
    ids=["floats", "nullable", "objects", "polars"],
)
def test_gaps_are_rows_without_a_label_and_whole_numbers_stay_whole(column):
    table = FeatureTable.from_arrays({"x": X}, label=column, group=column)
    assert table.label.tolist() == table.group.tolist() == [*map(str, CODES[:-2]), None, None]


def test_gaps_among_dates_are_rows_without_a_label():
    days = pd.Series(pd.to_datetime([*DAYS, None]))
    assert FeatureTable.from_arrays({"x": X[:3]}, label=days).label.tolist() == [*DAYS, None]


def test_text_and_numbers_in_one_column_are_both_text():
    table = FeatureTable.from_arrays({"x": X[:3]}, label=["a", 1, True])
    assert table.label.tolist() == ["a", "1", "True"]
    with pytest.raises(BottleheadError, match="label cannot be string"):
        FeatureTable.from_arrays({"x": X[:1]}, label=[{"a": 1}])


def test_a_column_that_is_none_is_not_given():
    table = FeatureTable.from_arrays({"x": X}, label=CODES, group=None, image=None, split=None, variant=None)
    assert table.group.tolist() == [None] * 24 and table.image[0] == "image-0" and not table.variant.any()


def test_trainings_comparisons_and_relabelling_take_such_a_table():
    table = FeatureTable.from_arrays({"x": X}, label=CODES, group=np.arange(24) // 2)
    assert train_model(table, "svm", jobs=1).labels == ["10", "3"]
    assert {row.head for row in compare(table, ["x"], ["svm"], cv=2, jobs=1).results} == {"svm"}
    assert set(table.relabel({3: "three", 10: "ten"}).label) == {"three", "ten"}
