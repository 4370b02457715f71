"""Steps: none changes its input, and their order and numbers are kept; contract/test_pixels.py shows what each does."""

import numpy as np
import pytest

from featurize import GLCM, LBP, BottleheadError
from featurize.extractors.base import golden_image
from featurize.photos.photo import Photo
from featurize.photos.preprocess import STEPS, apply_steps, describe_steps

EVERY = ["grayscale", "crop:50", "resize:40", "median:3", "remove-hair", "segment-lesion", "equalize"]


def test_every_step_is_tested():
    decoding = ["page", "stretch"]  # which work on files: tests/units/featurize/test_decode_version_2.py
    assert decoding + [step.partition(":")[0] for step in EVERY] == list(STEPS)


@pytest.mark.parametrize("step", [*EVERY, "crop:400x20", "resize:30x50", "remove-hair:5"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (96, 128)])
def test_a_step_is_a_pure_function_from_rgb_to_rgb(step, shape):
    rgb = golden_image()[: shape[0], : shape[1]].copy()
    before = rgb.copy()
    once, again = apply_steps(rgb, [step]), apply_steps(rgb, [step])
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(once, again)
    assert once.dtype == np.uint8 and once.ndim == 3 and once.shape[2] == 3 and once.size


@pytest.mark.parametrize(("steps", "message"), [
    (["blur"], "the steps are page, stretch, grayscale"), (["crop"], "write crop:100"), (["crop:0"], "write crop:100"),
    (["median:4"], "K odd"), (["grayscale:"], "write grayscale"), (["remove-hair:2"], "3 to 99"),
    ("grayscale", "give a list"),
])  # fmt: skip
def test_wrong_steps_are_refused_before_any_photo_is_read(steps, message):
    with pytest.raises(BottleheadError, match=message):
        GLCM(preprocess=steps).fingerprint()


def test_steps_are_kept_in_order_and_in_canonical_form():
    forth, again, back = (
        GLCM(preprocess=steps).fingerprint()
        for steps in (["crop:9", "equalize"], ("crop:9", "equalize"), ["equalize", "crop:9"])
    )
    assert forth == again != back
    assert describe_steps(["crop:9"]) == describe_steps(["crop:9x9"])
    assert describe_steps(["remove-hair"]) == describe_steps(["remove-hair:11"])


def test_a_flat_photo_stays_and_the_dark_region_of_a_large_one_is_cut_out_in_its_own_pixels():
    skin = np.full((1200, 1600, 3), 210, np.uint8)
    skin[400:900, 300:1000] = 70
    flat = np.full((5, 5, 3), (10, 90, 30), np.uint8)  # has no brightness to spread
    np.testing.assert_array_equal(apply_steps(flat, ["equalize"]), flat)
    height, width, _ = apply_steps(skin, ["segment-lesion"]).shape
    assert abs(height - 500) <= 20 and abs(width - 700) <= 20


def test_extractors_with_the_same_steps_share_their_result():
    photo, steps = Photo.from_array(golden_image()), ("median:5",)
    assert GLCM(preprocess=steps).view(photo) is LBP(preprocess=list(steps)).view(photo)
    assert GLCM().view(photo) is photo
