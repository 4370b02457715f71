import numpy as np
import pytest

from classify.heads.registry import make_head
from classify.rows import Sample
from classify.training.thresholds import check_rule, held_out_probabilities, parse_rule, read_costs
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
            (f"label,predicted,cost\nA,B,{cost}\n", f"the line 'A,B,{cost}'")
            for cost in ("-1", "inf", "dear")
        ),
    ],
)
def test_costs_that_are_none_are_refused(tmp_path, text, message):
    (tmp_path / "costs.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_costs(tmp_path / "costs.csv")


def test_held_out_probabilities_come_from_heads_that_had_not_seen_the_group():
    """Labels are noise; only who has seen a twin of the photo knows its label."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 8)), 2, axis=0)
    y, groups = np.repeat(np.array(["a", "b"])[np.arange(60) % 2], 2), np.arange(120) // 2
    sample = Sample(X, y, groups, np.tile([0, 3], 60))
    rows, probabilities = held_out_probabilities(make_head("knn:n_neighbors=1"), sample)
    assert sorted(rows) == list(range(0, 120, 2))
    assert (np.array(["a", "b"])[probabilities.argmax(axis=1)] == y[rows]).mean() < 0.75
