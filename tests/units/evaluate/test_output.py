"""Where the commands write: files before text, and never onto one another or onto what was read."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from classify.model.modelfile import save_model
from classify.training.train import train
from evaluate.cli import main
from featurize.table import FeatureTable


@pytest.fixture
def files(confused, tmp_path, monkeypatch):
    """A folder with table.parquet and a model trained on its even rows."""
    monkeypatch.chdir(tmp_path)
    confused.write("table.parquet")
    save_model(train(confused.filter(np.arange(60) % 2 == 0), "softmax", "good", jobs=1), "flowers.model")
    return tmp_path


def test_a_reader_that_leaves_at_once_costs_no_file(files):
    words = "test flowers.model table.parquet --json t.json --report t.html".split()
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-u", "-m", "evaluate", *words], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert json.loads((files / "t.json").read_text(encoding="utf-8"))["kind"] == "test"
    assert (files / "t.html").read_text(encoding="utf-8").startswith("<!")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compare table.parquet --json x --report x", "x is another output and would be overwritten"),
        ("compare table.parquet --json ./table.parquet", "table.parquet is an input"),
        ("compare table.parquet --relabel map.csv --report map.csv", "map.csv is an input"),
        ("test flowers.model table.parquet --report flowers.model", "flowers.model is an input"),
        ("curve table.parquet --json table.parquet", "table.parquet is an input"),
        ("duplicates table.parquet --group-duplicates table.parquet", "table.parquet is an input"),
        ("duplicates table.parquet --json g.npz --group-duplicates g.npz", "g.npz is another output"),
        ("compare table.parquet --json /dev/null", "/dev/null is a device or a pipe"),
    ],
)
def test_no_output_is_an_input_or_another_output(files, capsys, words, message):
    (files / "map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,cat\n")
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    assert main(words.split()) == 1
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before


def test_a_split_that_is_replaced_is_counted_and_a_table_may_take_its_own(files, capsys):
    words = "split table.parquet --testing-percentage 20 -o table.parquet".split()
    assert main(words) == 0
    first = capsys.readouterr().err
    assert "replaces" not in first and "table.parquet is the table that was read" in first
    assert main([*words[:-1], "other.npz", "--seed", "1"]) == 0
    again = capsys.readouterr().err
    assert "warning: this replaces the split of 60 rows" in again and "that was read" not in again
    assert sorted(set(FeatureTable.read("other.npz").split)) == ["testing", "training", "validation"]


def test_what_the_default_percentage_is_is_said(files, capsys):
    assert main("split table.parquet --testing-percentage 90 -o d.npz".split()) == 1
    assert "each is 10 unless given" in capsys.readouterr().err


def test_a_table_without_labels_is_split_by_hash_only(files, capsys):
    table = FeatureTable.read("table.parquet")
    table.with_column("label", [None] * 60).write("bare.npz")
    assert main("split bare.npz -o d.npz".split()) == 1
    err = capsys.readouterr().err
    assert "no row of the table has a label" in err and "`--method hash`" in err
    assert main("split bare.npz -o d.npz --method hash".split()) == 0
    assert "no label" in capsys.readouterr().out
