"""Shortcuts: planted in photos, they are found; where there is none, nothing is claimed."""

import json

import numpy as np
import pytest
from builders import encoded, run
from PIL import Image

from classify import Fold, make_folds, train_model
from evaluate import check_shortcuts, compare
from featurize import LBP, FeatureTable, Nuisance, extract


def border(rgb, label):
    rgb[[0, 1, -2, -1]] = rgb[:, [0, 1, -2, -1]] = (200, 40, 40) if label == "rust" else (40, 40, 200)
    return rgb, 90


PLANTED = {
    "the colours of the border": border,
    "the compression of the file": lambda rgb, label: (rgb, 70 if label == "rust" else 92),
    None: lambda rgb, label: (rgb, 90),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_shortcut_is_found_and_named_and_none_where_there_is_none(tmp_path, kind):
    """Two labels, 15 photos of noise each in any colour, alike but for what is planted in one label's."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    for label in ("rust", "well"):
        (folder / label).mkdir(parents=True)
        for number in range(15):
            rgb = (rng.integers(40, 160, size=3) + rng.integers(0, 50, size=(48, 64, 3))).astype(np.uint8)
            rgb, percent = PLANTED[kind](rgb, label)
            jpeg = encoded(Image.fromarray(rgb), "JPEG", quality=percent)
            (folder / label / f"{number}.jpg").write_bytes(jpeg)
    table = extract(folder, [LBP(), Nuisance()], store=tmp_path / "store", jobs=1)
    if kind is None:
        found = check_shortcuts(table, make_folds(table.label, table.groups, n_folds=3), best=0.9, jobs=1)
        assert not found["found"] and found["kinds"] == {} and 0.2 < found["balanced_accuracy"] < 0.7
        return
    result = compare(table, heads=["sklearn.naive_bayes.GaussianNB"], cv=2, jobs=1)
    assert result.shortcuts["found"] and next(iter(result.shortcuts["kinds"])) == kind
    assert result.shortcuts["balanced_accuracy"] > 0.9 and result.shortcuts["chance"] == 0.5
    text = f"{kind} alone with"
    assert text in str(result) and text in result.to_html()
    # The nuisance is for the check, not for the contest.
    assert [row["features"] for row in result.results] == ["lbp"]


def checked(label, nuisance, best=0.9, folds=None):
    table = FeatureTable.from_arrays({"nuisance": nuisance}, label=label)
    return check_shortcuts(table, folds or make_folds(table.label, table.groups, n_folds=2), best, jobs=1)


def test_chance_is_one_label_in_so_many_also_for_rare_labels():
    noise = np.random.default_rng(0).normal(size=(100, 3))
    found = checked(["a"] * 80 + ["b"] * 10 + ["c"] * 10, noise)
    # Always answering the commonest label is right on 80 %, and no shortcut.
    assert found["accuracy"]["mean"] > 0.7 and found["chance"] == pytest.approx(1 / 3) and not found["found"]


def test_the_commonest_label_is_that_of_the_photos_tested():
    # 90 to train on, half of either label; of 40 to test 36 are b, of which 3 look like a: 37 right, or 92.5 %.
    label = np.array(["a"] * 45 + ["b"] * 45 + ["a"] * 4 + ["b"] * 36)
    value = (label == "b").astype(float)
    value[-3:] = 0
    found = checked(label, value[:, None], folds=[Fold(0, 0, np.arange(90), np.arange(90, 130))])
    # The lower end, 80 %, is above b's share of all photos, 62 %, but not of those tested, 90 %.
    assert found["accuracy"]["mean"] == 37 / 40 and found["accuracy"]["low"] < 0.9 and not found["found"]


def test_half_of_the_way_to_the_best_is_the_limit():
    label = np.repeat(["a", "b"], 100)
    value = ((label == "b") + np.random.default_rng(1).normal(size=200) * 0.9)[:, None]
    limit = 0.5 + 2 * (checked(label, value, best=1.0)["balanced_accuracy"] - 0.5)
    assert checked(label, value, best=limit - 0.01)["found"]
    assert not checked(label, value, best=limit + 0.01)["found"]


def test_a_table_without_nuisance_is_told_how_to_get_it(confused, caplog):
    with caplog.at_level("DEBUG", logger="bottlehead"):
        assert compare(confused, ["good"], ["dummy"], jobs=1).shortcuts is None
    assert "the table has no column nuisance; `featurize extract" in caplog.text


def regions_table(**strength: float) -> FeatureTable:
    """Features ``net`` of a region each, two labels as far apart as `strength` says, with records as a network's."""
    rng = np.random.default_rng(0)
    label = np.repeat(["rust", "well"], 60)
    vectors, entries = {}, {}
    for region, apart in strength.items():
        name = "net" if region == "whole" else f"net:region={region}"
        vectors[name] = rng.normal(size=(120, 4)) + apart * (label == "rust")[:, None]
        params = {} if region == "whole" else {"region": region}
        described = {"family": "net", "weights": "sha256:0", **({"region": "…"} if params else {})}
        entries[name] = {"params": params, "description": described, "fingerprint": region}
    table = FeatureTable.from_arrays(vectors, label=label)
    table.metadata["features"] = entries
    return table


@pytest.mark.parametrize(("border", "found"), [(3.0, True), (1.2, True), (0.5, False), (0.0, False)])
def test_a_border_that_tells_the_labels_as_well_as_the_whole_photo_is_named(border, found):
    table = regions_table(whole=1.2, border=border, centre=0.8)
    result = compare(
        table, ["net", "net:region=centre"], heads=["sklearn.naive_bayes.GaussianNB"], cv=3, jobs=1
    )
    (check,) = result.borders
    assert (check.border, check.whole, check.centre) == ("net:region=border", "net", "net:region=centre")
    by_features = {row.features: row.accuracy for row in result.results}
    assert check.whole_accuracy.mean == by_features["net"].mean
    assert check.centre_accuracy.mean == by_features["net:region=centre"].mean
    assert check.difference.difference == pytest.approx(
        check.whole_accuracy.mean - check.border_accuracy.mean
    )
    assert check.difference.low <= check.difference.difference <= check.difference.high
    assert check.found == found == any("border of the photos alone" in text for text in result.warnings)
    assert check.words in result.to_html().replace("&#39;", "'") and "the centre alone reaches" in check.words
    assert result.to_dict()["borders"][0]["found"] == found


def test_the_border_is_a_control_and_no_default_features_and_nothing_is_said_without_the_whole(caplog):
    table = regions_table(whole=2.0, border=1.0, centre=1.0)
    names = list(
        dict.fromkeys(row.features for row in compare(table, heads=["softmax"], cv=2, jobs=1).results)
    )
    assert sorted(names) == ["net", "net+net:region=centre", "net:region=centre"]
    assert train_model(table, "softmax").features == "net+net:region=centre"
    assert train_model(table, "softmax", "net:region=border").features == "net:region=border"
    alone = regions_table(border=1.0)
    with caplog.at_level("INFO"):
        assert compare(alone, heads=["softmax"], cv=2, jobs=1).borders == []
    assert "lacks the features of the whole photo for net:region=border" in caplog.text


@pytest.mark.parametrize("spec", ["glcm", "lbp", "color", "texture:grey"])
def test_a_planted_frame_is_found_by_the_border_of_texture_and_colour(tmp_path, spec):
    """Photos of noise alike in both labels, but for a frame of stripes or of one colour planted in each."""
    rng, folder = np.random.default_rng(0), tmp_path / "photos"
    for label in ("rust", "well"):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            rgb = rng.integers(0, 256, size=(50, 50, 3)).astype(np.uint8)
            middle = rgb[6:-6, 6:-6].copy()
            rgb[:] = 40 if label == "rust" else 200
            rgb[:, :: 2 if label == "rust" else 50] = 90
            rgb[6:-6, 6:-6] = middle
            Image.fromarray(rgb).save(folder / label / f"{number}.png")
    border, centre = (
        f"{spec}{',' if ':' in spec else ':'}region={region}" for region in ("border", "centre")
    )
    table, output = tmp_path / "t.parquet", tmp_path / "r.json"
    run("featurize", "extract", folder, "-o", table, "--features", spec, border, centre, "--jobs", "1",
        "--store", tmp_path / "store")  # fmt: skip
    done = run(
        "evaluate", "compare", table, "--heads", "softmax", "--cv", "3", "--json", output, "--jobs", "1"
    )
    assert done.status == 0, done.err
    result = json.loads(output.read_text())
    assert border not in {row["features"] for row in result["results"]}, "a control is no default features"
    (check,) = result["borders"]
    assert (check["border"], check["whole"], check["centre"]) == (border, spec, centre)
    assert check["found"] and check["border_accuracy"]["mean"] == 1.0
    assert check["centre_accuracy"]["mean"] < 0.8, "noise tells nothing"
    assert "border of the photos alone" in done.out
