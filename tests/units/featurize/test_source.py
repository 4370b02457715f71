"""Which images a source holds, and what is known about them."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.errors import SourceError, UsageError
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


def test_a_flat_folder_has_no_labels(tmp_path):
    touch(tmp_path / "b.jpg"), touch(tmp_path / "a.gif")
    assert listed(tmp_path) == [("a.gif", None, None, None), ("b.jpg", None, None, None)]


def test_unusable_files_beside_the_class_folders_are_ignored_and_unusable_folders_are_not(tmp_path):
    touch(tmp_path / "daisy/1.jpg")
    (tmp_path / "broken.jpg").symlink_to("gone")
    (tmp_path / "daisy/broken.jpg").symlink_to("gone")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = list_source(tmp_path)
    assert [name for name, _ in sorted(found.rejects)] == ["daisy/broken.jpg", "loop"]
    assert dict(found.ignored) == {"images beside the class folders": 1}


def test_folders_that_differ_in_case_are_two_labels_where_the_system_has_both(tmp_path):
    touch(tmp_path / "Daisy/1.jpg"), touch(tmp_path / "daisy/1.jpg")
    labels = {label for _, label, *_ in listed(tmp_path)}
    assert labels == set(os.listdir(tmp_path))


AWKWARD = [
    "a b.jpg",
    'it\'s "q".jpg',
    "new\nline.jpg",
    "🌼.jpg",
    "x" * 246 + ".jpg",
    "back\\slash.jpg",
    ",;.jpg",
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_awkward_names_reach_the_file_again(tmp_path):
    for name in [*AWKWARD, os.fsdecode(b"caf\xe9.jpg")]:
        touch(tmp_path / "daisy" / name)
    found = list_source(tmp_path)
    assert len(found.images) == len(AWKWARD) + 1
    assert all(os.path.isfile(image.path) for image in found.images)
    names = [image.image for image in found.images]
    assert "daisy/caf\\xE9.jpg" in names and "daisy/back\\\\slash.jpg" in names and "daisy/🌼.jpg" in names
    "".join(names).encode("utf-8")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: None, "no images in .*other|no images in"),
        (lambda root: touch(root / "notes.txt"), r"no images in .* \(1 other files were ignored\)"),
    ],
)
def test_a_folder_without_images_is_one_clear_error(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(SourceError, match=message) as caught:
        list_source(tmp_path)
    assert ".jpg" in caught.value.hint


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(SourceError, match="there is no"):
        list_source(tmp_path / "gone")
    with pytest.raises(SourceError, match="neither a folder nor a manifest"):
        list_source(touch(tmp_path / "photo.jpg"))


# -- groups ---------------------------------------------------------------------------------------


def test_the_text_before_nohash_is_the_group(tmp_path):
    for name in ["a/p1_nohash_1.jpg", "a/p1_nohash_2.jpg", "a/p2.jpg", "b/p1_nohash_1.jpg"]:
        touch(tmp_path / name)
    assert [group for _, _, group, _ in listed(tmp_path)] == ["a/p1", "a/p1", None, "b/p1"]


def test_group_by_takes_its_first_capture_group(tmp_path, caplog):
    for name in ["a/p1-left.jpg", "b/p1-right.jpg", "a/p22-left.jpg", "a/other.jpg"]:
        touch(tmp_path / name)
    groups = {name: group for name, _, group, _ in listed(tmp_path, group_by=r"/(p\d+)-(left|right)")}
    assert groups == {
        "a/p1-left.jpg": "p1",
        "b/p1-right.jpg": "p1",
        "a/p22-left.jpg": "p22",
        "a/other.jpg": None,
    }
    assert "all images but 1" in caplog.text and "a/other.jpg" in caplog.text


@pytest.mark.parametrize(
    "pattern, message",
    [("p\\d+", "no capture group"), ("(", "no regular expression"), ("(zebra)", "fits none")],
)
def test_a_group_by_that_cannot_be_meant_is_refused(tmp_path, pattern, message):
    touch(tmp_path / "a/p1.jpg")
    with pytest.raises(UsageError, match=message) as caught:
        list_source(tmp_path, group_by=pattern)
    assert caught.value.hint


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_the_names_of_a_table_can_be_a_manifest(tmp_path):
    for name in [*AWKWARD, os.fsdecode(b"caf\xe9.jpg")]:
        touch(tmp_path / "daisy" / name)
    import pandas as pd

    folder = list_source(tmp_path / "daisy")
    pd.DataFrame({"image": [f"daisy/{image.image}" for image in folder.images]}).to_parquet(
        tmp_path / "m.parquet"
    )
    again = list_source(tmp_path / "m.parquet")
    assert {image.path for image in again.images} == {image.path for image in folder.images}
    assert not again.rejects


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
    import pandas as pd

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
    assert [image.image for image in found.images] == [
        "z.jpg",
        os.path.join("dir", "a.png").replace(os.sep, "/"),
        "dir/b.png",
        "odd[1].jpg",
        "noending",
    ]
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
    with pytest.raises(SourceError, match=r"^no images in empty, other \(1 other files were ignored\)"):
        list_source(["empty", "other"])
