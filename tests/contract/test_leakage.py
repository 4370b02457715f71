"""Leaks in a comparison: near-duplicates on both sides, measured on made-up and on real photos."""

import numpy as np
import pytest
from builders import burst_table, made_table
from PIL import Image

from evaluate import compare
from featurize import BottleheadError, FeatureTable


@pytest.fixture
def bursts() -> FeatureTable:
    return burst_table()


def test_where_near_duplicates_cannot_be_kept_together_they_are_counted(bursts):
    table = bursts.filter(np.isin(np.arange(120) // 3, [*range(6), 39]))  # 7 scenes, 21 photos
    found = compare(table, heads=["knn:n_neighbors=3"], cv=5, jobs=1)
    assert found.duplicates["accuracy_together"] is None
    assert found.warnings[0].startswith(
        f"{found.duplicates['parted']} photos were tested by heads trained on"
    )


def test_one_figure_when_nothing_is_alike(bursts):
    single = bursts.filter(np.arange(0, 120, 3))
    found = compare(single, heads=["knn"], group_duplicates=True, jobs=1)
    assert found.duplicates["accuracy_at_random"] is None and found.duplicates["words"] == ""


def test_given_groups_are_not_called_random(bursts):
    grouped = bursts.with_column("group", ["pot"] * 3 + [None] * 117)
    found = compare(grouped, heads=["knn"], group_duplicates=True, jobs=1)
    assert "with folds by the given groups alone and" in found.warnings[0]


def test_given_folds_that_part_near_duplicates_are_refused_when_asked_to_keep_them(bursts):
    folds = [(np.arange(0, 80), np.arange(80, 120))]
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        compare(bursts, heads=["knn"], folds=folds, group_duplicates=True, jobs=1)
    assert compare(bursts, heads=["knn"], folds=folds, jobs=1).duplicates["parted"] == 1


def test_narrow_tables_are_passed_over_unless_asked():
    narrow = made_table(30)
    assert compare(narrow, ["good"], ["softmax"], cv=3, jobs=1).duplicates is None
    with pytest.raises(BottleheadError, match="tell photos apart"):
        compare(narrow, ["good"], ["softmax"], cv=3, group_duplicates=True, jobs=1)


@pytest.mark.tensorflow
def test_altered_copies_of_real_photos_are_found(assets, tmp_path):
    """Compressed and cropped copies of 20 photos are found among 40."""
    from evaluate import find_duplicates
    from featurize import InceptionV3, extract

    photos = sorted((assets / "data" / "flowers" / "daisy").glob("*.jpg"))[:20]
    photos += sorted((assets / "data" / "flowers" / "tulips").glob("*.jpg"))[:20]
    for place, photo in enumerate(photos):
        folder = tmp_path / photo.parent.name
        folder.mkdir(exist_ok=True)
        (folder / photo.name).write_bytes(photo.read_bytes())
        if place % 2 == 0:
            image = Image.open(photo).convert("RGB")
            w, h = image.size
            image.crop((w // 40, h // 40, w - w // 40, h - h // 40)).save(
                folder / f"{photo.stem}-copy.jpg", quality=80
            )
    weights = assets / "weights" / "inception_v3_2015_through_mixed8.weights.h5"
    table = extract(tmp_path, [InceptionV3(layer="mixed8", weights=str(weights))], store=tmp_path / "store")
    found = find_duplicates(table)
    near = {frozenset((pair["image"], pair["other"])) for pair in found.pairs}
    copies = {
        frozenset((f"{p.parent.name}/{p.name}", f"{p.parent.name}/{p.stem}-copy.jpg")) for p in photos[::2]
    }
    assert len(near & copies) >= 18
    # Two tulips of one series resemble each other, and one of them is copied.
    assert all("tulips/12916" in name for pair in near - copies for name in pair)
