"""The command `classify` as a whole: what it lists, and how it answers mistakes."""

import pytest
from builders import run

from classify import head_names
from classify.cli import build_parser


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ("train t.parquet -o no/n", 1, "there is no folder"),
        ("train t.parquet -o t.parquet", 1, "is an input and would be overwritten"),
        ("train t.parquet --relabel r.csv -o r.csv", 1, "is an input and would be overwritten"),
        ("train t.parquet -o n --set D=1", 1, "the head softmax:D=1 has no parameter D"),
        ("train t.parquet -o n --relabel none", 1, "the relabelling none cannot be read"),
        (
            "train t.parquet -o n --features noise --head knn:algorithm=kd_tree",
            1,
            "not known to be safe: skl",
        ),
        ("train t.parquet -o n --set C", 2, "--set C is not of the form NAME=VALUE"),
        (
            "train t.parquet -o n --head \"softmax:class_weight={'ant':1,'ant':5}\"",
            1,
            "gives 'ant' twice in class_w",
        ),
        (
            "train t.parquet -o n --set \"class_weight={'ant':1,'bee':2,'ant':1}\"",
            1,
            "gives 'ant' twice in class_w",
        ),
        ("train t.parquet -o n --set C=1 C=2", 2, "--set gives C twice"),
        ("predict t.parquet t.parquet", 1, "cannot be read as a model: it is something else"),
        ("predict none t.parquet", 1, "there is no model"),
        ("predict m nowhere.jpg", 1, "there is no nowhere.jpg"),
        ("predict m t.parquet --format csv -o p.parquet", 2, "--format csv and -o "),
        ("predict m t.parquet --weights tall=f.h5", 1, "names no features of the model"),
        ("predict m t.parquet --weights wide=f.h5 --weights wide=g.h5", 1, "names two files for wide"),
        ("neighbours m nowhere.jpg --table none.parquet", 1, "there is no table"),
        ("import-graph none.pb none.txt -o n", 1, "there is no"),
    ],
)
def test_a_known_error_is_one_error_line_and_one_hint(words, status, error, described, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    described.write("t.parquet")
    assert run("classify train t.parquet -o m --features wide -q").status == 0
    (tmp_path / "r.csv").write_text("label,new_label\nant,a\nbee,b\ncat,c\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    outcome = run(f"classify {words}")
    assert outcome.status == status
    assert error in outcome.error
    assert outcome.hint and outcome.out == ""
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    ["", "train", "train t", "predict m", "predict m p --top -1", "neighbours m p --table t --top 0", "no"],
)
def test_wrong_usage_is_status_2(words):
    outcome = run(f"classify {words}")
    assert outcome.status == 2 and "usage: classify" in outcome.err


@pytest.mark.parametrize("command", ["train", "predict", "neighbours", "show", "import-graph", "heads"])
def test_every_help_ends_with_an_example_that_parses(command):
    examples = run(f"classify {command} --help").out.rsplit("example:\n", 1)[1].strip().splitlines()
    for example in examples:
        assert example.split()[:2] == ["classify", command]
        build_parser().parse_args(example.split()[1:])


def test_heads_are_listed_with_their_classifiers_and_grids():
    lines = run("classify heads").out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == head_names()
    for text in ("sklearn.svm.SVC: C=10.0", "--tune tries n_neighbors 3, 5, 10, 20, 40"):
        assert text in [line.strip() for line in lines]
