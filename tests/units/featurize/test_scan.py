"""What scan says is what extract does; every file is in one of three places."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, png
from hypothesis import given, settings
from hypothesis import strategies as st

from featurize.errors import SourceError
from featurize.extraction.run import run_extraction
from featurize.extractors.base import Extractor
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
        assert not [n for folder, n in tree if folder != ".hidden" and not n.startswith(("._", "T", "x"))]
        return
    assert len(found.usable) + len(found.rejects) + found.ignored.total() == len(tree)
    for image, _ in found.usable:
        folder, _, name = image.image.rpartition("/")
        assert tree[folder, name] not in BAD
    for name, reason in found.rejects:
        folder, _, file = name.rpartition("/")
        assert tree[folder, file] in BAD and reason
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


@pytest.mark.parametrize(
    "meddle, reason",
    [
        (lambda path: path.unlink(missing_ok=True), "cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(CONTENTS["png"]), "changed while it was being featurized; run again"),
        (lambda path: path.write_bytes(b""), "changed while it was being featurized; run again"),
    ],
)
def test_a_photo_that_vanishes_or_changes_costs_only_itself(tmp_path, meddle, reason):
    photos, store = tmp_path / "photos", Store(tmp_path / "store", young_seconds=-1.0)
    for name, content in {"a": "jpeg", "b": "jpeg-2", "z": "webp"}.items():
        put(photos / f"{name}.jpg", content)

    class Meddler(MeanColor):
        def prepare(self, photo):
            meddle(photos / "z.jpg")
            return super().prepare(photo)

    # An earlier run knows what every file holds, so that none is read before it is decoded.
    source = list_source(photos)
    list(store.file_index().read([image.path for image in source.images]))
    result = run_extraction(source, Meddler(), store=store, jobs=1)
    assert result.table.image.tolist() == ["a.jpg", "b.jpg"]
    assert result.rejects == [("z.jpg", reason)]
