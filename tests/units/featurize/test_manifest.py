"""Manifests as people have them: dialects, encodings, names of columns, and names of files."""

import os
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from builders import write_photos

from featurize import extract
from featurize.errors import SourceError, UsageError
from featurize.pages import Thumbnails
from featurize.photos.manifest import read_manifest
from featurize.photos.source import list_source

PLAIN = "image,label\na.jpg,rose\nb c.jpg,oak\n"
ROWS = [("line 2", {"image": "a.jpg", "label": "rose"}), ("line 3", {"image": "b c.jpg", "label": "oak"})]


DIALECTS = {
    "commas": PLAIN.encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "UTF-16 with tabs, as Excel's Unicode text": PLAIN.replace(",", "\t").encode("utf-16"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "a byte order mark and semicolons": b"\xef\xbb\xbf" + PLAIN.replace(",", ";").encode(),
    "old Mac line ends": PLAIN.replace("\n", "\r").encode(),
    "blanks": b" image , label \n a.jpg , rose \n b c.jpg,\toak \n",
    "blanks and quotes": b'"image", "label"\n"a.jpg", "rose"\n"b c.jpg",   "oak"\n',
    "capitals": PLAIN.replace("image,label", "IMAGE,Label").encode(),
    "a separator at the end of lines": PLAIN.replace("\n", ",\n").encode(),
    "separators at the end of some lines": PLAIN.replace("rose", "rose,,").encode(),
    "lines of separators alone": PLAIN.encode() + b",\n , \n",
    "names that others use": PLAIN.replace("image,label", "file_name,Category").encode(),
    "an index without a name": b",image,label\n0,a.jpg,rose\n1,b c.jpg,oak\n",
}


@pytest.mark.parametrize("case", DIALECTS)
def test_every_dialect_gives_the_same_rows(tmp_path, case):
    (tmp_path / "m.csv").write_bytes(DIALECTS[case])
    # A blank may belong to the name of a file: only looking for it can tell.
    rows = [
        (place, {**row, "image": row["image"].strip()}) for place, row in read_manifest(tmp_path / "m.csv")
    ]
    assert rows == ROWS


def test_excel_s_own_first_line_names_the_separator_and_counts_as_a_line(tmp_path):
    (tmp_path / "m.csv").write_text("sep=;\nimage;label\na,b.jpg;rose\n")
    assert list(read_manifest(tmp_path / "m.csv")) == [("line 3", {"image": "a,b.jpg", "label": "rose"})]


def test_excel_files_are_read_as_they_look(tmp_path):
    frame = pd.DataFrame({
        " Image ": ["a.jpg", "b.jpg", "c.jpg"], "class": [1, 2, None], "Patient": ["p 1", None, " p2 "],
        "split": ["train", "val", "TEST"],
    })  # fmt: skip
    with pd.ExcelWriter(tmp_path / "m.xlsx") as book:
        frame.to_excel(book, index=False, sheet_name="photos")
        frame.to_excel(book, index=False, sheet_name="old")
    manifest = read_manifest(tmp_path / "m.xlsx")
    assert [tuple(row.values()) for _, row in manifest] == [
        ("a.jpg", "1", "p 1", "training"), ("b.jpg", "2", None, "validation"), ("c.jpg", None, "p2", "testing"),
    ]  # fmt: skip
    assert "of the 2 sheets of m.xlsx the first is read, photos" in manifest.notes
    (tmp_path / "bad.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(SourceError, match="no readable Excel file"):
        read_manifest(tmp_path / "bad.xlsx")


def test_days_of_an_excel_file_are_days_and_times_stay_times(tmp_path):
    days = pd.to_datetime(["2024-01-02", "2024-03-01", None])
    frame = pd.DataFrame({
        "image": ["a.jpg", "b.jpg", "c.jpg"], "label": days, "group": days + pd.to_timedelta([0, 9, 0], "h"),
    })  # fmt: skip
    frame.to_excel(tmp_path / "m.xlsx", index=False)
    assert [(row["label"], row["group"]) for _, row in read_manifest(tmp_path / "m.xlsx")] == [
        ("2024-01-02", "2024-01-02 00:00:00"), ("2024-03-01", "2024-03-01 09:00:00"), (None, None),
    ]  # fmt: skip


def test_text_of_windows_is_refused_with_its_line_and_what_it_would_read(tmp_path):
    (tmp_path / "m.csv").write_bytes("image,label\na.jpg,rose\nfleur é.jpg,oak\n".encode("cp1252"))
    with pytest.raises(SourceError, match="line 3 holds bytes of another encoding") as caught:
        list(read_manifest(tmp_path / "m.csv"))
    assert "fleur é.jpg,oak" in caught.value.hint and "iconv -f CP1252" in caught.value.hint


def header(names: str, **columns: str):
    """How a manifest of these columns, and one line of their numbers, is read."""

    def read(folder: Path):
        numbers = ",".join(str(number) for number in range(names.count(",") + 1))
        (folder / "m.csv").write_text(f"{names}\n{numbers}\n")
        return read_manifest(folder / "m.csv", columns)

    return read


@pytest.mark.parametrize("read, expected, notes, warnings", [
    (header("image,label,note"), {"image": "0", "label": "1"}, ["left out: note"], []),
    (header("path,class,subject"), {"image": "0", "label": "1", "group": "2"},
     ["path as image, class as label and subject as group"], []),
    # The plain name comes first, and what others use is then another column.
    (header("file,image,class,label"), {"image": "1", "label": "3"}, ["left out: file and class"], []),
    (header("image,class,category"), {"image": "0"}, ["left out: class and category"],
     ["class and category could both"]),
    (header("filename,set,kind", image="filename", label="kind"), {"image": "0", "label": "2"},
     ["filename as image and kind as label", "left out: set"], []),
    (header("image,class", label=""), {"image": "0"}, ["left out: class"], []),
    (header("a,b,class", image="A ", label="b"), {"image": "0", "label": "1"}, ["left out: class"], []),
])  # fmt: skip
def test_columns_are_taken_by_their_names_and_what_is_not_plain_is_said(
    tmp_path, read, expected, notes, warnings
):
    manifest = read(tmp_path)
    assert list(manifest) == [("line 2", expected)]
    for said, words in ((manifest.notes, notes), (manifest.warnings, warnings)):
        assert all(word in " ".join(said) for word in words)
    assert bool(manifest.warnings) == bool(warnings)


@pytest.mark.parametrize("columns, message", [
    ({"image": "gone"}, "no columns named 'gone'"), ({"photo": "image"}, "'photo' is no column of ours"),
])  # fmt: skip
def test_columns_that_are_not_there_are_an_error(tmp_path, columns, message):
    with pytest.raises(UsageError, match=message):
        header("image,label", **columns)(tmp_path)


NFC, NFD = (unicodedata.normalize(form, "p/Löwenzahn.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("files, written, found", [
    ([NFD], NFC, NFD), ([NFC], NFD, NFC), (["p/A.JPG"], "p/a.jpg", "p/A.JPG"), (["P/a.jpg"], "p/A.jpg", "P/a.jpg"),
    (["p/a.jpg"], " p/a.jpg ", "p/a.jpg"), (["p/ a.jpg"], "p/a.jpg", "p/ a.jpg"),
    (["p/a.jpg "], "p/a.jpg ", "p/a.jpg "), (["p/A.JPG"], "p\\a.jpg", "p/A.JPG"),
    (["p/a.JPG", "p/A.jpg"], "p/a.jpg", None), (["p/b.jpg"], "p/a.jpg", None),
    (["p/a.jpg", "p/A.jpg"], "p/A.jpg", "p/A.jpg"),
])  # fmt: skip
def test_a_name_that_differs_in_form_finds_the_one_file_that_can_be_meant(tmp_path, files, written, found):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "m.csv").write_text(f'image\n"{written}"\n', encoding="utf-8")
    source = list_source(tmp_path / "m.csv")
    (image,) = source.images
    assert os.path.exists(image.origin.place) == (found is not None)
    if found is not None:
        assert image.image == found
        plain = (written, written.strip(), written.replace("\\", "/"))
        assert bool(source.notes) == (found not in plain)


def test_one_file_spelt_in_two_ways_is_one_image_and_two_labels_are_an_error(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to("p")
    spelt = ["p/a.jpg", "./p/../p/a.jpg", "p\\a.jpg", "P/A.JPG", "link/a.jpg", str(tmp_path / "p/a.jpg")]
    rows = [
        f'"{name}",{label},{group}'
        for name, label, group in zip(spelt, ["", *["x"] * 5], ["g", *[""] * 5], strict=True)
    ]
    (tmp_path / "m.csv").write_text("\n".join(["image,label,group", *rows]))
    found = list_source(tmp_path / "m.csv")
    # What one line lacks another gives.
    assert [(one.image, one.label, one.group) for one in found.images] == [("p/a.jpg", "x", "g")]
    assert (
        len(found.rejects) == 5 and found.rejects[-2][1] == "listed in line 2 as p/a.jpg, and again in line 6"
    )
    with open(tmp_path / "m.csv", "a") as stream:
        stream.write("\nlink/a.jpg,y,\n")
    with pytest.raises(SourceError, match=r"link/a\.jpg has the label x in line 2, and y in line 8"):
        list_source(tmp_path / "m.csv")
    lines = list_source(tmp_path / "m.csv", each_line=True)
    assert [one.label for one in lines.images] == [None, *"xxxxxy"] and lines.rejects == []
    listed = list_source(
        [tmp_path / "p/a.jpg", f"{tmp_path}/p/../p/a.jpg", tmp_path / "link", tmp_path / "p"]
    )
    assert [one.image for one in listed.images] == [f"{tmp_path}/p/a.jpg"]


def test_reports_find_the_photos_of_a_manifest_below_its_root(tmp_path):
    write_photos(tmp_path / "photos", ["a.png"])
    (tmp_path / "m.csv").write_text("image\na.png\n")
    table = extract(tmp_path / "m.csv", "color", root=tmp_path / "photos", store=tmp_path / "store")
    assert Thumbnails(table).thumbnail("a.png") is not None


def test_a_root_is_the_folder_that_names_begin_in(tmp_path):
    (tmp_path / "photos").mkdir(), (tmp_path / "lists").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(b"x")
    (tmp_path / "lists/m.csv").write_text("image\na.jpg\n")
    found = list_source(tmp_path / "lists/m.csv", root=tmp_path / "photos")
    assert [(one.image, one.origin.place) for one in found.images] == [
        ("a.jpg", str(tmp_path / "photos/a.jpg"))
    ]
    for source, root, message in [
        (tmp_path / "lists/m.csv", tmp_path / "gone", "there is no folder"),
        (tmp_path / "photos", tmp_path, "for manifests alone"),
        ([tmp_path / "photos"], tmp_path, "for manifests alone"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=message):
            list_source(source, root=root)
