"""README: its Python runs, its commands print what it shows (up to the digits), it is short; docstrings run, too."""

import doctest
import importlib
import logging
import pkgutil
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import builders
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


Step = tuple[str, str, str]  # ``$`` or ``python``, what is run, and what README shows it printing


def session() -> list[Step]:
    """What README runs, from its first line to its last: commands with a prompt, and Python."""
    steps: list[Step] = []
    for language, block in re.findall(r"```(console|python|text)\n(.*?)```", README, flags=re.DOTALL):
        if language == "text":
            kind, code, _ = steps.pop()
            steps.append((kind, code, block))
        elif language == "python":
            steps.append(("python", block, ""))
        elif block.startswith("$ "):
            parts = [part.partition("\n") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
            steps += [("$", command, shown) for command, _, shown in parts]
    return steps


def without_digits(text: str) -> list[str]:
    """Lines without numbers and blanks, sorted: which of two close rows comes first depends on the processor."""
    lines = [re.sub(r"[-*\d.,]+|\b(softmax|svm)\b", "#", line).split() for line in text.strip().splitlines()]
    words = [" ".join(line).removeprefix("# ") for line in lines if line]
    verdicts = "cannot be told apart", " beats ", " is ahead of ", "Hardest to find"
    return sorted(line for line in words if not any(verdict in line for verdict in verdicts))


def check_shown(shown: str, printed: str, what: str) -> None:
    """README shows all lines, or leaves some out where it says ``…``."""
    given, found = without_digits(shown), without_digits(printed)
    if "…" not in given:
        assert found == given, what
        return
    lost = [line for line in given if line != "…" and line not in found]
    assert not lost, f"{what} does not print {lost}\n{printed}"


def run(command: str) -> str:
    outcome = builders.run(command)
    assert outcome.status == 0, f"{command}\n{outcome.err}"
    return outcome.out


@pytest.mark.tensorflow
def test_the_quickstart_and_all_that_follows_print_what_readme_shows(
    tmp_path, lite0, monkeypatch, capsys, caplog
):
    """As a newcomer does, without a download: a trained network tells the pictures apart, and what is easy is said."""
    folder = tmp_path / "a newcomer"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # One process: others would take longer to start than all heads to fit.
    settings = {"KERAS_HOME": "no keras", "FEATURIZE_WEIGHTS_DIR": "", "LOKY_MAX_CPU_COUNT": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["quickstart.py"])
    caplog.set_level(logging.INFO)  # and back at the end; the script sets up logging for itself
    with monkeypatch.context() as alone:
        alone.setattr(logging.root, "handlers", [])
        runpy.run_path(str(ROOT / "examples" / "quickstart.py"), run_name="__main__")
    printed, said = capsys.readouterr()
    assert "Crops of few pictures are easy" in printed and "untrained" not in printed
    assert "loading efficientnet_lite0" in said
    accuracy = float(re.search(r"^accuracy ([\d.]+) %", printed, flags=re.MULTILINE)[1])
    assert accuracy > 70, "eleven pictures, where guessing is right one time in eleven"
    page = (folder / "quickstart" / "comparison.html").read_text(encoding="utf-8")
    assert "efficientnet_lite0" in page and "untrained" not in page
    assert (folder / "quickstart" / "crops.model").stat().st_size > 1000
    for kind, code, shown in session():
        if kind == "$":
            check_shown(shown, run(code), code)
        else:
            exec(compile(code, "README.md", "exec"), {})
            printed = capsys.readouterr().out
            check_shown(shown or printed, printed, code)
    assert (folder / "paper.html").is_file() and (folder / "duplicates.html").is_file()
    monkeypatch.syspath_prepend(ROOT / "examples")
    picture = importlib.import_module("opening_picture")
    picture.draw(folder / "quickstart/crops.parquet", folder / "quickstart/photos", folder / "opening.png")
    with Image.open(folder / "opening.png") as drawn, Image.open(ROOT / "examples" / "opening.png") as kept:
        assert drawn.size == kept.size


def sentences() -> Iterator[str]:
    """The sentences of README, without code, cells one by one."""
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    for line in text.splitlines():
        cells = line.strip("|").split("|") if line.startswith("|") else [line.lstrip("-# ")]
        for cell in cells:
            yield from re.split(r"(?<=[.?!:;])\**\s+", cell)


def test_readme_is_short_and_its_sentences_too():
    assert len(README.splitlines()) <= 220
    assert [sentence for sentence in sentences() if len(sentence.split()) > 25] == []


def test_what_readme_points_at_is_there():
    slugs = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert len(targets) > 12
    for target in targets:
        path, _, anchor = target.partition("#")
        assert anchor in slugs if not path else (ROOT / path).exists(), target


@pytest.mark.parametrize("name", ["featurize", "classify", "evaluate", "bottlehead"])
def test_the_commands_and_options_that_readme_names_are_there(name):
    """Also those that it does not run."""
    for words in re.findall(rf"`({name} [^`]+)`", README):
        command, *rest = words.split()[1:]
        if command.startswith("-"):
            continue
        further = [word for word in rest[:1] if command == "store"]
        outcome = builders.run(name, command, *further, "--help")
        assert outcome.status == 0, words
        for option in [word for word in rest if word.startswith("-")]:
            assert option in outcome.out, words


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
