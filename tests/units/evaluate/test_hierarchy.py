"""Scores in a tree of labels: by hand, against the super-classes, and thresholds that no photo chooses for itself."""

import numpy as np
import pandas as pd
import pytest

from classify.taxonomy import Taxonomy
from evaluate.report.figures import drawn_nodes, tree_drawing
from evaluate.report.score_sentences import tree_in_words
from evaluate.scores.crossval import Predictions
from evaluate.scores.mistakes import superclass_errors
from evaluate.statistics.hierarchy import NodeErrors, cross_fitted_thresholds, tree_scores

TREE = {"tea rose": "rose", "dog rose": "rose", "rose": "plant", "tulip": "plant", "dog": ""}
LABELS = ["dog", "dog rose", "tea rose", "tulip"]
WORLD = Taxonomy(TREE, LABELS)


def predictions_of(label, probabilities, fold=None, labels=LABELS, row=None) -> Predictions:
    n = len(label)
    row, fold = np.arange(n) if row is None else row, np.zeros(n, int) if fold is None else fold
    key = {"repeat": 0, "fold": fold, "features": "x", "head": "h", "row": row, "group": row}
    rows = pd.DataFrame({**key, "image": [f"{one}.jpg" for one in row], "label": label})
    times = pd.DataFrame({"n_testing": [n]})
    return Predictions(rows, np.asarray(probabilities, dtype=float), list(labels), times)


def sure(predicted, labels=LABELS) -> np.ndarray:
    return np.array([[float(name == label) for label in labels] for name in predicted])


def test_hierarchical_precision_and_recall_by_hand():
    # Names and those above them, of the given and of the true label; in common: 3, 2, 1, 0.
    given, truth = ["tea rose", "dog rose", "tulip", "dog"], ["tea rose", "tea rose", "dog rose", "tulip"]
    found = tree_scores(predictions_of(truth, sure(given)), WORLD, 0, None)
    assert found.hierarchical.precision.mean == pytest.approx(6 / 9)
    assert found.hierarchical.recall.mean == pytest.approx(6 / 11)
    assert found.hierarchical.f1.mean == pytest.approx(12 / 20)
    assert [one.names for one in found.levels] == [2, 3, 4] and found.answers is None
    assert [one.accuracy.mean for one in found.levels] == [0.75, 0.5, 0.25]
    errors = {one.node: (one.photos, one.found, one.errors) for one in found.nodes}
    assert errors["anything"] == (4, 4, 1) and errors["plant"] == (4, 3, 1) and errors["rose"] == (3, 2, 1)
    assert errors["tea rose"] == (2, 1, 0) and errors["dog"] == (0, 0, 0)


def test_answers_by_hand():
    """Thresholds of 0.8: the first gets its label, the second its genus, the third a wrong genus, the last nothing."""
    chances = [[0, 0.1, 0.9, 0], [0, 0.5, 0.45, 0.05], [0.02, 0.5, 0.45, 0.03], [0.5, 0.2, 0.2, 0.1]]
    found = predictions_of(["tea rose", "tea rose", "tulip", "dog"], chances)
    told = tree_scores(found, WORLD, 0, (0.9, [0.8], np.full(4, 0.8))).answers
    assert (told.as_label.mean, told.general.mean, told.none.mean) == (0.25, 0.5, 0.25)
    assert (
        told.right.mean == pytest.approx(2 / 3)
        and told.right_general.mean == 0.5
        and told.right_label.mean == 1
    )
    # In common 3, 2, 1, 0 of the answers' 3, 2, 2, 0 names; the true labels have 3, 3, 2, 1.
    assert told.hierarchical.precision.mean == pytest.approx(6 / 7)
    assert told.hierarchical.recall.mean == pytest.approx(6 / 9)
    words = " ".join(tree_in_words(tree_scores(found, WORLD, 0, (0.9, [0.8], np.full(4, 0.8)))))
    assert (
        "answers of which 90 % shall be right: 66.7 %" in words
        and "50.0 % (15.0 to 85.0) a more general" in words
    )


def test_the_errors_of_two_levels_are_those_of_the_super_classes():
    rng = np.random.default_rng(0)
    kinds = {"ant": "insect", "bee": "insect", "cat": "pet", "dog": "pet", "emu": "bird"}
    labels = sorted(kinds)
    truth, given = (rng.choice(labels, 300) for _ in range(2))
    known = superclass_errors(truth, given, kinds)
    found = tree_scores(
        predictions_of(truth, sure(given, labels), labels=labels), Taxonomy(kinds, labels), 0, None
    )
    by_node = {one.node: one.errors for one in found.nodes}
    assert by_node["anything"] == known.crossing and sum(by_node.values()) == known.errors
    assert (
        by_node["insect"] + by_node["pet"] == known.inside and found.levels[0].accuracy.mean == known.accuracy
    )
    assert found.levels[1].accuracy.mean == np.mean(truth == given)


def rose_predictions(n: int = 500, seed: int = 0) -> Predictions:
    """Probabilities that are true, in five folds."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([0.08] * 4, size=n)
    truth = np.array(LABELS)[(rng.random((n, 1)) > chances.cumsum(axis=1)).sum(axis=1)]
    return predictions_of(truth, chances, np.arange(n) % 5)


def test_no_photo_chooses_the_threshold_that_judges_it():
    found = rose_predictions()
    asked, thresholds, of_row = cross_fitted_thresholds(found, WORLD, 0.9)
    assert asked == 0.9 and len(thresholds) == 5 and set(of_row) == set(thresholds)
    tested = found.rows["fold"] == 0
    found.rows.loc[tested, "label"] = "dog"  # whatever their labels are
    changed = cross_fitted_thresholds(found, WORLD, 0.9)[1]
    assert changed[0] == thresholds[0] and changed[1:] != thresholds[1:]


def test_where_nothing_promises_enough_no_photo_gets_an_answer_and_of_one_fold_nothing_is_told():
    found = rose_predictions(60)
    thresholds = cross_fitted_thresholds(found, WORLD, 0.99)
    told = tree_scores(found, WORLD, 5, thresholds).answers
    assert told.thresholds == [None] * 5 and told.none.mean == 1 and told.right is None
    assert told.hierarchical.precision is None and told.hierarchical.recall.mean == 0
    assert "no probability promises that" in " ".join(tree_in_words(tree_scores(found, WORLD, 5, thresholds)))
    found.rows["fold"] = 0
    assert cross_fitted_thresholds(found, WORLD, 0.9) is None


def test_repeats_of_a_photo_count_once():
    found = rose_predictions(100)
    twice = predictions_of(
        np.tile(found.label, 2), np.tile(found.probabilities, (2, 1)), row=np.tile(np.arange(100), 2)
    )
    one, two = (tree_scores(each, WORLD, 0, None).to_dict() for each in (found, twice))
    assert one["nodes"] == two["nodes"] and one["hierarchical"] == two["hierarchical"]
    assert one["levels"][0]["accuracy"] == two["levels"][0]["accuracy"]


def test_of_a_large_tree_the_highest_names_are_drawn():
    nodes = [NodeErrors("anything", None, 0, 300, 300, 5)]
    for n in range(20):
        nodes.append(NodeErrors(f"top {n}", "anything", 1, 15, 15, 1))
        for m in range(5):
            nodes.append(NodeErrors(f"mid {n} {m}", f"top {n}", 2, 3, 3, 1))
            nodes += [NodeErrors(f"leaf {n} {m} {k}", f"mid {n} {m}", 3, 1, 1, 0) for k in range(3)]
    shown = drawn_nodes(nodes)
    assert [one.node for one in shown] == ["anything", *(f"top {n}" for n in range(20))]
    axes = tree_drawing(nodes).on()
    texts = [one.get_text() for one in axes.texts]
    assert "top 19" in texts and "mid 0 0" not in texts and "5" in texts
    assert drawn_nodes(nodes[:8]) == nodes[:8]
