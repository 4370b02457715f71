"""Every file of a source is counted once, what is known of its images, and what scan says extract does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import encoded, noise, png
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.errors import SourceError
from featurize.extraction.run import run_extraction
from featurize.extractors.function import FunctionExtractor
from featurize.photos.folders import is_hidden, walk
from featurize.photos.manifest import read_manifest
from featurize.photos.scan import Scan, scan_source
from featurize.photos.source import list_source
from featurize.store.store import Store


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_class_folders_give_labels_and_nested_folders_keep_the_first(tmp_path):
    for name in ["rose/b.jpg", "daisy/x/y/a.png", "beside.jpg", "readme.md"]:
        touch(tmp_path / name)
    for name in ("broken.jpg", "daisy/broken.jpg"):
        (tmp_path / name).symlink_to("gone")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = list_source(tmp_path)
    assert [(image.image, image.label) for image in found.images] == [
        ("daisy/x/y/a.png", "daisy"), ("rose/b.jpg", "rose"),
    ]  # fmt: skip
    assert found.kind == "folder" and found.path == str(tmp_path.resolve())
    # What cannot be used beside the class folders is ignored, and within them, or as a folder, it is a reject.
    assert [name for name, _ in sorted(found.rejects)] == ["daisy/broken.jpg", "loop"]
    assert dict(found.ignored) == {"images beside the class folders": 2, "files ending in .md": 1}


def manifest(folder: Path, text: str) -> Path:
    path = folder / "m.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_names_files_relative_to_itself_and_sets_label_group_and_split(tmp_path):
    touch(tmp_path / "in/a.jpg"), touch(tmp_path / "b.jpg")
    text = "image,label,group,split\nin\\a.jpg,daisy,leaf 1,training\n./b.jpg,,,testing\n"
    found = list_source(manifest(tmp_path, text + ",z\n,z,,\n./b.jpg,,,\n"))
    assert [(one.image, one.label, one.group, one.split) for one in found.images] == [
        ("b.jpg", None, None, "testing"), ("in/a.jpg", "daisy", "leaf 1", "training"),
    ]  # fmt: skip
    assert dict(found.rejects)["b.jpg"] == "listed in line 3, and again in line 6"
    assert dict(found.rejects)["line 5"] == "the image column is empty"
    (tmp_path / "lists").mkdir()
    for folder, name, image in [("lists", "../b.jpg", "../b.jpg"), (".", tmp_path / "in/a.jpg", "in/a.jpg")]:
        (one,) = list_source(manifest(tmp_path / folder, f"image\n{name}\n")).images
        assert one.image == image and os.path.isfile(one.origin.place)


@pytest.mark.skipif(os.name == "nt", reason="other rules for names")
def test_names_that_no_file_can_have_are_rejected(tmp_path):
    names = ["a\0b.jpg", "\\uD800.jpg", "x" * 5000 + "\\y.jpg", "ok.jpg"]
    touch(tmp_path / "ok.jpg")
    pd.DataFrame({"image": names}).to_parquet(tmp_path / "m.parquet")
    found = list_source(tmp_path / "m.parquet")
    assert ("a\\x00b.jpg", "no file can have this name") in found.rejects
    assert len(found.rejects) == 2 and len(found.images) == 2


@settings(max_examples=50)
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


def test_files_folders_and_patterns_keep_their_order_and_come_once(tmp_path, monkeypatch):
    for name in ["z.jpg", "dir/b.png", "dir/a.png", "dir/.hidden/c.png", "odd[1].jpg", "noending"]:
        touch(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir/loop").symlink_to(tmp_path / "dir")
    found = list_source(["z.jpg", "dir", "*.jpg", "odd[1].jpg", "gone.jpg", Path("noending"), "none*.gif"])
    assert [i.image for i in found.images] == ["z.jpg", "dir/a.png", "dir/b.png", "odd[1].jpg", "noending"]
    rejects = dict(found.rejects)
    assert "already" in rejects.pop("dir/loop")
    assert rejects == {"gone.jpg": "no such file", "none*.gif": "no such file"}
    assert found.ignored == {"files in hidden folders": 1}


def test_an_empty_folder_among_listed_ones_is_named_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "other" / "notes.txt")
    message = r"^no images in empty, other \(1 other file was ignored\)"
    with pytest.raises(SourceError, match=message) as caught:
        list_source(["empty", "other"])
    assert ".jpg" in caught.value.hint
    with pytest.raises(SourceError, match="neither a folder, a manifest nor an archive"):
        list_source(touch(tmp_path / "photo.jpg"))


NAMES = st.sampled_from("a.jpg b.PNG x.tiff notes.txt noending .hidden.jpg ._a.jpg Thumbs.db".split())
SHOWN = st.sampled_from(["", "daisy", "rose", "daisy/deep", "é"])
FOLDERS = SHOWN | st.sampled_from([".git", ".ipynb_checkpoints/x", "__MACOSX"])


@settings(max_examples=60)
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
    entries = sum(path.is_symlink() or not path.is_dir() for path in root.rglob("*"))
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
    reasons = [f"a link to {what}, which is in the source already" for what in ("the source itself", "daisy")]
    assert sorted(found.closed) == [("daisy/up", reasons[0]), ("rose", reasons[1])]
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
        "from featurize.photos.origin import OnDisk\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "found = walk(os.curdir); print(found.names, found.closed)\n"
        "print([str(content) for content in FileIndex(None).read([OnDisk('daisy/2.jpg')])])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert said.splitlines() == [
        "['daisy/1.jpg', 'daisy/2.jpg'] [('secret', 'unreadable folder: Permission denied')]",
        "['cannot be read: Permission denied']",
    ]


def rows(path: Path, content: bytes | str | pd.DataFrame | None = None) -> list[tuple]:
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    elif content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_manifest(path))


CSV = {
    "other columns and empty lines are left out, empty values are none": (
        "image,label,note\na.jpg,daisy,nice\n\nb.jpg,,\n",
        [("line 2", {"image": "a.jpg", "label": "daisy"}), ("line 4", {"image": "b.jpg", "label": None})],
    ),
    "a byte order mark and Windows line ends do not matter": (
        "\ufeffimage,label\r\nä b.jpg,x\r\n", [("line 2", {"image": "ä b.jpg", "label": "x"})]),
    "quoted names may hold commas, quotes and newlines": (
        'image,label\n"a, ""b""\nc.jpg",x\n', [("line 3", {"image": 'a, "b"\nc.jpg', "label": "x"})]),
    "an unquoted comma costs no other line": (
        "image,label\na, b.jpg,x\nc.jpg,y\nd.jpg\n",
        [("line 2", "3 values for 2 columns; quote what holds commas"),
         ("line 3", {"image": "c.jpg", "label": "y"}),
         ("line 4", "1 values for 2 columns; quote what holds commas")],
    ),
    "a label that no table can hold": (
        "image,label\na.jpg,x\0y\nb.jpg,z\n",
        [("line 2", "its label holds a NUL character"), ("line 3", {"image": "b.jpg", "label": "z"})],
    ),
    "a group that no table can hold": ("image,group\na.jpg,x\0y\n", [("line 2", "its group holds a NUL character")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV)
def test_a_csv_is_read_as_people_and_programs_write_it(tmp_path, case):
    content, expected = CSV[case]
    assert rows(tmp_path / "m.csv", content) == expected


def test_parquet_numbers_become_text_nan_becomes_none_and_categories_are_read(tmp_path):
    label = pd.Categorical(["daisy", "daisy"])
    frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "label": label, "group": [2.5, float("nan")]})
    assert rows(tmp_path / "m.parquet", frame) == [
        ("row 1", {"image": "a.jpg", "label": "daisy", "group": "2.5"}),
        ("row 2", {"image": "b.jpg", "label": "daisy", "group": None}),
    ]
    assert rows(tmp_path / "m.parquet", frame.assign(label=[1, 2]))[0][1]["label"] == "1"


@pytest.mark.parametrize("content, message", [
    (b"", "columns none, and no column image"),
    (b"photo,label\na,b\n", "columns 'photo', 'label', and no column image"),
    (b"path,file\na,b\n", "columns 'path', 'file', and no column image"),
    (b"image,image\na,b\n", "two columns named image"),
    (b"image,label, Label\na,b,c\n", "two columns named label"),
    (b"image,split\na.jpg,third\n", "line 2: split is 'third'"),
    (b"image\n\xff\xfe\n", "not UTF-8 text: line 2"),
    (b"sep=\nimage\n", "no readable CSV"), (b'image\n"a.jpg\n', "no readable CSV"),
    (b"image\na\0b.jpg\n" + b"x" * 200_000, "no readable CSV"),
    (b"PAR1 nonsense PAR1", "no readable Parquet"),
    (pd.DataFrame({"image": [1, 2]}), r"image column .* holds int64"),
    (pd.DataFrame({"image": ["a.jpg"], "group": ["p1"], "GROUP ": ["p1"]}), "two columns named group"),
])  # fmt: skip
def test_an_unreadable_manifest_is_one_clear_error(tmp_path, content, message):
    is_csv = isinstance(content, bytes) and not content.startswith(b"PAR1")
    with pytest.raises(SourceError, match=message) as caught:
        rows(tmp_path / ("m.csv" if is_csv else "m.parquet"), content)
    assert caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", [b"run:3.parquet", b"caf\xe9.parquet"])
def test_a_parquet_manifest_may_be_called_anything(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content = pd.DataFrame({"image": ["a.jpg"]}).to_parquet()
    assert rows(Path(os.fsdecode(name)), content) == [("row 1", {"image": "a.jpg"})]


def mean_colour(rgb: np.ndarray) -> np.ndarray:
    return rgb.mean(axis=(0, 1))


MEAN_COLOUR = FunctionExtractor(mean_colour, "mean-colour", 1)
KINDS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF"]
CONTENTS = {kind.lower(): encoded(noise(seed=number), kind) for number, kind in enumerate(KINDS)} | {
    "jpeg-2": encoded(noise(seed=9), "JPEG"),
    "truncated": encoded(noise(), "JPEG")[:900],
    "truncated-png": encoded(noise(), "PNG")[:900],
    "empty": b"",
    "text": b"not a photo",
    "appledouble": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
    "bomb": png(60_000, 60_000, 8, 2, bytes(99)),
}
BAD = {"truncated", "truncated-png", "empty", "text", "appledouble", "bomb"}


def assert_extract_does_what_scan_says(source, found: Scan, store: Path) -> None:
    listed = list_source(source)
    if not found.usable:
        with pytest.raises(SourceError, match="can be read"):
            run_extraction(listed, MEAN_COLOUR, store=Store(store), jobs=2)
        return
    result = run_extraction(listed, MEAN_COLOUR, store=Store(store), jobs=2)
    table = result.table
    assert table.image.tolist() == [image.image for image, _ in found.usable]
    assert table.label.tolist() == [image.label for image, _ in found.usable]
    for name in ("sha256", "width", "height", "bytes", "format"):
        assert table.column(name).tolist() == [getattr(content, name) for _, content in found.usable]
    assert table.groups.tolist() == found.groups.tolist()
    assert result.rejects == found.rejects
    assert result.ignored == found.ignored


PLACES = st.tuples(
    st.sampled_from(["", "daisy", "rose", "rose/deep", ".hidden"]),
    st.sampled_from(["1.jpg", "2.JPG", "3.png", "4.gif", "x.txt", "._1.jpg", "Thumbs.db"]),
)
TREES = st.dictionaries(PLACES, st.sampled_from(sorted(CONTENTS)), min_size=1, max_size=14)


@settings(max_examples=40)
@given(tree=TREES)
def test_any_tree_adds_up_and_is_extracted_as_scanned(tmp_path_factory, tree):
    root = tmp_path_factory.mktemp("tree")
    for (folder, name), content in tree.items():
        touch(root / "photos" / folder / name, CONTENTS[content])
    try:
        found = scan_source(root / "photos", jobs=2)
    except SourceError:
        assert not [n for folder, n in tree if folder != ".hidden" and not n.startswith(("._", "T", "x"))]
        return
    assert len(found.usable) + len(found.rejects) + found.ignored.total() == len(tree)
    for image, _ in found.usable:
        folder, _, name = image.image.rpartition("/")
        assert tree[folder, name] not in BAD
    for image, reason in found.rejects:
        folder, _, name = image.rpartition("/")
        assert tree[folder, name] in BAD and reason
    assert_extract_does_what_scan_says(root / "photos", found, root / "store")


def test_real_photos_and_oddities_are_extracted_as_scanned(assets, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(assets / "data/flowers", photos)
    shutil.copytree(assets / "data/oddities", photos, dirs_exist_ok=True)
    (photos / "roses/broken.jpg").symlink_to("gone")
    (photos / "roses/loop").symlink_to(photos)
    found = scan_source(photos)
    n_files = sum(len(files) + ("loop" in folders) for _, folders, files in os.walk(photos))
    assert len(found.usable) + len(found.rejects) + found.ignored.total() == n_files
    flowers = dict.fromkeys(["daisy", "dandelion", "roses", "sunflowers", "tulips"], 150)
    counts = {label: len(rows) for label, rows in found.classes.items()}
    assert counts == {**flowers, "mpo_named_jpg": 1, "png_palette": 1, "png_rgba": 3}
    assert found.n_groups("sunflowers") == 148 and len(found.rejects) == 2 and len(found.identical) == 3
    same = [sorted(image.image for image in images) for images in found.conflicts]
    assert same == [["roses/15922772266_1167a06620.jpg", "tulips/15922772266_1167a06620.jpg"]]
    assert_extract_does_what_scan_says(photos, found, tmp_path / "store")


@pytest.mark.parametrize("meddle, reason", [
    (lambda path: path.unlink(missing_ok=True), "cannot be read: No such file or directory"),
    (lambda path: path.write_bytes(CONTENTS["png"]), "changed while it was being featurized; run again"),
    (lambda path: path.write_bytes(b""), "changed while it was being featurized; run again"),
])  # fmt: skip
def test_a_photo_that_vanishes_or_changes_costs_only_itself(tmp_path, meddle, reason):
    photos, store = tmp_path / "photos", Store(tmp_path / "store", young_seconds=-1.0)
    for name, content in {"a": "jpeg", "b": "jpeg-2", "z": "webp"}.items():
        touch(photos / f"{name}.jpg", CONTENTS[content])

    def meddling(rgb):
        if rgb.shape[:2] == (24, 24):  # not at the trial of the function
            meddle(photos / "z.jpg")
        return mean_colour(rgb)

    # An earlier run knows what every file holds, so that none is read before it is decoded.
    source = list_source(photos)
    list(store.file_index().read([image.origin for image in source.images]))
    result = run_extraction(source, FunctionExtractor(meddling, "meddling", 1), store=store, jobs=1)
    assert result.table.image.tolist() == ["a.jpg", "b.jpg"]
    assert result.rejects == [("z.jpg", reason)]
