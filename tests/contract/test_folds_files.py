"""Folds files: what is refused, and which side of three a comparison tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of, made_table, run, write_folds

from featurize import FeatureTable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("image,fold\n", "has the columns image, fold"),
        (f"sha256,fold\n{digest_of(1)},0\n", "puts 1 images into 1 folds: 0"),
        (f"sha256,fold\n{digest_of(1)},0\n{digest_of(2)},testing\n", "into 2 folds: 0, testing"),
        (f"sha256,fold\n{digest_of(1)},0\n{digest_of(1)},1\n", "twice, again in line 3"),
        ("sha256,fold\nabc,0\n", "is 'abc,0'"),
        (f"sha256,fold\n{digest_of(1)},-1\n", "line 2 of"),
        (f"sha256,fold\n{digest_of(1)}\n", "line 2 of"),
        (
            f"sha256,repeat,fold\n{digest_of(1)},0,0\n{digest_of(1)},1,1\n{digest_of(1)},0,1\n",
            "twice in repeat 0, again in line 4",
        ),
        (f"sha256,repeat,fold\n{digest_of(1)},x,0\n", "line 2 of"),
        (f"sha256,repeat,fold\n{digest_of(1)},0\n", "line 2 of"),
        (
            f"sha256,repeat,fold\n{digest_of(1)},0,0\n{digest_of(2)},0,1\n{digest_of(1)},1,0\n",
            "puts 1 images into 1 folds",
        ),
        (
            f"sha256,repeat,fold\n{digest_of(1)},0,0\n{digest_of(2)},0,1\n{digest_of(1)},1,0\n{digest_of(3)},1,1\n{digest_of(2)},1,1\n",
            "names 2 images in one repeat and 3 in another",
        ),
    ],
)
def test_a_damaged_folds_file_is_refused(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    made_table(12, ("rust", "well")).write("t.parquet")
    (tmp_path / "f.csv").write_text(text)
    done = run("evaluate compare t.parquet --features good --heads softmax --folds f.csv -j 1")
    assert done.status == 1 and message in done.error and done.hint


@pytest.fixture
def table(tmp_path, monkeypatch) -> FeatureTable:
    """14 photos, in t.parquet."""
    monkeypatch.chdir(tmp_path)
    table = made_table(14, ("rust", "well"))
    table.write("t.parquet")
    return table


def compared(name: str = "t.parquet"):
    return run(f"evaluate compare {name} --features good --heads softmax --folds f.csv -j 1 --json r.json")


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
