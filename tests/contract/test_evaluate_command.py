"""The command ``evaluate``: what is written where, options that say no, and errors as two lines."""

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from builders import run, unread, words_of_page

from classify import save_model, train_model


@pytest.fixture(scope="module")
def model(confused):
    """A model trained on the even rows."""
    return train_model(confused.filter(np.arange(60) % 2 == 0), "softmax", "good", jobs=1)


@pytest.fixture
def files(confused, model, tmp_path, monkeypatch):
    """A folder with table.parquet, a model trained on its even rows, a relabelling and super-classes."""
    monkeypatch.chdir(tmp_path)
    confused.write("table.parquet")
    save_model(model, "flowers.model")
    (tmp_path / "map.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,cat\n")
    (tmp_path / "kinds.csv").write_text("label,superclass\nant,insect\nbee,insect\ncat,pet\n")
    return tmp_path


def test_quiet_writes_files_and_says_nothing_but_the_result(files):
    done = run("evaluate test flowers.model table.parquet --json t.json --report t.html --quiet")
    assert (done.status, done.err) == (0, "") and "on the 30 not seen in training" in done.out
    assert json.loads((files / "t.json").read_text())["seen"] == 30 and (files / "t.html").exists()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("test flowers.model table.parquet", "Test of a model"),
        ("duplicates table.parquet", "Duplicates"),
    ],
)
def test_a_report_has_the_title_and_the_author_that_are_given_and_the_day(files, words, kind, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    given = ["--report", "t.html", "--title", "<b>Leaves</b> of 2017", "--author", "Ann O'Neil"]
    assert run("evaluate", *words.split(), *given).status == 0
    page = (files / "t.html").read_text()
    assert "<h1>&lt;b&gt;Leaves&lt;/b&gt; of 2017</h1>" in page
    assert f"{kind} · Ann O'Neil · 2017-07-14" in words_of_page(page)
    assert run("evaluate", *words.split(), *given[:2]).status == 0
    page = (files / "t.html").read_text()
    assert f"<h1>{kind}</h1>" in page and "Ann" not in page and "2017-07-14" in words_of_page(page)


COMPARE, TEST = (
    "compare table.parquet --features noise --heads softmax -j 1 --cv 3",
    "test flowers.model table.parquet",
)


@pytest.mark.parametrize("words", [COMPARE, TEST])
def test_misclassified_prints_the_list_of_compare_and_of_test(files, words):
    done = run(f"evaluate {words} --misclassified --superclass kinds.csv --json j.json")
    content = json.loads((files / "j.json").read_text())
    wrong = content.get("best", content)["misclassified"]
    listed = done.out[done.out.index("misclassified, most confident first") :].splitlines()
    # Confidence is a share in the JSON and per cent, by name, in print.
    assert listed[1].split() == ["image", "label", "predicted", "confidence", "%"]
    expected = [(row["image"], f"{100 * row['confidence']:.1f}") for row in wrong]
    assert [(line.split()[0], line.split()[-1]) for line in listed[2 : 2 + len(wrong)]] == expected
    assert all(1 / 3 <= row["confidence"] <= 1 for row in wrong)
    assert len(wrong) > 1 and "from one super-class to another" in done.out
    suspects = content.get("best", {}).get("label_suspects", [])
    assert all(row["image"] in done.out for row in suspects) and "remove" not in done.out


BAD = """
compare missing.parquet: there is no table missing.parquet
compare table.parquet --heads svm:D=1: no parameter D
compare table.parquet --relabel missing.csv: relabelling missing.csv cannot be read: there is no such file
compare table.parquet --report no/r.html: there is no folder no
compare table.parquet --json folder: folder is a folder
compare table.parquet --images no --report r.html: there is no folder no
test missing.model table.parquet: there is no model missing.model
compare table.parquet --positive ant: of two labels, and here are 3
compare table.parquet --rope -1: equivalence is -1.0 points
compare table.parquet --superclass missing.csv: super-classes missing.csv cannot be read: there is no such file
compare table.parquet --superclass map.csv: have the columns label, new_label
compare table.parquet --group-duplicates: tell photos apart
test flowers.model table.parquet --positive emu: 'emu' is none of the 3 labels
split table.parquet -o d.txt: cannot tell the format of d.txt
compare ants.parquet: all 20 usable rows have the label ant
duplicates table.parquet --features good --threshold 1.5: a threshold of 1.5
duplicates table.parquet --group-duplicates g.csv: g.csv cannot be a table
compare table.parquet --json x --report x: x is another output and would be overwritten
compare table.parquet --report r.png: --report r.png is not the name of a page
curve table.parquet --report report: --report report is not the name of a page
duplicates table.parquet --report r.html.csv: --report r.html.csv is not the name of a page
compare table.parquet --json ./table.parquet: table.parquet is an input
compare table.parquet --relabel map.csv --report map.csv: map.csv is an input
test flowers.model table.parquet --report flowers.model: flowers.model is an input
curve table.parquet --json table.parquet: table.parquet is an input
duplicates table.parquet --group-duplicates table.parquet: table.parquet is an input
compare table.parquet --predictions p.txt: cannot tell the format of p.txt
test flowers.model table.parquet --predictions table.parquet: table.parquet is an input
compare table.parquet --predictions map.csv --relabel map.csv: map.csv is an input
duplicates table.parquet --json g.npz --group-duplicates g.npz: g.npz is another output
"""
USELESS = """
compare table.parquet --images photos: --images was given without --report
compare table.parquet --title Leaves: --title was given without --report
curve table.parquet --author Ann: --author was given without --report
compare table.parquet --test table.parquet --cv 3: --test was given with --cv
compare table.parquet --test table.parquet --folds predefined: --test was given with --folds
compare table.parquet --folds predefined --repeats 2: --folds predefined was given with --cv or
split table.parquet --repeats 3 -o f.parquet: --repeats without --cv was given
"""


@pytest.mark.parametrize(
    ("status", "case"),
    [(status, case) for status, cases in ((1, BAD), (2, USELESS)) for case in cases.strip().splitlines()],
)
def test_bad_input_is_one_error_and_one_hint_and_changes_no_file(files, confused, status, case):
    words, message = case.split(": ", 1)
    (files / "folder").mkdir()
    confused.filter(confused.label == "ant").write("ants.parquet")
    before = {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()}
    done = run(f"evaluate {words}")
    assert done.status == status and message in done.error and done.hint and done.out == ""
    assert {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("words", ["", "compar t.npz", "compare t.npz --tunes", "split t.npz", "test m"])
def test_wrong_usage_exits_with_2(words):
    done = run(f"evaluate {words}")
    assert done.status == 2 and "usage: evaluate" in done.err


def test_a_foreign_evaluate_is_recognised(files, monkeypatch):
    import evaluate

    monkeypatch.setattr(evaluate, "__all__", ["load", "evaluator"])
    done = run("evaluate compare table.parquet")
    assert "is not bottlehead's; Hugging Face's evaluate has the same name" in done.error


def test_importing_what_compares_costs_no_tensorflow():
    code = "import sys; from evaluate import compare, test, write_report; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


@pytest.mark.skipif(os.name == "nt", reason="a pipe is given up otherwise there")
def test_a_reader_that_leaves_at_once_costs_no_file(files, capsys):
    from evaluate.cli import main

    words = "test flowers.model table.parquet --json t.json --report t.html".split()
    with unread() as stream, contextlib.redirect_stdout(stream):
        assert main(words) == 0
        print("nothing waits for a reader", file=stream)
    assert "Traceback" not in capsys.readouterr().err
    assert json.loads((files / "t.json").read_text(encoding="utf-8"))["kind"] == "test"
    assert (files / "t.html").read_text(encoding="utf-8").startswith("<!")
