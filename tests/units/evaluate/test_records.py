"""Records: attributes for us, and mappings for what was written against dicts."""

from dataclasses import replace

import pandas as pd
import pytest

from evaluate.scores.metrics import PositiveScores


def test_a_result_answers_for_the_keys_of_its_json(comparison):
    row, content = comparison.results[0], comparison.to_dict()
    # What changes from run to run stands apart in the JSON.
    content = content["results"][0] | content["run"]["results"][0]
    assert row == content and dict(row) == {**row} and set(row) == set(content)
    assert row["accuracy"]["mean"] == row.accuracy.mean == row.get("accuracy").get("mean")
    assert "positive" not in row and row.get("positive", "none") == "none"
    for key in ("positive", "name", "keys", "to_dict"):
        with pytest.raises(KeyError):
            row[key]
    positive = PositiveScores("ant", 0.5, None, 1.0, None, None)
    assert replace(row, positive=positive)["positive"]["specificity"] is None
    assert row != replace(row, head="other") and list(row)[:3] == ["features", "head", "classifier"]
    frame = pd.DataFrame(comparison.results)
    assert frame["macro_f1"].tolist() == [one.macro_f1 for one in comparison.results]
