"""Border and centre for what counts over pixels: each equals what NumPy and scikit-image say of that part alone."""

import numpy as np
import pytest
from builders import noise
from PIL import Image
from skimage.feature import graycoprops, hog, local_binary_pattern

from featurize import GLCM, LBP, BottleheadError, Color, make_extractor
from featurize.extractors.regions import seen_in
from featurize.extractors.texture import oriented_gradients, phase_codes, ring_patterns

SPECS = ["glcm", "glcm:haralick", "lbp", "color", "texture", "texture:grey"]
HEIGHT, WIDTH = 50, 75
TOP, LEFT = 6, 9  # 12 % of them
MIDDLE = np.s_[TOP : HEIGHT - TOP, LEFT : WIDTH - LEFT]


def framed(frame: int = 0, middle: int = 1) -> np.ndarray:
    """A frame of one texture around a middle of another, each by the seed of its noise."""
    photo = np.asarray(noise(WIDTH, HEIGHT, seed=frame)).copy()
    photo[MIDDLE] = np.asarray(noise(WIDTH, HEIGHT, seed=middle))[MIDDLE] // 3
    return photo


def vector(spec: str, photo: np.ndarray) -> np.ndarray:
    return make_extractor(spec).transform([photo])[0]


def in_region(spec: str, region: str) -> str:
    return f"{spec}{',' if ':' in spec else ':'}region={region}"


def grey_of(photo: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).convert("L"))


@pytest.mark.parametrize("spec", SPECS)
def test_the_border_ignores_the_middle_and_the_centre_ignores_the_frame(spec):
    photo, other_middle, other_frame = framed(0, 1), framed(0, 2), framed(3, 1)
    border, centre = in_region(spec, "border"), in_region(spec, "centre")
    np.testing.assert_array_equal(vector(border, photo), vector(border, other_middle))
    np.testing.assert_array_equal(vector(centre, photo), vector(centre, other_frame))
    assert not np.allclose(vector(border, photo), vector(border, other_frame))
    assert not np.allclose(vector(centre, photo), vector(centre, other_middle))
    assert not np.allclose(vector(spec, photo), vector(spec, other_middle))


@pytest.mark.parametrize("spec", ["glcm", "glcm:haralick,distances=1/4,average=no", "color"])
def test_the_centre_is_what_the_middle_cut_out_gives(spec):
    photo = framed()
    np.testing.assert_allclose(
        vector(in_region(spec, "centre"), photo), vector(spec, photo[MIDDLE]), rtol=1e-6
    )


def test_pairs_of_the_border_are_those_between_pixels_of_the_frame():
    photo = framed()
    levels, seen = grey_of(photo).astype(int) * 32 // 256, np.ones((HEIGHT, WIDTH), bool)
    seen[MIDDLE] = False
    glcm = GLCM(distances=(3,), angles=(0, 90), average=False, region="border")
    values = dict(zip(glcm.value_names, glcm.transform([photo])[0].tolist(), strict=True))
    for angle, down, right in (("000", 0, 3), ("090", 3, 0)):
        pairs = [
            (levels[y, x], levels[y + down, x + right])
            for y, x in np.ndindex(HEIGHT - down, WIDTH - right)
            if seen[y, x] and seen[y + down, x + right]
        ]
        counts = np.zeros((32, 32))
        for one, other in pairs:
            counts[one, other] += 1
            counts[other, one] += 1
        shares = (counts / counts.sum())[:, :, None, None]
        for name in ("contrast", "correlation", "energy"):
            expected = graycoprops(shares, name).item()
            assert values[f"glcm_{name}_d3_a{angle}_border"] == pytest.approx(expected, rel=1e-5)


def test_all_256_levels_leave_room_for_what_is_covered():
    photo = framed()
    photo[TOP + 1 : -TOP - 1, LEFT + 1 : -LEFT - 1] = 255
    whole = GLCM(levels=256).transform([photo[MIDDLE]])
    np.testing.assert_allclose(GLCM(levels=256, region="centre").transform([photo]), whole, rtol=1e-6)


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("region", ["border", "centre"])
def test_patterns_count_where_nothing_covered_is_in_reach_by_scikit_image(region, radius):
    photo = framed()
    wide = np.pad(grey_of(photo), radius, mode="edge")
    codes = local_binary_pattern(wide, 8 * radius, radius, "uniform")[radius:-radius, radius:-radius]
    counted = np.ones((HEIGHT, WIDTH), bool)
    if region == "border":
        counted[TOP - radius : HEIGHT - TOP + radius, LEFT - radius : WIDTH - LEFT + radius] = False
    else:
        inner = np.s_[TOP + radius : HEIGHT - TOP - radius, LEFT + radius : WIDTH - LEFT - radius]
        counted[:] = False
        counted[inner] = True
    shares = np.bincount(codes[counted].astype(int), minlength=8 * radius + 2) / counted.sum()
    np.testing.assert_allclose(LBP((radius,), region=region).transform([photo])[0], shares, rtol=1e-6)


def test_colours_of_the_border_are_those_of_the_pixels_of_the_frame():
    photo = np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)
    photo[: HEIGHT // 2] = (0, 0, 255)
    photo[MIDDLE] = (0, 255, 0)
    color = Color(region="border")
    values = dict(zip(color.value_names, color.transform([photo])[0].tolist(), strict=True))
    assert values["color_red_mean_border"] == values["color_blue_mean_border"] == 127.5
    assert values["color_green_mean_border"] == values["color_green_sd_border"] == 0
    assert (
        values["color_hue0_saturation2_value2_border"]
        == values["color_hue5_saturation2_value2_border"]
        == 0.5
    )


def test_the_parts_of_texture_count_where_nothing_covered_is_in_reach():
    grey, seen = grey_of(framed()), seen_in("centre", HEIGHT, WIDTH)
    middle = grey[MIDDLE]
    # Alone, the middle has more positions: those at its edge, where pixels beyond are made up. Without them:
    for radius in (1, 2, 4):
        around = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
        counts = np.zeros(10)
        for y in range(radius, middle.shape[0] - radius):
            for x in range(radius, middle.shape[1] - radius):
                bits = [middle[y + radius * b, x + radius * a] >= middle[y, x] for b, a in around]
                changes = sum(bits[i] != bits[i - 1] for i in range(8))
                counts[sum(bits) if changes <= 2 else 9] += 1
        np.testing.assert_allclose(ring_patterns(grey, radius, seen), counts / counts.sum())
    # A window of the frame of a constant middle has the codes that it has beside any other middle.
    border = seen_in("border", HEIGHT, WIDTH)
    other = grey.copy()
    other[MIDDLE] = 0
    for window in (3, 7):
        codes = phase_codes(grey, window, border)
        np.testing.assert_array_equal(codes, phase_codes(other, window, border))
        assert codes.sum() == pytest.approx(1) and not np.allclose(codes, phase_codes(grey, window))


def test_gradients_in_sight_are_those_of_scikit_image_where_everything_or_a_cell_is_in_sight():
    grey = np.asarray(noise(128, 128)).copy()
    image = Image.fromarray(grey)
    square = np.asarray(image.convert("L"))
    theirs = hog(square, 9, (32, 32), (1, 1))
    np.testing.assert_allclose(oriented_gradients(image, np.ones((128, 128), bool)), theirs, rtol=1e-9)
    # 15 pixels at each side are covered: the four cells in the middle are as ever, a corner has what is left of it.
    centre = oriented_gradients(image, seen_in("centre", 128, 128)).reshape(4, 4, 9)
    np.testing.assert_allclose(centre[1:3, 1:3], theirs.reshape(4, 4, 9)[1:3, 1:3], rtol=1e-9)
    border = oriented_gradients(image, seen_in("border", 128, 128)).reshape(4, 4, 9)
    assert not border[1:3, 1:3].any() and border[0].any() and border[:, 3].any()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("region", ["border", "centre"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 3), (3, 3), (4, 200)])
def test_tiny_photos_have_finite_numbers_also_where_nothing_is_in_sight(spec, region, shape):
    photo = np.asarray(noise(shape[1], shape[0]))
    values = vector(in_region(spec, region), photo)
    assert np.isfinite(values).all()
    if region == "centre" and min(shape) < 3:
        assert not values[np.abs(values) != 1].any()  # nothing, but for ratios of constant images


@pytest.mark.parametrize("spec", SPECS)
def test_a_region_is_told_by_fingerprint_names_and_record_and_its_absence_leaves_no_trace(spec):
    whole, border = make_extractor(spec), make_extractor(in_region(spec, "border"))
    assert len({e.fingerprint() for e in (whole, border, make_extractor(in_region(spec, "centre")))}) == 3
    assert border.name == border.usual_name == in_region(spec, "border")
    assert border.value_names == [f"{name}_border" for name in whole.value_names]
    assert border.kept_params()["region"] == "border"
    assert "region" not in whole.kept_params() and "region" not in whole.description()
    same_but_region = {key: value for key, value in border.description().items() if key != "region"}
    assert same_but_region == whole.description()


@pytest.mark.parametrize(("spec", "message"), [
    ("glcm:region=edge", "region 'edge' is not known"), ("texture:region=middle", "region 'middle' is not known"),
    ("shape:region=border", "'shape:region=border' has no parameter region.*FILE.pb and the like, glcm"),
    ("nuisance:region=border", "'nuisance:region=border' has no parameter region.*FILE.pb and the like, glcm"),
])  # fmt: skip
def test_what_is_no_region_and_what_has_none_is_refused(spec, message):
    with pytest.raises(BottleheadError, match=message):
        make_extractor(spec).fingerprint()
