"""What scan says is what extract does; every file is in one of three places."""

import io
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.errors import SourceError
from featurize.extraction.run import run_extraction
from featurize.extractors.base import Extractor, golden_image
from featurize.photos import scan as scan_module
from featurize.photos.scan import Scan, scan_source
from featurize.photos.source import list_source
from featurize.store.store import Store


class MeanColor(Extractor):
    """The quickest extractor that decodes every photo."""

    family, version = "mean-color", 1
    value_names = ("red", "green", "blue")

    def __init__(self, store=None):
        self.store = store

    def settings(self):
        return {}

    def prepare(self, photo):
        return photo.rgb(shorter=1).mean(axis=(0, 1), dtype=np.float32)

    def vectors(self, prepared):
        return np.stack(prepared)


def encoded(kind: str, shade: int = 0, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(golden_image() // 2 + np.uint8(shade)).save(stream, kind, **options)
    return stream.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99)))


CONTENTS = {
    "jpeg": encoded("JPEG"),
    "jpeg-2": encoded("JPEG", 9),
    "png": encoded("PNG", 20),
    "gif": encoded("GIF"),
    "webp": encoded("WEBP", 30),
    "tiff": encoded("TIFF", 40),
    "truncated": encoded("JPEG")[:900],
    "truncated-png": encoded("PNG")[:900],
    "empty": b"",
    "text": b"not a photo",
    "appledouble": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ",
    "bomb": bomb(),
}
BAD = {"truncated", "truncated-png", "empty", "text", "appledouble", "bomb"}


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENTS[content] if isinstance(content, str) else content)
    return path


def assert_extract_does_what_scan_says(source, found: Scan, store: Path) -> None:
    listed = list_source(source)
    if not found.usable:
        with pytest.raises(SourceError, match="not one of"):
            run_extraction(listed, MeanColor(), store=Store(store), jobs=2)
        return
    result = run_extraction(listed, MeanColor(), store=Store(store), jobs=2)
    table = result.table
    assert table.image.tolist() == [image.image for image, _ in found.usable]
    assert table.label.tolist() == [image.label for image, _ in found.usable]
    for name in ("sha256", "width", "height", "bytes", "format"):
        assert table.column(name).tolist() == [getattr(content, name) for _, content in found.usable]
    assert table.groups.tolist() == found.groups.tolist()
    assert result.rejects == found.rejects
    assert result.ignored == found.ignored


FOLDERS = st.sampled_from(["", "daisy", "rose", "rose/deep", ".hidden"])
NAMES = st.sampled_from(["1.jpg", "2.JPG", "3.png", "4.gif", "x.txt", "._1.jpg", "Thumbs.db"])
TREES = st.dictionaries(st.tuples(FOLDERS, NAMES), st.sampled_from(sorted(CONTENTS)), min_size=1, max_size=14)


@settings(max_examples=40, deadline=None)
@given(tree=TREES)
def test_any_tree_adds_up_and_is_extracted_as_scanned(tmp_path_factory, tree):
    root = tmp_path_factory.mktemp("tree")
    for (folder, name), content in tree.items():
        put(root / "photos" / folder / name, content)
    try:
        found = scan_source(root / "photos", jobs=2)
    except SourceError:
        visible = [
            name for folder, name in tree if folder != ".hidden" and not name.startswith(("._", "T", "x"))
        ]
        assert not visible
        return
    assert len(found.usable) + len(found.rejects) + found.ignored.total() == len(tree)
    for image, _ in found.usable:
        folder, _, name = image.image.rpartition("/")
        assert tree[folder, name] not in BAD
    for name, reason in found.rejects:
        folder, _, file = name.rpartition("/")
        assert tree[folder, file] in BAD and reason
    assert_extract_does_what_scan_says(root / "photos", found, root / "store")


def test_real_photos_oddities_and_junk_are_extracted_as_scanned(assets, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(assets / "data/flowers", photos)
    shutil.copytree(assets / "data/oddities", photos, dirs_exist_ok=True)
    for number, content in enumerate(sorted(CONTENTS)):
        put(photos / "junk" / f"{number}.jpg", content)
    (real_appledouble,) = list((photos / "appledouble_named_jpg").iterdir())[:1]
    shutil.copy(real_appledouble, photos / "junk" / real_appledouble.name.lstrip("._"))
    (photos / "junk/broken.jpg").symlink_to("gone")
    (photos / "junk/loop").symlink_to(photos)
    found = scan_source(photos)
    n_files = sum(len(files) + ("loop" in folders) for _, folders, files in os.walk(photos))
    assert len(found.usable) + len(found.rejects) + found.ignored.total() == n_files
    assert len(found.rejects) == len(BAD) + 3
    assert {label: len(rows) for label, rows in found.classes.items()} == {
        **dict.fromkeys(["daisy", "dandelion", "roses", "sunflowers", "tulips"], 150),
        "junk": len(CONTENTS) - len(BAD),
        "mpo_named_jpg": 1,
        "png_palette": 1,
        "png_rgba": 3,
    }
    assert found.n_groups("sunflowers") == 148
    same = [sorted(image.image for image in images) for images in found.conflicts]
    assert same == [["roses/15922772266_1167a06620.jpg", "tulips/15922772266_1167a06620.jpg"]]
    assert len(found.identical) == 3
    assert_extract_does_what_scan_says(photos, found, tmp_path / "store")


def test_labels_that_differ_in_unicode_form_collide(tmp_path):
    put(tmp_path / "caf\u00e9/1.jpg", "jpeg")
    put(tmp_path / "cafe\u0301/2.jpg", "jpeg-2")
    assert scan_source(tmp_path).colliding_labels == [["cafe\u0301", "caf\u00e9"]]


def test_a_scan_queues_few_photos_however_many_there_are(tmp_path, monkeypatch):
    lengths = []

    class Watched(ThreadPoolExecutor):
        def submit(self, *args, **options):
            lengths.append(self._work_queue.qsize())
            return super().submit(*args, **options)

    monkeypatch.setattr(scan_module, "ThreadPoolExecutor", Watched)
    for number in range(300):
        put(tmp_path / f"{number}.jpg", "empty")
    assert len(scan_source(tmp_path, jobs=2).rejects) == len(lengths) == 300
    assert max(lengths) < 8


# -- while it runs --------------------------------------------------------------------------------


class Meddler(MeanColor):
    """Does something to the folder when it sees its first photo."""

    meddle: Callable[[], object]

    def prepare(self, photo):
        self.meddle()
        return super().prepare(photo)


def run_with_files_known(photos: Path, extractor: Extractor, folder: Path):
    """A run that knows from an earlier one what every file holds, and so reads none before it is decoded."""
    source, store = list_source(photos), Store(folder, young_seconds=-1.0)
    list(store.file_index().read([image.path for image in source.images]))
    return run_extraction(source, extractor, store=store, jobs=1)


@pytest.mark.parametrize(
    "meddle, reason",
    [
        (lambda path: path.unlink(missing_ok=True), "cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(CONTENTS["png"]), "changed while it was being featurized; run again"),
        (lambda path: path.write_bytes(b""), "changed while it was being featurized; run again"),
    ],
)
def test_a_photo_that_vanishes_or_changes_costs_only_itself(tmp_path, meddle, reason):
    for name, content in {"a": "jpeg", "b": "jpeg-2", "z": "webp"}.items():
        put(tmp_path / "photos" / f"{name}.jpg", content)
    extractor = Meddler()
    extractor.meddle = lambda: meddle(tmp_path / "photos/z.jpg")
    result = run_with_files_known(tmp_path / "photos", extractor, tmp_path / "store")
    assert result.table.image.tolist() == ["a.jpg", "b.jpg"]
    assert result.rejects == [("z.jpg", reason)]


def test_a_photo_whose_twin_vanishes_keeps_its_row(tmp_path):
    for name, content in {"a": "jpeg", "y": "webp", "z": "webp"}.items():
        put(tmp_path / "photos" / f"{name}.jpg", content)
    extractor = Meddler()
    extractor.meddle = lambda: (tmp_path / "photos/y.jpg").unlink(missing_ok=True)
    result = run_with_files_known(tmp_path / "photos", extractor, tmp_path / "store")
    # Its content was read before it went, and stands in its twin.
    assert result.table.image.tolist() == ["a.jpg", "y.jpg", "z.jpg"] and result.rejects == []
    np.testing.assert_array_equal(
        result.table.vectors["mean-color"][1], result.table.vectors["mean-color"][2]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="drops root's rights")
def test_a_photo_without_permission_is_rejected(tmp_path):
    put(tmp_path / "ok.jpg", "jpeg")
    put(tmp_path / "secret.jpg", "jpeg-2").chmod(0)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    code = (
        "import os\n"
        "from featurize.photos.scan import scan_source\n"
        "scan_source(os.curdir)  # so that nothing is left to import without rights\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "print(scan_source(os.curdir).rejects)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[('secret.jpg', 'cannot be read: Permission denied')]"
