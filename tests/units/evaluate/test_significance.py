"""Three probabilities, paired counts and families of questions: by hand, against scipy, and their symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from evaluate.statistics.differences import bayesian_comparison, holm, mcnemar
from evaluate.statistics.intervals import paired_difference

FOLDS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10)


def test_the_posterior_by_integration():
    one, other = np.array([0.90, 0.84, 0.88, 0.86]), np.array([0.85, 0.85, 0.84, 0.83])
    found = bayesian_comparison(one, other, [25] * 4, [75] * 4, same_within=0.02)
    difference = one - other
    scale = math.sqrt((1 / 4 + 25 / 75) * difference.var(ddof=1))
    density = stats.t(3, loc=difference.mean(), scale=scale).pdf
    assert found.worse == pytest.approx(integrate.quad(density, -np.inf, -0.02)[0])
    assert found.same == pytest.approx(integrate.quad(density, -0.02, 0.02)[0])
    assert found.better == pytest.approx(integrate.quad(density, 0.02, np.inf)[0])


@settings(deadline=None)
@given(FOLDS, st.floats(0.001, 0.2))
def test_swapping_the_sides_swaps_better_and_worse(pairs, width):
    one, other = map(list, zip(*pairs, strict=True))
    sizes = [10] * len(one), [40] * len(one)
    there = bayesian_comparison(one, other, *sizes, width)
    back = bayesian_comparison(other, one, *sizes, width)
    assert there.worse + there.same + there.better == pytest.approx(1)
    assert (there.worse, there.same) == pytest.approx((back.better, back.same), abs=1e-9)


@settings(deadline=None)
@given(FOLDS)
def test_without_a_region_of_equivalence_it_is_the_one_sided_test(pairs):
    one, other = map(list, zip(*pairs, strict=True))
    sizes = [10] * len(one), [40] * len(one)
    tested = paired_difference(one, other, *sizes)
    verdict = bayesian_comparison(one, other, *sizes, same_within=0.0)
    if tested.low < tested.high:
        assert 2 * min(verdict.worse, verdict.better) == pytest.approx(tested.p_value, abs=1e-9)


SAME, BETTER, WORSE = (0, 1, 0), (0, 0, 1), (1, 0, 0)


@pytest.mark.parametrize(
    ("one", "other", "within", "expected"),
    [
        *((0.8, other, 0.01, SAME) for other in (0.8, 0.795)),
        *((0.8, other, 0.01, expected) for other, expected in ((0.7, BETTER), (0.9, WORSE))),
        # In numbers that floats hold exactly: 0.25 either way is still the same, 0.5 is not.
        *((one, 0.5, 0.25, SAME) for one in (0.75, 0.25)),
        *((one, 0.5, 0.25, expected) for one, expected in ((1.0, BETTER), (0.0, WORSE))),
    ],
)
def test_folds_that_agree_exactly_leave_no_doubt(one, other, within, expected):
    found = bayesian_comparison([one] * 3, [other] * 3, [10] * 3, [20] * 3, same_within=within)
    assert (found.worse, found.same, found.better) == expected


def test_mcnemar_by_hand():
    one = np.array([1] * 9 + [0] * 1 + [1] * 30, dtype=bool)
    other = np.array([0] * 9 + [1] * 1 + [1] * 30, dtype=bool)
    # 9 against 1 in 10 throws of a coin, or worse, on either side.
    expected = 2 * (1 + 10) / 2**10
    found = mcnemar(one, other)
    assert (found.only_one_right, found.only_other_right) == (9, 1)
    assert found.p_value == pytest.approx(expected)
    assert mcnemar(other, one).p_value == pytest.approx(expected)
    assert mcnemar(one, one).p_value == 1.0


def test_holm_by_hand():
    # Sorted: 0.005*4, 0.01*3, 0.03*2, 0.04*1; the last may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == [] and holm([0.04]) == [0.04]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_textbook_loop_rejects(p_values):
    rejected = set()
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[place] * (len(p_values) - step) > 0.05:
            break
        rejected.add(place)
    corrected = holm(p_values)
    assert {place for place, p in enumerate(corrected) if p <= 0.05} == rejected
    assert all(0 <= given <= p <= 1 for given, p in zip(p_values, corrected, strict=True))
