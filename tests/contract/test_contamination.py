"""Contamination: copies of training photos in a test set are counted, by bytes and by vectors."""

import numpy as np
import pytest
from builders import run

import evaluate
from classify import save_model, train_model
from featurize import BottleheadError, FeatureTable


@pytest.fixture(scope="module")
def photos() -> FeatureTable:
    """120 photos, 100 numbers each, two labels that overlap; the last 40 are for testing."""
    label = np.array(["rust", "well"] * 60)
    net = np.abs(np.random.default_rng(0).normal(size=(120, 100)) + 0.15 * (label == "well")[:, None])
    image, sha256 = [f"{n}.jpg" for n in range(120)], [f"{n:064x}" for n in range(120)]
    split = ["training"] * 80 + ["testing"] * 40
    return FeatureTable.from_arrays({"net": net}, label=label, image=image, sha256=sha256, split=split)


@pytest.fixture(scope="module")
def model(photos):
    return train_model(photos, "softmax", "net", jobs=1)


@pytest.fixture
def contaminated(photos):
    """Ten test photos are training photos a little altered, and five more have the bytes of one."""
    vectors, sha256 = photos.vectors["net"].copy(), photos.sha256
    vectors[80:90] = vectors[:10] * np.random.default_rng(1).uniform(0.95, 1.05, size=(10, 100))
    vectors[90:95] = vectors[10:15]
    sha256[90:95] = sha256[10:15]
    return FeatureTable(photos.ids, {"net": vectors}, photos.metadata).with_column("sha256", sha256)


@pytest.mark.parametrize("with_table", [True, False])
def test_both_kinds_are_counted_with_and_without_the_training_table(model, photos, contaminated, with_table):
    found = evaluate.test(model, contaminated, training=photos if with_table else None)
    assert (found.scores["seen"], found.scores["near"]) == (5, 10)
    said = (
        "5 of the 40 test photos were in the model's training set and 10 more are near-duplicates of one of"
    )
    assert found.warnings[0].startswith(said) and found.warnings[0].endswith("believe the unseen ones")
    right = model.predict(contaminated.vectors["net"][95:]) == contaminated.label[95:]
    assert found.scores["unseen"]["images"] == 25
    assert found.scores["unseen"]["accuracy"] == pytest.approx(right.mean())
    assert found.scores["accuracy"] > found.scores["unseen"]["accuracy"]
    assert "on the 25 not seen in training, nor nearly" in str(found)
    assert "5 of them were in its training set, and 10 nearly" in found.to_html()


def test_near_duplicates_alone_are_a_warning_too_and_one_photo_is_one(model, contaminated):
    found = evaluate.test(model, contaminated.filter(np.arange(80, 90)))
    near = "10 of the 10 test photos are near-duplicates of one of the 80 training photos"
    assert found.warnings[0].startswith(near) and found.warnings[0].endswith("how it does on new photos")
    assert "All of the photos, or nearly the same ones, were in its training set." in found.to_html()
    words = evaluate.test(model, contaminated.filter(np.r_[80, 90, 95:100])).warnings[0]
    assert words.startswith("1 of the 7 test photos was in the model's training set and 1 more is a near-dup")


def test_a_clean_test_set_is_clean_and_only_rows_that_were_trained_on_count(model, photos):
    found = evaluate.test(model, photos)
    assert (found.scores["seen"], found.scores["near"], found.scores["unseen"]) == (0, 0, None)
    assert not any("training" in text for text in found.warnings)
    # The training table holds the test photos too, in its testing rows.
    tested = photos.filter(np.arange(80, 120)).with_column("sha256", [None] * 40)
    scores = evaluate.test(model, tested, training=photos).scores
    assert (scores["near"], scores["unseen"]) == (0, None)


def grouped(table: FeatureTable) -> FeatureTable:
    """Photos 0 to 3 and 100 to 105 are of one leaf, 106 and 107 of another, which trained nothing."""
    leaf: list[str | None] = [None] * 120
    leaf[0:4], leaf[100:106], leaf[106:108] = ["leaf 1"] * 4, ["leaf 1"] * 6, ["leaf 2"] * 2
    return table.with_column("group", leaf)


def test_photos_of_a_group_that_was_trained_on_are_counted(model, photos, contaminated):
    for table in (grouped(photos), grouped(photos).with_column("sha256", [None] * 120)):
        found = evaluate.test(model, table)
        assert (found.scores["grouped"], found.scores["unseen"]["images"]) == (6, 34)
        shared = "6 of the 40 test photos share a group with a training photo; believe the unseen ones"
        assert found.warnings[0] == shared
        assert "on the 34 not seen in training, nor in a group with one that was" in str(found)
        paragraph = found.to_dict()["methods_paragraph"]["text"]
        assert "6 of them share a group with a photo of its training set; on the 34" in paragraph
    all_three = evaluate.test(model, grouped(contaminated))
    assert [all_three.scores[one] for one in ("seen", "near", "grouped")] == [5, 10, 6]
    assert "(0.97 or more alike) and 6 more share a group with a training photo" in all_three.warnings[0]
    assert "5 of them were in its training set, 10 nearly, and 6 share a group" in all_three.to_html()


def test_groups_are_known_from_the_training_table_too_or_not_at_all(model, photos):
    alone = grouped(photos).filter(np.arange(80, 120))
    assert evaluate.test(model, alone).scores["grouped"] is None
    assert evaluate.test(model, photos).scores["grouped"] is None
    assert evaluate.test(model, alone, training=grouped(photos)).scores["grouped"] == 6
    # Rows that the model has not seen trained nothing, whatever the split says.
    other = grouped(photos).with_column("sha256", [f"{n:064x}" for n in range(500, 620)])
    assert evaluate.test(model, other).scores["grouped"] is None


def test_what_cannot_be_compared_is_refused_or_left_open(model, photos, confused):
    with pytest.raises(BottleheadError, match="of the 40 photos in the training table none was in"):
        evaluate.test(model, photos, training=photos.filter(np.arange(80, 120)))
    with pytest.raises(BottleheadError, match="the model needs the features net"):
        evaluate.test(model, photos, training=confused)
    narrow = train_model(confused, "softmax", "good", jobs=1)
    assert evaluate.test(narrow, confused).scores["near"] is None
    with pytest.raises(BottleheadError, match="features good have 4 numbers, too few"):
        evaluate.test(narrow, confused, training=confused)


def test_models_of_unknown_contents_go_by_the_split(photos):
    unknown = photos.with_column("sha256", [None] * 120)
    model = train_model(unknown, "softmax", "net", jobs=1)
    tested = unknown.with_column("split", ["testing"] * 120)
    found = evaluate.test(model, tested, training=unknown)
    assert found.scores["near"] == 80 and found.scores["unseen"]["images"] == 40
    assert "80 training photos" in found.warnings[0]


def test_the_command_takes_the_training_table(model, photos, contaminated, tmp_path):
    photos.write(tmp_path / "a.parquet")
    contaminated.write(tmp_path / "b.parquet")
    save_model(model, tmp_path / "m.model")
    done = run(f"evaluate test {tmp_path}/m.model {tmp_path}/b.parquet --training {tmp_path}/a.parquet")
    assert done.status == 0 and "warning: 5 of the 40 test photos" in done.out
