"""Who does which fit: processes by the size of the work, never by what comes out."""

import numpy as np
import pytest

from classify.folds import Fold, make_folds
from classify.heads.registry import make_head
from classify.heads.tuning import TunedHead
from evaluate.scores import crossval
from evaluate.scores.crossval import cross_validate


def tasks_of(table, heads, n_folds):
    folds = make_folds(table.label, table.groups, table.variant, n_folds=n_folds)
    return [crossval.Task("good", head, make_head(head), fold) for head in heads for fold in folds]


def test_all_heads_on_one_side_go_together_unless_processes_would_idle(confused):
    tasks = tasks_of(confused, ["softmax", "svm"], 3)
    assert crossval._units(tasks, jobs=3) == [[0, 3], [1, 4], [2, 5]]
    assert crossval._units(tasks, jobs=4) == [[0], [1], [2], [3], [4], [5]]


def test_small_work_starts_no_process_until_it_turns_out_to_be_long(confused, monkeypatch):
    started = []

    def no_processes(*_, **options):
        started.append(options["n_jobs"])
        return lambda calls: (function(*args, **kwargs) for function, args, kwargs in calls)

    monkeypatch.setattr("joblib.Parallel", no_processes)
    folds = make_folds(confused.label, confused.groups, confused.variant, n_folds=4)
    alone = cross_validate(confused, ["good"], ["softmax", "knn"], folds, jobs=2)
    assert started == []
    monkeypatch.setattr("evaluate.scores.crossval.WORTH_WORKERS", 0.0)
    handed_over = cross_validate(confused, ["good"], ["softmax", "knn"], folds, jobs=2)
    assert started == [2]
    np.testing.assert_array_equal(alone.probabilities, handed_over.probabilities)
    assert alone.rows.equals(handed_over.rows)


@pytest.mark.parametrize(
    ("rows", "head", "expected"), [(9_000, "svm", 2), (9_000, "softmax", 6), (60, "svm", 6)]
)
def test_few_processes_hold_large_distances_at_once(confused, monkeypatch, rows, head, expected):
    monkeypatch.setattr(
        "evaluate.scores.crossval.total_memory", lambda: 8 << 30
    )  # half of it is twice 3 * 8 * 9,000²
    assert crossval._most_processes(tasks_of(confused, [head], 6), rows) == expected


@pytest.mark.parametrize(("head", "expected"), [("svm", 2), ("softmax", 6), ("svm:kernel=linear", 6)])
def test_a_search_holds_the_distances_of_its_training_side(monkeypatch, head, expected):
    monkeypatch.setattr("evaluate.scores.crossval.total_memory", lambda: 8 << 30)
    fold = Fold(0, 0, np.arange(9_000), np.arange(9_000, 12_000))  # of all 12,000 no fit would hold any
    tasks = [crossval.Task("good", f"{head} tuned", TunedHead(head), fold)] * 6
    assert crossval._most_processes(tasks, 12_000) == expected
