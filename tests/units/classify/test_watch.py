"""The tests behind `classify watch`, against scipy's distributions."""

import numpy as np
import pytest
from scipy.stats import betabinom, binom

from classify.watch.watch import Day, beta_binomial_tail, judge_day


@pytest.mark.parametrize("least", [-1, 0, 1, 4, 20, 60, 61])
def test_the_tail_of_the_beta_binomial_is_scipys(least):
    assert beta_binomial_tail(least, 60, 18, 358) == pytest.approx(
        betabinom.sf(least - 1, 60, 18, 358), abs=1e-12
    )


def day(outliers: int, groups: int = 100, low: int = 10, ant: int = 50, distance: float = 0.0) -> Day:
    answers = {"ant": ant, "bee": 100 - ant}
    return Day("", 100, groups, outliers, low, 0.8, answers, distance, 0.04)


def test_photos_of_one_group_are_one_observation():
    assert judge_day(day(30), [], 300) and judge_day(day(30, groups=100), [], 300)
    assert not judge_day(day(30, groups=10), [], 300)
    assert not judge_day(day(30), [], 0)


def test_a_day_is_judged_by_how_much_days_differ():
    rng = np.random.default_rng(0)
    steady = [day(5, ant=int(n)) for n in rng.binomial(100, 0.5, 20)]
    uneven = [day(5, ant=int(n)) for n in rng.integers(10, 90, 20)]
    new = day(5, ant=92)
    assert judge_day(new, steady, 0) and not judge_day(new, uneven, 0)
    assert not judge_day(new, steady[:4], 0)  # of four days nobody knows how much they differ


def test_what_gets_better_is_no_alarm():
    rng = np.random.default_rng(1)
    usual = [day(int(n), low=int(n), distance=rng.normal() / 50) for n in rng.binomial(100, 0.4, 20)]
    assert not judge_day(day(0, low=0, distance=-1), usual, 0)
    assert len(judge_day(day(90, low=90, distance=1), usual, 0)) == 3


def first_alarm(rng: np.random.Generator, dirty_from: int = 99) -> int | None:
    """The day of the first alarm in a month whose labels are uneven from day to day."""
    usual: list[Day] = []
    for number in range(1, 31):
        dirty = number >= dirty_from
        ant, outliers, low = rng.binomial(
            100, [rng.beta(8, 8), 0.25 if dirty else 0.05, 0.4 if dirty else 0.2]
        )
        today = day(outliers, low=low, ant=ant, distance=rng.normal(0.2 * dirty, 0.02))
        if judge_day(today, usual, 300):
            return number
        usual.append(today)
    return None


def test_of_quiet_months_few_have_an_alarm():
    """A thousand months of photos are in the benchmark."""
    rng = np.random.default_rng(2)
    assert sum(first_alarm(rng) is not None for _ in range(40)) <= binom.ppf(0.999, 40, 0.01)


def test_dirt_from_day_20_is_found_within_three_days():
    rng = np.random.default_rng(3)
    assert all(first_alarm(rng, dirty_from=20) in (20, 21, 22) for _ in range(20))
