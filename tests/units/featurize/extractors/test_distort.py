"""Distorted copies: keys that never meet, how crop and scale are drawn, and what becomes of copies in a table."""

import hashlib

import numpy as np
import pytest
from builders import encoded, write_photos
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featurize import GLCM, Distortion
from featurize.extraction.run import run_extraction
from featurize.extractors.base import golden_image
from featurize.photos.distort import DistortedPhoto
from featurize.photos.photo import Photo
from featurize.photos.source import list_source

SHAS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(300)]


percent = st.integers(0, 100) | st.floats(0, 100)
settings = dict.fromkeys(["random_crop", "random_scale", "random_brightness"], percent)
distortions = st.builds(
    Distortion, copies=st.integers(1, 3), flip_left_right=st.just(True), seed=st.integers(0, 5), **settings
)


@given(distortions, distortions)
def test_two_settings_never_share_a_key(one, other):
    settings = [{k: v for k, v in vars(d).items() if k not in ("copies", "variants")} for d in (one, other)]
    shared = set(one.variants) & set(other.variants)
    assert len(shared) == (min(one.copies, other.copies) if settings[0] == settings[1] else 0)
    assert len(set(one.variants)) == one.copies
    assert all(0 < variant < 2**63 for variant in one.variants)


def test_whole_and_decimal_numbers_are_the_same_setting_and_more_copies_keep_the_first():
    assert Distortion(1, random_crop=10).variants == Distortion(1, random_crop=10.0).variants
    assert Distortion(4, random_crop=10).variants[:2] == Distortion(2, random_crop=10).variants


@pytest.mark.parametrize("along", [0, 1])
@pytest.mark.parametrize(("settings", "smallest", "largest"), [
    ({"random_crop": 50}, 1.5, 1.5), ({"random_scale": 100}, 1.0, 2.0),
    ({"random_crop": 100, "random_scale": 50}, 2.0, 3.0),
])  # fmt: skip
def test_crop_and_scale_enlarge_by_their_percentage_at_any_place(along, settings, smallest, largest):
    values = np.linspace(0, 240, 121).astype(np.uint8)  # a ramp, even along one side
    rgb = np.broadcast_to(values[None, :, None] if along else values[:, None, None], (121, 121, 3))
    distortion = Distortion(1, **settings)
    factors, places = [], []
    for sha256 in SHAS:
        copy = distortion.distort(rgb, distortion.variants[0], sha256).astype(float)
        line = copy[60, 10:-10, 0] if along == 1 else copy[10:-10, 60, 0]
        slope = np.polyfit(np.arange(len(line)), line, 1)[0]
        factors.append(2 / slope)
        room = 240 * (1 - slope / 2)
        if room > 10:
            places.append((line.mean() - 120) / room)
    assert copy.shape == rgb.shape
    assert min(factors) > smallest * 0.97 and max(factors) < largest * 1.03
    if smallest < largest:
        assert np.mean(factors) == pytest.approx((smallest + largest) / 2, rel=0.05)
    # Evenly from one edge of the photo to the other: mean 0, standard deviation 1/√12 of the room.
    assert abs(np.mean(places)) < 0.09 and np.std(places) == pytest.approx(12**-0.5, rel=0.15)


def test_a_copy_depends_on_content_setting_and_number_alone():
    distortion, rgb = Distortion(3, random_crop=30, random_brightness=30), golden_image()
    first, second, _ = distortion.variants
    made = [distortion.distort(rgb, *key) for key in [(first, SHAS[0]), (second, SHAS[0]), (first, SHAS[1])]]
    again = Distortion(1, random_crop=30, random_brightness=30).distort(rgb, first, SHAS[0])
    np.testing.assert_array_equal(made[0], again)
    assert len({copy.tobytes() for copy in made}) == 3


def test_a_large_jpeg_is_still_decoded_small():
    photo = Photo(encoded(Image.fromarray(golden_image()).resize((1280, 960)), "jpeg"))
    distortion = Distortion(1, random_crop=10)
    copy = DistortedPhoto(photo, distortion, distortion.variants[0], SHAS[0])
    assert copy.rgb(shorter=200).shape == (240, 320, 3)
    assert copy.rgb().shape == (960, 1280, 3)
    assert (copy.width, copy.height) == (1280, 960)


def test_the_vector_of_a_copy_is_that_of_its_pixels_and_a_damaged_photo_is_one_reject(tmp_path):
    distortion = Distortion(2, flip_left_right=True, random_crop=20, random_brightness=20, seed=3)
    photos = write_photos(tmp_path / "photos", ["0.png", "1.png"], 30, 20)
    whole = (photos / "0.png").read_bytes()
    (photos / "damaged.png").write_bytes(whole[: len(whole) // 2])
    result = run_extraction(list_source(photos), "glcm", store=tmp_path / "store", distort=distortion)
    assert [image for image, _ in result.rejects] == ["damaged.png"] and result.n_computed == 2
    table = result.table
    assert table.variant.tolist() == [0, *distortion.variants] * 2
    for row, variant in enumerate(table.variant):
        rgb = np.asarray(Image.open(photos / table.image[row]))
        if variant:
            rgb = distortion.distort(rgb, int(variant), table.sha256[row])
        np.testing.assert_array_equal(GLCM().transform([rgb])[0], table.vectors["glcm"][row])
