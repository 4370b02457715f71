"""A model.json that somebody edited is refused with its key, and so is a head that does not fit it."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from builders import made_table

from classify.model.card import model_card
from classify.model.modelfile import load_model, save_model
from classify.training.train import train
from featurize.errors import ModelError


def edited(path, **changes):
    """The model at `path` with other values in its model.json; a callable gets the value that was there."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members["model.json"])
    for key, value in changes.items():
        about[key] = value(about[key]) if callable(value) else value
    members["model.json"] = json.dumps(about).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m"
    table = made_table()
    table.metadata["features"]["good"] = {"family": "imported", "fingerprint": "f" * 64, "description": {}}
    save_model(train(table, "softmax", "good+noise", tune="log-loss"), path)
    return path


@pytest.fixture
def saved(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "m")


def of(key, value):
    return lambda found: found | {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", []),
        ("labels", ["ant", "bee", 3]),
        ("widths", [6]),
        ("widths", [4, True]),
        ("widths", [2, 2, 2]),
        ("features", None),
        ("features", "a+b+c"),
        ("described", of("good", "by hand")),
        ("described", lambda found: {name: entry | {"weights": "w.h5"} for name, entry in found.items()}),
        ("described", lambda found: {name: entry | {"description": [1]} for name, entry in found.items()}),
        ("described", lambda found: {name: entry | {"golden": 7} for name, entry in found.items()}),
        ("described", lambda found: {name: entry | {"golden": ["x"]} for name, entry in found.items()}),
        ("described", lambda found: {name: entry | {"versions": [1]} for name, entry in found.items()}),
        ("described", lambda found: {name: entry | {"family": "glcm"} for name, entry in found.items()}),
        ("relabel", {"ant": 1}),
        ("relabel", ["ant"]),
        ("training", of("photos_per_label", {"ant": "many"})),
        ("training", of("photos_per_label", 3)),
        ("training", of("rows", "60")),
        ("training", of("photos", True)),
        ("training", of("versions", "new")),
        ("training", of("trust", [1])),
        ("training", of("tuning", {"by": "log-loss"})),
        ("training", lambda found: found | {"tuning": found["tuning"] | {"trail": [{"params": 1}]}}),
        ("training", lambda found: found | {"tuning": found["tuning"] | {"trail": [{"params": {}}]}}),
        ("training", of("steps", 5)),
        ("training", of("steps", {"accuracy": "x"})),
        ("training", of("steps", {"accuracy": 0.9, "best_step": 3})),
        ("training", of("scores", {"accuracy": "x"})),
        ("training", of("scores", {"accuracy": 0.9})),
        ("outliers", 1),
        ("operating_point", "high"),
        ("protocol", True),
        ("seen", "not base64"),
    ],
)
def test_values_of_a_wrong_kind_are_refused(saved, key, value):
    with pytest.raises(ModelError) as caught:
        load_model(edited(saved, **{key: value}))
    assert key.partition("_")[0] in str(caught.value) or value in ([6], "not base64")
    assert caught.value.hint


def test_what_was_not_edited_loads_and_shows(saved):
    model = load_model(edited(saved, protocol=lambda number: number))
    assert "tuned     by log-loss" in model_card(model)


@pytest.mark.parametrize("key", ["photos_per_label", "versions", "steps", "scores", "tuning", "trust"])
def test_what_is_null_is_not_known_and_the_card_does_without(saved, key):
    assert "head      softmax" in model_card(load_model(edited(saved, training=of(key, None))))
    card = model_card(load_model(edited(saved, training=of("photos_per_label", {"ant": None}))))
    assert "None training photos" not in card


@pytest.mark.parametrize("shape", [(3, 5), (2, 6), (3,)])
def test_a_head_whose_arrays_do_not_fit_is_refused(saved, shape, tmp_path):
    model = load_model(saved)
    model.head[-1].coef_ = np.zeros(shape)
    save_model(model, tmp_path / "other")
    with pytest.raises(ModelError, match=r"its head (cannot predict|gives probabilities of shape)"):
        load_model(tmp_path / "other")
