"""A small run of ``tests/benchmarks/verdicts_by_folds.py``: noise claims nothing, differences show."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("verdicts_by_folds")


@pytest.mark.parametrize(
    ("groups", "folds"),
    [
        ("of_one_label", "leave-one-group-out"),
        ("of_one_label", "stratified"),
        ("unequal_and_uneven", "stratified"),
        ("one_label_is_rare", "leave-one-group-out"),
    ],
)
def test_noise_beats_nothing(simulation, groups, folds):
    beats, _, n = simulation.false_verdicts(getattr(simulation, groups), folds, range(12))
    assert n >= 8 and beats * n <= 1


def test_a_difference_of_ten_points_is_found_on_grouped_photos(simulation):
    said, settled, gap = simulation.found_differences(
        lambda rng: simulation.of_both_labels(rng, 120, 5), "stratified", range(8)
    )
    assert 0.05 < gap < 0.2 and said >= 0.6 and settled <= said
