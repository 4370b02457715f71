"""Every family of features that needs no network: the values of one extraction against other implementations."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import noise, run
from PIL import Image, ImageDraw
from scipy import stats
from sklearn.base import clone

from featurize import GLCM, LBP, BottleheadError, FeatureTable, Nuisance, extract, make_extractor

SPECS = ["glcm", "glcm:haralick", "color", "lbp", "shape", "nuisance", "texture"]
WIDTHS = {
    "glcm": 5,
    "glcm:haralick": 22,
    "color": 87,
    "lbp": 10 + 18 + 26,
    "shape": 12,
    "nuisance": 21,
    "texture": 1457,
}
DISC = 50.5  # radius of the lesion, in pixels


def lesion() -> Image.Image:
    photo = Image.new("RGB", (240, 200), (210, 170, 150))
    ImageDraw.Draw(photo).ellipse([60, 40, 160, 140], fill=(90, 60, 50))
    return photo


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> tuple[Path, FeatureTable]:
    folder = tmp_path_factory.mktemp("families")
    photos = folder / "photos"
    photos.mkdir()
    noise(45, 33, seed=1).save(photos / "noise.png")
    noise(40, 50, seed=2, low=100, high=140).save(photos / "dull.png")
    lesion().save(photos / "lesion.png")
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Model 7"
    noise(64, 48, seed=3).save(photos / "camera.jpg", quality=75, exif=exif)
    words = ["--features", *SPECS, "--store", folder / "store"]
    done = run("featurize", "extract", photos, "-o", folder / "t.parquet", *words)
    assert done.status == 0, done.err
    return photos, FeatureTable.read(folder / "t.parquet")


def named(extracted, spec: str, photo: str) -> dict[str, float]:
    _, table = extracted
    row = table.image.tolist().index(photo)
    return dict(zip(table.value_names(spec), table.select(spec)[row].tolist(), strict=True))


def grey(extracted, photo: str) -> np.ndarray:
    return np.asarray(Image.open(extracted[0] / photo).convert("L"))


PNGS = pytest.mark.parametrize("photo", ["noise.png", "dull.png", "lesion.png"])


def test_the_table_describes_every_family_and_names_every_value(extracted):
    _, table = extracted
    assert {spec: table.select(spec).shape for spec in SPECS} == {s: (4, w) for s, w in WIDTHS.items()}
    for spec in SPECS:
        entry = table.metadata["features"][spec]
        assert entry["spec"] == spec and entry["width"] == WIDTHS[spec] == len(set(table.value_names(spec)))
        assert entry["fingerprint"] == make_extractor(spec).fingerprint() and entry["weights"] is None
        assert len(entry["golden"]) == WIDTHS[spec] and np.isfinite(entry["golden"]).all()
        assert entry["versions"]["numpy"] == np.__version__ and json.dumps(entry["description"])
    assert len({table.metadata["features"][spec]["fingerprint"] for spec in SPECS}) == len(SPECS)


@pytest.mark.skipif(find_spec("mahotas") is None, reason="pip install '.[test]'")
@PNGS
def test_haralick_is_that_of_mahotas(extracted, photo):
    import mahotas

    levels = (grey(extracted, photo).astype(int) * 32 // 256).astype(np.uint8)
    expected = mahotas.features.haralick(levels, use_x_minus_y_variance=True)
    expected[:, 0] **= 0.5  # its angular second moment is the square of energy
    names = (
        "energy contrast correlation sum_of_squares_variance homogeneity sum_average sum_variance sum_entropy entropy "
        "difference_variance difference_entropy information_correlation_1 information_correlation_2"
    ).split()
    values = named(extracted, "glcm:haralick", photo)
    got = [values[f"glcm_{name}"] for name in names]
    np.testing.assert_allclose(got, expected.mean(axis=0), rtol=1e-4)


@PNGS
def test_colour_moments_and_first_order_statistics_are_those_of_scipy(extracted, photo):
    values, rgb = named(extracted, "color", photo), np.asarray(Image.open(extracted[0] / photo))
    for channel, name in enumerate(("red", "green", "blue")):
        x = rgb[:, :, channel].astype(float).ravel()
        moments = [x.mean(), x.std(), np.cbrt(stats.moment(x, 3))]
        got = [values[f"color_{name}_{moment}"] for moment in ("mean", "sd", "skew")]
        assert got == pytest.approx(moments, rel=1e-4, abs=1e-3)
    x = grey(extracted, photo).astype(float).ravel()
    share = np.unique(x, return_counts=True)[1] / x.size
    assert values["color_grey_entropy"] == pytest.approx(stats.entropy(share, base=2), rel=1e-6)
    assert values["color_grey_energy"] == pytest.approx((share**2).sum(), rel=1e-6)
    assert values["color_grey_skewness"] == pytest.approx(stats.skew(x), rel=1e-4)
    assert values["color_grey_kurtosis"] == pytest.approx(stats.kurtosis(x), rel=1e-4, abs=1e-5)
    assert sum(value for name, value in values.items() if "_hue" in name) == pytest.approx(1, abs=1e-6)


def test_the_shape_of_a_disc_is_round_symmetric_and_as_wide_as_it_was_drawn(extracted):
    values, diagonal = named(extracted, "shape", "lesion.png"), np.hypot(240, 200)
    assert values["shape_asymmetry_minor"] < 0.02 and values["shape_asymmetry_major"] < 0.02
    assert values["shape_border_roundness"] == pytest.approx(1, abs=0.08)
    assert values["shape_border_solidity"] > 0.96 and values["shape_border_radius_variation"] < 0.02
    assert values["shape_diameter_longest"] * diagonal == pytest.approx(2 * DISC, abs=3)
    assert values["shape_diameter_equivalent"] * diagonal == pytest.approx(2 * DISC, abs=3)
    assert values["shape_area"] == pytest.approx(np.pi * DISC**2 / (240 * 200), rel=0.05)
    contrast = np.linalg.norm(np.subtract((90, 60, 50), (210, 170, 150))) / 255
    assert values["shape_colour_contrast"] == pytest.approx(contrast, rel=0.02)


def test_nuisance_tells_file_camera_and_mean_colours(extracted):
    photos, _ = extracted
    for photo in ("camera.jpg", "noise.png"):
        values, size = named(extracted, "nuisance", photo), (photos / photo).stat().st_size
        with Image.open(photos / photo) as image:
            (width, height), mean = image.size, np.asarray(image).mean(axis=(0, 1))
        jpeg = photo.endswith("jpg")
        assert [values[f"nuisance_{n}"] for n in ("width", "height", "bytes")] == [width, height, size]
        assert values["nuisance_bits_per_pixel"] == pytest.approx(8 * size / (width * height))
        assert [values["nuisance_is_jpeg"], values["nuisance_jpeg_quality"]] == ([1, 75] if jpeg else [0, 0])
        flags = [values[f"nuisance_camera{n}"] for n in range(8)]
        assert values["nuisance_has_camera"] == sum(flags) == jpeg
        got = [values[f"nuisance_mean_{c}"] for c in ("red", "green", "blue")]
        np.testing.assert_allclose(got, mean, rtol=1e-5)


def test_the_frame_along_the_border_is_told_from_the_rest_and_an_array_has_no_file():
    rgb = np.full((100, 200, 3), 10, np.uint8)
    rgb[:5], rgb[-5:], rgb[:, :5], rgb[:, -5:] = (0, 200, 0), (0, 200, 0), (0, 200, 0), (0, 200, 0)
    values = dict(zip(Nuisance().value_names, Nuisance().transform([rgb])[0].tolist(), strict=True))
    assert (values["nuisance_border_red"], values["nuisance_border_green"]) == (0, 200)
    assert values["nuisance_mean_red"] == pytest.approx(10 * 90 * 190 / 20_000)
    assert values["nuisance_bytes"] == values["nuisance_is_jpeg"] == values["nuisance_has_camera"] == 0


def test_a_large_photo_is_brought_down_to_512_pixels_and_its_size_is_told():
    stripes = np.zeros((256, 1024, 3), np.uint8)
    stripes[:, 512:] = 200
    small = np.asarray(Image.fromarray(stripes).resize((512, 128), Image.Resampling.BILINEAR))
    every = GLCM("haralick", distances=(1, 2), average=False, channels="rgb")
    assert every.value_names[-1] == "glcm_blue_inverse_difference_moment_normalised_d2_a135"
    assert every.width == len(set(every.value_names)) == 22 * 2 * 4 * 3
    for extractor in (every, *map(make_extractor, ("color", "lbp", "shape"))):
        large, brought_down = extractor.transform([stripes, small])
        np.testing.assert_allclose(large, brought_down, rtol=1e-5, atol=1e-6)
    assert Nuisance().transform([stripes])[0, :2].tolist() == [1024, 256]


@pytest.mark.parametrize("spec", SPECS)
def test_an_extractor_is_a_transformer_of_scikit_learn(spec, extracted):
    photos, table = extracted
    extractor = clone(make_extractor(spec))
    paths = [str(photos / image) for image in table.image]
    np.testing.assert_array_equal(extractor.fit_transform(paths), table.select(spec))
    frame = clone(extractor).set_output(transform="pandas").transform(np.array(paths)[:, None])
    assert isinstance(frame, pd.DataFrame) and frame.columns.tolist() == table.value_names(spec)


def test_transform_keeps_vectors_in_its_store(extracted, tmp_path):
    photos, table = extracted
    paths = [photos / image for image in table.image]
    first = GLCM(store=tmp_path).transform(paths)
    np.testing.assert_array_equal(GLCM(store=tmp_path).transform(paths[::-1]), first[::-1])
    assert "glcm" in run("featurize", "store", "list", "--store", tmp_path).out
    with pytest.raises(BottleheadError, match=r"gone\.jpg: cannot be read"):
        GLCM(store=tmp_path).transform([photos / "gone.jpg"])
    with pytest.raises(BottleheadError, match=r"gone\.jpg: .*leave it out"):
        GLCM().transform([photos / "gone.jpg"])


@pytest.mark.parametrize("wrong", [
    GLCM(levels=1), GLCM(levels=300), GLCM(distances=(0,)), GLCM(angles=()), GLCM("six"),
    GLCM(channels="hsv"), LBP(()), LBP((0,)), LBP((9,)), GLCM(preprocess="median:3"),
    GLCM(preprocess=["resize:0"]), LBP(preprocess=["remove-hair:2"]),
], ids=repr)  # fmt: skip
def test_impossible_settings_are_refused_with_what_is_accepted(wrong, extracted, tmp_path):
    with pytest.raises(BottleheadError) as caught:
        extract(extracted[0], wrong, store=tmp_path)
    assert caught.value.hint and not list(tmp_path.glob("*/*.parquet"))
    with pytest.raises(BottleheadError):
        wrong.fingerprint()
