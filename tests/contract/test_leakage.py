"""Leaks in a comparison: near-duplicates on both sides, measured on made-up and on real photos."""

import json

import numpy as np
import pytest
from builders import burst_table, made_table, run
from PIL import Image

from evaluate import compare, find_duplicates
from featurize import BottleheadError, FeatureTable, InceptionV3, extract


@pytest.fixture(scope="module")
def bursts() -> FeatureTable:
    return burst_table()


def test_compare_measures_both_ways_where_near_duplicates_help(bursts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bursts.write("t.parquet")
    outs, found = [], []
    for option in ("", "--group-duplicates"):
        outs.append(run(f"evaluate compare t.parquet --heads knn -j 1 --json r.json {option}").out)
        found.append(json.loads((tmp_path / "r.json").read_text()))
    apart, together = (one["results"][0]["accuracy"]["mean"] for one in found)
    assert together < 0.75 < 0.95 < apart and found[1]["data"]["groups"] == 40
    assert found[0]["duplicates"]["accuracy_together"] == together
    assert found[1]["duplicates"]["accuracy_at_random"] == apart
    assert f"{100 * apart:.1f} % with random folds and {100 * together:.1f} % when near-duplicates" in outs[0]


def test_where_near_duplicates_cannot_be_kept_together_they_are_counted(bursts):
    table = bursts.filter(np.isin(np.arange(120) // 3, [*range(6), 39]))  # 7 scenes, 21 photos
    found = compare(table, heads=["knn:n_neighbors=3"], cv=5, jobs=1)
    assert found.duplicates["accuracy_together"] is None
    counted = f"{found.duplicates['parted']} photos were tested by heads trained on"
    assert found.warnings[0].startswith(counted)


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
    assert compare(narrow, ["good"], ["dummy"], cv=3, jobs=1).duplicates is None
    with pytest.raises(BottleheadError, match="tell photos apart"):
        compare(narrow, ["good"], ["dummy"], cv=3, group_duplicates=True, jobs=1)


def test_more_near_duplicates_than_can_be_listed_do_not_end_a_comparison():
    """Of 3,000 photos 1,500 are frames of one fixed camera, and so 1,124,250 pairs."""
    vectors = np.random.default_rng(0).normal(size=(3000, 64))
    vectors[:1500] = vectors[0] + 0.01 * vectors[:1500]
    sha256 = [f"{n:064x}" for n in range(3000)]
    frames = FeatureTable.from_arrays({"net": vectors}, label=["day", "night"] * 1500, sha256=sha256)
    found = compare(frames, heads=["dummy"], jobs=1)
    assert found.duplicates is None
    start = "more than 1,000,000 pairs of photos reach a similarity of 0.97, too many"
    (warning,) = (text for text in found.warnings if text.startswith(start))
    assert warning in found.to_html() and "--group-by" in warning
    with pytest.raises(BottleheadError, match="more than 1,000,000 pairs") as caught:
        compare(frames, heads=["dummy"], group_duplicates=True, jobs=1)
    assert caught.value.hint.startswith("leave --group-duplicates out; say which photos show one scene")


@pytest.mark.tensorflow
def test_altered_copies_of_real_photos_are_found(assets, inception_weights, networks_store, tmp_path):
    """Compressed and cropped copies of 10 photos are found among 20."""
    flowers = assets / "data" / "flowers"
    photos = [one for kind in ("daisy", "tulips") for one in sorted((flowers / kind).glob("*.jpg"))[:10]]
    copies = set()
    for place, photo in enumerate(photos):
        folder, copy = tmp_path / photo.parent.name, f"{photo.stem}-copy.jpg"
        folder.mkdir(exist_ok=True)
        (folder / photo.name).write_bytes(photo.read_bytes())
        if place % 2 == 0:
            image = Image.open(photo).convert("RGB")
            w, h = image.size
            inner = (w // 40, h // 40, w - w // 40, h - h // 40)
            image.crop(inner).save(folder / copy, quality=80)
            copies.add(frozenset((f"{folder.name}/{photo.name}", f"{folder.name}/{copy}")))
    network = InceptionV3(layer="mixed8", weights=str(inception_weights))
    found = find_duplicates(extract(tmp_path, [network], store=networks_store))
    near = {frozenset((pair["image"], pair["other"])) for pair in found.pairs}
    assert len(copies) == 10 and len(near & copies) >= 9
    # Two tulips of one series resemble each other, and one of them is copied.
    assert all("tulips/12916" in name for pair in near - copies for name in pair)
