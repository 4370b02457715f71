"""Every command and option of ``evaluate`` that measures something: terminal, JSON and report say the same."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable

import numpy as np
import pytest
from builders import burst_table, digest_of, made_table, run

from classify import save_model, train_model
from featurize import FeatureTable

KINDS = "label,superclass\nant,insect\nbee,insect\ncat,pet\n"
TWO = "label,new_label\nant,insect\nbee,insect\ncat,pet\n"


def words(page: str) -> str:
    text = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def check_page(page: str) -> None:
    """The page is whole, runs the one script that its policy names, and asks nobody for anything."""
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert f"script-src 'sha256-{digest}'" in html.unescape(policy) and policy.startswith("default-src")
    assert page.count("<script") == 1 and page.rstrip().endswith("</html>")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(one.startswith(("#", "data:image/")) for one in addresses)
    assert not re.search(r"\son\w+=|@import|url\(", page)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinds.csv").write_text(KINDS)
    (tmp_path / "two.csv").write_text(TWO)
    return tmp_path


def measured(command: str) -> tuple[dict, str, str]:
    """The JSON, the terminal's text and the page's text of a command."""
    done = run(f"evaluate {command} --json r.json --report r.html")
    assert done.status == 0, done.err
    with open("r.json", encoding="utf-8") as stream:
        content = json.load(stream)
    with open("r.html", encoding="utf-8") as stream:
        page = stream.read()
    check_page(page)
    text = words(page)
    assert (
        content["format_version"] == 1
        and content["command"] == f"evaluate {command} --json r.json --report r.html"
    )
    assert content["data"]["digest"] in text and content["methods_paragraph"]["text"] in text
    for warning in content["warnings"] if "warnings" in content else ():
        assert warning in text and f"warning: {warning}" in done.out
    return content, done.out, text


def with_repeats(content, out, text):
    assert (content["folds"]["cv"], content["folds"]["repeats"]) == (3, 2)
    assert len(content["results"][0]["accuracy_per_fold"]) == 6
    assert "3 folds, 2 times, the same for all" in out
    assert sum(map(sum, content["best"]["confusion"]["matrix"])) == 2 * 48


def with_dummy(content, out, text):
    rows = {(row["features"], row["head"]): row for row in content["results"]}
    assert rows["good", "dummy"]["accuracy"]["mean"] == pytest.approx(32 / 48)
    assert content["results"][0]["head"] != "dummy"
    assert {pair["other"]["head"] for pair in content["comparisons"] if pair["compares"] == "features"} == {
        "softmax"
    }


def with_superclasses(content, out, text):
    kind = {"ant": "insect", "bee": "insect", "cat": "pet"}
    counts, wrong = content["best"]["superclasses"], content["best"]["misclassified"]
    assert counts["errors"] == len(wrong) > 0
    assert counts["crossing"] == sum(kind[one["label"]] != kind[one["predicted"]] for one in wrong)
    assert counts["accuracy"] == pytest.approx(1 - counts["crossing"] / 48)
    assert counts["confusion"]["labels"] == ["insect", "pet"] and np.sum(counts["confusion"]["matrix"]) == 48
    sentence = f"{counts['crossing']} of {counts['errors']} errors cross"
    assert sentence in out and sentence in text


def with_positive(content, out, text):
    assert content["data"]["labels"] == {"insect": 32, "pet": 16} and "48 photos, 2 labels" in out
    row = content["results"][0]
    found = row["positive"]
    assert found["label"] == "pet" and found["sensitivity"] == row["per_label"]["pet"]["recall"]
    assert found["specificity"] == row["per_label"]["insect"]["recall"]
    (_, b), (c, d) = content["best"]["confusion"]["matrix"]
    assert (found["sensitivity"], found["precision"]) == pytest.approx((d / (c + d), d / (b + d)))
    assert f"sensitivity {100 * found['sensitivity']:.1f} %" in out
    assert f"Sensitivity {100 * found['sensitivity']:.1f} %" in text


def with_curve(content, out, text):
    curve, best = content["learning_curve"], content["results"][0]
    assert curve["model"] == {"features": best["features"], "head": best["head"]}
    assert curve["points"][-1]["accuracy"] == best["accuracy"]
    assert "with ever more images per label" in out and "Learning curve" in text


def with_a_rope(content, out, text):
    assert all(pair["rope"] == 30 and pair["probability"]["same"] > 0.5 for pair in content["comparisons"])


def balanced(content, out, text):
    assert [row["head"] for row in content["results"]] == ["softmax:class_weight=balanced"]
    assert "class_weight=balanced" in out and "class_weight=balanced" in text


def tuned(content, out, text):
    (row,) = content["results"]
    assert row["head"] == "softmax tuned" and len(row["tuned"]) == 3
    assert all(spec.startswith("softmax:C=") for spec in row["tuned"])
    assert "softmax tuned on good chose in 3 folds: softmax:C=" in out and "searched anew" in text


def predefined(content, out, text):
    assert content["folds"]["tested"] == 12 and "1 fold, the same for all, which test 12 photos" in out
    assert content["data"]["images"] == 48


COMPARED = "compare t.parquet --features good --heads softmax --cv 3 -j 1"


@pytest.mark.parametrize(
    ("command", "check"),
    [
        (f"{COMPARED} --repeats 2 --seed 3", with_repeats),
        ("compare t.parquet --heads softmax dummy --cv 3 -j 1 --relabel two.csv", with_dummy),
        (f"{COMPARED} --superclass kinds.csv", with_superclasses),
        (f"{COMPARED} --relabel two.csv --positive pet", with_positive),
        (f"{COMPARED} --curve", with_curve),
        ("compare t.parquet --features good --heads softmax svm --cv 3 -j 1 --rope 30", with_a_rope),
        (f"{COMPARED} --balanced", balanced),
        (f"{COMPARED} --tune", tuned),
        ("compare t.parquet --features good --heads softmax --folds predefined -j 1", predefined),
    ],
    ids=lambda value: value.__name__ if isinstance(value, Callable) else "",
)
def test_compare_tells_what_its_options_ask_for(folder, command, check):
    split = (["training"] * 36 + ["validation"] * 12) if check is predefined else [None] * 48
    made_table(48, separation=1.2, split=split).write("t.parquet")
    check(*measured(command))


def test_compare_warns_of_one_photo_under_two_labels_and_of_copies_on_both_sides(folder):
    """Photos 0 and 1 have the same bytes and other labels; 20 and 40 are nearly the same."""
    table = made_table(60)
    wide = np.random.default_rng(0).normal(size=(60, 80))
    wide[40] = wide[20] + 0.01
    sha256 = [digest_of(0) if row == 1 else digest_of(row) for row in range(60)]
    FeatureTable(table.with_column("sha256", sha256).ids, {"net": wide.astype(np.float32)}).write("t.parquet")
    content, _, text = measured("compare t.parquet --heads softmax --cv 3 -j 1")
    assert content["data"]["identical_images"] == 2
    assert any("ant/0.jpg, bee/1.jpg" in one and "different labels" in one for one in content["warnings"])
    assert "1 photo stands under several labels" in text and "cat/20.jpg bee/40.jpg" in text
    together, _, _ = measured("compare t.parquet --heads softmax --cv 3 -j 1 --group-duplicates")
    assert together["duplicates"]["parted"] == 0 and together["data"]["groups"] == 58


def test_compare_measures_both_ways_where_near_duplicates_help(folder):
    burst_table().write("t.parquet")
    random, out, _ = measured("compare t.parquet --heads knn -j 1")
    grouped, _, _ = measured("compare t.parquet --heads knn -j 1 --group-duplicates")
    apart, together = (one["results"][0]["accuracy"]["mean"] for one in (random, grouped))
    assert together < 0.75 < 0.95 < apart and grouped["data"]["groups"] == 40
    assert random["duplicates"]["accuracy_together"] == together
    assert grouped["duplicates"]["accuracy_at_random"] == apart
    assert f"{100 * apart:.1f} % with random folds and {100 * together:.1f} % when near-duplicates" in out


@pytest.mark.parametrize("told", [True, False])
def test_compare_warns_of_a_shortcut_and_of_none_where_there_is_none(folder, told):
    table = made_table(60, separation=1.2)
    size = np.random.default_rng(0).normal(size=60) if not told else np.arange(60) % 3 * 100.0
    FeatureTable(table.ids, {**table.vectors, "nuisance": size[:, None].astype(np.float32)}).write(
        "t.parquet"
    )
    content, out, text = measured("compare t.parquet --features good --heads softmax --cv 3 -j 1")
    found = content["shortcuts"]
    assert found["found"] == told and found["chance"] == pytest.approx(1 / 3)
    assert (found["balanced_accuracy"] > 0.95) == told
    assert ("camera, file and mean colours alone" in out) == told
    assert ("Shortcut check Found" in text) == told and content["methods"]["shortcuts"] in text


def test_a_test_table_is_trained_on_the_one_and_tests_the_other(folder):
    made_table(60).write("a.parquet")
    made_table(45, seed=2, start=57).write("b.parquet")
    content, _, _ = measured("compare a.parquet --test b.parquet --features good noise --heads softmax -j 1")
    assert (
        content["folds"]["tested"] == 45 and "57 photos to train on, 45 to test" in content["folds"]["method"]
    )
    assert any(one.startswith("3 of the 60 photos to train on are in") for one in content["warnings"])
    (pair,) = content["comparisons"]
    assert pair["verdict"] in ("ahead", "undecided") and "beats" not in pair["words"]


@pytest.mark.parametrize("groups", [False, True])
def test_the_curve_ends_at_what_compare_measures_and_grows_by_whole_groups(folder, groups):
    table = made_table(60, ("ant", "bee"), separation=1.2)
    if groups:
        table = table.with_column("group", [f"leaf {row // 10 * 2 + row % 2}" for row in range(60)])
    table.write("t.parquet")
    content, out, text = measured("curve t.parquet --features good --head softmax --cv 3 -j 1")
    whole, _, _ = measured("compare t.parquet --features good --heads softmax --cv 3 -j 1")
    points = content["points"]
    assert points[-1]["accuracy"] == whole["results"][0]["accuracy"]
    assert [one["images_per_label"] for one in points][-1] == 20
    if groups:  # six leaves of five photos to a label, of which four are trained on; two are half of them
        assert [one["images_per_label"] for one in points] == [10, 20]
        assert all(one["n_training"] % 10 == 0 for one in points)
    assert all(str(one["images_per_label"]) in text for one in points) and "images per label" in out


def test_test_counts_what_the_model_knew_by_bytes_by_vectors_and_by_group(folder):
    rng = np.random.default_rng(0)
    label = np.array(["rust", "well"] * 60)
    vectors = np.abs(rng.normal(size=(120, 100)) + 0.15 * (label == "well")[:, None])
    vectors[80:90] = vectors[:10] * rng.uniform(0.95, 1.05, size=(10, 100))
    sha256 = [digest_of(n) for n in range(120)]
    sha256[90:95] = sha256[10:15]
    leaf = [None] * 120
    leaf[20:24], leaf[100:106] = ["leaf 1"] * 4, ["leaf 1"] * 6
    table = FeatureTable.from_arrays(
        {"net": vectors},
        label=label,
        group=leaf,
        sha256=sha256,
        image=[f"{n}.jpg" for n in range(120)],
        split=["training"] * 80 + ["testing"] * 40,
    )
    table.write("t.parquet")
    # The model was trained before the copies were made, from its own table.
    model = train_model(table, "softmax", "net", jobs=1)
    save_model(model, "m.model")
    content, out, text = measured("test m.model t.parquet --training t.parquet --misclassified")
    tested = table.filter(np.arange(80, 120))
    right = model.predict(tested.vectors["net"]) == tested.label
    assert content["accuracy"] == pytest.approx(right.mean())
    assert (content["seen"], content["near"], content["grouped"]) == (5, 10, 6)
    unseen = np.r_[95 - 80 : 100 - 80, 106 - 80 : 120 - 80]
    assert content["unseen"]["images"] == len(unseen) == 19
    assert content["unseen"]["accuracy"] == pytest.approx(right[unseen].mean())
    assert {one["image"] for one in content["misclassified"]} == set(tested.image[~right])
    assert "on the 19 not seen in training" in out
    assert "5 of them were in its training set, 10 nearly, and 6 share a group" in text


def test_duplicates_are_listed_and_kept_together(folder):
    """Photos 0 and 1 have the same bytes, 2 and 3 nearly the same vectors; the others are alike to none."""
    wide = np.random.default_rng(0).normal(size=(6, 80))
    wide[1], wide[3] = wide[0], wide[2] * 5 + 0.01
    FeatureTable.from_arrays(
        {"net": wide, "few": np.ones((6, 3))},
        image=[f"{n}.jpg" for n in "abcdef"],
        sha256=[digest_of(n) for n in (1, 1, 2, 3, 4, 5)],
        label=["rust", "well", "rust", "rust", "well", None],
    ).write("t.parquet")
    content, out, text = measured("duplicates t.parquet --group-duplicates g.parquet")
    pairs = content["pairs"]
    assert [(one["image"], one["other"], one["identical"], one["conflict"]) for one in pairs] == [
        ("a.jpg", "b.jpg", True, True),
        ("c.jpg", "d.jpg", False, False),
    ]
    cosine = wide[2] @ wide[3] / np.linalg.norm(wide[2]) / np.linalg.norm(wide[3])
    assert pairs[1]["similarity"] == pytest.approx(cosine, abs=1e-5)
    assert content["counts"] == {"identical": 1, "near": 1, "conflict": 1, "images": 4}
    assert (content["features"], content["threshold"]) == ("net", 0.97)
    assert "rust or well?" in out and "2 pairs" in text and "c.jpg d.jpg" in text
    group = FeatureTable.read("g.parquet").groups
    assert group[0] == group[1] and group[2] == group[3] and len(set(group)) == 4
    everything, _, _ = measured("duplicates t.parquet --features few --threshold 0.5")
    assert len(everything["pairs"]) == 15
