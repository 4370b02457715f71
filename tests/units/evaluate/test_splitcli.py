"""``evaluate split``: tables and folds files, written and read, and options that would have no effect."""

import csv

import numpy as np
import pytest

from evaluate.cli import main
from featurize.table import FeatureTable


@pytest.fixture
def leaves(tmp_path, monkeypatch) -> FeatureTable:
    """60 photos of 20 leaves, in t.parquet."""
    monkeypatch.chdir(tmp_path)
    table = FeatureTable.from_arrays(
        {"x": np.random.default_rng(0).normal(size=(60, 2))},
        label=np.repeat(["rust", "well"], 30),
        group=[f"leaf {n // 3}" for n in range(60)],
        image=[f"{n}.jpg" for n in range(60)],
        sha256=[f"{n:064x}" for n in range(60)],
    )
    table.write("t.parquet")
    return table


def lines(path):
    with open(path, newline="") as stream:
        return list(csv.reader(stream))


def test_numbered_folds_are_written_and_compare_uses_them(leaves, capsys):
    assert main("split t.parquet --cv 5 -o f.csv".split()) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["label", *"fold 0 fold 1 fold 2 fold 3 fold 4".split()]
    assert sum(map(int, out.splitlines()[-1].split()[1:])) == 60 and "wrote f.csv" in err
    header, *rows = lines("f.csv")
    assert header == ["sha256", "fold"] and len(rows) == 60
    fold = dict(rows)
    assert all(len({fold[f"{3 * leaf + k:064x}"] for k in range(3)}) == 1 for leaf in range(20))
    assert main("compare t.parquet --heads softmax --folds f.csv -j 1".split()) == 0
    ours = capsys.readouterr().out
    assert main("compare t.parquet --heads softmax -j 1".split()) == 0

    # The same folds as compare makes by itself, so the same figures.
    def row(out):
        return next(line for line in out.splitlines() if line.startswith("*  x")).split()[:7]

    assert row(ours) == row(capsys.readouterr().out)


def test_repeats_are_written_and_compare_uses_them(leaves, capsys):
    assert main("split t.parquet --cv 4 --repeats 3 -o f.csv --seed 7".split()) == 0
    assert "the first of 3 repeats" in capsys.readouterr().err
    header, *rows = lines("f.csv")
    assert header == ["sha256", "repeat", "fold"] and len(rows) == 180
    figures = []
    for folds in ("--folds f.csv", "--cv 4 --repeats 3 --seed 7"):
        assert main(f"compare t.parquet --heads knn {folds} -j 1".split()) == 0
        out = capsys.readouterr().out
        assert "4 folds, 3 times" in out
        figures.append(next(line for line in out.splitlines() if line.startswith("*  x")).split()[:7])
    assert figures[0] == figures[1]
    assert main("split t.parquet --repeats 3 -o f.parquet".split()) == 2
    assert "--repeats without --cv was given" in capsys.readouterr().err
    assert main("split t.parquet --cv 4 --repeats 0 -o f.csv".split()) == 1


def test_sides_travel_in_a_folds_file(leaves, capsys):
    assert main("split t.parquet --testing-percentage 20 -o sides.csv".split()) == 0
    assert main("split t.parquet --testing-percentage 20 -o a.parquet".split()) == 0
    FeatureTable.read("t.parquet").with_column("image", [f"new/{n}" for n in range(60)]).write("r.parquet")
    assert main("split r.parquet --folds sides.csv -o b.parquet".split()) == 0
    assert FeatureTable.read("a.parquet").split.tolist() == FeatureTable.read("b.parquet").split.tolist()
    assert main("split a.parquet --method predefined -o again.csv".split()) == 0
    assert lines("again.csv") == lines("sides.csv")


def test_leave_one_group_out_is_a_fold_per_leaf(leaves):
    assert main("split t.parquet --method leave-one-group-out -o f.csv".split()) == 0
    assert len({fold for _, fold in lines("f.csv")[1:]}) == 20


def test_keep_together_ends_the_warning(leaves, capsys):
    hashed = "split t.parquet --method hash --testing-percentage 40 --validation-percentage 30 -o d.parquet"
    assert main(hashed.split()) == 0
    assert "belong together with one on another side" in capsys.readouterr().err
    assert main([*hashed.split(), "--keep-together"]) == 0
    assert "belong together" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--cv 5 -o d.parquet", "--cv 5 makes folds, and d.parquet is no folds file"),
        ("--method leave-one-group-out -o d.parquet", "--method leave-one-group-out makes folds"),
        ("--method hash --cv 5 -o f.csv", "--cv and --method hash were given together"),
        ("--cv 5 --testing-percentage 10 -o f.csv", "percentages and folds"),
        ("--keep-together -o d.parquet", "--keep-together and --method stratified were given together"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(leaves, capsys, words, message):
    assert main(["split", "t.parquet", *words.split()]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert message in first and second.startswith("hint: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--method predefined -o d.csv", "none of the 60 rows of the table has a split"),
        ("--cv 21 -o f.csv", "21 folds cannot be made: rust has 30 images in 10 groups"),
        ("--cv 1 -o f.csv", "1 folds were asked for"),
        ("--folds no.csv -o d.parquet", "the folds file no.csv cannot be read"),
        ("--method hash --name path -o d.parquet", "'path' was asked for, without a folder"),
        ("--folds t.parquet -o t.parquet", "would be overwritten"),
    ],
)
def test_bad_input_is_one_error_and_one_hint(leaves, capsys, words, message):
    assert main(["split", "t.parquet", *words.split()]) == 1
    found = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("split uses")]
    assert message in found[0] and found[1].startswith("hint: ") and len(found) == 2
