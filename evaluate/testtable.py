"""A separate test table for `compare`: heads train on one table and are tested on another."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from classify.folds import Fold
from classify.model.model import describe_differences
from evaluate.splits.checked_folds import check_folds
from featurize.errors import TableError, UsageError
from featurize.ids import IDS
from featurize.table import FeatureTable


def with_test_rows(table: FeatureTable, test: FeatureTable, features: Sequence[str]) -> FeatureTable:
    """Both tables below each other; the split says ``training`` or ``testing``.

    Parameters
    ----------
    table, test : FeatureTable
        The labelled rows to train on, and the photos to test. Images of `test` get its folder (or ``test``, where
        that is not known) before their names unless both come from one: two folders may use the same ones.
    features : sequence of str
        The columns that are used, or several joined with ``+``.

    Returns
    -------
    FeatureTable

    Raises
    ------
    TableError
        If `test` lacks features, or they were made otherwise.
    UsageError
        If it has labels that `table` has not.
    """
    wanted = {part for name in features for part in table.parts(name)}
    for name in sorted(wanted):
        _refuse_made_otherwise(table, test, name)
    # Others serve the checks for near-duplicates and shortcuts, where both tables have them.
    columns = [name for name in table.features if name in wanted or not _differences(table, test, name)]
    strange = sorted(set(test.label) - set(table.label))
    if strange:
        raise UsageError(
            f"{np.isin(test.label.astype(str), strange).sum()} of {len(test)} photos of the test table have labels "
            f"that no row to train on has: {', '.join(strange)}",
            f"the labels to train on are {', '.join(sorted(set(table.label)))}; rename or drop the others with a "
            "relabelling (--relabel)",
        )
    mine, theirs = (_folder(one) for one in (table, test))
    if mine is None or mine != theirs:
        test = test.with_column("image", [f"{theirs or 'test'}/{image}" for image in test.image])
    ids = pa.concat_tables([table.ids.select(IDS.names), test.ids.select(IDS.names)])
    vectors = {name: np.concatenate([table.vectors[name], test.vectors[name]]) for name in columns}
    joined = FeatureTable(ids, vectors, table.metadata)
    return joined.with_column("split", ["training"] * len(table) + ["testing"] * len(test))


def test_fold(table: FeatureTable) -> tuple[list[Fold], dict[str, Any], list[str]]:
    """The one fold of a table from `with_test_rows`, what it is in words, and what to know of it.

    Rows to train on that belong together with a test photo (the same bytes, or one group) are left out of the
    training and counted: the test photos stay as they were chosen.

    Raises
    ------
    UsageError
        If a label is then left without a row to train on.
    """
    groups, photos, testing = table.groups, table.variant == 0, table.split == "testing"
    known = ~testing & np.isin(groups, groups[testing])
    training = ~testing & ~known
    folds = check_folds([Fold(0, 0, np.flatnonzero(training), np.flatnonzero(testing))], table)
    description = {
        "cv": 1,
        "repeats": 1,
        "tested": int(testing.sum()),
        "method": f"a separate test table: {(training & photos).sum()} photos to train on, {testing.sum()} to test",
    }
    n_known, n_all = int((known & photos).sum()), int((~testing & photos).sum())
    if not n_known:
        return folds, description, []
    words = (
        f"{n_known} of the {n_all} photos to train on {'is' if n_known == 1 else 'are'} in the test table too, or in "
        "one group with a photo of it; the heads were trained without them"
    )
    return folds, description, [words]


test_fold.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions by their name


def _refuse_made_otherwise(table: FeatureTable, test: FeatureTable, name: str) -> None:
    if name not in test.vectors:
        raise TableError(
            f"the test table has no features named {name}; it has {', '.join(test.features) or 'none'}",
            f"extract them with `featurize extract --features {name}`, or name the --features that both tables have",
        )
    differences = _differences(table, test, name)
    if differences:
        raise TableError(
            f"the features {name} of the two tables were made otherwise: {'; '.join(differences)}",
            "extract both with the same settings",
        )


def _differences(table: FeatureTable, test: FeatureTable, name: str) -> list[str]:
    """In what the column differs between the tables, beyond its rows."""
    if name not in test.vectors:
        return ["missing in the test table"]
    one, other = (each.metadata["features"].get(name, {}) for each in (table, test))
    widths = [each.vectors[name].shape[1] for each in (table, test)]
    found = [f"width {widths[0]} and {widths[1]}"] if widths[0] != widths[1] else []
    if one.get("fingerprint") != other.get("fingerprint"):
        found += describe_differences(one.get("description") or {}, other.get("description") or {})
        found = found or ["other fingerprints"]
    return found


def _folder(table: FeatureTable) -> str | None:
    source = table.metadata.get("source") or {}
    path = source.get("path")
    return os.path.dirname(path) if path and source.get("kind") == "manifest" else path
