"""--figures DIR: every drawing as PNG, PDF and SVG, the same bytes for the same data, and no foreign file replaced."""

import re
from pathlib import Path

import pytest
from builders import made_table, network_table, run, twin_table
from PIL import Image

from evaluate import compare, find_duplicates, learning_curve
from featurize import BottleheadError, FeatureTable

SUFFIXES = ("pdf", "png", "svg")
SCORES = ["confusion", "map", "precision-recall", "reliability", "roc"]
COMMANDS = {
    "compare": ("compare t.parquet --features good --heads softmax --cv 2", ["accuracy", *SCORES]),
    "test": ("test m.model t.parquet", ["accuracy", *SCORES]),
    "curve": ("curve t.parquet --features good --cv 2 --sizes 5 10", ["learning-curve"]),
    "duplicates": ("duplicates t.parquet --features good --threshold 0.99", ["similarity"]),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_table(labels=["ant", "雛菊", "_x$y$"]).write("t.parquet")
    return tmp_path


def figures(command, folder):
    done = run(f"evaluate {command} --jobs 1 --figures {folder}")
    assert done.status == 0, done.err
    assert f" to {folder}, each as PNG, PDF and SVG" in done.err
    assert "Glyph" not in done.err and "Warning" not in done.err and "findfont" not in done.err
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_comparison_writes_its_figures_in_the_width_of_a_column_with_their_text_as_text(place):
    command, names = COMMANDS["compare"]
    written = figures(command, "f")
    assert sorted(written) == sorted(f"{one}.{suffix}" for one in names for suffix in SUFFIXES)
    for name, data in written.items():
        assert not re.search(rb"20[2-9]\d-?[01]\d-?[0-3]\d|matplotlib v?\d", data.lower()), name
        if name.endswith(".png"):
            with Image.open(f"f/{name}") as picture:
                assert [round(one) for one in picture.info["dpi"]] == [300, 300]
                assert abs(picture.width - 85 / 25.4 * 300) < 2, name
        elif name.endswith(".pdf"):
            # Letters as outlines would be fonts of type 3.
            assert b"/Subtype /Type0" in data or b"/Subtype /TrueType" in data
            assert b"/Subtype /Type3" not in data
        else:
            assert b"<text" in data and b"<path" in data
    confusion = written["confusion.svg"].decode()
    assert ">雛菊</text>" in confusion and ">_x$y$</text>" in confusion


def test_a_test_writes_figures_too(place):
    assert run("classify train t.parquet --features good -o m.model --quiet").status == 0
    command, names = COMMANDS["test"]
    assert {name for name in figures(command, "f") if name.endswith("svg")} == {f"{one}.svg" for one in names}


@pytest.mark.parametrize("name", ["curve", "duplicates"])
def test_the_same_data_give_the_same_bytes_and_what_was_written_may_be_written_again(place, name):
    command, names = COMMANDS[name]
    once = figures(command, "f")
    assert once == figures(command, "f")
    assert sorted(once) == [f"{names[0]}.{suffix}" for suffix in SUFFIXES]


def test_a_folder_is_refused_before_any_work_where_it_could_not_be_written(place):
    base = "evaluate duplicates t.parquet --features good --figures"
    (place / "file").write_text("mine\n")
    (place / "f").mkdir()
    Image.new("RGB", (9, 9)).save(place / "f" / "similarity.png")
    mine = (place / "f" / "similarity.png").read_bytes()
    for folder, error in {
        "none/f": "there is no folder none",
        "file": "file is a file, not a folder",
        "f": "f/similarity.png is a photo, and a figure would replace it",
    }.items():
        done = run(f"{base} {folder}")
        assert done.status == 1 and error in done.error and done.hint, (folder, done.err)
        assert done.out == ""
    assert (place / "f" / "similarity.png").read_bytes() == mine


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of the oldest matplotlib, which calls pyparsing by old names
def test_drawings_from_python_return_the_axes_that_they_were_given_or_make_them():
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    found = compare(twin_table(), ["x"], ["softmax"], cv=2, curve=True, jobs=1)
    for name in ("accuracy", "confusion", "reliability", "roc", "precision_recall", "learning_curve"):
        axes = pyplot.figure().subplots()
        assert getattr(found.plot, name)(axes) is axes
        assert axes.lines and axes.get_xlabel() is not None
        made = getattr(found.plot, name)()
        assert made is not axes and made.get_xlabel() == axes.get_xlabel()
    curve = learning_curve(twin_table(), "x", cv=2, sizes=[5, 10], jobs=1)
    assert curve.plot.learning_curve(ax=None).get_xlabel() == "images per label"
    pairs = find_duplicates(network_table(30), "net", 0.9)
    assert pairs.plot.similarity().get_xlabel() == "similarity by net"
    pyplot.close("all")


def test_a_drawing_that_a_result_does_not_have_is_an_error_that_names_those_it_has():
    table = FeatureTable.from_arrays({"x": [[0.0], [1.0]] * 6}, label=["a", "b"] * 6)
    found = compare(table, ["x"], ["softmax"], cv=2, jobs=1)
    with pytest.raises(BottleheadError, match="comparison: there is no drawing learning_curve") as error:
        found.plot.learning_curve()
    assert "curve=True" in error.value.hint and "accuracy" in error.value.hint
    with pytest.raises(BottleheadError, match="duplicates: there is no drawing roc"):
        find_duplicates(table, "x").plot.roc()
