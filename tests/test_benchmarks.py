"""The runner of the benchmarks: its table, its JSON, and that what breaks is told. Never how quick anything is."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("figures")


def run(*arguments, cwd):
    command = [sys.executable, str(FOLDER / "run.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_a_figure_knows_whether_it_met_its_target(figures):
    assert figures.figure("a", 1.0, "s", at_most=1)["met"] is True
    assert figures.figure("a", 1.1, "s", at_most=1)["met"] is False
    missed = {"what": "a", "value": 1.1, "unit": "times", "target": ">= 1.2", "met": False}
    assert figures.figure("a", 1.1, "times", at_least=1.2) == missed
    assert figures.figure("a", 1.1, "s")["met"] is None


def test_the_table_lines_up_and_shouts_only_what_is_missed(figures):
    rows = [
        figures.figure("short", 0.5, "s", at_most=1),
        figures.figure("a longer name", 12345.6, "MB", at_most=10_000),
        figures.figure("no target", 2, ""),
    ]
    assert figures.as_text(rows).splitlines() == [
        "short              0.5 s  <= 1      met",
        "a longer name  12,346 MB  <= 10000  MISSED",
        "no target              2",
    ]


def test_sides_alternate_and_the_ratio_is_the_median_of_rounds(figures):
    calls = []
    found = figures.alternating({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
    assert calls == ["a", "b"] * 3 and [len(times) for times in found.values()] == [2, 2]
    assert figures.ratio([2.0, 30.0, 8.0], [1.0, 10.0, 2.0]) == 3.0


def test_a_benchmark_that_breaks_is_told_and_the_others_go_on_and_the_json_names_the_machine(tmp_path):
    # There are no weights in this folder, so what needs them cannot be prepared.
    assets = tmp_path / "assets"
    (assets / "data" / "flowers").mkdir(parents=True)
    (assets / "weights").mkdir()
    words = ["--quick", "--only", "glcm", "store_growth", "--assets", assets, "--json", "f.json"]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["machine"]["cores"] >= 1 and "numpy" in found["machine"]["versions"]
    broken, whole = found["benchmarks"]
    assert (broken["name"], whole["name"]) == ("glcm", "store_growth") and whole["seconds"] > 0
    assert "weights" in broken["error"] and broken["error"] in done.stdout
    assert {row["what"] for row in whole["rows"]} >= {"  peak memory beyond the table"}
    assert all(row.keys() == {"what", "value", "unit", "target", "met"} for row in whole["rows"])
    assert "peak memory beyond the table" in done.stdout


def test_without_photos_what_needs_them_is_left_out_and_said_to_be(tmp_path, monkeypatch):
    monkeypatch.delenv("TEST_ASSETS", raising=False)
    done = run("--quick", "--only", "glcm", cwd=tmp_path)
    assert done.returncode == 0 and "glcm: left out, it needs --assets" in done.stderr
