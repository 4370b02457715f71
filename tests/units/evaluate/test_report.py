"""Thumbnails: small, upright, of every kind of picture, and only of photos that are there."""

import base64
import hashlib
import io
import os

import pytest
from PIL import Image

from featurize.pages import Thumbnails
from featurize.table import FeatureTable


def thumbnail_of(folder, name, **source):
    (path,) = folder.parent.rglob("*.png") if folder.suffix else [folder / name]
    table = FeatureTable.from_arrays({}, image=[name], sha256=[hashlib.sha256(path.read_bytes()).hexdigest()])
    table.metadata["source"] = {"path": str(folder), "kind": "folder"} | source
    address = Thumbnails(table).thumbnail(name)
    return address and Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_thumbnails_are_small_and_upright(tmp_path):
    picture = Image.new("RGB", (1000, 500), "red")
    picture.paste("blue", (0, 0, 500, 500))
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned: what lies left belongs on top
    picture.save(tmp_path / "turned.jpg", exif=exif)
    small = thumbnail_of(tmp_path, "turned.jpg")
    assert small.size == (80, 160)
    top, bottom = small.getpixel((40, 20)), small.getpixel((40, 140))
    assert top[2] > 200 > 60 > top[0] and bottom[0] > 200 > 60 > bottom[2]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_picture_becomes_a_thumbnail(tmp_path, mode):
    Image.new(mode, (300, 200)).save(tmp_path / "x.tif")
    assert thumbnail_of(tmp_path, "x.tif").size == (160, 107)


def test_photos_of_a_manifest_lie_beside_it_and_odd_names_are_read_back(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a\\b.png")
    (tmp_path / "photos.csv").touch()
    assert thumbnail_of(tmp_path / "photos.csv", r"a\\b.png", kind="manifest").size == (8, 8)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_with_the_name_of_a_photo_does_not_hold_up_the_report(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    table = FeatureTable.from_arrays({}, image=["x.jpg"])
    assert Thumbnails(table, tmp_path).thumbnail("x.jpg") is None
    assert Thumbnails(table).thumbnail("x.jpg") is None  # a table without source has no photos
