"""``classify predict``: what it refuses to overwrite, and what it says beside the predictions."""

import json

import numpy as np
import pytest
from PIL import Image

from classify.cli import main
from classify.model.card import model_card
from classify.model.modelfile import save_model
from classify.prediction.output import as_csv, as_text
from classify.prediction.predict import Predictions
from classify.training.train import train
from featurize.errors import UsageError
from featurize.extraction.run import extract


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Eight photos of two labels, their table, and a model on their mean colours."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / "photos" / ("dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 60, (20, 20, 3)) + (0 if number % 2 else 190)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    table = extract("photos", ["color"], store=tmp_path / "store")
    table.write("t.parquet")
    save_model(train(table, jobs=1), "m")
    return tmp_path


def predict(words: str) -> int:
    return main(f"predict m {words} --store store".split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("photos/dark/1.png -o photos/dark/1.png", "is an input and would be overwritten"),
        ("t.parquet -o t.parquet", "is an input and would be overwritten"),
        ("t.parquet -o m", "m is an input and would be overwritten"),
        ("t.parquet -o no/p.csv", "there is no folder no"),
        ("t.parquet -o photos", "photos is a folder"),
    ],
)
def test_predictions_never_overwrite_what_they_are_made_of(photos, words, message, capsys):
    before = {path: path.read_bytes() for path in photos.glob("**/*.png")}
    assert predict(words) == 1
    assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in photos.glob("**/*.png")} == before


def test_earlier_predictions_may_be_overwritten(photos, capsys):
    assert predict("photos -o p.csv --format csv") == 0
    assert predict("photos -o p.csv --format csv") == 0
    assert (photos / "p.csv").read_text().startswith("image,label,confidence,outlier\n")


def test_the_ending_of_the_output_says_its_form(photos):
    for words in ("photos -o p.csv", "photos -o p.jsonl", "photos -o p.txt", "photos -o q.csv --format text"):
        assert predict(words) == 0
    first = {
        name: (photos / name).read_text().splitlines()[0] for name in ("p.csv", "p.jsonl", "p.txt", "q.csv")
    }
    assert first["p.csv"] == "image,label,confidence,outlier"
    assert json.loads(first["p.jsonl"])["label"] == "dark"
    assert first["p.txt"] == first["q.csv"] and ": dark 0." in first["p.txt"]


@pytest.mark.parametrize(
    "words", ["train t.parquet -o t.parquet", "train t.parquet --relabel r.csv -o r.csv"]
)
def test_a_model_never_overwrites_what_it_is_made_of(photos, words, capsys):
    (photos / "r.csv").write_text("label,new_label\ndark,night\nlight,day\n")
    assert main(words.split()) == 1
    assert "is an input and would be overwritten" in capsys.readouterr().err


def test_photos_of_the_training_set_are_counted_once(photos, capsys):
    Image.new("RGB", (20, 20), (3, 2, 1)).save(photos / "new.png")
    assert predict("t.parquet new.png") == 0
    err = capsys.readouterr().err
    assert err.count("flatter") == 1
    assert "8 of the 9 photos were in the model's training set; confidences flatter there" in err
    assert predict("new.png") == 0
    assert "training set" not in capsys.readouterr().err
    assert predict("photos/dark/1.png") == 0
    assert "this photo was in the model's training set" in capsys.readouterr().err


def test_a_photo_that_is_not_there_is_said_to_be_so(photos, capsys):
    assert predict("nowhere.jpg") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "error: there is no nowhere.jpg",
        "hint: give photos, folders, glob patterns in quotes, manifests or tables",
    ]


def test_an_error_leaves_standard_output_empty(photos, capsys):
    (photos / "broken.jpg").write_bytes(b"no photo")
    assert predict("broken.jpg --format csv") == 1
    out, err = capsys.readouterr()
    assert out == "" and "error: broken.jpg cannot be used" in err


def test_a_photo_beside_a_broken_one_is_named(photos, capsys):
    (photos / "broken.jpg").write_bytes(b"no photo")
    assert predict("photos/dark/1.png broken.jpg") == 0
    assert capsys.readouterr().out.startswith("photos/dark/1.png: dark 0.")


def test_a_label_that_is_called_as_a_column_is_refused():
    labels = ["confidence", "image"]
    found = Predictions(["x.jpg"], labels, np.array([[0.5, 0.5]]), [None])
    with pytest.raises(UsageError, match="a label is called confidence, image"):
        list(as_csv(labels, [found], 0))
    assert "".join(as_csv(labels, [found])).splitlines()[1] == "x.jpg,confidence,0.5,"


def test_labels_cannot_move_the_cursor(described):
    evil = "\x1b[2J"
    labels = ["bee", f"cat{evil}"]
    found = Predictions(["x.jpg"], labels, np.array([[0.25, 0.75]]), [None])
    assert "".join(as_text(labels, [found])) == "cat\\x1b[2J 0.7500\nbee 0.2500\n"
    relabel = {"ant": "bee", "bee": "bee", "cat": f"cat{evil}"}
    card = model_card(train(described, features="wide", relabel=relabel, jobs=1))
    assert "\x1b" not in card and "cat\\x1b[2J  20 training photos" in card


def test_the_card_is_prose_and_names_the_weights_once(described):
    for entry in described.metadata["features"].values():
        entry["description"] |= {"weights": "sha256:" + "ab" * 32, "angles": [0.0, 45.0]}
    card = model_card(train(described, features="wide", jobs=1))
    assert "resize       kind bilinear, size 299" in card and "angles       0, 45" in card
    assert card.count("ab" * 32) == 1 and "{" not in card and "[" not in card
