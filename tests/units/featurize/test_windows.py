"""What can be simulated of Windows: its names, its shell, its console. Nothing of ours was run there."""

import io
import os
import re
import sys
from pathlib import PureWindowsPath

import pytest
from builders import write_photos

from evaluate.cli import main as evaluate_main
from featurize import FeatureTable, extract
from featurize.cli import main as featurize_main
from featurize.commands import command_line
from featurize.files import name_as_text, text_as_name


@pytest.fixture
def named_nt(monkeypatch):
    """Inside, the functions that ask for the system take it for Windows; pathlib must not be used meanwhile."""

    def ask(function, *given):
        with monkeypatch.context() as patch:
            patch.setattr(os, "name", "nt")
            return function(*given)

    return ask


@pytest.mark.parametrize("path", [r"roses\a b.jpg", r"train\Gänseblümchen\1.jpg", "1.jpg"])
def test_names_in_tables_have_the_same_slashes_everywhere(named_nt, path):
    text = named_nt(name_as_text, path)
    assert text == PureWindowsPath(path).as_posix()
    assert PureWindowsPath(named_nt(text_as_name, text)) == PureWindowsPath(path)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["featurize", "scan", r"C:\photos"], r"featurize scan C:\photos"),
        (["featurize", "scan", r"C:\My photos"], r'featurize scan "C:\My photos"'),
        (["evaluate", "compare", 'a "b".parquet'], r'evaluate compare "a \"b\".parquet"'),
    ],
)
def test_commands_to_repeat_are_quoted_as_its_shell_does(named_nt, words, shown):
    assert named_nt(command_line, words) == shown


def test_what_a_store_holds_has_names_that_it_allows(tmp_path):
    write_photos(tmp_path / "photos", ["a.png"])
    specs = ["glcm:haralick,distances=1/2", "lbp:radii=1/2", "color"]
    extract(tmp_path / "photos", specs, store=tmp_path / "store")
    names = [path.relative_to(tmp_path) for path in (tmp_path / "store").rglob("*")]
    assert len(names) > 6
    for name in names:
        for part in name.parts:
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', part), name
            assert not PureWindowsPath(part).is_reserved(), name
        assert len(str(name)) < 150, "260 characters are all that it takes, with the folders above"


def printed(main, arguments, monkeypatch) -> str:
    """What a command prints on a console that knows the letters of Western Europe alone."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="cp1252") for name in ("stdout", "stderr")}
    with monkeypatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        status = main([str(one) for one in arguments])
    for stream in streams.values():
        stream.flush()
    assert status == 0, streams["stderr"].buffer.getvalue()
    return streams["stdout"].buffer.getvalue().decode("cp1252")


def test_a_console_of_code_page_1252_shows_escapes_for_what_it_cannot_show(tmp_path, monkeypatch):
    write_photos(tmp_path / "photos", [f"{label}/{n}.png" for label in ("雛菊", "Gänse") for n in range(6)])
    out = printed(featurize_main, ["scan", tmp_path / "photos"], monkeypatch)
    assert "Gänse" in out and r"\u96db\u83ca" in out and "24 × 24" in out
    table = extract(tmp_path / "photos", ["color"], store=tmp_path / "store")
    table.write(tmp_path / "t.parquet")
    out = printed(evaluate_main, ["duplicates", tmp_path / "t.parquet"], monkeypatch)
    assert "12 photos" in out
    # What is written to files is UTF-8, whatever the console.
    assert set(FeatureTable.read(tmp_path / "t.parquet").label) == {"雛菊", "Gänse"}
    out = printed(
        evaluate_main, ["split", tmp_path / "t.parquet", "-o", tmp_path / "f.csv", "--cv", "2"], monkeypatch
    )
    assert r"\u96db\u83ca" in out
