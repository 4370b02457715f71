import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.rows import Sample
from classify.shares import expected_share
from classify.training.thresholds import (
    check_rule,
    choose_threshold,
    held_out_probabilities,
    parse_rule,
    read_costs,
)
from featurize.errors import UsageError


@pytest.mark.parametrize("rule", ["recall", "recall=0", "recall=1.2", "recall=nan", "f1=0.9", "recall=high"])
def test_no_rule(rule):
    with pytest.raises(UsageError, match="is no rule for a threshold"):
        parse_rule(rule)


def test_costs_of_unknown_labels_are_refused():
    costs = {("fire", "fog"): 1.0, ("fog", "fire"): 2.0, ("smoke", "fog"): 1.0}
    with pytest.raises(UsageError, match="name the unknown smoke"):
        check_rule("fire", ["fire", "fog"], costs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n", "first line must be label,predicted,cost"),
        ("label,predicted,cost\nfire,none\n", "line 2"),
        *(
            (f"label,predicted,cost\nA,B,{cost}\n", f"line 2 of the costs .* has the cost '{cost}'")
            for cost in ("-1", "inf", "dear")
        ),
        ("label;predicted;cost\nA;B;-0,5\n", "has the cost '-0,5'"),
        ("label;predicted;cost\nA;B;1,000\n", "1,000, which can be read in two ways"),
    ],
)
def test_costs_that_are_none_are_refused(tmp_path, text, message):
    (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_costs(tmp_path / "costs.csv")


@pytest.mark.parametrize(
    ("text", "cost"), [("0,5", 0.5), ("12,25", 12.25), (",5", 0.5), ("0,125", 0.125), ("2", 2.0)]
)
def test_costs_may_have_a_decimal_comma(tmp_path, text, cost):
    file = tmp_path / "costs.csv"
    file.write_text(f"label;predicted;cost\nA;B;{text}\n")
    assert read_costs(file) == {("A", "B"): cost}
    file.write_text(f'label,predicted,cost\nA,B,"{text}"\n')
    assert read_costs(file) == {("A", "B"): cost}


def test_held_out_probabilities_come_from_heads_that_had_not_seen_the_group():
    """Labels are noise; only who has seen a twin of the photo knows its label."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 8)), 2, axis=0)
    y, groups = np.repeat(np.array(["a", "b"])[np.arange(60) % 2], 2), np.arange(120) // 2
    sample = Sample(X, y, groups, np.tile([0, 3], 60))
    rows, probabilities = held_out_probabilities(make_head("knn:n_neighbors=1"), sample)
    assert sorted(rows) == list(range(0, 120, 2))
    assert (np.array(["a", "b"])[probabilities.argmax(axis=1)] == y[rows]).mean() < 0.75


def test_what_is_expected_of_new_photos_is_the_mean_of_an_order_statistic():
    """Of 40 scores the third lowest is reached by 38 of 41 new ones on average; drawn here, it is."""
    rng = np.random.default_rng(0)
    mean, low, high = expected_share(np.arange(40) >= 2, np.arange(40))
    reached = 1 - np.sort(rng.random((20_000, 40)), axis=1)[:, 2]
    assert mean == pytest.approx(38 / 41) == pytest.approx(reached.mean(), abs=0.002)
    # Wider than the spread of that alone: other heads judge the new photos.
    alone = np.quantile(reached, [0.025, 0.975])
    assert low < alone[0] and high > alone[1]


def test_photos_of_a_group_promise_less_than_as_many_others():
    right, group = np.repeat([True] * 18 + [False] * 2, 5), np.repeat(np.arange(20), 5)
    alone, together = expected_share(right, np.arange(100)), expected_share(right, group)
    assert together[0] < alone[0] and together[1] < alone[1]
    few = expected_share(right[::5], np.arange(20))  # a group says as much as one photo
    assert together[0] == pytest.approx(few[0], abs=0.01)


@pytest.mark.parametrize("right", [[True], [False], [True] * 3, [False] * 3, [True, False]])
@pytest.mark.parametrize("together", [True, False])
def test_the_promise_of_few_photos_is_careful_and_stays_between_0_and_1(right, together):
    group = np.zeros(len(right)) if together else np.arange(len(right))
    mean, low, high = expected_share(np.array(right), group)
    assert 0 <= low <= mean <= high <= 1 and mean < 0.8 and high - low > 0.5


def test_groups_reach_the_promise_through_the_choice_of_a_threshold():
    truth = np.repeat(["fire", "none"], 40)
    chances = np.random.default_rng(1).random(80) * 0.6 + 0.4 * (truth == "fire")
    given = (truth, np.stack([chances, 1 - chances], axis=1), ["fire", "none"], "fire", "recall=0.9")
    alone, grouped = choose_threshold(*given), choose_threshold(*given, np.arange(80) // 8)
    assert alone.threshold == grouped.threshold and alone.sensitivity == grouped.sensitivity
    assert alone.expected.sensitivity.mean == pytest.approx(36 / 41)
    assert grouped.expected.sensitivity.low < alone.expected.sensitivity.low
