"""Duplicates: what is found in made-up photos, and groups that keep them together."""

import json

import numpy as np
import pytest
from builders import run

from evaluate import find_duplicates, group_duplicates
from featurize import FeatureTable


@pytest.fixture
def copied() -> FeatureTable:
    """Six photos: 0 and 1 byte-identical under two labels, 2 and 3 nearly the same, 4 and 5 unlike any."""
    X = np.random.default_rng(0).normal(size=(6, 80))
    X[1], X[3] = X[0], X[2] * 5 + 0.01
    return FeatureTable.from_arrays(
        {"net": X, "nuisance": np.ones((6, 100)), "few": np.ones((6, 3))},
        image=[f"{n}.jpg" for n in "abcdef"],
        sha256=[f"{n:064x}" for n in (1, 1, 2, 3, 4, 5)],
        label=["rust", "well", "rust", "rust", "well", None],
    )


@pytest.fixture
def twice(copied) -> FeatureTable:
    """The same with a distorted copy of each."""
    return copied.filter(np.tile(np.arange(6), 2)).with_column("variant", [0] * 6 + [9] * 6)


def test_pairs_are_found_conflicts_come_first_and_distorted_copies_are_none(copied, twice):
    found = find_duplicates(copied)
    assert (found.features, found.threshold, found.rows.tolist()) == ("net", 0.97, [[0, 1], [2, 3]])
    assert [(pair["image"], pair["other"], pair["identical"], pair["conflict"]) for pair in found.pairs] == [
        ("a.jpg", "b.jpg", True, True),
        ("c.jpg", "d.jpg", False, False),
    ]
    one, other = copied.vectors["net"][2:4]
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.pairs[1]["similarity"] == pytest.approx(cosine, abs=1e-5)
    assert found.counts == {"identical": 1, "near": 1, "conflict": 1, "images": 4}
    assert find_duplicates(twice).pairs == found.pairs


def test_identical_bytes_are_found_whatever_the_vectors_say(copied):
    copied.vectors["net"][1] = 0
    assert find_duplicates(copied).pairs[0]["similarity"] == 1.0


def test_narrow_vectors_are_compared_only_when_named(copied, caplog):
    narrow = FeatureTable(copied.ids, {"few": copied.vectors["few"]}, copied.metadata)
    found = find_duplicates(narrow)
    assert "byte-identical photos alone" in caplog.text and "it has few with 3 and 0.00" in caplog.text
    assert [(pair["image"], pair["other"]) for pair in found.pairs] == [("a.jpg", "b.jpg")]
    assert (found.features, found.threshold, found.counts["near"]) == (None, None, 0)
    assert "compared by their bytes alone" in str(found) and "alike" not in str(found)
    assert "by their bytes alone" in found.to_html()
    assert json.loads(json.dumps(found.to_dict()))["features"] is None
    different = find_duplicates(narrow.filter([0, 2, 4, 5]))
    assert str(different).endswith("by their bytes alone: none byte-identical")
    assert "no two photos are byte-identical.</p>" in different.to_html()
    assert len(find_duplicates(narrow, "few").pairs) == 15


def test_vectors_that_are_alike_for_all_photos_are_passed_over(caplog):
    rng = np.random.default_rng(0)
    alike = rng.random(200) + 0.05 * rng.normal(size=(50, 200))
    table = FeatureTable.from_arrays({"alike": alike, "net": rng.normal(size=(50, 100))})
    assert find_duplicates(table).features == "net"
    find_duplicates(FeatureTable(table.ids, {"alike": table.vectors["alike"]}))
    assert "no features of the table tell photos apart" in caplog.text
    assert "alike with 200 and 0.9" in caplog.text


def test_groups_join_chains_and_what_belonged_together_before():
    group = ["one", None, "two", "two", None, None, "near e"]
    table = FeatureTable.from_arrays({"x": np.zeros((7, 1))}, image=list("abcdefg"), group=group)
    grouped = group_duplicates(table, np.array([[0, 1], [1, 2], [4, 5]]))
    assert grouped.group.tolist() == ["one"] * 4 + ["near near e"] * 2 + ["near e"]
    assert len(set(grouped.groups)) == 3
    assert group_duplicates(table, np.zeros((0, 2), dtype=np.int64)).group.tolist() == table.group.tolist()


def test_variants_follow_their_photo_into_the_group(twice):
    groups = group_duplicates(twice, find_duplicates(twice).rows).groups
    assert groups[:6].tolist() == groups[6:].tolist() and len(set(groups)) == 4


def test_the_command_lists_reports_and_groups(copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied.write("t.parquet")
    done = run("evaluate duplicates t.parquet --group-duplicates g.parquet --report d.html --json d.json")
    assert (
        "4 photos are in 2 pairs: 1 byte-identical, 1 at 0.97 or more alike; 1 with conflicting" in done.out
    )
    assert "rust or well?" in done.out and "wrote g.parquet" in done.err
    assert json.loads((tmp_path / "d.json").read_text())["pairs"][0]["other_label"] == "well"
    assert "2 pairs" in (tmp_path / "d.html").read_text()
    group = FeatureTable.read("g.parquet").group.tolist()
    assert group[2:4] == ["near c.jpg"] * 2 and group[0] == group[1]
    few = run("evaluate duplicates t.parquet --features few --threshold 0.5 --json d.json")
    assert few.status == 0 and len(json.loads((tmp_path / "d.json").read_text())["pairs"]) == 15


def test_nothing_found_is_said(copied):
    found = find_duplicates(copied.filter([0, 2, 4, 5]))
    assert "none byte-identical, none at 0.97 or more alike" in str(found)
    assert "None: no two photos" in found.to_html()


def test_hostile_names_are_only_text(copied):
    hostile = copied.with_column("image", [f"<script>{n}" for n in range(6)])
    assert find_duplicates(hostile).to_html().count("<script>") == 1  # its own
