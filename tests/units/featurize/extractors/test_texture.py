"""The strong classical description: its parts against other libraries and by hand, and what it stays the same under."""

import numpy as np
import pytest
from builders import noise
from PIL import Image
from skimage.feature import graycomatrix, graycoprops, hog

from featurize import BottleheadError, Color, Texture, make_extractor
from featurize.extractors.texture import phase_codes, ring_patterns


def photo(width: int = 60, height: int = 40) -> np.ndarray:
    """Noise over ramps: all parts have something to describe."""
    y, x = np.mgrid[:height, :width]
    ramp = np.stack([x * 3, y * 4, (x + y) * 2], axis=2)
    return np.clip(ramp * 0.7 + np.asarray(noise(width, height)) * 0.3, 0, 255).astype(np.uint8)


def named(rgb: np.ndarray, **options) -> dict[str, float]:
    texture = Texture(**options)
    return dict(zip(texture.value_names, texture.transform([rgb])[0].tolist(), strict=True))


def test_every_value_has_a_name_of_its_own_and_there_are_at_most_1500():
    for channels, width in (("rgb", 1457), ("grey", 790)):
        names = Texture(channels).value_names
        assert len(names) == len(set(names)) == width <= 1500
    assert make_extractor("texture:grey").fingerprint() == Texture("grey").fingerprint()
    assert make_extractor("texture").fingerprint() != Texture("grey").fingerprint()
    with pytest.raises(BottleheadError, match="texture channels 'red'"):
        Texture("red").settings()


def test_co_occurrence_is_mean_and_range_over_the_directions_by_scikit_image():
    rgb = photo()
    values = named(rgb)
    quantised = (rgb[..., 1].astype(int) * 32 // 256).astype(np.uint8)
    # Haralick's distance 2 along a diagonal is 2 rows and 2 columns.
    straight = graycomatrix(quantised, [2], [0, np.pi / 2], 32, symmetric=True, normed=True)
    oblique = graycomatrix(quantised, [8**0.5], [np.pi / 4, 3 * np.pi / 4], 32, symmetric=True, normed=True)
    for ours, theirs in (("contrast", "contrast"), ("correlation", "correlation"), ("energy", "energy")):
        each = np.concatenate([graycoprops(one, theirs).ravel() for one in (straight, oblique)])
        assert values[f"texture_green_{ours}_d2_mean"] == pytest.approx(each.mean(), rel=1e-5)
        assert values[f"texture_green_{ours}_d2_range"] == pytest.approx(np.ptp(each), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_ring_patterns_are_those_counted_pixel_by_pixel(radius):
    plane = photo(11, 9)[..., 0]
    wide = np.pad(plane, radius, mode="edge").astype(int)
    counts = np.zeros(10)
    for y, x in np.ndindex(plane.shape):
        around = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
        bits = [wide[y + radius + radius * b, x + radius + radius * a] >= int(plane[y, x]) for b, a in around]
        changes = sum(bits[i] != bits[i - 1] for i in range(8))
        counts[sum(bits) if changes <= 2 else 9] += 1
    assert np.allclose(ring_patterns(plane, radius), counts / plane.size)


@pytest.mark.parametrize("window", [3, 7])
def test_phase_codes_are_the_signs_of_the_fourier_transform_of_each_window(window):
    grey = photo(12, 10)[..., 1]
    half = window // 2
    wide = np.pad(grey.astype(float), half, mode="symmetric")
    place = np.arange(window) - half
    counts = np.zeros(256)
    for y, x in np.ndindex(grey.shape):
        part = wide[y : y + window, x : x + window]
        code, bit = 0, 0
        for across, down in ((1, 0), (0, 1), (1, 1), (1, -1)):
            wave = np.exp(2j * np.pi * (across * place[None, :] + down * place[:, None]) / window)
            response = (part * wave).sum()
            for number in (response.real, response.imag):
                code += (number > 1e-2) << bit
                bit += 1
        counts[code] += 1
    assert np.allclose(phase_codes(grey, window), counts / grey.size)


def test_moments_are_those_of_color_and_histograms_are_roots_of_shares():
    rgb = photo()
    values, color = named(rgb), Color()
    theirs = dict(zip(color.value_names, color.transform([rgb])[0].tolist(), strict=True))
    shared = [name for name in values if name.replace("texture_", "color_", 1) in theirs]
    assert len(shared) == 15
    assert all(values[name] == theirs[name.replace("texture_", "color_", 1)] for name in shared)
    red_frame = np.full((40, 60, 3), (255, 0, 0), np.uint8)
    red_frame[10:30, 15:45] = (0, 0, 255)  # the middle half in each direction is blue: hue 240 of 360 degrees
    framed = named(red_frame)
    assert framed["texture_centre_hue07_saturation3_value3"] == 1.0
    assert framed["texture_hsv_hue07_saturation3_value3"] == pytest.approx(0.25**0.5)
    assert framed["texture_hsv_hue00_saturation3_value3"] == pytest.approx(0.75**0.5)


def test_gradients_are_those_of_scikit_image_and_angles_are_named():
    rgb = photo(128, 128)
    values = named(rgb)
    theirs = hog(np.asarray(Image.fromarray(rgb).convert("L")), 9, (32, 32), (1, 1))
    assert np.allclose([values[n] for n in values if "_hog_" in n], np.sqrt(theirs), atol=1e-6)
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 255  # the gradient points to the right
    angles = {name: value for name, value in named(stripes).items() if "row1_column1" in name}
    assert max(angles, key=lambda name: angles[name]) in {
        "texture_hog_row1_column1_angle010", "texture_hog_row1_column1_angle170",
    }  # fmt: skip


def test_turning_by_90_degrees_changes_phase_quantisation_and_gradients_alone():
    rgb = photo(48, 48)
    one, other = named(rgb), named(np.rot90(rgb).copy())
    changed = {
        name.split("_")[1] for name in one if abs(one[name] - other[name]) > 1e-4 * max(1, abs(one[name]))
    }
    assert changed == {"lpq3", "lpq7", "hog"}


@pytest.mark.parametrize("channels", ["rgb", "grey"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (30, 30), (3, 700)])
def test_constant_and_tiny_photos_have_finite_numbers(channels, shape):
    for rgb in (np.full((*shape, 3), 200, np.uint8), photo(shape[1], shape[0])):
        vector = Texture(channels).transform([rgb])
        assert np.isfinite(vector).all() and vector.shape == (1, Texture(channels).width)


def test_a_constant_photo_has_no_phase_no_gradient_and_no_contrast():
    values = named(np.full((30, 40, 3), 255, np.uint8))
    assert values["texture_lpq7_code000"] == values["texture_lpq3_code000"] == 1.0
    assert not any(value for name, value in values.items() if "_hog_" in name or "_contrast_" in name)


def test_grey_is_the_same_for_a_photo_and_its_grey_copy_and_ignores_colour():
    rgb = photo()
    grey = np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[..., None], 3, axis=2)
    texture = Texture("grey")
    assert np.allclose(texture.transform([rgb]), texture.transform([grey]))
    assert all(np.isfinite(Texture().transform([grey])[0]))


def test_a_vector_depends_on_its_photo_alone():
    photos, texture = [photo(40, 30), np.asarray(noise(50, 20)), photo(30, 50)], Texture()
    together = texture.transform(photos)
    assert np.array_equal(together[::-1], texture.transform(photos[::-1]))
    assert np.array_equal(together[1:2], texture.transform(photos[1:2]))


def test_a_large_photo_is_brought_down_to_256_pixels():
    rgb = photo(600, 400)
    small = np.asarray(Image.fromarray(rgb).resize((256, 171), Image.Resampling.BILINEAR))
    large, brought_down = named(rgb), named(small)
    assert large["texture_red_mean"] == pytest.approx(brought_down["texture_red_mean"], abs=0.5)
    name = "texture_red_contrast_d1_mean"
    assert large[name] == pytest.approx(brought_down[name], rel=0.1)


def test_photos_of_three_textures_and_colours_are_told_apart():
    from sklearn.model_selection import cross_val_score

    from classify import make_head

    rng = np.random.default_rng(0)
    photos, labels = [], []
    for number in range(36):
        kind, y, x = number % 3, *np.mgrid[:48, :48]
        wave = [
            np.sin(x / 2 + number),
            np.sin(x / 2 + number) * np.sin(y / 2),
            rng.normal(size=(48, 48)) * 0.7,
        ][kind]
        grey = 128 + 60 * wave + rng.normal(size=(48, 48)) * 25
        photos.append(np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2).astype(np.uint8))
        labels.append("abc"[kind])
    scores = cross_val_score(make_head("softmax"), Texture().transform(photos), labels, cv=3)
    assert scores.mean() > 0.95
