"""Records: attributes for us, and mappings for what was written against dicts; the face shows its names to editors."""

import ast
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import evaluate
from evaluate.scores.metrics import PositiveScores


def test_a_result_answers_for_the_keys_of_its_json(comparison):
    row, content = comparison.results[0], comparison.to_dict()["results"][0]
    assert row == content and dict(row) == {**row} and list(row) == list(content)
    assert row["accuracy"]["mean"] == row.accuracy.mean == row.get("accuracy").get("mean")
    assert "positive" not in row and row.get("positive", "none") == "none"
    for key in ("positive", "name", "keys", "to_dict"):
        with pytest.raises(KeyError):
            row[key]
    positive = PositiveScores("ant", 0.5, None, 1.0, None, None)
    assert replace(row, positive=positive)["positive"]["specificity"] is None
    assert row != replace(row, head="other") and list(row)[:3] == ["features", "head", "accuracy"]
    scores = [one.macro_f1 for one in comparison.results]
    assert pd.DataFrame(comparison.results)["macro_f1"].tolist() == scores


def test_editors_see_the_names_that_the_package_hands_out():
    tree = ast.parse(Path(evaluate.__file__).read_text(encoding="utf-8"))
    (block,) = [one for one in tree.body if isinstance(one, ast.If)]
    names = [(name, line.module) for line in block.body for name in line.names]
    seen = {(name.name, module) for name, module in names if name.name == name.asname}
    assert seen == set(evaluate._HOMES.items())
