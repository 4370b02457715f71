"""Near-duplicates: what is found in made-up and in real photos, and what they do to a comparison."""

import json

import numpy as np
import pytest
from builders import burst_table, run
from PIL import Image

from classify import train_model
from classify.folds import Fold
from evaluate import compare, find_duplicates, group_duplicates
from evaluate.checks.leakage import describe_duplicates, find_contamination, find_near_duplicates, flatters
from evaluate.statistics.intervals import Interval
from featurize import BottleheadError, FeatureTable, InceptionV3, extract


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


def test_pairs_are_found_conflicts_come_first_and_distorted_copies_are_none(copied):
    found = find_duplicates(copied)
    assert (found.features, found.threshold, found.rows.tolist()) == ("net", 0.97, [[0, 1], [2, 3]])
    said = [[pair[key] for key in ("image", "other", "identical", "conflict")] for pair in found.pairs]
    assert said == [["a.jpg", "b.jpg", True, True], ["c.jpg", "d.jpg", False, False]]
    one, other = copied.vectors["net"][2:4]
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.pairs[1]["similarity"] == pytest.approx(cosine, abs=1e-5)
    assert found.counts == {"identical": 1, "near": 1, "conflict": 1, "images": 4}
    # Distorted copies are no pairs, and follow their photo into its group.
    twice = copied.filter(np.tile(np.arange(6), 2)).with_column("variant", [0] * 6 + [9] * 6)
    again = find_duplicates(twice)
    groups = group_duplicates(twice, again.rows).groups
    assert again.pairs == found.pairs
    assert groups[:6].tolist() == groups[6:].tolist() and len(set(groups)) == 4
    # Identical bytes are found whatever the vectors say.
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


def test_the_command_lists_reports_and_groups(copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied.write("t.parquet")
    done = run("evaluate duplicates t.parquet --group-duplicates g.parquet --report d.html --json d.json")
    assert "4 photos are in 2 pairs: 1 byte-identical, 1 at 0.97 or more alike; 1 with confl" in done.out
    assert "rust or well?" in done.out and "wrote g.parquet" in done.err
    assert json.loads((tmp_path / "d.json").read_text())["pairs"][0]["other_label"] == "well"
    assert "2 pairs" in (tmp_path / "d.html").read_text()
    group = FeatureTable.read("g.parquet").group.tolist()
    assert group[2:4] == ["near c.jpg"] * 2 and group[0] == group[1]
    few = run("evaluate duplicates t.parquet --features few --threshold 0.5 --json d.json")
    assert few.status == 0 and len(json.loads((tmp_path / "d.json").read_text())["pairs"]) == 15


def test_nothing_found_is_said_and_hostile_names_are_only_text(copied):
    found = find_duplicates(copied.filter([0, 2, 4, 5]))
    assert "none byte-identical, none at 0.97 or more alike" in str(found)
    assert "None: no two photos" in found.to_html()
    hostile = copied.with_column("image", [f"<script>{n}" for n in range(6)])
    assert find_duplicates(hostile).to_html().count("<script>") == 1  # its own


BURSTS = burst_table()


def test_compare_measures_both_ways_where_near_duplicates_help(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    BURSTS.write("t.parquet")
    outs, found = [], []
    for option in ("", "--group-duplicates"):
        outs.append(run(f"evaluate compare t.parquet --heads knn -j 1 --json r.json {option}").out)
        found.append(json.loads((tmp_path / "r.json").read_text()))
    apart, together = (one["results"][0]["accuracy"]["mean"] for one in found)
    assert together < 0.75 < 0.9 < apart and found[1]["data"]["groups"] == 40
    assert found[0]["duplicates"]["accuracy_together"] == together
    assert found[1]["duplicates"]["accuracy_at_random"] == apart
    assert f"{100 * apart:.1f} % with random folds and {100 * together:.1f} % when near-duplicates" in outs[0]


def test_where_near_duplicates_cannot_be_kept_together_they_are_counted():
    table = BURSTS.filter(np.isin(np.arange(120) // 3, [*range(6), 39]))  # 7 scenes, 21 photos
    found = compare(table, heads=["knn:n_neighbors=3"], cv=5, jobs=1)
    assert found.duplicates["accuracy_together"] is None
    counted = f"{found.duplicates['parted']} photos were tested by heads trained on"
    assert found.warnings[0].startswith(counted)
    # Given folds that part them are refused when asked to keep them together.
    folds = [(np.arange(0, 80), np.arange(80, 120))]
    with pytest.raises(BottleheadError, match="fold 0 leaks"):
        compare(BURSTS, heads=["knn"], folds=folds, group_duplicates=True, jobs=1)
    assert compare(BURSTS, heads=["knn"], folds=folds, jobs=1).duplicates["parted"] == 1


def test_one_figure_when_nothing_is_alike_and_given_groups_are_not_called_random():
    found = compare(BURSTS.filter(np.arange(0, 120, 3)), heads=["knn"], group_duplicates=True, jobs=1)
    assert found.duplicates["accuracy_at_random"] is None and found.duplicates["words"] == ""
    grouped = BURSTS.with_column("group", ["pot"] * 3 + [None] * 117)
    found = compare(grouped, heads=["knn"], group_duplicates=True, jobs=1)
    assert "with folds by the given groups alone and" in found.warnings[0]


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


def described(family: str, weights: dict | None = None) -> dict:
    return {"family": family, "weights": weights}


TRAINED, RANDOM = {"source": "imagenet"}, {"source": "random", "seed": 0}
HASHED = np.array(["00" * 8, "00" * 7 + "ff", "ff" * 8, None, "00" * 6 + "ffff", "0f" * 8], dtype=object)


@pytest.mark.parametrize(
    ("columns", "phash", "compared"),
    [
        # Wide texture and colour are passed over, and so is a network that nobody trained.
        ({"color": described("color"), "lbp": described("lbp")}, HASHED, "phash"),
        ({"color": described("color")}, None, None),
        ({"vgg16": described("vgg16", RANDOM)}, HASHED, "phash"),
        ({"vgg16": described("vgg16", TRAINED), "color": described("color")}, HASHED, "vgg16"),
        ({"inception_v3": described("imported")}, HASHED, "inception_v3"),
        ({"made elsewhere": None}, HASHED, "made elsewhere"),
    ],
)
def test_a_networks_vectors_are_compared_or_else_perceptual_hashes(columns, phash, compared, caplog):
    X = np.random.default_rng(0).normal(size=(6, 80))
    table = FeatureTable.from_arrays(dict.fromkeys(columns, X), sha256=[f"{n:064x}" for n in range(6)])
    table.metadata["features"] = {name: entry for name, entry in columns.items() if entry}
    table = table if phash is None else table.with_column("phash", phash)
    found = find_duplicates(table)
    assert found.features == compared and ("photos alone are" in caplog.text) == (compared is None)
    if compared == "phash":
        # 8 and 16 of 64 bits differ from the first; 10 may.
        assert found.rows.tolist() == [[0, 1], [1, 4]]
        assert found.pairs[0].similarity == 56 / 64 and found.threshold == 54 / 64
        assert "2 at 0.84375 or more alike" in str(found) and "54 of 64 bits" in found.to_html()
        assert len(find_duplicates(table, threshold=0.75).pairs) == 3


def test_a_table_without_hashes_cannot_compare_them(copied):
    with pytest.raises(BottleheadError, match="no perceptual hashes"):
        find_duplicates(copied, "phash")


@pytest.mark.parametrize(("common", "threshold"), [(0.0, 0.93), (0.5, 0.93), (0.79, 0.97), (0.88, 0.98)])
def test_the_more_alike_a_networks_vectors_are_the_more_its_copies_must_be(common, threshold):
    """Unrelated photos have a cosine of `common`: 0.79 by Inception v3's mixed8, at 0.97 as measured there."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2000)) + np.sqrt(common / (1 - common))
    table = FeatureTable.from_arrays({"net": X})
    assert find_duplicates(table).threshold == 0.97  # of unknown origin
    table.metadata["features"]["net"] = described("vgg16", TRAINED)
    assert find_duplicates(table).threshold == threshold
    assert find_duplicates(table.filter(np.arange(19))).threshold == 0.97


def test_copies_are_found_by_hashes_that_extraction_writes(assets, tmp_path):
    flowers = assets / "data" / "flowers"
    photos = sorted((flowers / "daisy").glob("*.jpg"))[:20]
    changes = {
        "half": lambda image: image.resize((image.width // 2, image.height // 2)),
        "cut": lambda image: image.crop((4, 4, image.width - 4, image.height - 4)),
    }
    for photo in photos:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
        for name, change in changes.items():
            change(Image.open(photo)).save(tmp_path / f"{photo.stem}-{name}.webp", quality=60)
    table = extract(tmp_path, ["color"], store=tmp_path / "store")
    found = find_duplicates(table)
    assert found.features == "phash" and len(found.pairs) == 60  # three of each
    assert all(pair.image.split("-")[0][:8] == pair.other.split("-")[0][:8] for pair in found.pairs)


@pytest.mark.parametrize(
    ("together", "warned"), [(0.85, False), (0.8, False), (0.75, False), (0.65, True), (None, True)]
)
def test_only_an_accuracy_that_falls_out_of_its_interval_is_a_warning(together, warned):
    interval, folds = Interval(0.8, 0.7, 0.9), [Fold(0, 0, np.array([1]), np.array([0]))]
    duplicates = find_near_duplicates(BURSTS, False)[0]
    assert flatters(describe_duplicates(duplicates, folds, interval, together=together), interval) == warned


@pytest.mark.parametrize("hashed", [True, False])
def test_photos_that_a_model_of_colours_knows_are_found_by_hashes_or_bytes_alone(hashed):
    """Colours of 80 numbers that are nearly the same for all photos are no sign of a copy."""
    rng = np.random.default_rng(0)
    X = 1 + rng.random((60, 80)) * np.repeat([[0.9], [0.5]], 30, axis=0)
    table = FeatureTable.from_arrays(
        {"color": X}, label=np.repeat(["a", "b"], 30), sha256=[f"{n:064x}" for n in range(60)]
    )
    table.metadata["features"]["color"] = described("color") | {"fingerprint": "x", "width": 80}
    hashes = [rng.bytes(8).hex() for _ in range(59)]
    table = table.with_column("phash", [*hashes, hashes[0]]) if hashed else table
    training, tested = table.filter(np.arange(50)), table.filter(np.arange(50, 60))
    model = train_model(training, "knn", "color", jobs=1)
    found = find_contamination(model, tested, training)
    assert (found.near.tolist() == [False] * 9 + [True]) if hashed else (found.near is None)
    assert find_contamination(model, tested).near is None


@pytest.mark.tensorflow
def test_altered_copies_of_real_photos_are_found(assets, inception_weights, networks_store, tmp_path):
    flowers = assets / "data" / "flowers"
    photos = [one for kind in ("daisy", "tulips") for one in sorted((flowers / kind).glob("*.jpg"))[:6]]
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
    assert len(copies) == 6 and len(near & copies) >= 5
    # Two tulips of one series resemble each other, and one of them is copied.
    assert all("tulips/12916" in name for pair in near - copies for name in pair)
