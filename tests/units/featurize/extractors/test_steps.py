"""Steps: what each does to pixels that one can follow by eye, and that none changes its input."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from featurize import GLCM, LBP, BottleheadError
from featurize.extractors.base import golden_image
from featurize.photos.decode import ImageRejected
from featurize.photos.photo import Photo
from featurize.photos.preprocess import STEPS, apply_steps, describe_steps

EVERY = ["grayscale", "crop:50", "resize:40", "median:3", "remove-hair", "segment-lesion", "equalize"]


def test_every_step_is_tested():
    assert [step.partition(":")[0] for step in EVERY] == list(STEPS)


@pytest.mark.parametrize("step", [*EVERY, "crop:400x20", "resize:30x50", "remove-hair:5"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (96, 128)])
def test_a_step_is_a_pure_function_from_rgb_to_rgb(step, shape):
    rgb = golden_image()[: shape[0], : shape[1]].copy()
    before = rgb.copy()
    once, again = apply_steps(rgb, [step]), apply_steps(rgb, [step])
    np.testing.assert_array_equal(rgb, before)
    np.testing.assert_array_equal(once, again)
    assert once.dtype == np.uint8 and once.ndim == 3 and once.shape[2] == 3 and once.size


@pytest.mark.parametrize("step", ["resize:224", "resize:30000x30000"])
def test_a_photo_that_would_become_too_large_is_rejected_before_it_does(step):
    strip = np.zeros((20_000, 1, 3), np.uint8)
    with pytest.raises(ImageRejected, match=r"would be resized to (224 × 4480000|30000 × 30000) pixels"):
        apply_steps(strip, [step])


def test_grayscale_weighs_red_green_and_blue():
    pure = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    grey = apply_steps(pure, ["grayscale"])
    assert grey[0, :, 0].tolist() == [round(255 * w) for w in (0.299, 0.587, 0.114)]
    assert (grey == grey[:, :, :1]).all()


def test_crop_takes_the_middle_and_leaves_shorter_sides():
    rgb = golden_image()
    np.testing.assert_array_equal(apply_steps(rgb, ["crop:32"]), rgb[32:64, 48:80])
    np.testing.assert_array_equal(apply_steps(rgb, ["crop:100"]), rgb[:, 14:114])
    np.testing.assert_array_equal(apply_steps(rgb, ["crop:500x10"]), rgb[43:53])


def test_resize_keeps_the_shape_or_takes_both_sides():
    rgb = golden_image()
    assert apply_steps(rgb, ["resize:48"]).shape == (48, 64, 3)
    assert apply_steps(rgb, ["resize:30x50"]).shape == (50, 30, 3)
    assert apply_steps(rgb[:7, :1000], ["resize:100", "crop:100"]).shape == (100, 100, 3)


def test_median_removes_specks_and_keeps_edges():
    rgb = np.zeros((20, 20, 3), np.uint8)
    rgb[:, 10:] = 200
    specked = rgb.copy()
    specked[5, 5] = 255
    np.testing.assert_array_equal(apply_steps(specked, ["median:3"]), rgb)


def test_equalize_spreads_brightness_and_keeps_grey_grey():
    dull = np.repeat(np.arange(100, 132, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    bright = apply_steps(dull, ["equalize"])
    # Pillow rounds the luma of some greys down by one level, which is a step of 8 here.
    np.testing.assert_allclose(bright[3, :, 0], np.arange(32) * 255 / 31, atol=8.5)
    assert (bright == bright[:, :, :1]).all()
    flat = np.full((5, 5, 3), (10, 90, 30), np.uint8)
    np.testing.assert_array_equal(apply_steps(flat, ["equalize"]), flat)


def test_segment_lesion_cuts_out_the_largest_dark_region():
    skin = np.full((120, 160, 3), 210, np.uint8)
    skin[40:90, 30:100] = 70
    skin[5:15, 140:150] = 20
    cut = apply_steps(skin, ["segment-lesion"])
    # The smoothing before Otsu may move an edge by a pixel.
    assert abs(cut.shape[0] - 50) <= 2 and abs(cut.shape[1] - 70) <= 2
    large = np.asarray(Image.fromarray(skin).resize((1600, 1200), Image.Resampling.NEAREST))
    assert abs(apply_steps(large, ["segment-lesion"]).shape[0] - 500) <= 20
    flat = np.full((30, 30, 3), 9, np.uint8)
    np.testing.assert_array_equal(apply_steps(flat, ["segment-lesion"]), flat)


def skin_and_hair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clean skin with a mole and pores, the same with hair, and where the hair is."""
    y, x = np.mgrid[0:260, 0:300]
    skin = np.stack([205 - y / 20, 160 - y / 15 + x / 40, 140 + x / 30], axis=2)
    skin[(y - 130) ** 2 + (x - 150) ** 2 < 60**2] -= (70, 70, 60)
    skin += np.random.default_rng(0).normal(0, 2, skin.shape)
    clean = Image.fromarray(skin.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    mask = Image.new("L", clean.size)
    draw = ImageDraw.Draw(mask)
    for i, width in enumerate((2, 3, 4, 2, 3, 5, 2, 3)):
        draw.line([(35 * i, 0), (300 - 30 * i, 259)], fill=255, width=width)
        draw.arc([20 * i, 10 * i, 20 * i + 180, 10 * i + 150], 200, 330, fill=255, width=width)
    hairy = Image.composite(Image.new("RGB", clean.size, (45, 30, 25)), clean, mask)
    return np.asarray(clean), np.asarray(hairy), np.asarray(mask) > 0


def test_remove_hair_gives_most_of_the_clean_skin_back():
    clean, hairy, hair = skin_and_hair()
    restored = apply_steps(hairy, ["remove-hair"])
    damage = np.abs(hairy.astype(int) - clean)[hair].mean()
    left = np.abs(restored.astype(int) - clean)[hair].mean()
    assert left < 0.05 * damage
    assert np.abs(restored.astype(int) - clean)[~hair].mean() < 1.0


def test_remove_hair_leaves_hairless_skin_alone():
    clean, _, _ = skin_and_hair()
    np.testing.assert_array_equal(apply_steps(clean, ["remove-hair"]), clean)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["blur"], "the steps are grayscale, crop"),
        (["crop"], "write crop:100"),
        (["crop:0"], "write crop:100"),
        (["median:4"], "K odd"),
        (["grayscale:"], "write grayscale"),
        (["remove-hair:2"], "3 to 99"),
        ("grayscale", "give a list"),
    ],
)
def test_wrong_steps_are_refused_before_any_photo_is_read(steps, message):
    with pytest.raises(BottleheadError, match=message):
        GLCM(preprocess=steps).fingerprint()


def test_steps_are_part_of_the_fingerprint_in_order_and_in_canonical_form():
    plain, one = GLCM().fingerprint(), GLCM(preprocess=["median:3"]).fingerprint()
    other = GLCM(preprocess=["median:5"]).fingerprint()
    forth = GLCM(preprocess=["grayscale", "equalize"]).fingerprint()
    back = GLCM(preprocess=["equalize", "grayscale"]).fingerprint()
    assert len({plain, one, other, forth, back}) == 5
    assert one == GLCM(preprocess=("median:3",)).fingerprint()
    assert describe_steps(["crop:9"]) == describe_steps(["crop:9x9"])
    assert describe_steps(["remove-hair"]) == describe_steps(["remove-hair:11"])


def test_an_extractor_sees_the_photo_after_its_steps():
    rgb = golden_image()
    steps = ("crop:60", "median:3")
    expected = GLCM().transform([apply_steps(rgb, steps)])
    np.testing.assert_array_equal(GLCM(preprocess=steps).transform([rgb]), expected)


def test_extractors_with_the_same_steps_share_their_result():
    photo, steps = Photo.from_array(golden_image()), ("median:5",)
    assert GLCM(preprocess=steps).view(photo) is LBP(preprocess=list(steps)).view(photo)
    assert GLCM().view(photo) is photo
