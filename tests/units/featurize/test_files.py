"""Whole-file writes, and file names as text and back."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.errors import UsageError
from featurize.files import (
    check_outputs,
    identity,
    name_as_text,
    read_csv,
    sync_folder,
    text_as_name,
    whole_file,
)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_readers_see_the_old_file_until_the_new_one_is_whole_also_when_the_write_fails(tmp_path, error):
    path = tmp_path / "table.parquet"
    path.write_text("old")
    with pytest.raises(error) if error else contextlib.nullcontext(), whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent == path.parent and partial.suffix == ".parquet"
        if error:
            raise error
    assert path.read_text() == ("old" if error else "new") and os.listdir(tmp_path) == ["table.parquet"]


@pytest.mark.skipif(sys.platform != "linux", reason="where a folder is known that cannot be flushed")
def test_a_folder_that_cannot_be_flushed_is_no_error():
    """As on vboxsf and old CIFS."""
    handle = os.open("/proc", os.O_RDONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        os.fsync(handle)
    os.close(handle)
    sync_folder(Path("/proc"))


NAMES = st.binary(max_size=30).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@settings(max_examples=300)
@given(NAMES | st.text(st.characters(exclude_characters="\0")), NAMES)
def test_every_file_name_becomes_clean_text_of_its_own_and_comes_back(name, other):
    text = name_as_text(name)
    text.encode()
    assert text_as_name(text) == name
    assert (text == name_as_text(other)) == (name == other)


def test_identity_changes_with_content_time_and_file(tmp_path):
    path, other, seen = tmp_path / "a", tmp_path / "b", set()
    for change in (
        lambda: path.write_text("1"),
        lambda: path.write_text("22"),
        lambda: os.utime(path, (1, 1)),
        lambda: (other.write_text("22"), os.utime(other, (1, 1)), os.replace(other, path)),
    ):
        change()
        seen.add(identity(path.stat()))
    assert len(seen) == 4


def test_outputs_that_would_cost_something_are_refused(tmp_path):
    table, link = tmp_path / "t.parquet", tmp_path / "link.parquet"
    table.write_text("")
    link.symlink_to(table)
    check_outputs([tmp_path / "new.csv", None, table], [tmp_path / "photos", None])
    for outputs, inputs, message in (
        ([table], [table], "an input and would be overwritten"),
        ([link], [table], "an input and would be overwritten"),
        ([table, tmp_path / "." / "t.parquet"], [], "another output and would be overwritten"),
        ([tmp_path / "missing" / "t.parquet"], [], "there is no folder"),
        ([tmp_path], [], "is a folder"),
        (["/dev/null"], [], "is a device or a pipe"),
    ):
        with pytest.raises(UsageError, match=message):
            check_outputs(outputs, inputs)


def test_a_pipe_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is a device or a pipe"), whole_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_names_are_the_bytes_on_disk_whatever_the_language():
    """One name as text, read by an interpreter that takes file names for ASCII."""
    code = "import os; from featurize.files import *; t = name_as_text(os.fsdecode(b'caf\\xc3\\xa9\\xe9')); "
    code += "print(ascii(t), os.fsencode(text_as_name(t)))"
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=os.environ | posix, text=True)
    assert printed == ascii("café\\xE9") + " b'caf\\xc3\\xa9\\xe9'\n"


def test_a_csv_file_is_read_by_column_and_its_lines_keep_their_numbers(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text('label, extra,new\n"roses, red",x, flower\n\n"two\nlines",,b\n', encoding="utf-8-sig")
    assert list(read_csv(path, ("new", "label"), "map", optional=None)) == [
        (2, {"label": "roses, red", "extra": "x", "new": " flower"}),
        (5, {"label": "two\nlines", "extra": "", "new": "b"}),
    ]
    with pytest.raises(
        UsageError, match=r"the map .* has the columns label, extra, new \(.*label,new, and may"
    ):
        list(read_csv(path, ("label", "new"), "map", optional=("note",)))
    path.write_text("label,new,new\na,b,c\n")
    with pytest.raises(UsageError, match="has the columns label, new, new"):
        list(read_csv(path, ("label", "new"), "map"))
