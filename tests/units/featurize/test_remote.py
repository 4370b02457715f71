"""URLs and paths told apart, credentials left out, and buckets listed in pages."""

import shutil
from pathlib import Path

import pytest
from builders import upload, write_photos

from featurize.errors import BottleheadError, without_credentials
from featurize.photos.source import list_source, origin_at
from featurize.photos.urls import Handover
from featurize.remote import RemotePath, is_url, path_at

PLACES = {
    "s3://bucket/a.jpg": True,
    "S3://bucket": True,
    "simplecache::s3://bucket/a.jpg": True,
    "git+ssh://x/y": True,
    "photos/a.jpg": False,
    "C://photos": False,
    "c:\\photos": False,
    "./s3://bucket": False,
    "/data/s3://bucket": False,
    "file:///data": False,
    "s3:/bucket": False,
    "": False,
}


@pytest.mark.parametrize(("text", "expected"), PLACES.items())
def test_what_a_url_is_shows_in_how_it_begins(text, expected):
    assert is_url(text) == expected == isinstance(path_at(text), RemotePath)
    assert not is_url(Path(text))


TEXTS = {
    "https://me:pa@ss@host/a.jpg is no photo": "https://host/a.jpg is no photo",
    "'sftp://me:secret@host/a b.jpg'": "'sftp://host/a b.jpg'",
    "https://host/a.jpg?X-Amz-Signature=12&x=1, and more": "https://host/a.jpg and more",
    "s3://bucket/what?.jpg": "s3://bucket/what?.jpg",
    "s3://bucket/a@b/c.jpg": "s3://bucket/a@b/c.jpg",
    "abfs://box/a.jpg?sv=1&sig=hush": "abfs://box/a.jpg",
    "why? me@host": "why? me@host",
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_credentials_are_left_out_of_messages(text, expected):
    assert without_credentials(text) == expected
    error = BottleheadError(text, text)
    assert (error.args[0], error.hint) == (expected, expected)


def test_parts_of_a_url_are_those_of_a_path():
    path = path_at("s3://bucket/photos/a.b.JPG")
    assert (path.name, path.suffix, str(path.parent)) == ("a.b.JPG", ".JPG", "s3://bucket/photos")
    web = path_at("https://me:pw@host/set/m.csv?token=1#x")
    assert (web.name, web.suffix, str(web.parent / "1.jpg")) == ("m.csv", ".csv", "https://host/set/1.jpg")
    assert (
        web.parent.url == "https://me:pw@host/set"
    )  # the login is good for the photos beside it, a signature is not


def test_a_photo_is_handed_over_once_and_the_memory_is_bounded():
    kept = Handover(most_bytes=5, most_photos=2)
    kept.put("a", b"123")
    kept.put("b", b"456")  # too much: the first of them will be asked for first
    assert "a" in kept and "b" not in kept and kept.take("a") == b"123" and kept.take("a") is None
    for name in "cde":
        kept.put(name, b"1")
    assert [kept.take(name) for name in "cde"] == [None, b"1", b"1"]
    kept.put("f", b"12345")
    assert kept.take("f") == b"12345"


def test_thousands_of_photos_are_listed_in_pages(s3, bucket):
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    for number in range(1100):  # of a page are 1,000
        backend.put_object(bucket.removeprefix("s3://"), f"many/{number % 3}/{number:05}.jpg", b"x")
    s3.requests.clear()
    found = list_source(f"{bucket}/many")
    names = sorted(f"{number % 3}/{number:05}.jpg" for number in range(1100))
    assert [image.image for image in found.images] == names
    assert {image.label for image in found.images} == {"0", "1", "2"}
    assert sum(method == "GET" for method, _ in s3.requests) <= 2 + 2  # and two looks at what is there


def test_photos_are_found_again_by_their_place(bucket, tmp_path):
    photos = write_photos(tmp_path / "photos", ["rough/1.png", "smooth/1.png"])
    upload(photos, f"{bucket}/photos")
    upload(Path(shutil.make_archive(str(tmp_path / "zips" / "p"), "zip", photos)).parent, bucket)
    data = (photos / "rough" / "1.png").read_bytes()
    for place in (f"{bucket}/photos/rough/1.png", f"{bucket}/p.zip/rough/1.png"):
        found = origin_at(place)
        assert found is not None and found.place == place and found.read() == data
    assert origin_at(f"{bucket}/photos/rough/2.png") is None is origin_at(f"{bucket}/p.zip/rough/2.png")


def test_photos_of_a_list_of_urls_are_kept_within_one_limit(tmp_path):
    names = [f"{n}.png" for n in range(6)]
    upload(write_photos(tmp_path / "photos", names), f"memory://{tmp_path.name}-list")
    urls = [f"memory://{tmp_path.name}-list/{name}" for name in names[:3]]
    images = list_source([*urls, f"memory://{tmp_path.name}-list/[3-5].png"]).images
    images[0].origin.kept.most_photos = 2
    assert len([image.origin.read() for image in images]) == 6
    assert sum(image.origin.place in image.origin.kept for image in images) == 2
