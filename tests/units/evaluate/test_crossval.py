"""Processes do not change what cross-validation gives."""

import logging

import numpy as np
import pytest

from classify.folds import Fold, make_folds
from classify.heads.registry import make_head
from classify.heads.tuning import TunedHead
from evaluate.scores import crossval
from evaluate.scores.crossval import SMALL, cross_validate
from featurize.table import FeatureTable
from featurize.terminal import log


def folds_of(table, **options):
    return make_folds(table.label, table.groups, table.variant, **options)


def worth_processes(table):
    """The table with vectors large enough that processes map them from a file."""
    wide = np.tile(table.vectors["good"], 1 + max(SMALL, 2**18) // table.vectors["good"].size)
    return FeatureTable(table.ids, {"wide": wide})


def test_processes_do_not_change_the_numbers(confused):
    table = worth_processes(confused)
    folds = folds_of(table, n_folds=3)
    heads = ["softmax", "mlp:max_iter=5", "svm"]
    one, two = (cross_validate(table, ["wide"], heads, folds, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert one.rows.equals(two.rows)


@pytest.mark.parametrize(
    ("head", "n_training", "expected"),
    [
        ("svm", 9_000, 2),  # half of 8 GiB is twice 3 * 8 * 9,000²
        ("svm", 40_000, 1),  # of which 10,000 have distances
        ("softmax", 9_000, 100),
        ("svm:kernel=linear", 9_000, 100),
        (TunedHead("svm"), 9_000, 2),
    ],
)
def test_few_processes_hold_large_distances_at_once(monkeypatch, head, n_training, expected):
    monkeypatch.setattr(crossval, "total_memory", lambda: 8 << 30)
    fold = Fold(0, 0, np.arange(n_training), np.arange(10))
    estimator = head if isinstance(head, TunedHead) else make_head(head)
    assert min(100, crossval._most_processes([crossval.Task("x", "head", estimator, fold)])) == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_complaints_do_not_depend_on_quiet_or_on_jobs(confused, jobs):
    table = worth_processes(confused)
    before = log.level
    log.setLevel(logging.ERROR)  # as --quiet does
    try:
        found = cross_validate(table, ["wide"], ["mlp:max_iter=1"], folds_of(table, n_folds=3), jobs=jobs)
        assert log.level == logging.ERROR
    finally:
        log.setLevel(before)
    assert all(len(texts) == 1 and "converge" in texts[0] for texts in found.times["complaints"])
