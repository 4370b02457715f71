"""Shortcuts: planted in photos, they are found; where there is none, nothing is claimed."""

import io

import numpy as np
import pytest
from PIL import Image

from classify import Fold, make_folds
from evaluate import check_shortcuts, compare
from featurize import LBP, FeatureTable, Nuisance, extract


def extracted(folder, rng, plant):
    """Two labels, 25 photos of noise each in any colour, alike but for what `plant` does to one label's."""
    for label in ("rust", "well"):
        (folder / label).mkdir(parents=True)
        for number in range(25):
            rgb = (rng.integers(40, 160, size=3) + rng.integers(0, 50, size=(48, 64, 3))).astype(np.uint8)
            rgb, quality = plant(rgb, label)
            stream = io.BytesIO()
            Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
            (folder / label / f"{number}.jpg").write_bytes(stream.getvalue())
    return extract(folder, [LBP(), Nuisance()], store=folder.parent / "store")


def border(rgb, label):
    rgb[[0, 1, -2, -1]] = rgb[:, [0, 1, -2, -1]] = (200, 40, 40) if label == "rust" else (40, 40, 200)
    return rgb, 90


def quality(rgb, label):
    return rgb, 70 if label == "rust" else 92


def nothing(rgb, label):
    return rgb, 90


@pytest.mark.parametrize(
    ("plant", "kind"),
    [(border, "the colours of the border"), (quality, "the compression of the file")],
)
def test_a_planted_shortcut_is_found_and_named(tmp_path, plant, kind):
    table = extracted(tmp_path / "photos", np.random.default_rng(0), plant)
    found = compare(table, heads=["softmax"], jobs=1)
    assert found.shortcuts["found"] and next(iter(found.shortcuts["kinds"])) == kind
    assert found.shortcuts["balanced_accuracy"] > 0.95
    text = f"{kind} alone with"
    assert text in str(found) and text in found.to_html()
    assert [row["features"] for row in found.results] == ["lbp"]  # nuisance is for the check, not the contest


def test_without_a_shortcut_nothing_is_claimed(tmp_path):
    table = extracted(tmp_path / "photos", np.random.default_rng(0), nothing)
    folds = make_folds(table.label, table.groups)
    found = check_shortcuts(table, folds, best=0.9, jobs=1)
    assert not found["found"] and found["kinds"] == {} and 0.2 < found["balanced_accuracy"] < 0.7


def test_chance_is_one_label_in_so_many_also_for_rare_labels():
    rng = np.random.default_rng(0)
    table = FeatureTable.from_arrays(
        {"nuisance": rng.normal(size=(100, 3))}, label=["a"] * 80 + ["b"] * 10 + ["c"] * 10
    )
    found = check_shortcuts(table, make_folds(table.label, table.groups), best=0.9, jobs=1)
    # Always answering the commonest label is right on 80 %, and no shortcut.
    assert found["accuracy"]["mean"] > 0.7 and found["chance"] == pytest.approx(1 / 3) and not found["found"]


def test_the_commonest_label_is_that_of_the_photos_tested():
    # 90 to train on, half of either label; of 40 to test 36 are b, of which 3 look like a: 37 right, or 92.5 %.
    label = np.array(["a"] * 45 + ["b"] * 45 + ["a"] * 4 + ["b"] * 36)
    value = (label == "b").astype(float)
    value[-3:] = 0
    table = FeatureTable.from_arrays({"nuisance": value[:, None]}, label=label)
    found = check_shortcuts(table, [Fold(0, 0, np.arange(90), np.arange(90, 130))], best=0.9, jobs=1)
    # The lower end, 80 %, is above b's share of all photos, 62 %, but not of those tested, 90 %.
    assert found["accuracy"]["mean"] == 37 / 40 and found["accuracy"]["low"] < 0.9 and not found["found"]


def test_half_of_the_way_to_the_best_is_the_limit():
    rng = np.random.default_rng(1)
    label = np.repeat(["a", "b"], 100)
    value = (label == "b") + rng.normal(size=200) * 0.9
    table = FeatureTable.from_arrays({"nuisance": value[:, None]}, label=label)
    folds = make_folds(table.label, table.groups)
    reached = check_shortcuts(table, folds, best=1.0, jobs=1)["balanced_accuracy"]
    limit = 0.5 + 2 * (reached - 0.5)
    assert check_shortcuts(table, folds, best=limit - 0.01, jobs=1)["found"]
    assert not check_shortcuts(table, folds, best=limit + 0.01, jobs=1)["found"]


def test_a_table_without_nuisance_is_told_how_to_get_it(confused, caplog):
    with caplog.at_level("INFO", logger="bottlehead"):
        assert compare(confused, ["good"], ["softmax"], jobs=1).shortcuts is None
    assert "the table has no column nuisance; `featurize extract" in caplog.text
