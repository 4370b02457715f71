"""README: its Python runs, its commands print what it shows (up to the digits), its table is real; docstrings, too."""

import doctest
import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import run_process

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def session() -> list[tuple[str, str]]:
    """The commands that README shows with a prompt, and what it shows them printing."""
    (block,) = [block for block in blocks("console") if block.startswith("$ ")]
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def without_digits(text: str) -> list[str]:
    """The words of each line, sorted: which of two close rows is best and comes first depends on the processor."""
    text = re.sub(r"(every head and repeat on) \S+:", r"\1 #:", text)
    lines = [re.sub(r"[-*\d.,]+", "#", line).split() for line in text.strip().splitlines()]
    words = [" ".join(line).removeprefix("# ") for line in lines if line]
    verdicts = "cannot be told apart", " beats ", " is ahead of "
    return sorted(line for line in words if not any(verdict in line for verdict in verdicts))


def run(command: str, folder: Path) -> str:
    outcome = run_process(command, cwd=folder)
    assert outcome.status == 0, f"{command}\n{outcome.err}"
    return outcome.out


@pytest.mark.tensorflow
def test_the_quickstart_and_the_commands_after_it_print_what_readme_shows(tmp_path, lite0):
    """As a newcomer does, without a download: a trained network tells the pictures apart, and what is easy is said."""
    folder = tmp_path / "a newcomer"
    folder.mkdir()
    command = [sys.executable, str(ROOT / "examples" / "quickstart.py")]
    environment = os.environ | {"KERAS_HOME": str(folder / "no keras"), "FEATURIZE_WEIGHTS_DIR": ""}
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    printed = result.stdout
    assert "Crops of few pictures are easy" in printed and "untrained" not in printed
    assert "loading efficientnet_lite0" in result.stderr
    accuracy = float(re.search(r"^accuracy ([\d.]+) %", printed, flags=re.MULTILINE)[1])
    assert accuracy > 70, "eleven pictures, where guessing is right one time in eleven"
    page = (folder / "quickstart" / "comparison.html").read_text(encoding="utf-8")
    assert "efficientnet_lite0" in page and "untrained" not in page
    assert (folder / "quickstart" / "crops.model").stat().st_size > 1000
    (folder / "store").symlink_to("quickstart/store")  # which holds what the network would compute once more
    for command, shown in session():
        assert without_digits(run(command, folder)) == without_digits(shown), command
    assert json.loads((folder / "comparison.json").read_text())["results"]


@pytest.mark.tensorflow
def test_the_story_in_python_runs(assets, tmp_path, monkeypatch, capsys):
    for label in ("roses", "tulips"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for photo in sorted((assets / "data" / "flowers" / label).iterdir())[:12]:
            shutil.copy(photo, tmp_path / "photos" / label)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(assets / "weights"))
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "24 rows; features inception_v3 (2048), texture (1457)" in printed
    assert "the stronger opponent" not in printed
    assert (tmp_path / "comparison.html").exists()


@pytest.mark.tensorflow
def test_the_first_table_is_what_the_flowers_give(assets, inception_weights, networks_store, tmp_path):
    """The figures at the top of README, from the 750 real photos through the real commands."""
    flowers = assets / "data" / "flowers"
    extract = f"featurize extract {flowers} -o flowers.parquet --features inception_v3:mixed8 texture"
    run(f"{extract} --store '{networks_store}' --weights {inception_weights}", tmp_path)
    heads = "--heads softmax svm --cv 5 --json flowers.json --report flowers.html"
    printed = run(f"evaluate compare flowers.parquet {heads}", tmp_path)
    assert without_digits(printed) == without_digits(blocks("text")[0])
    assert "the stronger opponent" not in printed
    results = json.loads((tmp_path / "flowers.json").read_text())["results"]
    accuracy = {(row["features"], row["head"]): row["accuracy"]["mean"] for row in results}
    assert max(accuracy["inception_v3:mixed8", head] for head in ("softmax", "svm")) >= 0.88
    assert 0.7 < max(accuracy["texture", head] for head in ("softmax", "svm")) < 0.8


def test_the_two_commands_for_a_fresh_machine_are_one_line_each():
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(lines) == 2
    assert "examples/quickstart.py" in lines[0]
    assert lines[1].endswith(".venv/bin/pytest -n auto --dist worksteal")


def modules() -> list[str]:
    packages = map(importlib.import_module, ("featurize", "classify", "evaluate"))
    found = (one for each in packages for one in pkgutil.walk_packages(each.__path__, f"{each.__name__}."))
    return [one.name for one in found if not one.name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_examples_in_docstrings(name):
    module, flags = importlib.import_module(name), doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, extraglobs={"np": np}, optionflags=flags).failed == 0
