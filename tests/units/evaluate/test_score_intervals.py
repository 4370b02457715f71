"""Intervals of rankings, sensitivity and specificity: derivatives of scikit-learn's scores, and a small simulation."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as theirs

from evaluate.statistics.intervals import _rankings, grouped_interval, score_intervals

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCORES = (theirs.roc_auc_score, theirs.average_precision_score)


@pytest.fixture
def simulation(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("operating_points")


def drawn(seed: int, n: int = 60):
    """Labels, scores with ties, and weights as of photos that were tested one, two or four times."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return y, (rng.normal(size=n) + y).round(1), rng.choice([1.0, 0.5, 0.25], n)


@pytest.mark.parametrize("seed", range(4))
def test_influences_are_the_derivatives_of_scikit_learns_scores_by_the_weight_of_a_photo(seed):
    y, score, weight = drawn(seed)
    found = _rankings(y, score, np.arange(len(y)), None, weight)
    for own, scored in zip(found, SCORES, strict=True):
        assert own.score == pytest.approx(scored(y, score, sample_weight=weight))
        for row in range(0, len(y), 5):
            step = np.zeros(len(y))
            step[row] = 1e-5
            ends = [scored(y, score, sample_weight=weight + sign * step) for sign in (1, -1)]
            assert own.influence[row] == pytest.approx((ends[0] - ends[1]) / 2e-5 * weight[row], abs=1e-7)


def intervals(y, score, groups=None, image=None, **more):
    chances, given = np.stack([score, 1 - score], axis=1), np.where(score >= 0.5, "ill", "well")
    image = np.arange(len(y)) if image is None else image
    groups = image if groups is None else groups
    label = np.where(y, "ill", "well")
    return score_intervals(label, given, chances, ["ill", "well"], image, groups, positive="ill", **more)


def flat(found):
    every = {**found.positive, **found.one_vs_rest["ill"]}
    return np.array([[one.mean, one.low, one.high] for one in every.values()])


def probable(seed: int, n: int = 80):
    y, score, _ = drawn(seed, n)
    return y, 1 / (1 + np.exp(1.0 - 1.5 * score))


def test_the_variance_of_the_area_is_delongs():
    """By his formula, from the placement of each photo among those of the other label."""
    y, score = probable(1)
    area = theirs.roc_auc_score(y, score)
    wins = (score[y][:, None] > score[~y]) + 0.5 * (score[y][:, None] == score[~y])
    delong = wins.mean(1).var(ddof=1) / y.sum() + wins.mean(0).var(ddof=1) / (~y).sum()
    own, _ = _rankings(y, score, np.arange(len(y)), None, None)
    n, m = y.sum(), (~y).sum()
    parts = [float(np.sum(own.influence[of] ** 2)) for of in (y, ~y)]
    assert parts[0] * n / (n - 1) + parts[1] * m / (m - 1) == pytest.approx(delong)
    low, high = (flat(intervals(y, score))[2][place] for place in (1, 2))
    assert high - low == pytest.approx(2 * 2.05 * delong**0.5, rel=0.1)  # Student's t for 20 to 30 photos
    assert low < area < high


def test_photos_of_a_group_that_say_the_same_count_once_and_repeats_change_nothing():
    y, score = probable(2)
    alone, three = flat(intervals(y, score)), np.repeat(np.arange(len(y)), 3)
    repeated = intervals(y[three], score[three], image=three, weight=np.full(len(three), 1 / 3))
    np.testing.assert_allclose(flat(repeated), alone, atol=1e-12)
    copies = flat(intervals(y[three], score[three], groups=three))
    np.testing.assert_allclose(copies[2:], alone[2:], atol=1e-12)
    assert (copies[:2, 2] - copies[:2, 1] >= alone[:2, 2] - alone[:2, 1]).all()
    order = np.random.default_rng(0).permutation(len(y))
    np.testing.assert_allclose(flat(intervals(y[order], score[order], image=order)), alone, atol=1e-12)


def test_the_label_to_be_found_and_the_other_change_places():
    y, score = probable(3)
    score = np.where(score == 0.5, 0.51, score)
    one, other = intervals(y, score), intervals(~y, 1 - score)
    assert [*one.positive.sensitivity.values()] == pytest.approx([*other.positive.specificity.values()])
    same = [*one.one_vs_rest["ill"].roc_auc.values()]
    assert same == pytest.approx([*one.one_vs_rest["well"].roc_auc.values()])


def test_sensitivity_of_single_photos_is_wilsons_interval_of_the_photos_of_the_label():
    y, score = probable(4)
    found = intervals(y, score).positive
    assert dict(found.sensitivity) == dict(grouped_interval(score[y] >= 0.5, np.arange(y.sum())))


@pytest.mark.parametrize(
    ("y", "score", "roc_auc"),
    [
        ([1, 1, 0, 0, 0, 0], [0.9, 0.8, 0.1, 0.2, 0.3, 0.1], 1.0),
        ([1, 1, 0, 0, 0, 0], [0.1, 0.2, 0.9, 0.8, 0.7, 0.9], 0.0),
        ([1, 0, 0, 0, 0, 0], [0.9, 0.1, 0.2, 0.95, 0.4, 0.5], 0.8),
        ([1, 1, 0, 0, 0, 0], [0.5] * 6, 0.5),
    ],
)
def test_few_photos_have_an_interval_that_is_no_point_and_stays_between_0_and_1(y, score, roc_auc):
    found = intervals(np.array(y, dtype=bool), np.array(score))
    for one in (found.roc_auc, found.average_precision, found.positive.sensitivity):
        assert 0 <= one.low <= one.mean <= one.high <= 1 and one.high - one.low > 0.15
    assert found.one_vs_rest["ill"].roc_auc.mean == pytest.approx(roc_auc)


def test_a_share_of_nothing_and_a_ranking_of_nothing_have_no_interval():
    found = intervals(np.ones(4, dtype=bool), np.array([0.1, 0.6, 0.7, 0.8]))
    assert found.positive.specificity is None and found.roc_auc is None
    assert dict(found.one_vs_rest["ill"]) == {"roc_auc": None, "average_precision": None}
    folds = intervals(np.arange(8) < 4, np.linspace(0.9, 0.2, 8), fold=np.arange(8) // 4, n_folds=2)
    assert folds.average_precision is None and folds.positive.sensitivity.mean == 1.0


@pytest.mark.parametrize(
    ("design", "run", "least"),
    [
        ("40 and 160 photos", "of_test_sets", 0.90),
        ("12 and 120 photos", "of_cross_validation", 0.92),
        ("100 and 300 photos, groups of 5 of one label", "of_test_sets", 0.92),
    ],
)
def test_intervals_hold_the_truth(simulation, design, run, least):
    """120 draws each, whose standard error is 2 points; the benchmark has 1,000."""
    made = simulation.Design(*simulation.DESIGNS[design])
    found = simulation.summary(getattr(simulation, run)(made, np.random.default_rng(3), 120))
    for name, one in found.items():
        assert one["holds"] >= 100 * least and abs(one["said"] - one["true"]) < 5, (name, one)


def test_a_threshold_promises_what_new_photos_bring_and_not_what_those_show_that_chose_it(simulation):
    made = simulation.Design(*simulation.DESIGNS["40 and 160 photos"])
    found = simulation.summary(simulation.of_thresholds("recall=0.95", made, np.random.default_rng(4), 100))
    for one in found.values():
        assert one["holds"] >= 92 and abs(one["said"] - one["true"]) < 1.6
    one = found["sensitivity"]
    assert one["chosen"] == pytest.approx(95) and one["said"] == pytest.approx(100 * 38 / 41)
