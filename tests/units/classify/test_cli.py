import json
import subprocess
import sys
import types

import pytest

import classify
from classify.cli import build_parser, main
from featurize.table import FeatureTable


@pytest.fixture
def table(described, tmp_path):
    described.write(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


@pytest.fixture
def trained(table, tmp_path, capsys):
    assert main(["train", str(table), "-o", str(tmp_path / "m"), "--head", "svm", "--features", "wide"]) == 0
    capsys.readouterr()
    return tmp_path / "m"


def test_from_table_to_predictions(table, trained, capsys):
    assert main(["predict", str(trained), str(table), "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "image,label,confidence,outlier"
    assert len(lines) == 61
    assert all(line.split("/")[0] == line.split(",")[1] for line in lines[1:])


def test_messages_stay_off_standard_output(table, tmp_path, capsys):
    main(["train", str(table), "-o", str(tmp_path / "m")])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "train uses all rows" in captured.err
    assert f"wrote {tmp_path / 'm'}: softmax on wide+noise, 3 labels" in captured.err


def test_predictions_into_a_file(table, trained, tmp_path, capsys):
    out = tmp_path / "p.jsonl"
    assert (
        main(["predict", str(trained), str(table), "--format", "jsonl", "--top", "0", "-o", str(out), "-q"])
        == 0
    )
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    first = json.loads(out.read_text(encoding="utf-8").splitlines()[0])
    assert set(first["probabilities"]) == {"ant", "bee", "cat"}


def test_set_is_the_same_as_writing_it_into_the_spec(table, tmp_path, capsys):
    for name, options in {
        "a": ["--head", "svm:C=3,gamma=0.5"],
        "b": ["--head", "svm:C=1", "--set", "C=3", "gamma=0.5"],
    }.items():
        assert main(["train", str(table), "-o", str(tmp_path / name), *options, "--features", "wide"]) == 0
    shown = []
    for name in ("a", "b"):
        main(["predict", str(tmp_path / name), str(table), "--top", "0"])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_relabel(table, tmp_path, capsys):
    (tmp_path / "map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,mammal\n")
    relabel = ["--relabel", str(tmp_path / "map.csv")]
    assert main(["train", str(table), "-o", str(tmp_path / "m"), "--features", "wide", *relabel]) == 0
    main(["show", str(tmp_path / "m")])
    shown = capsys.readouterr().out
    assert "insect  40 training photos" in shown
    assert "ant → insect" in shown


def test_heads_are_listed_with_their_defaults(capsys):
    from classify.heads.registry import HEADS

    assert main(["heads"]) == 0
    out = capsys.readouterr().out
    for name, registered in HEADS.items():
        assert name in out
        assert registered.classifier in out
        assert all(f"{key}={value}" in out for key, value in registered.defaults.items())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("train {table} -o {dir}/m --set C", "error: --set C is not of the form NAME=VALUE"),
        ("train {table} -o {dir}/m --set C=1 C=2", "error: --set gives C twice"),
        ("predict m {table} --format csv -o {dir}/p.parquet", "error: --format csv and -o "),
    ],
)
def test_what_the_command_line_alone_forbids_is_status_2(words, error, table, tmp_path, capsys):
    assert main([word.format(dir=tmp_path, table=table) for word in words.split()]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(error) and second.startswith("hint: ")


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["train", "{dir}/none.parquet", "-o", "{dir}/m"], "error: there is no table"),
        (["train", "{table}", "-o", "{dir}/no/m"], "error: there is no folder"),
        (["train", "{table}", "-o", "{table}"], "error: .* is an input and would be overwritten"),
        (["train", "{table}", "-o", "{dir}/m", "--head", "forest"], "error: there is no head named 'forest'"),
        (
            ["train", "{table}", "-o", "{dir}/m", "--set", "D=1"],
            "error: the head softmax:D=1 has no parameter D",
        ),
        (
            ["train", "{table}", "-o", "{dir}/m", "--features", "tall"],
            "error: the table has no features named tall",
        ),
        (
            ["train", "{table}", "-o", "{dir}/m", "--relabel", "{dir}/none"],
            "error: the relabelling .* cannot be read",
        ),
        (["predict", "{table}", "{table}"], "error: .* cannot be read as a model: it is something else"),
        (["predict", "{dir}/none", "{table}"], "error: there is no model"),
        (["show", "{dir}/none"], "error: there is no model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_known_errors_are_two_lines_and_status_1(argv, error, table, tmp_path, capsys):
    import re

    filled = [text.format(dir=tmp_path, table=table) for text in argv]
    assert main(filled) == 1
    lines = capsys.readouterr().err.splitlines()
    assert re.match(error, lines[-2])
    assert lines[-1].startswith("hint: ")
    assert not (tmp_path / "m").exists()


def test_one_label_is_an_error(tmp_path, capsys):
    FeatureTable.from_arrays({"x": [[0.0], [1.0]]}, label=["a", "a"]).write(tmp_path / "t.npz")
    assert main(["train", str(tmp_path / "t.npz"), "-o", str(tmp_path / "m")]) == 1
    assert "have the label a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        (["--weights", "tall=f.h5"], "names no features of the model"),
        (["--weights", "wide=f.h5", "--weights", "wide=g.h5"], "names two files for wide"),
    ],
)
def test_wrong_weights_are_refused(weights, error, table, trained, capsys):
    assert main(["predict", str(trained), str(table), *weights]) == 1
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [[], ["train"], ["train", "t"], ["predict", "m"], ["predict", "m", "p", "--top", "-1"], ["nosuch"]],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["train", "predict", "neighbours", "show", "heads"])
def test_every_help_ends_with_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    examples = capsys.readouterr().out.rsplit("example:\n", 1)[1].strip().splitlines()
    for example in examples:
        assert example.split()[:2] == ["classify", command]
        build_parser().parse_args(example.split()[1:])


def _fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_everything_but_networks_works_without_tensorflow():
    names = ", ".join(classify.__all__)
    assert (
        _fresh(
            f"import sys; from classify import {names}; print({{'tensorflow', 'keras'}} & set(sys.modules))"
        )
        == "set()\n"
    )


def test_public_names_are_what_they_say_and_no_submodules():
    for name in classify.__all__:
        public = getattr(classify, name)
        assert name.startswith(public.__name__) or (name, public.__name__) == ("Steps", "StepPlan")
        assert not isinstance(public, types.ModuleType)
    assert set(classify.__all__) <= set(dir(classify))
