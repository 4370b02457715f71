"""A photo is decoded once; large JPEGs are shrunk meanwhile, an effect that is bounded and named."""

import hashlib
import threading

import numpy as np
import pytest
from builders import encoded
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurize.extractors.base import golden_image
from featurize.photos.distort import DistortedPhoto, Distortion
from featurize.photos.photo import Photo, decode_policy, resize
from featurize.registry import make_extractor


def picture(width: int = 37, height: int = 23) -> Image.Image:
    return Image.fromarray(resize(golden_image(), width, height))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_scaled_jpeg_is_turned_too(scale):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Photo(encoded(picture(640, 320), "JPEG", exif=exif))
    assert photo.scale(shorter=320 // scale) == scale
    assert photo.rgb(shorter=320 // scale).shape == (640 // scale, 320 // scale, 3)


def large_photos(assets) -> list[Image.Image]:
    flowers = sorted((assets / "data/flowers").glob("*/*.jpg"))[::150]
    large = [
        Image.open(path).convert("RGB").resize((2600, 1950), Image.Resampling.BICUBIC) for path in flowers
    ]
    y, x = np.mgrid[0:1950, 0:2600]
    rings = 127 + 120 * np.sin(((x - 1300) ** 2 + (y - 975) ** 2) / 20_000)
    return [*large, Image.fromarray(np.dstack([rings, rings[::-1], 255 - rings]).astype(np.uint8))]


def test_scaled_decoding_is_close_to_full_decoding(assets):
    limit = make_extractor("inception_v3", weights="random").description()["decode"]["shorter"]
    assert limit >= 299
    for image in large_photos(assets):
        photo = Photo(encoded(image, "JPEG", quality=92))
        assert photo.scale(shorter=limit) > 1
        full = resize(photo.rgb(), 299, 299).astype(int)
        scaled = resize(photo.rgb(shorter=limit), 299, 299).astype(int)
        # In grey levels; seen: mean 0.11 to 0.33, largest 3. Neighbouring pixels differ by 4 to 39 on average.
        assert np.abs(full - scaled).mean() < 0.5
        assert np.abs(full - scaled).max() <= 6


@settings(max_examples=50, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300), limit=st.integers(1, 300))
def test_scaling_keeps_the_wanted_pixels(width, height, limit):
    photo = Photo(encoded(Image.new("RGB", (width, height)), "JPEG"))
    scale = photo.scale(shorter=limit)
    decoded = photo.rgb(shorter=limit)
    assert decoded.shape == (-(-height // scale), -(-width // scale), 3)
    assert min(decoded.shape[:2]) >= min(limit, width, height)
    assert scale == 8 or scale * 2 > min(width, height) // limit or scale == 1 == min(width, height) // limit


def test_other_formats_are_never_scaled():
    assert Photo(encoded(picture(800, 800), "PNG")).scale(shorter=10) == 1


def test_the_policy_tells_scaled_from_full_decoding_and_stands_in_the_fingerprint():
    assert decode_policy(shorter=299) != decode_policy() != decode_policy(longer=512)
    assert decode_policy()["jpeg"] == "full"
    assert "1/8" in decode_policy(longer=512)["jpeg"]
    for spec in ("inception_v3", "glcm"):
        assert "1/8" in make_extractor(spec, weights="random").description()["decode"]["jpeg"]


@pytest.mark.parametrize("limit", [{}, {"shorter": 100}, {"longer": 100}])
def test_the_picture_and_the_array_are_the_same_pixels(limit):
    of_a_file = Photo(encoded(picture(640, 480), "JPEG"))
    of_an_array = Photo.from_array(golden_image())
    distortion = Distortion(1, flip_left_right=True, random_crop=20)
    copy = DistortedPhoto(of_a_file, distortion, distortion.variants[0], "ab" * 32)
    for photo in (of_a_file, of_an_array, copy):
        np.testing.assert_array_equal(np.asarray(photo.image(**limit)), photo.rgb(**limit))
    assert copy.image(**limit).size == of_a_file.image(**limit).size
    assert not np.array_equal(copy.rgb(**limit), of_a_file.rgb(**limit))


def test_nobody_can_write_into_pixels_that_others_will_see():
    mine = golden_image()
    photo = Photo.from_array(mine)
    for shared in (photo, photo.view("copy", np.copy), photo.view("crop", lambda rgb: rgb[:9, :9])):
        with pytest.raises(ValueError, match="read-only"):
            shared.rgb()[0] = 0
    mine[0] = 0  # still belongs to the caller


def test_threads_share_one_decoding():
    photo = Photo(encoded(picture(400, 300), "JPEG"))
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(id(photo.rgb()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


def test_the_golden_image_never_changes():
    image = golden_image()
    assert image.shape == (96, 128, 3) and image.dtype == np.uint8
    assert hashlib.sha256(image.tobytes()).hexdigest() == GOLDEN


GOLDEN = "4021b1dff00e3265f3523b96e926f9c47cd96c1f836316fa936a6795d50786bb"
