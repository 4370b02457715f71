"""The public names of ``evaluate``: each is there, and its results answer by key, by attribute and as JSON."""

import json

import numpy as np
import pytest
from builders import leaf_table, made_table

import evaluate
from classify import train_model
from evaluate import check_folds, compare, find_duplicates, learning_curve, split_table
from featurize import BottleheadError

PUBLIC = (
    "Comparison Duplicates LearningCurve PhotoMap Predictions TestResult check_folds check_shortcuts compare "
    "cross_validate find_duplicates group_duplicates learning_curve map_photos split_table test write_report"
)

# What people's scripts read: keys may be added, and none may go without a new `format_version`.
KEYS = {
    "": "format_version kind data versions methods_paragraph run",
    "Comparison": "results comparisons best warnings features folds duplicates shortcuts learning_curve per_group "
    "methods seed",
    "Comparison.results": "features head accuracy balanced_accuracy macro_f1 averages log_loss brier calibration_error "
    "reliability top_k roc_auc average_precision one_vs_rest intervals per_label tuned "
    "model_bytes accuracy_per_fold",
    "Comparison.run": "date command results",
    "TestResult.run": "date command predict_seconds_per_image",
    "Comparison.comparisons": "compares one other difference low high p_value same_in_every_fold probability rope "
    "mcnemar p_holm family verdict words base_rate accuracy_difference",
    "Comparison.best": "confusion confusion_percent per_label misclassified wrong_every_time hardest label_suspects "
    "superclasses",
    "Comparison.folds": "cv repeats tested method digest base_rate",
    "TestResult": "accuracy accuracy_interval balanced_accuracy macro_f1 averages log_loss brier calibration_error "
    "reliability top_k roc_auc average_precision one_vs_rest intervals per_label operating_point expected "
    "seen comparable near grouped unseen confusion confusion_percent misclassified superclasses warnings features "
    "model per_group methods",
    "TestResult.misclassified": "image label predicted confidence nearest",
    "LearningCurve": "model points fit guesses gains advice warnings features folds methods seed",
    "LearningCurve.points": "images_per_label n_training accuracy recall",
    "Duplicates": "features threshold exact images counts pairs described",
    "Duplicates.pairs": "image label other other_label similarity identical conflict",
    "Duplicates.data": "digest source rows images distorted labels groups hashed_images identical_images "
    "conflicting_labels",
}


def missing_keys(name: str, content: dict) -> dict[str, set[str]]:
    """The keys of KEYS that this JSON lacks, by place."""
    missing = {place: set(KEYS[place].split()) - set(content) for place in ("", name)}
    for place, keys in KEYS.items():
        if place.startswith(f"{name}."):
            records = content[place.partition(".")[2]]
            for record in records if isinstance(records, list) else [records]:
                missing[place] = missing.get(place, set()) | set(keys.split()) - set(record)
            assert records, place
    return {place: keys for place, keys in missing.items() if keys}


def test_the_public_names_are_these():
    assert evaluate.__all__ == PUBLIC.split() and set(PUBLIC.split()) <= set(dir(evaluate))


def results(table):
    model = train_model(table.filter(np.arange(60) < 30), "softmax", "good", jobs=1)
    yield evaluate.Comparison, compare(table, ["good", "noise"], ["softmax"], cv=3, jobs=1)
    yield evaluate.TestResult, evaluate.test(model, table.filter(np.arange(60) >= 30))
    yield evaluate.LearningCurve, learning_curve(table, "good", sizes=[3, 6, 9, 12], cv=3, jobs=1)
    yield evaluate.Duplicates, find_duplicates(table, "good", 0.9)


def test_every_result_has_a_text_a_page_and_a_json_that_keeps_its_numbers(tmp_path):
    for kind, result in results(made_table(60, ("ant", "bee"), separation=1.5)):
        assert isinstance(result, kind) and str(result).strip()
        content = result.to_dict()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert missing_keys(kind.__name__, content) == {}
        assert content["format_version"] == (3 if content["kind"] == "comparison" else 2)
        assert content["data"]["images"] in (30, 60)
        evaluate.write_report(result, tmp_path / "r.html")
        assert (tmp_path / "r.html").read_text(encoding="utf-8") == result.to_html()
        assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_splits_and_folds_are_made_and_checked_from_python():
    leaves = leaf_table(20, 3)
    sides = split_table(leaves, "group", 20, 10).split
    counts = {side: len(set(leaves.group[sides == side])) for side in ("training", "validation", "testing")}
    assert counts == {"training": 14, "validation": 2, "testing": 4}
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        check_folds([(np.arange(1, 60), [0])], leaves)
