"""``evaluate split`` and folds files: sides in a table or a file, numbered folds, and what is refused."""

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from builders import digest_of, leaf_table, made_table, run, write_folds

from evaluate import split_table
from featurize import FeatureTable


@pytest.fixture
def leaves(tmp_path, monkeypatch) -> FeatureTable:
    """60 photos of 20 leaves, in t.parquet."""
    monkeypatch.chdir(tmp_path)
    table = leaf_table(20, 3)
    table.write("t.parquet")
    return table


def lines(path):
    with open(path, newline="") as stream:
        return list(csv.reader(stream))


def best_row(out):
    """The starred row of a comparison, without what depends on the clock."""
    return next(line for line in out.splitlines() if line.startswith("*  x")).split()[:7]


def retrain_side(name, testing, validation):
    """The side of a photo as TensorFlow's retrain.py computes it, from the bytes that a table escapes."""
    as_stored = re.sub(r"_nohash_.*$", "", name).encode().decode("unicode_escape").encode("latin-1")
    place = int(hashlib.sha1(as_stored).hexdigest(), 16) % (2**27) * (100.0 / (2**27 - 1))
    return "validation" if place < validation else "testing" if place < validation + testing else "training"


def test_stratified_takes_the_same_share_of_every_label_and_test_uses_the_testing_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_table(60).write("t.parquet")
    done = run("evaluate split t.parquet --testing-percentage 20 --validation-percentage 0 -o d.parquet")
    assert done.status == 0 and "wrote d.parquet" in done.err
    counted = [" ".join(line.split()) for line in done.out.splitlines()[-4:]]
    assert counted == ["ant 16 0 4", "bee 16 0 4", "cat 16 0 4", "all 48 0 12"]
    table = FeatureTable.read("d.parquet")
    counts = Counter(zip(table.label.tolist(), table.split.tolist(), strict=True))
    sides = (("training", 16), ("testing", 4))
    assert counts == {(name, side): n for name in ("ant", "bee", "cat") for side, n in sides}
    again, other = (split_table(made_table(60), "stratified", 20, 0, seed=seed) for seed in (0, 1))
    assert again.split.tolist() == table.split.tolist() != other.split.tolist()
    assert run("classify train d.parquet --features good --head softmax -o m.model -j 1").status == 0
    tested = run("evaluate test m.model d.parquet").out
    assert "on 12 photos" in tested and "training set" not in tested


def test_hash_is_the_rule_of_retrain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"ant/{n}{f'_nohash_{n % 7}' if n % 3 == 0 else ''}.jpg" for n in range(1980)]
    names += [rf"ant/{n}\\b caf\xE9.jpg" for n in range(20)]
    FeatureTable.from_arrays({"x": np.zeros((2000, 1))}, label=["ant"] * 2000, image=names).write("t.npz")
    options = "--method hash --testing-percentage 10 --validation-percentage 15"
    for name, typed in (("image", "ant/"), ("file", ""), ("path --folder ./flowers", "./flowers/ant/")):
        assert run(f"evaluate split t.npz {options} --name {name} -o d.npz").status == 0
        found = FeatureTable.read("d.npz").split.tolist()
        assert found == [retrain_side(typed + one.removeprefix("ant/"), 10, 15) for one in names]
        counts = Counter(found)
        assert abs(counts["testing"] - 200) < 60 and abs(counts["validation"] - 300) < 60


def test_groups_stay_together_by_every_method_but_hash_which_warns(leaves):
    def parted(path):
        table = FeatureTable.read(path)
        return sum(len(set(table.split[table.group == leaf])) > 1 for leaf in set(table.group))

    for method in ("stratified", "group"):
        done = run(f"evaluate split t.parquet --method {method} -o d.parquet")
        assert done.status == 0 and "warning" not in done.err and parted("d.parquet") == 0
    percentages = "--testing-percentage 40 --validation-percentage 30"
    hashed = f"evaluate split t.parquet --method hash {percentages} -o h.npz"
    assert "belong together with one on another side" in run(hashed).err and parted("h.npz") > 0
    assert "belong together" not in run(f"{hashed} --keep-together").err and parted("h.npz") == 0


def test_numbered_folds_are_written_and_compare_uses_them(leaves):
    done = run("evaluate split t.parquet --cv 5 -o f.csv")
    assert done.out.splitlines()[0].split() == ["label", *"fold 0 fold 1 fold 2 fold 3 fold 4".split()]
    assert sum(map(int, done.out.splitlines()[-1].split()[1:])) == 60 and "wrote f.csv" in done.err
    header, *rows = lines("f.csv")
    assert header == ["sha256", "fold"] and len(rows) == 60
    fold = dict(rows)
    assert all(len({fold[one] for one in leaves.sha256[3 * n : 3 * n + 3]}) == 1 for n in range(20))
    from_file = run("evaluate compare t.parquet --heads softmax --folds f.csv -j 1")
    # The same folds as compare makes by itself, so the same figures.
    assert best_row(from_file.out) == best_row(run("evaluate compare t.parquet --heads softmax -j 1").out)
    assert run("evaluate split t.parquet --method leave-one-group-out -o f.csv").status == 0
    assert len(set(dict(lines("f.csv")[1:]).values())) == 20


def test_repeats_are_written_and_compare_uses_them(leaves):
    done = run("evaluate split t.parquet --cv 2 --repeats 3 -o f.csv --seed 7")
    assert "the first of 3 repeats" in done.err
    header, *rows = lines("f.csv")
    assert header == ["sha256", "repeat", "fold"] and len(rows) == 180
    compare = "evaluate compare t.parquet --heads sklearn.naive_bayes.GaussianNB -j 1"
    one, other = (run(f"{compare} {folds}").out for folds in ("--folds f.csv", "--cv 2 --repeats 3 --seed 7"))
    assert best_row(one) == best_row(other) and "2 folds, 3 times" in one and "2 folds, 3 times" in other


def test_sides_travel_in_a_folds_file(leaves):
    for name in ("sides.csv", "a.parquet"):
        assert run(f"evaluate split t.parquet -o {name}").status == 0
    leaves.with_column("image", [f"new/{n}" for n in range(60)]).write("r.parquet")
    assert run("evaluate split r.parquet --folds sides.csv -o b.parquet").status == 0
    sides = FeatureTable.read("a.parquet").split.tolist()
    assert sides == FeatureTable.read("b.parquet").split.tolist()
    assert dict(lines("sides.csv")[1:]) == dict(zip(leaves.sha256, sides, strict=True))
    assert run("evaluate split a.parquet --method predefined -o again.csv").status == 0
    assert lines("again.csv") == lines("sides.csv")


def test_a_split_that_is_replaced_is_counted_and_a_table_without_labels_is_split_by_hash_only(leaves):
    first = run("evaluate split t.parquet --testing-percentage 20 -o t.parquet")
    assert "replaces" not in first.err and "t.parquet is the table that was read" in first.err
    again = run("evaluate split t.parquet --testing-percentage 20 -o other.npz --seed 1")
    assert "warning: this replaces the split of 60 rows" in again.err and "that was read" not in again.err
    leaves.with_column("label", [None] * 60).write("bare.npz")
    done = run("evaluate split bare.npz -o d.npz")
    assert "no row of the table has a label" in done.error and "`--method hash`" in done.hint
    done = run("evaluate split bare.npz -o d.npz --method hash")
    assert done.status == 0 and "no label" in done.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("--cv 5 -o d.parquet", 2, "--cv 5 makes folds, and d.parquet is no folds file"),
        ("--method leave-one-group-out -o d.parquet", 2, "--method leave-one-group-out makes folds"),
        ("--method hash --cv 5 -o f.csv", 2, "--cv and --method hash were given together"),
        ("--cv 5 --testing-percentage 10 -o f.csv", 2, "percentages and folds"),
        ("--keep-together -o d.parquet", 2, "--keep-together and --method stratified were given together"),
        ("--method predefined -o d.csv", 1, "none of the 60 rows of the table has a split"),
        ("--cv 21 -o f.csv", 1, "21 folds cannot be made: rust has 30 images in 10 groups"),
        ("--cv 1 -o f.csv", 1, "1 folds were asked for"),
        ("--cv 4 --repeats 0 -o f.csv", 1, "0 repeats were asked for"),
        ("--folds no.csv -o d.parquet", 1, "the folds file no.csv cannot be read"),
        ("--method hash --name path -o d.parquet", 1, "'path' was asked for, without a folder"),
        ("--folds t.parquet -o t.parquet", 1, "would be overwritten"),
        ("--testing-percentage 90 -o d.npz", 1, "90 % testing and 10 % validation"),
        ("--group-duplicates --method hash -o d.npz", 2, "a division that does not ask for groups"),
        ("--group-duplicates -o d.npz", 1, "no features of the table tell photos apart"),
    ],
)
def test_what_cannot_be_split_is_one_error_and_one_hint(leaves, words, status, message):
    done = run(f"evaluate split t.parquet {words}")
    assert done.status == status and message in done.error and done.hint


@pytest.fixture
def table(tmp_path, monkeypatch) -> FeatureTable:
    """14 photos, in t.parquet."""
    monkeypatch.chdir(tmp_path)
    table = made_table(14, ("rust", "well"))
    table.write("t.parquet")
    return table


def compared(name: str = "t.parquet"):
    return run(f"evaluate compare {name} --features good --heads softmax --folds f.csv -j 1 --json r.json")


DAMAGED = """
: has the columns none
image,fold: has the columns image, fold
sha256,fold 1,0: puts 1 images into 1 folds: 0
sha256,fold 1,0 2,testing: into 2 folds: 0, testing
sha256,fold 1,0 1,1: twice, in line 2 and again in line 3
sha256,fold abc,0: is 'abc,0'
sha256,fold 1,-1: line 2 of
sha256,fold 1: line 2 of
sha256,repeat,fold 1,0,0 1,1,1 1,0,1: repeat 0 twice, in line 2 and again in line 4
sha256,repeat,fold 1,0,0 2,0,1 1,00,1: repeat 0 twice, in line 2 and again in line 4
sha256,repeat,fold 1,x,0: line 2 of
sha256,repeat,fold 1,0: line 2 of
sha256,repeat,fold 1,0,0 2,0,1 1,1,0: puts 1 images into 1 folds
sha256,repeat,fold 1,0,0 2,0,1 1,1,0 3,1,1 2,1,1: names 2 images in one repeat and 3 in another
"""


@pytest.mark.parametrize("case", DAMAGED.strip().splitlines())
def test_a_damaged_folds_file_is_refused(table, case):
    """Words are lines here, and a number at the beginning of one stands for the digest of that photo."""
    lines, message = case.split(": ", 1)
    digests = re.sub(r" (\d+)", lambda number: "\n" + digest_of(int(number[1])), lines)
    Path("f.csv").write_text(digests.replace(" ", "\n") + "\n" * bool(lines))
    done = compared()
    assert done.status == 1 and message in done.error and done.hint


def test_heads_are_compared_on_validation_and_testing_is_left_for_the_one_that_is_chosen(table):
    write_folds("f.csv", ["training"] * 8 + ["validation"] * 4 + ["testing"] * 2)
    done = compared()
    assert "which test 4 photos" in done.out
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
