"""A separate test table below the one to train on, as one table with one fold."""

import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from classify.folds import Fold
from classify.labels import record_of
from classify.model.model import describe_differences
from evaluate.report.data_sentences import shared_with_test_in_words
from evaluate.splits.checked_folds import check_folds
from featurize.errors import TableError, UsageError
from featurize.table import FeatureTable


def with_test_rows(table: FeatureTable, test: FeatureTable, features: Sequence[str]) -> FeatureTable:
    """Both tables below each other; the split says ``training`` or ``testing``. `features` are those that are used.

    Images of `test` get its folder (or ``test``, where that is not known) before their names unless both tables come
    from one: two folders may use the same ones.
    """
    wanted = {part for name in features for part in table.parts(name)}
    test = test.named_as(table.metadata["features"])
    for name in sorted(wanted):
        if name not in test.vectors:
            raise TableError(
                f"the test table has no features named {name}; it has {', '.join(test.features) or 'none'}",
                f"extract them with `featurize extract --features {name}`, or name the --features that both tables "
                "have",
            )
        if differences := _differences(table, test, name):
            raise TableError(
                f"the features {name} of the two tables were made otherwise: {'; '.join(differences)}",
                "extract both with the same settings",
            )
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
    folder, test_folder = (_folder(one) for one in (table, test))
    known = dict(zip(table.image, table.sha256, strict=True))
    # Photos in memory are called by their position in every table.
    others = any(
        known.get(name, sha256) != sha256 for name, sha256 in zip(test.image, test.sha256, strict=True)
    )
    if folder is None or folder != test_folder or others:
        test = test.with_column("image", [f"{names_before(test)}{image}" for image in test.image])
    ids = pa.concat_tables([table.ids, test.ids], promote_options="default")
    vectors = {name: np.concatenate([table.vectors[name], test.vectors[name]]) for name in columns}
    joined = FeatureTable(ids, vectors, {**table.metadata, **record_of(table, test)})
    return joined.with_column("split", ["training"] * len(table) + ["testing"] * len(test))


def fold_of_test_rows(table: FeatureTable) -> tuple[list[Fold], str, list[str]]:
    """The one fold of a table from `with_test_rows`, how it was made, in words, and what there is to warn of.

    Rows to train on that belong together with a test photo (the same bytes, or one group) are left out of the
    training and counted: the test photos stay as they were chosen.
    """
    groups, photos, testing = table.groups, table.variant == 0, table.split == "testing"
    shared = ~testing & np.isin(groups, groups[testing])
    training = ~testing & ~shared
    n_shared, n_all = int((shared & photos).sum()), int((~testing & photos).sum())
    if not training.any():
        what = f"all {n_all} photos to train on are in the test table as well, by their bytes or their groups"
        raise UsageError(what, "give a test table of other photos, or leave out --test to test on folds")
    folds = check_folds([Fold(0, 0, np.flatnonzero(training), np.flatnonzero(testing))], table)
    method = f"a separate test table: {(training & photos).sum()} photos to train on, {testing.sum()} to test"
    return folds, method, [shared_with_test_in_words(n_shared, n_all)] if n_shared else []


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


def names_before(test: FeatureTable) -> str:
    """What a comparison writes before the names of a test table's photos: its folder, or ``test``, and ``/``."""
    return f"{_folder(test) or 'test'}/"


def _folder(table: FeatureTable) -> str | None:
    source = table.metadata.get("source") or {}
    path = source.get("path")
    if source.get("kind") == "manifest" and isinstance(source.get("folder"), str):
        return source["folder"]
    return os.path.dirname(path) if path and source.get("kind") == "manifest" else path
