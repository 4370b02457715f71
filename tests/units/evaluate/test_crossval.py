"""Processes do not change what cross-validation gives."""

import logging

import numpy as np
import pytest

from classify.folds import make_folds
from evaluate.scores.crossval import cross_validate
from featurize.terminal import log


def folds_of(table, **options):
    return make_folds(table.label, table.groups, table.variant, **options)


@pytest.mark.parametrize("n_folds", [2, 3])  # as many as processes, or more
def test_processes_do_not_change_the_numbers(confused, n_folds, monkeypatch):
    monkeypatch.setattr("evaluate.scores.crossval.SMALL", 0)
    folds = folds_of(confused, n_folds=n_folds)
    heads = ["softmax", "mlp:max_iter=50", "svm"]
    one, two = (cross_validate(confused, ["good"], heads, folds, jobs=jobs) for jobs in (1, n_folds))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    assert one.rows.equals(two.rows)


@pytest.mark.parametrize("jobs", [1, 2])
def test_complaints_do_not_depend_on_quiet_or_on_jobs(confused, jobs, monkeypatch):
    monkeypatch.setattr("evaluate.scores.crossval.SMALL", 0)
    before = log.level
    log.setLevel(logging.ERROR)  # as --quiet does
    try:
        found = cross_validate(
            confused, ["good"], ["mlp:max_iter=2"], folds_of(confused, n_folds=3), jobs=jobs
        )
        assert log.level == logging.ERROR
    finally:
        log.setLevel(before)
    assert all(len(texts) == 1 and "converge" in texts[0] for texts in found.times["complaints"])
