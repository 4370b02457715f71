"""Every file of a source is counted once, however its folders are nested and linked; what is known of its images."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.errors import SourceError
from featurize.photos.folders import is_hidden, walk
from featurize.photos.source import list_source


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def listed(source, **options) -> list[tuple]:
    return [
        (image.image, image.label, image.group, image.split)
        for image in list_source(source, **options).images
    ]


# -- folders --------------------------------------------------------------------------------------


def test_class_folders_give_labels_and_nested_folders_keep_the_first(tmp_path):
    for name in ["rose/b.jpg", "daisy/x/y/a.png", "beside.jpg", "readme.md"]:
        touch(tmp_path / name)
    found = list_source(tmp_path)
    assert [(image.image, image.label) for image in found.images] == [
        ("daisy/x/y/a.png", "daisy"),
        ("rose/b.jpg", "rose"),
    ]
    assert found.kind == "folder" and found.path == str(tmp_path.resolve())
    assert dict(found.ignored) == {"images beside the class folders": 1, "files ending in .md": 1}


def test_unusable_files_beside_the_class_folders_are_ignored_and_unusable_folders_are_not(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    (tmp_path / "broken.jpg").symlink_to("gone")
    (tmp_path / "daisy/broken.jpg").symlink_to("gone")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = list_source(tmp_path)
    assert [name for name, _ in sorted(found.rejects)] == ["daisy/broken.jpg", "loop"]
    assert dict(found.ignored) == {"images beside the class folders": 1}


# -- groups ---------------------------------------------------------------------------------------


def test_group_by_takes_its_first_capture_group(tmp_path, caplog):
    for name in ["a/p1-left.jpg", "b/p1-right.jpg", "a/p22-left.jpg", "a/other.jpg"]:
        touch(tmp_path / name)
    groups = {name: group for name, _, group, _ in listed(tmp_path, group_by=r"/(p\d+)-(left|right)")}
    assert [groups[name] for name in sorted(groups)] == [None, "p1", "p22", "p1"]
    assert "all images but 1" in caplog.text and "a/other.jpg" in caplog.text


# -- manifests ------------------------------------------------------------------------------------


def manifest(folder: Path, text: str) -> Path:
    path = folder / "m.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_names_files_relative_to_itself_and_sets_label_group_and_split(tmp_path):
    touch(tmp_path / "in/a.jpg"), touch(tmp_path / "b.jpg")
    text = "image,label,group,split\nin/a.jpg,daisy,leaf 1,training\n./b.jpg,,,testing\n"
    (tmp_path / "lists").mkdir()
    assert listed(manifest(tmp_path, text)) == [
        ("b.jpg", None, None, "testing"),
        ("in/a.jpg", "daisy", "leaf 1", "training"),
    ]
    (above,) = list_source(manifest(tmp_path / "lists", "image\n../b.jpg\n")).images
    assert above.image == "../b.jpg" and os.path.isfile(above.path)


def test_absolute_names_and_windows_separators_are_understood(tmp_path):
    photo = touch(tmp_path / "in/deep/a.jpg")
    (one,) = list_source(manifest(tmp_path, "image\nin\\deep\\a.jpg\n")).images
    (two,) = list_source(manifest(tmp_path, f"image\n{photo}\n")).images
    assert one.image == two.image == "in/deep/a.jpg"
    assert Path(one.path) == Path(two.path) == photo


def test_a_line_that_repeats_an_image_is_rejected_with_both_labels(tmp_path):
    touch(tmp_path / "a.jpg")
    found = list_source(manifest(tmp_path, "image,label\na.jpg,x\n./a.jpg,x\na.jpg,y\n,z\n"))
    assert [(image.image, image.label) for image in found.images] == [("a.jpg", "x")]
    assert found.rejects == [
        ("a.jpg", "listed in line 2, and again in line 3"),
        ("a.jpg", "listed in line 2, and again in line 4; there its label is x, here y"),
        ("line 5", "the image column is empty"),
    ]


@pytest.mark.skipif(os.name == "nt", reason="other rules for names")
def test_names_that_no_file_can_have_are_rejected(tmp_path):
    names = ["a\0b.jpg", "\\uD800.jpg", "x" * 5000 + "\\y.jpg", "ok.jpg"]
    touch(tmp_path / "ok.jpg")
    pd.DataFrame({"image": names}).to_parquet(tmp_path / "m.parquet")
    found = list_source(tmp_path / "m.parquet")
    assert ("a\\x00b.jpg", "no file can have this name") in found.rejects
    assert len(found.rejects) == 2 and len(found.images) == 2


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=8))
def test_every_line_of_a_manifest_is_an_image_or_a_reject(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("manifest")
    quoted = ['"' + line.replace('"', '""').replace("\0", "") + '"' for line in lines]
    with open(folder / "m.csv", "w", encoding="utf-8", newline="") as stream:
        stream.write("\n".join(["image", *quoted]))
    try:
        found = list_source(folder / "m.csv")
    except SourceError:
        assert not lines
        return
    assert len(found.images) + len(found.rejects) == len(lines)


# -- lists of files -------------------------------------------------------------------------------


def test_files_folders_and_patterns_keep_their_order_and_come_once(tmp_path, monkeypatch):
    for name in ["z.jpg", "dir/b.png", "dir/a.png", "dir/.hidden/c.png", "odd[1].jpg", "noending"]:
        touch(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    found = list_source(["z.jpg", "dir", "*.jpg", "odd[1].jpg", "gone.jpg", Path("noending"), "none*.gif"])
    assert [i.image for i in found.images] == ["z.jpg", "dir/a.png", "dir/b.png", "odd[1].jpg", "noending"]
    assert found.rejects == [("gone.jpg", "no such file"), ("none*.gif", "no such file")]
    assert found.ignored == {"files in hidden folders": 1}


def test_a_folder_that_cannot_be_entered_is_named_as_it_was_given(tmp_path):
    touch(tmp_path / "d/1.jpg")
    (tmp_path / "d/loop").symlink_to(tmp_path / "d")
    ((name, reason),) = list_source([tmp_path / "d"]).rejects
    assert re.fullmatch(r".*/d/loop", name) and "already" in reason


def test_an_empty_folder_among_listed_ones_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "other" / "notes.txt")
    message = r"^no images in empty, other \(1 other files were ignored\)"
    with pytest.raises(SourceError, match=message) as caught:
        list_source(["empty", "other"])
    assert ".jpg" in caught.value.hint
    with pytest.raises(SourceError, match="neither a folder nor a manifest"):
        list_source(touch(tmp_path / "photo.jpg"))


# -- folders within folders -----------------------------------------------------------------------

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
    left = ["._x.jpg", ".DS_Store", "Thumbs.db", "THUMBS.DB", ".ipynb_checkpoints", "desktop.ini", "__MACOSX"]
    assert [name for name in [*left, "daisy", "a.b.jpg"] if is_hidden(name)] == left


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
def test_folders_and_photos_without_permission_are_left_out_with_a_reason(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    touch(tmp_path / "secret/1.jpg")
    touch(tmp_path / "daisy/2.jpg").chmod(0)
    (tmp_path / "secret").chmod(0)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    code = (
        "import os\n"
        "from featurize.photos.fileindex import FileIndex\n"
        "from featurize.photos.folders import walk\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "found = walk(os.curdir); print(found.names, found.closed)\n"
        "print([str(content) for content in FileIndex(None).read(['daisy/2.jpg'])])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "['daisy/1.jpg', 'daisy/2.jpg'] [('secret', 'unreadable folder: Permission denied')]",
        "['cannot be read: Permission denied']",
    ]
