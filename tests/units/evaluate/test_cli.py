"""The command line: what is written where, and errors as two lines."""

import json
import subprocess
import sys

import numpy as np
import pytest

from classify.model.modelfile import save_model
from classify.training.train import train
from evaluate.cli import build_parser, main
from featurize.table import FeatureTable


@pytest.fixture
def files(photos, tmp_path, monkeypatch):
    """A folder with table.parquet and a model trained on its even rows."""
    monkeypatch.chdir(tmp_path)
    photos.write("table.parquet")
    save_model(train(photos.filter(np.arange(60) % 2 == 0), "softmax", "good", jobs=1), "flowers.model")
    return tmp_path


def test_compare_prints_the_table_and_writes_report_and_json(files, capsys):
    words = "compare table.parquet --features good noise --heads softmax --cv 3 -j 1 --report r.html --json r.json"
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    assert "*  good " in out and "wrote" not in out
    assert "wrote r.html" in err and "wrote r.json" in err
    content = json.loads((files / "r.json").read_text())
    assert [row["features"] for row in content["results"]] == ["good", "noise"]
    assert set(content["results"][0]["accuracy"]) == {"mean", "low", "high"}
    assert content["command"] == "evaluate " + words
    assert "data:image/jpeg" in (files / "r.html").read_text()


def test_compare_takes_a_relabelling(files, capsys):
    (files / "map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,cat\n")
    assert main("compare table.parquet --features good --heads softmax -j 1 --relabel map.csv".split()) == 0
    assert "60 photos, 2 labels" in capsys.readouterr().out


def test_test_writes_the_keys_that_were_promised(files, capsys):
    assert main("test flowers.model table.parquet --json t.json --report t.html --quiet".split()) == 0
    out, err = capsys.readouterr()
    assert err == "" and "on the 30 not seen in training" in out
    content = json.loads((files / "t.json").read_text())
    assert isinstance(content["accuracy"], float)
    assert set(content["confusion"]) == {"labels", "matrix"}
    assert set(content["misclassified"][0]) == {"image", "label", "predicted", "confidence", "nearest"}


def test_misclassified_prints_the_list_of_compare_and_of_test(files, capsys):
    (files / "map.csv").write_text("label,superclass\nant,insect\nbee,insect\ncat,pet\n")
    options = "--misclassified --superclass map.csv --json j.json"
    for words in (
        "compare table.parquet --features noise --heads softmax -j 1",
        "test flowers.model table.parquet",
    ):
        assert main(f"{words} {options}".split()) == 0
        out = capsys.readouterr().out
        content = json.loads((files / "j.json").read_text())
        wrong = content.get("best", content)["misclassified"]
        if "best" not in content:
            assert out.split().count(wrong[0]["image"]) == 1
        listed = out[out.index("misclassified, the surest first") :].splitlines()
        assert [line.split()[0] for line in listed[2 : 2 + len(wrong)]] == [row["image"] for row in wrong]
        assert "from one super-class to another" in out


def test_split_then_test_uses_the_testing_rows(files, capsys):
    assert (
        main(
            "split table.parquet --testing-percentage 20 --validation-percentage 0 -o divided.parquet".split()
        )
        == 0
    )
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].split() == ["all", "48", "0", "12"] and "wrote divided.parquet" in err
    assert main("test flowers.model divided.parquet".split()) == 0
    assert "on 12 photos" in capsys.readouterr().out


def test_hash_split_warns_of_identical_photos_that_cross(files, capsys):
    table = FeatureTable.read("table.parquet").with_column("sha256", ["ab" * 32] * 60)
    table.write("same.parquet")
    assert main("split same.parquet --method hash -o divided.npz".split()) == 0
    assert "warning: 60 images belong together with one on another side" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("compare missing.parquet", "there is no table missing.parquet"),
        ("compare table.parquet --features glcm", "no features named glcm"),
        ("compare table.parquet --heads suport", "no head named 'suport'"),
        ("compare table.parquet --heads svm:D=1", "no parameter D"),
        ("compare table.parquet --cv 1", "1 folds were asked for"),
        ("compare table.parquet --repeats 0", "0 repeats were asked for"),
        ("compare table.parquet --relabel missing.csv", "missing.csv cannot be read"),
        ("compare table.parquet --report no/r.html", "there is no folder no"),
        ("compare table.parquet --json photos", "photos is a folder"),
        ("compare table.parquet --images no --report r.html", "there is no folder no"),
        ("test missing.model table.parquet", "there is no model missing.model"),
        ("split table.parquet --testing-percentage 95 -o d.parquet", "95 % testing and 10 % validation"),
        ("compare table.parquet --positive ant", "of two labels, and here are 3"),
        ("compare table.parquet --rope -1", "equivalence is -1.0 points"),
        ("compare table.parquet --superclass missing.csv", "super-classes missing.csv cannot be read"),
        ("test flowers.model table.parquet --positive emu", "'emu' is none of the 3 labels"),
        ("split table.parquet -o d.txt", "cannot tell the format of d.txt"),
    ],
)
def test_bad_input_is_one_error_and_one_hint(files, capsys, words, message):
    assert main(words.split()) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compare uses")]
    assert lines[0].startswith("error: ") and message in lines[0]
    assert lines[1].startswith("hint: ") and len(lines) == 2


def test_images_without_a_report_are_wrong_usage(files, capsys):
    assert main("compare table.parquet --images photos".split()) == 2
    assert "error: --images was given without --report" in capsys.readouterr().err


def test_one_class_only_is_refused(files, capsys):
    table = FeatureTable.read("table.parquet")
    table.filter(table.label == "ant").write("ants.parquet")
    assert main(["compare", "ants.parquet"]) == 1
    assert "all 20 usable rows have the label ant" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["", "compar t.parquet", "compare t.parquet --tunes", "split t.parquet", "test m"]
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words.split())
    assert stopped.value.code == 2
    assert "usage: evaluate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--help"], ["split", "--help"], ["compare", "--help"], ["test", "--help"]]
)
def test_help_ends_with_an_example(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    assert "\nexample:\n  evaluate " in capsys.readouterr().out


def test_compare_passes_on_what_was_given():
    args = build_parser().parse_args(
        "compare t.npz --features a b+c --heads svm:C=1 mlp --cv 3 --seed 7".split()
    )
    assert (args.features, args.heads, args.cv, args.repeats, args.seed) == (
        ["a", "b+c"],
        ["svm:C=1", "mlp"],
        3,
        1,
        7,
    )


def test_a_foreign_evaluate_is_recognised(files, capsys, monkeypatch):
    import evaluate

    monkeypatch.setattr(evaluate, "__all__", ["load", "evaluator"])
    assert main(["compare", "table.parquet"]) == 1
    assert "is not bottlehead's; Hugging Face's evaluate has the same name" in capsys.readouterr().err


@pytest.mark.parametrize("statement", ["import evaluate", "import evaluate.cli; evaluate.cli.build_parser()"])
def test_importing_costs_nothing_heavy(statement):
    heavy = "{'tensorflow', 'keras', 'sklearn', 'pandas', 'jinja2', 'PIL', 'numpy'}"
    code = f"import sys; {statement}; found = {heavy} & set(sys.modules); sys.exit(', '.join(found) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_comparing_never_imports_tensorflow():
    used = "evaluate.compare, evaluate.test, evaluate.write_report, evaluate.split_table"
    code = f"import sys, evaluate; {used}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
