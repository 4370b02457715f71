"""What folders mean, by names alone: labels, splits, and folders that systems leave behind."""

import pytest

from featurize.photos.folders import ignored_as
from featurize.photos.layout import read_layout
from featurize.photos.unread import KIND_OF_ENDING, is_read, kind_of_content, not_read, with_remedy


def tree(text: str) -> list[str]:
    """``train/rust,steel`` stands for a photo in each of ``train/rust`` and ``train/steel``."""
    names = []
    for part in text.split():
        above, slash, last = part.rpartition("/")
        names += [
            f"{above}{slash}{folder}/1.jpg" if folder else f"{above}/1.jpg" for folder in last.split(",")
        ]
    return names


THREE = {"train/rust/1.jpg": ("rust", "training"), "val/rust/1.jpg": ("rust", "validation")}
# Folders; label and split of some photos, None where they are beside what counts; words of the warnings.
LAYOUTS = {
    "class folders": ("rust steel", {"rust/1.jpg": ("rust", None)}, []),
    "three splits": (
        "train/rust,steel val/rust,steel test/rust,steel",
        {**THREE, "test/steel/1.jpg": ("steel", "testing")}, [],
    ),
    "other words, any case": (
        "Training/rust,steel DEV/rust testing/steel",
        {"Training/rust/1.jpg": ("rust", "training"), "DEV/rust/1.jpg": ("rust", "validation"),
         "testing/steel/1.jpg": ("steel", "testing")}, [],
    ),
    "a label that a split lacks": ("train/rust,steel test/rust", {"test/rust/1.jpg": ("rust", "testing")}, []),
    "a label too many": (
        "train/rust,steel test/rust,moss", {"test/moss/1.jpg": ("moss", "testing")}, ["moss", "train does not have"],
    ),
    "a test set without labels": (
        "train/rust,steel test/", {"test/1.jpg": (None, "testing"), "train/rust/1.jpg": ("rust", "training")}, [],
    ),
    "photos beside labels in a split": (
        "train/rust,steel train/ test/rust", {"train/1.jpg": None, "train/rust/1.jpg": ("rust", "training")}, [],
    ),
    "no training folder": ("val/rust,steel test/rust,steel", {"val/rust/1.jpg": ("rust", "validation")}, []),
    "deep folders in splits": ("train/rust/a test/rust/b", {"test/rust/b/1.jpg": ("rust", "testing")}, []),
    "folders beside the splits": (
        "train/rust,steel test/rust extra", {"extra/1.jpg": None}, ["extra", "beside", "ignored"],
    ),
    "classes called like splits": (
        "train/steam,diesel test/oral,paper", {"train/steam/1.jpg": ("train", None)}, ["called like splits"],
    ),
    "one split folder alone": (
        "train/rust,steel", {"train/rust/1.jpg": ("train", None)}, ["look like classes", "rust and steel"],
    ),
    "twice the same split": ("train/rust training/rust", {"train/rust/1.jpg": ("train", None)}, []),
    "split folders of photos alone": ("train/ test/", {"train/1.jpg": ("train", None)}, ["called like splits"]),
    "a folder too many above": (
        "flowers/rose,tulip animals/cat,dog", {"animals/cat/1.jpg": ("animals", None)},
        ["animals holds folders that look like classes", "flowers"],
    ),
    "patients in classes": ("ill/p1,p2 well/p3,p4", {"ill/p1/1.jpg": ("ill", None)}, []),
    "photos and folders in a class": ("ill/ ill/left,right well/", {"ill/left/1.jpg": ("ill", None)}, []),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYOUTS)
def test_labels_and_splits_follow_from_names(case):
    folders, expected, words = LAYOUTS[case]
    layout = read_layout(["beside.jpg", *tree(folders)])
    assert {name: layout.place(name) for name in expected} == expected
    assert layout.place("beside.jpg") is None
    said = " ".join(layout.warnings)
    assert all(word in said for word in words) and bool(said) == bool(words)


def test_photos_in_one_folder_have_no_labels_whatever_unread_ones_lie_below():
    layout = read_layout(["1.jpg"], ["raw/1.dng"])
    assert layout.place("1.jpg") == (None, None)
    assert read_layout([], ["moss/1.heic"]).place("moss/1.heic") == ("moss", None)


def test_folders_without_photos_are_named_where_class_folders_stand():
    names = tree("train/rust,steel test/rust")
    folders = ["train", "test", "train/rust", "train/steel", "test/rust", "test/steel", "docs"]
    assert read_layout(names, folders=folders).notes[-1] == "no photos are in test/steel"
    assert read_layout(tree("rust"), folders=["rust", "moss", "rust/deep"]).notes == ["no photos are in moss"]


SYSTEM = """@eaDir #recycle #snapshot @Recycle @__thumb $RECYCLE.BIN lost+found __MACOSX _thumbs RECYCLER""".split()
SYSTEM += ["System Volume Information", "@EADIR", "_vti_cnf", "Network Trash Folder"]


@pytest.mark.parametrize("folder", SYSTEM)
def test_what_is_in_a_system_folder_is_ignored_at_any_depth(folder):
    for name in (
        f"{folder}/1.jpg",
        f"rust/{folder}/1.jpg",
        f"rust/deep/{folder}/1.jpg/XL.jpg",
        f"rust/{folder}/",
    ):
        assert ignored_as(name).casefold() == f"files in {folder}".casefold()


def test_hidden_files_and_folders_and_other_endings_are_ignored_and_photos_are_not():
    cases = {
        ".Trash-1000/1.jpg": "files in hidden folders", "a/.thumbnails/1.jpg": "files in hidden folders",
        "a/._1.jpg": "hidden files", "a/Thumbs.db": "hidden files", "a/x.txt": "files ending in .txt",
        "a/noending": "files ending in nothing", "a/1.JPG": None, "a/": None, "a/1.heic": None,
        "a/recycle/1.jpg": None, "thumbs/1.jpg": None,
    }  # fmt: skip
    assert {name: ignored_as(name) for name in cases} == cases


BYTES = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "AVIF": b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG XL": b"\xff\x0a\xfa\x1f", "DICOM": bytes(128) + b"DICM",
    "Photoshop": b"8BPS\0\1", "camera raw": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
}  # fmt: skip


def test_formats_that_are_not_read_are_known_by_their_first_bytes():
    assert {kind: kind_of_content(data + bytes(64)) for kind, data in BYTES.items()} == {k: k for k in BYTES}
    for other in (b"", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"II*\0\x08\0\0\0"):
        assert kind_of_content(other) is None
    assert {kind_of_content(start + bytes(64)) for start in (b"IIRO", b"IIRS", b"IIU\0")} == {"camera raw"}


def test_every_format_that_is_not_read_comes_with_its_remedy():
    asked = ".heic .heif .avif .jp2 .jxl .dcm .cr2 .nef .arw .dng .psd".split()
    assert set(asked) <= set(KIND_OF_ENDING)
    for ending in asked:
        kind = KIND_OF_ENDING[ending]
        reason = with_remedy(f"a/1{ending.upper()}", "text, not an image")
        assert reason == ("text, not an image" if is_read(kind) else not_read(kind))
        assert f"the format {kind}, which is not read: convert it to" in not_read(kind)
    assert not is_read("JPEG XL") and not is_read("camera raw") and not is_read("Photoshop")
    assert not_read("HEIC").endswith("pip install '.[heic]' in the checkout")
    assert not_read("DICOM").endswith("pip install '.[dicom]' in the checkout")
    assert with_remedy("a/1.heic", "the file is empty") == "the file is empty"
    assert with_remedy("a/1.jpg", "text, not an image") == "text, not an image"
