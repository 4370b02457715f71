"""Which pixels reach an extractor: every kind of file, every step in front of it, every distortion."""

from pathlib import Path

import numpy as np
import pytest
from builders import encoded, noise, png, run
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from featurize import Distortion, FeatureTable, FunctionExtractor, extract

GREY_RAMP = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17


def seen(image, *steps: str) -> np.ndarray:
    shown = []
    look = FunctionExtractor(lambda rgb: shown.append(rgb.copy()) or [0], "look", 1, preprocess=steps)
    look.transform([image])
    return shown[-1]


def written(tmp_path: Path, data: bytes, name: str = "photo.img") -> Path:
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF"])
def test_lossless_formats_give_the_exact_pixels(tmp_path, kind):
    picture = Image.fromarray(GREY_RAMP).convert("RGB") if kind == "GIF" else noise(7, 5)
    path = written(tmp_path, encoded(picture, kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(seen(path), np.asarray(picture))


def grey16(kind: str) -> bytes:
    return encoded(Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256)), kind)


def palette(kind: str, transparency: int | bytes) -> bytes:
    """Three pixels, (200, 0, 100), green and blue."""
    image = Image.new("P", (3, 1))
    image.putpalette([200, 0, 100, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return encoded(image, kind, transparency=transparency)


def alpha(mode: str, *pixels) -> bytes:
    return encoded(Image.fromarray(np.array([pixels], np.uint8), mode), "PNG")


WHITE, GREEN, BLUE = (255, 255, 255), (0, 255, 0), (0, 0, 255)
PINK = (200, 0, 100)
FAINT = (244, 204, 224)  # 51/255 of the colour and 204/255 of white
GREYS = np.rint(np.arange(65536).reshape(256, 256, 1) / 257).repeat(3, axis=2)
KINDS = {
    "alpha lies over white": (alpha("RGBA", (*PINK, 255), (*PINK, 0), (*PINK, 51)), [[PINK, WHITE, FAINT]]),
    "grey with alpha": (alpha("LA", (0, 255), (0, 0), (100, 51)), [[(0, 0, 0), WHITE, (224, 224, 224)]]),
    "transparent colour of a palette": (palette("PNG", 1), [[PINK, WHITE, BLUE]]),
    "transparent colour of a GIF": (palette("GIF", 1), [[PINK, WHITE, BLUE]]),
    "palette with alpha": (palette("PNG", bytes([51, 255])), [[FAINT, GREEN, BLUE]]),
    "grey of 16 bits": (grey16("PNG"), GREYS),
    "grey of 16 bits, TIFF": (grey16("TIFF"), GREYS),
    "grey of 16 bits, PPM": (grey16("PPM"), GREYS),
    "transparent grey of 16 bits": (
        png(2, 1, 16, 0, b"\0\3\xe8\7\xd0", (b"tRNS", b"\3\xe8")), [[WHITE, (8, 8, 8)]]),
    "one bit": (png(1, 1, 1, 0, b"\0\x80"), [[WHITE]]),
    "sixteen bits of colour": (
        png(2, 1, 16, 2, b"\0\0\0\1\1\x13\x88\x80\0\xea\x60\xff\xff"), [[(0, 1, 19), (128, 233, 255)]]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_red_green_and_blue(tmp_path, kind):
    data, expected = KINDS[kind]
    np.testing.assert_array_equal(seen(written(tmp_path, data)), expected)


BLACK, CYAN, RED = (0, 0, 0), (0, 255, 255), (255, 0, 0)
INKS = {(0, 0, 0, 0): WHITE, (255, 0, 0, 0): CYAN, (0, 0, 0, 255): BLACK, (0, 255, 255, 0): RED}


@pytest.mark.parametrize("ink", INKS)
def test_cmyk_shows_its_inks_and_is_inverted_only_where_adobe_says_so(tmp_path, ink):
    jpeg = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
    opposite = encoded(Image.new("CMYK", (16, 16), tuple(255 - part for part in ink)), "JPEG", quality=95)
    start = opposite.index(b"\xff\xee")
    end = start + 2 + int.from_bytes(opposite[start + 2 : start + 4], "big")
    assert b"Adobe" in opposite[start:end]
    for data in (jpeg, encoded(Image.new("CMYK", (16, 16), ink), "TIFF"), opposite[:start] + opposite[end:]):
        np.testing.assert_allclose(seen(written(tmp_path, data))[8, 8].astype(int), INKS[ink], atol=2)


RGB = np.asarray(noise(60, 40, seed=7))


def spread(rgb: np.ndarray) -> np.ndarray:
    """Histogram equalisation of grey levels, as in any textbook: (cdf - cdf_min) / (n - cdf_min) * 255."""
    levels = rgb[:, :, 0]
    cdf = np.array([(levels <= level).sum() for level in range(256)])
    first = cdf[cdf > 0][0]
    return np.rint((cdf[levels] - first) / (levels.size - first) * 255)


PHOTO = Image.fromarray(RGB)
STEPS = {
    "grayscale": PHOTO.convert("L").convert("RGB"),
    "crop:20": RGB[10:30, 20:40],
    "crop:100x10": RGB[15:25],
    "resize:20": PHOTO.resize((30, 20), Image.Resampling.BILINEAR),
    "resize:13x17": PHOTO.resize((13, 17), Image.Resampling.BILINEAR),
    "median:3": ndimage.median_filter(RGB, size=(3, 3, 1), mode="nearest"),
    "crop:20 median:5": ndimage.median_filter(RGB[10:30, 20:40], size=(5, 5, 1), mode="nearest"),
}


@pytest.mark.parametrize("steps", STEPS)
def test_a_step_does_what_another_program_does(steps):
    np.testing.assert_array_equal(seen(RGB, *steps.split()), np.asarray(STEPS[steps]))


def test_equalize_spreads_brightness_and_keeps_grey_grey():
    dull = np.repeat(np.asarray(noise(40, 30, seed=3, low=100, high=140))[:, :, :1], 3, axis=2)
    bright = seen(dull, "equalize")
    assert (bright == bright[:, :, :1]).all()
    # A grey may come out of Pillow's luma one level lower, which is one step of the spread.
    np.testing.assert_allclose(bright[:, :, 0], spread(dull), atol=10)
    assert bright.min() == 0 and bright.max() == 255


def skin_and_hair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clean skin with a mole, the same with hair, and where the hair is."""
    y, x = np.mgrid[0:260, 0:300]
    skin = np.stack([205 - y / 20, 160 - y / 15 + x / 40, 140 + x / 30], axis=2)
    skin[(y - 130) ** 2 + (x - 150) ** 2 < 60**2] -= (70, 70, 60)
    skin += np.random.default_rng(0).normal(0, 2, skin.shape)
    clean = Image.fromarray(skin.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    mask = Image.new("L", clean.size)
    for i, width in enumerate((2, 3, 4, 2, 3, 5)):
        ImageDraw.Draw(mask).line([(35 * i, 0), (300 - 30 * i, 259)], fill=255, width=width)
    hairy = Image.composite(Image.new("RGB", clean.size, (45, 30, 25)), clean, mask)
    return np.asarray(clean), np.asarray(hairy), np.asarray(mask) > 0


def test_remove_hair_gives_the_clean_skin_back_and_leaves_hairless_skin_alone():
    clean, hairy, hair = skin_and_hair()
    restored = seen(hairy, "remove-hair").astype(int)
    assert np.abs(restored - clean)[hair].mean() < 0.05 * np.abs(hairy.astype(int) - clean)[hair].mean()
    assert np.abs(restored - clean)[~hair].mean() < 1.0
    np.testing.assert_array_equal(seen(clean, "remove-hair"), clean)


def test_segment_lesion_cuts_out_the_largest_dark_region():
    skin = np.full((120, 160, 3), 210, np.uint8)
    skin[40:90, 30:100] = 70
    skin[5:15, 140:150] = 20
    cut = seen(skin, "segment-lesion")
    assert abs(cut.shape[0] - 50) <= 2 and abs(cut.shape[1] - 70) <= 2
    flat = np.full((30, 30, 3), 9, np.uint8)
    np.testing.assert_array_equal(seen(flat, "segment-lesion"), flat)


def test_steps_run_before_every_extractor_of_the_command_and_stand_in_the_table(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(RGB).save(tmp_path / "photos/1.png")
    Image.fromarray(RGB[10:30, 20:40]).convert("L").convert("RGB").save(tmp_path / "2.png")
    words = ["--features", "color", "glcm", "--store", tmp_path / "s", "--preprocess", "crop:20", "grayscale"]
    assert run("featurize", "extract", tmp_path / "photos", "-o", tmp_path / "t.npz", *words).status == 0
    table = FeatureTable.read(tmp_path / "t.npz")
    by_hand = extract([tmp_path / "2.png"], ["color", "glcm"], store=tmp_path)
    for spec in ("color", "glcm"):
        np.testing.assert_array_equal(table.select(spec), by_hand.select(spec))
        entry = table.metadata["features"][spec]
        assert [step["step"] for step in entry["description"]["preprocess"]] == ["crop", "grayscale"]
        assert entry["fingerprint"] != by_hand.metadata["features"][spec]["fingerprint"]


def copies(tmp_path: Path, rgb: np.ndarray, distortion: Distortion) -> np.ndarray:
    Image.fromarray(rgb).save(tmp_path / "photo.png")
    # As many numbers of every photo: the extraction also asks for those of an image of its own.
    function = lambda pixels: np.resize(pixels, rgb.size)  # noqa: E731
    pixels = FunctionExtractor(function, "pixels", 1, names=[str(i) for i in range(rgb.size)])
    table = extract([tmp_path / "photo.png"], pixels, store=tmp_path / "store", distort=distortion)
    assert table.variant.tolist() == [0, *distortion.variants] and set(table.groups) == {0}
    rows = table.select("pixels").reshape(-1, *rgb.shape)
    np.testing.assert_array_equal(rows[0], rgb)
    return rows[1:]


def test_a_flip_mirrors_half_of_the_copies_and_changes_nothing_else(tmp_path):
    rgb = np.asarray(noise(5, 4))
    made = copies(tmp_path, rgb, Distortion(300, True))
    mirrored = [np.array_equal(copy, rgb[:, ::-1]) for copy in made]
    assert all(m or np.array_equal(copy, rgb) for m, copy in zip(mirrored, made, strict=True))
    assert abs(sum(mirrored) - 150) < 43  # 300 fair coins: five standard deviations


def test_brightness_multiplies_and_clips(tmp_path):
    grey = np.full((2, 2, 3), 100, np.uint8)
    values = copies(tmp_path, grey, Distortion(200, random_brightness=20))[:, 0, 0, 0]
    assert 80 <= values.min() < 84 and 116 < values.max() <= 120 and abs(values.mean() - 100) < 4
    light = copies(tmp_path, np.full((2, 2, 3), 250, np.uint8), Distortion(50, random_brightness=20))
    assert light.max() == 255


def test_the_command_adds_copies_of_training_photos_alone_and_keeps_them(tmp_path):
    lines = ["image,label,split"]
    for number, split in enumerate(["training", "validation", "testing", ""]):
        noise(30, 20, seed=number).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{split}")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    words = ["--features", "color", "nuisance", "--store", tmp_path / "store", "--seed", "3"]
    command = ["featurize", "extract", tmp_path / "m.csv", "-o", tmp_path / "t.parquet", *words]
    run(*command)
    more = "--distort 2 --flip-left-right --random-crop 20 --random-scale 5 --random-brightness 20".split()
    done = run(*command, *more)
    assert "4 images (4 distinct) and 4 distorted copies: 2 computed, 2 from the store" in done.err
    table = FeatureTable.read(tmp_path / "t.parquet")
    variants = Distortion(2, True, 20, 5, 20, seed=3).variants
    assert table.image.tolist() == ["0.png"] * 3 + ["1.png", "2.png"] + ["3.png"] * 3
    assert table.variant.tolist() == [0, *variants, 0, 0, 0, *variants]
    assert table.metadata["distortion"]["variants"] == list(variants)
    assert table.metadata["distortion"]["random_crop"] == 20
    # A copy has the file of its photo, and other pixels.
    nuisance = table.select("nuisance")
    np.testing.assert_array_equal(nuisance[0, :-6], nuisance[1, :-6])
    assert (nuisance[0, -6:] != nuisance[1, -6:]).any()
    assert "nothing was computed" in run(*command, *more).err
