"""Distorted copies: each distortion by itself, keys that never meet, and what becomes of them in a table."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featurize import GLCM, BottleheadError, Distortion, FeatureTable, Store, extract
from featurize.extraction.run import run_extraction
from featurize.extractors.base import golden_image
from featurize.photos.distort import DistortedPhoto
from featurize.photos.photo import Photo
from featurize.photos.source import list_source

SHAS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(300)]

percent = st.integers(0, 100) | st.floats(0, 100)
distortions = st.builds(
    Distortion,
    copies=st.integers(1, 3),
    flip_left_right=st.just(True),
    random_crop=percent,
    random_scale=percent,
    random_brightness=percent,
    seed=st.integers(0, 5),
)


@given(distortions, distortions)
def test_two_settings_never_share_a_key(one, other):
    same = {k: v for k, v in vars(one).items() if k not in ("copies", "variants")} == {
        k: v for k, v in vars(other).items() if k not in ("copies", "variants")
    }
    shared = set(one.variants) & set(other.variants)
    assert len(shared) == (min(one.copies, other.copies) if same else 0)
    assert len(set(one.variants)) == one.copies
    assert all(0 < variant < 2**63 for variant in one.variants)


def test_whole_and_decimal_numbers_are_the_same_setting_and_more_copies_keep_the_first():
    assert Distortion(1, random_crop=10).variants == Distortion(1, random_crop=10.0).variants
    assert Distortion(4, random_crop=10).variants[:2] == Distortion(2, random_crop=10).variants


def test_flip_mirrors_half_of_the_photos_and_changes_nothing_else():
    distortion, rgb = Distortion(1, flip_left_right=True), golden_image()
    copies = [distortion.distort(rgb, distortion.variants[0], sha256) for sha256 in SHAS]
    mirrored = [np.array_equal(copy, rgb[:, ::-1]) for copy in copies]
    assert all(m or np.array_equal(copy, rgb) for m, copy in zip(mirrored, copies, strict=True))
    # 300 fair coins: 5 standard deviations are 43.
    assert abs(sum(mirrored) - 150) < 43


def ramp(along: int) -> np.ndarray:
    values = np.linspace(0, 240, 121)
    plane = np.broadcast_to(values[None] if along == 1 else values[:, None], (121, 121))
    return np.repeat(np.rint(plane).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("along", [0, 1])
@pytest.mark.parametrize(
    ("settings", "smallest", "largest"),
    [
        ({"random_crop": 50}, 1.5, 1.5),
        ({"random_scale": 100}, 1.0, 2.0),
        ({"random_crop": 100, "random_scale": 50}, 2.0, 3.0),
    ],
)
def test_crop_and_scale_enlarge_by_their_percentage_at_any_place(along, settings, smallest, largest):
    distortion, rgb = Distortion(1, **settings), ramp(along)
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


def test_brightness_multiplies_and_clips():
    distortion = Distortion(1, random_brightness=20)
    grey = np.full((2, 2, 3), 100, np.uint8)
    values = [distortion.distort(grey, distortion.variants[0], sha256)[0, 0, 0] for sha256 in SHAS]
    assert min(values) >= 80 and max(values) <= 120 and np.ptp(values) > 35
    assert np.mean(values) == pytest.approx(100, abs=3)
    bright = [distortion.distort(grey * 2 + 50, distortion.variants[0], sha256).max() for sha256 in SHAS]
    assert max(bright) == 255 and min(bright) == pytest.approx(200, abs=3)


def test_a_copy_depends_on_content_setting_and_number_alone():
    distortion, rgb = Distortion(3, random_crop=30, random_brightness=30), golden_image()
    first, second, _ = distortion.variants
    copies = [
        distortion.distort(rgb, first, SHAS[0]),
        distortion.distort(rgb, second, SHAS[0]),
        distortion.distort(rgb, first, SHAS[1]),
    ]
    np.testing.assert_array_equal(copies[0], Distortion(1, random_crop=30, random_brightness=30).distort(
        rgb, first, SHAS[0]))  # fmt: skip
    assert len({copy.tobytes() for copy in copies}) == 3


def test_a_large_jpeg_is_still_decoded_small(tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(golden_image()).resize((1280, 960)).save(path)
    photo, distortion = Photo(path.read_bytes()), Distortion(1, random_crop=10)
    copy = DistortedPhoto(photo, distortion, distortion.variants[0], SHAS[0])
    assert copy.rgb(shorter=200).shape == (240, 320, 3)
    assert list(photo._images) == [4]
    assert copy.rgb().shape == (960, 1280, 3)
    assert (copy.width, copy.height) == (1280, 960)


@pytest.mark.parametrize(
    "wrong",
    [
        {"copies": 2},
        {"copies": 0, "random_crop": 10},
        {"copies": 1, "random_crop": 101},
        {"copies": 1, "random_brightness": -1},
        {"copies": 1, "random_scale": 5, "seed": -1},
    ],
)
def test_impossible_distortions_are_refused(wrong):
    with pytest.raises(BottleheadError, match=r"choose flip|give (1 to 1000|a percentage)"):
        Distortion(**wrong)


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["image,label,split"]
    for number, split in enumerate(["training", "validation", "testing", ""]):
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{split}")
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(lines))
    return path


DISTORTION = Distortion(2, flip_left_right=True, random_crop=20, random_brightness=20, seed=3)


def test_copies_are_further_rows_of_training_images_alone(manifest, tmp_path):
    table = extract(manifest, ["glcm"], store=tmp_path / "store", distort=DISTORTION)
    assert table.image.tolist() == ["0.png"] * 3 + ["1.png", "2.png"] + ["3.png"] * 3
    assert table.variant.tolist() == [0, *DISTORTION.variants, 0, 0, 0, *DISTORTION.variants]
    assert table.groups.tolist() == [0, 0, 0, 1, 2, 3, 3, 3]
    assert table.label.tolist() == ["a", "a", "a", "b", "a", "b", "b", "b"]
    assert table.metadata["distortion"]["variants"] == list(DISTORTION.variants)
    table.write(tmp_path / "table.parquet")
    assert FeatureTable.read(tmp_path / "table.parquet").digest() == table.digest()


def test_the_vector_of_a_copy_is_that_of_its_pixels(manifest, tmp_path):
    table = extract(manifest, ["glcm"], store=tmp_path / "store", distort=DISTORTION)
    for row in range(len(table)):
        rgb = np.asarray(Image.open(manifest.parent / table.image[row]))
        if table.variant[row]:
            rgb = DISTORTION.distort(rgb, int(table.variant[row]), table.sha256[row])
        np.testing.assert_array_equal(GLCM().transform([rgb])[0], table.vectors["glcm"][row])


def test_copies_are_kept_and_undistorted_vectors_are_shared(manifest, tmp_path):
    store, source = Store(tmp_path / "store"), list_source(manifest)
    assert run_extraction(source, "glcm", store=store).n_computed == 4
    assert run_extraction(source, "glcm", store=store, distort=DISTORTION).n_computed == 2
    again = run_extraction(source, "glcm", store=store, distort=DISTORTION)
    assert again.n_computed == 0 and again.n_reused == 4


def test_a_damaged_photo_is_one_reject_whatever_its_copies(manifest, tmp_path):
    whole = (manifest.parent / "0.png").read_bytes()
    (manifest.parent / "0.png").write_bytes(whole[: len(whole) // 2])
    result = run_extraction(list_source(manifest), "glcm", store=tmp_path / "store", distort=DISTORTION)
    assert [image for image, _ in result.rejects] == ["0.png"]
    assert result.table.image.tolist() == ["1.png", "2.png", "3.png", "3.png", "3.png"]
    assert result.n_computed == 3
