"""Splits: retrain.py's own arithmetic, exact counts, and groups that never part."""

import hashlib
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.splits.split import crossing_images, hash_split, split_table
from featurize.errors import UsageError
from featurize.table import FeatureTable


def table_of(label, **columns):
    return FeatureTable.from_arrays({"x": np.zeros((len(label), 1))}, label=label, **columns)


def retrain(file_name, testing_percentage, validation_percentage):
    """The assignment as retrain.py (TensorFlow 1.x, Apache-2.0) wrote it."""
    hash_name = re.sub(r"_nohash_.*$", "", file_name)
    hash_name_hashed = hashlib.sha1(str.encode(hash_name)).hexdigest()
    percentage_hash = (int(hash_name_hashed, 16) % (134217727 + 1)) * (100.0 / 134217727)
    if percentage_hash < validation_percentage:
        return "validation"
    if percentage_hash < (testing_percentage + validation_percentage):
        return "testing"
    return "training"


def test_hash_agrees_with_retrain_on_ten_thousand_names():
    names = [f"roses/{i}{'_nohash_' + str(i % 7) if i % 3 == 0 else ''}.jpg" for i in range(10_000)]
    found = split_table(table_of(["roses"] * len(names), image=names), "hash", 10, 15).split
    assert found.tolist() == [retrain(name, 10, 15) for name in names]
    counts = Counter(found.tolist())
    assert abs(counts["testing"] - 1000) < 150 and abs(counts["validation"] - 1500) < 150


def test_hash_limits_lie_where_the_digest_says():
    digest = int(hashlib.sha1(b"a.jpg").hexdigest(), 16) % 2**27 / (2**27 - 1) * 100
    assert hash_split("a.jpg", 0.2 * digest, 0.9 * digest) == "testing"
    assert hash_split("a.jpg", 0, digest * 1.001) == "validation"
    assert hash_split("a.jpg", 0, digest * 0.999) == "training"


@pytest.mark.parametrize("name", ["file", "path"])
def test_both_readings_of_the_name_agree_with_retrain(name):
    images = [f"roses/{i}{'_nohash_' + str(i % 7) if i % 3 == 0 else ''}.jpg" for i in range(10_000)]
    folder = {"folder": "./flower_photos/"} if name == "path" else {}
    found = split_table(table_of(["roses"] * len(images), image=images), "hash", 10, 15, name=name, **folder)
    typed = [f"./flower_photos/{image}" if name == "path" else image.split("/")[1] for image in images]
    assert found.split.tolist() == [retrain(one, 10, 15) for one in typed]


def test_hash_reads_odd_names_as_the_file_system_has_them():
    table = table_of(["a"] * 40, image=[r"a\\b.jpg", r"caf\xE9.jpg", *(f"{i}.jpg" for i in range(38))])
    found = split_table(table, "hash", 40, 40, name="file").split
    assert found[0] == retrain("a\\b.jpg", 40, 40)
    digest = int(hashlib.sha1(b"caf\xe9.jpg").hexdigest(), 16) % 2**27 / (2**27 - 1) * 100
    assert found[1] == ("validation" if digest < 40 else "testing" if digest < 80 else "training")


def test_keep_together_moves_whole_groups_and_nothing_else():
    images = [f"{i}.jpg" for i in range(300)]
    contents = [f"{i // 3 if i < 90 else i:064x}" for i in range(300)]
    table = table_of(["a"] * 300, image=images, sha256=contents)
    plain, kept = split_table(table, "hash", 30, 30), split_table(table, "hash", 30, 30, keep_together=True)
    assert crossing_images(plain) > 0 == crossing_images(kept)
    assert plain.split[90:].tolist() == kept.split[90:].tolist()
    for start in range(0, 90, 3):
        sides = set(plain.split[start : start + 3])
        expected = next(side for side in ("training", "validation", "testing") if side in sides)
        assert set(kept.split[start : start + 3]) == {expected}


def test_a_photo_in_training_stays_there_when_its_twin_is_added():
    images, contents = [f"{i}.jpg" for i in range(400)], [f"{i % 200:064x}" for i in range(400)]
    small = table_of(["a"] * 200, image=images[:200], sha256=contents[:200])
    large = table_of(["a"] * 400, image=images, sha256=contents)
    before, after = (split_table(t, "hash", 30, 30, keep_together=True).split[:200] for t in (small, large))
    assert set(after[before == "training"]) == {"training"}


def test_hash_never_changes_side_as_the_set_grows():
    names = [f"{i}.jpg" for i in range(200)]
    small = split_table(table_of(["a"] * 100, image=names[:100]), "hash").split
    large = split_table(table_of(["a"] * 200, image=names), "hash").split
    assert small.tolist() == large[:100].tolist()


@pytest.mark.parametrize(
    ("testing", "validation", "expected"), [(10, 10, (16, 2, 2)), (25, 0, (15, 0, 5)), (1, 1, (18, 1, 1))]
)
def test_stratified_has_exact_counts_in_every_label(testing, validation, expected):
    found = split_table(table_of(["a"] * 20 + ["b"] * 20), "stratified", testing, validation).split
    for rows in (slice(0, 20), slice(20, 40)):
        counts = Counter(found[rows].tolist())
        assert (counts["training"], counts["validation"], counts["testing"]) == expected


def test_stratified_leaves_rows_without_label_out_and_takes_variants_along():
    label = ["a"] * 10 + ["b"] * 10 + [None]
    names = [f"{i}.jpg" for i in range(21)]
    table = table_of(label + label, image=names + names, variant=[0] * 21 + [7] * 21)
    found = split_table(table).split
    assert found[:21].tolist() == found[21:].tolist()
    assert found[20] is None and Counter(found[:21].tolist())["testing"] == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 11), min_size=40, max_size=80),
    st.sampled_from(["stratified", "group"]),
    st.integers(0, 5),
)
def test_groups_never_part_and_no_side_is_empty(groups, method, seed):
    label = ["a" if group % 2 else "b" for group in groups]
    table = table_of(label, group=[f"leaf {group}" for group in groups])
    try:
        found = split_table(table, method, seed=seed)
    except UsageError:
        return
    assert crossing_images(found) == 0
    assert set(found.split) == {"training", "validation", "testing"}


def test_no_side_is_empty_beside_a_giant_group():
    for seed in range(10):
        table = table_of(["a"] * 40, group=["giant"] * 38 + ["one", "two"])
        found = split_table(table, "stratified", 10, 10, seed=seed)
        assert set(found.split) == {"training", "validation", "testing"} and crossing_images(found) == 0


def test_group_takes_the_asked_share_of_the_groups():
    groups = np.repeat(np.arange(20), 3)
    table = table_of(["a", "b", "b"] * 20, group=[str(group) for group in groups])
    found = split_table(table, "group", 20, 10).split
    sides = {side: len(set(groups[found == side])) for side in ("training", "validation", "testing")}
    assert sides == {"training": 14, "validation": 2, "testing": 4}


def test_another_seed_divides_otherwise_and_the_same_seed_the_same():
    table = table_of(["a"] * 50 + ["b"] * 50)
    one, same, other = (split_table(table, seed=seed).split.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_crossing_images_are_counted():
    table = table_of(
        ["a"] * 4, sha256=["aa", "aa", "bb", "cc"], split=["training", "testing", "testing", None]
    )
    assert crossing_images(table) == 2


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (table_of(["a"] * 20), {"method": "random"}, "no split method is called 'random'"),
        (
            table_of(["a"] * 20),
            {"testing_percentage": 60, "validation_percentage": 40},
            "60 % testing and 40 %",
        ),
        (table_of(["a"] * 20), {"testing_percentage": -1}, "-1 % testing"),
        (table_of(["a"] * 20), {"testing_percentage": float("nan")}, "nan % testing"),
        (table_of(["a"] * 20), {"method": "hash", "name": "path"}, "the name 'path' was asked for, without"),
        (table_of(["a"] * 20), {"method": "hash", "folder": "x"}, "'image' was asked for, with 'x'"),
        (table_of(["a"] * 20), {"keep_together": True}, "stratified has no use for a name"),
        (table_of(["a"] * 3), {"method": "hash"}, "divides 3 photos into .* 0 for"),
        (table_of([None] * 20), {}, "no row of the table has a label"),
        (
            table_of(["a"] * 20 + ["b"] * 2),
            {},
            "b has 2 images in 2 groups; 1 for testing and 1 for validation",
        ),
        (table_of(["a"] * 20 + ["b"]), {}, "b has 1 image in 1 group; 1 for testing"),
        (
            table_of(["a"] * 20).with_column("variant", np.arange(1, 21)),
            {},
            "20 rows of the table are distorted copies",
        ),
        (table_of(["a"] * 2, group=["1", "2"]), {"method": "group"}, "the table has 2 groups"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_numbers(table, options, message):
    with pytest.raises(UsageError, match=message):
        split_table(table, **options)


def test_group_refuses_when_training_would_lose_a_label():
    table = table_of(["rare"] + ["a"] * 9, group=[str(i) for i in range(10)])
    refused = 0
    for seed in range(20):
        try:
            assert "rare" in table.label[split_table(table, "group", 30, 0, seed=seed).split == "training"]
        except UsageError as error:
            assert "training would have no image of rare" in str(error)
            refused += 1
    assert 0 < refused < 20
