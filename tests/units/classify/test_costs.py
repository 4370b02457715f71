"""What a head will take is said before: memory against what a fit really holds, and time in an order that is right."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from builders import hears_sigint, made_table, run
from sklearn import config_context, get_config
from sklearn.dummy import DummyClassifier
from sklearn.svm import SVC

from classify.folds import make_folds
from classify.heads import costs
from classify.heads.costs import Size, check_memory, memory_of_fit, seconds_of_fit
from classify.heads.fitting import fit_head, hearing_signals
from classify.heads.registry import head_names, make_head
from classify.training.train import train
from evaluate.scores import crossval
from featurize.errors import UsageError

MANY = Size(20_000, 1280, 1000)
HANG = 60  # seconds, after which a test is broken


def test_the_trees_of_a_forest_take_what_was_estimated():
    """Labels by chance, so that trees grow as large as they can."""
    rng = np.random.default_rng(0)
    X, y = rng.random((300, 5)), rng.integers(60, size=300)
    head = make_head("sklearn.ensemble.RandomForestClassifier:n_estimators=5").fit(X, y)
    held = sum(tree.tree_.value.nbytes + 64 * tree.tree_.node_count for tree in head.estimators_)
    assert held <= memory_of_fit(head, Size(300, 5, 60)) <= 2 * held


def test_more_of_anything_takes_more_memory_and_no_less_time():
    for name in head_names():
        head, size = make_head(name), Size(1000, 100, 10)
        for larger in (Size(2000, 100, 10), Size(1000, 200, 10), Size(1000, 100, 20)):
            assert memory_of_fit(head, larger) >= memory_of_fit(head, size)
            assert seconds_of_fit(head, larger) >= seconds_of_fit(head, size)
        assert name == "dummy" or memory_of_fit(head, size) > 0


def test_calibration_counts_as_the_fits_that_it_makes():
    bare, calibrated = SVC(C=10.0), make_head("svm")
    few, many = Size(1000, 64, 100), Size(1000, 64, 101)
    assert seconds_of_fit(calibrated, few) == pytest.approx(5 * seconds_of_fit(bare, few))
    assert seconds_of_fit(calibrated, many) == pytest.approx(1.8 * seconds_of_fit(bare, many))


def test_a_classifier_that_is_not_known_is_not_refused(monkeypatch):
    monkeypatch.setattr(costs, "total_memory", lambda: 0)
    for head in ("dummy", "softmax:steps=40"):
        check_memory(make_head(head), head, MANY)


def test_a_thread_of_a_fit_has_the_settings_of_scikit_learn():
    seen = []
    with config_context(transform_output="pandas"):
        hearing_signals(SVC(), lambda: seen.append(get_config()["transform_output"]))
    assert seen == ["pandas"]


def test_a_head_that_needs_more_memory_than_there_is_is_refused_with_the_estimate_and_one_that_fits(
    monkeypatch,
):
    monkeypatch.setattr(costs, "total_memory", lambda: 24_000_000_000)
    with pytest.raises(UsageError) as caught:
        check_memory(make_head("random-forest"), "random-forest", MANY)
    assert (
        "random-forest would need about 39 GB of memory for 20,000 rows of 1,280 numbers"
        in caught.value.args[0]
    )
    assert "there are 24 GB" in caught.value.args[0] and "use the head softmax" in caught.value.hint
    check_memory(make_head("softmax"), "softmax", MANY)
    monkeypatch.setattr(costs, "total_memory", lambda: 100_000_000)
    with pytest.raises(UsageError, match="out-of-core"):
        check_memory(make_head("softmax"), "softmax", MANY)


@pytest.mark.parametrize(
    "command", ["classify train {} -o {}.model --head svm", "evaluate compare {} --heads svm"]
)
def test_a_command_refuses_such_a_head_before_it_fits_any(command, tmp_path, monkeypatch):
    made_table().write(tmp_path / "t.parquet")
    monkeypatch.setattr(costs, "total_memory", lambda: 30_000)
    monkeypatch.setattr(SVC, "fit", lambda *_: pytest.fail("it was fitted"))
    done = run(command.format(*[tmp_path / "t.parquet"] * 2))
    assert done.status == 1 and "svm would need about" in done.error and "use the head" in done.hint


def test_what_will_take_long_is_said_before_the_first_fit(monkeypatch, caplog):
    monkeypatch.setattr(crossval, "LONG", 1e-5)
    monkeypatch.setattr(SVC, "fit", lambda *_: pytest.fail("it was fitted before"))
    folds = make_folds(made_table().label, n_folds=2)
    with caplog.at_level("INFO", "bottlehead"), pytest.raises(pytest.fail.Exception):
        crossval.cross_validate(made_table(), ["good"], ["dummy", "svm"], folds, jobs=1)
    assert caplog.messages == ["svm on good will take about 0 minutes (2 fits)"]


class Hungry(DummyClassifier):
    """Asks for more memory than there can be."""

    def fit(self, X, y):
        np.empty(1 << 60, dtype=np.uint8)


def test_memory_that_ends_in_a_fit_is_an_error_with_a_hint():
    with pytest.raises(UsageError, match="there is not enough memory") as caught:
        train(made_table(), Hungry(), trust=[f"{Hungry.__module__}.Hungry"])
    assert "--jobs 1" in caught.value.hint and "another head" in caught.value.hint
    folds = make_folds(made_table().label, n_folds=2)
    with pytest.raises(UsageError, match="there is not enough memory"):
        crossval.cross_validate(made_table(), ["good"], [Hungry()], folds, jobs=1)


def test_a_signal_ends_the_waiting_for_what_computes_in_c():
    """And the work, as soon as it is back in Python; errors of what is computed come through."""
    begun, goes_on, ended, reached = threading.Event(), threading.Event(), threading.Event(), []

    def work() -> None:
        try:
            begun.set()
            goes_on.wait(HANG)
            reached.append("what follows")
        finally:
            ended.set()

    def interrupt() -> None:
        begun.wait(HANG)
        time.sleep(0.5)  # a signal between `begun` and the waiting would end the work at once
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with hears_sigint(), pytest.raises(KeyboardInterrupt):
        hearing_signals(SVC(), work)
    # The work is waiting still, so that nobody has waited for its end. (Python 3.11 calls a thread stopped whose join
    # was interrupted, whether it is or not.)
    assert not ended.is_set()
    goes_on.set()
    helper.join(HANG)
    assert ended.wait(HANG) and reached == []
    with pytest.raises(ValueError, match="NaN"):
        fit_head(make_head("svm"), np.full((10, 2), np.nan), ["a", "b"] * 5)
