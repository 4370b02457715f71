"""Photos in zip and tar archives, through the commands: all is as if the archive were unpacked to a folder."""

import csv
import gzip
import io
import json
import random
import signal
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from builders import Outcome, encoded, noise, pack, run, write_archive, write_photos

from classify import train_model
from evaluate import compare
from featurize import BottleheadError, FeatureTable, extract

KINDS = ("zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz")


def photo(seed: int = 0, kind: str = "PNG") -> bytes:
    return encoded(noise(seed=seed), kind)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Classes, one with folders in it, and everything else that may lie in a folder of photos."""
    names = [f"{label}/{n}.{kind}" for label in ("rust", "été") for n in range(4) for kind in ("png", "jpg")]
    names += [f"steel/patient{n}/{n}.png" for n in range(3)]
    photos = write_photos(tmp_path_factory.mktemp("folder") / "photos", names)
    write_photos(photos, ["rust/@eaDir/1.png", "__MACOSX/rust/1.png", ".hidden/1.png", "beside.png"], seed=99)
    (photos / "rust/copy.png").write_bytes((photos / "été/1.png").read_bytes())
    (photos / "rust/bad.jpg").write_text("no photo")
    (photos / "rust/empty.png").write_bytes(b"")
    (photos / "rust/cut.jpg").write_bytes((photos / "rust/1.jpg").read_bytes()[:-200])
    (photos / "rust/phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    (photos / "rust/notes.txt").write_text("notes")
    (photos / "rust/more.zip").write_bytes(b"PK")
    (photos / "empty").mkdir()
    return photos


@pytest.fixture
def command(tmp_path):
    def called(source: Path | str, *words: str | Path, name: str = "t") -> Outcome:
        places = ["-o", tmp_path / f"{name}.parquet", "--store", tmp_path / f"store-{name}"]
        return run("featurize", "extract", source, *places, "--features", "color", *words)

    return called


def rejects_of(table: Path) -> list[list[str]]:
    file = table.with_suffix(".rejects.csv")
    return list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:] if file.exists() else []


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_from_an_archive_is_that_of_its_folder_but_for_the_source(kind, folder, command, tmp_path):
    archive = pack(folder, tmp_path / f"photos.{kind}")
    options = ["--group-by", r"(patient\d+)", "--distort", "1", "--flip-left-right"]
    expected, done = command(folder, *options, name="folder"), command(archive, *options, name="archive")
    assert (expected.status, done.status) == (0, 0)
    of_folder, of_archive = (
        FeatureTable.read(tmp_path / f"{name}.parquet") for name in ("folder", "archive")
    )
    assert of_archive.digest() == of_folder.digest() and len(of_archive) == 2 * 20
    assert of_archive.metadata["source"] == {"path": str(archive), "kind": "archive"}
    assert of_archive.metadata["features"] == of_folder.metadata["features"]
    assert rejects_of(tmp_path / "archive.parquet") == rejects_of(tmp_path / "folder.parquet") != []
    said = [line.replace("folder.", "archive.") for line in expected.err.splitlines()]
    assert done.err.splitlines() == said
    assert "ignored files ending in .zip: 1" in done.err and "no photos are in empty" in done.err
    about = []
    for source in (folder, archive):
        run("featurize", "scan", source, "--json", tmp_path / "scan.json")
        about.append(json.loads((tmp_path / "scan.json").read_text()))
    assert about[1] == about[0] | {"source": {"path": str(archive), "kind": "archive"}}


WRAPPED = {
    "in the folder that was packed": ("photos/", "photos/"),
    "in two folders, as hosting sites pack": ("flowers-main/data/", "flowers-main/data/"),
    "below the current folder": ("./", None),
}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("prefix,said", WRAPPED.values(), ids=WRAPPED)
def test_a_folder_around_everything_is_taken_for_the_source_and_said(
    prefix, said, kind, folder, command, tmp_path
):
    archive = pack(folder, tmp_path / f"p.{kind}", prefix)
    done = command(archive)
    assert (f"all photos are in the folder {said}, which is taken for the source" in done.err) == (
        said is not None
    )
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.digest() == extract(folder, ["color"], store=tmp_path / "store-t").digest()


def test_one_class_alone_is_a_class_and_photos_in_no_folder_have_no_label(command, tmp_path):
    write_archive(tmp_path / "one.zip", {"rust/1.png": photo(1), "rust/2.png": photo(2)})
    write_archive(tmp_path / "flat.tar", {"1.png": photo(1), "2.png": photo(2)})
    assert "labels: rust 2" in command(tmp_path / "one.zip").err
    assert command(tmp_path / "flat.tar").status == 0
    assert list(FeatureTable.read(tmp_path / "t.parquet").label) == [None, None]


def test_split_folders_in_an_archive_are_splits(command, tmp_path):
    names = [
        f"data/{split}/{label}/{n}.png" for split in ("train", "val", "test") for label in "ab" for n in "12"
    ]
    write_archive(tmp_path / "p.tgz", {name: photo(seed) for seed, name in enumerate(names)})
    done = command(tmp_path / "p.tgz")
    assert "the folders train, val and test are read as splits" in done.err
    assert "labels: a 6, b 6\nsplits: training 4, validation 4, testing 4\n" in done.err


def zip_entry(name: str, data: bytes, **facts) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


def zip_of(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes], **patched: int) -> Path:
    """A zip of `entries`; `patched` numbers are written into the last one's headers, whatever the truth is."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    local = struct.unpack_from("<L", data, central + 42)[0]
    for fact, value in patched.items():
        form, in_central, in_local = {
            "flags": ("<H", 8, 6),
            "method": ("<H", 10, 8),
            "checksum": ("<L", 16, 14),
            "packed": ("<L", 20, 18),
            "size": ("<L", 24, 22),
        }[fact]
        struct.pack_into(form, data, central + in_central, value)
        struct.pack_into(form, data, local + in_local, value)
    path.write_bytes(data)
    return path


GOOD = ("a/good.png", photo(1))
LINK = {"create_system": 3, "external_attr": 0o120777 << 16}
PIPE = {"create_system": 3, "external_attr": 0o010644 << 16}
BAD_ZIPS = {
    "encrypted": ([("a/x.png", photo())], {"flags": 1}, "encrypted: unpack it with its password"),
    "wrong checksum": (
        [("a/x.png", photo())],
        {"checksum": 7},
        "damaged in the archive: its checksum is another",
    ),
    "longer than it says": (
        [zip_entry("a/x.png", photo(), compress_type=8)],
        {"size": 9},
        "damaged in the archive",
    ),
    "another method": ([("a/x.png", photo())], {"method": 99}, "packed by method 99, which is not read"),
    "no deflate": ([("a/x.png", photo())], {"method": 8}, "damaged in the archive: Error -3"),
    "too large": (
        [("a/x.png", photo())],
        {"size": 1 << 30},
        "1,073,741,824 bytes; at most 536,870,912 are read",
    ),
    "bomb": (
        [zip_entry("a/x.png", bytes(1 << 20), compress_type=8)],
        {"size": 500 << 20},
        "it would unpack to 524 MB",
    ),
    "link": (
        [zip_entry("a/x.png", b"/etc/passwd", **LINK)],
        {},
        "a link, which is not followed in an archive",
    ),
    "pipe": ([zip_entry("a/x.png", b"", **PIPE)], {}, "not a regular file"),
    "up": ([("../x.png", photo())], {}, "its name leads out of the archive"),
    "up within": ([("a/../../x.png", photo())], {}, "its name leads out of the archive"),
    "absolute": ([("/etc/x.png", photo())], {}, "its name leads out of the archive"),
    "drive": ([("C:/x.png", photo())], {}, "its name leads out of the archive"),
}


@pytest.mark.parametrize("entries,patched,reason", BAD_ZIPS.values(), ids=BAD_ZIPS)
def test_a_bad_member_of_a_zip_is_a_reject_with_its_reason(entries, patched, reason, command, tmp_path):
    path = zip_of(tmp_path / "p.zip", GOOD, *entries, **patched)
    done = command(path, "--strict")
    assert done.status == 1 and "1 image was left out (--strict)" in done.error
    ((name, said),) = rejects_of(tmp_path / "t.parquet")
    assert name == getattr(entries[0][0], "filename", entries[0][0]) and said.startswith(reason)
    assert list(FeatureTable.read(tmp_path / "t.parquet").image) == ["a/good.png"]
    assert f"× {reason}" in run("featurize", "scan", path).out


def tar_entry(name: str, data: bytes = b"", **facts) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info, data


BAD_TAR_MEMBERS = {
    "symbolic link": (
        tar_entry("a/x.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "a link, which is not",
    ),
    "hard link": (
        tar_entry("a/x.png", type=tarfile.LNKTYPE, linkname="a/good.png"),
        "a link, which is not followed",
    ),
    "device": (tar_entry("a/x.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5), "not a regular file"),
    "pipe": (tar_entry("a/x.png", type=tarfile.FIFOTYPE), "not a regular file"),
    "up": (tar_entry("../x.png", photo()), "its name leads out of the archive"),
    "absolute": (tar_entry("/x.png", photo()), "its name leads out of the archive"),
}


@pytest.mark.parametrize("kind", ["tar", "gz"])
@pytest.mark.parametrize("entry,reason", BAD_TAR_MEMBERS.values(), ids=BAD_TAR_MEMBERS)
def test_a_bad_member_of_a_tar_is_a_reject_with_its_reason(entry, reason, kind, command, tmp_path):
    path = tmp_path / f"p.tar{'.gz' * (kind == 'gz')}"
    with tarfile.open(path, f"w:{kind if kind == 'gz' else ''}") as archive:
        for info, data in (tar_entry(*GOOD), entry, tar_entry("a/later.png", photo(3))):
            archive.addfile(info, io.BytesIO(data))
    assert command(path).status == 0
    ((name, said),) = rejects_of(tmp_path / "t.parquet")
    assert name == entry[0].name and said.startswith(reason)
    assert list(FeatureTable.read(tmp_path / "t.parquet").image) == ["a/good.png", "a/later.png"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_of_a_name_that_comes_twice_the_later_photo_is_used_as_when_it_is_unpacked(kind, command, tmp_path):
    members = [("a/1.png", photo(1)), ("a/2.png", photo(2)), ("./a//1.png", photo(3))]
    path = write_archive(tmp_path / f"p.{kind}", members)
    assert command(path).status == 0
    assert rejects_of(tmp_path / "t.parquet") == [
        ["a/1.png", "in the archive twice; the later one is used, as when it is unpacked"]
    ]
    folder = write_photos(tmp_path / "folder/a", ["x.png"]).parent
    (folder / "a/x.png").unlink()
    (folder / "a/1.png").write_bytes(photo(3))
    (folder / "a/2.png").write_bytes(photo(2))
    assert (
        FeatureTable.read(tmp_path / "t.parquet").digest()
        == extract(folder, ["color"], store=tmp_path).digest()
    )


def bomb_in_a_tar(path: Path, size: int) -> Path:
    """A member of zeros that is unpacked, if at all, for much longer than the test takes; it begins here."""
    info = tarfile.TarInfo("a/zeros.bin")
    info.size = size
    with gzip.open(path, "wb", 1) as stream:
        stream.write(info.tobuf() + bytes(1 << 20))
    return path


def long_header_bomb(path: Path) -> Path:
    """A name of a hundred megabytes, in a file of a hundred kilobytes."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 100 << 20
    with gzip.open(path, "wb", 1) as stream:
        stream.write(info.tobuf())
        stream.write(bytes(100 << 20))
    return path


def zip_of_bombs(path: Path) -> Path:
    """Twenty members of 60 MB, each of which may be read, and all of which may not."""
    zeros = bytes(60 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a/0.png", zeros)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entry, tail = bytes(data[central:end]), bytearray(data[end:])
    entries = [entry.replace(b"a/0.png", b"a/%c.png" % (97 + n)) for n in range(20)]
    struct.pack_into("<HHL", tail, 8, 20, 20, len(entry) * 20)
    path.write_bytes(bytes(data[:central]) + b"".join(entries) + bytes(tail))
    return path


def test_bombs_are_refused_without_unpacking_them(tmp_path):
    cases = {
        bomb_in_a_tar(tmp_path / "p.tgz", 1 << 40): "is refused: it would unpack to 1,099,512 MB",
        long_header_bomb(tmp_path / "p.tar.gz"): "cannot be read as an archive",
        zip_of_bombs(tmp_path / "p.zip"): "is refused: it would unpack to 1,1",
    }
    for path, said in cases.items():
        tracemalloc.start()
        done = run("featurize", "scan", path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert done.status == 1 and said in done.error and done.hint, path
        assert peak < 30 << 20, (path, peak)


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_archive_that_is_cut_off_what_is_whole_is_used_and_the_rest_said(
    kind, folder, command, tmp_path
):
    whole = pack(folder, tmp_path / f"whole.{kind}").read_bytes()
    path = tmp_path / f"p.{kind}"
    path.write_bytes(whole[: len(whole) // 2])
    done = command(path)
    if kind == "zip":  # its directory is at its end
        assert done.status == 1 and "cannot be read as an archive" in done.error
        assert "download or pack it again" in done.hint
    elif kind == "tar.bz2":  # which is packed in blocks that are larger than this archive
        assert done.status == 1 and "cannot be read as an archive" in done.error
    else:
        assert done.status == 0 and "is damaged or cut off: what follows" in done.err
        assert any("damaged or cut off here" in reason for _, reason in rejects_of(tmp_path / "t.parquet"))
        found = FeatureTable.read(tmp_path / "t.parquet")
        complete = extract(folder, ["color"], store=tmp_path / "store-t")
        assert 0 < len(found) < len(complete) and set(found.sha256) <= set(complete.sha256)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04", bytes(1024), zlib.compress(bytes(99))])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_what_is_no_archive_is_one_error(data, kind, tmp_path):
    path = tmp_path / f"p.{kind}"
    path.write_bytes(data)
    for words in (["featurize", "scan", path], ["featurize", "extract", path, "-o", tmp_path / "t.npz"]):
        done = run(*words)
        assert done.status == 1 and str(path) in done.error and done.hint
    with pytest.raises(BottleheadError, match=r"cannot be read as an archive|no images in"):
        extract([path], ["color"], store=tmp_path)


NAMES = {
    "UTF-8 that is said": ("été/1.png", 0x800, "utf-8", "été/1.png"),
    "UTF-8 that is not said, as macOS packs": ("été/1.png", 0, "utf-8", "été/1.png"),
    "CP437": ("été/1.png", 0, "cp437", "été/1.png"),
    "a backslash is text": ("a\\b/1.png", 0x800, "utf-8", "a\\\\b/1.png"),
}


@pytest.mark.parametrize("name,flags,encoding,expected", NAMES.values(), ids=NAMES)
def test_names_in_a_zip_are_those_that_were_meant(name, flags, encoding, expected, command, tmp_path):
    raw = name.encode(encoding)
    path = zip_of(tmp_path / "p.zip", ("x" * len(raw), photo()), flags=flags)
    path.write_bytes(path.read_bytes().replace(b"x" * len(raw), raw))
    assert command(path).status == 0
    assert list(FeatureTable.read(tmp_path / "t.parquet").image) == [expected]


def test_a_name_in_a_tar_that_is_no_utf_8_is_written_as_that_of_a_file(command, tmp_path):
    with tarfile.open(tmp_path / "p.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        info, data = tar_entry("caf\udce9/1.png", photo())
        archive.addfile(info, io.BytesIO(data))
    assert command(tmp_path / "p.tar").status == 0
    assert list(FeatureTable.read(tmp_path / "t.parquet").image) == ["caf\\xE9/1.png"]


def test_a_member_of_a_zip_without_a_name_is_nothing(command, tmp_path):
    path = zip_of(tmp_path / "p.zip", GOOD, ("nameless", photo(2)))
    path.write_bytes(path.read_bytes().replace(b"nameless", b"\0ameless"))
    assert command(path).status == 0
    assert list(FeatureTable.read(tmp_path / "t.parquet").image) == ["a/good.png"]


def test_a_manifests_options_and_an_archive_are_an_error(command, tmp_path):
    write_archive(tmp_path / "p.zip", {"1.png": photo()})
    done = command(tmp_path / "p.zip", "--root", tmp_path)
    assert done.status == 1 and "for manifests alone" in done.error


def test_an_archive_without_photos_says_what_it_holds(command, tmp_path):
    write_archive(tmp_path / "p.tgz", {"a/1.txt": b"x", "inner.zip": b"PK"})
    assert "2 other files were ignored" in command(tmp_path / "p.tgz").error


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_a_model_predicts_photos_in_an_archive_as_those_of_the_folder(kind, folder, command, tmp_path):
    archive = pack(folder, tmp_path / f"p.{kind}", "inside/")
    command(archive)
    assert run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m", "--head", "knn").status == 0

    def answers(source: Path) -> dict[str, list[str]]:
        words = ["--store", tmp_path / "other", "--format", "csv", "--top", "0"]
        done = run("classify", "predict", tmp_path / "m", source, *words)
        assert done.status == 0
        return {line[0].removeprefix(f"{source}/"): line[1:] for line in csv.reader(io.StringIO(done.out))}

    assert answers(archive) == answers(folder)


@pytest.mark.parametrize("kind", ["zip", "tar.bz2"])
def test_a_report_shows_photos_out_of_the_archive_and_only_those_with_the_digest(kind, tmp_path):
    members = {f"w/{label}/{n}.png": photo(10 * n + ord(label)) for label in "ab" for n in range(6)}
    archive = write_archive(tmp_path / f"p.{kind}", members)
    table = extract(archive, ["color"], store=tmp_path / "store")
    page = compare(table, heads=["knn:n_neighbors=3"], cv=2, jobs=1).to_html()
    assert "data:image/jpeg" in page
    write_archive(archive, {name: photo(1000 + n) for n, name in enumerate(members)})
    assert "data:image/jpeg" not in compare(table, heads=["knn:n_neighbors=3"], cv=2, jobs=1).to_html()


def test_photos_in_archives_and_files_are_named_together(folder, tmp_path):
    one = write_archive(tmp_path / "one.zip", {"a/1.png": photo(1)})
    two = write_archive(tmp_path / "two.tar", {"a/1.png": photo(2)})
    alone = tmp_path / "alone.png"
    alone.write_bytes(photo(3))
    table = extract([two, alone, one, one], ["color"], store=tmp_path / "store")
    assert list(table.image) == [f"{two}/a/1.png", str(alone), f"{one}/a/1.png"]
    model = train_model(extract(folder, ["color"], store=tmp_path / "store"), "knn")
    assert len(model.labels) == 3


BESIDE = {
    ".cls": ({"1.cls": b"3\n", "2.cls": b"fern", "1.json": b'{"label": "no"}'}, ["3", "fern", None, None]),
    ".cls below folders": ({"1.cls": b"a", "4.cls": b"b"}, ["a", None, None, "b"]),
    ".json": (
        {"1.json": b'{"class": 7}', "2.json": b'{"label": "moss", "class": 1}', "3.json": b"[" * 9},
        ["7", "moss", None, None],
    ),
    ".txt that come again": (
        {f"{n}.txt": b"ab"[n % 2 : n % 2 + 1] for n in range(1, 5)},
        ["b", "a", "b", "a"],
    ),
    "captions": ({f"{n}.txt": b"photo %d" % n for n in range(1, 5)}, [None] * 4),
    "none": ({"1.seg": b"x", "5.cls": b"x", "2.cls": b"\xff"}, [None] * 4),
}


@pytest.mark.parametrize("kind", ["tar", "tgz"])
@pytest.mark.parametrize("beside,labels", BESIDE.values(), ids=BESIDE)
def test_files_beside_the_photos_of_a_tar_give_their_labels(beside, labels, kind, tmp_path):
    below = "deep/" if labels[-1] == "b" else ""
    members = {f"{below}{n}.png": photo(n) for n in range(1, 5)}
    members |= {f"{below}{name}": data for name, data in beside.items()}
    table = extract(write_archive(tmp_path / f"p.{kind}", members), ["color"], store=tmp_path / "store")
    assert list(table.label) == labels
    assert table.metadata["source"]["kind"] == ("webdataset" if any(labels) else "archive")


def test_class_folders_count_more_than_a_json_beside_a_photo(tmp_path):
    members = {"rust/1.png": photo(1), "rust/1.json": b'{"label": "x"}', "steel/2.png": photo(2)}
    table = extract(write_archive(tmp_path / "p.tar", members), ["color"], store=tmp_path / "store")
    assert list(table.label) == ["rust", "steel"]


@pytest.mark.parametrize(
    "pattern", ["train-{000..002}.tar", "train-*.tar", "{train-000,train-001,train-002}.tar"]
)
def test_shards_that_a_pattern_names_are_one_source(pattern, command, tmp_path):
    for shard in range(3):
        members = {f"{n}.png": photo(10 * shard + n) for n in range(4)}
        members |= {f"{n}.cls": str(n % 2).encode() for n in range(4)}
        write_archive(tmp_path / f"train-00{shard}.tar", members)
    done = command(f"{tmp_path}/{pattern}")
    assert "labels: 0 6, 1 6" in done.err and "ignored files ending in .cls: 12" in done.err
    table = FeatureTable.read(tmp_path / "t.parquet")
    assert table.image[5] == "train-001.tar/1.png" and len(set(table.sha256)) == 12
    assert "data:image/jpeg" in compare(table, heads=["knn:n_neighbors=3"], cv=2, jobs=1).to_html()
    run("classify", "train", tmp_path / "t.parquet", "-o", tmp_path / "m", "--head", "knn:n_neighbors=3")
    told = run("classify", "predict", tmp_path / "m", f"{tmp_path}/{pattern}", "--format", "csv")
    assert told.status == 0 and len(told.out.splitlines()) == 13
    missing = command(f"{tmp_path}/train-{{002..003}}.tar")
    assert missing.status == 1 and "there is no" in missing.error and "train-003.tar" in missing.error


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    photos = write_photos(tmp_path / "photos", [f"{'ab'[n % 2]}/{n}.png" for n in range(400)])
    archive = pack(photos, tmp_path / "p.tgz")
    words = ["extract", str(archive), "--features", "glcm", "--store", str(tmp_path / "store"), "--jobs", "1"]
    words += ["-o", str(tmp_path / "t.parquet")]
    command = [sys.executable, "-m", "featurize", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "store").rglob("*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    done = run("featurize", *words)
    assert done.status == 0
    found = FeatureTable.read(tmp_path / "t.parquet")
    assert found.digest() == extract(photos, ["glcm"], store=tmp_path / "store").digest()


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_damage_anywhere_in_an_archive_is_an_error_or_a_reject(kind, tmp_path, caplog):
    members = {f"a/{'n' * 120}{n}.png": photo(n) for n in range(3)} | {"a/": b"", "b": b""}
    whole = write_archive(tmp_path / f"whole.{kind}", members).read_bytes()
    path, rng, n_errors = tmp_path / f"p.{kind}", random.Random(kind), 0
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.choice([rng.randrange(len(data)), -1 - rng.randrange(400)])] = rng.choice(
                [0, 57, 120, 255]
            )
        path.write_bytes(data)
        try:
            extract(path, ["color"], store=tmp_path / "store", jobs=1)
        except BottleheadError:  # any other exception fails the test
            n_errors += 1
    assert 0 < n_errors < 40
    caplog.text.encode()  # a damaged name too is shown as text that can be written
