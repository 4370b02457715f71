"""Every option of ``evaluate compare`` that measures something: terminal, JSON and report say the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders import made_table, run, words_of_page


def measured(command: str) -> tuple[dict, str, str]:
    """The JSON, the terminal's text and the page's text of a command."""
    done = run(f"evaluate {command} --json r.json --report r.html")
    assert done.status == 0, done.err
    assert "wrote r.html" in done.err and "wrote r.json" in done.err and "wrote" not in done.out
    content = json.loads(Path("r.json").read_text(encoding="utf-8"))
    text = words_of_page(Path("r.html").read_text(encoding="utf-8"))
    assert content["run"]["command"] == f"evaluate {command} --json r.json --report r.html"
    assert content["run"]["command"] in text and content["run"]["date"] in text
    assert content["data"]["digest"] in text and content["methods_paragraph"]["text"] in text
    for warning in content["warnings"]:
        assert warning in text and f"warning: {warning}" in done.out
    return content, done.out, text


def with_repeats(content, out, text):
    assert (content["folds"]["cv"], content["folds"]["repeats"]) == (3, 2)
    assert len(content["results"][0]["accuracy_per_fold"]) == 6
    assert "3 folds, 2 times, the same for all" in out
    # A photo counts once, however often it was tested: nothing speaks of more photos than there are.
    best, row = content["best"], content["results"][0]
    matrix = np.array(best["confusion"]["matrix"])
    assert matrix.sum() == pytest.approx(48) and (matrix * 2 == np.round(matrix * 2)).all()
    assert matrix.trace() / 48 == pytest.approx(row["accuracy"]["mean"])
    assert {name: one["support"] for name, one in best["per_label"].items()} == content["data"]["labels"]
    assert {name: one["support"] for name, one in row["per_label"].items()} == content["data"]["labels"]
    assert sum(one["images"] for one in row["reliability"]) == pytest.approx(48)
    assert "2 repeats are averaged" in text


def with_dummy(content, out, text):
    rows = {(row["features"], row["head"]): row for row in content["results"]}
    assert rows["good", "dummy"]["accuracy"]["mean"] == pytest.approx(32 / 48)
    assert content["results"][0]["head"] != "dummy"
    others = {pair["other"]["head"] for pair in content["comparisons"] if pair["compares"] == "features"}
    assert others == {"softmax"}


def with_positive(content, out, text):
    assert content["data"]["labels"] == {"insect": 32, "pet": 16} and "48 photos, 2 labels" in out
    row = content["results"][0]
    found = row["positive"]
    assert found["label"] == "pet" and found["sensitivity"] == row["per_label"]["pet"]["recall"]
    assert found["specificity"] == row["per_label"]["insect"]["recall"]
    (_, b), (c, d) = content["best"]["confusion"]["matrix"]
    assert (found["sensitivity"], found["precision"]) == pytest.approx((d / (c + d), d / (b + d)))
    assert f"sensitivity {100 * found['sensitivity']:.1f} %" in out
    assert f"Sensitivity {100 * found['sensitivity']:.1f} %" in text


def with_curve(content, out, text):
    assert content["learning_curve"]["points"][-1]["accuracy"] == content["results"][0]["accuracy"]
    assert "with ever more images per label" in out and "Learning curve" in text


def with_a_rope(content, out, text):
    assert all(pair["rope"] == 30 and pair["probability"]["same"] > 0.5 for pair in content["comparisons"])


def tuned(content, out, text):
    (row,) = content["results"]
    assert row["head"] == "softmax tuned" and len(row["tuned"]) == 3
    assert all(spec.startswith("softmax:C=") for spec in row["tuned"])
    assert "softmax tuned on good chose in 3 folds: softmax:C=" in out and "searched anew" in text


def predefined(content, out, text):
    assert content["folds"]["tested"] == 12 and "1 fold, the same for all, which test 12 photos" in out
    assert content["data"]["images"] == 48


COMPARED = "compare t.parquet --features good --heads softmax --cv 3 -j 1"


@pytest.mark.parametrize(
    ("command", "check"),
    [
        (f"{COMPARED} --repeats 2 --seed 3", with_repeats),
        ("compare t.parquet --heads softmax dummy --cv 3 -j 1 --relabel two.csv", with_dummy),
        (f"{COMPARED} --relabel two.csv --positive pet", with_positive),
        (f"{COMPARED} --curve", with_curve),
        ("compare t.parquet --features good --heads softmax svm --cv 3 -j 1 --rope 30", with_a_rope),
        (f"{COMPARED} --tune", tuned),
        ("compare t.parquet --features good --heads softmax --folds predefined -j 1", predefined),
    ],
)
def test_compare_tells_what_its_options_ask_for(tmp_path, monkeypatch, command, check):
    monkeypatch.chdir(tmp_path)
    Path("two.csv").write_text("label,new_label\nant,insect\nbee,insect\ncat,pet\n")
    split = (["training"] * 36 + ["validation"] * 12) if check is predefined else [None] * 48
    made_table(48, separation=1.2, split=split).write("t.parquet")
    check(*measured(command))


AGAIN = [
    "compare t.parquet --features good --heads softmax naive-bayes --cv 2 --per-group mean",
    "test m.model t.parquet",
    "curve t.parquet --features good --cv 3 --sizes 4 7 10",
    "duplicates t.parquet --features good --threshold 0.9",
]


@pytest.mark.parametrize("command", AGAIN)
def test_the_same_command_gives_the_same_files_but_for_what_is_of_the_run(command, tmp_path, monkeypatch):
    """Letter by letter."""
    monkeypatch.chdir(tmp_path)
    made_table(48, separation=1.0, group=[f"g{row // 3 % 16} {row % 3}" for row in range(48)]).write(
        "t.parquet"
    )
    assert run("classify train t.parquet -o m.model --features good").status == 0
    contents, pages = [], []
    for seed in ("1", "2"):
        words = f"evaluate {command} -j 1 --json {seed}.json --report {seed}.html".split()
        assert run(*words).status == 0
        contents.append(json.loads(Path(f"{seed}.json").read_text(encoding="utf-8")))
        pages.append(Path(f"{seed}.html").read_text(encoding="utf-8").partition('<section id="run">'))
    ours, theirs = (content.pop("run") for content in contents)
    assert ours.keys() == theirs.keys() >= {"date", "command"} and ours["command"] != theirs["command"]
    assert json.dumps(contents[0]) == json.dumps(contents[1])
    assert pages[0][:2] == pages[1][:2] and pages[0][1]
    for page in (pages[0][0], json.dumps(contents[0])):
        assert ours["date"] not in page and ours["command"] not in page


def test_the_environment_gives_the_date_of_a_result_and_a_wrong_one_is_refused_before_work(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    made_table(48).write("t.parquet")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert run("evaluate duplicates t.parquet --features good --json r.json").status == 0
    assert json.loads(Path("r.json").read_text())["run"]["date"] == "1970-01-02T00:00:00+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    for words in ("evaluate compare t.parquet --report r.html", "classify train t.parquet -o m.model"):
        outcome = run(words)
        assert outcome.status == 1 and "SOURCE_DATE_EPOCH is 'soon'" in outcome.error and not outcome.out
    assert not Path("m.model").exists() and not Path("r.html").exists()
