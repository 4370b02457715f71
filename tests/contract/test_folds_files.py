"""Folds files: what is refused, and which side of three a comparison tests."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of, made_table, run, write_folds

from featurize import FeatureTable


@pytest.fixture
def table(tmp_path, monkeypatch) -> FeatureTable:
    """14 photos, in t.parquet."""
    monkeypatch.chdir(tmp_path)
    table = made_table(14, ("rust", "well"))
    table.write("t.parquet")
    return table


def compared(name: str = "t.parquet"):
    return run(f"evaluate compare {name} --features good --heads softmax --folds f.csv -j 1 --json r.json")


FOLD, REPEAT = "sha256,fold", "sha256,repeat,fold"
DAMAGED = [
    ("", "has the columns none"),
    ("image,fold", "has the columns image, fold"),
    (f"{FOLD} 1,0", "puts 1 images into 1 folds: 0"),
    (f"{FOLD} 1,0 2,testing", "into 2 folds: 0, testing"),
    (f"{FOLD} 1,0 1,1", "twice, again in line 3"),
    (f"{FOLD} abc,0", "is 'abc,0'"),
    (f"{FOLD} 1,-1", "line 2 of"),
    (f"{FOLD} 1", "line 2 of"),
    (f"{REPEAT} 1,0,0 1,1,1 1,0,1", "twice in repeat 0, again in line 4"),
    (f"{REPEAT} 1,x,0", "line 2 of"),
    (f"{REPEAT} 1,0", "line 2 of"),
    (f"{REPEAT} 1,0,0 2,0,1 1,1,0", "puts 1 images into 1 folds"),
    (f"{REPEAT} 1,0,0 2,0,1 1,1,0 3,1,1 2,1,1", "names 2 images in one repeat and 3 in another"),
]


@pytest.mark.parametrize(("lines", "message"), DAMAGED)
def test_a_damaged_folds_file_is_refused(table, lines, message):
    """Words are lines here, and a number at the beginning of one stands for the digest of that photo."""
    digests = re.sub(r" (\d+)", lambda number: "\n" + digest_of(int(number[1])), lines)
    Path("f.csv").write_text(digests.replace(" ", "\n") + "\n" * bool(lines))
    done = compared()
    assert done.status == 1 and message in done.error and done.hint


def test_heads_are_compared_on_validation_and_testing_is_left_for_the_one_that_is_chosen(table):
    write_folds("f.csv", ["training"] * 8 + ["validation"] * 4 + ["testing"] * 2)
    done = compared()
    assert "1 fold, the same for all, which test 4 photos" in done.out
    assert "f.csv is left for the head that is chosen: 2 images" in done.err
    first = json.loads(Path("r.json").read_text())["results"][0]["accuracy"]
    # As `compare` has a table with these sides: without the testing rows.
    table.filter(np.arange(12)).write("fewer.parquet")
    assert compared("fewer.parquet").status == 0
    assert json.loads(Path("r.json").read_text())["results"][0]["accuracy"] == first
    table.filter(np.arange(11)).write("fewer.parquet")
    assert "names 14 images, and 1 of them are not among" in compared("fewer.parquet").error


@pytest.mark.parametrize("side", ["validation", "testing"])
def test_of_two_sides_the_other_one_is_tested_and_photos_not_named_are_left_out(table, side):
    write_folds("f.csv", ["training"] * 8 + [side] * 4)
    assert "which test 4 photos" in compared().out
    content = json.loads(Path("r.json").read_text())
    assert content["folds"]["tested"] == 4 and content["folds"]["method"] == "as the folds file f.csv says"
