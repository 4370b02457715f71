"""Every file below a folder is counted once, however the folders are nested and linked."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.files import name_as_text, text_as_name
from featurize.photos.folders import is_hidden, walk


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


NAMES = st.sampled_from(
    ["a.jpg", "b.PNG", "notes.txt", "noending", ".hidden.jpg", "._a.jpg", ".DS_Store", "Thumbs.db", "x.tiff"]
)
SHOWN = st.sampled_from(["", "daisy", "rose", "daisy/deep", "é"])
FOLDERS = SHOWN | st.sampled_from([".git", ".ipynb_checkpoints/x", "__MACOSX"])


@settings(max_examples=60, deadline=None)
@given(
    files=st.sets(st.tuples(FOLDERS, NAMES), max_size=25),
    links=st.sets(st.tuples(FOLDERS, SHOWN), max_size=4),
)
def test_every_file_is_counted_once(tmp_path_factory, files, links):
    root = tmp_path_factory.mktemp("tree")
    for folder, name in files:
        touch(root / folder / name)
    for number, (here, there) in enumerate(sorted(links)):
        if (root / here).is_dir() and (root / there).is_dir():
            (root / here / f"link{number}").symlink_to((root / there).resolve(), target_is_directory=True)
    # An independent count of everything that is no real folder; links to folders of the tree included.
    entries = sum(
        len(names) + sum(os.path.islink(os.path.join(place, folder)) for folder in folders)
        for place, folders, names in os.walk(root)
    )
    found = walk(root)
    assert len(found.names) + len(found.unusable) + len(found.closed) + found.ignored.total() == entries
    hidden = [path for path in files if any(is_hidden(part) for part in "/".join(path).split("/") if part)]
    images = [path for path in files if path not in hidden and path[1] in ("a.jpg", "b.PNG", "x.tiff")]
    assert found.names == sorted(os.path.join(*path) if path[0] else path[1] for path in images)


def test_what_systems_leave_behind_is_hidden():
    for name in [
        "._x.jpg",
        ".DS_Store",
        "Thumbs.db",
        "THUMBS.DB",
        ".ipynb_checkpoints",
        "desktop.ini",
        "__MACOSX",
    ]:
        assert is_hidden(name)
    assert not is_hidden("daisy") and not is_hidden("a.b.jpg")


def test_hidden_folders_are_no_classes_and_their_files_are_counted(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    for name in [".ipynb_checkpoints/1-checkpoint.jpg", ".git/objects/ab/c", ".git/HEAD", "daisy/._1.jpg"]:
        touch(tmp_path / name)
    found = walk(tmp_path)
    assert found.names == [os.path.join("daisy", "1.jpg")]
    assert dict(found.ignored) == {"files in hidden folders": 3, "hidden files": 1}


def test_loops_and_second_ways_are_closed_with_a_reason(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    (tmp_path / "daisy/up").symlink_to(tmp_path)
    (tmp_path / "rose").symlink_to(tmp_path / "daisy")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "broken.txt").symlink_to(tmp_path / "gone.txt")
    found = walk(tmp_path)
    assert found.names == [os.path.join("daisy", "1.jpg")]
    assert sorted(found.closed) == [
        ("daisy/up", "a link to the source itself, which is in the source already"),
        ("rose", "a link to daisy, which is in the source already"),
    ]
    assert [name for name, _ in sorted(found.unusable)] == ["broken.jpg", "self.jpg"]
    assert "No such file" in dict(found.unusable)["broken.jpg"]
    assert found.ignored == {"files ending in .txt": 1}


def test_folders_that_all_link_to_each_other_end_in_bounded_time(tmp_path):
    # Following every path would take 12! steps.
    folders = [tmp_path / "pool" / f"f{i}" for i in range(12)]
    for folder in folders:
        touch(folder / "1.jpg")
    for folder in folders:
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/class").symlink_to(folders[0])
    found = walk(tmp_path / "source")
    assert len(found.names) == 12
    assert len(found.closed) == 12 * 12 - 11


def test_a_class_folder_may_be_a_link_to_elsewhere(tmp_path):
    touch(tmp_path / "all/cats/1.jpg")
    (tmp_path / "train").mkdir()
    (tmp_path / "train/cat").symlink_to(tmp_path / "all/cats")
    assert walk(tmp_path / "train").names == [os.path.join("cat", "1.jpg")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as files are a POSIX matter")
def test_pipes_sockets_and_devices_are_unusable_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    short = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    try:
        os.chdir(tmp_path)  # the address of a socket is short
        short.bind("socket.jpg")
    finally:
        os.chdir(here)
        short.close()
    found = walk(tmp_path)
    assert found.names == []
    assert sorted(found.unusable) == [
        (name, "not a regular file") for name in ("pipe.jpg", "socket.jpg", "zero.jpg")
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="drops root's rights")
def test_a_folder_without_permission_is_closed_with_a_reason(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    touch(tmp_path / "secret/1.jpg")
    code = (
        "import os, sys\n"
        "from featurize.photos.folders import walk\n"
        "os.chmod(sys.argv[1] + '/secret', 0)\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "found = walk(os.curdir); print(found.names, found.closed)"
    )
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "['daisy/1.jpg'] [('secret', 'unreadable folder: Permission denied')]"


def test_a_missing_folder_is_closed_under_no_name(tmp_path):
    ((name, reason),) = walk(tmp_path / "gone").closed
    assert name == "" and reason.startswith("unreadable folder")


# -- names as text --------------------------------------------------------------------------------

FILE_NAMES = st.binary(min_size=1, max_size=40).map(
    lambda data: data.replace(b"\0", b"\\").decode("utf-8", "surrogateescape")
)


@settings(max_examples=500)
@given(FILE_NAMES | st.text(st.characters(exclude_characters="\0")))
def test_names_survive_as_text(name):
    text = name_as_text(name)
    text.encode("utf-8")
    assert text_as_name(text) == name


@given(st.sets(FILE_NAMES, min_size=2, max_size=2))
def test_different_names_are_different_texts(names):
    assert len({name_as_text(name) for name in names}) == 2
