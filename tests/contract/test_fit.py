"""``bottlehead fit``: the whole job in one command, and the commands that it says would repeat it."""

import re
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import Outcome, run, write_photos
from PIL import Image

from classify import load_model
from featurize import FeatureTable


def write_tinted(folder: Path, per_label: int, labels=("blue", "red"), seed: int = 0) -> Path:
    """Photos of random patches, no two alike, with more of one colour than of the other: most, not all, are told."""
    rng = np.random.default_rng(seed)
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(per_label):
            patches = rng.integers(0, 180, (5, 5, 3)).astype(np.uint8)
            patches[..., 2 if label == "blue" else 0] += rng.integers(0, 75, dtype=np.uint8)
            Image.fromarray(patches).resize((50, 50), Image.Resampling.NEAREST).save(
                folder / label / f"{number}.png"
            )
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """An archive of 40 photos, two of each leaf, and a copy of each that differs in one pixel."""
    place = tmp_path_factory.mktemp("fit")
    photos = write_tinted(place / "photos", 20)
    with zipfile.ZipFile(place / "photos.zip", "w") as archive:
        for number, path in enumerate(sorted(photos.rglob("*.png"))):
            archive.write(path, f"{path.parent.name}/leaf{number // 2}_nohash_{number}.png")
            with Image.open(path) as picture:
                picture.putpixel((0, 0), (1, 2, 3))
                picture.save(path)
            archive.write(path, f"{path.parent.name}/copy of {number}.png")
        archive.writestr("red/torn.png", b"\x89PNG\r\n\x1a\n and no more")
    return place


def fit(place: Path, *words: str | Path) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("FEATURIZE_STORE", str(place.parent / "fit store"))
        return run("bottlehead", "fit", *words, "--features", "color", "--jobs", "1")


def interrupted(*args, **options):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def fitted(place) -> Outcome:
    (place / "one").mkdir()
    done = fit(place / "one", "../photos.zip", "-o", "tints.model", "--seed", "3")
    assert done.status == 0, done.err
    return done


def printed_commands(fitted: Outcome) -> list[list[str]]:
    lines = fitted.out.partition("What was done; these commands repeat it:\n")[2].splitlines()
    return [shlex.split(line) for line in lines]


def test_it_leaves_a_model_a_table_and_two_reports_and_says_how_good_the_model_is(place, fitted):
    assert {path.name for path in (place / "one").iterdir()} == {
        *("tints.model", "tints.fit.parquet", "tints.fit.rejects.csv", "tints.html", "tints.comparison.html"),
    }
    table, model = (
        FeatureTable.read(place / "one" / "tints.fit.parquet"),
        load_model(place / "one" / "tints.model"),
    )
    tested = table.filter(table.split == "testing")
    n_tested = len(tested)
    assert sorted(set(table.split)) == ["testing", "training"] and 12 <= n_tested <= 20
    right = (model.predict(tested.select(model.features)) == tested.label).mean()
    first = fitted.out.splitlines()[0]
    assert first.startswith(f"{model.training['head']} on {model.features} is right on {100 * right:.1f} % (")
    assert f"of {n_tested} photos that were set aside" in first
    assert "would be right on 50.0 %" in fitted.out or "of always answering" in fitted.out
    assert f"Against texture, in 5 folds of the {80 - n_tested} photos to train on: " in fitted.out
    assert model.training["photos"] == 80 - n_tested, "the photos set aside are not trained on"
    warnings, _, to_do = fitted.out.partition("What to do next:")
    assert "warning: 1 photo was left out of all this: tints.fit.rejects.csv says why" in warnings
    assert "see why 1 photo was left out, mend or delete it: tints.fit.rejects.csv" in to_do
    assert "  use it: classify predict tints.model PHOTO.jpg" in to_do or "since it may only guess: " in to_do


def test_neither_groups_nor_near_duplicates_are_parted(place, fitted):
    """A leaf and the copies of its photos are on one side."""
    table = FeatureTable.read(place / "one" / "tints.fit.parquet")
    sides: dict[int, set[str]] = {}
    for image, side in zip(table.image, table.split, strict=True):
        number = int(image.removesuffix(".png").rpartition("_" if "_" in image else " ")[2])
        sides.setdefault(number // 2, set()).add(side)
    assert len(sides) == 20 and all(len(some) == 1 for some in sides.values())


def test_the_commands_that_it_prints_repeat_it(place, fitted, monkeypatch):
    (place / "two").mkdir()
    monkeypatch.chdir(place / "two")
    commands = printed_commands(fitted)
    assert [words[:2] for words in commands] == [
        *(["featurize", "scan"], ["featurize", "extract"], ["evaluate", "split"]),
        *(["evaluate", "compare"], ["classify", "train"], ["evaluate", "test"]),
    ]
    outcomes = {words[1]: run(*words) for words in commands}
    assert all(done.status == 0 for done in outcomes.values()), outcomes
    one, two = (FeatureTable.read(place / name / "tints.fit.parquet") for name in ("one", "two"))
    assert one.digest() == two.digest()
    models = [load_model(place / name / "tints.model") for name in ("one", "two")]
    X = one.select(models[0].features)
    np.testing.assert_array_equal(models[0].predict_proba(X), models[1].predict_proba(X))
    # The best row of the comparison is what was trained, and the test has the accuracy of the summary.
    best = next(line for line in outcomes["compare"].out.splitlines() if line.startswith("*")).split()
    assert best[1:3] == [models[0].features, models[0].training["head"]]
    (accuracy,) = re.findall(r"^accuracy (.*?\)) on ", outcomes["test"].out, re.MULTILINE)
    assert f"is right on {accuracy} of " in fitted.out
    for name in ("tints.html", "tints.comparison.html"):
        assert (place / "two" / name).is_file()


def test_after_ctrl_c_no_vector_is_computed_again(place, fitted, monkeypatch):
    (place / "three").mkdir()
    monkeypatch.setattr("evaluate.studies.compare.compare", interrupted)
    broken = fit(place / "three", "../photos.zip", "-o", "tints.model")
    assert broken.status == 130 and "run the same command again" in broken.hint
    assert "nothing was computed, all vectors came from the store" in broken.err
    assert not (place / "three" / "tints.model").exists()


def test_the_split_of_folders_stays_and_its_near_duplicates_are_told(tmp_path):
    for split, seed in (("train", 0), ("test", 1)):
        write_tinted(tmp_path / "photos" / split, 10, seed=seed)
    shutil.copy(tmp_path / "photos/train/blue/0.png", tmp_path / "photos/test/blue/again.png")
    done = fit(tmp_path, "photos", "-o", "tints.model", "--report", "good.html")
    assert done.status == 0, done.err
    assert (tmp_path / "good.html").is_file() and (tmp_path / "good.comparison.html").is_file()
    assert "of 21 photos that were set aside" in done.out and "On the 20 of them" in done.out
    commands = printed_commands(done)
    assert "split" not in [words[1] for words in commands]
    (compare,) = [words for words in commands if words[1] == "compare"]
    assert "--group-duplicates" in compare


def test_folders_without_a_test_are_divided_anew_and_that_is_said(tmp_path, monkeypatch):
    for split, seed in (("train", 0), ("val", 1)):
        write_tinted(tmp_path / "photos" / split, 4, seed=seed)
    monkeypatch.setattr("evaluate.studies.compare.compare", interrupted)
    done = fit(tmp_path, "photos", "-o", "tints.model", "--features", "nuisance")
    assert "--features color texture color+texture --heads" in done.err, (
        "camera and file are not to be learnt"
    )
    assert "warning: 2 labels have fewer than 20 photos (8 of blue): too few to say" in done.err
    assert "warning: no photos are set aside for testing" in done.err and "call their folder test" in done.err
    assert "warning: near-duplicates are not kept together: the photos of" not in done.err
    split = FeatureTable.read(tmp_path / "tints.fit.parquet").split
    assert sorted(set(split)) == ["testing", "training"]


def test_near_duplicates_are_parted_where_a_label_has_nothing_else_and_that_is_said(tmp_path, monkeypatch):
    photos = write_tinted(tmp_path / "photos", 6)
    with Image.open(photos / "red" / "0.png") as picture:
        for number in range(1, 6):
            picture.putpixel((0, number), (9, 9, 9))
            picture.save(photos / "red" / f"{number}.png")
    monkeypatch.setattr("evaluate.studies.compare.compare", interrupted)
    done = fit(tmp_path, "photos", "-o", "tints.model")
    assert "the photos of red would then be in 1 of 3 groups that are needed" in done.err
    assert "--group-duplicates" not in done.err


def flat(folder):
    write_photos(folder, [f"{number}.png" for number in range(10)])


def one_class(folder):
    write_photos(folder, [f"rust/{number}.png" for number in range(10)])


def few(folder):
    write_photos(folder, [*(f"rust/{number}.png" for number in range(9)), "well/1.png"])


def broken(folder):
    for number in range(10):
        (folder / "ab"[number % 2]).mkdir(exist_ok=True)
        (folder / "ab"[number % 2] / f"{number}.jpg").write_bytes(b"\xff\xd8\xff nothing")


def one_group(folder):
    write_photos(folder, [f"{label}{number}.png" for label in "ab" for number in range(6)])
    rows = [
        f"{label}{number}.png,{label},{label if label == 'a' else number}"
        for label in "ab"
        for number in range(6)
    ]
    (folder / "manifest.csv").write_text("\n".join(["image,label,group", *rows]))


def untrained_label(folder):
    write_photos(folder, [f"train/{label}/{number}.png" for label in "ab" for number in range(4)])
    write_photos(folder, [f"test/{label}/{number}.png" for label in "abc" for number in range(4)], seed=1)


def unlabelled_manifest(folder):
    write_photos(folder, ["1.png", "2.png"])
    (folder / "manifest.csv").write_text("image\n1.png\n2.png\n")


BAD = {
    "a flat folder": (flat, ".", "the 10 photos in . have no labels", "class folder"),
    "one class": (one_class, ".", "have the label rust alone", "class folder"),
    "one photo of a class": (few, ".", "there is 1 photo of well", "each label needs 3"),
    "all broken": (
        broken,
        ".",
        "no image in . can be used (rejected: 10; the first is a/0.jpg",
        "featurize scan",
    ),
    "an empty folder": (lambda folder: None, ".", "", ""),
    "one group": (one_group, "manifest.csv", "the photos of a are in one group", "other photos of it"),
    "no labels": (unlabelled_manifest, "manifest.csv", "have no labels", "label column"),
    "nothing": (lambda folder: None, "missing", "", ""),
    "no archive": (lambda folder: (folder / "a.zip").write_bytes(b"PK no"), "a.zip", "", ""),
    "features that are none": (flat, ". --features nonsense", "nonsense", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_end_in_a_model_is_refused_before_anything_is_written(case, place, tmp_path):
    make, words, error, hint = BAD[case]
    (tmp_path / "here").mkdir()
    make(tmp_path / "here")
    done = fit(tmp_path / "here", *shlex.split(words), "-o", tmp_path / "m.model")
    assert done.status == 1 and error in done.error and hint in done.hint, done.err
    assert not done.out and not (tmp_path / "m.model").exists()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("-o /dev/stdout", "is no file"),
        ("-o m.model --report page", "is not the name of a page"),
        ("-o m.model --table m.txt", "m.txt"),
        ("-o photos/blue/0.png", "photo"),
        ("-o m.model --report m.model.html --table photos", "photos"),
        ("-o none/m.model", "none"),
    ],
)
def test_an_output_that_cannot_be_is_refused_first(place, words, error):
    done = fit(place, "photos", *shlex.split(words))
    assert done.status in (1, 2) and error in done.error and "$ featurize" not in done.err


def test_without_the_weights_of_a_network_it_stops_as_extract_does(place):
    words = ["--weights", "none.h5", "--features", "inception_v3"]
    both = [
        run("bottlehead", "fit", place / "photos", "-o", place / "m.model", *words),
        run("featurize", "extract", place / "photos", "-o", place / "t.parquet", *words),
    ]
    assert [done.status for done in both] == [1, 1]
    assert (both[0].error, both[0].hint) == (both[1].error, both[1].hint)
    assert "none.h5" in both[0].error
